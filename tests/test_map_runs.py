"""Maps with a ledger: begun again, a run pays for nothing twice; and budgets of runs."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from conftest import Kind
from media_files import picture
from runcomfy import (
    BudgetExceededError,
    ConfigurationError,
    JobFailedError,
    Ledger,
    LedgerError,
    MapResult,
    NotFoundError,
    RateLimitError,
    SubmissionOutcomeUnknown,
)
from runcomfy.models.blackforestlabs.flux_1_kontext.max import text_to_image
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox, Variant

RUN = "night"


def inputs(*prompts: str) -> list[edit.Input]:
    return [edit.Input(prompt=prompt, image_url="u") for prompt in prompts]


def run(kind: Kind, client: Any, requests: Any, **options: Any) -> list[MapResult[Any]]:
    return kind.collect(client.map(requests, run=RUN, ordered=True, **options))


def ids(results: list[MapResult[Any]]) -> list[str | None]:
    return [result.request_id for result in results]


def test_a_run_that_is_begun_again_pays_for_nothing_twice(kind: Kind, sandbox: Sandbox, database: str) -> None:
    requests = [*inputs("a", "b", "a", "a"), text_to_image.Input(prompt="a")]
    first = run(kind, kind.client(sandbox, ledger=database), requests)
    sandbox.requests.clear()

    second = run(kind, kind.client(sandbox, ledger=database), requests)

    assert len(sandbox.accepted) == 5
    assert sandbox.requests == []
    assert sorted(ids(second), key=str) == sorted(ids(first), key=str)
    assert [result.output.raw for result in second] == [
        {result.request_id: result for result in first}[result.request_id].output.raw for result in second
    ]
    assert [type(result.output) for result in second] == [edit.Output] * 4 + [text_to_image.Output]
    assert second[0].cost_usd == first[0].cost_usd


def test_equal_inputs_get_the_same_jobs_again(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    client = kind.client(sandbox, ledger=ledger)
    requests = inputs(*"aaaabaaaabaaaabaaaab")

    first = kind.collect(client.map(requests, run=RUN, concurrency=20))
    second = kind.collect(client.map(requests, run=RUN, concurrency=20))

    jobs = {result.index: result.request_id for result in first}
    assert {result.index: result.request_id for result in second} == jobs
    assert len(sandbox.accepted) == 20


def test_an_input_that_cannot_be_sent_does_not_hold_up_the_others(
    kind: Kind, sandbox: Sandbox, ledger: Ledger, tmp_path: Path
) -> None:
    file = tmp_path / "in.png"
    file.write_bytes(picture())
    requests = [*inputs("a"), edit.Input(prompt="a", image_url=file), *inputs("a", "a")]
    file.unlink()

    results = run(kind, kind.client(sandbox, ledger=ledger), requests)

    assert [type(result.error).__name__ for result in results] == ["NoneType", "InputValidationError"] + [
        "NoneType"
    ] * 2
    assert sorted(entry.occurrence for entry in ledger.entries()) == [0, 1, 2]


def test_what_is_new_in_a_run_is_submitted(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    client = kind.client(sandbox, ledger=ledger)
    first = run(kind, client, inputs("a", "b"))

    second = run(kind, client, inputs("b", "c", "b"))

    assert len(sandbox.accepted) == 4
    assert ids(second)[0] == ids(first)[1]
    assert sorted(entry.occurrence for entry in ledger.entries()) == [0, 0, 0, 1]


def test_another_run_pays_again(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    client = kind.client(sandbox, ledger=ledger)
    run(kind, client, inputs("a"))
    kind.collect(client.map(inputs("a"), run="day"))
    kind.collect(client.map(inputs("a")))
    kind.collect(client.map(inputs("a")))

    assert len(sandbox.accepted) == 4
    assert [entry.run for entry in ledger.entries()] == [RUN, "day", None, None]


def test_the_same_file_is_the_same_input_and_another_one_is_not(
    kind: Kind, sandbox: Sandbox, ledger: Ledger, tmp_path: Path
) -> None:
    one, copy, other = tmp_path / "1.png", tmp_path / "2.png", tmp_path / "3.png"
    one.write_bytes(picture())
    copy.write_bytes(picture())
    other.write_bytes(picture("image/webp"))
    client = kind.client(sandbox, ledger=ledger)

    (first,) = run(kind, client, [edit.Input(prompt="p", image_url=one)])
    (second,) = run(kind, client, [edit.Input(prompt="p", image_url=copy)])
    (third,) = run(kind, client, [edit.Input(prompt="p", image_url=other)])

    assert first.request_id == second.request_id != third.request_id


def test_jobs_that_were_left_behind_are_waited_for(kind: Kind, ledger: Ledger) -> None:
    with Sandbox(queue_reads=1, run_reads=1) as sandbox:
        client = kind.client(sandbox, ledger=ledger)

        def break_off() -> None:
            for _ in client.map(inputs("a", "b", "c"), run=RUN, concurrency=3):
                break

        async def break_off_async() -> None:
            async for _ in client.map(inputs("a", "b", "c"), run=RUN, concurrency=3):
                break
            await client.close()

        if kind.is_async:
            kind.settle(break_off_async())
        else:
            break_off()

        results = run(kind, kind.client(sandbox, ledger=ledger), inputs("a", "b", "c"))

        assert {result.request_id for result in results} == {job.id for job in sandbox.accepted}
        assert len(sandbox.accepted) == 3
        assert all(result.error is None for result in results)


def test_an_unknown_submit_is_an_error_until_it_is_resolved(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.faults.append(Fault("submit", drop="answer", takes_effect=True))
    client = kind.client(sandbox, ledger=ledger)
    (first,) = run(kind, client, inputs("a"))
    (again,) = run(kind, client, inputs("a"))
    (entry,) = ledger.unknown(run=RUN)

    assert isinstance(first.error, SubmissionOutcomeUnknown)
    assert isinstance(again.error, SubmissionOutcomeUnknown)
    assert f"submit {entry.id} of run 'night': whether a job was accepted is not known" in str(again.error)
    assert again.error.payload_sha256 == first.error.payload_sha256
    assert again.error.submitted_at == first.error.submitted_at
    assert len(sandbox.accepted) == 1
    ledger.resolve(entry, sandbox.accepted[0].id)
    (last,) = run(kind, client, inputs("a"))
    assert (last.request_id, last.error) == (sandbox.accepted[0].id, None)
    assert len(sandbox.accepted) == 1


def test_what_was_resolved_as_not_accepted_is_submitted_again(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.faults.append(Fault("submit", drop="answer"))
    client = kind.client(sandbox, ledger=ledger)
    run(kind, client, inputs("a"))
    (entry,) = ledger.unknown()
    ledger.resolve(entry, None)

    (result,) = run(kind, client, inputs("a"))

    assert result.error is None
    assert [(entry.attempt, entry.state) for entry in ledger.entries()] == [(1, "refused"), (2, "completed")]


def test_what_was_refused_is_submitted_again(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.faults.append(Fault("submit", 404))
    client = kind.client(sandbox, ledger=ledger)
    (first,) = run(kind, client, inputs("a"))

    (second,) = run(kind, client, inputs("a"))

    assert isinstance(first.error, NotFoundError)
    assert (second.error, len(sandbox.accepted)) == (None, 1)


def test_a_refusal_for_overload_is_tried_again_as_a_new_attempt(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.faults.extend([Fault("submit", 429, b"slow down", {"Retry-After": "0"})] * 2)

    (result,) = run(kind, kind.client(sandbox, ledger=ledger), inputs("a"))

    assert result.error is None
    states = [(entry.attempt, entry.state) for entry in ledger.entries()]
    assert states == [(1, "refused"), (2, "refused"), (3, "completed")]


def test_a_refusal_without_a_word_is_not_tried_again_by_itself(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.faults.append(Fault("submit", 429, b"", {"Retry-After": "0"}))

    (result,) = run(kind, kind.client(sandbox, ledger=ledger), inputs("a"))

    assert isinstance(result.error, RateLimitError)
    assert [(entry.attempt, entry.state) for entry in ledger.entries()] == [(1, "refused")]


def test_a_job_that_failed_is_told_again_and_not_paid_again(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.fail_next({"message": "boom"})
    client = kind.client(sandbox, ledger=ledger)
    (first,) = run(kind, client, inputs("a"))
    sandbox.requests.clear()

    (second,) = run(kind, client, inputs("a"))

    assert isinstance(first.error, JobFailedError)
    assert isinstance(second.error, JobFailedError)
    assert (str(second.error), second.error.error, second.error.raw) == (
        str(first.error),
        {"message": "boom"},
        first.error.raw,
    )
    assert second.request_id == first.request_id
    assert sandbox.requests == []


def test_a_job_that_was_cancelled_is_submitted_again(kind: Kind, stuck: Sandbox, ledger: Ledger) -> None:
    client = kind.client(stuck, ledger=ledger)
    (first,) = run(kind, client, inputs("a"), timeout=0.01)
    assert first.request_id is not None
    assert kind.settle(client.job(first.request_id).cancel())

    (second,) = run(kind, client, inputs("a"), timeout=0.01)

    assert second.request_id != first.request_id
    assert len(stuck.accepted) == 2


def test_a_result_that_the_ledger_does_not_keep_is_read_from_the_api(
    kind: Kind, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.faults.append(Fault("result", changes={"output": {"image": "data:image/png;base64,QUJD"}}))
    client = kind.client(sandbox, ledger=ledger)
    (first,) = run(kind, client, inputs("a"))

    (second,) = run(kind, client, inputs("a"))

    assert first.output.image == "data:image/png;base64,QUJD"
    assert second.output.image is not None
    assert second.output.image.startswith(sandbox.base_url.removesuffix("/v1"))
    assert len(sandbox.accepted) == 1


def test_a_run_belongs_to_one_api(kind: Kind, sandbox: Sandbox, stuck: Sandbox, ledger: Ledger) -> None:
    run(kind, kind.client(sandbox, ledger=ledger), inputs("a"))

    (result,) = run(kind, kind.client(stuck, ledger=ledger), inputs("a"))

    assert isinstance(result.error, ConfigurationError)
    assert f"run 'night' was begun with the API at {sandbox.base_url}" in str(result.error)
    assert stuck.accepted == []


def test_a_ledger_that_cannot_be_written_ends_the_map_and_nothing_is_sent(
    kind: Kind, sandbox: Sandbox, tmp_path: Path
) -> None:
    Ledger(tmp_path / "jobs.sqlite3").close()
    client = kind.client(sandbox, ledger=f"sqlite:///file:{tmp_path / 'jobs.sqlite3'}?mode=ro&uri=true")

    with pytest.raises(LedgerError, match="readonly database"):
        run(kind, client, inputs("a", "b"))

    assert [request for request in sandbox.requests if request.method == "POST"] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run": ""}, "run: '' is no name"),
        ({"run": 5}, "run: 5 is no name"),
        ({"run": "a\nb"}, "run: 'a.nb' is no name"),
        ({"run": "a" * 201}, "is no name of at most 200 printable characters"),
        ({"budget_usd": -1}, "budget_usd: -1 is no amount"),
    ],
)
def test_options_that_cannot_be_used_are_refused_at_the_call(
    kind: Kind, sandbox: Sandbox, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    client = kind.client(sandbox, ledger=tmp_path / "jobs.sqlite3")

    with pytest.raises(ConfigurationError, match=message):
        client.map([], **options)


def test_a_run_without_a_ledger_is_refused(client: Any) -> None:
    with pytest.raises(ConfigurationError, match="without a ledger, nobody would know what of run 'night' is paid"):
        client.map([], run=RUN)


PRICES = {edit.MODEL_ID: 0.1}


@pytest.fixture
def priced(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox in which a job costs what it is said to."""
    entry = {"base_price_usd": 0.1, "input_schema": {"type": "object", "properties": {}}}
    file = tmp_path / f"priced/{edit.MODEL_ID}.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(entry))
    with Sandbox(tmp_path / "priced") as sandbox:
        yield sandbox


