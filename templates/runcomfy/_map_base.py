"""What the maps of both clients share: what one item does, as a flow, and what is told of jobs left behind."""

import logging
from asyncio import CancelledError
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Lock
from time import monotonic
from typing import Any, Generic, NamedTuple

from ._background import Stopped
from ._body import Body
from ._book import Entry
from ._client_base import CLOSED, ClientBase, JobBase, Submission
from ._errors import (
    ConfigurationError,
    JobCancelledError,
    JobFailedError,
    LedgerError,
    RateLimitError,
    RunComfyError,
    SubmissionOutcomeUnknown,
)
from ._frames import bare
from ._http_types import Flow, Pause, awaited
from ._inputs import Input, OutT
from ._ledger_entry import sent_of
from ._map_progress import Tally
from ._map_result import MapResult, MapUpdate
from ._map_run import id_and_body, run_name
from ._pace import Deadline
from ._pricing import limits_of
from ._progress import displayed
from ._repeats import Occurrences
from ._requests import JobFlows
from ._source import Sent
from ._status import Status
from ._submit import Attempt, Earlier, submit
from ._throttle import Throttle, Turn

OnUpdate = Callable[[MapUpdate], object]

_HURRY = 1.0
"""Seconds that the last submits are waited for once an interruption has come."""
_LOOK = 0.25
"""Seconds between two looks at a submit that another process has in hand."""

logger = logging.getLogger(__package__)


class Options(NamedTuple):
    """What the caller of a map asks for, as `Client.map` says."""

    run: str | None
    budget_usd: float | None
    concurrency: int
    ordered: bool
    timeout: float | None
    on_update: OnUpdate | None
    progress: bool


class Item(Generic[OutT]):
    """One input, and what has become of it so far."""

    def __init__(self, index: int, request: Input[OutT]) -> None:
        if not isinstance(request, Input):
            raise TypeError(f"expected an Input, got {request!r}")
        self.index = index
        self.input = request
        self.body: Body | None = None
        """Until its job is accepted: it may be large."""
        self.attempt: Attempt | None = None
        """The submit that is on its way."""
        self.request_id: str | None = None
        self.result: MapResult[OutT] | None = None

    @property
    def model_id(self) -> str:
        return self.input._endpoint.model_id

    @property
    def error(self) -> RunComfyError | None:
        return self.result.error if self.result is not None else None


class Patience:
    """How long the end of a map waits for what is on its way. An interruption makes it short, the next one ends it.

    Args:
        error: What ended the map.
        deadline: How long to wait at most.
    """

    def __init__(self, error: BaseException | None, deadline: Deadline) -> None:
        self._interrupted = _is_interruption(error)
        self._deadline = deadline
        self.interruption: BaseException | None = None
        """The first one, where it came meanwhile: it is to be raised in place of what ended the map."""

    def remaining(self) -> float:
        """Seconds until the end; zero or less after it."""
        return self._deadline.remaining()

    def begin_anew(self, seconds: float) -> None:
        """Wait for something else."""
        self._deadline = Deadline(seconds)

    def end_soon(self, interruption: BaseException) -> None:
        """An interruption came meanwhile."""
        self._deadline = self._deadline.within(0.0 if self._interrupted else _HURRY)
        if not self._interrupted:
            self._interrupted, self.interruption = True, interruption


