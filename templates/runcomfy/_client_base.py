"""What the sync and the async client share: settings, and what a call means before any I/O."""

import os
import sys
from collections.abc import Container, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, NoReturn

from . import _progress
from ._answers import is_request_id
from ._body import Body, Draft
from ._book import Book, Entry, Intent, Limit, MemoryBook
from ._errors import ConfigurationError, InputProblem, InputValidationError
from ._inputs import Input, OutT
from ._outputs import MediaOutput, Output
from ._pace import Durations
from ._pricing import Pricing, limits_of
from ._requests import JobFlows
from ._settings import Token, positive, resolve
from ._source import Sent, Source
from ._submit import Attempt
from ._wait import Wait

if TYPE_CHECKING:
    import ssl

    from ._ledger import Ledger

CLOSED = "this client is closed; make a new one"


class Submission(NamedTuple):
    """One validated submit."""

    draft: Draft
    output: type[Any]

    @property
    def model_id(self) -> str:
        return self.draft.model_id


def submission(request: object, arguments: Mapping[str, Any] | None) -> Submission:
    """What ``submit(edit.Input(…))`` or ``submit("vendor/model", {…})`` is to send.

    Everything wrong is raised here, or when the body is made of the draft. An input is validated once more, since
    ``model_copy(update=…)`` and a changed list inside it are not, and a file may have changed.
    """
    if isinstance(request, Input) and arguments is None:
        model_id, output = request._endpoint
        return Submission(Draft(model_id, type(request).model_validate(request)), output)
    if isinstance(request, str) and isinstance(arguments, Mapping):
        return Submission(Draft(request, dict(arguments)), MediaOutput)
    raise TypeError("expected an Input, or a model id and a dict of arguments")


class ClientBase:
    """The settings of a client."""

    _closing = False
    """Whether no map can begin any more."""
    _closed = False

    def __init__(
        self,
        token: str | None = None,
        base_url: str | None = None,
        *,
        account_url: str | None = None,
        timeout: float = 60.0,
        wait_timeout: float = 600.0,
        poll_interval: float | None = None,
        cancel_on_interrupt: bool = False,
        max_request_bytes: int = 64 * 1024 * 1024,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        verify: "bool | ssl.SSLContext | str | os.PathLike[str]" = True,
        ledger: "str | os.PathLike[str] | Ledger | None" = None,
        budget_usd: float | None = None,
        prices: Mapping[str, float] | None = None,
    ) -> None:
        """Make a client; nothing is sent, and no connection is opened.

        Args:
            token: The API token. Without one: ``RUNCOMFY_TOKEN``, ``RUNCOMFY_API_TOKEN``, ``RUNCOMFY_API_KEY``, then
                the token file of the official command line.
            base_url: Where the API is, with or without ``/v1``. Without one: ``RUNCOMFY_MODEL_API_BASE``, then
                https://model-api.runcomfy.net/v1.
            account_url: Where account calls such as `balance` go; the token is sent there, too. Without one:
                https://api.runcomfy.net/prod/v2 for production, else ``/prod/v2`` at the scheme, host and port of
                `base_url`.
            timeout: Seconds that one HTTP request may take from its start to the end of the answer. In the sync client,
                the system's look-up of the host's name comes on top.
            wait_timeout: Seconds that a whole wait for a result may take, unless the call says otherwise.
            poll_interval: Seconds between two polls of a job. Without one it follows from the job: 0.25 at first,
                growing to 5; and once three jobs of the model have finished, from how long these took.
            cancel_on_interrupt: Whether Ctrl-C, or the cancellation of the asyncio task, cancels the job that is
                submitted or waited for, unless the call says otherwise.
            max_request_bytes: How long the body of a submit may be, its local files in base64 included; longer ones
                are refused before a file is read. The API does not publish its own limit; RunComfy's own client has
                this one, 64 MiB.
            headers: Further headers of every request.
            proxy: URL of a proxy. Without one, the environment's (``HTTPS_PROXY`` …) is used.
            verify: How TLS certificates are checked: True, False, the path of a CA bundle, or an SSL context.
            ledger: Where each submit is written down before it is sent, and what became of it: a path, a URL, or a
                `Ledger`. With one, the catalog is asked for the price of each model now and then.
            budget_usd: How many US dollars may be spent; a submit that would go over, or whose price nobody knows, is
                refused before anything is sent. Without a ledger it is the budget of this client; with one, of all that
                is in the ledger, by any process and at any time. A job counts with its estimated price until the API
                tells its cost.
            prices: What a job of a model is to be taken to cost, in US dollars, by model id; of the others the budget
                reads the price in the catalog.

        Raises:
            ConfigurationError: there is no token, or a setting is not usable.
            LedgerError: the ledger cannot be opened.
        """
        hidden = None if token is None else Token(token)
        del token  # so that no traceback from here on shows it
        self._settings = resolve(
            token=hidden,
            base_url=base_url,
            account_url=account_url,
            timeout=timeout,
            wait_timeout=wait_timeout,
            poll_interval=poll_interval,
            cancel_on_interrupt=cancel_on_interrupt,
            max_request_bytes=max_request_bytes,
            headers=headers,
            proxy=proxy,
            verify=verify,
        )
        self._limits = limits_of(budget_usd)
        self._pricing = Pricing(prices)
        self._ledger: Ledger | None = None
        self._owns_ledger = False
        self._book: Book = MemoryBook()
        if ledger is not None:
            from ._ledger import ledger_of  # what a plain submit does not need is loaded when it is used

            self._ledger = ledger_of(ledger)
            self._owns_ledger = self._ledger is not ledger
            self._book = self._ledger._book(self._settings.base_url)
        self._durations = Durations()
        self._connections: dict[Any, Any] = {}  # by process, or by event loop
        self._maps: set[Any] = set()  # those that have begun and not ended

    def _wait_seconds(self, timeout: float | None, on_update: object, progress: object) -> float:
        """How long to wait; what cannot be waited with is refused, for which a call asks before anything is paid."""
        self._require_plain("on_update", on_update)
        _progress.check(progress)
        return self._settings.wait_timeout if timeout is None else positive("timeout", timeout)

    @staticmethod
    def _require_plain(name: str, function: object) -> None:
        """Refuse what cannot be called, or would have to be awaited."""
        if function is not None and (not callable(function) or iscoroutinefunction(function)):
            raise TypeError(f"{name}: {function!r} is no plain function")

    def _attempt(
        self,
        submission: Submission,
        body: Body,
        limits: Sequence[Limit] = (),
        run: str | None = None,
        occurrence: int = 0,
    ) -> Attempt:
        """A submit that is to be booked and sent.

        Args:
            submission: What to submit.
            body: Its body.
            limits: What must not be spent beyond, beside the client's budget.
            run: The run of a map that it belongs to.
            occurrence: How many equal inputs came before it in the run.
        """
        intent = Intent(
            model_id=submission.model_id,
            payload_sha256=body.sha256 if self._ledger else "",  # long bodies take a while
            record=body.record,
            run=run,
            occurrence=occurrence,
            seconds=self._settings.timeout,
        )
        limits = [*self._limits, *limits]
        timeout, is_wished = self._settings.timeout, self._ledger is not None
        price = self._pricing.estimate(submission.draft, timeout, is_needed=bool(limits), is_wished=is_wished)
        return Attempt(submission.model_id, body.content, self._book.enter(intent), limits, price)

    def _close_ledger(self) -> None:
        if self._ledger is not None and self._owns_ledger:
            self._ledger.close()

    def _cancels(self, cancel_on_interrupt: bool | None) -> bool:
        return self._settings.cancel_on_interrupt if cancel_on_interrupt is None else cancel_on_interrupt

    @property
    def ledger(self) -> "Ledger":
        """The ledger in use.

        Raises:
            ConfigurationError: the client was made without one.
        """
        if self._ledger is None:
            raise ConfigurationError("this client has no ledger; make it with Client(ledger=…)")
        return self._ledger

    @property
    def base_url(self) -> str:
        """The base URL in use, with ``/v1``."""
        return self._settings.base_url

    @property
    def account_url(self) -> str:
        """Where account calls such as `balance` go."""
        return self._settings.account_url

    def __repr__(self) -> str:
        made = "_settings" in vars(self)  # a debugger may show a client that could not be made
        return f"{type(self).__name__}({f'base_url={self.base_url!r}' if made else ''})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled; make one in each process")