@pytest.mark.parametrize("has_ledger", [False, True])
def test_a_budget_holds_for_a_run(kind: Kind, priced: Sandbox, tmp_path: Path, *, has_ledger: bool) -> None:
    settings = {"ledger": tmp_path / "jobs.sqlite3"} if has_ledger else {}
    client = kind.client(priced, prices=PRICES, **settings)

    results = kind.collect(client.map(inputs(*"aabbcc"), budget_usd=0.35, ordered=True))
    others = kind.collect(client.map(inputs(*"abcdef"), budget_usd=0.15, ordered=True))

    assert sum(isinstance(result.error, BudgetExceededError) for result in results) == 3
    assert sum(isinstance(result.error, BudgetExceededError) for result in others) == 5
    assert len(priced.accepted) == 4
    assert sorted(kind.settle(client.spending()).by_run.values()) == [0.1, 0.3]


def test_the_budget_of_a_run_counts_what_it_spent_before(kind: Kind, priced: Sandbox, database: str) -> None:
    first = run(kind, kind.client(priced, ledger=database, prices=PRICES), inputs("a", "b"), budget_usd=0.2)
    client = kind.client(priced, ledger=database, prices=PRICES)

    second = run(kind, client, inputs("a", "b", "c"), budget_usd=0.2)

    assert [result.error for result in first + second[:2]] == [None] * 4
    assert isinstance(second[2].error, BudgetExceededError)
    assert second[2].error.run == RUN
    assert "of run 'night'" in str(second[2].error)
    assert kind.settle(client.spending()).by_run == {RUN: 0.2}


