"""Some schema files in, the staged files of their models out. A batch needs to know nothing of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .errors import Problem, SchemaError
from .fingerprints import digest
from .layout import ImportPath, layout
from .load import Listed
from .pipeline import make, understood_file
from .staging import put
from .templates import Templates


class Task(NamedTuple):
    """What all batches of a run have in common."""

    out: Path
    package: str
    templates: Templates
    tools: str
    keep_going: bool
    """Whether models are made though other files are broken."""


@dataclass(frozen=True)
class Made:
    """What there is to know of a batch."""

    paths: dict[str, ImportPath]
    """The import paths of its models, by the names of the schema files; of broken ones there is none."""
    hashes: dict[str, str]
    """What was read of them, which may have been edited since it was hashed before."""
    problems: list[Problem]
    files: dict[str, tuple[str, str]]
    """The staged files, the module and the schema, of the models that were made; of twins, only of the first."""
    failure: Exception | None = None
    """Why none was made, though none but the problems is to blame on the schemas."""


def make_batch(files: Sequence[Listed], task: Task, folder: Path, *, is_broken: bool) -> Made:
    """Understand schema files, and put what is made of them into a folder, not formatted.

    Where something `is_broken`, elsewhere or here, nothing is made, unless this is to keep going.
    """
    modules = []
    hashes: dict[str, str] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            read = file.read()
            modules.append(understood_file(read))
            hashes[file.source] = digest(read.content)
        except SchemaError as error:
            problems.extend(error.problems)
    paths = {module.source: module.path for module in modules}
    first = {module.path: module for module in reversed(modules)}
    distinct = [module for module in modules if first[module.path] is module]
    if not distinct or ((is_broken or problems) and not task.keep_going):
        return Made(paths, hashes, problems, {})
    where = layout(first, task.package)
    try:
        staged = put(make(distinct, where, task.package, task.templates), folder)
    except Exception as error:  # what is wrong with files is told first, all of it
        return Made(paths, hashes, problems, {}, error)
    made = {
        module.source: (str(staged[where.modules[module.path]]), str(staged[where.schemas[module.path]]))
        for module in distinct
    }
    return Made(paths, hashes, problems, made)
