"""What each answer means, and what each lost answer means."""

import hashlib
import pickle
import socket
from typing import Any

import pytest
from conftest import Kind, RawServer, http_answer
from runcomfy import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    InsufficientBalanceError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    SubmissionOutcomeUnknown,
    UnprocessableEntityError,
    WaitTimeoutError,
)
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="u")
PAYLOAD = b'{"prompt":"p","image_url":"u"}'


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b"", BadRequestError),
        (400, b'{"error_code": 400001, "error_message": "bad id"}', BadRequestError),
        (400, b'{"error_code": 400002}', InsufficientBalanceError),
        (400, b'{"error_code": "400002"}', InsufficientBalanceError),
        (402, b"{}", InsufficientBalanceError),
        (400, b'{"error_code": 400004}', AuthenticationError),
        (401, b'{"error": "who are you"}', AuthenticationError),
        (403, b'{"message": "Forbidden"}', PermissionDeniedError),
        (404, b"<html>not found</html>", NotFoundError),
        (409, b"", BadRequestError),
        (422, b'{"detail": [{"loc": ["body", "seed"]}]}', UnprocessableEntityError),
        (429, b"slow down", RateLimitError),
        (200, b'{"error_code": 400002, "error_message": "no money"}', InsufficientBalanceError),
        (200, b'{"error_code": 403001}', PermissionDeniedError),
        (200, b'{"error_code": 404001}', NotFoundError),
        (500, b'{"error_code": 400004}', AuthenticationError),
    ],
)
def test_a_refused_submit_is_the_error_of_its_reason(
    kind: Kind, sandbox: Sandbox, client: Any, status: int, body: bytes, expected: type[APIStatusError]
) -> None:
    sandbox.faults.append(Fault("submit", status, body))

    with pytest.raises(APIStatusError) as caught:
        kind.settle(client.submit(REQUEST))

    error = caught.value
    assert type(error) is expected
    assert (error.status_code, error.body, error.model_id) == (status, body, edit.MODEL_ID)
    assert edit.MODEL_ID in str(error)
    assert f"HTTP {status}" in str(error)
    assert len(sandbox.requests) == 1
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (expected, str(error), vars(error))


def test_an_error_keeps_the_apis_own_words(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    body = b'{"error_code": 422001, "error_message": "seed: too big", "detail": [1]}'
    sandbox.faults.append(Fault("submit", 422, body))

    with pytest.raises(UnprocessableEntityError, match="code 422001: seed: too big") as caught:
        kind.settle(client.submit(REQUEST))

    assert (caught.value.code, caught.value.message, caught.value.detail) == (422001, "seed: too big", [1])


def test_the_sandbox_names_the_field_that_it_refuses(kind: Kind, client: Any) -> None:
    with pytest.raises(UnprocessableEntityError, match="seed: 'x' is not of type 'integer'") as caught:
        kind.settle(client.submit(edit.MODEL_ID, {"prompt": "p", "image_url": "u", "seed": "x"}))

    assert caught.value.detail[0]["loc"] == ["body", "seed"]


def test_a_wrong_token_says_what_to_check(kind: Kind, sandbox: Sandbox) -> None:
    client = kind.client(sandbox, token="wrong")

    with pytest.raises(AuthenticationError, match="RUNCOMFY_TOKEN") as caught:
        kind.settle(client.submit(REQUEST))

    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"{}"),
        (200, b'{"request_id": ""}'),
        (200, b'{"request_id": 5}'),
        (200, b'{"request_id": ".."}'),
        (200, b'{"request_id": "' + b"x" * 70_000 + b'"}'),
        (200, b'{"error_code": "' + b"9" * 5000 + b'"}'),
        (200, b'{"request_id": "a\\nb"}'),
        (200, b'{"request_id": "abc'),
        (200, b""),
        (200, b"\xff\xfe"),
        (200, b"[1]"),
        (200, b'{"error_code": 500001, "error_message": "oops"}'),
        (204, b""),
        (301, b""),
        (307, b""),
        (408, b""),
        (500, b"<html>" + b"x" * 5000),
        (502, b'{"message": "bad gateway"}'),
        (503, b""),
        (504, b""),
    ],
)
def test_an_answer_that_does_not_tell_is_an_unknown_outcome(
    kind: Kind, sandbox: Sandbox, client: Any, status: int, body: bytes
) -> None:
    sandbox.faults.append(Fault("submit", status, body, {"Location": "/elsewhere"}, takes_effect=True))

    with pytest.raises(SubmissionOutcomeUnknown, match="not known") as caught:
        kind.settle(client.submit(REQUEST))

    error = caught.value
    assert (error.status_code, error.body, error.model_id) == (status, body, edit.MODEL_ID)
    assert error.payload_sha256 == hashlib.sha256(PAYLOAD).hexdigest()
    assert error.submitted_at > 0
    assert len(str(error)) < 1000
    assert len(sandbox.requests) == len(sandbox.accepted) == 1
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("status", "body"), [(500, b'{"request_id": "r-1"}'), (200, b'{"request_id": "r-1", "error_code": 500001}')]
)
def test_an_unknown_outcome_says_the_id_that_it_was_given(
    kind: Kind, sandbox: Sandbox, client: Any, status: int, body: bytes
) -> None:
    sandbox.faults.append(Fault("submit", status, body, takes_effect=True))

    with pytest.raises(SubmissionOutcomeUnknown, match="r-1") as caught:
        kind.settle(client.submit(REQUEST))

    assert caught.value.request_id == "r-1"


