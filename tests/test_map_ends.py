"""Maps that end early: nothing more is sent, and no job is left behind that nobody knows."""

import asyncio
import gc
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from conftest import Kind
from runcomfy import AsyncClient, ConfigurationError, Ledger, MapUpdate, NotFoundError, SubmissionOutcomeUnknown
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="u")
REFUSED = Fault("submit", 422, b'{"error_message": "no"}')
TOO_LONG = edit.Input(prompt="p" * 2000, image_url="u")
"""Is refused at once, while all jobs are stuck. As the last one it is taken when the others have been begun."""


def short(kind: Kind, sandbox: Sandbox, **settings: Any) -> Any:
    return kind.client(sandbox, max_request_bytes=1000, **settings)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.message for record in caplog.records if (record.name, record.levelno) == ("runcomfy", logging.WARNING)
    ]


def submits(sandbox: Sandbox) -> int:
    return sum(request.method == "POST" and "/models/" in request.path for request in sandbox.requests)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # the condition is one of the sandbox's thread
        await asyncio.sleep(0)


def leave(kind: Kind, client: Any, results: Any, reached: Callable[[], bool]) -> list[Any]:
    """Take one result, and break once something is reached."""

    async def loop_async() -> list[Any]:
        found = []
        async for result in results():
            found.append(result)
            await until(reached)
            break
        await client.close()
        return found

    if kind.is_async:
        found: list[Any] = kind.settle(loop_async())
        return found
    found = []
    for result in results():
        found.append(result)
        while not reached():
            pass
        break
    return found


