"""The sync client: `Client` and `Job`."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from . import _worker
from ._account import balance
from ._book import Spending
from ._client_base import CLOSED, ClientBase, JobBase, Submission, submission
from ._costs import cost, price
from ._drive import Shielded, drive
from ._errors import ConfigurationError, RunComfyError
from ._http_types import Flow
from ._inputs import Input, OutT
from ._models import Models
from ._outputs import MediaOutput
from ._price import Price
from ._progress import shown
from ._settings import positive
from ._source import Sent
from ._status import Status
from ._submit import interrupted, submit
from ._wait import Wait

if TYPE_CHECKING:
    from ._http import Http
    from ._ledger_entry import LedgerEntry
    from ._map_result import MapResult, MapUpdate

T = TypeVar("T")


class Client(ClientBase):
    """Client of the RunComfy Model API.

    One client may be used by many threads. Close it, or use it in a ``with`` block, to close its connections.
    """

    @overload
    def submit(self, request: Input[OutT], /) -> "Job[OutT]": ...
    @overload
    def submit(self, model_id: str, arguments: Mapping[str, Any], /) -> "Job[MediaOutput]": ...
    def submit(self, request: object, arguments: Mapping[str, Any] | None = None, /) -> "Job[Any]":
        """Submit a job: one POST, which is never repeated.

        Args:
            request: What to run, such as ``edit.Input(…)``; or the id of any model.
            arguments: With a model id: the request body, sent as it is.

        Raises:
            InputValidationError: the input does not fit the schema; nothing was sent.
            APIConnectionError: the API could not be reached; nothing was sent, so it is safe to call again.
            APIStatusError: the API refused; no job was accepted.
            SubmissionOutcomeUnknown: no answer told whether a job was accepted; look at your request history before
                you call again.
            ConfigurationError: the client is closed, or its proxy or certificates cannot be used.
        """
        return self._submitted(submission(request, arguments), None, lambda job: job)

    @overload
    def run(
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
    def run(
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
    def run(
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
        """Submit a job, wait for it, and return its output.

        Args:
            request: As for `submit`.
            arguments: As for `submit`.
            timeout: As for `Job.result`.
            on_update: As for `Job.result`.
            progress: As for `Job.result`.
            cancel_on_interrupt: As for `Job.result`, and for Ctrl-C during the submit.

        Raises:
            RunComfyError: whatever `submit` and `Job.result` raise.
        """
        self._wait_seconds(timeout, on_update, progress)
        return self._submitted(
            submission(request, arguments),
            cancel_on_interrupt,
            lambda job: job.result(timeout, on_update, progress=progress, cancel_on_interrupt=cancel_on_interrupt),
        )

    def map(
        self,
        inputs: Iterable[Input[OutT]],
        *,
        run: str | None = None,
        concurrency: int = 10,
        ordered: bool = False,
        budget_usd: float | None = None,
        timeout: float | None = None,
        on_update: "Callable[[MapUpdate], object] | None" = None,
        progress: bool = False,
    ) -> "Generator[MapResult[OutT], None, None]":
        """Run any number of inputs, some at a time, and yield what became of each: a failed one is a result, too.

        Args:
            inputs: What to run, such as a list or a generator of ``edit.Input(…)``, of one model or of several. They
                are taken as they are needed, in the thread that takes the results. While the next input is waited for,
                no result is given, so that one that is long in coming holds results back (`AsyncClient.map` has no
                such wait), and one that waits for a result of the same map waits for ever.
            run: The name of the run, by which the client's ledger knows it when it is begun again with the same inputs,
                in this process or another one: what has a job already is not submitted again, but gives the result of
                that job, or waits for it. Equal inputs are told apart by how many came before. Submitted again are
                those that the API had refused, those that were not sent, and those whose jobs were cancelled; one of
                which nobody knows whether it was accepted is an error until `Ledger.resolve` settles it.
            concurrency: How many are submitted and waited for at a time. At most as many again are kept ready, or
                finished and not taken.
            ordered: Whether the results come in the order of the inputs; without it, as they come.
            budget_usd: How many US dollars may be spent on this run, earlier ones of its name included. Inputs that
                would go over, or whose price nobody knows, are not sent, and their results have a
                `BudgetExceededError`.
            timeout: Seconds until the wait for one job ends; the client's `wait_timeout` without one. For as long, a
                submit that the API refuses for overload is tried again.
            on_update: Called with each new status of each job: one call at a time, from worker threads. What it raises
                ends the map.
            progress: Whether to show the whole on stderr: on a terminal as a live line, which needs the extra ``cli``;
                elsewhere as a line now and then. A last line says how it ended.

        Returns:
            The results, each with its output or its error. Whatever ends the loop early ends the map: nothing more is
            sent, the jobs that were submitted go on, and the log lists their ids. So do a note and the ``request_ids``
            of an exception that came while a result was waited for; where it was Ctrl-C, and the client was told
            `cancel_on_interrupt`, the jobs are cancelled instead. Closing the client ends the map as well; it then
            raises a `ConfigurationError`, once, where it is used again.

            The end of a map waits some seconds for the answers to its last submits. Python ignores a Ctrl-C that comes
            meanwhile where a ``break`` drops the map; with ``contextlib.closing(client.map(…))`` around the loop, it is
            raised.

        Raises:
            TypeError: `inputs` cannot be iterated over, or `on_update` is no plain function; in the loop, once all
                submitted jobs have ended: one of the inputs is no `Input`.
            ConfigurationError: `concurrency`, `timeout`, `budget_usd` or `progress` cannot be used, or there is a `run`
                and no ledger.
        """
        from ._map import Map  # what a plain submit does not need is loaded when it is used
        from ._map_base import Options

        options = Options(run, budget_usd, concurrency, ordered, timeout, on_update, progress)
        return Map[OutT](self, Job, options).results(inputs)

    @overload
    def job(self, request_id: str, /) -> "Job[MediaOutput]": ...
    @overload
    def job(self, request_id: str, output: type[OutT], /) -> "Job[OutT]": ...
    def job(self, request_id: str, output: type[Any] = MediaOutput, /) -> "Job[Any]":
        """Resume a job by its id, in any process and on any machine; nothing is sent.

        Args:
            request_id: `Job.id`, or the ``request_id`` that an error carries.
            output: How to read its result, such as ``edit.Output``.

        Raises:
            InputValidationError: `request_id` cannot be an id.
            TypeError: `output` is no `Output` class.
        """
        return Job(self, request_id, output)

    def _resumed(self, entry: "LedgerEntry", output: type[Any]) -> "Job[Any]":
        from ._ledger_entry import sent_of

        assert entry.request_id is not None
        return Job(self, entry.request_id, output, entry.model_id, sent=sent_of(entry))

    @property
    def models(self) -> Models:
        """The catalog: which models there are, what they take and what they cost."""
        return Models(self)

    def balance(self) -> float:
        """Read the account's balance, in US dollars. It may be zero or less; one balance pays for all of RunComfy.

        Raises:
            APIStatusError: the API refused, or answered with something that has no balance in it.
            APIConnectionError: no answer came within one request timeout, repetitions included.
            ConfigurationError: the client is closed.
        """
        return self._drive(balance(self._settings.timeout))

    def price(self, model_id: str) -> Price:
        """Read the price of a model in the catalog; its `Price.estimate` tells what a job is likely to cost.

        Where the catalog does not answer within one request timeout, but at most 10 seconds, it is the price that was
        known when this package was generated, and its `Price.source` says so.

        Raises:
            InputValidationError: `model_id` cannot be an id; nothing was sent.
            APIStatusError: the API refused; `NotFoundError` where it has no such model. `InternalServerError` only for
                a model that is not in this package.
            APIConnectionError: no answer came, and the model is not in this package.
            ResponseMismatchError: the API answered about another model.
            ConfigurationError: the client is closed.
        """
        return self._drive(price(model_id, self._settings.timeout))

    def spending(self) -> Spending:
        """What has been spent: by this client without a ledger, with one by all that is in it. Nothing is sent.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        return self._book.spending()

    def close(self) -> None:
        """Close the connections. May be called more than once; after it the client cannot be used.

        Maps that have begun end first, as if their loops were left: submits on their way get some seconds for their
        answers.
        """
        self._closing = True
        try:
            if self._maps:
                from ._map import leave_all

                leave_all(self._maps)
        finally:
            self._closed = True
            http = self._connections.pop(os.getpid(), None)
            if http is not None:
                http.close()
            _worker.dismiss()
            self._close_ledger()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _submitted(self, submission: Submission, cancel_on_interrupt: bool | None, use: Callable[["Job[Any]"], T]) -> T:
        """Submit, and `use` the job; from its acceptance on, no interruption leaves without its id."""
        body = submission.draft.body(self._settings.max_request_bytes)
        timeout, attempt = self._settings.timeout, self._attempt(submission, body)
        work = Shielded(lambda: self._drive(submit(attempt, timeout)), _worker.begin)
        try:
            accepted, accepted_at = work.result(), monotonic()
            sent = Sent(body.record, attempt.once.sent_at)
            return use(Job(self, accepted, submission.output, submission.model_id, accepted_at, sent, attempt.entry))
        except RunComfyError:
            raise
        except BaseException as interruption:
            if interruption is not work.error:
                request_id, cancel = work.settled(attempt.withdraw()), self._cancels(cancel_on_interrupt)
                with suppress(KeyboardInterrupt):  # the first one is raised
                    self._drive(interrupted(interruption, attempt, request_id, work.error, timeout, cancel=cancel))
            raise

    def _drive(self, flow: Flow[T]) -> T:
        return drive(flow, lambda request: self._connected().send(request))

    def _connected(self) -> "Http":
        """The connections of this process: a forked child must not use those of its parent."""
        from ._http import Http  # only what talks to the network pays for loading httpcore

        http: Http | None = self._connections.get(os.getpid())
        if http is None and not self._closed:
            http = self._connections.setdefault(os.getpid(), Http(self._settings))
        if http is None or self._closed:
            raise ConfigurationError(CLOSED)
        return http


