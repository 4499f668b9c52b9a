"""What the sandbox can let go wrong, seen by a client that is not ours."""

from contextlib import suppress
from typing import Any

import httpx
import pytest
from runcomfy.sandbox import Drop, Fault, Sandbox, Variant
from test_sandbox import BODY, EDIT, call

MODEL = f"/v1/models/{EDIT}"


def submit(sandbox: Sandbox) -> str:
    request_id: str = call(sandbox, "POST", MODEL, json=BODY).json()["request_id"]
    return f"/v1/requests/{request_id}"


def test_a_fault_hits_the_next_request_of_its_endpoint_only(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("status", 503, b"down", {"Retry-After": "9"}))
    sandbox.faults.append(Fault("submit", 500, takes_effect=True))

    assert call(sandbox, "GET", "/v1/models").status_code == 200
    faulty = call(sandbox, "GET", "/v1/requests/x/status")
    assert (faulty.status_code, faulty.content, faulty.headers["retry-after"]) == (503, b"down", "9")
    assert call(sandbox, "GET", "/v1/requests/x/status").status_code == 404
    assert call(sandbox, "POST", MODEL, json=BODY).status_code == 500
    assert len(sandbox.accepted) == 1
    assert list(sandbox.faults) == []


def test_a_fault_may_hit_one_job_only(sandbox: Sandbox) -> None:
    first, second = submit(sandbox), submit(sandbox)
    sandbox.faults.append(Fault("status", 503, request_id=second.rpartition("/")[2]))

    assert call(sandbox, "GET", f"{first}/status").status_code == 200
    assert call(sandbox, "GET", f"{second}/status").status_code == 503


def test_a_refused_submit_is_not_carried_out_and_a_lost_one_may_be(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("submit", 429, b'{"error_message": "slow down"}'))
    assert call(sandbox, "POST", MODEL, json=BODY).json() == {"error_message": "slow down"}
    assert sandbox.accepted == []

    for takes_effect in (False, True):
        sandbox.faults.append(Fault("submit", drop="answer", takes_effect=takes_effect))
        with pytest.raises(httpx.RemoteProtocolError):
            call(sandbox, "POST", MODEL, json=BODY)
        assert len(sandbox.accepted) == takes_effect


@pytest.mark.parametrize(
    ("drop", "error"),
    [
        ("answer", httpx.RemoteProtocolError),
        ("reset", httpx.ReadError),
        ("headers", httpx.RemoteProtocolError),
        ("body", httpx.RemoteProtocolError),
    ],
)
def test_a_connection_is_dropped_where_it_is_asked_for(sandbox: Sandbox, drop: Drop, error: type[Exception]) -> None:
    sandbox.faults.append(Fault("models", drop=drop))

    with pytest.raises(error):
        call(sandbox, "GET", "/v1/models")
    assert call(sandbox, "GET", "/v1/models").status_code == 200


def test_half_a_body_has_the_length_of_the_whole_in_its_headers(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("models", 200, b"0123456789", drop="body"))
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    received = b""
    with httpx.stream("GET", f"{sandbox.base_url}/models", headers=headers, trust_env=False) as answer:
        assert answer.headers["content-length"] == "10"
        with suppress(httpx.RemoteProtocolError):
            for part in answer.iter_bytes():
                received += part

    assert received == b"01234"


def test_an_answer_may_come_byte_by_byte(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("balance", 200, b'{"balance_usd": 1}', drip=0.001, delay=0.001))

    assert call(sandbox, "GET", "/prod/v2/balance").json() == {"balance_usd": 1}


def test_the_sandboxs_own_answer_may_be_changed(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("submit", changes={"request_id": ..., "status_url": "https://elsewhere.example/"}))
    changed = call(sandbox, "POST", MODEL, json=BODY).json()

    assert changed["status_url"] == "https://elsewhere.example/"
    assert changed.keys() == {"status_url", "result_url", "cancel_url"}
    assert len(sandbox.accepted) == 1


