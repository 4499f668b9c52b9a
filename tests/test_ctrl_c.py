"""Ctrl-C, and other signals, in programs of their own: no accepted job is left behind that nobody knows."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from runcomfy.sandbox import Fault, Sandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
SLOW = Fault("submit", delay=1.0)
PROGRAM = """
import json, os, signal, sys, threading, traceback
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

client = Client(poll_interval=0.05, cancel_on_interrupt="cancel" in sys.argv)
request = edit.Input(prompt="p", image_url="u")

def interrupt():
    while sys.stdin.readline():  # the test says when
        os.kill(os.getpid(), signal.SIGINT)

def handle(*_):
    print("interrupted", flush=True)
    raise KeyboardInterrupt

signal.signal(signal.SIGINT, handle)
threading.Thread(target=interrupt, daemon=True).start()
try:
    {call}
except KeyboardInterrupt as error:
    cause = error.__cause__
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert os.environ["RUNCOMFY_TOKEN"] not in shown, shown
    print(json.dumps([getattr(error, "request_id", None), error.__notes__, type(cause).__name__]))
"""


def was_submitted(sandbox: Sandbox) -> bool:
    return bool(sandbox.requests)


def was_polled(sandbox: Sandbox) -> bool:
    return len(sandbox.requests) > 3


@pytest.fixture
def interrupted(tmp_path: Path) -> Any:
    """Run a program that gets Ctrl-C whenever a line is given to it."""

    def interrupted(
        sandbox: Sandbox,
        call: str,
        reached: Any,
        *options: str,
        interrupts: int = 1,
        reached_again: Any = was_submitted,
    ) -> Any:
        program = tmp_path / "program.py"
        program.write_text(PROGRAM.replace("{call}", call))
        environment = {**os.environ, "RUNCOMFY_TOKEN": sandbox.token, "RUNCOMFY_MODEL_API_BASE": sandbox.base_url}
        with subprocess.Popen(
            [sys.executable, str(program), *options],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for number in range(interrupts):
                while not (reached if number == 0 else reached_again)(sandbox) and process.poll() is None:
                    pass
                process.stdin.write("\n")
                process.stdin.flush()
                assert process.stdout.readline() == "interrupted\n"
            process.stdin.close()
            assert process.stderr is not None
            out, log = process.stdout.read(), process.stderr.read()
        assert process.returncode == 0, log
        return (*json.loads(out), log)

    return interrupted


@pytest.mark.parametrize("call", ["client.submit(request)", "client.run(request)"])
def test_ctrl_c_during_a_submit_tells_the_id_of_the_accepted_job(stuck: Sandbox, interrupted: Any, call: str) -> None:
    stuck.faults.append(SLOW)

    request_id, notes, _, log = interrupted(stuck, call, was_submitted)

    (job,) = stuck.accepted
    assert request_id == job.id
    assert f"request {job.id} was accepted and goes on" in notes[0]
    assert job.id in log
    assert job.state == "in_queue"


def test_ctrl_c_during_a_submit_cancels_the_job_where_that_is_wished(stuck: Sandbox, interrupted: Any) -> None:
    stuck.faults.append(SLOW)

    _, notes, _, log = interrupted(stuck, "client.submit(request)", was_submitted, "cancel")

    assert "was cancelled" in notes[0]
    assert "was cancelled" in log
    assert stuck.accepted[0].state == "cancelled"


def test_ctrl_c_during_a_submit_whose_answer_is_lost_says_that_nothing_is_known(
    sandbox: Sandbox, interrupted: Any
) -> None:
    sandbox.faults.append(Fault("submit", drop="answer", takes_effect=True, delay=1.0))

    request_id, notes, cause, log = interrupted(sandbox, "client.submit(request)", was_submitted)

    assert (request_id, cause) == (None, "SubmissionOutcomeUnknown")
    assert "Whether a job was accepted is not known" in notes[0]
    assert "Whether a job was accepted is not known" in log


def test_a_second_ctrl_c_does_not_wait_for_the_answer(sandbox: Sandbox, interrupted: Any) -> None:
    sandbox.faults.append(Fault("submit", delay=3600))

    _, notes, cause, _ = interrupted(sandbox, "client.submit(request)", was_submitted, interrupts=2)

    assert cause == "SubmissionOutcomeUnknown"
    assert "interrupted before an answer came" in notes[0]


@pytest.mark.parametrize("call", ["client.run(request)", "list(client.submit(request).updates())"])
def test_ctrl_c_during_a_wait_leaves_the_job_alive_and_tells_its_id(
    stuck: Sandbox, interrupted: Any, call: str
) -> None:
    request_id, notes, _, log = interrupted(stuck, call, was_polled)

    (job,) = stuck.accepted
    assert request_id == job.id
    assert f"client.job({job.id!r}, …).result() resumes the wait" in notes[0]
    assert job.id in log
    assert job.state == "in_queue"


def test_ctrl_c_during_a_wait_cancels_the_job_where_that_is_wished(stuck: Sandbox, interrupted: Any) -> None:
    interrupted(stuck, "client.run(request)", was_polled, "cancel")
    interrupted(stuck, "client.run(request, cancel_on_interrupt=True)", lambda s: len(s.accepted) > 1 and was_polled(s))

    assert [job.state for job in stuck.accepted] == ["cancelled", "cancelled"]


def test_a_job_that_runs_already_goes_on_though_cancelling_was_wished(interrupted: Any) -> None:
    with Sandbox(run_seconds=3600) as sandbox:
        _, notes, _, _ = interrupted(sandbox, "client.run(request)", was_polled, "cancel")

    assert "could no longer be cancelled, so it goes on" in notes[0]


MAP = "list(client.map([request] * 5, concurrency=5))"


def all_polled(sandbox: Sandbox) -> bool:
    polled = {request.path for request in sandbox.requests if request.path.endswith("/status")}
    return len(polled) == 5


def test_ctrl_c_during_a_map_leaves_the_jobs_alive_and_tells_their_ids(stuck: Sandbox, interrupted: Any) -> None:
    _, notes, _, log = interrupted(stuck, MAP, all_polled)

    assert len(stuck.accepted) == 5
    for job in stuck.accepted:
        assert job.id in notes[0]
        assert job.id in log
        assert job.state == "in_queue"


def test_ctrl_c_during_a_map_waits_for_the_ids_of_submits_on_their_way(stuck: Sandbox, interrupted: Any) -> None:
    stuck.faults.extend([SLOW] * 5)

    _, notes, _, _ = interrupted(stuck, MAP, lambda sandbox: len(sandbox.requests) == 5)

    assert len(stuck.accepted) == 5
    assert all(job.id in notes[0] for job in stuck.accepted)


def test_a_second_ctrl_c_during_a_map_does_not_wait_for_the_answers(sandbox: Sandbox, interrupted: Any) -> None:
    sandbox.faults.extend([Fault("submit", delay=3600)] * 5)

    _, notes, _, log = interrupted(sandbox, MAP, lambda sandbox: len(sandbox.requests) == 5, interrupts=2)

    assert notes[0].count("interrupted before an answer came") == 5
    assert log.count("interrupted before an answer came") == 5


def test_ctrl_c_during_a_map_cancels_the_jobs_where_that_is_wished(stuck: Sandbox, interrupted: Any) -> None:
    interrupted(stuck, MAP, all_polled, "cancel")

    assert [job.state for job in stuck.accepted] == ["cancelled"] * 5


LEFT = """
import logging, signal
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

