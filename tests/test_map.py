"""Many jobs: any number of inputs, some at a time, and what becomes of each."""

import asyncio
import pickle
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from conftest import Kind
from media_files import picture
from runcomfy import (
    BadRequestError,
    ConfigurationError,
    InputValidationError,
    JobCancelledError,
    JobFailedError,
    MapResult,
    MapUpdate,
    RateLimitError,
    SubmissionOutcomeUnknown,
    UnprocessableEntityError,
    WaitTimeoutError,
)
from runcomfy.models.blackforestlabs.flux_1_kontext.max import text_to_image
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

SLOW_DOWN = Fault("submit", 429, b'{"error_message": "slow down"}', {"Retry-After": "0"})


def inputs(number: int) -> list[edit.Input]:
    return [edit.Input(prompt=str(index), image_url="u") for index in range(number)]


def endless(taken: list[int]) -> Iterator[edit.Input]:
    """As many as anybody takes, and how many that were."""
    for index in count():
        taken.append(index)
        yield edit.Input(prompt=str(index), image_url="u")


def submits(sandbox: Sandbox) -> int:
    return sum(request.path.startswith("/v1/models/") for request in sandbox.requests)


def test_each_input_gives_one_result(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    results = kind.collect(client.map(inputs(30), concurrency=8))

    assert sorted(result.index for result in results) == list(range(30))
    prompts = {job.id: job.arguments["prompt"] for job in sandbox.accepted}
    for result in results:
        assert result.input.prompt == str(result.index) == prompts[result.request_id]
        assert result.error is None
        assert isinstance(result.output, edit.Output)
        assert result.output.raw["request_id"] == result.request_id
    assert submits(sandbox) == len(sandbox.accepted) == 30


def test_results_come_in_order_where_that_is_wished(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    sandbox.faults.append(Fault("submit", delay=0.3))

    results = kind.collect(client.map(inputs(30), concurrency=8, ordered=True))

    assert [result.index for result in results] == list(range(30))


def test_results_come_as_they_come_without(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    sandbox.faults.append(Fault("submit", delay=1.0))

    results = kind.collect(client.map(inputs(20), concurrency=2))

    assert [result.index for result in results] != list(range(20))
    assert results[-1].input.prompt == sandbox.accepted[0].arguments["prompt"]


def test_several_models_and_no_input_at_all(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    both = [edit.Input(prompt="p", image_url="u"), text_to_image.Input(prompt="p")]

    results = kind.collect(client.map(both, ordered=True))

    assert [type(result.output) for result in results] == [edit.Output, text_to_image.Output]
    assert kind.collect(client.map([])) == []


def test_async_inputs_are_taken_one_after_the_other(sandbox: Sandbox) -> None:
    kind = Kind("async")

    async def source() -> AsyncIterator[edit.Input]:
        for request in inputs(12):
            yield request

    results = kind.collect(kind.client(sandbox).map(source(), ordered=True))
    kind.close()

    assert [result.index for result in results] == list(range(12))
    assert all(result.output for result in results)


@pytest.mark.parametrize("ordered", [False, True])
def test_inputs_are_taken_as_they_are_needed(kind: Kind, sandbox: Sandbox, client: Any, ordered: bool) -> None:
    taken: list[int] = []
    results = client.map(endless(taken), concurrency=4, ordered=ordered)
    assert taken == []
    assert sandbox.requests == []
    ahead = []

    async def look() -> None:
        seen = 0
        async for _ in results:
            seen += 1
            ahead.append(len(taken) - seen)
            if seen == 40:
                break
        await results.aclose()

    if kind.is_async:
        kind.settle(look())
    else:
        for seen in range(1, 41):
            next(results)
            ahead.append(len(taken) - seen)
        results.close()
    assert max(ahead) <= 8
    assert submits(sandbox) <= len(taken) <= 48


def test_inputs_are_taken_in_the_thread_that_takes_the_results(sandbox: Sandbox) -> None:
    def source() -> Iterator[edit.Input]:
        for request in inputs(12):
            threads.add(threading.current_thread())
            yield request

    threads: set[threading.Thread] = set()
    kind = Kind("sync")
    assert len(kind.collect(kind.client(sandbox).map(source()))) == 12
    kind.close()

    assert threads == {threading.current_thread()}


def test_what_is_finished_is_given_before_the_next_input_is_waited_for(sandbox: Sandbox) -> None:
    seen: list[Any] = []
    held_back = []

    def source() -> Iterator[edit.Input]:
        finished = 0
        for index in range(12):
            held_back.append(finished - len(seen))
            while submits(sandbox) < index:
                pass
            finished = index - 3  # with three at a time
            yield edit.Input(prompt=str(index), image_url="u")

    kind = Kind("sync")
    collect_into(kind, kind.client(sandbox).map(source(), concurrency=3), seen)
    kind.close()

    assert len(seen) == 12
    assert max(held_back) <= 0


def test_inputs_that_are_all_there_keep_the_workers_busy_however_slow_the_reader(sandbox: Sandbox) -> None:
    class Many(Sequence[edit.Input]):
        taken = 0

        def __len__(self) -> int:
            return 30

        def __getitem__(self, index: Any) -> Any:
            self.taken = index + 1
            return [*inputs(30)][index]

    kind, many = Kind("sync"), Many()
    ahead = [many.taken - seen for seen, _ in enumerate(kind.client(sandbox).map(many, concurrency=4))]
    kind.close()

    assert ahead[:22] == [8] * 22


def test_inputs_that_come_slowly_do_not_stop_the_event_loop_one_after_the_other(sandbox: Sandbox) -> None:
    rounds = 0
    found = []

    def source() -> Iterator[edit.Input]:
        for request in inputs(8):
            found.append(rounds)
            yield request

    async def count_rounds() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    async def main() -> None:
        counting = asyncio.create_task(count_rounds())
        async for _ in client.map(source()):
            pass
        counting.cancel()

    kind = Kind("async")
    client = kind.client(sandbox)
    kind.settle(main())
    kind.close()

    assert len(set(found)) == 8


FOREIGN = [StopAsyncIteration, GeneratorExit, asyncio.CancelledError]
"""What a generator or an event loop would take for its own."""


@pytest.mark.parametrize("error", FOREIGN)
def test_no_exception_of_the_inputs_is_taken_for_one_of_the_loop(kind: Kind, sandbox: Sandbox, error: Any) -> None:
    def source() -> Iterator[edit.Input]:
        yield from inputs(3)
        raise error

    assert_that_they_fail(kind, sandbox, source(), error)


@pytest.mark.parametrize("error", FOREIGN[1:])
def test_no_exception_of_async_inputs_is_taken_for_one_of_the_loop(sandbox: Sandbox, error: Any) -> None:
    class Source:
        def __init__(self) -> None:
            self.left = inputs(3)

        def __aiter__(self) -> AsyncIterator[edit.Input]:
            return self

        async def __anext__(self) -> edit.Input:
            if not self.left:
                raise error
            return self.left.pop()

    kind = Kind("async")
    assert_that_they_fail(kind, sandbox, Source(), error)
    kind.close()


def assert_that_they_fail(kind: Kind, sandbox: Sandbox, source: Any, error: type[BaseException]) -> None:
    """The jobs of what came before have ended as usual."""
    seen: list[Any] = []
    client = kind.client(sandbox, cancel_on_interrupt=True)
    with pytest.raises(RuntimeError, match=f"the inputs raised {error.__name__}") as caught:
        collect_into(kind, client.map(source), seen)

    assert isinstance(caught.value.__cause__, error)
    assert sorted(result.index for result in seen) == [0, 1, 2]
    assert all(result.output for result in seen)


@pytest.mark.parametrize("error", [StopIteration, *FOREIGN])
def test_no_exception_of_a_function_is_taken_for_one_of_the_loop(kind: Kind, stuck: Sandbox, error: Any) -> None:
    def fail(update: MapUpdate) -> None:
        raise error

    client = kind.client(stuck, cancel_on_interrupt=True)
    with pytest.raises(RuntimeError, match=f"on_update raised {error.__name__}") as caught:
        kind.collect(client.map(inputs(3), on_update=fail))

    assert isinstance(caught.value.__cause__, error)
    assert {job.state for job in stuck.accepted} == {"in_queue"}


def test_as_many_run_at_a_time_as_was_asked_for(kind: Kind, stuck: Sandbox) -> None:
    running: set[int] = set()
    most = []

    def look(update: MapUpdate) -> None:
        (running.discard if update.status.done else running.add)(update.index)
        most.append(len(running))
        if len(running) == 4 or len(stuck.accepted) == 12:  # now they may end
            for job in stuck.accepted:
                job.cancel()

    results = kind.collect(kind.client(stuck).map(inputs(12), concurrency=4, on_update=look))

    assert max(most) == 4
    assert [type(result.error) for result in results] == [JobCancelledError] * 12


def test_what_fails_is_a_result_and_not_the_end(kind: Kind, sandbox: Sandbox, client: Any, tmp_path: Path) -> None:
    file = tmp_path / "in.png"
    file.write_bytes(picture("image/png"))
    requests = [*inputs(4), edit.Input(prompt="4", image_url=file), *inputs(1)]
    file.unlink()
    sandbox.fail_next("boom")
    sandbox.faults.append(Fault("submit"))
    sandbox.faults.append(Fault("submit", 422, b'{"error_message": "no"}'))
    sandbox.faults.append(Fault("submit", 400, b'{"error_message": "no"}'))

    results = kind.collect(client.map(requests, concurrency=1))

    errors = [type(result.error) for result in results]
    no_error = type(None)
    assert errors == [
        JobFailedError,
        UnprocessableEntityError,
        BadRequestError,
        no_error,
        InputValidationError,
        no_error,
    ]
    assert results[0].request_id == results[0].error.request_id == sandbox.accepted[0].id
    assert results[1].request_id is None
    with pytest.raises(JobFailedError, match="boom") as caught:
        _ = results[0].output
    assert caught.value is results[0].error


def test_a_wait_that_is_too_long_is_a_result_with_its_id(kind: Kind, stuck: Sandbox) -> None:
    results = kind.collect(kind.client(stuck).map(inputs(3), timeout=0.2))

    assert {type(result.error) for result in results} == {WaitTimeoutError}
    assert {result.request_id for result in results} == {job.id for job in stuck.accepted}


def test_the_clients_own_deadline_counts_where_none_is_given(kind: Kind, stuck: Sandbox) -> None:
    (result,) = kind.collect(kind.client(stuck, wait_timeout=0.2).map(inputs(1)))

    assert "had not ended after 0.2 s" in str(result.error)


def test_a_submit_that_was_refused_for_overload_is_tried_again(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    sandbox.faults.extend([SLOW_DOWN] * 3)

    results = kind.collect(client.map(inputs(6), concurrency=3))

    assert [result.error for result in results] == [None] * 6
    assert len(sandbox.accepted) == 6
    assert submits(sandbox) == 9


def test_a_refusal_in_the_body_is_proven_as_well(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    sandbox.faults.append(Fault("submit", 200, b'{"error_code": 429001}', {"Retry-After": "0"}))

    (result,) = kind.collect(client.map(inputs(1)))

    assert result.error is None
    assert submits(sandbox) == 2


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_a_429_without_a_body_proves_nothing_and_is_not_tried_again(
    kind: Kind, sandbox: Sandbox, client: Any, body: bytes
) -> None:
    sandbox.faults.append(Fault("submit", 429, body, {"Retry-After": "0"}))

    results = kind.collect(client.map(inputs(3), concurrency=1))

    assert [type(result.error) for result in results] == [RateLimitError, type(None), type(None)]
    assert submits(sandbox) == 3


def test_a_pause_that_ends_after_the_deadline_is_not_waited_for(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    sandbox.faults.append(Fault("submit", 429, b"slow down", {"Retry-After": "30"}))

    (result,) = kind.collect(client.map(inputs(1), timeout=5.0))

    assert isinstance(result.error, RateLimitError)
    assert result.error.retry_after == 30.0
    assert submits(sandbox) == 1


def test_a_submit_is_refused_for_good_when_its_deadline_has_passed(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    sandbox.faults.extend([SLOW_DOWN] * 1000)

    (result,) = kind.collect(client.map(inputs(1), timeout=1.0))

    assert isinstance(result.error, RateLimitError)
    assert 1 < submits(sandbox) < 10


@pytest.mark.parametrize(
    "fault",
    [
        Fault("submit", drop="answer", takes_effect=True),
        Fault("submit", 503, b'{"error_message": "slow down"}', {"Retry-After": "0"}),
        Fault("submit", changes={"request_id": ...}),
    ],
)
def test_an_unknown_outcome_is_never_tried_again(kind: Kind, sandbox: Sandbox, client: Any, fault: Fault) -> None:
    sandbox.faults.append(fault)

    results = kind.collect(client.map(inputs(3), concurrency=1))

    assert [type(result.error) for result in results] == [SubmissionOutcomeUnknown, type(None), type(None)]
    assert submits(sandbox) == 3


def test_an_exception_of_the_inputs_is_raised_when_what_is_submitted_has_ended(
    kind: Kind, sandbox: Sandbox, client: Any
) -> None:
    def source() -> Iterator[Any]:
        yield from inputs(5)
        raise LookupError("no more")

    seen: list[Any] = []
    with pytest.raises(LookupError, match="no more"):
        collect_into(kind, client.map(source()), seen)
    with pytest.raises(TypeError, match="expected an Input, got 'p'"):
        collect_into(kind, client.map([*inputs(5), "p"]), seen)

    assert sorted(result.index for result in seen) == sorted([0, 1, 2, 3, 4] * 2)
    assert all(result.output for result in seen)


def collect_into(kind: Kind, results: Any, seen: list[Any]) -> None:
    async def gather() -> None:
        async for result in results:
            seen.append(result)  # noqa: PERF401  # what was seen before an exception is looked at

    if kind.is_async:
        kind.settle(gather())
    else:
        for result in results:  # what was seen before an exception is looked at
            seen.append(result)  # noqa: PERF402  # what was seen before an exception is looked at


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"concurrency": 0}, ConfigurationError),
        ({"concurrency": True}, ConfigurationError),
        ({"concurrency": 2.0}, ConfigurationError),
        ({"timeout": 0}, ConfigurationError),
        ({"progress": 1}, ConfigurationError),
        ({"on_update": "show"}, TypeError),
    ],
)
def test_options_are_checked_at_the_call(
    kind: Kind, sandbox: Sandbox, client: Any, options: dict[str, Any], error: Any
) -> None:
    with pytest.raises(error, match=next(iter(options))):
        client.map(inputs(1), **options)

    assert sandbox.requests == []


def test_inputs_and_functions_of_the_wrong_kind_are_refused_at_the_call(kind: Kind, client: Any) -> None:
    async def show(update: MapUpdate) -> None:
        raise AssertionError

    with pytest.raises(TypeError, match="no plain function"):
        client.map(inputs(1), on_update=show)
    with pytest.raises(TypeError, match="not iterable"):
        client.map(5)
    with pytest.raises(TypeError, match="expected any number of Inputs, got one"):
        client.map(inputs(1)[0])


def test_updates_tell_each_status_of_each_job_one_at_a_time(kind: Kind) -> None:
    updates: list[MapUpdate] = []
    together = threading.Lock()

    def note(update: MapUpdate) -> None:
        assert together.acquire(blocking=False)
        updates.append(update)
        together.release()

    with Sandbox(queue_reads=1, run_reads=1) as sandbox:
        results = kind.collect(kind.client(sandbox).map(inputs(6), on_update=note, concurrency=3))

        for result in results:
            seen = [update for update in updates if update.index == result.index]
            assert [update.status.state for update in seen] == ["in_queue", "in_progress", "completed"]
            assert {(update.request_id, update.model_id) for update in seen} == {(result.request_id, edit.MODEL_ID)}


def test_a_result_can_be_pickled(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    sandbox.faults.append(Fault("submit", 422, b'{"error_message": "no"}'))

    failed, good = kind.collect(client.map(inputs(2), concurrency=1))

    copies: list[MapResult[edit.Output]] = pickle.loads(pickle.dumps([failed, good]))
    assert copies[1] == good
    assert copies[1].output.raw == good.output.raw
    assert (copies[0].index, copies[0].input, str(copies[0].error)) == (0, failed.input, str(failed.error))


@pytest.mark.parametrize(
    ("told", "cost"),
    [(0.04, 0.04), (0, 0.0), (..., None), (-1, None), ("1", None), (True, None), (10**400, None), (None, None)],
)
def test_a_result_tells_the_cost_where_the_api_does(
    kind: Kind, sandbox: Sandbox, client: Any, told: Any, cost: float | None
) -> None:
    sandbox.faults.append(Fault("result", changes={"cost": told}))

    (result,) = kind.collect(client.map(inputs(1)))

    assert result.cost_usd == cost
    assert result.output.image


def test_a_failed_job_tells_its_cost_too_and_a_refused_one_has_none(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    sandbox.fail_next("boom")
    sandbox.faults.extend([Fault("submit"), Fault("submit", 422, b"no"), Fault("result", changes={"cost": 0.5})])

    results = kind.collect(client.map(inputs(2), concurrency=1))

    assert [result.cost_usd for result in results] == [0.5, None]


def test_errors_keep_no_request_alive(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    """Many results may be kept, and a body may have 64 MiB."""
    sandbox.faults.extend([Fault("submit", drop="answer"), Fault("submit", 429, b"slow down", {"Retry-After": "0"})])

    (result,) = kind.collect(client.map(inputs(1)))

    assert result.error.__traceback__ is None
    assert result.error.__cause__.__traceback__ is None


MEMORY = """
import gc, logging, tracemalloc, httpx
from pathlib import Path
from PIL import Image
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

SIZE = 4_000_000
file = Path(__file__).with_name("large.bmp")
with Image.new("L", (2000, SIZE // 2000)) as picture:
    picture.save(file, format="BMP")
logging.disable()
tracemalloc.start()
seen = set()

class Enough(Exception):
    pass

def look(update):
    seen.add(update.index)
    if len(seen) == 8:  # all are submitted
        gc.collect()
        print(tracemalloc.get_traced_memory()[0] < SIZE < tracemalloc.get_traced_memory()[1])
        raise Enough

with Client(poll_interval=0.0) as client:
    try:
        list(client.map([edit.Input(prompt="p", image_url=file) for _ in range(8)], concurrency=8, on_update=look))
    except Enough:
        pass
"""


def test_the_bodies_of_jobs_that_are_waited_for_are_not_kept(stuck: Sandbox, run_program: Any) -> None:
    assert run_program(MEMORY, stuck) == "True\n"


def test_after_a_map_its_threads_have_ended(sandbox: Sandbox) -> None:
    kind = Kind("sync")
    kind.collect(kind.client(sandbox).map(inputs(6)))

    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("runcomfy-map")] == []
    kind.close()