def test_an_answer_may_be_a_redirect(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("status", 307, headers={"Location": "https://elsewhere.example/"}))

    answer = call(sandbox, "GET", "/v1/requests/x/status")
    assert (answer.status_code, answer.headers["location"]) == (307, "https://elsewhere.example/")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"endpoint": "sbmit"}, "endpoint='sbmit'"),
        ({"status": "500"}, "status='500'"),
        ({"status": 99}, "status=99"),
        ({"body": "text"}, "body='text'"),
        ({"headers": {"Retry-After": 1}}, "headers="),
        ({"drop": "all"}, "drop='all'"),
        ({"delay": -1}, "delay=-1"),
        ({"drip": "1"}, "drip='1'"),
        ({"status": 500, "changes": {"status": "x"}}, "changes="),
    ],
)
def test_a_fault_that_does_not_exist_is_refused(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"no such fault: {named}"):
        Fault(**{"endpoint": "submit", **arguments})


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_of_faults_is_between_none_and_all(sandbox: Sandbox, rate: float) -> None:
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        sandbox.faults.at_random(rate, seed=1)


def test_faults_at_random_are_the_same_for_the_same_seed(sandbox: Sandbox) -> None:
    def outcomes(seed: int) -> list[Any]:
        sandbox.reset()
        sandbox.faults.at_random(0.5, seed)
        found: list[Any] = []
        for _ in range(60):
            try:
                found.append(call(sandbox, "GET", "/v1/models/categories").status_code)
            except httpx.TransportError as error:
                found.append(type(error))
        return found

    first = outcomes(1)
    assert first == outcomes(1) != outcomes(2)
    assert 10 < sum(outcome == 200 for outcome in first) < 50
    assert len(set(first)) > 5
    sandbox.faults.clear()
    assert call(sandbox, "GET", "/v1/models/categories").status_code == 200


def test_a_sandbox_gives_the_answers_of_the_other_sources_where_it_is_asked_to() -> None:
    variant = Variant(
        succeeded="completed",
        cancelled="canceled",
        failed_status=True,
        not_ready=400,
        accepted=202,
        bad_token=400,
        low_balance=400,
        echo=True,
    )
    with Sandbox(queue_reads=1, variant=variant) as sandbox:
        assert call(sandbox, "GET", "/v1/models", headers={"Authorization": "Bearer x"}).status_code == 400
        assert call(sandbox, "POST", MODEL, json=BODY).status_code == 202
        job = submit(sandbox)
        early = call(sandbox, "GET", f"{job}/result")
        assert (early.status_code, early.json()["error_code"]) == (400, 400005)
        assert call(sandbox, "GET", f"{job}/status").json()["status"] == "in_queue"
        assert call(sandbox, "GET", f"{job}/status").json()["status"] == "completed"
        result = call(sandbox, "GET", f"{job}/result").json()
        assert (result["status"], result["model_id"], result["input"]) == ("completed", EDIT, BODY)

        sandbox.fail_next("boom")
        job = submit(sandbox)
        call(sandbox, "GET", f"{job}/status")
        assert call(sandbox, "GET", f"{job}/status").json()["status"] == "failed"

        job = submit(sandbox)
        call(sandbox, "POST", f"{job}/cancel")
        assert call(sandbox, "GET", f"{job}/status").json()["status"] == "canceled"
        assert call(sandbox, "GET", f"{job}/result").json()["status"] == "canceled"


def test_a_low_balance_is_refused_with_the_status_that_is_asked_for() -> None:
    with Sandbox(variant=Variant(low_balance=400), balance=-1.0) as sandbox:
        assert sandbox.balance == -1.0
        answer = call(sandbox, "POST", MODEL, json=BODY)
        assert (answer.status_code, answer.json()["error_code"]) == (400, 400002)


def test_stages_end_by_the_clock_though_nobody_looks() -> None:
    """A job that nobody asked about has gone through both of its stages, not only through the first."""
    with Sandbox(queue_seconds=0.05, run_seconds=0.05) as sandbox:
        job = submit(sandbox)
        while (accepted := sandbox.accepted[0]).age < 0.1:
            pass

        assert call(sandbox, "GET", f"{job}/status").json()["status"] == "completed"
        assert accepted.finished_at is not None


def test_a_sandbox_is_started_once() -> None:
    with Sandbox() as sandbox, pytest.raises(RuntimeError, match="running already"):
        sandbox.start()
