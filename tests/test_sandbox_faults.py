"""What the sandbox can let go wrong, seen by a client that is not ours."""

import socket
from contextlib import suppress
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops
from runcomfy.sandbox import Drop, Fault, Sandbox, Variant
from runcomfy.sandbox._faults import POSSIBLE
from test_sandbox import BODY, EDIT, call, output_of

MODEL = f"/v1/models/{EDIT}"


def submit(sandbox: Sandbox) -> str:
    request_id: str = call(sandbox, "POST", MODEL, json=BODY).json()["request_id"]
    return f"/v1/requests/{request_id}"


def received(url: str, **headers: str) -> tuple[bytes, type[Exception] | None]:
    """What came of a body, and the error that ended it."""
    body = b""
    try:
        with httpx.stream("GET", url, headers=headers, trust_env=False) as answer:
            for part in answer.iter_raw():
                body += part
    except httpx.TransportError as error:
        return body, type(error)
    return body, None


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


def test_a_number_of_bytes_of_a_body_may_come(sandbox: Sandbox) -> None:
    for drop in (0, 1, 9):
        sandbox.faults.append(Fault("models", 200, b"0123456789", drop=drop))
        assert received(f"{sandbox.base_url}/models") == (b"0123456789"[:drop], httpx.RemoteProtocolError)
    sandbox.faults.append(Fault("models", 200, b"0123456789", drop=10))
    assert received(f"{sandbox.base_url}/models") == (b"0123456789", None)


def test_a_header_may_be_left_out(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("models", headers={"Content-Type": ..., "Content-Length": ..., "X-Never": ...}))
    answer = call(sandbox, "GET", "/v1/models")

    assert answer.json()["total"] == len(sandbox.models)
    assert answer.headers["transfer-encoding"] == "chunked"
    assert not {"content-type", "content-length"} & answer.headers.keys()


def test_a_body_in_chunks_may_be_cut_off_as_well(sandbox: Sandbox) -> None:
    unsized = {"Content-Length": ...}
    sandbox.faults.append(Fault("models", 200, b"0123456789", unsized, drop="body"))
    sandbox.faults.append(Fault("models", 200, b"0123456789", unsized, drip=0.0001))

    assert received(f"{sandbox.base_url}/models") == (b"01234", httpx.RemoteProtocolError)
    assert received(f"{sandbox.base_url}/models") == (b"0123456789", None)


@pytest.mark.parametrize(("length", "body", "error"), [(15, b"0123456789", True), (4, b"0123", False), (0, b"", False)])
def test_a_length_may_be_a_lie(sandbox: Sandbox, length: int, body: bytes, error: bool) -> None:
    sandbox.faults.append(Fault("models", 200, b"0123456789", length=length))

    assert received(f"{sandbox.base_url}/models") == (body, httpx.RemoteProtocolError if error else None)
    assert call(sandbox, "GET", "/v1/models").status_code == 200


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
        ({"headers": {"Content-Length": "5"}}, "headers="),
        ({"drop": -1}, "drop=-1"),
        ({"drop": True}, "drop=True"),
        ({"length": -1}, "length=-1"),
        ({"length": "5"}, "length='5'"),
        ({"status": 500, "changes": {"status": "x"}}, "changes="),
        ({"endpoint": "output", "changes": {"status": "x"}}, "changes="),
        ({"ranges": "ignored"}, "ranges='ignored'"),
        ({"endpoint": "output", "ranges": "refused"}, "ranges='refused'"),
        ({"endpoint": "output", "ranges": "ignored", "status": 206}, "ranges='ignored'"),
        ({"file": "changed"}, "file='changed'"),
        ({"endpoint": "output", "file": "gone"}, "file='gone'"),
        ({"endpoint": "output", "file": "changed", "drop": "reset"}, "file='changed'"),
        ({"endpoint": "output", "file": "endless", "drop": 5}, "drop=5"),
        ({"endpoint": "output", "file": "endless", "drop": "body"}, "drop='body'"),
        ({"endpoint": "output", "file": "endless", "drip": 0.1}, "drip=0.1"),
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


