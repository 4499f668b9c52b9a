"""The ledger: each submit is written down before it is sent, and what became of it after."""

from pathlib import Path
from typing import Any

import pytest
from conftest import Kind
from runcomfy import (
    APIConnectionError,
    AsyncClient,
    Client,
    ConfigurationError,
    InputValidationError,
    JobCancelledError,
    JobFailedError,
    Ledger,
    LedgerEntry,
    LedgerError,
    MediaOutput,
    NotFoundError,
    SubmissionOutcomeUnknown,
)
from runcomfy.models.blackforestlabs.flux_1_kontext.max import text_to_image
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="https://example.com/in.png")


def only(ledger: Ledger) -> LedgerEntry:
    (entry,) = ledger.entries()
    return entry


def test_a_job_is_in_the_ledger_from_its_submit_to_its_end(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    client = kind.client(sandbox, ledger=ledger)

    job = kind.settle(client.submit(REQUEST))
    opened = only(ledger)
    output = kind.settle(job.result())
    ended = only(ledger)

    assert (opened.state, opened.request_id, opened.model_id) == ("open", job.id, edit.MODEL_ID)
    assert opened.arguments == {"prompt": "p", "image_url": "https://example.com/in.png"}
    assert opened.base_url == client.base_url
    assert opened.submitted_at is not None
    assert opened.created_at <= opened.submitted_at
    assert (ended.state, ended.raw, ended.error) == ("completed", output.raw, None)
    assert ended.ended_at is not None
    assert ended.ended_at >= opened.submitted_at


def test_the_submit_is_written_down_before_it_is_sent(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    """A request that the server saw stands in the ledger, even if this process knows no more of it."""
    sandbox.faults.append(Fault("submit", drop="answer", takes_effect=True))
    client = kind.client(sandbox, ledger=ledger)

    with pytest.raises(SubmissionOutcomeUnknown) as caught:
        kind.settle(client.submit(REQUEST))
    entry = only(ledger)

    assert (entry.state, entry.request_id) == ("unknown", None)
    assert entry.payload_sha256 == caught.value.payload_sha256
    assert entry.submitted_at == caught.value.submitted_at
    assert entry.error
    assert entry.error in str(caught.value)
    assert [found.id for found in ledger.unknown()] == [entry.id]


def test_a_refused_submit_is_told_from_one_that_was_not_sent(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    client = kind.client(sandbox, ledger=ledger)
    nobody = kind.client(token="t", base_url="http://127.0.0.1:9/v1", ledger=ledger, prices={"acme/none": 0.1})

    with pytest.raises(NotFoundError):
        kind.settle(client.submit("acme/none", {}))
    with pytest.raises(APIConnectionError):
        kind.settle(nobody.submit("acme/none", {}))
    refused, not_sent = ledger.entries()

    assert refused.state == "refused"
    assert "There is no model acme/none." in (refused.error or "")
    assert (not_sent.state, not_sent.submitted_at) == ("not_sent", None)
    assert "Nothing was sent" in (not_sent.error or "")


def test_an_input_that_is_refused_before_it_is_sent_is_not_in_the_ledger(
    kind: Kind, sandbox: Sandbox, ledger: Ledger
) -> None:
    client = kind.client(sandbox, ledger=ledger)

    with pytest.raises(InputValidationError):
        kind.settle(client.submit("../balance", {}))

    assert list(ledger.entries()) == []


def test_the_end_of_a_job_is_written_however_it_is_seen(kind: Kind, ledger: Ledger) -> None:
    with Sandbox(queue_reads=1000) as sandbox:
        client = kind.client(sandbox, ledger=ledger)
        cancelled = kind.settle(client.submit(REQUEST))
        assert kind.settle(cancelled.cancel())
        with pytest.raises(JobCancelledError):
            kind.settle(cancelled.result())
    with Sandbox() as sandbox:
        sandbox.fail_next("boom")
        client = kind.client(sandbox, ledger=ledger)
        failed = kind.settle(client.submit(REQUEST))
        with pytest.raises(JobFailedError):
            kind.settle(failed.result())

    first, second = ledger.finished()
    assert (first.state, first.request_id) == ("cancelled", cancelled.id)
    assert (second.state, second.error) == ("failed", f"request {failed.id} failed: boom")
    assert (second.raw or {})["error"] == "boom"


def test_the_last_known_status_is_written(kind: Kind, ledger: Ledger) -> None:
    with Sandbox(queue_seconds=3600) as sandbox:
        client = kind.client(sandbox, ledger=ledger)
        job = kind.settle(client.submit(REQUEST))
        kind.settle(job.status())

    assert (only(ledger).state, only(ledger).status) == ("open", "in_queue")


def test_open_jobs_are_taken_up_again_by_another_client(kind: Kind, sandbox: Sandbox, database: str) -> None:
    first = kind.client(sandbox, ledger=database)
    edits = [kind.settle(first.submit(REQUEST)), kind.settle(first.submit(REQUEST))]
    texts = [kind.settle(first.submit(text_to_image.Input(prompt="p")))]
    untyped = [kind.settle(first.submit(text_to_image.MODEL_ID, {"prompt": "p"}))]
    kind.settle(first.close())
    client = kind.client(sandbox, ledger=database)

    typed = client.ledger.resume(client, edit.Output)
    everything = client.ledger.resume(client)

    assert [job.id for job in typed] == [job.id for job in edits]
    assert [job.id for job in everything] == [job.id for job in edits + texts + untyped]
    outputs = [kind.settle(job.result()) for job in everything]
    assert [type(output) for output in outputs] == [edit.Output] * 2 + [text_to_image.Output] * 2
    assert client.ledger.resume(client) == []


def test_a_job_of_a_model_that_is_not_in_the_package_is_taken_up_untyped(
    kind: Kind, tmp_path: Path, ledger: Ledger
) -> None:
    (tmp_path / "schemas/acme").mkdir(parents=True)
    (tmp_path / "schemas/acme/new.json").write_text('{"input_schema": {"type": "object"}}')
    with Sandbox(tmp_path / "schemas") as sandbox:
        client = kind.client(sandbox, ledger=ledger)
        kind.settle(client.submit("acme/new", {}))

        (job,) = ledger.resume(client)

        assert isinstance(kind.settle(job.result()), MediaOutput)


def test_the_jobs_of_another_api_are_left_alone(kind: Kind, sandbox: Sandbox, stuck: Sandbox, ledger: Ledger) -> None:
    kind.settle(kind.client(stuck, ledger=ledger).submit(REQUEST))
    client = kind.client(sandbox, ledger=ledger)

    assert ledger.resume(client) == []
    assert cancel_open(kind, ledger, client) == []
    assert [entry.state for entry in ledger.entries()] == ["open"]


def test_all_open_jobs_are_cancelled_and_each_is_told_apart(kind: Kind, stuck: Sandbox, ledger: Ledger) -> None:
    client = kind.client(stuck, ledger=ledger)
    jobs = [kind.settle(client.submit(REQUEST)) for _ in range(3)]
    stuck.faults.append(Fault("cancel", 403, request_id=jobs[1].id))

    first, second, third = cancel_open(kind, ledger, client)

    assert [result.request_id for result in (first, second, third)] == [job.id for job in jobs]
    assert (first.cancelled, second.cancelled, third.cancelled) == (True, False, True)
    assert (first.error, type(second.error).__name__) == (None, "PermissionDeniedError")
    assert [entry.state for entry in ledger.entries()] == ["cancelled", "open", "cancelled"]
    assert [entry.request_id for entry in ledger.open()] == [jobs[1].id]


def cancel_open(kind: Kind, ledger: Ledger, client: Any) -> Any:
    return kind.settle(ledger.cancel_open_async(client)) if kind.is_async else ledger.cancel_open(client)


def test_an_unknown_submit_is_settled_by_what_its_user_found_out(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    client = kind.client(sandbox, ledger=ledger)
    for _ in range(2):
        sandbox.faults.append(Fault("submit", drop="answer", takes_effect=True))
        with pytest.raises(SubmissionOutcomeUnknown):
            kind.settle(client.submit(REQUEST))
    accepted, refused = ledger.unknown()

    ledger.resolve(accepted, sandbox.accepted[0].id)
    ledger.resolve(refused, None)

    assert [(entry.state, entry.request_id) for entry in ledger.entries()] == [
        ("open", sandbox.accepted[0].id),
        ("refused", None),
    ]
    (job,) = ledger.resume(client, edit.Output)
    assert kind.settle(job.result()).raw["request_id"] == sandbox.accepted[0].id
    with pytest.raises(LedgerError, match=r"submit 2 cannot be resolved: it is refused, and neither unknown nor open$"):
        ledger.resolve(refused, "r1")
    with pytest.raises(InputValidationError, match=r"'\.\.' is no request id"):
        ledger.resolve(accepted, "..")


def test_a_result_with_media_is_not_kept(kind: Kind, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.faults.append(Fault("result", changes={"output": {"image": "data:image/png;base64,QUJD"}}))

    output = kind.settle(kind.client(sandbox, ledger=ledger).run(REQUEST))

    assert output.image == "data:image/png;base64,QUJD"
    assert (only(ledger).state, only(ledger).raw) == ("completed", None)


def test_a_client_closes_the_ledger_that_it_opened_and_no_other(
    kind: Kind, sandbox: Sandbox, database: str, ledger: Ledger
) -> None:
    own, given = kind.client(sandbox, ledger=database), kind.client(sandbox, ledger=ledger)

    kind.settle(own.close())
    kind.settle(given.close())

    assert list(ledger.entries()) == []
    with pytest.raises(LedgerError, match=r"^this ledger is closed; make a new one$"):
        own.ledger.entries()


@pytest.mark.parametrize("make", [Client, AsyncClient])
def test_a_client_without_a_ledger_says_so(make: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"no ledger; make it with Client\(ledger=…\)"):
        _ = make(token="t").ledger
