"""Threads, tasks, processes and event loops: right, or a clear error; and nothing is left open."""

import asyncio
import gc
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import Kind
from runcomfy import AsyncClient, Client, ConfigurationError, RunComfyError, _submit
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="u")
FIELDS = {"prompt": "p", "image_url": "u"}


def test_one_client_serves_many_threads(sandbox: Sandbox) -> None:
    with Client(sandbox.token, sandbox.base_url, poll_interval=0.0) as client, ThreadPoolExecutor(16) as threads:
        outputs = list(threads.map(lambda number: edit.run(client, prompt=str(number), image_url="u"), range(64)))

    assert len({output.raw["request_id"] for output in outputs}) == 64
    assert sorted(int(job.arguments["prompt"]) for job in sandbox.accepted) == list(range(64))
    for output in outputs:
        (job,) = [job for job in sandbox.accepted if job.id == output.raw["request_id"]]
        assert output.image is not None
        assert job.id in output.image


def test_the_first_call_of_many_threads_opens_one_set_of_connections(sandbox: Sandbox) -> None:
    client = Client(sandbox.token, sandbox.base_url)
    together = threading.Barrier(8)

    def submit(_: int) -> int:
        together.wait()
        client.submit(REQUEST)
        return id(client._connections[os.getpid()])

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(submit, range(8)))) == 1
    client.close()


def test_one_async_client_has_thousands_of_jobs_in_flight() -> None:
    async def main(sandbox: Sandbox) -> set[str]:
        async with AsyncClient(sandbox.token, sandbox.base_url) as client:
            jobs = await asyncio.gather(*(client.submit(REQUEST) for _ in range(2000)))
            outputs = await asyncio.gather(*(job.result() for job in jobs))
        assert all(job.id == output.raw["request_id"] for job, output in zip(jobs, outputs, strict=True))
        return {job.id for job in jobs}

    with Sandbox() as sandbox:
        ids = asyncio.run(main(sandbox))

        assert ids == {job.id for job in sandbox.accepted}
        assert len(ids) == 2000


def test_an_async_client_belongs_to_one_event_loop(sandbox: Sandbox) -> None:
    client = AsyncClient(sandbox.token, sandbox.base_url)

    async def first() -> None:
        await client.submit(REQUEST)
        loop_of_its_own = threading.Thread(target=asyncio.run, args=[elsewhere()])
        loop_of_its_own.start()
        await asyncio.to_thread(loop_of_its_own.join)
        await client.submit(REQUEST)
        await client.close()

    async def elsewhere() -> None:
        with pytest.raises(ConfigurationError, match="another event loop; make one in each loop"):
            await client.submit(REQUEST)

    asyncio.run(first())

    assert len(sandbox.accepted) == 2


def test_an_async_client_can_be_closed_where_it_was_never_used(sandbox: Sandbox) -> None:
    client = AsyncClient(sandbox.token, sandbox.base_url)
    asyncio.run(client.close())
    asyncio.run(client.close())

    with pytest.raises(ConfigurationError, match="closed"):
        asyncio.run(client.submit(REQUEST))


FORKING = """
import os, sys
from runcomfy import Client, _default
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

fields = {"prompt": "p", "image_url": "u"}
with Client(poll_interval=0.0) as client:
    for use in (client, None):  # a client of one's own, and that of the process
        before = edit.run(use, **fields)
        children = []
        for _ in range(3):
            child = os.fork()
            if child == 0:
                seen = {edit.run(use, **fields).raw["request_id"] for _ in range(5)}
                client.close()
                os._exit(0 if len(seen) == 5 and before.raw["request_id"] not in seen else 1)
            children.append(child)
        mine = {edit.run(use, **fields).raw["request_id"] for _ in range(5)}
        assert len(mine) == 5
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
        edit.run(use, **fields)  # what the children closed was their own
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_opens_connections_of_its_own(sandbox: Sandbox, run_program: Any) -> None:
    run_program(FORKING, sandbox)

    assert len({job.id for job in sandbox.accepted}) == len(sandbox.accepted) == 2 * (1 + 3 * 5 + 5 + 1)


FAULTS = [
    Fault("submit", drop="answer"),
    Fault("submit", drop="reset"),
    Fault("submit", drop="body"),
    Fault("submit", delay=0.4),
    Fault("submit", 503),
    Fault("status", drop="reset"),
    Fault("status", drop="headers"),
    Fault("status", delay=0.4),
    Fault("result", drip=0.1),
    Fault("result", 404),
]


def open_sockets() -> set[str]:
    links = []
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            links.append(str(path.readlink()))
    return {link for link in links if link.startswith("socket:")}


async def run_with_each_fault_async(sandbox: Sandbox) -> int:
    """The number of tasks that are left."""
    async with AsyncClient(sandbox.token, sandbox.base_url, timeout=0.3, poll_interval=0.0) as client:
        for fault in FAULTS:
            sandbox.faults.append(fault)
            await asyncio.gather(client.run(REQUEST, timeout=0.3), return_exceptions=True)
        sandbox.faults.append(Fault("submit", delay=0.1))
        received = len(sandbox.requests)
        cancelled = asyncio.create_task(client.run(REQUEST))
        while len(sandbox.requests) == received:  # noqa: ASYNC110  # the condition is one of the sandbox's thread
            await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
    return len(asyncio.all_tasks()) - 1


def run_with_each_fault(sandbox: Sandbox) -> None:
    with Client(sandbox.token, sandbox.base_url, timeout=0.3, poll_interval=0.0) as client:
        for fault in FAULTS:
            sandbox.faults.append(fault)
            with suppress(RunComfyError):
                client.run(REQUEST, timeout=0.3)


@pytest.mark.skipif(sys.platform != "linux", reason="counts what Linux lists as open")
def test_nothing_is_left_open_whatever_went_wrong(kind: Kind) -> None:
    with Sandbox() as sandbox:
        run_with_each_fault(sandbox)  # what stays open from the first use on is no leak
        threads, sockets = set(threading.enumerate()), open_sockets()
        if kind.is_async:
            assert asyncio.run(run_with_each_fault_async(sandbox)) == 0
        else:
            run_with_each_fault(sandbox)
        gc.collect()

        assert {thread.name for thread in set(threading.enumerate()) - threads} <= {"AnyIO worker thread"}
        of_the_sandbox = len(sandbox._state.transports)  # its own ends, until it sees that the others are closed
        assert len(open_sockets() - sockets) <= of_the_sandbox


def test_a_client_closed_by_another_thread_ends_the_calls_that_run(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("status", delay=3600))
    client = Client(sandbox.token, sandbox.base_url, poll_interval=0.0)
    job = client.submit(REQUEST)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(job.result)
        while len(sandbox.requests) < 2:
            pass
        client.close()

        with pytest.raises(ConfigurationError, match="closed during the call") as caught:
            waiting.result()
    assert caught.value.request_id == job.id


def test_closing_is_idempotent_and_final(kind: Kind, client: Any) -> None:
    job = kind.settle(client.submit(REQUEST))
    kind.settle(client.close())
    kind.settle(client.close())

    for call in (lambda: client.submit(REQUEST), job.status, job.result, job.cancel, lambda: client.run(REQUEST)):
        with pytest.raises(ConfigurationError, match="this client is closed; make a new one"):
            kind.settle(call())
    with pytest.raises(ConfigurationError, match="this client is closed"):
        kind.collect(job.updates())
    assert _submit._in_flight == set()
