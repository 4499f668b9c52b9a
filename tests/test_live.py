"""Progress on a real terminal: live lines that share it with each other and with what the program prints."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")

RUN = {
    "sync": """
from runcomfy import Client
def run(**options):
    with Client(poll_interval=0.0) as client:
        return client.run(request, **options)
""",
    "async": """
import asyncio
from runcomfy import AsyncClient
async def wait(options):
    async with AsyncClient(poll_interval=0.0) as client:
        return await client.run(request, **options)
def run(**options):
    return asyncio.run(wait(options))
""",
}
HEAD = """
import os, sys, threading
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
request = edit.Input(prompt="p", image_url="u")
def gate(status):
    sys.stdin.readline()  # the test says when
"""


@pytest.fixture
def slow() -> Iterator[Sandbox]:
    """One read in the queue and one read running."""
    with Sandbox(queue_reads=1, run_reads=1) as sandbox:
        yield sandbox


@pytest.fixture
def in_terminal(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Start a program in a terminal."""
    from terminal import Terminal  # which not every system has

    started = []

    def in_terminal(
        text: str, sandbox: Sandbox, *, rows: int = 24, columns: int = 120, stdout: bool = False, **environment: str
    ) -> Terminal:
        program = tmp_path / "program.py"
        program.write_text(HEAD + text)
        terminal = Terminal(rows=rows, columns=columns)
        started.append(terminal)
        return terminal.start(program, sandbox, stdout=stdout, **environment)

    yield in_terminal
    for terminal in started:
        terminal.kill()


def untimed(lines: list[str]) -> list[str]:
    return [re.sub(r"\b\d+\.\d s\b", "T s", line) for line in lines]


def last_line(sandbox: Sandbox, how: str = "completed") -> str:
    return f"{edit.MODEL_ID} {sandbox.accepted[0].id}: {how} after T s"


@pytest.mark.parametrize("kind", RUN)
def test_a_live_line_tells_the_state_and_ticks_between_polls(slow: Sandbox, in_terminal: Any, kind: str) -> None:
    program = RUN[kind] + (
        "print(run(progress=True, on_update=gate).image is not None)\n"
        "print([thread.name for thread in threading.enumerate() if 'progress' in thread.name])\n"
        "print('write' in vars(sys.stderr))\n"
    )
    terminal = in_terminal(program, slow)
    queued = f"{edit.MODEL_ID}  in_queue, position 3  "
    seconds = terminal.until(re.compile(rf"{queued}(\d+) s"))[1]
    polls = len(slow.requests)
    terminal.until(re.compile(rf"{queued}(?!{seconds} )\d+ s"))
    assert len(slow.requests) == polls
    assert not terminal.screen.has_cursor
    terminal.enter()
    terminal.until(f"{edit.MODEL_ID}  in_progress ")
    terminal.enter()
    terminal.until(f"{edit.MODEL_ID}  completed ")
    terminal.enter()
    terminal.end()

    assert untimed(terminal.screen.lines) == [last_line(slow)]
    assert terminal.screen.has_cursor
    assert terminal.out == "True\n[]\nFalse\n"


@pytest.mark.parametrize("kind", RUN)
def test_what_is_printed_meanwhile_stands_above_the_live_line(slow: Sandbox, in_terminal: Any, kind: str) -> None:
    program = RUN[kind] + (
        "import logging\n"
        "logging.basicConfig(format='%(message)s')\n"
        "def show(status):\n"
        "    print('[bold]half', end=' ', flush=True)\n"
        "    print('a line ' + 'of many words ' * 12)\n"
        "    print('[/x]', status.state, file=sys.stderr)\n"
        "    logging.warning('logged')\n"
        "    sys.stdin.readline()\n"
        "run(progress=True, on_update=show)\n"
    )
    terminal = in_terminal(program, slow, stdout=True)
    for state in ("in_queue", "in_progress", "completed"):
        terminal.until(f"{edit.MODEL_ID}  {state}")
        terminal.enter()
    terminal.end()

    printed = "[bold]half a line " + "of many words " * 12
    folded = [printed[:120].rstrip(), printed[120:].rstrip()]
    expected = [
        line for state in ("in_queue", "in_progress", "completed") for line in (*folded, f"[/x] {state}", "logged")
    ]
    assert untimed(terminal.screen.lines) == [*expected, last_line(slow)]