def test_a_loop_that_is_left_tells_the_log_which_jobs_go_on(
    kind: Kind, stuck: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    client = short(kind, stuck, cancel_on_interrupt=True)
    requests = chain([REQUEST] * 3, [TOO_LONG], repeat(REQUEST))

    leave(kind, client, lambda: client.map(requests, concurrency=4), lambda: len(stuck.accepted) >= 3)

    (text,) = warnings(caplog)
    assert all(job.id in text for job in stuck.accepted)
    assert "client.job(id, …).result() gives the result" in text
    assert {job.state for job in stuck.accepted} == {"in_queue"}
    assert submits(stuck) == len(stuck.accepted) <= 4


def test_a_loop_that_is_left_with_all_results_taken_tells_nothing(
    kind: Kind, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    client = kind.client(sandbox)

    leave(kind, client, lambda: client.map([REQUEST]), lambda: True)

    assert warnings(caplog) == []


def test_results_that_were_not_taken_are_told_too(
    kind: Kind, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.fail_next("boom")
    client = kind.client(sandbox)

    def are_read() -> bool:
        return sum("/result" in request.path for request in sandbox.requests) >= 2

    found = leave(kind, client, lambda: client.map(repeat(REQUEST), concurrency=1), are_read)

    (text,) = warnings(caplog)
    assert found[0].request_id not in text
    assert all(job.id in text for job in sandbox.accepted[1:])


@pytest.mark.parametrize("drop", [None, "answer"])
def test_submits_on_their_way_are_waited_for(
    kind: Kind, stuck: Sandbox, caplog: pytest.LogCaptureFixture, drop: Any
) -> None:
    stuck.faults.extend([Fault("submit", delay=1.0, drop=drop, takes_effect=True)] * 3)
    client = short(kind, stuck)

    leave(kind, client, lambda: client.map([REQUEST] * 3 + [TOO_LONG], concurrency=4), lambda: submits(stuck) == 3)

    (text,) = warnings(caplog)
    assert len(stuck.accepted) == 3
    if drop is None:
        assert all(job.id in text for job in stuck.accepted)
    else:
        assert text.count("Whether a job was accepted is not known") == 3


def test_what_waits_for_its_turn_is_not_sent_any_more(
    kind: Kind, stuck: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    stuck.faults.extend([Fault("submit", 429, b"slow down", {"Retry-After": "30"})] * 3)
    client = short(kind, stuck)

    leave(kind, client, lambda: client.map([REQUEST] * 3 + [TOO_LONG], concurrency=4), lambda: submits(stuck) >= 1)

    assert stuck.accepted == []
    assert warnings(caplog) == []


def test_a_function_that_raises_ends_the_map_at_once(
    kind: Kind, stuck: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    called = []

    def fail(update: MapUpdate) -> None:
        called.append(update)
        raise LookupError("a bug")

    client = kind.client(stuck)
    with pytest.raises(LookupError, match="a bug") as caught:
        kind.collect(client.map(repeat(REQUEST), concurrency=4, on_update=fail))

    (text,) = warnings(caplog)
    assert text == caught.value.__notes__[0]
    assert set(caught.value.request_ids) == {job.id for job in stuck.accepted}  # type: ignore[attr-defined]  # it is added to any exception
    assert len(called) == 1


@pytest.mark.parametrize("error", [NotFoundError, KeyboardInterrupt, SystemExit])
def test_a_function_may_raise_anything(kind: Kind, stuck: Sandbox, error: Any) -> None:
    raised = error.__new__(error)
    raised.__init__(*([] if error is not NotFoundError else ["m"]), **_FACTS if error is NotFoundError else {})

    def fail(update: MapUpdate) -> None:
        raise raised

    client = kind.client(stuck)
    with pytest.raises(error) as caught:
        kind.collect(client.map(repeat(REQUEST), on_update=fail))

    assert caught.value is raised
    assert [job.state for job in stuck.accepted] == ["in_queue"] * len(stuck.accepted)


_FACTS: dict[str, Any] = {"status_code": 404, "code": None, "message": None, "detail": None, "body": b""}


def test_an_interruption_cancels_the_jobs_where_that_is_wished(kind: Kind, stuck: Sandbox) -> None:
    def interrupt(update: MapUpdate) -> None:
        if update.index == 3:
            raise KeyboardInterrupt

    client = kind.client(stuck, cancel_on_interrupt=True)
    with pytest.raises(KeyboardInterrupt) as caught:
        kind.collect(client.map(repeat(REQUEST), concurrency=4, on_update=interrupt))

    assert {job.state for job in stuck.accepted} == {"cancelled"}
    assert all(job.id in caught.value.__notes__[0].splitlines()[1] for job in stuck.accepted)
    assert caught.value.__notes__[0].splitlines()[1].startswith("cancelled: ")


def test_jobs_that_could_not_be_cancelled_are_told_as_going_on(kind: Kind, stuck: Sandbox) -> None:
    def interrupt(update: MapUpdate) -> None:
        raise KeyboardInterrupt

    stuck.faults.extend([Fault("cancel", 400, b"no")] * 4)
    client = kind.client(stuck, cancel_on_interrupt=True)
    with pytest.raises(KeyboardInterrupt) as caught:
        kind.collect(client.map([REQUEST] * 4, concurrency=4, on_update=interrupt))

    (note,) = caught.value.__notes__
    assert "cancelled" not in note
    assert all(job.id in note for job in stuck.accepted)


def test_a_map_that_is_never_begun_sends_nothing(kind: Kind, sandbox: Sandbox) -> None:
    client = kind.client(sandbox)
    results = client.map([REQUEST])
    del results

    assert sandbox.requests == []


@pytest.mark.parametrize("cancels", [False, True])
def test_a_cancelled_task_tells_or_cancels_its_jobs(stuck: Sandbox, cancels: bool) -> None:
    async def work(client: AsyncClient) -> None:
        async for _ in client.map(repeat(REQUEST), concurrency=5):
            pass

    async def main() -> asyncio.CancelledError:
        async with AsyncClient(stuck.token, stuck.base_url, cancel_on_interrupt=cancels) as client:
            task = asyncio.create_task(work(client))
            await until(lambda: len(stuck.accepted) == 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            return caught.value

    error = asyncio.run(main())

    assert all(job.id in error.__notes__[0] for job in stuck.accepted)
    assert {job.state for job in stuck.accepted} == {"cancelled" if cancels else "in_queue"}
    assert len(stuck.accepted) == 5


def test_a_task_that_is_cancelled_twice_does_not_wait_for_the_answers(stuck: Sandbox) -> None:
    stuck.faults.extend([Fault("submit", delay=3600)] * 3)

    async def work(client: AsyncClient) -> None:
        async for _ in client.map([REQUEST] * 3):
            pass

    async def main() -> asyncio.CancelledError:
        async with AsyncClient(stuck.token, stuck.base_url) as client:
            task = asyncio.create_task(work(client))
            await until(lambda: submits(stuck) == 3)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            return caught.value

    assert asyncio.run(main()).__notes__[0].count("interrupted before an answer came") == 3


async def leave_and_go_on(client: AsyncClient, sandbox: Sandbox, ending: asyncio.Event, *, close: bool) -> None:
    async with aclosing(client.map([REQUEST] * 3 + [TOO_LONG])) as results:
        async for _ in results:
            await until(lambda: submits(sandbox) == 3)
            ending.set()
            if close:
                await client.close()
            break
    await client.submit(REQUEST)


async def fail_and_go_on(client: AsyncClient, sandbox: Sandbox, ending: asyncio.Event) -> None:
    def fail(update: MapUpdate) -> None:
        while submits(sandbox) < 4:
            pass
        ending.set()
        raise LookupError

    with suppress(LookupError):
        async for _ in client.map([REQUEST] * 4, on_update=fail):
            pass
    await client.submit(REQUEST)


@pytest.mark.parametrize(
    ("program", "context"),
    [
        (partial(leave_and_go_on, close=False), GeneratorExit),
        (partial(leave_and_go_on, close=True), type(None)),
        (fail_and_go_on, LookupError),
    ],
)
def test_a_cancellation_while_a_map_that_is_left_waits_for_its_submits_is_raised(
    stuck: Sandbox, program: Any, context: Any
) -> None:
    """Else the program goes on, and pays for more."""
    first = [Fault("submit")] if program is fail_and_go_on else []
    stuck.faults.extend([*first, *[Fault("submit", delay=3600)] * 3])

    async def main() -> asyncio.CancelledError:
        async with AsyncClient(stuck.token, stuck.base_url, max_request_bytes=1000) as client:
            ending = asyncio.Event()
            task = asyncio.create_task(program(client, stuck, ending))
            await ending.wait()
            for _ in range(9):  # until it waits
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert task.cancelled()
            return caught.value

    error = asyncio.run(main())

    assert error.__notes__[0].count("interrupted before an answer came") == 3
    assert isinstance(error.__context__, context)
    assert submits(stuck) == 3 + len(first)


def test_closing_the_client_ends_its_maps(kind: Kind, stuck: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    stuck.faults.extend([Fault("submit", delay=0.5)] * 3)
    client = short(kind, stuck, cancel_on_interrupt=True)
    results = client.map([REQUEST] * 3 + [TOO_LONG])
    assert take(kind, results).error is not None
    kind.settle(until(lambda: submits(stuck) == 3))

    kind.settle(client.close())

    (text,) = warnings(caplog)
    assert len(stuck.accepted) == 3
    assert all(job.id in text for job in stuck.accepted)
    assert {job.state for job in stuck.accepted} == {"in_queue"}
    with pytest.raises(ConfigurationError, match="this client is closed; make a new one") as caught:
        take(kind, results)
    assert caught.value.__notes__ == [text]
    assert set(caught.value.request_ids) == {job.id for job in stuck.accepted}  # type: ignore[attr-defined]  # it is added to any exception
    assert kind.collect(results) == []
    kind.settle(client.close())
    assert len(warnings(caplog)) == 1


def take(kind: Kind, results: Any) -> Any:
    return kind.settle(anext(results)) if kind.is_async else next(results)


def test_a_map_of_a_closed_client_sends_nothing(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    results = client.map([REQUEST])
    kind.settle(client.close())

    with pytest.raises(ConfigurationError, match="this client is closed; make a new one"):
        kind.collect(results)
    assert sandbox.requests == []


def test_a_loop_that_waits_for_a_result_ends_when_the_client_is_closed(kind: Kind, stuck: Sandbox) -> None:
    client = kind.client(stuck)
    results = client.map([REQUEST] * 3)

    def close_when_polled() -> None:
        while sum(request.path.endswith("/status") for request in stuck.requests) < 3:
            pass
        client.close()

    async def loop() -> None:
        waiting = asyncio.create_task(anext(results))
        await until(lambda: sum(request.path.endswith("/status") for request in stuck.requests) >= 3)
        await client.close()
        await waiting

    closer = threading.Thread(target=close_when_polled)
    if not kind.is_async:
        closer.start()
    with pytest.raises(ConfigurationError, match="this client is closed; make a new one") as caught:
        kind.settle(loop()) if kind.is_async else next(results)
    if not kind.is_async:
        closer.join()

    assert all(job.id in caught.value.__notes__[0] for job in stuck.accepted)


def test_a_client_may_be_closed_by_the_function_that_its_map_calls(stuck: Sandbox) -> None:
    kind = Kind("sync")
    client = kind.client(stuck)
    with pytest.raises(ConfigurationError, match="this client is closed; make a new one"):
        list(client.map(repeat(REQUEST), concurrency=3, on_update=lambda _: client.close()))
    kind.close()


def test_submits_on_their_way_when_the_client_is_closed_are_in_the_ledger(
    kind: Kind, stuck: Sandbox, tmp_path: Path
) -> None:
    stuck.faults.extend([Fault("submit", delay=3600)] * 3)
    client = kind.client(stuck, ledger=tmp_path / "jobs.sqlite3")
    errors: list[BaseException] = []

    def submit() -> None:
        try:
            client.submit(REQUEST)
        except SubmissionOutcomeUnknown as error:
            errors.append(error)

    async def submit_and_close() -> None:
        tasks = [asyncio.create_task(client.submit(REQUEST)) for _ in range(3)]
        await until(lambda: submits(stuck) == 3)
        await client.close()
        errors.extend(await asyncio.gather(*tasks, return_exceptions=True))

    if kind.is_async:
        kind.settle(submit_and_close())
    else:
        threads = [threading.Thread(target=submit) for _ in range(3)]
        for thread in threads:
            thread.start()
        while submits(stuck) < 3:
            pass
        client.close()
        for thread in threads:
            thread.join()

    assert [type(error) for error in errors] == [SubmissionOutcomeUnknown] * 3
    with Ledger(tmp_path / "jobs.sqlite3") as ledger:
        assert [entry.state for entry in ledger.entries()] == ["unknown"] * 3


def test_a_map_of_an_event_loop_that_is_closed_is_told_when_its_client_is_closed(
    stuck: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    client = AsyncClient(stuck.token, stuck.base_url, max_request_bytes=1000)
    results = client.map([REQUEST] * 3 + [TOO_LONG])

    async def take_one() -> Any:
        first = await anext(results)
        await until(lambda: sum(request.path.endswith("/status") for request in stuck.requests) >= 3)
        return first

    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(take_one()).error is not None
    loop.close()
    asyncio.run(client.close())

    (text,) = warnings(caplog)
    assert len(stuck.accepted) == 3
    assert all(job.id in text for job in stuck.accepted)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its client is never closed
def test_a_loop_that_is_left_at_the_end_of_the_program_tells_its_jobs(
    stuck: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    stuck.faults.extend([Fault("submit", delay=0.5)] * 3)

    async def main() -> None:
        client = AsyncClient(stuck.token, stuck.base_url, cancel_on_interrupt=True, max_request_bytes=1000)
        async for _ in client.map([REQUEST] * 3 + [TOO_LONG]):
            await until(lambda: submits(stuck) == 3)
            break

    asyncio.run(main())
    gc.collect()

    (text,) = warnings(caplog)
    assert len(stuck.accepted) == 3
    assert all(job.id in text for job in stuck.accepted)
    assert {job.state for job in stuck.accepted} == {"in_queue"}


def test_a_map_belongs_to_the_event_loop_that_it_was_begun_in(stuck: Sandbox) -> None:
    stuck.faults.append(REFUSED)
    client = AsyncClient(stuck.token, stuck.base_url)
    results = client.map([REQUEST])

    async def take() -> Any:
        return await anext(results)

    loops = [asyncio.new_event_loop() for _ in range(2)]
    assert loops[0].run_until_complete(take()).error is not None
    with pytest.raises(ConfigurationError, match="belongs to the event loop"):
        loops[1].run_until_complete(take())
    loops[0].run_until_complete(client.close())
    for loop in loops:
        loop.close()


PROGRAMS = {
    "sync": """
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
request = edit.Input(prompt="p", image_url="u")
results = Client(max_request_bytes=1000).map([request] * 3 + [edit.Input(prompt="p" * 2000, image_url="u")])
first = next(results)
print(first.error is not None, flush=True)
input()
""",
    "async": """
import asyncio
from runcomfy import AsyncClient
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
request = edit.Input(prompt="p", image_url="u")
results = AsyncClient(max_request_bytes=1000).map([request] * 3 + [edit.Input(prompt="p" * 2000, image_url="u")])
async def main():
    first = await anext(results)
    print(first.error is not None, flush=True)
    await asyncio.to_thread(input)
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.stop()
""",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_ends_during_a_map_tells_its_jobs(program: str, stuck: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAMS[program])
    environment = {**os.environ, "RUNCOMFY_TOKEN": stuck.token, "RUNCOMFY_MODEL_API_BASE": stuck.base_url}
    with subprocess.Popen(
        [sys.executable, str(file)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        while len(stuck.accepted) < 3 or len(stuck.requests) < 8:
            assert process.poll() is None
        _, log = process.communicate("\n")

    assert all(log.count(job.id) == 1 for job in stuck.accepted), log


FORKING = """
import os
from runcomfy import Client, ConfigurationError
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
with Client(poll_interval=0.0) as client:
    results = client.map([edit.Input(prompt="p", image_url="u")] * 8, concurrency=2)
    next(results)
    child = os.fork()
    if child == 0:
        try:
            next(results)
        except ConfigurationError as error:
            os._exit(0 if "belongs to the process" in str(error) and not hasattr(error, "__notes__") else 2)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list(results)) == 7
    results = client.map([edit.Input(prompt="p", image_url="u")] * 8)  # not begun yet
    child = os.fork()
    if child == 0:
        os._exit(0 if len(list(results)) == 8 else 1)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_leaves_the_map_to_its_parent(sandbox: Sandbox, run_program: Any) -> None:
    run_program(FORKING, sandbox, "-W", "ignore::DeprecationWarning")


FEW_THREADS = """
import threading
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
start, started = threading.Thread.start, []
def start_few(thread):
    if len(started) == {limit}:
        raise RuntimeError("can't start new thread")
    started.append(thread)
    start(thread)
threading.Thread.start = start_few
with Client(poll_interval=0.0) as client:
    try:
        print(len(list(client.map([edit.Input(prompt="p", image_url="u")] * 8))))
    except RuntimeError as error:
        print(error)
"""


@pytest.mark.parametrize(("limit", "outcome"), [(2, "8"), (0, "can't start new thread")])
def test_the_threads_that_there_are_do_it_all(sandbox: Sandbox, run_program: Any, limit: int, outcome: str) -> None:
    assert run_program(FEW_THREADS.replace("{limit}", str(limit)), sandbox).strip() == outcome
    assert len(sandbox.accepted) == (8 if limit else 0)


INTERRUPTED_START = """
import threading
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
start = threading.Thread.start
def start_and_interrupt(thread):
    start(thread)
    if thread.name == "runcomfy-map-2":
        raise KeyboardInterrupt
threading.Thread.start = start_and_interrupt
with Client(poll_interval=0.0) as client:
    try:
        list(client.map([edit.Input(prompt="p", image_url="u")] * 8))
    except KeyboardInterrupt:
        workers = [thread for thread in threading.enumerate() if thread.name.startswith("runcomfy-map")]
        for worker in workers:
            worker.join(30)
        print([worker.name for worker in workers if worker.is_alive()])
"""


def test_a_worker_whose_start_was_interrupted_ends_too(sandbox: Sandbox, run_program: Any) -> None:
    assert run_program(INTERRUPTED_START, sandbox).strip().splitlines()[-1] == "[]"


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    """The threads of a map that was left end by themselves."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("runcomfy-map"):
            thread.join(30)
            assert not thread.is_alive()
