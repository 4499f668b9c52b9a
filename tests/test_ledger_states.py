"""What a ledger says of a job, whatever the API says in the end, and whatever the disk did meanwhile."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Kind
from runcomfy import BudgetExceededError, JobFailedError, Ledger, LedgerError, NotFoundError, SubmissionOutcomeUnknown
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="u")


def again(kind: Kind, client: Any) -> Any:
    (result,) = kind.collect(client.map([REQUEST], run="r"))
    return result


@pytest.mark.parametrize("word", ["error", "failed", "cancelled", "in_queue"])
def test_a_result_that_was_paid_stays_whatever_a_status_says(
    kind: Kind, sandbox: Sandbox, ledger: Ledger, word: str
) -> None:
    client = kind.client(sandbox, ledger=ledger)
    first = again(kind, client)
    sandbox.faults.append(Fault("status", changes={"status": word}))
    kind.settle(client.job(first.request_id).status())

    second = again(kind, client)

    assert second.output.files == first.output.files
    assert [entry.state for entry in ledger.entries()] == ["completed"]
    assert len(sandbox.accepted) == 1


def test_a_result_that_was_kept_is_not_forgotten_for_one_without_an_output(
    kind: Kind, sandbox: Sandbox, ledger: Ledger
) -> None:
    client = kind.client(sandbox, ledger=ledger)
    first = again(kind, client)
    sandbox.faults.append(Fault("result", changes={"output": None}))
    kind.settle(client.job(first.request_id).cost())
    sandbox.faults.append(Fault("result", changes={"output": None}))
    kind.settle(client.job(first.request_id).result())

    assert again(kind, client).output.files == first.output.files


def test_a_cancellation_that_is_only_requested_does_not_end_a_job(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    client = kind.client(sandbox, ledger=ledger)
    first = again(kind, client)
    sandbox.faults.append(Fault("cancel", changes={"status": "cancellation_requested", "outcome": ...}))

    assert kind.settle(client.job(first.request_id).cancel())

    assert again(kind, client).request_id == first.request_id
    assert [entry.state for entry in ledger.entries()] == ["completed"]


def test_the_cost_of_a_failed_job_does_not_make_it_a_success(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.fail_next("boom")
    client = kind.client(sandbox, ledger=ledger)
    first = again(kind, client)
    sandbox.faults.append(Fault("result", changes={"status": "completed", "cost": 0.5}))

    assert kind.settle(client.job(first.request_id).cost()) == 0.5

    assert isinstance(again(kind, client).error, JobFailedError)
    assert [(entry.state, entry.cost_usd) for entry in ledger.entries()] == [("failed", 0.5)]


def test_a_job_that_is_cancelled_twice_is_cancelled(kind: Kind, stuck: Sandbox, ledger: Ledger) -> None:
    client = kind.client(stuck, ledger=ledger)
    job = kind.settle(client.submit(REQUEST))
    stuck.faults.append(Fault("cancel", 502, takes_effect=True))

    assert kind.settle(job.cancel())

    assert [entry.state for entry in ledger.entries()] == ["cancelled"]


@pytest.mark.parametrize("has_ledger", [False, True])
@pytest.mark.parametrize("cost", [1e305, 1e9, 5e-7])
def test_an_odd_cost_takes_no_result_away(
    kind: Kind, sandbox: Sandbox, tmp_path: Path, cost: float, *, has_ledger: bool
) -> None:
    client = kind.client(sandbox, **({"ledger": tmp_path / "jobs.sqlite3"} if has_ledger else {}))
    sandbox.faults.append(Fault("result", changes={"cost": cost}))

    assert kind.settle(client.run(REQUEST)).raw["cost"] == cost

    spent = kind.settle(client.spending()).cost_usd
    assert spent == (1e-6 if cost < 1 else 1e9)


def test_a_price_beyond_all_measure_is_over_the_budget(kind: Kind, tmp_path: Path) -> None:
    file = tmp_path / "schemas/acme/a.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"base_price_usd": 1e305, "input_schema": {"type": "object"}}))
    with Sandbox(tmp_path / "schemas") as sandbox:
        client = kind.client(sandbox, budget_usd=1e6)
        with pytest.raises(BudgetExceededError):
            kind.settle(client.submit("acme/a", {}))


def test_prices_below_a_micro_dollar_add_up(kind: Kind, sandbox: Sandbox) -> None:
    client = kind.client(sandbox, budget_usd=2e-6, prices={edit.MODEL_ID: 4e-7})
    for _ in range(2):
        kind.settle(client.submit(REQUEST))

    with pytest.raises(BudgetExceededError):
        kind.settle(client.submit(REQUEST))


def test_jobs_that_count_nothing_are_counted(kind: Kind, sandbox: Sandbox, stuck: Sandbox, ledger: Ledger) -> None:
    client = kind.client(stuck, ledger=ledger)
    for _ in range(3):
        kind.settle(client.submit(REQUEST))
    kind.settle(kind.settle(client.submit(REQUEST)).cancel())
    kind.settle(kind.client(sandbox, ledger=ledger).run(REQUEST))

    spending = ledger.spending()

    assert (spending.jobs, spending.unpriced_jobs, spending.total_usd) == (5, 3, 0.0)


def test_an_unknown_submit_whose_id_is_known_is_open_once_its_status_is_read(
    kind: Kind, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.faults.append(Fault("submit", status=500, body=None, takes_effect=True))
    client = kind.client(sandbox, ledger=ledger)
    with pytest.raises(SubmissionOutcomeUnknown):
        kind.settle(client.submit(REQUEST))
    (entry,) = ledger.unknown()
    ledger.resolve(entry, sandbox.accepted[0].id)
    sandbox.faults.append(Fault("submit", drop="answer"))
    with pytest.raises(SubmissionOutcomeUnknown):
        kind.settle(client.submit(REQUEST))
    (other,) = ledger.unknown()
    with pytest.raises(LedgerError, match="is that of submit 1"):
        ledger.resolve(other, sandbox.accepted[0].id)

    kind.settle(client.job(sandbox.accepted[0].id).status())

    assert [entry.state for entry in ledger.entries()] == ["open", "unknown"]


def test_a_job_that_the_api_has_forgotten_can_be_settled(kind: Kind, stuck: Sandbox, ledger: Ledger) -> None:
    client = kind.client(stuck, ledger=ledger, budget_usd=0.1, prices={edit.MODEL_ID: 0.1})
    job = kind.settle(client.submit(REQUEST))
    stuck.reset()
    with pytest.raises(NotFoundError):
        kind.settle(job.status())
    (entry,) = ledger.open()

    ledger.resolve(entry, None)

    assert list(ledger.open()) == []
    kind.settle(client.submit(REQUEST))  # its price does not count any more
    assert ledger.spending().total_usd == 0.1


def test_a_submit_that_its_client_is_closed_under_is_booked(stuck: Sandbox, ledger: Ledger) -> None:
    kind = Kind("async")
    path = ledger

    async def close_under() -> None:
        client = kind.client(stuck, ledger=path, prices={edit.MODEL_ID: 0.1})
        stuck.faults.append(Fault("submit", delay=3600))
        task = asyncio.create_task(client.submit(REQUEST))
        while not stuck.requests:  # noqa: ASYNC110  # the condition is one of the sandbox's thread
            await asyncio.sleep(0)
        await client.close()
        with pytest.raises(SubmissionOutcomeUnknown):
            await task

    kind.settle(close_under())
    kind.close()

    assert [entry.state for entry in ledger.entries()] == ["unknown"]


def test_many_jobs_are_cancelled_some_at_a_time(kind: Kind, stuck: Sandbox, ledger: Ledger) -> None:
    client = kind.client(stuck, ledger=ledger, timeout=10.0)
    for _ in range(150):
        kind.settle(client.submit(REQUEST))
    stuck.faults.extend([Fault("cancel", delay=0.1)] * 150)

    results = kind.settle(ledger.cancel_open_async(client)) if kind.is_async else ledger.cancel_open(client)

    assert [result.cancelled for result in results] == [True] * 150