def test_what_is_printed_to_a_pipe_goes_there(slow: Sandbox, in_terminal: Any) -> None:
    terminal = in_terminal(RUN["sync"] + "run(progress=True, on_update=lambda status: print(status.state))", slow)
    terminal.end()

    assert terminal.out == "in_queue\nin_progress\ncompleted\n"
    assert untimed(terminal.screen.lines) == [last_line(slow)]


def test_a_line_that_is_not_ended_is_left_alone(slow: Sandbox, in_terminal: Any) -> None:
    program = "run(progress=True, on_update=lambda status: print(status.state, end=' ', flush=True))"
    terminal = in_terminal(RUN["sync"] + program, slow, stdout=True)
    terminal.end()

    assert untimed(terminal.screen.lines) == ["in_queue in_progress completed", last_line(slow)]


MANY = {
    "threads": """
from concurrent.futures import ThreadPoolExecutor
from runcomfy import Client
all_wait = threading.Barrier(16, action=sys.stdin.readline)
def one(number):
    seen = []
    client.run(request, progress=True, on_update=lambda status: seen or seen.append(all_wait.wait()))
    print(f"printed {number}\\n", end="")  # in one piece
with Client(poll_interval=0.0) as client, ThreadPoolExecutor(16) as pool:
    list(pool.map(one, range(16)))
""",
    "tasks": """
import asyncio
from runcomfy import AsyncClient
seen = []
def count(status):
    seen.append(status)
    if len(seen) == 200:
        sys.stdin.readline()
async def main():
    all_submitted = asyncio.Barrier(200)
    async with AsyncClient(poll_interval=0.0) as client:
        async def one(number):
            job = await client.submit(request)
            await all_submitted.wait()
            await job.result(progress=True, on_update=count)
            print("printed", number)
        await asyncio.gather(*(one(number) for number in range(200)))
asyncio.run(main())
""",
}


@pytest.mark.parametrize(("kind", "count"), [("threads", 16), ("tasks", 200)])
@pytest.mark.parametrize("rows", [12, 3])
def test_any_number_of_waits_share_the_terminal(
    slow: Sandbox, in_terminal: Any, kind: str, count: int, rows: int
) -> None:
    terminal = in_terminal(MANY[kind], slow, rows=rows, stdout=True)
    terminal.until(f"… and {count - (rows - 2)} more")
    assert len(terminal.screen.lines) == rows - 1
    terminal.enter()
    terminal.end()

    ends = [f"{edit.MODEL_ID} {job.id}: completed after T s" for job in slow.accepted]
    prints = [f"printed {number}" for number in range(count)]
    assert sorted(untimed(terminal.screen.lines)) == sorted(ends + prints)
    assert terminal.screen.has_cursor


def test_a_wait_that_begins_after_the_others_is_shown_again(slow: Sandbox, in_terminal: Any) -> None:
    terminal = in_terminal(RUN["sync"] + "for _ in range(3):\n    run(progress=True, on_update=gate)", slow)
    for state in ("in_queue", "in_progress", "completed") * 3:
        terminal.until(f"{edit.MODEL_ID}  {state}")
        terminal.enter()
    terminal.end()

    ends = [f"{edit.MODEL_ID} {job.id}: completed after T s" for job in slow.accepted]
    assert untimed(terminal.screen.lines) == ends