def test_the_budgets_of_the_client_and_of_the_run_both_hold(kind: Kind, priced: Sandbox, ledger: Ledger) -> None:
    client = kind.client(priced, ledger=ledger, prices=PRICES, budget_usd=0.2)

    (*_, last) = run(kind, client, inputs("a", "b", "c"), budget_usd=5.0, concurrency=1)

    assert isinstance(last.error, BudgetExceededError)
    assert (last.error.run, last.error.budget_usd) == (None, 0.2)


PROGRAM = """
import json, sys
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

with Client(ledger=sys.argv[1], poll_interval=0.0) as client:
    requests = (edit.Input(prompt=f"p {number // 2}", image_url="u") for number in range(30))
    results = client.map(requests, run="night", concurrency=5)
    print(json.dumps(sorted([result.index, result.request_id] for result in results)))
"""


@pytest.fixture
def programs(sandbox: Sandbox, database: str) -> Any:
    """Run some programs at once, each of which maps the same inputs in the same run; what they print."""

    def programs(count: int) -> Iterator[Any]:
        environment = {**os.environ, "RUNCOMFY_TOKEN": sandbox.token, "RUNCOMFY_MODEL_API_BASE": sandbox.base_url}
        command = [sys.executable, "-c", PROGRAM, database]
        started = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        for process in started:
            output, _ = process.communicate()
            assert process.returncode == 0
            yield json.loads(output)

    return programs


