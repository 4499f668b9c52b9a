"""The stages in a row: a folder of schemas in, the whole package out as a `Tree`. Nothing is written here."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .classes import classes
from .errors import GenerationError, Problem, SchemaError
from .formatting import format_tree
from .load import ModelSchema, load
from .naming import Module, name
from .normalise import normalise
from .render import data, render, runtime
from .tree import Tree
from .verify import verify


@dataclass(frozen=True)
class Understood:
    """What some schemas say: the models that are fine, and everything that there is to say about the files."""

    modules: list[Module]
    problems: list[Problem]
    """What keeps files from being used."""
    findings: list[Problem]
    """What is doubtful, and what is done about it."""


def read(folder: Path) -> Understood:
    """Load, normalise and name a folder of schemas."""
    return understand(*load(folder))


def understand(schemas: Iterable[ModelSchema], problems: Iterable[Problem] = ()) -> Understood:
    """Normalise and name what was loaded; the problems of loading join those found here."""
    found = set(problems)
    models = []
    for schema in schemas:
        try:
            models.append(normalise(schema))
        except SchemaError as error:
            found.update(error.problems)
    modules, unnamed = name(models)
    findings = {finding for model in models for finding in model.findings}
    return Understood(modules, sorted({*found, *unnamed}), sorted(findings))


def build(understood: Understood, package: str, *, keep_going: bool = False) -> Tree:
    """Everything that ``generate`` writes, as ``{path: text}``; to keep going is to leave out what has problems.

    Raises:
        GenerationError: with everything that is wrong in all files.
    """
    if understood.problems and not (keep_going and understood.modules):
        raise GenerationError(understood.problems)
    codes = [classes(module) for module in understood.modules]
    rendered = render(codes, package)
    for path, text in rendered.items():
        verify(path, text, package)
    return {**runtime(package), **format_tree(rendered), **data(codes, package)}
