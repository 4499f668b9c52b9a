"""The stages in a row: a folder of schemas in, the whole package out as a `Tree`. Nothing is written here."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .classes import classes
from .errors import GenerationError, Problem, SchemaError
from .formatting import Tree, format_tree
from .load import ModelSchema, load
from .naming import Module, name
from .normalise import normalise
from .render import data, render, runtime
from .verify import verify


@dataclass(frozen=True)
class Understood:
    """What a folder of schemas says: the models that are fine, and everything that there is to say about the files."""

    modules: list[Module]
    problems: list[Problem]
    """What keeps a file from being used."""
    findings: list[Problem]
    """What is doubtful, and what is done about it."""


def understand(schemas: Iterable[ModelSchema], problems: Iterable[Problem] = ()) -> Understood:
    """Normalise and name what `load` has read; its problems come first."""
    problems = list(problems)
    models = []
    findings: list[Problem] = []
    for schema in schemas:
        try:
            models.append(normalise(schema))
        except SchemaError as error:
            problems.extend(error.problems)
        else:
            findings.extend(models[-1].findings)
    modules, clashes = name(models)
    return Understood(modules, sorted({*problems, *clashes}), sorted(set(findings)))


def build(schemas: Path, package: str) -> Tree:
    """Everything that ``generate`` writes, as ``{path: text}``.

    Raises:
        GenerationError: with everything that is wrong in all files.
    """
    understood = understand(*load(schemas))
    if understood.problems:
        raise GenerationError(understood.problems)
    return print_package(understood.modules, package)


def print_package(modules: Iterable[Module], package: str) -> Tree:
    """The whole package of some models."""
    codes = [classes(module) for module in modules]
    rendered = render(codes, package)
    for path, text in rendered.items():
        verify(path, text, package)
    return {**runtime(package), **format_tree(rendered), **data(codes, package)}
