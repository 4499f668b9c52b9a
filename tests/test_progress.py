"""Progress where stderr is no terminal: plain lines, and nothing that could end a wait."""

import io
import re
import sys
from collections.abc import Iterator
from contextlib import aclosing, closing
from typing import Any

import pytest
from conftest import Kind
from runcomfy import (
    ConfigurationError,
    JobCancelledError,
    JobFailedError,
    NotFoundError,
    Status,
    WaitTimeoutError,
    _map_progress,
)
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="u")


@pytest.fixture
def slow() -> Iterator[Sandbox]:
    """Two reads in the queue and one read running."""
    with Sandbox(queue_reads=2, run_reads=1) as sandbox:
        yield sandbox


def untimed(text: str) -> list[str]:
    """The lines, with a placeholder for each number of seconds."""
    return re.sub(r"\b\d+\.\d s\b", "T s", text).splitlines()


def test_each_change_is_a_line_and_the_last_one_tells_the_end(
    kind: Kind, slow: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    output = kind.settle(kind.client(slow).run(REQUEST, progress=True))

    name = f"{edit.MODEL_ID} {output.raw['request_id']}"
    shown = capsys.readouterr()
    assert shown.out == ""
    assert untimed(shown.err) == [
        f"{name}: in_queue, position 3 (T s)",
        f"{name}: in_queue, position 2 (T s)",
        f"{name}: in_progress (T s)",
        f"{name}: completed after T s",
    ]


def test_without_progress_nothing_is_written(
    kind: Kind, sandbox: Sandbox, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    kind.settle(client.run(REQUEST))

    assert capsys.readouterr() == ("", "")


def test_progress_and_on_update_work_together(kind: Kind, slow: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Status] = []

    kind.settle(kind.client(slow).run(REQUEST, progress=True, on_update=seen.append))

    assert [status.state for status in seen] == ["in_queue", "in_queue", "in_progress", "completed"]
    assert len(capsys.readouterr().err.splitlines()) == 4


def test_a_job_that_was_resumed_is_shown_by_its_id(
    kind: Kind, sandbox: Sandbox, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    job = kind.settle(client.submit(REQUEST))

    kind.settle(client.job(job.id).result(progress=True))

    assert untimed(capsys.readouterr().err) == [f"{job.id}: completed after T s"]


def test_a_model_that_is_not_known_is_shown_too(
    kind: Kind, sandbox: Sandbox, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    kind.settle(client.run(edit.MODEL_ID, {"prompt": "p", "image_url": "u"}, progress=True))

    assert capsys.readouterr().err.startswith(f"{edit.MODEL_ID} ")


def cancelled(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("status", 200, b'{"status": "cancelled"}'))
    sandbox.faults.append(Fault("result", 404))


def gone(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("status", 404))


def unfinished(sandbox: Sandbox) -> None:
    sandbox.faults.extend([Fault("status", 200, b'{"status": "in_progress"}')] * 1000)


@pytest.mark.parametrize(
    ("prepare", "error", "end"),
    [
        (lambda sandbox: sandbox.fail_next("boom"), JobFailedError, "failed"),
        (cancelled, JobCancelledError, "cancelled"),
        (gone, NotFoundError, "ended by NotFoundError"),
        (unfinished, WaitTimeoutError, "deadline passed"),
    ],
)
def test_the_last_line_tells_how_a_wait_without_a_result_ended(
    kind: Kind, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], prepare: Any, error: Any, end: str
) -> None:
    client = kind.client(sandbox, poll_interval=0.05)
    prepare(sandbox)

    with pytest.raises(error):
        kind.settle(client.run(REQUEST, progress=True, timeout=0.3))

    name = f"{edit.MODEL_ID} {sandbox.accepted[0].id}"
    assert untimed(capsys.readouterr().err)[-1] == f"{name}: {end} after T s"


@pytest.mark.parametrize(("error", "end"), [(KeyboardInterrupt, "interrupted"), (OSError, "ended by OSError")])
def test_the_last_line_tells_what_interrupted_a_wait(
    kind: Kind, sandbox: Sandbox, client: Any, capsys: pytest.CaptureFixture[str], error: Any, end: str
) -> None:
    def interrupt(status: Status) -> None:
        raise error

    with pytest.raises(error):
        kind.settle(client.run(REQUEST, progress=True, on_update=interrupt))

    assert f"{sandbox.accepted[0].id}: {end} after " in capsys.readouterr().err.splitlines()[0]


@pytest.mark.parametrize("progress", ["yes", 1, None])
def test_what_is_no_bool_is_refused_before_anything_is_paid(
    kind: Kind, sandbox: Sandbox, client: Any, progress: Any
) -> None:
    with pytest.raises(ConfigurationError, match=r"progress: .* is neither True nor False"):
        kind.settle(client.run(REQUEST, progress=progress))
    with pytest.raises(ConfigurationError, match="progress: ") as caught:
        kind.settle(client.job("r1").result(progress=progress))

    assert caught.value.request_id == "r1"
    assert sandbox.requests == []


class Broken(io.StringIO):
    """A stream that fails at everything."""

    def write(self, *_: object) -> int:
        raise BrokenPipeError

    def isatty(self) -> bool:
        raise OSError


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, object(), Broken(), closed()])
def test_no_stderr_and_a_broken_one_lose_no_job(
    kind: Kind, slow: Sandbox, monkeypatch: pytest.MonkeyPatch, stream: Any
) -> None:
    client = kind.client(slow)
    monkeypatch.setattr(sys, "stderr", stream)

    assert kind.settle(client.run(REQUEST, progress=True)).image


@pytest.mark.parametrize("state", [b"[red]a\\u001b[31mb\\u0007[/red]\\n\\u202e", b"x" * 10_000])
def test_whatever_the_api_calls_a_state_it_is_one_line_of_printable_text(
    kind: Kind, sandbox: Sandbox, client: Any, capsys: pytest.CaptureFixture[str], state: bytes
) -> None:
    sandbox.faults.append(Fault("status", 200, b'{"status": "%s", "queue_position": %s}' % (state, b"9" * 4000)))

    kind.settle(client.run(REQUEST, progress=True))

    first, last = capsys.readouterr().err.splitlines()
    assert first.isprintable()
    assert len(first) < 200
    assert ": [red]a\N{REPLACEMENT CHARACTER}[31mb" in first or ": xxxx" in first
    assert ": completed after " in last


def test_a_map_is_one_line_at_its_end_where_it_is_short(
    kind: Kind, sandbox: Sandbox, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.faults.append(Fault("submit", 422, b"no"))
    sandbox.faults.extend([Fault("result", changes={"cost": 0.04})] * 2)

    kind.collect(client.map([REQUEST] * 4, progress=True))
    kind.collect(client.map(iter([REQUEST] * 2), progress=True))

    assert untimed(capsys.readouterr().err) == [
        "map: 3 of 4 done, 1 failed, 0.08 USD; completed after T s",
        "map: 2 done; completed after T s",
    ]


def test_a_long_map_tells_how_far_it_is(
    kind: Kind, sandbox: Sandbox, client: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_map_progress, "_EACH", 0.0)

    kind.collect(client.map([REQUEST] * 2, concurrency=1, progress=True))

    assert untimed(capsys.readouterr().err) == [
        "map: 0 of 2 done, 1 running, T s",
        "map: 1 of 2 done, T s",
        "map: 1 of 2 done, 1 running, T s",
        "map: 2 of 2 done, T s",
        "map: 2 of 2 done; completed after T s",
    ]


def test_a_map_that_is_left_is_told_as_stopped(
    kind: Kind, sandbox: Sandbox, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async def leave() -> None:
        async with aclosing(client.map([REQUEST] * 4, progress=True, concurrency=1)) as results:
            await anext(results)

    if kind.is_async:
        kind.settle(leave())
    else:
        with closing(client.map([REQUEST] * 4, progress=True, concurrency=1)) as results:
            next(results)

    assert "; stopped after " in capsys.readouterr().err


@pytest.mark.parametrize("stream", [None, object(), Broken(), closed()])
def test_no_stderr_and_a_broken_one_end_no_map(
    kind: Kind, sandbox: Sandbox, client: Any, monkeypatch: pytest.MonkeyPatch, stream: Any
) -> None:
    monkeypatch.setattr(_map_progress, "_EACH", 0.0)
    monkeypatch.setattr(sys, "stderr", stream)

    results = kind.collect(client.map([REQUEST] * 4, progress=True))

    assert [result.error for result in results] == [None] * 4


def test_plain_lines_need_no_rich(sandbox: Sandbox, run_program: Any) -> None:
    program = """
import contextlib, io, sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, *_):
        assert name not in ("runcomfy._live", "IPython"), name
        if name == "rich":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

with Client() as client, contextlib.redirect_stderr(io.StringIO()) as shown:
    client.run(edit.Input(prompt="p", image_url="u"), progress=True)
print(shown.getvalue(), "rich" in sys.modules)
"""

    shown = run_program(program, sandbox)

    assert untimed(shown) == [f"{edit.MODEL_ID} {sandbox.accepted[0].id}: completed after T s", " False"]