logging.getLogger("runcomfy").setLevel(logging.ERROR)
request = edit.Input(prompt="p", image_url="u")
ending = []

def interrupt(*_):
    if ending:
        ending.clear()
        raise KeyboardInterrupt

def fail(update):
    wait_for_all()
    ending.append(True)
    raise LookupError

def wait_for_all():
    while sum(request.path.startswith("/v1/models/") for request in sandbox.requests) < 4:
        pass

signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.3, 0.3)
with Sandbox(queue_seconds=3600) as sandbox:
    sandbox.faults.extend([Fault("submit", {first})] + [Fault("submit", delay=3600)] * 3)
    client = Client(sandbox.token, sandbox.base_url, poll_interval=0.05)
    try:
        results = client.map([request] * 4, on_update={on_update})
        next(results)
        wait_for_all()
        ending.append(True)
        {end}
        print("went on")
    except KeyboardInterrupt as error:
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(error.__notes__[0].count("interrupted before an answer came"), type(error.__context__).__name__)
    client.close()
"""


@pytest.mark.parametrize(
    ("end", "context"),
    [("results.close()", "GeneratorExit"), ("client.close()", "NoneType"), ("fail", "LookupError")],
)
def test_ctrl_c_while_a_map_that_is_left_waits_for_its_submits_is_raised(
    sandbox: Sandbox, run_program: Any, end: str, context: str
) -> None:
    """Else the program goes on, and pays for more."""
    fails = end == "fail"
    program = LEFT.replace("{first}", "" if fails else '422, b"no"').replace("{end}", "pass" if fails else end)

    told = run_program(program.replace("{on_update}", "fail" if fails else "None"), sandbox).strip()

    assert told in (f"3 {context}", "3 Empty")  # the latter where it came just when a look into a queue ended


PATIENT = """
import signal, socket, threading, httpx
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(0)
queue = [socket.create_connection(listener.getsockname())]  # the next ones wait
for _ in range(3):
    queue.append(socket.socket())
    queue[-1].setblocking(False)
    queue[-1].connect_ex(listener.getsockname())
