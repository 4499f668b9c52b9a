"""The map of the async client: a task that takes the inputs, one for each item, and a generator of the results."""

import asyncio
import atexit
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Collection, Iterable, Iterator
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

from ._async_drive import drive_async, own_task, undisturbed
from ._background import Stopped
from ._client_base import CLOSED, JobBase, submission
from ._errors import ConfigurationError
from ._http_types import Request, Response
from ._inputs import Input, OutT
from ._map_base import FOREIGN, Item, MapBase, Options, Patience, failure_of
from ._map_result import MapResult
from ._pace import Deadline
from ._requests import CANCELLING
from ._submit import GRACE

if TYPE_CHECKING:
    from ._async_client import AsyncClient

_CLOSING = 1.0
"""Seconds that the last reads may take to be answered, and then their connections to be closed."""
_END: Any = object()


class AsyncMap(MapBase[OutT]):
    """One map. As `Map`; the tasks are known to this package only, so that nothing else cancels a submit."""

    _client: "AsyncClient"

    def __init__(self, client: "AsyncClient", job: type[JobBase[Any]], options: Options) -> None:
        super().__init__(client, job, options)
        self._stopped = False
        self._finished: asyncio.Queue[Item[OutT] | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(2 * options.concurrency)  # for items whose results are not taken
        self._turns = asyncio.Semaphore(options.concurrency)
        self._tasks: dict[asyncio.Task[None], Item[OutT] | None] = {}
        self._exchanges: set[asyncio.Task[None] | None] = set()  # the tasks that wait for an answer
        self._has_more = True
        self._failure: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Event | None = None  # once the map ends early; set when its last submits are settled

    def check_stopped(self) -> None:
        if self._stopped:
            raise Stopped

    def fail(self, error: BaseException) -> None:
        self.fatal = self.fatal or error
        self._stopped = True
        self._finished.put_nowait(None)  # wakes the caller

    def results(
        self, inputs: Iterable[Input[OutT]] | AsyncIterable[Input[OutT]]
    ) -> AsyncGenerator[MapResult[OutT], None]:
        """The results, as the map's caller wants them."""
        self._require_many(inputs)
        return self._results(inputs, aiter(inputs) if isinstance(inputs, AsyncIterable) else iter(inputs))

    async def _results(
        self, inputs: object, source: Iterator[Input[OutT]] | AsyncIterator[Input[OutT]]
    ) -> AsyncGenerator[MapResult[OutT], None]:
        self._loop = asyncio.get_running_loop()
        atexit.register(self._abandon)
        is_out = False  # whether the caller has a result, and this waits for nothing
        try:
            self._enter()
            with self._shown(inputs):
                del inputs
                self._start(self._feed(source), None)
                while (item := await self._next()) is not None:
                    result = item.result
                    assert result is not None
                    del self.open[item.index], item
                    self._room.release()
                    is_out = True
                    yield result
                    is_out = False
                    if asyncio.get_running_loop() is not self._loop:
                        raise ConfigurationError("this map belongs to the event loop that it was begun in")
            if self._failure is not None:
                raise self._failure
        except BaseException as error:
            if is_out:
                await self._leave(None)
            elif isinstance(error, GeneratorExit):  # the event loop has gone: nothing can be awaited any more
                self._abandon()
            else:
                await self._leave(error)
            raise
        finally:
            atexit.unregister(self._abandon)
            self._client._maps.discard(self)
            self._occurrences.close()

    async def _next(self) -> Item[OutT] | None:
        """The next item whose result is to be given; None after the last one."""
        while True:
            self._check()
            if not self._has_more and not self.open:
                return None
            if self._options.ordered and self.open:
                first = next(iter(self.open.values()))
                if first.result is not None:
                    return first
            item = await self._finished.get()
            if item is not None and item.result is not None and not self._options.ordered and self.fatal is None:
                return item

    def _start(self, work: Any, item: Item[OutT] | None) -> None:
        task = own_task(work)
        self._tasks[task] = item
        task.add_done_callback(self._tasks.pop)

    async def _feed(self, source: Iterator[Input[OutT]] | AsyncIterator[Input[OutT]]) -> None:
        """Take the inputs, each when it can be worked on at once, and begin them."""
        count = 0
        try:
            while True:
                await self._room.acquire()
                await self._turns.acquire()
                taken = await anext(source, _END) if isinstance(source, AsyncIterator) else next(source, _END)
                if taken is _END:
                    break
                item = Item(count, taken)
                self.open[item.index] = item
                self._start(self._work(item), item)
                count += 1
                await asyncio.sleep(0)  # inputs that come slowly do not stop all else one after the other
        except FOREIGN as error:  # nobody cancels this task but the map itself, once it has stopped
            self._failure = None if self._stopped else failure_of("the inputs", error)
        except Exception as error:
            self._failure = error
        except BaseException as error:
            self.fail(error)
        self._has_more = False
        self._finished.put_nowait(None)

    async def _work(self, item: Item[OutT]) -> None:
        try:
            with self._working(item):
                self.check_stopped()
                await self._do(item)
        finally:
            self._turns.release()
            self._finished.put_nowait(item)

    async def _do(self, item: Item[OutT]) -> None:
        submitted = submission(item.input, None)
        item.body = await self._client._body(submitted)
        await drive_async(self._run(item, submitted), self._send, self._pause)

    async def _send(self, request: Request) -> Response:
        self.check_stopped()
        task = asyncio.current_task()
        self._exchanges.add(task)
        try:
            return await self._client._connected().send(request)
        finally:
            self._exchanges.discard(task)

    async def _pause(self, seconds: float) -> None:
        self.check_stopped()
        await asyncio.sleep(seconds)

    def _close(self) -> None:
        """Stop, since the client is being closed."""
        with suppress(RuntimeError):  # its loop is closed
            self.fail(ConfigurationError(CLOSED))
        if self._loop is not asyncio.get_running_loop():
            self._abandon()

    def _abandon(self) -> None:
        """End the map early without waiting for anything."""
        self._stopped = True
        self._leave_word(self._withdrawn(), [])
        with suppress(RuntimeError):  # the loop is closed
            self._cancel_tasks(self._tasks)

    async def _leave(self, error: BaseException | None, grace: Deadline | None = None) -> None:
        """End the map early: send nothing more, and tell which jobs go on. As `Map._leave`."""
        patience = Patience(error, grace or Deadline(GRACE))
        if self._leaving is not None:  # as where the client was closed meanwhile
            await self._leaving.wait()
        else:
            self._stopped, self._leaving = True, asyncio.Event()
            try:
                await self._settle_all(error, patience)
            finally:
                self._leaving.set()
        error = patience.interruption or error
        if error is not None:
            self._note(error)
        if patience.interruption is not None:
            raise patience.interruption

    async def _settle_all(self, error: BaseException | None, patience: Patience) -> None:
        on_their_way = self._withdrawn()
        sent: list[Item[OutT] | None] = [item for item, _ in on_their_way]
        submits = {task for task, item in self._tasks.items() if item in sent}
        self._cancel_tasks(self._tasks.keys() - self._exchanges - submits)
        cancelled: list[str] = []
        try:
            await self._wait_for(submits, patience)
            if self._cancels(error):
                with undisturbed(), suppress(asyncio.CancelledError):  # interrupted again
                    await self._cancel_all(cancelled)
        finally:
            self._leave_word(self._unanswered(on_their_way), cancelled)
        patience.begin_anew(_CLOSING)
        await self._wait_for(self._tasks, patience)  # a cancelled exchange costs its connection, and others theirs
        self._cancel_tasks(self._tasks)
        patience.begin_anew(_CLOSING)
        await self._wait_for(self._tasks, patience)

    @staticmethod
    async def _wait_for(tasks: Collection["asyncio.Task[None]"], patience: Patience) -> None:
        """Wait for tasks, as long as there is patience."""
        waiting = set(tasks)
        while waiting and (remaining := patience.remaining()) > 0:
            try:
                with undisturbed():
                    _, waiting = await asyncio.wait(waiting, timeout=remaining)
            except asyncio.CancelledError as interruption:
                patience.end_soon(interruption)

    async def _cancel_all(self, cancelled: list[str]) -> None:
        deadline = Deadline(CANCELLING)

        async def cancel(item: Item[OutT]) -> None:
            request_id = await self._client._drive(self._cancel(item, deadline))
            if request_id is not None:
                cancelled.append(request_id)

        await asyncio.gather(*(cancel(item) for item in self._unfinished()))

    @staticmethod
    def _cancel_tasks(tasks: Collection["asyncio.Task[None]"]) -> None:
        for task in list(tasks):
            task.cancel()


async def leave_all(maps: set[AsyncMap[Any]]) -> None:
    """End the maps of a client that is being closed: their last submits need its connections."""
    ending = maps.copy()
    for one in ending:
        one._close()
    grace = Deadline(GRACE)
    async with AsyncExitStack() as stack:  # each, whatever interrupts the others
        for one in ending:
            if one._loop is asyncio.get_running_loop():
                stack.push_async_callback(one._leave, None, grace)
