"""The async client: `AsyncClient` and `AsyncJob`, the twins of `Client` and `Job`.

The model modules name it in their signatures. So that a program without an event loop does not pay for asyncio, what
needs it is imported where it is used.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from ._account import balance
from ._body import Body
from ._book import Spending
from ._client_base import CLOSED, ClientBase, JobBase, Submission, submission
from ._costs import cost, price
from ._errors import ConfigurationError, RunComfyError
from ._http_types import Flow
from ._inputs import Input, OutT
from ._models import AsyncModels
from ._outputs import MediaOutput
from ._price import Price
from ._progress import shown
from ._settings import positive
from ._source import Sent
from ._status import Status
from ._submit import interrupted, submit
from ._wait import Wait

if TYPE_CHECKING:
    from ._http import AsyncHttp
    from ._ledger_entry import LedgerEntry
    from ._map_result import MapResult, MapUpdate

T = TypeVar("T")


class AsyncClient(ClientBase):
    """Async client of the RunComfy Model API.

    One client serves any number of tasks of one event loop; of their requests, 128 are on their way at once and the
    others wait for their turn. Close it, or use it in an ``async with`` block.
    """

    @overload
    async def submit(self, request: Input[OutT], /) -> "AsyncJob[OutT]": ...
    @overload
    async def submit(self, model_id: str, arguments: Mapping[str, Any], /) -> "AsyncJob[MediaOutput]": ...
    async def submit(self, request: object, arguments: Mapping[str, Any] | None = None, /) -> "AsyncJob[Any]":
        """Submit a job: one POST, which is never repeated. As `Client.submit`."""
        return await self._submitted(submission(request, arguments))

    @overload
    async def run(
        self,
        request: Input[OutT],
        /,
        *,
        timeout: float | None = None,
        on_update: Callable[[Status], object] | None = None,
        progress: bool = False,
        cancel_on_interrupt: bool | None = None,
    ) -> OutT: ...
    @overload
    async def run(
        self,
        model_id: str,
        arguments: Mapping[str, Any],
        /,
        *,
        timeout: float | None = None,
        on_update: Callable[[Status], object] | None = None,
        progress: bool = False,
        cancel_on_interrupt: bool | None = None,
    ) -> MediaOutput: ...
    async def run(
        self,
        request: object,
        arguments: Mapping[str, Any] | None = None,
        /,
        *,
        timeout: float | None = None,
        on_update: Callable[[Status], object] | None = None,
        progress: bool = False,
        cancel_on_interrupt: bool | None = None,
    ) -> Any:
        """Submit a job, wait for it, and return its output. As `Client.run`."""
        self._wait_seconds(timeout, on_update, progress)
        job = await self._submitted(submission(request, arguments), cancel_on_interrupt)
        return await job.result(timeout, on_update, progress=progress, cancel_on_interrupt=cancel_on_interrupt)

    def map(
        self,
        inputs: Iterable[Input[OutT]] | AsyncIterable[Input[OutT]],
        *,
        run: str | None = None,
        concurrency: int = 10,
        ordered: bool = False,
        budget_usd: float | None = None,
        timeout: float | None = None,
        on_update: "Callable[[MapUpdate], object] | None" = None,
        progress: bool = False,
    ) -> "AsyncGenerator[MapResult[OutT], None]":
        """Run any number of inputs, some at a time, and yield what became of each. As `Client.map`.

        The inputs may come from an async iterator, too; they are taken in a task of their own, so that an input that is
        long in coming holds no result back. Those of a plain iterable are taken in the event loop, which does nothing
        else meanwhile: one that waits, for a file, a database or another computer, should be an async iterator. An
        interruption is the cancellation of the task while it waits for a result. ``contextlib.aclosing(client.map(…))``
        makes sure that the map has ended when a loop is left early; so does closing the client.
        """
        from ._async_map import AsyncMap
        from ._map_base import Options

        options = Options(run, budget_usd, concurrency, ordered, timeout, on_update, progress)
        return AsyncMap[OutT](self, AsyncJob, options).results(inputs)

    @overload
    def job(self, request_id: str, /) -> "AsyncJob[MediaOutput]": ...
    @overload
    def job(self, request_id: str, output: type[OutT], /) -> "AsyncJob[OutT]": ...
    def job(self, request_id: str, output: type[Any] = MediaOutput, /) -> "AsyncJob[Any]":
        """Resume a job by its id; nothing is sent. As `Client.job`."""
        return AsyncJob(self, request_id, output)

    def _resumed(self, entry: "LedgerEntry", output: type[Any]) -> "AsyncJob[Any]":
        from ._ledger_entry import sent_of

        assert entry.request_id is not None
        return AsyncJob(self, entry.request_id, output, entry.model_id, sent=sent_of(entry))

    @property
    def models(self) -> AsyncModels:
        """The catalog: which models there are, what they take and what they cost. As `Client.models`."""
        return AsyncModels(self)

    async def balance(self) -> float:
        """Read the account's balance, in US dollars. As `Client.balance`."""
        return await self._drive(balance(self._settings.timeout))

    async def price(self, model_id: str) -> Price:
        """Read the price of a model in the catalog. As `Client.price`."""
        return await self._drive(price(model_id, self._settings.timeout))

    async def spending(self) -> Spending:
        """What has been spent. As `Client.spending`."""
        import asyncio

        return self._book.spending() if self._ledger is None else await asyncio.to_thread(self._book.spending)

    async def close(self) -> None:
        """Close the connections. As `Client.close`."""
        import asyncio

        self._closing = True
        try:
            if self._maps:
                from ._async_map import leave_all

                await leave_all(self._maps)
        finally:
            self._closed = True
            while self._connections:
                loop, http = self._connections.popitem()
                if not loop.is_closed():  # else they went with it
                    await http.close()
            if self._ledger is not None:
                await asyncio.to_thread(self._close_ledger)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _submitted(self, submission: Submission, cancel_on_interrupt: bool | None = None) -> "AsyncJob[Any]":
        import asyncio

        from ._async_drive import AsyncShielded, undisturbed

        body = await self._body(submission)
        timeout, attempt = self._settings.timeout, self._attempt(submission, body)
        work = AsyncShielded(self._drive(submit(attempt, timeout)))
        try:
            request_id = await work.result()
        except asyncio.CancelledError as interruption:
            known, cancel = await work.settled(attempt.withdraw()), self._cancels(cancel_on_interrupt)
            with undisturbed(), suppress(asyncio.CancelledError):  # the first one is raised
                await self._drive(interrupted(interruption, attempt, known, work.error, timeout, cancel=cancel))
            raise
        sent = Sent(body.record, attempt.once.sent_at)
        return AsyncJob(self, request_id, submission.output, submission.model_id, monotonic(), sent, attempt.entry)

    async def _body(self, submission: Submission) -> Body:
        """The body of a submit. Reading files takes its time, and an event loop has none."""
        draft, limit = submission.draft, self._settings.max_request_bytes
        if not draft.files:
            return draft.body(limit)
        import asyncio

        return await asyncio.to_thread(draft.body, limit)

    async def _drive(self, flow: Flow[T]) -> T:
        from ._async_drive import drive_async

        return await drive_async(flow, lambda request: self._connected().send(request))

    def _connected(self) -> "AsyncHttp":
        """The connections, which belong to the event loop that they were opened in."""
        if self._closed:
            raise ConfigurationError(CLOSED)
        import asyncio

        from ._http import AsyncHttp  # only what talks to the network pays for loading httpcore

        loop = asyncio.get_running_loop()
        if loop not in self._connections:
            if self._connections:
                raise ConfigurationError("this AsyncClient was first used in another event loop; make one in each loop")
            self._connections[loop] = AsyncHttp(self._settings)
        http: AsyncHttp = self._connections[loop]
        return http


