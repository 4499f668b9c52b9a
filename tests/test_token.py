"""The token goes to the API and nowhere else: no text, log, traceback or pickle has it, and no other host."""

import asyncio
import html
import json
import logging
import pickle
import re
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from conftest import Kind, RawServer, http_answer
from hypothesis import given
from hypothesis import strategies as st
from runcomfy import (
    AsyncClient,
    AuthenticationError,
    Client,
    NotFoundError,
    RunComfyError,
    SubmissionOutcomeUnknown,
    _default,
)
from runcomfy._answers import read
from runcomfy._blot import blotted_body
from runcomfy._http_types import Response
from runcomfy._settings import Token
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="u")
SECRET = "very-secret-0123456789"


def everything_about(error: BaseException) -> str:
    """What the most talkative of error reporters would print: each frame but the tests' own with all its variables."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    links = [shown]
    for link in links:
        links += filter(None, (link.__cause__, link.__context__))
        for frame in link.stack:
            if frame.filename == __file__:
                frame.locals = None
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


LONG = "very/secret+token=0123.Zz"
"""With the signs that senders escape."""

ESCAPED: list[Callable[[str], str]] = [
    str,
    lambda text: text.replace("/", "\\/"),
    lambda text: text.replace("+", "\\u002B").replace("/", "\\u002f"),
    lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    lambda text: "".join(f"\\u{ord(character):04X}" for character in text),
    lambda text: quote(text, safe=""),
    lambda text: quote(text, safe="").lower().replace("z", "Z", 1),
    lambda text: "".join(f"%{ord(character):02X}" for character in text),
    lambda text: quote(quote(text, safe=""), safe=""),
    lambda text: quote(text, safe="").replace("%", "\\u0025"),
    lambda text: json.dumps(text.replace("/", "\\/"))[1:-1],
    lambda text: text.replace("+", "&#43;").replace("/", "&#x2F;"),
]


def unescaped(text: str) -> str:
    """What a reader may make of a text, whichever way it was escaped, and how often."""
    for _ in range(4):
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda sign: chr(int(sign[1], 16)), text)
        text = html.unescape(unquote(text)).replace("\\", "").replace("\0", "")
    return text


@pytest.mark.parametrize("escaped", ESCAPED)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
def test_no_escape_hides_the_token_from_errors_logs_and_the_ledger(
    kind: Kind, tmp_path: Path, caplog: pytest.LogCaptureFixture, escaped: Callable[[str], str], encoding: str
) -> None:
    caplog.set_level(logging.DEBUG, logger="runcomfy")
    text = f"Größe: no such token: https://example.com/?token={escaped(LONG)}&a=b"
    body = f'{{"message": "{text}", "detail": [{{"{text}": ["{text}", 1, null]}}]}}'.encode(encoding)
    with RawServer([http_answer("401 Unauthorized", body)]) as server:
        client = kind.client(base_url=server.url, token=LONG, ledger=tmp_path / "jobs.sqlite3")
        with pytest.raises(AuthenticationError, match=r"Größe: no such token: \S+=\[token\]&a=b") as caught:
            kind.settle(client.submit(REQUEST))
        kind.settle(client.close())

    error = caught.value
    shown = [everything_about(error), caplog.text, str(error.body), error.body.decode(encoding)]
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("jobs*")).decode("latin-1")
    assert LONG not in unescaped("".join([*shown, stored]))
    assert error.detail == [{error.message: [error.message, 1, None]}]
    assert pickle.loads(pickle.dumps(error)).body == error.body


@pytest.mark.parametrize("escaped", ESCAPED)
def test_a_page_that_is_no_json_is_kept_without_the_token(kind: Kind, escaped: Callable[[str], str]) -> None:
    page = b"<html>\xff\\ 100% &amp; " + escaped(LONG).encode() + b" \xfe</html>"
    with RawServer([http_answer("404 Not Found", page, f"X-Token: {escaped(LONG)}")]) as server:
        client = kind.client(base_url=server.url, token=LONG)
        with pytest.raises(NotFoundError, match=r"\[token\]") as caught:
            kind.settle(client.submit(REQUEST))

    assert LONG not in unescaped(everything_about(caught.value))
    assert caught.value.body == b"<html>\xff\\ 100% &amp; [token] \xfe</html>"


@pytest.mark.parametrize("answer", [f"HTTP/1.1 no {SECRET}\r\n\r\n", f"HTTP/1.1 200 OK\r\nno header {SECRET}\r\n\r\n"])
def test_an_answer_that_is_no_http_is_not_quoted_with_the_token(kind: Kind, answer: str) -> None:
    with RawServer([answer.encode()]) as server:
        client = kind.client(base_url=server.url, token=SECRET)
        with pytest.raises(SubmissionOutcomeUnknown, match=r"\[token\]") as caught:
            kind.settle(client.submit(REQUEST))

    assert SECRET not in everything_about(caught.value)


def test_an_answer_whose_compression_is_damaged_is_unknown_and_not_quoted_with_the_token(kind: Kind) -> None:
    with RawServer([http_answer("200 OK", f"no gzip: {SECRET}".encode(), "Content-Encoding: gzip")]) as server:
        client = kind.client(base_url=server.url, token=SECRET)
        with pytest.raises(SubmissionOutcomeUnknown, match="DecodingError") as caught:
            kind.settle(client.submit(REQUEST))

    assert SECRET not in everything_about(caught.value)


@pytest.mark.parametrize("token", ["short", "abcdefghijklmno", "tree" * 3])
def test_a_short_token_may_be_there_by_chance(kind: Kind, token: str) -> None:
    with RawServer([http_answer("404 Not Found", json.dumps({"message": f"a {token}"}).encode())]) as server:
        client = kind.client(base_url=server.url, token=token)
        with pytest.raises(NotFoundError, match=f": a {token} "):
            kind.settle(client.submit(REQUEST))


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=60),
    st.recursive(
        st.text(max_size=5), lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=3), part)
    ),
    st.sampled_from([json.dumps, lambda value: json.dumps(value).replace("/", "\\/")]),
)
def test_json_stays_json_and_all_else_in_it_as_it_was(token: str, value: Any, dumped: Callable[[Any], str]) -> None:
    blotted = Token(token).blotted
    body = dumped([value, {token: [f"a{token}b"]}]).encode()

    answer = read(Response(200, blotted_body(body, blotted), blotted=blotted))

    assert answer.value == [value, {"[token]": ["a[token]b"]}]
    assert read(Response(200, dumped(value).encode(), blotted=blotted)).value == value


def test_json_may_be_nested_deeper_than_calls(kind: Kind) -> None:
    """Each Python has another depth at which its JSON parser gives up; below that, nothing may fail."""
    body = b'{"message": "m", "detail": ' + b"[" * 900 + b'"' + SECRET.encode() + b'"' + b"]" * 900 + b"}"
    with RawServer([http_answer("404 Not Found", body)]) as server:
        client = kind.client(base_url=server.url, token=SECRET)
        with pytest.raises(NotFoundError) as caught:
            kind.settle(client.submit(REQUEST))

    detail: Any = caught.value.detail
    while isinstance(detail, list):
        (detail,) = detail
    assert detail in ("[token]", None)
