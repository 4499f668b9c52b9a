"""The token goes to the API and nowhere else: no text, log, traceback or pickle has it, and no other host."""

import asyncio
import logging
import pickle
import socket
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Kind, RawServer, http_answer
from runcomfy import AsyncClient, Client, NotFoundError, RunComfyError, _default
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="u")
SECRET = "very-secret-0123456789"


def everything_about(error: BaseException) -> str:
    """What the most talkative of error reporters would print: each frame with all of its variables."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(shown.format()) + repr(error) + repr(vars(error))


LOST = http_answer("200 OK", b'{"request_id')
FAILURES: list[tuple[bytes, Callable[[Any], Any]]] = [
    (http_answer("401 Unauthorized", b'{"error_code": 400004}'), lambda client: client.submit(REQUEST)),
    (http_answer("503 Busy", b""), lambda client: client.submit(REQUEST)),
    (LOST, lambda client: client.submit(REQUEST)),
    (b"", lambda client: client.submit(REQUEST)),
    (b"HTTP/1.1 200 OK\r\nbroken\x00header", lambda client: client.submit(REQUEST)),
    (b"", lambda client: client.job("r1").status()),
    (http_answer("200 OK", b'{"status": "in_queue"}'), lambda client: client.job("r1").result(timeout=0.2)),
    (http_answer("404 Not Found", b"<html>"), lambda client: client.job("r1").cancel()),
    (b"", lambda client: client.balance()),
    (http_answer("200 OK", b"{}"), lambda client: client.balance()),
    (b"", lambda client: client.job("r1").cost()),
]


@pytest.mark.parametrize(("answer", "call"), FAILURES)
def test_no_failure_shows_the_token(
    kind: Kind, caplog: pytest.LogCaptureFixture, answer: bytes, call: Callable[[Any], Any]
) -> None:
    caplog.set_level(logging.DEBUG)
    with RawServer([answer]) as server:
        client = kind.client(base_url=server.url, token=SECRET, timeout=0.5)
        with pytest.raises(RunComfyError) as caught:
            kind.settle(call(client))
        assert SECRET.encode() in server.received[0]

    shown = [everything_about(caught.value), caplog.text, repr(client), repr(vars(client)), repr(client._settings)]
    assert SECRET not in "".join(shown)
    assert "Bearer" not in "".join(shown)
    assert SECRET.encode() not in pickle.dumps(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_failure_to_connect_shows_the_token(kind: Kind, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    client = kind.client(base_url=f"{scheme}://127.0.0.1:{port}", token=SECRET)

    with pytest.raises(RunComfyError, match="Nothing was sent") as caught:
        kind.settle(client.submit(REQUEST))

    assert SECRET not in everything_about(caught.value)


def test_no_handshake_that_fails_shows_the_token(kind: Kind) -> None:
    with RawServer([b"this is no TLS"]) as server:
        client = kind.client(base_url=server.url.replace("http:", "https:"), token=SECRET)
        with pytest.raises(RunComfyError, match="Nothing was sent") as caught:
            kind.settle(client.submit(REQUEST))

    assert SECRET not in everything_about(caught.value)


@pytest.mark.parametrize("settings", [{"timeout": -1}, {"base_url": "ftp://x"}, {"token": f"{SECRET} with spaces"}])
def test_no_client_that_cannot_be_made_shows_its_token(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    cls = AsyncClient if kind.is_async else Client
    monkeypatch.setenv("RUNCOMFY_TOKEN", f"{SECRET}\N{SNOWMAN}")
    for arguments in ({"token": SECRET, **settings}, {key: settings[key] for key in settings if key != "token"}):
        with pytest.raises(RunComfyError) as caught:
            cls(**arguments)
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        frames = [frame for frame in shown.stack if "runcomfy" in frame.filename and "tests" not in frame.filename]
        assert frames
        assert SECRET not in repr([frame.locals for frame in frames]) + str(caught.value)


def test_a_server_that_repeats_the_token_is_not_quoted_with_it(kind: Kind) -> None:
    page = f"<html>Authorization: Bearer {SECRET}</html>".encode()
    with RawServer([http_answer("404 Not Found", page)]) as server:
        client = kind.client(base_url=server.url, token=SECRET)
        with pytest.raises(NotFoundError, match=r"Bearer \[token\]") as caught:
            kind.settle(client.submit(REQUEST))

    assert SECRET not in f"{caught.value!r} {vars(caught.value)}"


def test_a_cancelled_task_shows_no_token(sandbox: Sandbox) -> None:
    """The frames of the network code that its exception comes through have the token among their variables."""
    sandbox.faults.append(Fault("status", delay=3600))

    async def cancelled() -> BaseException:
        async with AsyncClient(sandbox.token, sandbox.base_url) as client:
            task = asyncio.create_task(client.job("r1").status())
            while not sandbox.requests:  # noqa: ASYNC110  # the condition is one of the sandbox's thread
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            return caught.value

    shown = everything_about(asyncio.run(cancelled()))

    assert "CancelledError" in shown
    assert sandbox.token not in shown


def test_the_debug_log_tells_method_path_status_and_seconds(
    kind: Kind, sandbox: Sandbox, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="runcomfy")
    sandbox.faults.append(Fault("status", drop="answer"))
    job = kind.settle(client.submit(REQUEST))
    kind.settle(job.result())

    lines = [record.message for record in caplog.records if record.name == "runcomfy"]
    assert [line.rpartition(" (")[0].partition(":")[0] for line in lines] == [
        f"POST models/{edit.MODEL_ID}",
        f"GET requests/{job.id}/status",
        f"GET requests/{job.id}/status",
        f"GET requests/{job.id}/result?include_cost=true",
    ]
    assert [line.partition(": ")[2].partition(" (")[0] for line in lines[::2]] == ["200", "200"]
    assert "Server disconnected" in lines[1]
    assert all(line.endswith(" s)") for line in lines)
    assert sandbox.token not in caplog.text


def test_a_token_cannot_be_pickled_nor_shown(client: Any, sandbox: Sandbox) -> None:
    token = client._settings.token

    assert repr(token) == str(token) == "Token(…)"
    with pytest.raises(TypeError, match="a token cannot be pickled"):
        pickle.dumps(token)


def test_the_default_clients_are_not_kept_under_their_token(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNCOMFY_TOKEN", sandbox.token)
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", sandbox.base_url)
    edit.run(prompt="p", image_url="u")

    assert sandbox.token not in repr(_default._clients)


def test_a_client_that_could_not_be_made_can_be_shown(kind: Kind) -> None:
    cls = AsyncClient if kind.is_async else Client
    half_made = cls.__new__(cls)  # as a debugger finds it in the frame of a constructor that raised

    assert repr(half_made) == f"{cls.__name__}()"


def test_no_address_in_an_answer_is_ever_asked(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    with RawServer([http_answer("200 OK", b'{"status": "completed"}')]) as stranger:
        foreign = {f"{name}_url": f"{stranger.url}/{name}" for name in ("status", "result", "cancel")}
        sandbox.faults.append(Fault("submit", changes=foreign))
        sandbox.faults.append(Fault("status", changes=foreign))
        sandbox.faults.append(Fault("result", changes={**foreign, "output": {"image": f"{stranger.url}/a.png"}}))
        sandbox.faults.append(Fault("cancel", changes=foreign))
        job = kind.settle(client.submit(REQUEST))

        assert kind.settle(job.result()).image == f"{stranger.url}/a.png"
        assert kind.settle(job.cancel()) is False
        assert stranger.received == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("endpoint", ["submit", "status", "result", "cancel"])
def test_no_redirect_is_followed(kind: Kind, sandbox: Sandbox, client: Any, status: int, endpoint: Any) -> None:
    with RawServer([http_answer("200 OK", b'{"request_id": "stolen", "status": "completed"}')]) as stranger:
        job = kind.settle(client.submit(REQUEST))
        sandbox.faults.append(Fault(endpoint, status, headers={"Location": f"{stranger.url}/v1/x"}))
        calls = {"submit": lambda: client.submit(REQUEST), "cancel": job.cancel}

        with pytest.raises(RunComfyError, match=f"HTTP {status}"):
            kind.settle(calls.get(endpoint, job.result)())
        assert stranger.received == []
