"""The batches of a run, made in as many processes as there are cores; this one is the first of them.

What goes wrong in another process is no error: what it leaves is made here. So is what few models need.
"""

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from threading import Thread

from .batch import Made, Task, make_batch
from .errors import Problem
from .field_types import known
from .load import Listed
from .staging import Stage

_BATCH = 100
"""Models that are made at once: what is known of them is held in memory, and is much more than their files."""
_LEAST = 2
"""Batches that there are for each process: to start it takes as long as to make one."""
_START = "import json, sys; sys.path[:] = json.loads(input()); from runcomfy_codegen.worker import main; main()"


def make_all(files: Sequence[Listed], task: Task, stage: Stage, *, is_broken: bool) -> list[Made]:
    """Make the models of schema files; where something is broken already, or once a file is, as `make_batch` does.

    What is staged is formatted when the stage says so.
    """
    run = _Run(files, task, stage, is_broken=is_broken)
    workers: list[_Worker] = []
    try:
        with suppress(Exception):  # a process that cannot be started is none that is needed
            while len(workers) < min(_cores(), -(-len(run.batches) // _LEAST)) - 1:
                workers.append(_Worker(run))
        for number in run.to_do():
            with suppress(Exception):  # it comes again, after what goes wrong before it
                run.make(number)
        for worker in workers:
            worker.join()
    finally:
        run.stop()
        for worker in workers:
            worker.end()
    return run.all_made()


class _Run:
    """The batches, and what became of each."""

    def __init__(self, files: Sequence[Listed], task: Task, stage: Stage, *, is_broken: bool) -> None:
        self.batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
        self.task = task
        self._stage = stage
        self._folders = [stage.folder() for _ in self.batches]
        self._was_broken = is_broken
        self._waiting = deque(range(len(self.batches)))
        self._made: list[Made | None] = [None] * len(self.batches)
        self._types: list[dict[str, str]] = []
        """Those that other processes have learned. They are of use once no types are made any more here."""

    def to_do(self) -> Iterator[int]:
        """The batches that nobody has begun, for everybody who can make one more."""
        with suppress(IndexError):
            while True:
                yield self._waiting.popleft()

    def stop(self) -> None:
        """Have nothing more begun."""
        self._waiting.clear()

    @property
    def _is_broken(self) -> bool:
        return self._was_broken or any(made.problems for made in self._made if made)

    def make(self, number: int) -> None:
        """Make a batch in this process."""
        made = make_batch(self.batches[number], self.task, self._folders[number], is_broken=self._is_broken)
        self._keep(number, made)

    def make_in(self, process: subprocess.Popen[str], number: int) -> None:
        """Have a batch made in another process."""
        assert process.stdin is not None
        assert process.stdout is not None
        files = self.batches[number]
        asked = {
            "folder": str(self._folders[number]),
            "root": str(files[0].folder),
            "files": [(file.relative, file.source) for file in files],
            "is_broken": self._is_broken,
        }
        print(json.dumps(asked), file=process.stdin, flush=True)
        answer = json.loads(process.stdout.readline())
        self._types.append(answer["types"])
        made = Made(
            {source: tuple(path) for source, path in answer["paths"].items()},
            answer["hashes"],
            [Problem(**problem) for problem in answer["problems"]],
            {source: (module, schema) for source, (module, schema) in answer["files"].items()},
        )
        self._keep(number, made)

    def _keep(self, number: int, made: Made) -> None:
        if made.files:
            self._stage.format(self._folders[number])
        self._made[number] = made

    def all_made(self) -> list[Made]:
        """What became of each batch; what was left, or went wrong, is made now."""
        for number, made in enumerate(self._made):
            if made is None:
                self._folders[number] = self._stage.folder()  # there may be files in the other
                self.make(number)
        for types in self._types:
            known.update(types)
        return [made for made in self._made if made]


class _Worker(Thread):
    """Another process, and the thread that waits for it."""

    def __init__(self, run: _Run) -> None:
        super().__init__(name="runcomfy-codegen worker")
        self._run = run
        # It finds the code where this process has found it, and nothing where it was started.
        command = [sys.executable, "-I" if sys.flags.isolated else "-P", "-c", _START]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what is to be said is said here
            encoding="ascii",
        )
        self.start()

    def run(self) -> None:
        """Have batches made as long as all goes well."""
        with suppress(Exception):
            task = self._run.task
            own = task.templates.own
            assert self._process.stdin is not None
            print(json.dumps(sys.path), file=self._process.stdin)
            about = (str(task.out), task.package, None if own is None else str(own), task.tools, task.keep_going)
            print(json.dumps(about), file=self._process.stdin)
            for number in self._run.to_do():
                self._run.make_in(self._process, number)

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self.join()
        with suppress(OSError), self._process:
            pass


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