class MapBase(Generic[OutT]):
    """One map. `open` has its items from when they are taken from the inputs until their results are taken.

    Args:
        client: What runs it.
        job: The client's class of jobs.
        options: What the caller asks for.

    Raises:
        TypeError: `on_update` is no plain function.
        ConfigurationError: another option cannot be used.
    """

    def __init__(self, client: ClientBase, job: type[JobBase[Any]], options: Options) -> None:
        count = options.concurrency
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ConfigurationError(f"concurrency: {count!r} is no whole number above zero")
        self._seconds = client._wait_seconds(options.timeout, options.on_update, options.progress)
        has_budget = options.budget_usd is not None
        self.run = run_name(options.run, has_ledger=client._ledger is not None, has_budget=has_budget)
        self._limits = limits_of(options.budget_usd, self.run)
        self._occurrences = Occurrences()
        self._settings = client._settings
        self._client: Any = client  # the subclass knows of which kind
        self._job = job
        self._options = options
        self._throttle = Throttle()
        self._tally = Tally(None, options.run)
        self._changed: Callable[[], object] = _quiet
        self._telling = Lock()
        self.open: dict[int, Item[OutT]] = {}
        self.fatal: BaseException | None = None
        """What ends the map at once."""
        self._word = ""
        self._left: list[str | None] = []

    def _check(self) -> None:
        """Raise what has ended the map."""
        if self.fatal is not None:
            raise self.fatal

    def _enter(self) -> None:
        """Let the client know of the map, which begins."""
        self._client._maps.add(self)
        if self._client._closing:  # whoever closes it looks in the opposite order
            raise ConfigurationError(CLOSED)

    @staticmethod
    def _require_many(inputs: object) -> None:
        """Refuse what can be iterated over as well: an input gives its fields."""
        if isinstance(inputs, Input):
            raise TypeError("expected any number of Inputs, got one")

    def check_stopped(self) -> None:
        """Raise `Stopped` once the map has ended."""
        raise NotImplementedError

    def fail(self, error: BaseException) -> None:
        """End the map at once with an exception: the first one is raised."""
        raise NotImplementedError

    @contextmanager
    def _shown(self, inputs: object) -> Iterator[None]:
        """Show the map while it lasts, if that is wished."""
        if not self._options.progress:
            yield
            return
        with suppress(Exception):
            self._tally = Tally(len(inputs), self._options.run)  # type: ignore[arg-type]  # not everything has a length
        with displayed(self._tally) as self._changed:
            yield

    @contextmanager
    def _working(self, item: Item[OutT]) -> Generator[None, None, None]:
        """Make an item's error its result, and any other exception the end of the map."""
        self._tally.began()
        self._changed()
        try:
            yield
        except LedgerError as error:  # nothing can be submitted any more
            self.fail(error)
        except RunComfyError as error:
            self._settle(item, error=error)
        except Stopped:
            pass
        except BaseException as error:
            self.fail(error)
        finally:
            item.body = None
            self._occurrences.skip(item.index)
            self._tally.left()
            self._changed()

    def _settle(self, item: Item[OutT], output: OutT | None = None, error: RunComfyError | None = None) -> None:
        request_id = item.request_id
        if error is not None:
            request_id = error.request_id = request_id or error.request_id
            bare(error)  # its frames hold the body, and many results may be kept
        item.result = MapResult(item.index, item.input, request_id, error, output)
        self._tally.counts(failed=error is not None, cost_usd=item.result.cost_usd)

    def _run(self, item: Item[OutT], submission: Submission) -> Flow[None]:
        """Submit an item whose body was made, and wait for its job; or take up what the run has of it already."""
        assert item.body is not None
        record = item.body.record
        try:
            sent_at, entry = yield from self._submitted(item, submission)
        except Earlier as earlier:
            item.body = None
            item.request_id, body = id_and_body(earlier.entry)
            accepted_at, sent, entry = None, sent_of(earlier.entry), None
        else:
            accepted_at, sent, body = monotonic(), Sent(record, sent_at), None
        assert item.request_id is not None
        job = self._job(self._client, item.request_id, submission.output, item.model_id, accepted_at, sent, entry)
        if body is None:
            on_update = partial(self._tell, item) if self._options.on_update is not None else None
            body = yield from job._wait(self._seconds, on_update).outcome(on_update)
        self._settle(item, job._output._from_result(body, job._source))

    def _submitted(self, item: Item[OutT], submission: Submission) -> Flow[tuple[float, Entry]]:
        """Submit until it is not refused for overload, or the deadline has passed; when it was sent, and its entry.

        Raises:
            Earlier: the run has a job of it already, or may have.
        """
        occurrence = yield from self._occurrence(item)
        refusal: RateLimitError | None = None
        deadline: Deadline | None = None
        while True:
            attempt = yield from self._first(item, submission, occurrence)
            turn = yield from self._turn(refusal, deadline)
            deadline = deadline or Deadline(self._seconds)
            item.attempt = attempt
            try:
                item.request_id = yield from submit(attempt, self._settings.timeout)
            except Earlier as earlier:
                if earlier.entry.state != "submitting":  # another process was faster
                    raise
            except RateLimitError as error:
                if not attempt.once.sent:  # it is the price that could not be read
                    raise
                logger.info("%s; all submits of this map are slowed down", error)
                self._throttle.refused(turn, monotonic(), error.retry_after)
                if not error.body.strip():  # which may be the word of anybody on the way
                    raise
                refusal = bare(error)
            else:
                self._throttle.accepted(turn)
                item.body = None
                return attempt.once.sent_at, attempt.entry
            finally:
                item.attempt = None  # after the id is there: whoever looks does so in the opposite order

    def _occurrence(self, item: Item[OutT]) -> Flow[int]:
        """How many equal inputs came before, where there is a run to be begun again."""
        if self.run is None:
            return 0
        assert item.body is not None
        key = f"{item.model_id} {item.body.sha256}"
        return (yield from awaited(self._occurrences.before(item.index, key)))

    def _first(self, item: Item[OutT], submission: Submission, occurrence: int) -> Flow[Attempt]:
        """An attempt at what nobody has submitted in this run; while another process has it in hand, wait.

        Raises:
            Earlier: the run has a job of it, or may have.
        """
        assert item.body is not None
        deadline = Deadline(self._seconds)
        attempt: Attempt = self._client._attempt(submission, item.body, self._limits, self.run, occurrence)
        while self.run is not None:
            try:
                yield from attempt.look()
                break
            except Earlier as earlier:
                if earlier.entry.state != "submitting" or deadline.remaining() <= 0:
                    raise
            yield Pause(deadline.cut(_LOOK))
        return attempt

    def _turn(self, refusal: RateLimitError | None, deadline: Deadline | None) -> Flow[Turn]:
        """Wait until an item may be submitted; what was refused before is so for good where that is too late."""
        while True:
            turn = self._throttle.turn(monotonic())
            if refusal is not None and deadline is not None and deadline.remaining() < turn.pause:
                raise refusal
            if not turn.pause:
                return turn
            yield Pause(turn.pause)

    def _tell(self, item: Item[OutT], status: Status) -> None:
        assert self._options.on_update is not None
        assert item.request_id is not None
        with self._telling:
            self.check_stopped()
            try:
                self._options.on_update(MapUpdate(item.index, item.request_id, item.model_id, status))
            except FOREIGN as error:
                self.fail(failure_of("on_update", error))
                raise Stopped from None
            except BaseException as error:
                self.fail(error)
                raise Stopped from None

    def _withdrawn(self) -> list[tuple[Item[OutT], Attempt]]:
        """Let nothing be sent any more; gives the submits whose answers are still to come."""
        attempts = [(item, item.attempt) for item in list(self.open.values())]
        return [(item, attempt) for item, attempt in attempts if attempt is not None and attempt.withdraw()]

    @staticmethod
    def _unanswered(attempts: list[tuple[Item[OutT], Attempt]]) -> list[tuple[Item[OutT], Attempt]]:
        return [(item, attempt) for item, attempt in attempts if item.attempt is attempt]

    def _cancels(self, error: BaseException | None) -> bool:
        """Whether what ended the map is to cancel its jobs: an interruption, where that is wished."""
        return _is_interruption(error) and self._settings.cancel_on_interrupt

    def _unfinished(self) -> list[Item[OutT]]:
        """The items whose jobs are known, and went on when last seen."""
        return [item for item in list(self.open.values()) if item.request_id is not None and item.result is None]

    def _cancel(self, item: Item[OutT], deadline: Deadline) -> Flow[str | None]:
        """Cancel the job of an item; gives its id, or None where it may go on."""
        assert item.request_id is not None
        entry = self._client._book.find(item.request_id)
        job = JobFlows(item.request_id, item.model_id, self._settings.timeout, entry)
        try:
            return item.request_id if (yield from job.cancel(deadline.remaining())) else None
        except RunComfyError:
            return None

    def _leave_word(self, lost: list[tuple[Item[OutT], Attempt]], cancelled: Collection[str]) -> None:
        """Tell the log which jobs the map leaves behind; those that nobody has seen end as well."""
        over = (JobFailedError, JobCancelledError)
        items = list(self.open.values())
        self.open.clear()  # all is told once
        left = [item for item in items if item.request_id and not isinstance(item.error, over)]
        ids = [item.request_id for item in left if item.request_id not in cancelled]
        unknown = [str(item.error) for item in items if isinstance(item.error, SubmissionOutcomeUnknown)]
        unknown += [str(attempt.given_up()) for _, attempt in lost]
        told = []
        if cancelled:
            told.append(f"cancelled: {', '.join(cancelled)}")
        if ids:
            told.append(f"accepted, so that client.job(id, …).result() gives the result: {', '.join(map(str, ids))}")
        if (ids or unknown) and self._options.run is not None:
            told.append(f"all of it is in the ledger; client.map(…, run={self.run!r}) goes on with it")
        if not told + unknown:
            return
        self._word = "\n".join(["a map ended before the results of all its submits were taken", *told, *unknown])
        self._left = ids
        logger.warning("%s", self._word)

    def _note(self, error: BaseException) -> None:
        """Tell what the map is ended with what the log was told."""
        if self._word:
            vars(error).setdefault("request_ids", self._left)
            error.add_note(self._word)


FOREIGN = (StopIteration, StopAsyncIteration, GeneratorExit, CancelledError)
"""What a generator or an event loop would take for its own where it comes from the caller's code."""


def failure_of(what: str, error: BaseException) -> RuntimeError:
    """What to raise in place of an exception that would be taken for another one."""
    failure = RuntimeError(f"{what} raised {type(error).__name__}")
    failure.__cause__ = error
    return failure


def _is_interruption(error: BaseException | None) -> bool:
    return error is not None and not isinstance(error, Exception)


def _quiet() -> None:
    """Where nothing is shown, nobody is told of changes."""
