"""The stages in a row: a folder of schemas in, the whole package out as a `Tree`. Nothing is written here."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .classes import classes
from .errors import GenerationError, OutputError, Problem, SchemaError
from .layout import ImportPath, Layout, distinct, layout
from .load import ModelSchema, SchemaFile, load, parse_file
from .naming import Module, name
from .normalise import normalise
from .render import data, packages, render
from .runtime import runtime
from .staging import Stage
from .templates import Templates
from .tree import Tree
from .verify import UnsafeCode, objections, verify

SHIPPED = Templates()
_PLAIN = {
    "display_name": "A model",
    "description": "It has a bit of everything that a template may have a case for.",
    "base_price_usd": 1,
    "input_schema": {
        "required": ["prompt"],
        "properties": {
            "prompt": {"type": "string", "description": "What to draw."},
            "image": {"type": "string", "format": "image_uri"},
            "lora": {"properties": {"path": {"type": "string"}}},
            "options": {"properties": {"scale": {"type": "number"}}, "additionalProperties": True},
        },
    },
    "output_schema": {"output": {"properties": {"camera": {"properties": {"angle": {"type": "number"}}}}}},
}


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


def build(
    understood: Understood, package: str, *, keep_going: bool = False, templates: Templates = SHIPPED
) -> dict[str, str]:
    """Everything that ``generate`` writes, as ``{path: text}``; to keep going is to leave out what has problems.

    Raises:
        GenerationError: with everything that is wrong in all files.
    """
    if understood.problems and not (keep_going and understood.modules):
        raise GenerationError(understood.problems)
    files = layout((module.path for module in understood.modules), package)
    with Stage() as stage:
        made = make(understood.modules, files, package, templates)
        stage.add_unformatted({**made, **make_packages(files.packages, files, package, templates)})
        stage.formatted()
        return {path: file.text() for path, file in runtime(package, templates).items()} | dict(stage)


def make(modules: Iterable[Module], files: Layout, package: str, templates: Templates) -> Tree:
    """The files of some of the models, not formatted yet: the more models at once, the better."""
    codes = classes(modules)
    rendered = render(codes, package, files, templates)
    _verify(rendered, package, templates)
    return {**rendered, **data(codes, files)}


def make_packages(holders: Iterable[ImportPath], files: Layout, package: str, templates: Templates) -> Tree:
    """The files of some of the packages that hold models, not formatted yet."""
    rendered = packages(holders, files, templates)
    _verify(rendered, package, templates)
    return rendered


def _verify(rendered: Tree, package: str, templates: Templates) -> None:
    try:
        excused = _own_constructs(package, templates)
        for path, text in rendered.items():
            verify(path, text, package, excused)
    except UnsafeCode as error:
        if templates.own is None:
            raise
        raise OutputError(f"{templates.own}: what these templates print cannot be used: {error}") from error


def _own_constructs(package: str, templates: Templates) -> frozenset[str]:
    """What templates of one's own add to every module, a plain one's too; what a schema adds beyond is refused."""
    if templates.own is None:
        return frozenset()
    plain = name(normalise(ModelSchema("vendor/model", "schemas/vendor/model.json", _PLAIN)))
    files = layout([plain.path], package)
    rendered = {
        **render(classes([plain]), package, files, templates),
        **packages(files.packages, files, templates),
    }
    found = (objections(path, text, package) for path, text in rendered.items())
    return frozenset(reason for path_found in found for _, reason in path_found)