def test_a_silent_server_leaves_an_unknown_outcome(kind: Kind) -> None:
    """A request that timed out after it was sent must never be called safe to repeat."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = kind.client(base_url=f"http://127.0.0.1:{silent.getsockname()[1]}", token="t", timeout=0.2)
        with pytest.raises(SubmissionOutcomeUnknown, match="no answer came"):
            kind.settle(client.submit(REQUEST))


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_2xx_with_an_id_is_accepted(kind: Kind, sandbox: Sandbox, client: Any, status: int) -> None:
    sandbox.faults.append(Fault("submit", status, b'{"request_id": "r1", "status": "in_queue", "error_code": null}'))

    assert kind.settle(client.submit(REQUEST)).id == "r1"


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"request_id": "a']
)
def test_a_lost_answer_is_an_unknown_outcome_and_is_not_asked_for_again(kind: Kind, answer: bytes) -> None:
    with RawServer([answer]) as server:
        client = kind.client(base_url=server.url, token="t")
        with pytest.raises(SubmissionOutcomeUnknown, match="no answer came") as caught:
            kind.settle(client.submit(REQUEST))

    assert len(server.received) == 1
    assert server.received[0].endswith(PAYLOAD)
    assert (caught.value.status_code, caught.value.body) == (None, None)


def test_a_server_that_cannot_be_reached_is_a_connection_error_and_safe_to_repeat(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    client = kind.client(base_url=f"http://127.0.0.1:{port}", token="t")

    with pytest.raises(APIConnectionError, match="Nothing was sent") as caught:
        kind.settle(client.submit(REQUEST))

    assert pickle.loads(pickle.dumps(caught.value)).model_id == edit.MODEL_ID


def test_a_failed_tls_handshake_is_a_connection_error(kind: Kind) -> None:
    with RawServer([b"this is no TLS"]) as server:
        client = kind.client(base_url=server.url.replace("http:", "https:"), token="t")
        with pytest.raises(APIConnectionError, match="Nothing was sent"):
            kind.settle(client.submit(REQUEST))


def test_reads_are_repeated_until_they_succeed(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("status", 503, headers={"Retry-After": "0"}))
    sandbox.faults.append(Fault("status", 429, headers={"Retry-After": "0"}))
    sandbox.faults.append(Fault("status", 200, b'{"status": "compl', {"Retry-After": "0"}))
    sandbox.faults.append(Fault("result", 200, b'{"error_code": 500001}', {"Retry-After": "0"}))

    assert kind.settle(job.result()).image is not None
    assert [request.path.rpartition("/")[2] for request in sandbox.requests[1:]] == ["status"] * 4 + [
        "result?include_cost=true"
    ] * 2


def test_a_cut_read_is_repeated(kind: Kind) -> None:
    answers = [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", http_answer("200 OK", b'{"status": "in_queue"}')]
    with RawServer(answers) as server:
        client = kind.client(base_url=server.url, token="t")

        assert kind.settle(client.job("r1").status()).state == "in_queue"

    assert len(server.received) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422])
def test_a_refused_read_is_not_repeated(kind: Kind, sandbox: Sandbox, client: Any, status: int) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("status", status, headers={"Location": "https://elsewhere.example/"}))

    with pytest.raises(APIStatusError, match=job.id) as caught:
        kind.settle(job.result())

    assert caught.value.request_id == job.id
    assert len(sandbox.requests) == 2


def test_reads_give_up_after_one_request_timeout(kind: Kind, sandbox: Sandbox) -> None:
    client = kind.client(sandbox, timeout=1.0)
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.extend([Fault("status", 502)] * 100)

    with pytest.raises(InternalServerError, match="HTTP 502"):
        kind.settle(job.status())


def test_a_read_that_gets_no_answer_says_that_the_job_goes_on(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    client = kind.client(base_url=f"http://127.0.0.1:{port}", token="t", timeout=0.05)

    with pytest.raises(APIConnectionError, match="The job is not affected") as caught:
        kind.settle(client.job("r1").status())

    assert caught.value.request_id == "r1"


def test_a_refused_submit_says_that_nothing_was_paid_and_how_long_to_wait(
    kind: Kind, sandbox: Sandbox, client: Any
) -> None:
    sandbox.faults.append(Fault("submit", 429, b'{"message": "busy"}', {"Retry-After": "7"}))

    with pytest.raises(RateLimitError, match=r"no job was accepted: HTTP 429: busy .*asks to wait 7 s") as caught:
        kind.settle(client.submit(REQUEST))

    assert caught.value.retry_after == 7.0


def test_a_refusal_that_needs_no_advice_says_how_long_to_wait_all_the_same(
    kind: Kind, sandbox: Sandbox, client: Any
) -> None:
    sandbox.faults.append(Fault("submit", 409, b"", {"Retry-After": "2"}))

    with pytest.raises(BadRequestError, match=r"\(the API asks to wait 2 s\)$"):
        kind.settle(client.submit(REQUEST))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"code": 402001, "message": "no money"}}', "HTTP 402: no money"),
        (b'{"reason": ["no money"]}', 'HTTP 402: {"reason": ["no money"]}'),
    ],
)
def test_the_words_of_an_error_are_found_wherever_they_stand(
    kind: Kind, sandbox: Sandbox, client: Any, body: bytes, words: str
) -> None:
    sandbox.faults.append(Fault("submit", 402, body))

    with pytest.raises(InsufficientBalanceError) as caught:
        kind.settle(client.submit(REQUEST))

    assert words in str(caught.value)


def test_a_wait_that_never_got_an_answer_says_why_and_claims_nothing(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    client = kind.client(base_url=f"http://127.0.0.1:{port}", token="t")

    with pytest.raises(WaitTimeoutError, match=r"its state could not be read.*(refused|attempts failed)") as caught:
        kind.settle(client.job("r1").result(timeout=0.2))

    assert "goes on" not in str(caught.value)


def test_a_balance_too_low_is_refused(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    sandbox.faults.append(Fault("submit", 400, b'{"error_code": 400002, "error_message": "no balance left"}'))

    with pytest.raises(InsufficientBalanceError, match="top up"):
        kind.settle(client.submit(REQUEST))


def test_an_exception_that_is_handled_keeps_its_traceback(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    """The frames of the network code are taken out of an error, but not those of what the caller is busy with."""
    sandbox.faults.extend([Fault("status", drop="answer")] * 100)
    impatient = kind.client(sandbox, timeout=0.3)

    def report() -> None:
        try:
            raise ValueError("theirs")
        except ValueError:
            with pytest.raises(APIConnectionError):
                kind.settle(impatient.job("r1").status())
            raise

    with pytest.raises(ValueError, match="theirs") as caught:
        report()

    assert [entry.name for entry in caught.traceback][-1] == "report"
