"""The life of a job, for both clients against the sandbox."""

import asyncio
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Kind
from runcomfy import (
    AsyncJob,
    ConfigurationError,
    InputValidationError,
    Job,
    JobCancelledError,
    JobFailedError,
    MediaOutput,
    NotFoundError,
    PermissionDeniedError,
    Status,
    WaitTimeoutError,
)
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox, Variant

REQUEST = edit.Input(prompt="p", image_url="https://example.com/in.webp")


@pytest.fixture
def slow() -> Iterator[Sandbox]:
    """Three reads in the queue and one read running."""
    with Sandbox(queue_reads=3, run_reads=1) as sandbox:
        yield sandbox


def test_run_gives_the_typed_output(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    output = kind.call(edit, "run", client, prompt="p", image_url="u")

    assert isinstance(output, edit.Output)
    assert output.image is not None
    assert output.image.startswith(sandbox.base_url.removesuffix("/v1"))
    assert output.raw["status"] == "succeeded"
    assert output.raw["output"] == {"image": output.image}


def test_a_client_runs_an_input(kind: Kind, client: Any) -> None:
    seen: list[Status] = []

    output = kind.settle(client.run(REQUEST, timeout=60, on_update=seen.append))

    assert isinstance(output, edit.Output)
    assert seen == [Status("completed")]


def test_a_job_tells_its_states(kind: Kind, slow: Sandbox) -> None:
    job = kind.settle(kind.client(slow).submit(REQUEST))

    assert isinstance(job, AsyncJob if kind.is_async else Job)
    assert kind.collect(job.updates()) == [
        Status("in_queue", 3),
        Status("in_queue", 2),
        Status("in_queue", 1),
        Status("in_progress"),
        Status("completed"),
    ]
    assert kind.settle(job.status()).done


def test_a_result_waits_and_reports_each_change_once(kind: Kind, slow: Sandbox) -> None:
    seen: list[Status] = []
    job = kind.settle(kind.client(slow).submit(REQUEST))

    output = kind.settle(job.result(on_update=seen.append))

    assert output.image is not None
    assert [status.state for status in seen] == ["in_queue", "in_queue", "in_queue", "in_progress", "completed"]
    assert kind.settle(job.result()) == output


def test_a_status_keeps_the_body_as_received(kind: Kind, stuck: Sandbox) -> None:
    job = kind.settle(kind.client(stuck).submit(REQUEST))

    status = kind.settle(job.status())

    assert (status.state, status.queue_position, status.done) == ("in_queue", 3, False)
    assert status.raw["request_id"] == job.id


def test_a_job_is_taken_up_again_by_its_id(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    job = kind.settle(client.submit(REQUEST))
    elsewhere = kind.client(sandbox)

    assert isinstance(kind.settle(elsewhere.job(job.id, edit.Output).result()), edit.Output)
    assert isinstance(kind.settle(elsewhere.job(job.id).result()), MediaOutput)
    assert len(sandbox.accepted) == 1


def test_a_queued_job_can_be_cancelled(kind: Kind, stuck: Sandbox) -> None:
    job = kind.settle(kind.client(stuck).submit(REQUEST))

    assert kind.settle(job.cancel()) is True
    assert kind.settle(job.status()).state == "cancelled"
    with pytest.raises(JobCancelledError, match=job.id) as caught:
        kind.settle(job.result())
    assert caught.value.request_id == job.id
    assert caught.value.raw["status"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "cancelled"),
    [
        (b'{"status": "completed", "outcome": "cancelled"}', True),
        (b'{"status": "cancelled", "outcome": "cancellation_requested"}', True),
        (b'{"outcome": "canceled"}', True),
        (b'{"status": "cancellation_requested"}', True),
        (b'{"outcome": "not_cancellable"}', False),
        (b'{"outcome": "cancel_rejected"}', False),
        (b'{"outcome": 7}', False),
        (b"[]", False),
        (b"{}", False),
    ],
)
def test_every_known_answer_to_a_cancel_is_understood(
    kind: Kind, sandbox: Sandbox, client: Any, body: bytes, cancelled: bool
) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("cancel", 202, body))

    assert kind.settle(job.cancel()) is cancelled


