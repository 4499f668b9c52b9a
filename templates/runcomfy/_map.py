"""The map of the sync client: worker threads, and a generator that only the caller's own thread runs."""

import atexit
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any

from ._background import Stop, Stopped, in_parallel
from ._client_base import CLOSED, JobBase, submission
from ._drive import drive
from ._errors import ConfigurationError
from ._http_types import Request, Response
from ._inputs import Input, OutT
from ._map_base import FOREIGN, Item, MapBase, Options, Patience, failure_of
from ._map_result import MapResult
from ._pace import Deadline
from ._requests import CANCELLING
from ._submit import GRACE, Attempt

if TYPE_CHECKING:
    from ._client import Client

_LOOK = 0.2
"""Seconds that a wait lasts at most before it begins anew: some systems deliver Ctrl-C only between waits."""
_CANCELLERS = 32
"""How many jobs are cancelled at a time."""


class Map(MapBase[OutT]):
    """One map. Its generator takes the inputs and gives the results; the threads do what is between.

    The generator is not referred to from here: a loop that is left drops it, and so ends the map.
    """

    _client: "Client"

    def __init__(self, client: "Client", job: type[JobBase[Any]], options: Options) -> None:
        super().__init__(client, job, options)
        self._process = os.getpid()
        self._stop = Stop()
        self._todo: SimpleQueue[Item[OutT] | None] = SimpleQueue()
        self._finished: SimpleQueue[Item[OutT] | None] = SimpleQueue()
        self._workers: list[Thread] = []
        self._leaving = RLock()
        self._is_left = False

    def check_stopped(self) -> None:
        self._stop.check()

    def fail(self, error: BaseException) -> None:
        self.fatal = self.fatal or error
        self._stop.set()
        self._finished.put(None)  # wakes the caller

    def results(self, inputs: Iterable[Input[OutT]]) -> Generator[MapResult[OutT], None, None]:
        """The results, as the map's caller wants them."""
        self._require_many(inputs)
        return self._results(inputs, iter(inputs))

    def _results(
        self, inputs: Iterable[Input[OutT]], source: Iterator[Input[OutT]]
    ) -> Generator[MapResult[OutT], None, None]:
        self._process = os.getpid()  # which may be a fork of the one that asked for the map
        atexit.register(self._at_exit)
        try:
            self._enter()
            with self._shown(inputs):
                are_at_hand = isinstance(inputs, Sequence)
                del inputs
                yield from self._each(source, are_at_hand)
            self._dismiss()
            for worker in self._workers:
                worker.join()
        except GeneratorExit:
            self._leave(None)
            raise
        except BaseException as error:
            self._leave(error)
            raise
        finally:
            atexit.unregister(self._at_exit)
            self._client._maps.discard(self)
            self._occurrences.close()

    def _each(self, source: Iterator[Input[OutT]], are_at_hand: bool) -> Generator[MapResult[OutT], None, None]:
        count, has_more = 0, True
        failure: Exception | None = None
        while has_more or self.open:
            room = has_more and len(self.open) < 2 * self._options.concurrency
            # The next input may be long in coming, so that what is finished goes first; unless all inputs are there.
            finished = None if room and are_at_hand else self._next(wait=not room)
            if finished is not None and self.open.pop(finished.index, None) is finished:
                result = finished.result
                assert result is not None
                del finished
                yield result
                if os.getpid() != self._process:
                    raise ConfigurationError("this map belongs to the process that began it; begin one in each process")
            elif room:
                try:
                    item = Item(count, next(source))
                except StopIteration:
                    has_more = False
                except FOREIGN as error:
                    has_more, failure = False, failure_of("the inputs", error)
                except Exception as error:
                    has_more, failure = False, error
                else:
                    self._begin(item)
                    count += 1
            self._check()
        if failure is not None:
            raise failure

    def _begin(self, item: Item[OutT]) -> None:
        self.open[item.index] = item
        if len(self._workers) < min(self._options.concurrency, len(self.open)):
            worker = Thread(
                target=copy_context().run, args=[self._work], name=f"runcomfy-map-{len(self._workers) + 1}", daemon=True
            )
            self._workers.append(worker)
            try:
                worker.start()
            except RuntimeError:  # there may be no more threads: then those that there are do it all
                self._workers.remove(worker)
                if not self._workers:
                    raise
        self._todo.put(item)

    def _next(self, *, wait: bool) -> Item[OutT] | None:
        """The next item whose result is to be given; None where that is still to come, and is not to be waited for."""
        while True:
            self._check()
            if self._options.ordered:
                first = next(iter(self.open.values()), None)
                if first is None or first.result is not None:
                    return first
            elif not self.open:
                return None
            try:
                item = self._finished.get(timeout=_LOOK) if wait else self._finished.get_nowait()
            except Empty:
                if not wait:
                    return None
                continue
            if item is not None and item.result is not None and not self._options.ordered and self.fatal is None:
                return item

    def _work(self) -> None:
        with suppress(Stopped):
            while (item := self._todo.get()) is not None:
                self._stop.check()
                with self._working(item):
                    self._do(item)
                self._finished.put(item)
                del item
        self._dismiss()  # the next one, too

    def _do(self, item: Item[OutT]) -> None:
        submitted = submission(item.input, None)
        item.body = submitted.draft.body(self._settings.max_request_bytes)
        drive(self._run(item, submitted), self._send, self._stop.pause)

    def _send(self, request: Request) -> Response:
        self._stop.check()
        return self._client._connected().send(request)

    def _dismiss(self) -> None:
        self._todo.put(None)

    def _at_exit(self) -> None:
        self._leave(None)

    def _leave(self, error: BaseException | None, grace: Deadline | None = None) -> None:
        """End the map early: send nothing more, and tell which jobs go on.

        What interrupts that is raised, unless the map was ended by an interruption already.
        """
        if os.getpid() != self._process:  # a forked child: all this is its parent's
            return
        patience = Patience(error, grace or Deadline(GRACE))
        with self._leaving:  # the client may be closed meanwhile, in any thread
            if not self._is_left:
                self._settle_all(error, patience)
                self._is_left = True
        error = patience.interruption or error
        if error is not None:
            self._note(error)
        if patience.interruption is not None:
            raise patience.interruption

    def _settle_all(self, error: BaseException | None, patience: Patience) -> None:
        self._stop.set()
        self._dismiss()
        on_their_way = self._withdrawn()
        cancelled: list[str] = []
        try:
            while self._unanswered(on_their_way) and patience.remaining() > 0:
                try:
                    self._await_answers(on_their_way, patience)
                except BaseException as interruption:
                    patience.end_soon(interruption)
            if self._cancels(error):
                with suppress(BaseException):  # interrupted again
                    self._cancel_all(cancelled.append)
        finally:
            self._leave_word(self._unanswered(on_their_way), cancelled)

    def _await_answers(self, on_their_way: list[tuple[Item[OutT], Attempt]], patience: Patience) -> None:
        while self._unanswered(on_their_way) and (remaining := patience.remaining()) > 0:
            with suppress(Empty):
                self._finished.get(timeout=min(_LOOK, remaining))

    def _cancel_all(self, tell: Callable[[str], object]) -> None:
        deadline = Deadline(CANCELLING)

        def cancel(item: Item[OutT]) -> None:
            request_id = self._client._drive(self._cancel(item, deadline))
            if request_id is not None:
                tell(request_id)

        in_parallel([partial(cancel, item) for item in self._unfinished()], _CANCELLERS)


def leave_all(maps: set[Map[Any]]) -> None:
    """End the maps of a client that is being closed: their last submits need its connections."""
    ending = [one for one in maps.copy() if one._process == os.getpid()]
    for one in ending:
        one.fail(ConfigurationError(CLOSED))
    grace = Deadline(GRACE)
    with ExitStack() as stack:  # each, whatever interrupts the others
        for one in ending:
            stack.callback(one._leave, None, grace)