def test_two_programs_that_run_the_same_run_share_its_jobs(sandbox: Sandbox, programs: Any) -> None:
    one, other = programs(2)

    assert len(sandbox.accepted) == 30
    accepted = sorted(job.id for job in sandbox.accepted)
    assert sorted(request_id for _, request_id in one) == sorted(request_id for _, request_id in other) == accepted


def test_a_submit_that_another_program_has_in_hand_is_waited_for_until_the_deadline(
    kind: Kind, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.faults.append(Fault("submit", delay=3600))
    client, other = kind.client(sandbox, ledger=ledger), kind.client(sandbox, ledger=ledger)
    if kind.is_async:

        async def both() -> list[MapResult[Any]]:
            task = asyncio.create_task(anext(client.map(inputs("a"), run=RUN)))
            while not sandbox.requests:  # noqa: ASYNC110  # the condition is one of the sandbox's thread
                await asyncio.sleep(0)
            found = [result async for result in other.map(inputs("a"), run=RUN, timeout=0.1)]
            task.cancel()
            await asyncio.wait([task])
            return found

        (result,) = kind.settle(both())
    else:

        def in_hand() -> None:
            with suppress(ConfigurationError):  # its client is closed in the end
                list(client.map(inputs("a"), run=RUN))

        thread = Thread(target=in_hand, daemon=True)
        thread.start()
        while not sandbox.requests:
            pass
        (result,) = run(kind, other, inputs("a"), timeout=0.1)
        client.close()
        thread.join()

    assert isinstance(result.error, SubmissionOutcomeUnknown)
    assert "another process has it in hand" in str(result.error)


def test_what_is_paid_needs_no_turn_and_no_price(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    """Neither a slow-down nor a catalog that refuses holds up what the ledger has."""
    run(kind, kind.client(sandbox, ledger=ledger), inputs(*"abcdef"))
    sandbox.requests.clear()
    sandbox.faults.append(Fault("model", 403))
    sandbox.faults.append(Fault("submit", 429, b"", {"Retry-After": "30"}))

    results = run(kind, kind.client(sandbox, ledger=ledger), inputs(*"xabcdef"), budget_usd=5.0, concurrency=1)
    priced = kind.client(sandbox, ledger=ledger, prices=PRICES)
    throttled = run(kind, priced, inputs(*"xabcdef"), concurrency=1)

    assert [type(result.error).__name__ for result in results] == ["PermissionDeniedError"] + ["NoneType"] * 6
    assert [type(result.error).__name__ for result in throttled] == ["RateLimitError"] + ["NoneType"] * 6
    assert [request.method for request in sandbox.requests] == ["GET", "POST"]


def test_cancelling_the_jobs_of_a_run_leaves_those_of_others(kind: Kind, stuck: Sandbox, ledger: Ledger) -> None:
    client = kind.client(stuck, ledger=ledger)
    (mine,) = run(kind, client, inputs("a"), timeout=0.01)
    kind.collect(client.map(inputs("a"), run="day", timeout=0.01))

    cancelled = (
        kind.settle(ledger.cancel_open_async(client, run=RUN)) if kind.is_async else ledger.cancel_open(client, run=RUN)
    )

    assert [result.request_id for result in cancelled] == [mine.request_id]
    assert [entry.run for entry in ledger.open()] == ["day"]


def test_costs_of_a_run_follow(kind: Kind, ledger: Ledger) -> None:
    with Sandbox(variant=Variant(cost_after=1)) as sandbox:
        client = kind.client(sandbox, ledger=ledger)
        run(kind, client, inputs("a", "b"))
        read = ledger.read_costs_async(client, run=RUN) if kind.is_async else ledger.read_costs(client, run=RUN)
        costs = kind.settle(read)

    assert set(costs) == {job.id for job in sandbox.accepted}
    assert None not in costs.values()


def test_a_cancelled_map_books_what_it_did_not_send(sandbox: Sandbox, tmp_path: Path) -> None:
    """No submit is left behind as one that may have been sent."""

    async def interrupted() -> None:
        kind = Kind("async")
        client = kind.client(sandbox, ledger=tmp_path / "jobs.sqlite3")

        async def consume() -> None:
            async for _ in client.map(inputs(*map(str, range(50))), run=RUN, concurrency=20):
                pass

        for turns in range(0, 60, 3):
            task = asyncio.create_task(consume())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        states = [entry.state for entry in client.ledger.entries()]
        accepted = {job.id for job in sandbox.accepted}
        known = {entry.request_id for entry in client.ledger.entries() if entry.request_id}
        assert "submitting" not in states
        assert known <= accepted
        assert len(accepted - known) <= states.count("unknown")
        await client.close()

    asyncio.run(interrupted())
