"""Ledgers that several threads and processes write at once, some of which are killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Kind
from runcomfy import Client, Ledger, LedgerError
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="u")
SUBMITS = """
import sys
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

with Client(ledger=sys.argv[1], poll_interval=0.0) as client:
    for number in range(int(sys.argv[2])):
        print(edit.submit(client, prompt=f"{sys.argv[3]} {number}", image_url="u").id, flush=True)
"""
RUNS = SUBMITS.replace("edit.submit", "edit.run").replace(").id", ").raw['request_id']")


@contextmanager
def program(text: str, sandbox: Sandbox, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "RUNCOMFY_TOKEN": sandbox.token, "RUNCOMFY_MODEL_API_BASE": sandbox.base_url}
    command = [sys.executable, "-c", text, *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def killed(text: str, sandbox: Sandbox, database: str, reached: Callable[[], bool]) -> list[str]:
    """Kill a program at once when something is reached; the ids that it printed."""
    with program(text, sandbox, database, "1000", "p") as process:
        while not reached() and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
        assert process.stdout is not None
        return process.stdout.read().splitlines()


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends signals that only POSIX has")


def test_a_process_killed_during_a_submit_leaves_an_unknown_one(database: str) -> None:
    with Sandbox() as sandbox:
        sandbox.faults.append(Fault("submit", delay=3600, takes_effect=True))
        killed(SUBMITS, sandbox, database, lambda: len(sandbox.accepted) == 1)

        with Ledger(database) as ledger:
            (entry,) = ledger.unknown()

        assert entry.error == "the program that submitted it ended before it could write down an answer"
        assert entry.arguments["prompt"] == "p 0"


@pytest.mark.parametrize("text", [SUBMITS, RUNS], ids=["submits", "runs"])
def test_a_process_killed_at_any_instant_loses_no_job(database: str, text: str) -> None:
    with Sandbox() as sandbox:
        printed = killed(text, sandbox, database, lambda: len(sandbox.accepted) >= 7)
        client = Client(sandbox.token, sandbox.base_url, ledger=database)
        known = [entry.request_id for entry in client.ledger.entries() if entry.request_id]
        unknown = list(client.ledger.unknown())
        accepted = [job.id for job in sandbox.accepted]

        assert set(printed) <= set(known) <= set(accepted)
        assert len(known) <= len(accepted) <= len(known) + len(unknown)
        assert len(unknown) <= 1
        for job in client.ledger.resume(client):
            job.result()
        assert [entry.request_id for entry in client.ledger.finished()] == known
        assert list(client.ledger.open()) == []
        client.close()


def test_several_processes_write_one_ledger(database: str, sandbox: Sandbox) -> None:
    programs = [program(RUNS, sandbox, database, "10", name) for name in "abc"]
    processes = [entered.__enter__() for entered in programs]
    printed = [process.communicate()[0].splitlines() for process in processes]

    with Ledger(database) as ledger:
        entries = list(ledger.finished())

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(entry.request_id or "" for entry in entries) == sorted(
        request_id for lines in printed for request_id in lines
    )
    assert len(sandbox.accepted) == 30


def test_several_threads_write_one_ledger(sandbox: Sandbox, database: str, kind: Kind) -> None:
    client = kind.client(sandbox, ledger=database)
    if kind.is_async:

        async def submit() -> list[Any]:
            return await asyncio.gather(*(client.run(REQUEST) for _ in range(60)))

        outputs = kind.settle(submit())
    else:
        with ThreadPoolExecutor(20) as pool:
            outputs = list(pool.map(client.run, [REQUEST] * 60))

    assert sorted(entry.request_id or "" for entry in client.ledger.finished()) == sorted(
        output.raw["request_id"] for output in outputs
    )


def test_a_forked_child_writes_to_the_ledger_of_its_parent(sandbox: Sandbox, run_program: Any, database: str) -> None:
    text = f"""
import os, warnings
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

warnings.simplefilter("ignore", DeprecationWarning)
client = Client(ledger={database!r}, poll_interval=0.0)
edit.run(client, prompt="parent", image_url="u")
child = os.fork()
if not child:
    edit.run(client, prompt="child", image_url="u")
    client.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
edit.run(client, prompt="parent again", image_url="u")
print([entry.arguments["prompt"] for entry in client.ledger.finished()])
"""
    assert run_program(text, sandbox) == "['parent', 'child', 'parent again']\n"


READ_ONLY = "sqlite:///file:{}?mode=ro&uri=true"


def test_a_ledger_that_cannot_be_written_can_be_read_and_nothing_is_sent(
    kind: Kind, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "jobs.sqlite3"
    with Ledger(path) as ledger:
        kind.settle(kind.client(sandbox, ledger=ledger).submit(REQUEST))
    client = kind.client(sandbox, ledger=READ_ONLY.format(path))
    sandbox.requests.clear()

    with pytest.raises(LedgerError, match="attempt to write a readonly database"):
        kind.settle(client.submit(REQUEST))

    assert not [request for request in sandbox.requests if request.method == "POST"]
    assert [entry.state for entry in client.ledger.entries()] == ["open"]
    (job,) = client.ledger.resume(client, edit.Output)
    assert kind.settle(job.result()).raw["request_id"] == job.id


FULL = """
import json, logging, os, resource, sys
from runcomfy import Client, LedgerError
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

logging.basicConfig(format="%(message)s", stream=sys.stdout)
path, pages = sys.argv[1:]
client = Client(ledger=path, poll_interval=0.0)
edit.run(client, prompt="the first one", image_url="u")
size = os.stat(path + "-wal").st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + int(pages) * 4120, -1))  # no file may grow beyond it
try:
    for number in range(1000):
        print(edit.run(client, prompt=str(number), image_url="u").raw["request_id"])
except LedgerError as error:
    print("LedgerError:", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))  # the disk has room again
client.close()
"""


@pytest.mark.parametrize("pages", [5, 14])
def test_a_full_disk_is_told_before_anything_is_sent_and_loses_no_result(
    sandbox: Sandbox, run_program: Any, tmp_path: Path, pages: int
) -> None:
    text = FULL.replace("sys.argv[1:]", f"{str(tmp_path / 'jobs.sqlite3')!r}, {pages}")

    *lines, last = run_program(text, sandbox).splitlines()
    ids = [line for line in lines if "could not be written down" not in line]

    assert last.startswith(f"LedgerError: ledger {tmp_path / 'jobs.sqlite3'}: ")
    accepted = [job.id for job in sandbox.accepted]
    assert ids == accepted[1:]
    with Ledger(tmp_path / "jobs.sqlite3") as ledger:
        assert [entry.request_id for entry in ledger.entries("completed")] == accepted
        assert list(ledger.entries("open", "unknown", "submitting")) == []
