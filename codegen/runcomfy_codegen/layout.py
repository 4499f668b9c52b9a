"""Where everything goes: the import paths of all models in, the files of the package out.

Two things of one model depend on the others: whether its import path is taken, and whether it is a package.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeVar

from .errors import Problem

ImportPath = tuple[str, ...]
"""Below ``models``: ``("blackforestlabs", "flux_1_kontext", "pro", "edit")``."""


class Placed(Protocol):
    """A model that has an import path."""

    @property
    def model_id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def path(self) -> ImportPath: ...


P = TypeVar("P", bound=Placed)


class Layout(NamedTuple):
    """The files of a package that depend on its models, relative to the output folder."""

    modules: dict[ImportPath, str]
    schemas: dict[ImportPath, str]
    packages: dict[ImportPath, str]
    """Those that only hold others."""


def distinct(models: Iterable[P]) -> tuple[list[P], list[Problem]]:
    """The models that have an import path of their own; two with one are a `Problem` that says how to settle it."""
    placed: dict[ImportPath, P] = {}
    problems: list[Problem] = []
    for model in models:
        first = placed.setdefault(model.path, model)
        if first is not model:
            reason = (
                f"{model.model_id!r} has the same import path as {first.model_id!r} ({first.source}):"
                f' {".".join(model.path)}; give one of the two files a "python_path" of its own'
            )
            problems.append(Problem(model.source, "", reason))
    return list(placed.values()), problems


def layout(paths: Iterable[ImportPath], package: str) -> Layout:
    """The files for some import paths."""
    paths = list(paths)
    folders = {path[:depth] for path in paths for depth in range(len(path))} | {()}

    def file(path: ImportPath, suffix: str) -> str:
        return "/".join((package, "models", *path)) + suffix

    return Layout(
        # An id that is a prefix of another is a package; its import line stays the same.
        modules={path: file(path, "/__init__.py" if path in folders else ".py") for path in paths},
        schemas={path: "/".join((package, "_schemas", *path)) + ".json" for path in paths},
        packages={path: file(path, "/__init__.py") for path in folders - set(paths)},
    )