def test_a_job_that_has_ended_cannot_be_cancelled(kind: Kind, client: Any) -> None:
    job = kind.settle(client.submit(REQUEST))
    kind.settle(job.result())

    assert kind.settle(job.cancel()) is False


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("no GPU left", "no GPU left"),
        ({"message": "out of memory", "code": 7}, "out of memory"),
        ({"code": 7}, '{"code": 7}'),
        ([{"errorCode": 1, "error": "bad frame"}, {"error": "bad sound"}], "bad frame; bad sound"),
        ("", "the API gave no reason"),
    ],
)
def test_a_failed_job_is_an_error_with_the_vendors_words(
    kind: Kind, sandbox: Sandbox, client: Any, error: Any, words: str
) -> None:
    sandbox.fail_next(error)
    job = kind.settle(client.submit(REQUEST))

    with pytest.raises(JobFailedError, match="failed") as caught:
        kind.settle(job.result())

    assert str(caught.value) == f"request {job.id} failed: {words}"
    assert (caught.value.error, caught.value.raw["status"]) == (error, "failed")
    assert pickle.loads(pickle.dumps(caught.value)).error == error


@pytest.mark.parametrize("told", ["failed", "error", "cancelled", "canceled"])
def test_an_end_told_by_the_status_needs_no_result(kind: Kind, sandbox: Sandbox, client: Any, told: str) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("status", 200, b'{"status": "%s", "error": "boom"}' % told.upper().encode()))
    sandbox.faults.append(Fault("result", 404, b'{"error_code": 404001, "error_message": "gone"}'))

    with pytest.raises(JobFailedError if told in ("failed", "error") else JobCancelledError, match=job.id):
        kind.settle(job.result())


@pytest.mark.parametrize(
    "not_ready", [b'{"error_code": 400005, "error_message": "not ready"}', b'{"status": "queued"}']
)
def test_a_result_that_is_not_ready_yet_is_waited_for(
    kind: Kind, sandbox: Sandbox, client: Any, not_ready: bytes
) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("result", 400 if b"error_code" in not_ready else 200, not_ready))

    assert kind.settle(job.result()).image is not None


@pytest.mark.parametrize("status", [400, 403, 410, 422, 429, 503])
def test_a_failed_job_stays_a_failed_job_whatever_its_result_answers(
    kind: Kind, sandbox: Sandbox, client: Any, status: int
) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("status", 200, b'{"status": "failed", "error": "boom"}'))
    sandbox.faults.extend([Fault("result", status)] * 100)

    with pytest.raises(JobFailedError, match="boom"):
        kind.settle(job.result(timeout=0.5))


@pytest.mark.parametrize("word", ["succeeded", "completed", "Success", "done", None])
def test_every_word_for_success_is_understood(kind: Kind, sandbox: Sandbox, client: Any, word: str | None) -> None:
    job = kind.settle(client.submit(REQUEST))
    status = b"" if word is None else b'"status": "%s", ' % word.encode()
    sandbox.faults.append(Fault("result", 200, b'{%s"output": {"images": ["https://x/1.png"]}}' % status))

    assert kind.settle(job.result()).image == "https://x/1.png"


@pytest.mark.parametrize("status", [429, 503])
def test_a_gateway_that_says_error_ends_no_job(kind: Kind, sandbox: Sandbox, client: Any, status: int) -> None:
    job = kind.settle(client.submit(REQUEST))
    body = b'{"request_id": "%s", "status": "error", "message": "upstream"}' % job.id.encode()
    sandbox.faults.append(Fault("status", status, body))
    sandbox.faults.append(Fault("result", status, body))

    assert kind.settle(job.result()).image


@pytest.mark.parametrize("endpoint", ["status", "result"])
def test_an_end_is_told_by_an_error_answer_that_names_the_request(
    kind: Kind, sandbox: Sandbox, client: Any, endpoint: Any
) -> None:
    job = kind.settle(client.submit(REQUEST))
    body = b'{"request_id": "%s", "status": "failed", "error": "boom"}' % job.id.encode()
    sandbox.faults.append(Fault(endpoint, 500, body))
    sandbox.faults.append(Fault("result", 404))

    with pytest.raises(JobFailedError, match="boom"):
        kind.settle(job.result())


