"""The stages in a row: a folder of schemas in, the whole package out as a `Tree`. Nothing is written here."""

from pathlib import Path

from .classes import classes
from .errors import GenerationError, SchemaError
from .formatting import Tree, format_tree
from .load import load
from .naming import name
from .normalise import normalise
from .render import data, render, runtime
from .verify import verify


def build(schemas: Path, package: str) -> Tree:
    """Everything that ``generate`` writes, as ``{path: text}``.

    Raises:
        GenerationError: with everything that is wrong in all files.
    """
    loaded, problems = load(schemas)
    models = []
    for schema in loaded:
        try:
            models.append(normalise(schema))
        except SchemaError as error:
            problems.append(error.problem)
    modules, clashes = name(models)
    if problems or clashes:
        raise GenerationError([*problems, *clashes])
    codes = [classes(module) for module in modules]
    rendered = render(codes, package)
    for path, text in rendered.items():
        verify(path, text, package)
    return {**runtime(package), **format_tree(rendered), **data(codes, package)}