class AsyncJob(JobBase[OutT]):
    """A job that the API has accepted, or that was resumed by its id.

    Attributes:
        id: The request id. Keep it: ``client.job(id, edit.Output)`` resumes it anywhere.
        model_id: The model it was submitted to, or None for a job resumed by its id.
    """

    _client: AsyncClient

    async def status(self) -> Status:
        """Read the job's state now. As `Job.status`."""
        return await self._client._drive(self._flows.status())

    def updates(self, timeout: float | None = None) -> AsyncIterator[Status]:
        """Yield the job's status now and whenever it changes, until it has ended. As `Job.updates`."""
        return self._updates(self._wait(timeout, at_once=True))

    async def _updates(self, wait: Wait) -> AsyncIterator[Status]:
        while True:
            async with self._guarded(None):
                status = await self._client._drive(wait.next_change())
            if status is None:
                return
            yield status

    async def result(
        self,
        timeout: float | None = None,
        on_update: Callable[[Status], object] | None = None,
        *,
        progress: bool = False,
        cancel_on_interrupt: bool | None = None,
    ) -> OutT:
        """Wait for the job to end and return its output.

        As `Job.result`; `on_update` is a plain function, and an interruption is the cancellation of this task.
        """
        async with self._guarded(cancel_on_interrupt):
            wait = self._wait(timeout, on_update, progress)
            with shown(progress, self.id, self.model_id, on_update) as tell:
                body = await self._client._drive(wait.outcome(tell))
            return self._output._from_result(body, self._source)

    async def cancel(self) -> bool:
        """Cancel the job, which works only while it is in the queue. As `Job.cancel`."""
        return await self._client._drive(self._flows.cancel())

    async def cost(self, timeout: float = 10.0) -> float | None:
        """Read what the job did cost, in US dollars, as the API tells it. As `Job.cost`."""
        return await self._client._drive(cost(self._flows, positive("timeout", timeout)))

    @asynccontextmanager
    async def _guarded(self, cancel_on_interrupt: bool | None) -> AsyncIterator[None]:
        """Let no exception leave without the id of the job that it leaves behind."""
        try:
            yield
        except GeneratorExit:  # nothing may be awaited any more
            raise
        except RunComfyError as error:
            error.request_id = error.request_id or self.id
            raise
        except BaseException as error:
            import asyncio

            from ._async_drive import undisturbed

            cancel = self._client._cancels(cancel_on_interrupt) and not isinstance(error, Exception)
            with undisturbed(), suppress(asyncio.CancelledError):  # the first one is raised
                await self._client._drive(self._flows.leave(error, cancel=cancel))
            raise