def test_a_cancelled_job_whose_result_says_completed_was_cancelled(kind: Kind, stuck: Sandbox) -> None:
    job = kind.settle(kind.client(stuck).submit(REQUEST))
    kind.settle(job.cancel())
    stuck.faults.append(Fault("result", 200, b'{"status": "completed"}'))

    with pytest.raises(JobCancelledError):
        kind.settle(job.result())


@pytest.mark.parametrize("failed_status", [False, True])
@pytest.mark.parametrize("not_ready", [200, 400])
def test_both_vocabularies_are_understood(kind: Kind, failed_status: bool, not_ready: Any) -> None:
    variant = Variant("completed", "canceled", failed_status=failed_status, not_ready=not_ready, accepted=202)
    with Sandbox(variant=variant, queue_reads=1) as sandbox:
        client = kind.client(sandbox)
        assert kind.settle(client.run(REQUEST)).image
        sandbox.fail_next("boom")
        with pytest.raises(JobFailedError, match="boom"):
            kind.settle(client.run(REQUEST))
        job = kind.settle(client.submit(REQUEST))
        assert kind.settle(job.cancel()) is True
        with pytest.raises(JobCancelledError):
            kind.settle(job.result())


def test_states_that_come_out_of_order_end_at_the_true_end(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    job = kind.settle(client.submit(REQUEST))
    for state in ("in_progress", "in_queue", "in_progress", "in_queue"):
        sandbox.faults.append(Fault("status", changes={"status": state}))
    sandbox.faults.append(Fault("result", changes={"status": "in_queue", "output": ...}))

    assert kind.settle(job.result()).image
    assert [request.path.rpartition("/")[2] for request in sandbox.requests] == [
        edit.MODEL_ID.rpartition("/")[2],
        *["status"] * 5,
        *["result?include_cost=true"] * 2,
    ]


def test_one_line_resumes_a_wait_that_ran_out_of_time(kind: Kind, stuck: Sandbox) -> None:
    client = kind.client(stuck)
    with pytest.raises(WaitTimeoutError) as caught:
        kind.settle(client.run(REQUEST, timeout=0.1))
    assert caught.value.job is not None
    stuck.accepted[0].cancel()

    with pytest.raises(JobCancelledError):
        kind.settle(caught.value.job.result(timeout=60))


def test_three_finished_jobs_of_a_model_teach_when_to_poll(kind: Kind, sandbox: Sandbox) -> None:
    client = kind.client(sandbox, poll_interval=None)
    for _ in range(3):
        assert client._durations.expectation(edit.MODEL_ID) is None
        kind.settle(client.run(REQUEST))
    sandbox.fail_next("boom")
    with pytest.raises(JobFailedError):
        kind.settle(client.run(REQUEST))

    expectation = client._durations.expectation(edit.MODEL_ID)
    assert expectation is not None
    assert 0 < expectation.first_poll < 1


def test_a_state_that_nobody_knows_is_waited_through(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("status", 200, b'{"status": "Warming_Up", "queue_position": true}'))
    sandbox.faults.append(Fault("status", 200, b'{"status": 7}'))

    assert [status.state for status in kind.collect(job.updates())] == ["warming_up", "unknown", "completed"]


def test_a_wait_ends_at_its_deadline_and_says_how_to_go_on(kind: Kind, stuck: Sandbox) -> None:
    client = kind.client(stuck, wait_timeout=0.5, poll_interval=0.1)
    job = kind.settle(client.submit(REQUEST))

    with pytest.raises(WaitTimeoutError, match=job.id) as caught:
        kind.settle(job.result())

    error = caught.value
    assert isinstance(error, TimeoutError)
    assert (error.request_id, error.model_id, error.state) == (job.id, edit.MODEL_ID, "in_queue")
    assert error.job is job
    assert stuck.accepted[0].look()[0] == "in_queue"
    travelled = pickle.loads(pickle.dumps(error))
    assert (travelled.request_id, travelled.job, str(travelled)) == (job.id, None, str(error))


async def never_awaited(status: Status) -> None:
    pass


@pytest.mark.parametrize(
    "wait", [{"timeout": 0}, {"timeout": "60"}, {"timeout": True}, {"on_update": 5}, {"on_update": never_awaited}]
)
def test_what_cannot_be_waited_with_is_refused_before_anything_is_paid(
    kind: Kind, sandbox: Sandbox, client: Any, wait: dict[str, Any]
) -> None:
    with pytest.raises((ConfigurationError, TypeError), match=r"timeout: |on_update: "):
        kind.settle(client.run(REQUEST, **wait))

    assert sandbox.requests == []


def test_an_exception_of_the_callers_own_still_names_the_paid_job(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    def interrupt(status: Status) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        kind.settle(client.run(REQUEST, on_update=interrupt))

    assert sandbox.accepted[0].id in caught.value.__notes__[0]


def test_an_exception_with_a_request_id_of_its_own_keeps_it_and_names_the_job(
    kind: Kind, sandbox: Sandbox, client: Any
) -> None:
    class Theirs(Exception):
        request_id = None

    def fail(status: Status) -> None:
        error = Theirs("no")
        vars(error)["request_id"] = "of another system"
        raise error

    with pytest.raises(Theirs) as caught:
        kind.settle(client.run(REQUEST, on_update=fail))

    assert vars(caught.value)["request_id"] == "of another system"
    (note,) = caught.value.__notes__
    assert sandbox.accepted[0].id in note


def test_a_client_closed_during_a_wait_says_so(kind: Kind, stuck: Sandbox) -> None:
    client = kind.client(stuck)
    closing = []

    def close(status: Status) -> None:
        closing.append(asyncio.ensure_future(client.close()) if kind.is_async else client.close())

    with pytest.raises(ConfigurationError, match=r"this client (is|was) closed") as caught:
        kind.settle(client.run(REQUEST, on_update=close))

    assert caught.value.request_id == stuck.accepted[0].id


@pytest.mark.parametrize("timeout", [-5, 0, "1"])
def test_what_updates_cannot_wait_for_is_refused_at_the_call(kind: Kind, client: Any, timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout: "):
        client.job("r1").updates(timeout=timeout)


def test_the_deadline_of_updates_holds_too(kind: Kind, stuck: Sandbox) -> None:
    job = kind.settle(kind.client(stuck).submit(REQUEST))

    with pytest.raises(WaitTimeoutError):
        kind.collect(job.updates(timeout=0.05))


def test_the_deadline_holds_while_the_server_fails(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.extend([Fault("status", 503)] * 100)

    with pytest.raises(WaitTimeoutError) as caught:
        kind.settle(job.result(timeout=0.5))

    assert "503" in str(caught.value.__cause__)


def test_the_request_of_another_account_is_refused(kind: Kind) -> None:
    with Sandbox(more_tokens=["second-account"]) as sandbox:
        job = kind.settle(kind.client(sandbox).submit(REQUEST))
        other = kind.client(sandbox, token="second-account")

        with pytest.raises(PermissionDeniedError, match=job.id):
            kind.settle(other.job(job.id, edit.Output).status())


def test_a_request_that_does_not_exist_is_not_found(kind: Kind, client: Any) -> None:
    with pytest.raises(NotFoundError, match="no-such-id") as caught:
        kind.settle(client.job("no-such-id").result())

    assert (caught.value.code, caught.value.request_id) == (404001, "no-such-id")


@pytest.mark.parametrize("request_id", ["", ".", "..", "a\nb"])
def test_what_cannot_be_a_request_id_is_refused(kind: Kind, client: Any, request_id: str) -> None:
    with pytest.raises(InputValidationError, match="no request id"):
        client.job(request_id)


def test_an_output_class_is_needed_to_take_up_a_job(kind: Kind, client: Any) -> None:
    with pytest.raises(TypeError, match="Output"):
        client.job("id", edit.Input)


def test_jobs_and_clients_show_what_they_are_and_stay_in_their_process(
    kind: Kind, sandbox: Sandbox, client: Any
) -> None:
    job = kind.settle(client.submit(REQUEST))

    prefix = "Async" if kind.is_async else ""
    assert repr(job) == f"{prefix}Job(id={job.id!r}, model_id={edit.MODEL_ID!r})"
    assert repr(client.job(job.id)) == f"{prefix}Job(id={job.id!r})"
    assert repr(client) == f"{prefix}Client(base_url={sandbox.base_url!r})"
    for unportable in (job, client):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(unportable)