class Job(JobBase[OutT]):
    """A job that the API has accepted, or that was resumed by its id.

    Attributes:
        id: The request id. Keep it: ``client.job(id, edit.Output)`` resumes it anywhere.
        model_id: The model it was submitted to, or None for a job resumed by its id.
    """

    _client: Client

    def status(self) -> Status:
        """Read the job's state now.

        Raises:
            APIStatusError: the API refused; `NotFoundError` where it does not know the job (any more).
            APIConnectionError: no answer came within one request timeout, repetitions included.
            ResponseMismatchError: the API answered about another request or model.
            ConfigurationError: the client is closed.
        """
        return self._client._drive(self._flows.status())

    def updates(self, timeout: float | None = None) -> Iterator[Status]:
        """Yield the job's status now and whenever it changes, until it has ended.

        Args:
            timeout: Seconds until the wait ends with an error; the client's `wait_timeout` without one.

        Raises:
            WaitTimeoutError: the deadline passed; the job goes on.
            APIStatusError: the API refused to tell.
            ResponseMismatchError: the API answered about another request or model.
            ConfigurationError: the client is closed, or `timeout` is no number of seconds above zero.
        """
        return self._updates(self._wait(timeout, at_once=True))

    def _updates(self, wait: Wait) -> Iterator[Status]:
        while True:
            with self._guarded(None):
                status = self._client._drive(wait.next_change())
            if status is None:
                return
            yield status

    def result(
        self,
        timeout: float | None = None,
        on_update: Callable[[Status], object] | None = None,
        *,
        progress: bool = False,
        cancel_on_interrupt: bool | None = None,
    ) -> OutT:
        """Wait for the job to end and return its output. May be called again.

        Args:
            timeout: Seconds until the wait ends with an error; the client's `wait_timeout` without one.
            on_update: Called with the status now and whenever it changes.
            progress: Whether to show the wait on stderr: on a terminal as a line with the state and the elapsed
                seconds, which needs the extra ``cli``; elsewhere as a line for each change. A last line says how it
                ended.
            cancel_on_interrupt: Whether Ctrl-C cancels the job; as the client was told without it. Where it is not
                cancelled it goes on, and the exception's note and the log say its id.

        Raises:
            JobFailedError: the job failed.
            JobCancelledError: the job was cancelled.
            WaitTimeoutError: the deadline passed; the job goes on, and ``error.job.result()`` resumes the wait.
            APIStatusError: the API refused to tell.
            ResponseMismatchError: the API answered about another request or model.
            ConfigurationError: the client is closed, `timeout` is no number of seconds above zero, or `progress` is no
                bool, or needs rich, which is not installed.
        """
        with self._guarded(cancel_on_interrupt):
            wait = self._wait(timeout, on_update, progress)
            with shown(progress, self.id, self.model_id, on_update) as tell:
                body = self._client._drive(wait.outcome(tell))
            return self._output._from_result(body, self._source)

    def cancel(self) -> bool:
        """Cancel the job, which works only while it is in the queue.

        Returns:
            Whether the job is cancelled; False for one that already runs, or has ended in another way.

        Raises:
            APIStatusError: the API refused.
            APIConnectionError: no answer came within one request timeout, repetitions included.
            ResponseMismatchError: the API answered about another request or model.
            ConfigurationError: the client is closed.
        """
        return self._client._drive(self._flows.cancel())

    def cost(self, timeout: float = 10.0) -> float | None:
        """Read what the job did cost, in US dollars, as the API tells it.

        The API may not know yet when the job has just ended: then it is asked again. Nothing is waited for while the
        job has not ended.

        Args:
            timeout: Seconds until it is asked no more.

        Returns:
            The cost. For a job that was cancelled, 0.0 where the API says nothing else: only jobs that have not begun
            can be cancelled. None for a job that has not ended, and where the API does not tell in time.

        Raises:
            APIStatusError: the API refused; `NotFoundError` where it does not know the job (any more).
            APIConnectionError: no answer came within one request timeout or `timeout`, repetitions included.
            ResponseMismatchError: the API answered about another request or model.
            ConfigurationError: the client is closed, or `timeout` is no number of seconds above zero.
        """
        return self._client._drive(cost(self._flows, positive("timeout", timeout)))

    @contextmanager
    def _guarded(self, cancel_on_interrupt: bool | None) -> Iterator[None]:
        """Let no exception leave without the id of the job that it leaves behind."""
        try:
            yield
        except RunComfyError as error:
            error.request_id = error.request_id or self.id
            raise
        except BaseException as error:
            cancel = self._client._cancels(cancel_on_interrupt) and not isinstance(error, Exception)
            with suppress(KeyboardInterrupt):  # the first one is raised
                self._client._drive(self._flows.leave(error, cancel=cancel))
            raise
