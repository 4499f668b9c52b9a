"""Ctrl-C and cancelled tasks: no accepted job is left behind that nobody knows."""

import asyncio
import gc
import json
import logging
import os
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
from conftest import Kind
from runcomfy import APIConnectionError, AsyncClient, ConfigurationError, SubmissionOutcomeUnknown, _http
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="u")
SLOW = Fault("submit", delay=1.0)


PROGRAM = """
import json, os, signal, sys, threading
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


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
@pytest.mark.parametrize("call", ["client.submit(request)", "client.run(request)"])
def test_ctrl_c_during_a_submit_tells_the_id_of_the_accepted_job(stuck: Sandbox, interrupted: Any, call: str) -> None:
    stuck.faults.append(SLOW)

    request_id, notes, _, log = interrupted(stuck, call, was_submitted)

    (job,) = stuck.accepted
    assert request_id == job.id
    assert f"request {job.id} was accepted and goes on" in notes[0]
    assert job.id in log
    assert job.state == "in_queue"


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_ctrl_c_during_a_submit_cancels_the_job_where_that_is_wished(stuck: Sandbox, interrupted: Any) -> None:
    stuck.faults.append(SLOW)

    _, notes, _, log = interrupted(stuck, "client.submit(request)", was_submitted, "cancel")

    assert "was cancelled" in notes[0]
    assert "was cancelled" in log
    assert stuck.accepted[0].state == "cancelled"


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_ctrl_c_during_a_submit_whose_answer_is_lost_says_that_nothing_is_known(
    sandbox: Sandbox, interrupted: Any
) -> None:
    sandbox.faults.append(Fault("submit", drop="answer", takes_effect=True, delay=1.0))

    request_id, notes, cause, log = interrupted(sandbox, "client.submit(request)", was_submitted)

    assert (request_id, cause) == (None, "SubmissionOutcomeUnknown")
    assert "Whether a job was accepted is not known" in notes[0]
    assert "Whether a job was accepted is not known" in log


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_a_second_ctrl_c_does_not_wait_for_the_answer(sandbox: Sandbox, interrupted: Any) -> None:
    sandbox.faults.append(Fault("submit", delay=3600))

    _, notes, cause, _ = interrupted(sandbox, "client.submit(request)", was_submitted, interrupts=2)

    assert cause == "SubmissionOutcomeUnknown"
    assert "interrupted before an answer came" in notes[0]


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
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


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_ctrl_c_during_a_wait_cancels_the_job_where_that_is_wished(stuck: Sandbox, interrupted: Any) -> None:
    interrupted(stuck, "client.run(request)", was_polled, "cancel")
    interrupted(stuck, "client.run(request, cancel_on_interrupt=True)", lambda s: len(s.accepted) > 1 and was_polled(s))

    assert [job.state for job in stuck.accepted] == ["cancelled", "cancelled"]


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_a_job_that_runs_already_goes_on_though_cancelling_was_wished(interrupted: Any) -> None:
    with Sandbox(run_seconds=3600) as sandbox:
        _, notes, _, _ = interrupted(sandbox, "client.run(request)", was_polled, "cancel")

    assert "could no longer be cancelled, so it goes on" in notes[0]


def run(sandbox: Sandbox, body: Any, **settings: Any) -> Any:
    async def main() -> Any:
        async with AsyncClient(sandbox.token, sandbox.base_url, poll_interval=0.0, **settings) as client:
            return await body(client)

    return asyncio.run(main())


async def until(condition: Any) -> None:
    while not condition():  # noqa: ASYNC110  # the condition is one of the sandbox's thread
        await asyncio.sleep(0)


async def cancelled(sandbox: Sandbox, work: Coroutine[Any, Any, Any], reached: Any) -> asyncio.CancelledError:
    """Cancel a task once the sandbox has what it is waited for; what it ends with."""
    task = asyncio.ensure_future(work)
    await until(lambda: reached(sandbox))
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


@pytest.mark.parametrize("verb", ["submit", "run"])
def test_a_task_cancelled_during_a_submit_tells_the_id_of_the_accepted_job(
    stuck: Sandbox, caplog: pytest.LogCaptureFixture, verb: str
) -> None:
    stuck.faults.append(SLOW)

    error = run(stuck, lambda client: cancelled(stuck, getattr(client, verb)(REQUEST), was_submitted))

    (job,) = stuck.accepted
    assert error.request_id == job.id
    assert job.id in error.__notes__[0]
    assert [(record.name, record.levelno) for record in caplog.records if job.id in record.message] == [
        ("runcomfy", logging.WARNING)
    ]
    assert job.state == "in_queue"


@pytest.mark.parametrize("fault", [SLOW, None])
def test_a_cancelled_task_cancels_the_job_where_that_is_wished(stuck: Sandbox, fault: Fault | None) -> None:
    stuck.faults.extend([fault] if fault else [])
    reached = was_submitted if fault else was_polled

    error = run(stuck, lambda client: cancelled(stuck, client.run(REQUEST, cancel_on_interrupt=True), reached))

    assert "was cancelled" in error.__notes__[0]
    assert stuck.accepted[0].state == "cancelled"


def test_a_wish_of_the_call_goes_before_that_of_the_client(stuck: Sandbox) -> None:
    run(
        stuck,
        lambda client: cancelled(stuck, client.run(REQUEST, cancel_on_interrupt=False), was_polled),
        cancel_on_interrupt=True,
    )

    assert stuck.accepted[0].state == "in_queue"


@pytest.mark.parametrize("status", [400, 503])
def test_a_job_that_could_not_be_cancelled_is_told_as_well(stuck: Sandbox, status: int) -> None:
    stuck.faults.extend([Fault("cancel", status)] * 100)

    error = run(
        stuck,
        lambda client: cancelled(stuck, client.run(REQUEST, timeout=600, cancel_on_interrupt=True), was_polled),
        timeout=0.3,
    )

    assert f"request {stuck.accepted[0].id} was accepted and may not be cancelled" in error.__notes__[0]
    assert f"HTTP {status}" in error.__notes__[0]


def test_a_lost_answer_to_an_interrupted_submit_is_told_as_unknown(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("submit", drop="answer", takes_effect=True, delay=1.0))

    error = run(sandbox, lambda client: cancelled(sandbox, client.submit(REQUEST), was_submitted))

    assert isinstance(error.__cause__, SubmissionOutcomeUnknown)
    assert error.__cause__.payload_sha256


def test_a_refused_submit_that_was_interrupted_leaves_nothing_behind(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.append(Fault("submit", 422, b'{"error_message": "no"}', delay=1.0))

    error = run(sandbox, lambda client: cancelled(sandbox, client.submit(REQUEST), was_submitted))

    assert "HTTP 422: no" in error.__notes__[0]
    assert not [record for record in caplog.records if record.name == "runcomfy"]


def test_wait_for_hides_the_exception_but_not_the_log(stuck: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    stuck.faults.append(SLOW)

    async def body(client: AsyncClient) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.submit(REQUEST), 0.5)

    run(stuck, body)

    assert stuck.accepted[0].id in caplog.text


def test_a_task_that_nobody_awaits_any_more_tells_its_id_when_the_loop_ends(
    stuck: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    stuck.faults.append(SLOW)
    kept = []

    async def work() -> None:
        async with AsyncClient(stuck.token, stuck.base_url) as client:
            await client.submit(REQUEST)

    async def main() -> None:
        kept.append(asyncio.create_task(work()))
        await until(lambda: was_submitted(stuck))

    asyncio.run(main())

    assert stuck.accepted[0].id in caplog.text


def test_a_task_cancelled_twice_does_not_wait_for_the_answer(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("submit", delay=3600))

    async def body(client: AsyncClient) -> Any:
        task = asyncio.create_task(client.submit(REQUEST))
        await until(lambda: was_submitted(sandbox))
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value

    error = run(sandbox, body)

    assert isinstance(error.__cause__, SubmissionOutcomeUnknown)
    assert "interrupted before an answer came" in error.__notes__[0]


def test_the_jobs_of_a_task_group_that_fails_are_all_told(stuck: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    stuck.faults.extend([SLOW, SLOW])

    async def group_of_three(client: AsyncClient) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(client.run(REQUEST))
            group.create_task(client.run(REQUEST))
            await until(lambda: len(stuck.requests) == 2)
            raise ValueError("something else went wrong")

    with pytest.raises(ExceptionGroup):
        run(stuck, group_of_three)

    assert len(stuck.accepted) == 2
    assert all(job.id in caplog.text for job in stuck.accepted)


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


def test_a_task_cancelled_before_anything_was_sent_sends_nothing(sandbox: Sandbox) -> None:
    async def body(client: AsyncClient) -> Any:
        task = asyncio.create_task(client.submit(REQUEST))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value

    error = run(sandbox, body)

    assert "Nothing was sent" in error.__notes__[0]
    assert sandbox.requests == []


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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # see the comment at its end
def test_cancelled_exchanges_do_not_use_up_the_connections(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the connections of one pool only, so that none of the others hides what became of them."""
    monkeypatch.setattr(_http, "_POOLS", 1)

    async def body(client: AsyncClient) -> None:
        job = await client.submit(REQUEST)
        random = Random(7)
        for _ in range(60):
            sandbox.faults.extend([Fault("status", delay=0.003)] * 5)
            tasks = [asyncio.create_task(asyncio.wait_for(job.status(), random.uniform(0, 0.01))) for _ in range(5)]
            await asyncio.gather(*tasks, return_exceptions=True)
            sandbox.faults.clear()
        assert (await asyncio.gather(*(job.status() for _ in range(8))))[0].done

    run(sandbox, body, timeout=3.0)
    gc.collect()  # anyio forgets a connection that is cancelled while it opens: only the collector closes it


