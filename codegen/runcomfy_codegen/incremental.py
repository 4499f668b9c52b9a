"""`pipeline.build`, less what an earlier run has made already. The output is the same to the byte."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import cache
from .cache import Cache, digest
from .errors import GenerationError, Problem, SchemaError
from .layout import ImportPath, Layout, distinct, layout
from .load import SchemaFile, find_some
from .runtime import runtime
from .templates import Templates
from .tree import Tree

if TYPE_CHECKING:
    from .naming import Module

_NOTHING = "nothing but its place"


@dataclass(frozen=True)
class Update:
    """What is to be done to a package."""

    tree: Tree
    """The files that were made anew, and the runtime."""
    kept: frozenset[str]
    """The files that stand in the output as they have to."""
    problems: list[Problem]
    """What keeps schema files from being used; their models are left out."""
    models: int
    anew: int
    """How many of the models were made anew."""
    cache: Cache | None
    """What is to be stored once the tree is written; None where the same is stored already."""
    was_damaged: bool
    """Whether there was a cache that is not as it was stored."""


@dataclass(frozen=True)
class _Model:
    """A model of which the place is known, and more only where its file had to be read."""

    file: SchemaFile
    hash: str
    path: ImportPath
    module: "Module | None"

    @property
    def model_id(self) -> str:
        return self.file.model_id

    @property
    def source(self) -> str:
        return self.file.source


def update(schemas: Path, out: Path, package: str, templates: Templates, *, keep_going: bool = False) -> Update:
    """Find out what a package lacks, and make it; nothing is written.

    Raises:
        GenerationError: with everything that is wrong in all files.
    """
    tools = cache.tools(templates)
    restored = cache.restore(out, package, tools)
    known = restored or Cache(tools)
    models, problems = _models(schemas, known)
    if problems and not (keep_going and models):
        raise GenerationError(problems)

    where = layout((model.path for model in models), package)
    made_of = _made_of(models, where)
    standing = cache.hashes(out, made_of)
    kept = frozenset(file for file, of in made_of.items() if known.files.get(file) == (of, standing.get(file)))
    missing = made_of.keys() - kept
    anew = [model for model in models if {where.modules[model.path], where.schemas[model.path]} & missing]
    packages = [path for path, file in where.packages.items() if file in missing]
    tree = _make(anew, packages, where, package, templates)

    standing |= {file: digest(text.encode()) for file, text in tree.items()}
    new = Cache(
        tools,
        paths={model.hash: model.path for model in models},
        files={file: (of, standing[file]) for file, of in made_of.items()},
    )
    return Update(
        tree={**runtime(package, templates), **tree},
        kept=kept - tree.keys(),
        problems=problems,
        models=len(models),
        anew=len(anew),
        cache=None if new == restored else new,
        was_damaged=restored is None,
    )


def _models(schemas: Path, known: Cache) -> tuple[list[_Model], list[Problem]]:
    """The models of a folder in the order of their ids; only those of new files are read."""
    files, problems = find_some(schemas)
    models = []
    for file in files:
        hash_ = digest(file.source.encode(), file.content)
        try:
            module = None if hash_ in known.paths else _module(file)
        except SchemaError as error:
            problems.extend(error.problems)
            continue
        models.append(_Model(file, hash_, known.paths[hash_] if module is None else module.path, module))
    placed, clashes = distinct(models)
    return placed, sorted({*problems, *clashes})


def _made_of(models: list[_Model], where: Layout) -> dict[str, str]:
    """Of every file that depends on the schemas, the hash of what it is made of."""
    made_of = dict.fromkeys(where.packages.values(), _NOTHING)
    for model in models:
        made_of |= dict.fromkeys((where.modules[model.path], where.schemas[model.path]), model.hash)
    return made_of


def _make(models: list[_Model], packages: list[ImportPath], where: Layout, package: str, templates: Templates) -> Tree:
    if not models and not packages:
        return {}
    from .pipeline import make  # what it needs is slow to load, and mostly there is nothing to make

    return make([model.module or _module(model.file) for model in models], packages, where, package, templates)


def _module(file: SchemaFile) -> "Module":
    from .pipeline import understood_file

    return understood_file(file)
