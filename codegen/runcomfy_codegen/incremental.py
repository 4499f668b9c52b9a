"""`pipeline.build`, less what an earlier run has made already. The output is the same to the byte."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from . import cache
from .cache import Cache
from .errors import GenerationError, Problem
from .fingerprints import Fingerprints, digest
from .layout import ImportPath, Layout, distinct, layout
from .load import Listed, listed, nothing_in
from .runtime import RuntimeFile, runtime
from .staging import Stage
from .templates import Templates

if TYPE_CHECKING:
    from .batch import Made

_NOTHING = "nothing but its place"


@dataclass(frozen=True)
class Update:
    """What is to be done to a package."""

    tree: Stage
    """The files that were made anew."""
    kept: frozenset[str]
    """The files that stand in the output as they have to."""
    problems: list[Problem]
    """What keeps schema files from being used; their models are left out."""
    models: int
    anew: int
    """How many of the models were made anew."""
    tools: str
    cache: Cache | None
    """What is to be stored once the tree is written; None where the same is stored already."""
    types: dict[str, str] | None
    """The same, of the types of fields."""
    was_damaged: bool
    """Whether there was a cache that is not as it was stored."""


class _Model(NamedTuple):
    """A model of which the place is known."""

    file: Listed
    hash: str
    path: ImportPath

    @property
    def model_id(self) -> str:
        return self.file.model_id

    @property
    def source(self) -> str:
        return self.file.source


def update(
    schemas: Path, out: Path, package: str, templates: Templates, stage: Stage, *, keep_going: bool = False
) -> Update:
    """Find out what a package lacks, and make it on the stage; nothing is written.

    Raises:
        GenerationError: with everything that is wrong in all files.
    """
    restored = cache.restore(out, package)
    fingerprints = Fingerprints(restored.seen if restored else {})
    tools = cache.tools(templates, fingerprints)
    known = restored if restored and restored.tools == tools else Cache(tools)
    maker = _Maker(out, package, templates, tools, stage, keep_going=keep_going)
    models, problems = _models(schemas, known, fingerprints, maker, keep_going=keep_going)
    if problems and not (keep_going and models):
        raise GenerationError(problems)

    where = layout((model.path for model in models), package)
    copied = runtime(package, templates)
    made_of = _made_of(models, where)
    for name, file in copied.items():
        made_of[name] = _copied_of(file, str(fingerprints.of(file.path)))
    root = os.path.abspath(out)
    standing = {file: fingerprints.of(f"{root}/{file}") for file in made_of}
    kept = frozenset(file for file, of in made_of.items() if known.files.get(file) == (of, standing[file]))
    missing = made_of.keys() - kept
    anew = [model for model in models if {where.modules[model.path], where.schemas[model.path]} & missing]
    maker.make_known([model for model in anew if model.source not in maker.made])
    maker.finish(anew, where, [path for path, file in where.packages.items() if file in missing])
    read = {name: file.content() for name, file in copied.items() if name in missing}
    if read:
        stage.add({name: copied[name].text_of(content) for name, content in read.items()})
    # A file may have been edited since it was hashed.
    made_of |= {name: _copied_of(copied[name], digest(content)) for name, content in read.items()}

    own = {file: digest(text.encode()) for file, text in stage.items()}
    new = Cache(
        tools,
        models={model.source: (model.hash, model.path) for model in models},
        files={file: (of, own.get(file) or str(standing[file])) for file, of in made_of.items()},
        seen=fingerprints.found,
    )
    return Update(
        tree=stage,
        kept=kept - own.keys(),
        problems=problems,
        models=len(models),
        anew=len(anew),
        tools=tools,
        cache=None if new == restored else new,
        types=maker.learned(),
        was_damaged=restored is None,
    )


def _models(
    schemas: Path, known: Cache, fingerprints: Fingerprints, maker: "_Maker", *, keep_going: bool
) -> tuple[list[_Model], list[Problem]]:
    """The models of a folder in the order of their ids; only new files are read, and their models made."""
    files, problems = listed(schemas)
    problems = problems or nothing_in(schemas, files)
    models: dict[str, _Model] = {}
    new: list[_Model] = []
    for file in files:
        hash_ = fingerprints.of(f"{file.folder}/{file.relative}")
        last, path = known.models.get(file.source, ("", ()))
        models[file.source] = _Model(file, str(hash_), path)
        if hash_ is None or hash_ != last:
            new.append(models[file.source])
    made = maker.make([model.file for model in new], is_broken=bool(problems))
    problems = [*problems, *(problem for batch in made for problem in batch.problems)]
    read = {source: (batch.hashes[source], path) for batch in made for source, path in batch.paths.items()}
    for model in new:
        if model.source in read:
            models[model.source] = _Model(model.file, *read[model.source])
        else:
            del models[model.source]
    placed, clashes = distinct(models.values())
    problems = sorted({*problems, *clashes})
    if keep_going or not problems:
        _raise_failure(made)
    return placed, problems


class _Maker:
    """Makes models, and puts their files on the stage."""

    def __init__(
        self, out: Path, package: str, templates: Templates, tools: str, stage: Stage, *, keep_going: bool
    ) -> None:
        self._out = out
        self._package = package
        self._templates = templates
        self._tools = tools
        self._stage = stage
        self._keep_going = keep_going
        self.made: dict[str, tuple[str, str]] = {}
        """The staged files, the module and the schema, of the models of some schema files."""
        self._types: dict[str, str] | None = None

    def make(self, files: Sequence[Listed], *, is_broken: bool = False) -> "list[Made]":
        """Make the models of schema files; of twins, it may be only the first."""
        if not files:
            return []
        from .batch import Task
        from .field_types import known
        from .workers import make_all  # what it needs is slow to load, and mostly there is nothing to make

        if self._types is None:
            self._types = cache.restore_types(self._out, self._package, self._tools)
            known.update(self._types)
        task = Task(self._out, self._package, self._templates, self._tools, self._keep_going)
        made = make_all(files, task, self._stage, is_broken=is_broken)
        for batch in made:
            self.made |= batch.files
        return made

    def make_known(self, models: Sequence[_Model]) -> None:
        """Make models whose files are gone or changed, though their schemas are not."""
        made = self.make([model.file for model in models])
        hashes = {source: hash_ for batch in made for source, hash_ in batch.hashes.items()}
        problems = [problem for batch in made for problem in batch.problems]
        problems += [
            Problem(model.source, "", "was edited while it was used; try again")
            for model in models
            if hashes.get(model.source, model.hash) != model.hash
        ]
        if problems:
            raise GenerationError(problems)
        _raise_failure(made)

    def finish(self, models: Sequence[_Model], where: Layout, packages: Sequence[ImportPath]) -> None:
        """Make packages as well, and give every file of the models its place."""
        if packages:
            from .pipeline import make_packages

            self._stage.add_unformatted(make_packages(packages, where, self._package, self._templates))
        for model in models:
            places = (where.modules[model.path], where.schemas[model.path])
            self._stage.take(dict(zip(places, self.made[model.source], strict=True)))
        self._stage.formatted()

    def learned(self) -> dict[str, str] | None:
        """The types of fields, if some are new."""
        if self._types is None:
            return None
        from .field_types import known

        return None if self._types.keys() == known.keys() else dict(sorted(known.items()))


def _copied_of(file: RuntimeFile, hash_: str) -> str:
    """The hash of what a file of the runtime is made of."""
    return digest(file.source.encode(), hash_.encode())


def _raise_failure(made: "list[Made]") -> None:
    for batch in made:
        if batch.failure is not None:
            raise batch.failure


def _made_of(models: Sequence[_Model], where: Layout) -> dict[str, str]:
    """Of every file that depends on the schemas, the hash of what it is made of."""
    made_of = dict.fromkeys(where.packages.values(), _NOTHING)
    for model in models:
        of = digest(model.source.encode(), model.hash.encode())
        made_of[where.modules[model.path]] = made_of[where.schemas[model.path]] = of
    return made_of