class JobBase(Generic[OutT]):
    """What a job is before any I/O."""

    id: str
    model_id: str | None
    _client: Any  # the subclass knows of which kind

    def __init__(
        self,
        client: ClientBase,
        request_id: str,
        output: type[OutT],
        model_id: str | None = None,
        accepted_at: float | None = None,
        sent: Sent | None = None,
        entry: Entry | None = None,
    ) -> None:
        if not is_request_id(request_id):
            raise InputValidationError("a job", [InputProblem("request_id", f"{request_id!r} is no request id")])
        if not (isinstance(output, type) and issubclass(output, Output)):
            raise TypeError(f"expected an Output class, got {output!r}")
        self.id = request_id
        self.model_id = model_id
        self._accepted_at = accepted_at
        self._sent = sent
        self._output: type[OutT] = output
        self._client = client
        entry = client._book.find(request_id) if entry is None else entry
        self._flows = JobFlows(request_id, model_id, client._settings.timeout, entry)

    @property
    def _source(self) -> Source:
        settings = self._client._settings
        model_id = self.model_id or getattr(sys.modules.get(self._output.__module__), "MODEL_ID", None)
        return Source(settings.origin, settings.proxy, settings.verify, self.id, model_id, self._sent)

    def _wait(
        self, timeout: float | None, on_update: object = None, progress: object = False, *, at_once: bool = False
    ) -> Wait:
        client: ClientBase = self._client
        seconds, interval = client._wait_seconds(timeout, on_update, progress), client._settings.poll_interval
        at_once = at_once or on_update is not None or progress is True
        return Wait(self._flows, self, seconds, interval, self._accepted_at, client._durations, at_once=at_once)

    def __repr__(self) -> str:
        model = f", model_id={self.model_id!r}" if self.model_id else ""
        return f"{type(self).__name__}(id={self.id!r}{model})"

    def _repr_html_(self) -> str:
        """What a notebook shows: what this process has last seen of the job. Nothing is asked of the API."""
        from ._display import job_html

        return job_html(type(self).__name__, self.id, self.model_id, self._flows.last)

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, str]:
        from ._display import bundle

        return bundle(self, self._repr_html_(), include, exclude)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled; keep its id and call client.job(id, …)")