def test_on_a_narrow_terminal_a_line_is_cut(slow: Sandbox, in_terminal: Any) -> None:
    terminal = in_terminal(RUN["sync"] + "run(progress=True, on_update=gate)", slow, columns=50)
    terminal.until("…  in_queue, position 3  ")
    assert len(terminal.screen.lines) == 1
    for _ in range(3):
        terminal.enter()
    terminal.end()

    assert untimed(["".join(terminal.screen.lines)]) == [last_line(slow)]


@pytest.mark.parametrize("kind", RUN)
def test_on_a_terminal_without_rich_it_is_refused_before_anything_is_paid(
    sandbox: Sandbox, in_terminal: Any, kind: str
) -> None:
    program = """
from importlib.abc import MetaPathFinder
class Blocked(MetaPathFinder):
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "rich":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
"""
    end = """
import runcomfy
try:
    run(progress=True)
except runcomfy.ConfigurationError as error:
    print(error)
"""
    terminal = in_terminal(program + RUN[kind] + end, sandbox)
    terminal.end()

    assert terminal.out == (
        "progress: on a terminal it needs rich (No module named 'rich'); type: pip install 'runcomfy[cli]'\n"
    )
    assert sandbox.requests == []


@pytest.mark.parametrize("kind", RUN)
def test_a_terminal_that_is_closed_loses_no_job(slow: Sandbox, in_terminal: Any, kind: str) -> None:
    terminal = in_terminal(RUN[kind] + "print(run(progress=True, on_update=gate).image)", slow)
    terminal.until("in_queue")
    terminal.hang_up()
    for _ in range(3):
        terminal.enter()
    terminal.end()

    assert slow.accepted[0].id in terminal.out


MAP = {
    "sync": """
from runcomfy import Client
def run(**options):
    with Client(poll_interval=0.0) as client:
        return list(client.map([request] * 3, concurrency=1, **options))
""",
    "async": """
import asyncio
from runcomfy import AsyncClient
async def gather(options):
    async with AsyncClient(poll_interval=0.0) as client:
        return [result async for result in client.map([request] * 3, concurrency=1, **options)]
def run(**options):
    return asyncio.run(gather(options))
""",
}


@pytest.mark.parametrize("kind", MAP)
def test_a_map_is_one_live_line(sandbox: Sandbox, in_terminal: Any, kind: str) -> None:
    terminal = in_terminal(MAP[kind] + "print(len(run(progress=True, on_update=gate)))", sandbox)
    for done in range(3):
        terminal.until(re.compile(rf"map  {done} of 3 done, 1 running +\d+ s"))
        terminal.enter()
    terminal.end()

    assert untimed(terminal.screen.lines) == ["map: 3 of 3 done; completed after T s"]
    assert terminal.out == "3\n"


@pytest.mark.parametrize("kind", RUN)
def test_an_interrupted_wait_gives_the_terminal_back(stuck: Sandbox, in_terminal: Any, kind: str) -> None:
    program = """
import logging, signal
logging.disable()
try:
    run(progress=True, on_update=lambda status: threading.Thread(target=interrupt).start())
except KeyboardInterrupt:
    print([thread.name for thread in threading.enumerate() if "progress" in thread.name])
"""
    begin = """
def interrupt():
    sys.stdin.readline()
    os.kill(os.getpid(), 2)
"""
    terminal = in_terminal(begin + RUN[kind] + program, stuck)
    terminal.until("in_queue")
    terminal.enter()
    terminal.end()

    assert untimed(terminal.screen.lines) == [last_line(stuck, "interrupted")]
    assert terminal.screen.has_cursor
    assert terminal.out == "[]\n"


