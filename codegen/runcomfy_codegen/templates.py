"""The templates: those that are shipped, and a folder of one's own whose files take their places."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import OutputError

VERSION = 1
"""Of the variables that the templates get; ``codegen/README.md`` lists them."""
_DECLARED = "VERSION"


def shipped() -> Path:
    """The folder of templates: inside an installed package, beside it in a checkout."""
    inside = Path(__file__).parent / "templates"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "templates"


@dataclass(frozen=True)
class Templates:
    """All templates and runtime files; `own` has files that take the places of shipped ones, and further ones."""

    own: Path | None = None

    def __post_init__(self) -> None:
        if self.own is not None:
            _refuse_other_versions(self.own)

    @property
    def folders(self) -> list[Path]:
        """Where to look for a template, in this order."""
        return [shipped()] if self.own is None else [self.own, shipped()]

    def files(self, suffixes: tuple[str, ...]) -> dict[str, str]:
        """Files by their paths below the folders, in the order of these."""
        found = {
            path.replace(os.sep, "/"): os.path.join(folder, path)  # every run looks for them
            for folder in reversed(self.folders)
            for path in _below(folder)
            if path.endswith(suffixes)
        }
        return dict(sorted(found.items()))

    def source(self, path: str) -> str:
        """How a file is named in headers: ``templates/runcomfy/_client.py``, on every machine."""
        own = self.own is not None and (self.own / path).is_file()
        return f"{self.own.resolve().name if own and self.own else 'templates'}/{path}"


def _below(folder: Path) -> Iterator[str]:
    """The paths of all files below a folder, relative to it, less what Python has compiled."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            path = os.path.join(place, name)
            if os.path.isfile(path):  # some editors leave links to nowhere beside what they edit
                yield path[len(str(folder)) + 1 :]


def _refuse_other_versions(folder: Path) -> None:
    """Templates print what they get: those written for other variables would print it wrong, or not at all."""
    if not folder.is_dir():
        raise OutputError(f"{folder}: no such folder")
    try:
        declared = (folder / _DECLARED).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        declared = ""
    if not re.fullmatch("[0-9]{1,6}", declared):
        today = f"today's is {VERSION}"
        raise OutputError(f"{folder / _DECLARED}: has to hold the version of the templates' variables; {today}")
    if int(declared) != VERSION:
        today = f"this generator gives version {VERSION}; CHANGELOG.md says what has changed"
        raise OutputError(f"{folder / _DECLARED}: is {declared}, the version of the templates' variables, but {today}")
