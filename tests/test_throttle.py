"""How a map slows down: the decisions alone, with given times."""

import pytest
from runcomfy._throttle import Throttle, Turn


def test_nothing_waits_before_the_first_refusal() -> None:
    throttle = Throttle()

    assert [throttle.turn(5.0) for _ in range(200)] == [Turn(0.0, 0)] * 200


def test_nobody_submits_before_the_asked_time_has_passed_and_then_one_after_the_other() -> None:
    throttle = Throttle()
    throttle.refused(throttle.turn(0.0), 1.0, retry_after=7.0)

    assert throttle.turn(2.0).pause == 6.0
    assert throttle.turn(8.0).pause == 0.0
    assert throttle.turn(8.0).pause == pytest.approx(0.1)


def test_refusals_of_submits_that_were_on_their_way_together_count_as_one() -> None:
    one, many = Throttle(), Throttle()
    one.refused(one.turn(0.0), 1.0, retry_after=2.0)
    turns = [many.turn(0.0) for _ in range(200)]
    for turn in turns:
        many.refused(turn, 1.0, retry_after=2.0)

    for throttle in (one, many):
        assert throttle.turn(3.0).pause == 0.0
    assert one.turn(3.0) == many.turn(3.0)


def test_a_later_refusal_of_the_same_slow_down_may_ask_for_a_longer_pause() -> None:
    throttle = Throttle()
    first, second, third = (throttle.turn(0.0) for _ in range(3))
    throttle.refused(first, 1.0, retry_after=2.0)
    throttle.refused(second, 1.5, retry_after=30.0)
    throttle.refused(third, 2.0, retry_after=None)

    assert throttle.turn(2.0).pause == 29.5


def test_without_a_word_of_the_api_the_pause_grows_with_each_refusal_in_a_row() -> None:
    throttle, now, pauses = Throttle(), 0.0, []
    for _ in range(8):
        turn = throttle.turn(now)
        assert not turn.pause
        throttle.refused(turn, now, retry_after=None)
        pauses.append(throttle.turn(now).pause)
        now += pauses[-1]

    assert 0.125 <= pauses[0] <= 0.25
    assert all(later > earlier for earlier, later in zip(pauses[:3:2], pauses[2:5:2], strict=True))
    assert pauses[-1] <= 5.0


def test_each_success_brings_the_submits_closer_together_until_nothing_is_between_them() -> None:
    throttle = Throttle()
    throttle.refused(throttle.turn(0.0), 0.0, retry_after=1.0)
    now, spaces = 1.0, []
    for _ in range(12):
        turn = throttle.turn(now)
        throttle.accepted(turn)
        spaces.append(throttle.turn(now).pause)
        now += spaces[-1]

    assert spaces == sorted(spaces, reverse=True)
    assert spaces[0] == pytest.approx(0.1)
    assert spaces[-1] == 0.0


def test_a_success_from_before_the_slow_down_does_not_end_it() -> None:
    throttle = Throttle()
    before = [throttle.turn(0.0) for _ in range(50)]
    throttle.refused(throttle.turn(0.0), 0.0, retry_after=1.0)
    for turn in before:
        throttle.accepted(turn)

    assert not throttle.turn(1.0).pause
    assert throttle.turn(1.0).pause == pytest.approx(0.1)


def test_the_space_between_submits_has_a_limit() -> None:
    throttle, now = Throttle(), 0.0
    for _ in range(30):
        turn = throttle.turn(now)
        throttle.refused(turn, now, retry_after=1.0)
        now += throttle.turn(now).pause

    assert not throttle.turn(now).pause
    assert throttle.turn(now).pause == 2.0