def test_the_words_of_the_api_are_neither_markup_nor_controls(sandbox: Sandbox, in_terminal: Any) -> None:
    sandbox.faults.append(Fault("status", 200, b'{"status": "[red]a\\u001b]0;b\\u0007\\r\\n[/x] :smile:"}'))
    terminal = in_terminal(RUN["sync"] + "run(progress=True, on_update=gate)", sandbox)
    terminal.until("[red]a\N{REPLACEMENT CHARACTER}]0;b" + "\N{REPLACEMENT CHARACTER}" * 3 + "[/x] :smile:")
    for _ in range(2):
        terminal.enter()
    terminal.end()

    assert untimed(terminal.screen.lines) == [last_line(sandbox)]


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TTY_COMPATIBLE": "0"}, {"PYTHONIOENCODING": "latin-1"}])
def test_a_terminal_that_cannot_draw_gets_plain_lines(
    slow: Sandbox, in_terminal: Any, environment: dict[str, str]
) -> None:
    terminal = in_terminal(RUN["sync"] + "run(progress=True)", slow, **environment)
    terminal.end()

    name = f"{edit.MODEL_ID} {slow.accepted[0].id}"
    assert untimed(terminal.screen.lines) == [
        f"{name}: in_queue, position 3 (T s)",
        f"{name}: in_progress (T s)",
        last_line(slow),
    ]


def test_where_no_thread_can_be_started_there_are_plain_lines(slow: Sandbox, in_terminal: Any) -> None:
    program = """
def start(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start = start
run(progress=True)
"""
    terminal = in_terminal(RUN["sync"] + program, slow)
    terminal.end()

    assert len(terminal.screen.lines) == 3
    assert untimed(terminal.screen.lines)[-1] == last_line(slow)


def test_another_live_display_keeps_the_terminal(slow: Sandbox, in_terminal: Any) -> None:
    program = """
from rich.console import Console
from rich.progress import Progress
with Progress(console=Console(stderr=True), auto_refresh=False) as bars:
    bars.add_task("theirs")
    run(progress=True)
"""
    terminal = in_terminal(RUN["sync"] + program, slow)
    terminal.end()

    name = f"{edit.MODEL_ID} {slow.accepted[0].id}"
    shown = untimed(terminal.screen.lines)
    assert [line for line in shown if "theirs" not in line] == [
        f"{name}: in_queue, position 3 (T s)",
        f"{name}: in_progress (T s)",
        last_line(slow),
    ]
    assert len(shown) == 4


def test_another_live_display_that_begins_later_and_ends_later_breaks_nothing(slow: Sandbox, in_terminal: Any) -> None:
    program = """
from rich.live import Live
theirs = Live("theirs", auto_refresh=False)
run(progress=True, on_update=lambda status: theirs.start())
theirs.stop()
run(progress=True)
"""
    terminal = in_terminal(RUN["sync"] + program, slow, stdout=True)
    terminal.end()

    shown = untimed(terminal.screen.lines)
    assert [line for line in shown if edit.MODEL_ID in line] == [
        f"{edit.MODEL_ID} {job.id}: completed after T s" for job in slow.accepted
    ]
    assert terminal.screen.has_cursor


def test_a_program_that_ends_during_a_wait_gives_the_terminal_back(stuck: Sandbox, in_terminal: Any) -> None:
    program = """
waiting = threading.Event()
threading.Thread(target=run, kwargs={"progress": True, "on_update": lambda status: waiting.set()}, daemon=True).start()
waiting.wait()
sys.stdin.readline()
"""
    terminal = in_terminal(RUN["sync"] + program, stuck)
    terminal.until("in_queue")
    terminal.enter()
    terminal.end()

    assert terminal.screen.lines == []
    assert terminal.screen.has_cursor


def test_a_forked_child_leaves_the_live_line_to_its_parent(slow: Sandbox, in_terminal: Any) -> None:
    program = """
def fork(status):
    sys.stdin.readline()
    child = os.fork()
    if child == 0:
        print("child", vars(sys.stderr), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
run(progress=True, on_update=fork)
"""
    terminal = in_terminal(RUN["sync"] + program, slow, PYTHONWARNINGS="ignore")
    for _ in range(3):
        terminal.until("s")
        terminal.enter()
    terminal.end()

    assert terminal.out == "child {'mode': 'w'}\n" * 3
    assert untimed(terminal.screen.lines) == [last_line(slow)]
