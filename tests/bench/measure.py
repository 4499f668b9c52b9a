"""What commands take, and two of them side by side: each pair is run one after the other, so that both meet the same
machine.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from tempfile import gettempdir
from time import perf_counter
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / ".cache/bench"
"""What the measurements leave behind; it can be deleted at any time."""
OUTPUTS = Path(gettempdir(), f"runcomfy-bench-{getuser()}")
"""The same, of generators. Outside of the repository, which ignores its cache: ruff passes over what is ignored."""
_AWAY = OUTPUTS / "away"


class Cost(NamedTuple):
    """What one run took."""

    seconds: float
    cpu: float
    """Seconds of all cores, of the process and of those that it started."""
    peak_mib: float
    """The most memory of one of these processes."""
    output: str


@dataclass(frozen=True)
class Pairs:
    """The values of two things that were measured in turns."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratios(self) -> list[float]:
        """Ours by theirs, in the order of the rounds."""
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]


def environment(**more: str) -> dict[str, str]:
    """The environment of measured commands: with compiled bytecode, as users have it, and no settings of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RUNCOMFY_", "RUFF_"))}
    return {**kept, **more}


def run(arguments: Sequence[object], **more: str) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed.
    """
    command = [str(argument) for argument in arguments]
    output = FOLDER / "output.txt"
    with output.open("wb") as file:
        started = perf_counter()
        process = subprocess.Popen(command, cwd=FOLDER, env=environment(**more), stdout=file, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text(errors="replace")
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{text[-3000:]}")
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit, text)


def python(code: str, **more: str) -> Cost:
    """Run a program with the Python of this environment."""
    return run([sys.executable, "-c", code], **more)


def pairs(ours: Callable[[], float], theirs: Callable[[], float], rounds: int, *, warm_up: bool = True) -> Pairs:
    """Measure two things in turns, after one turn that does not count; every other round the other one begins."""
    if warm_up:
        ours()
        theirs()
    found = Pairs([], [])
    for number in range(rounds):
        first, second = (ours, theirs) if number % 2 else (theirs, ours)
        values = {first: first()}
        values[second] = second()
        found.ours.append(values[ours])
        found.theirs.append(values[theirs])
    return found


def put_away(folder: Path) -> None:
    """Have a folder out of the way; to delete its files now would slow down whoever makes files next."""
    if folder.exists():
        _AWAY.mkdir(exist_ok=True)
        folder.rename(_AWAY / str(len(list(_AWAY.iterdir()))))


def set_up() -> None:
    """Make the folder, and delete what was put away."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    OUTPUTS.mkdir(exist_ok=True)
    shutil.rmtree(_AWAY, ignore_errors=True)


def compile_below(folder: Path) -> None:
    """Compile all Python files below a folder, as an installation does."""
    run([sys.executable, "-m", "compileall", "-q", "-j", "0", folder])
