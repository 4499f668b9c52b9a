"""Cancelled tasks: no accepted job is left behind that nobody knows, and the client stays sound."""

import asyncio
import gc
import logging
from collections.abc import Coroutine
from random import Random
from typing import Any

import anyio
import pytest
from runcomfy import AsyncClient, ConfigurationError, SubmissionOutcomeUnknown, _http
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="u")
SLOW = Fault("submit", delay=1.0)


def was_submitted(sandbox: Sandbox) -> bool:
    return bool(sandbox.requests)


def was_polled(sandbox: Sandbox) -> bool:
    return len(sandbox.requests) > 3


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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # see the comment at its end
def test_cancelled_exchanges_do_not_use_up_the_connections(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a few connections only, so that none of the others hides what became of them."""
    monkeypatch.setattr(_http, "_MOST_AT_ONCE", 4)

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