client = Client("t", f"http://127.0.0.1:{listener.getsockname()[1]}")
threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
try:
    client.submit(edit.Input(prompt="p", image_url="u"))
except KeyboardInterrupt as error:
    print(error.__notes__)
received = []
listener.settimeout(3)
try:
    while True:  # now the connection of the submit is accepted, too late
        connection, _ = listener.accept()
        connection.settimeout(0.5)
        try:
            received.append(connection.recv(10).decode())
        except TimeoutError:
            pass
except TimeoutError:
    print("POST" in "".join(received))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="fills the queue of a listening socket, as Linux has it")
def test_nothing_is_sent_any_more_once_a_submit_was_interrupted(sandbox: Sandbox, run_program: Any) -> None:
    """Else who is told to look finds nothing, submits again, and pays twice."""
    notes, was_sent = run_program(PATIENT, sandbox).splitlines()

    assert "Nothing was sent; it is safe to call again" in notes
    assert was_sent == "False"


STOPPED = """
import asyncio, httpx
from runcomfy import AsyncClient
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

async def submit():
    await AsyncClient().submit(edit.Input(prompt="p", image_url="u"))

def interrupt():
    raise KeyboardInterrupt

loop = asyncio.new_event_loop()
loop.call_later(1.0, interrupt)
try:
    loop.run_until_complete(submit())
except KeyboardInterrupt:
    loop.close()
"""


def test_a_submit_that_waits_for_its_answer_when_the_program_ends_is_told_in_the_log(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.faults.append(Fault("submit", delay=3600))
    program = tmp_path / "program.py"
    program.write_text(STOPPED)
    environment = {**os.environ, "RUNCOMFY_TOKEN": sandbox.token, "RUNCOMFY_MODEL_API_BASE": sandbox.base_url}

    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)

    assert "Whether a job was accepted is not known" in done.stderr


def test_a_submit_needs_no_thread_where_none_can_be_started(sandbox: Sandbox, run_program: Any) -> None:
    """As at the end of a program, from some versions of Python on."""
    program = """
import atexit
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

@atexit.register
def last_words():
    with Client() as client:
        print(client.submit(edit.Input(prompt="p", image_url="u")).id)
"""

    assert run_program(program, sandbox).strip() == sandbox.accepted[0].id


@pytest.mark.parametrize("call", ["client.run(request)", "client.submit(request)"])
def test_a_second_ctrl_c_while_cancelling_keeps_no_id_from_being_told(
    stuck: Sandbox, interrupted: Any, call: str
) -> None:
    stuck.faults.extend([Fault("cancel", delay=3600), SLOW])

    def is_being_cancelled(sandbox: Sandbox) -> bool:
        return sandbox.requests[-1].path.endswith("/cancel")

    request_id, notes, _, log = interrupted(
        stuck, call, was_submitted, "cancel", interrupts=2, reached_again=is_being_cancelled
    )

    (job,) = stuck.accepted
    assert request_id == job.id
    assert job.id in notes[0]
    assert job.id in log


def test_an_exception_of_a_signal_handler_is_an_interruption_of_whatever_class(
    stuck: Sandbox, run_program: Any
) -> None:
    stuck.faults.append(SLOW)
    program = """
import logging, signal, httpx
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

logging.getLogger("runcomfy").setLevel(logging.ERROR)

class Late(RuntimeError):
    pass

def alarm(*_):
    raise Late

signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.6)
try:
    Client().submit(edit.Input(prompt="p", image_url="u"))
except Late as error:
    print(error.request_id)
"""

    assert run_program(program, stuck).strip() == stuck.accepted[0].id