@pytest.mark.parametrize("reached", [was_submitted, was_polled])
def test_a_client_that_is_closed_meanwhile_keeps_no_id_from_being_told(
    stuck: Sandbox, caplog: pytest.LogCaptureFixture, reached: Any
) -> None:
    stuck.faults.extend([SLOW] if reached is was_submitted else [])

    async def body(client: AsyncClient) -> asyncio.Task[Any]:
        task = asyncio.create_task(client.run(REQUEST))
        await until(lambda: reached(stuck))
        task.cancel()
        await asyncio.sleep(0)
        return task

    async def main() -> asyncio.CancelledError:
        async with AsyncClient(stuck.token, stuck.base_url, poll_interval=0.0) as client:
            task = await body(client)
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value

    error = asyncio.run(main())

    if reached is was_polled:
        assert error.request_id == stuck.accepted[0].id  # type: ignore[attr-defined]  # added by the client
    else:
        assert isinstance(error.__cause__, SubmissionOutcomeUnknown)
    assert error.__notes__[0] in caplog.text


def test_a_second_interruption_while_cancelling_keeps_no_id_from_being_told(
    stuck: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    stuck.faults.append(Fault("cancel", delay=3600))

    async def body(client: AsyncClient) -> asyncio.CancelledError:
        task = asyncio.create_task(client.run(REQUEST, cancel_on_interrupt=True))
        await until(lambda: was_polled(stuck))
        task.cancel()
        await until(lambda: stuck.requests[-1].path.endswith("/cancel"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value

    error = run(stuck, body)

    assert error.request_id == stuck.accepted[0].id
    assert f"request {stuck.accepted[0].id} was accepted and may not be cancelled" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
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


@pytest.mark.parametrize("cancel_on_interrupt", [False, True])
def test_a_framework_that_cancels_again_and_again_keeps_no_id_from_being_told(
    stuck: Sandbox, caplog: pytest.LogCaptureFixture, cancel_on_interrupt: bool
) -> None:
    """As anyio does, and with it Starlette when the client of a request has gone."""
    stuck.faults.append(SLOW)

    async def body(client: AsyncClient) -> None:
        with anyio.move_on_after(0.5):
            await client.run(REQUEST, cancel_on_interrupt=cancel_on_interrupt)

    run(stuck, body)

    (job,) = stuck.accepted
    assert job.id in caplog.text
    assert job.state == ("cancelled" if cancel_on_interrupt else "in_queue")


@pytest.mark.skipif(sys.platform == "win32", reason="raises an exception from a signal handler")
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


def test_closing_ends_what_runs_beside_a_cancelled_exchange(sandbox: Sandbox) -> None:
    async def main() -> list[Any]:
        client = AsyncClient(sandbox.token, sandbox.base_url, poll_interval=0.0)
        sandbox.faults.extend([Fault("status", delay=3600)] * 64)
        tasks = [asyncio.create_task(client.job("r1").status()) for _ in range(64)]
        await until(lambda: len(sandbox.requests) == 64)
        for task in tasks[:32]:
            task.cancel()
        await asyncio.gather(*tasks[:32], return_exceptions=True)
        await client.close()
        return await asyncio.gather(*tasks[32:], return_exceptions=True)

    assert {type(outcome) for outcome in asyncio.run(main())} == {ConfigurationError}


def test_many_submits_at_once_wait_for_their_turn_and_none_becomes_unknown(sandbox: Sandbox) -> None:
    """The time that a submit waits for its turn is not taken from the time that the API has for its answer."""
    sandbox.faults.extend([Fault("submit", delay=1.0)] * 300)

    async def body(client: AsyncClient) -> None:
        await asyncio.gather(*(client.submit(REQUEST) for _ in range(300)))

    run(sandbox, body, timeout=2.5)

    assert len(sandbox.accepted) == 300
