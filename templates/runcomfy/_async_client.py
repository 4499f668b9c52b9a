"""The async client: `AsyncClient` and `AsyncJob`, the twins of `Client` and `Job`."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from ._client_base import ClientBase, JobBase, submission
from ._errors import ConfigurationError
from ._flows import submit
from ._http_types import Flow
from ._inputs import Input, OutT
from ._outputs import MediaOutput
from ._status import Status

if TYPE_CHECKING:
    from ._http import AsyncHttp

T = TypeVar("T")


class AsyncClient(ClientBase):
    """Async client of the RunComfy Model API.

    One client serves any number of tasks of one event loop. Close it, or use it in an ``async with`` block.
    """

    _http: "AsyncHttp | None" = None
    _closed = False

    @overload
    async def submit(self, request: Input[OutT], /) -> "AsyncJob[OutT]": ...
    @overload
    async def submit(self, model_id: str, arguments: Mapping[str, Any], /) -> "AsyncJob[MediaOutput]": ...
    async def submit(self, request: object, arguments: Mapping[str, Any] | None = None, /) -> "AsyncJob[Any]":
        """Submit a job: one POST, which is never repeated. As `Client.submit`."""
        model_id, body, output = submission(request, arguments)
        request_id = await self._drive(submit(model_id, body, self._settings.timeout))
        return AsyncJob(self, request_id, output, model_id)

    @overload
    async def run(
        self,
        request: Input[OutT],
        /,
        *,
        timeout: float | None = None,
        on_update: Callable[[Status], object] | None = None,
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
    ) -> MediaOutput: ...
    async def run(
        self,
        request: object,
        arguments: Mapping[str, Any] | None = None,
        /,
        *,
        timeout: float | None = None,
        on_update: Callable[[Status], object] | None = None,
    ) -> Any:
        """Submit a job, wait for it, and return its output. As `Client.run`."""
        self._wait_seconds(timeout, on_update)
        job: AsyncJob[Any] = await self.submit(request, arguments)  # type: ignore[call-overload]  # by submission()
        return await job.result(timeout, on_update)

    @overload
    def job(self, request_id: str, /) -> "AsyncJob[MediaOutput]": ...
    @overload
    def job(self, request_id: str, output: type[OutT], /) -> "AsyncJob[OutT]": ...
    def job(self, request_id: str, output: type[Any] = MediaOutput, /) -> "AsyncJob[Any]":
        """Take up a job again by its id; nothing is sent. As `Client.job`."""
        return AsyncJob(self, request_id, output, None)

    async def close(self) -> None:
        """Close the connections. May be called more than once; after it the client cannot be used."""
        self._closed, http, self._http = True, self._http, None
        if http is not None:
            await http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _drive(self, flow: Flow[T]) -> T:
        if self._closed:
            raise ConfigurationError("this client is closed; make a new one")
        if self._http is None:
            from ._http import AsyncHttp  # only what talks to the network pays for loading httpx

            self._http = AsyncHttp(self._settings)
        return await self._http.drive(flow)


class AsyncJob(JobBase[OutT]):
    """A job that the API has accepted, or that was taken up again by its id.

    Attributes:
        id: The request id. Keep it: ``client.job(id, edit.Output)`` takes the job up again anywhere.
        model_id: The model it was submitted to, or None for a job taken up again by its id.
    """

    def __init__(self, client: AsyncClient, request_id: str, output: type[OutT], model_id: str | None) -> None:
        super().__init__(client, request_id, output, model_id)
        self._client = client

    async def status(self) -> Status:
        """Read the job's state now. As `Job.status`."""
        return await self._client._drive(self._flows.status())

    async def updates(self, timeout: float | None = None) -> AsyncIterator[Status]:
        """Yield the job's status now and whenever it changes, until it has ended. As `Job.updates`."""
        wait = self._wait(timeout)
        while (status := await self._client._drive(wait.next_change())) is not None:
            yield status

    async def result(self, timeout: float | None = None, on_update: Callable[[Status], object] | None = None) -> OutT:
        """Wait for the job to end and return its output. As `Job.result`; `on_update` is a plain function."""
        with self._named():
            return self._output._from_result(await self._client._drive(self._wait(timeout).outcome(on_update)))

    async def cancel(self) -> bool:
        """Cancel the job, which works only while it is in the queue. As `Job.cancel`."""
        return await self._client._drive(self._flows.cancel())
