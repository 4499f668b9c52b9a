"""The stages in a row: a folder of schemas in, the whole package out as a `Tree`. Nothing is written here."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .classes import classes
from .errors import GenerationError, Problem, SchemaError
from .formatting import format_tree
from .layout import ImportPath, Layout, distinct, layout
from .load import ModelSchema, SchemaFile, load, parse_file
from .naming import Module, name
from .normalise import normalise
from .render import data, packages, render
from .runtime import runtime
from .templates import Templates
from .tree import Tree
from .verify import verify

SHIPPED = Templates()


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
    named = []
    for schema in schemas:
        try:
            named.append(name(normalise(schema)))
        except SchemaError as error:
            found.update(error.problems)
    modules, clashes = distinct(named)
    findings = {finding for module in named for finding in module.model.findings}
    return Understood(modules, sorted({*found, *clashes}), sorted(findings))


def understood_file(file: SchemaFile) -> Module:
    """Load, normalise and name one schema file, or raise a `SchemaError` with everything that is wrong in it."""
    return name(normalise(parse_file(file)))


def build(understood: Understood, package: str, *, keep_going: bool = False, templates: Templates = SHIPPED) -> Tree:
    """Everything that ``generate`` writes, as ``{path: text}``; to keep going is to leave out what has problems.

    Raises:
        GenerationError: with everything that is wrong in all files.
    """
    if understood.problems and not (keep_going and understood.modules):
        raise GenerationError(understood.problems)
    files = layout((module.path for module in understood.modules), package)
    return {**runtime(package, templates), **make(understood.modules, files.packages, files, package, templates)}


def make(
    modules: Iterable[Module], holders: Iterable[ImportPath], files: Layout, package: str, templates: Templates
) -> Tree:
    """The files of some of the models, and of some of the packages that hold them."""
    codes = [classes(module) for module in modules]
    rendered = {**render(codes, package, files, templates), **packages(holders, files, templates)}
    for path, text in rendered.items():
        verify(path, text, package)
    return {**format_tree(rendered), **data(codes, files)}