class File:
    """A file of a job, and how to get it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.url: str = output_of(sandbox, EDIT, BODY)["image"]
        self.request_id = sandbox.accepted[-1].id
        whole = self.get()
        self.content, self.etag = whole.content, whole.headers["etag"]

    def get(self, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.get(self.url, headers=named, trust_env=False)


@pytest.fixture
def file(sandbox: Sandbox) -> File:
    return File(sandbox)


def test_the_answer_to_a_download_may_be_another_one(sandbox: Sandbox, file: File) -> None:
    sandbox.faults.append(Fault("output", 302, headers={"Location": "https://elsewhere.example/a.png"}))
    sandbox.faults.append(Fault("output", 503, headers={"Retry-After": "2"}))
    sandbox.faults.append(Fault("output", 200, b"<html>", {"Content-Type": "text/html"}))
    sandbox.faults.append(Fault("output", headers={"Content-Type": "text/html"}))

    moved, down, page, mislabelled = (file.get() for _ in range(4))
    assert (moved.status_code, moved.headers["location"]) == (302, "https://elsewhere.example/a.png")
    assert (down.status_code, down.headers["retry-after"], down.content) == (503, "2", b"")
    assert (page.status_code, page.headers["content-type"], page.content) == (200, "text/html", b"<html>")
    assert (mislabelled.headers["content-type"], mislabelled.content) == ("text/html", file.content)
    assert file.get().content == file.content


def test_a_fault_may_hit_the_files_of_one_job_only(sandbox: Sandbox) -> None:
    first, second = File(sandbox), File(sandbox)
    sandbox.faults.append(Fault("output", 503, request_id=second.request_id))

    assert [part.get().status_code for part in (first, second, second)] == [200, 503, 200]


@pytest.mark.parametrize("asked", [None, "bytes=100-"])
@pytest.mark.parametrize(
    ("drop", "error"),
    [
        ("answer", httpx.RemoteProtocolError),
        ("reset", httpx.ReadError),
        ("headers", httpx.RemoteProtocolError),
        ("body", httpx.RemoteProtocolError),
        (10, httpx.RemoteProtocolError),
    ],
)
def test_a_download_may_be_cut_off_and_resumed(
    sandbox: Sandbox, file: File, asked: str | None, drop: Drop | int, error: type[Exception]
) -> None:
    sandbox.faults.append(Fault("output", drop=drop))
    wanted = file.content if asked is None else file.content[100:]
    body, raised = received(file.url, **({"Range": asked} if asked else {}))

    assert raised is error
    assert len(body) == (len(wanted) // 2 if drop == "body" else drop if isinstance(drop, int) else 0)
    start = len(file.content) - len(wanted) + len(body)
    rest = file.get(range=f"bytes={start}-", if_range=file.etag)
    assert (rest.status_code, body + rest.content) == (206, wanted)


def test_a_download_may_come_late_and_slowly(sandbox: Sandbox, file: File) -> None:
    sandbox.faults.append(Fault("output", delay=0.001, drip=0.0001))

    part = file.get(range="bytes=10-49")
    assert (part.status_code, part.content) == (206, file.content[10:50])


@pytest.mark.parametrize("more", [-10, 10])
def test_a_download_may_have_another_length_than_it_says(sandbox: Sandbox, file: File, more: int) -> None:
    length = len(file.content) + more
    sandbox.faults.append(Fault("output", length=length))
    sandbox.faults.append(Fault("output", length=length))

    assert received(file.url) == (file.content[:length], httpx.RemoteProtocolError if more > 0 else None)
    assert httpx.head(file.url, trust_env=False).headers["content-length"] == str(length)


def test_a_range_may_be_ignored(sandbox: Sandbox, file: File) -> None:
    sandbox.faults.append(Fault("output", ranges="ignored"))

    answer = file.get(range="bytes=10-49")
    assert (answer.status_code, answer.content) == (200, file.content)
    assert "content-range" not in answer.headers


def test_a_range_may_be_refused(sandbox: Sandbox, file: File) -> None:
    sandbox.faults.append(Fault("output", 416, headers={"Content-Range": "bytes */10"}))

    answer = file.get(range="bytes=10-49")
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")


def test_a_range_may_have_other_bytes_than_those_asked_for(sandbox: Sandbox, file: File) -> None:
    sandbox.faults.append(Fault("output", ranges="wrong_bytes"))

    answer = file.get(range="bytes=10-49")
    assert (answer.status_code, answer.headers["etag"]) == (206, file.etag)
    assert answer.headers["content-range"] == f"bytes 10-49/{len(file.content)}"
    assert all(one != other for one, other in zip(answer.content, file.content[10:50], strict=True))


def test_a_range_may_say_that_it_is_another_one(sandbox: Sandbox, file: File) -> None:
    sandbox.faults.append(Fault("output", ranges="wrong_header"))
    sandbox.faults.append(Fault("output", headers={"Content-Range": ...}))

    moved, silent = (file.get(range="bytes=10-49") for _ in range(2))
    assert (moved.status_code, moved.content) == (206, file.content[10:50])
    assert moved.headers["content-range"] == f"bytes 11-50/{len(file.content) + 1}"
    assert (silent.status_code, "content-range" in silent.headers) == (206, False)


@pytest.mark.parametrize("lie", ["ignored", "wrong_bytes", "wrong_header"])
def test_a_lie_about_ranges_changes_nothing_where_none_is_asked_for(sandbox: Sandbox, file: File, lie: Any) -> None:
    sandbox.faults.append(Fault("output", ranges=lie))

    answer = file.get()
    assert (answer.status_code, answer.content) == (200, file.content)


def test_a_file_may_have_changed_meanwhile(sandbox: Sandbox, file: File) -> None:
    for _ in range(3):
        sandbox.faults.append(Fault("output", file="changed"))
    changed = file.get()
    conditional = file.get(range="bytes=10-49", if_range=file.etag)
    blind = file.get(range="bytes=10-49")

    with Image.open(BytesIO(file.content)) as one, Image.open(BytesIO(changed.content)) as other:
        assert (one.size, one.format) == (other.size, other.format)
        assert ImageChops.difference(one, other).getbbox()
    assert changed.headers["etag"] == conditional.headers["etag"] == blind.headers["etag"] != file.etag
    assert (conditional.status_code, conditional.content) == (200, changed.content)
    assert (blind.status_code, blind.content) == (206, changed.content[10:50])
    assert file.get().headers["etag"] == file.etag


@pytest.mark.parametrize("length", [None, 10**15])
def test_a_file_may_have_no_end(sandbox: Sandbox, file: File, length: int | None) -> None:
    sandbox.faults.append(Fault("output", file="endless", length=length))
    body = b""
    with httpx.stream("GET", file.url, headers={"Range": "bytes=10-"}, trust_env=False) as answer:
        assert (answer.status_code, answer.headers.get("content-length")) == (200, length and str(length))
        for part in answer.iter_raw():
            body += part
            if len(body) > 3_000_000:
                break

    assert body.startswith(file.content * 3)
    assert file.get().content == file.content


def test_a_file_without_an_end_ends_where_its_length_says(sandbox: Sandbox, file: File) -> None:
    length = 2 * 65_536 + 5
    sandbox.faults.append(Fault("output", file="endless", length=length))

    body, error = received(file.url)
    assert (len(body), error) == (length, None)


def test_a_sandbox_stops_though_somebody_still_reads() -> None:
    with Sandbox() as sandbox:
        url = File(sandbox).url
        sandbox.faults.append(Fault("output", file="endless"))
        with httpx.Client(trust_env=False) as client, client.stream("GET", url) as answer:
            parts = answer.iter_raw()
            next(parts)
            sandbox.stop()
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):  # no timeout: the connection is closed
                for _ in parts:
                    pass


@pytest.mark.parametrize("fault", [{"drop": 10}, {"length": 5}, {"drip": 0.0001}, {"file": "endless"}])
def test_a_head_has_no_body_whatever_goes_wrong(sandbox: Sandbox, file: File, fault: dict[str, Any]) -> None:
    sandbox.faults.append(Fault("output", **fault))
    address = httpx.URL(file.url)
    with socket.create_connection((address.host, address.port or 80)) as connection:
        connection.sendall(f"HEAD {address.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")
    assert answer.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize("start", [0, 10])
def test_what_goes_wrong_with_downloads_at_random_never_looks_like_the_file_of_the_job(
    sandbox: Sandbox, file: File, start: int
) -> None:
    size = len(file.content)
    honest = {"content-type": "image/png", "etag": file.etag, "content-length": str(size - start)}
    honest |= {"content-range": f"bytes {start}-{size - 1}/{size}"} if start else {}
    sandbox.faults.extend(POSSIBLE["output"])
    for _ in POSSIBLE["output"]:
        with suppress(httpx.TransportError):
            answer = file.get(**({"range": f"bytes={start}-"} if start else {}))
            if all(answer.headers.get(name) == value for name, value in honest.items()):
                assert answer.content == file.content[start:]
    assert list(sandbox.faults) == []


def test_a_reset_clears_the_faults_of_downloads_as_well(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("output", 503))
    sandbox.faults.at_random(1.0, seed=1)
    sandbox.reset()

    assert File(sandbox).get().status_code == 200
