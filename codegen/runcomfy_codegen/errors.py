"""What is told to the person who runs the generator: of a schema, mostly."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

from .literals import escaped

Place = tuple[str | int, ...]
"""Where something stands in a file: the parts of a JSON pointer."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong or doubtful in one schema file."""

    file: str
    """``schemas/a/b.json``."""
    pointer: str
    """Where in the file, as a JSON pointer; empty for the whole file."""
    reason: str
    position: str = ""
    """Line and column where the JSON itself is broken: ``3:1``."""

    def text(self, severity: str = "") -> str:
        """One line: file, place, severity, reason."""
        file = f"{self.file}:{self.position}" if self.position else self.file
        text = ": ".join(filter(None, (file, self.pointer, severity, self.reason)))
        return escaped(text)  # a schema may hold line breaks, and characters that steer a terminal

    def __str__(self) -> str:
        return self.text()


class SchemaError(Exception):
    """One schema file cannot be used."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class GenerationError(Exception):
    """Nothing was generated. `problems` holds everything that is wrong, file by file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class OutputError(Exception):
    """The output folder cannot be written as asked."""


@dataclass
class Report:
    """Everything that there is to say about one file."""

    source: str
    findings: dict[Problem, None] = field(default_factory=dict)
    """What is doubtful, and what is done about it; in the order of its finding."""
    problems: list[Problem] = field(default_factory=list)
    """What keeps the file from being used."""
    moved: dict[Place, Place] = field(default_factory=dict)
    """Where in the file stands what is read as if it stood elsewhere."""

    def note(self, at: Place, reason: str) -> None:
        """Report something doubtful; the reason says what is done about it."""
        self.findings[Problem(self.source, self._pointer(at), reason)] = None

    def fail(self, at: Place, reason: str) -> NoReturn:
        """Give up on the schema at this place."""
        raise SchemaError(Problem(self.source, self._pointer(at), reason))

    def _pointer(self, at: Place) -> str:
        depths = (depth for depth in range(len(at), 0, -1) if at[:depth] in self.moved)
        depth = next(depths, 0)
        return pointer(*self.moved.get(at[:depth], ()), *at[depth:])

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Keep what is given up on inside, and go on behind it: there may be more to say."""
        try:
            yield
        except SchemaError as error:
            self.problems.extend(error.problems)


def pointer(*parts: str | int) -> str:
    """``("properties", "a/b")`` -> ``"/properties/a~1b"``."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
