"""When to poll a job next, and what a seeded simulation says of it: requests and waiting, counted, not timed."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import log

import pytest
from bench import polling
from runcomfy import _pace
from runcomfy._pace import Durations, Expectation, Pace
from simulation import log_normal, simulate


@pytest.mark.parametrize(
    ("age", "seconds"), [(0, 0.25), (1, 0.25), (4, 0.3), (100, 1.5), (1111.2, 5.0), (1_000_000, 5.0)]
)
def test_polls_become_rarer_with_age(age: float, seconds: float) -> None:
    assert _pace.cold_interval(age) == pytest.approx(seconds, rel=0.01)


@pytest.mark.parametrize(
    ("failures", "least", "most"), [(1, 0.125, 0.25), (2, 0.25, 0.5), (3, 0.5, 1.0), (1000, 2.5, 5.0)]
)
def test_repetitions_back_off_with_jitter(failures: int, least: float, most: float) -> None:
    pauses = {_pace.backoff(failures) for _ in range(50)}

    assert least <= min(pauses) < max(pauses) <= most
    assert _pace.backoff(failures, 7.0) == 7.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.25),
        ("999", 30.0),
        ("9" * 5000, 30.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.25),
        ("Wed, 21 Oct 2115 07:28:00 -0000", 30.0),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_a_retry_after_is_read_and_kept_within_bounds(value: str | None, seconds: float | None) -> None:
    assert _pace.retry_after(value) == seconds


def test_a_retry_after_may_be_a_date() -> None:
    in_ten = format_datetime(datetime.now(UTC) + timedelta(seconds=10), usegmt=True)

    assert 8 < (_pace.retry_after(in_ten) or 0) <= 10


def test_learned_polls_ask_little_and_wait_no_longer() -> None:
    """Against fixed intervals, and against one who knows how long jobs take."""
    for figure in polling.figures():
        assert figure.reached, figure


def test_what_was_learned_follows_jobs_that_become_faster() -> None:
    """Polling too late shows only that a job has ended: that must not confirm that jobs take so long."""
    slow, fast = log_normal(60.0, 0.3, 200), log_normal(6.0, 0.3, 200, seed=8)

    known = Durations()
    for durations in (slow, fast):
        simulate(
            durations,
            lambda now: Pace(now, now, expectation=known.expectation("m")),
            lambda duration: known.record("m", duration),
        )

    expectation = known.expectation("m")
    assert expectation is not None
    assert expectation.first_poll < 6


def test_nothing_is_expected_before_three_jobs_have_finished() -> None:
    durations = Durations()
    for seconds in (5.0, 6.0):
        durations.record("m", seconds)
        assert durations.expectation("m") is None
    durations.record("m", 7.0)

    assert durations.expectation("m") is not None
    assert durations.expectation("other") is None
    assert durations.expectation(None) is None


def test_only_the_latest_jobs_count_and_they_may_take_no_time() -> None:
    durations = Durations()
    for seconds in [1000.0] * 50 + [0.0] * 50:
        durations.record("m", seconds)

    expectation = durations.expectation("m")
    assert expectation is not None
    assert expectation.first_poll < 0.01
    assert expectation.interval(0.0) >= 0.1


@pytest.mark.parametrize("age", [0.0, 1e-9, 1.0, 100.0, 1e6, 1e300])
def test_a_learned_interval_is_always_between_a_tenth_and_five_seconds(age: float) -> None:
    for spread in (0.01, 0.5, 3.0):
        assert 0.1 <= Expectation(log(8.0), spread).interval(age) <= 5.0


def test_a_caller_who_comes_late_teaches_nothing() -> None:
    pace = Pace(100.0, accepted_at=0.0)
    assert pace.pause(100.0) == 0
    pace.poll(100.0)
    pace.saw(100.1, done=True)

    assert pace.duration is None


def test_an_outage_teaches_nothing() -> None:
    pace = Pace(0.0, accepted_at=0.0)
    pace.poll(0.0)
    pace.saw(0.1, done=False)
    pace.poll(0.1 + pace.pause(0.1))
    pace.saw(60.0, done=True)

    assert pace.duration is None


def test_a_job_resumed_by_its_id_is_polled_at_at_once_and_teaches_nothing() -> None:
    pace = Pace(50.0, accepted_at=None, expectation=Expectation(log(90.0), 0.1))
    assert pace.pause(50.0) == 0
    pace.poll(50.0)
    pace.saw(50.1, done=False)
    assert pace.pause(50.1) == pytest.approx(0.15)
    pace.poll(50.25)
    pace.saw(50.3, done=True)

    assert pace.duration is None


def test_a_pause_that_the_server_asks_for_is_taken_once() -> None:
    pace = Pace(0.0, accepted_at=0.0)
    pace.poll(0.0)
    pace.answered(7.0)
    assert pace.pause(0.0) == 7.0
    pace.poll(7.0)
    pace.answered(None)
    assert pace.pause(7.0) < 1


@pytest.mark.parametrize(("fixed", "usual"), [(5.0, 5.0), (None, 1.5)])
def test_a_server_that_asks_for_a_short_pause_is_not_asked_more_often_than_usual(
    fixed: float | None, usual: float
) -> None:
    pace = Pace(0.0, accepted_at=0.0, fixed=fixed)
    pace.poll(100.0)
    pace.answered(0.25)

    assert pace.pause(100.0) == usual


def test_who_wants_to_see_the_states_is_shown_the_first_at_once() -> None:
    expectation = Expectation(log(90.0), 0.1)

    assert Pace(0.0, accepted_at=0.0, expectation=expectation, at_once=True).pause(0.0) == 0
    assert Pace(0.0, accepted_at=0.0, expectation=expectation).pause(0.0) > 5


def test_a_job_that_fails_early_is_not_found_out_late() -> None:
    assert Pace(0.0, accepted_at=0.0, expectation=Expectation(log(300.0), 0.1)).pause(0.0) == 10


def test_a_job_far_longer_than_all_others_is_asked_about_no_more_than_an_unknown_one() -> None:
    short = Expectation(log(0.03), 0.5)

    assert all(short.interval(age) == _pace.cold_interval(age) for age in (1.0, 60.0, 600.0))


def test_a_fixed_interval_is_kept_whatever_is_known() -> None:
    pace = Pace(0.0, accepted_at=0.0, fixed=2.0, expectation=Expectation(log(90.0), 0.1))
    assert pace.pause(0.0) == 0
    pace.poll(0.0)
    pace.saw(0.5, done=False)
    assert pace.pause(0.5) == 2.0
