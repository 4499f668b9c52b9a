"""Regeneration while schemas or templates are edited."""

from collections.abc import Iterator
from pathlib import Path

from .errors import OutputError

_SUFFIXES = (".json", ".jinja", ".py", ".typed")
_POLL_MS = 200
"""How long at most until the watch begins."""


def edits(folders: list[Path]) -> Iterator[list[str]]:
    """First nothing, once the folders are watched; then the files that were edited, whenever some were.

    Raises:
        OutputError: there is no such folder.
    """
    from watchfiles import watch

    for folder in folders:
        if not folder.is_dir():
            raise OutputError(f"{folder}: no such folder")
    has_begun = False
    for changes in watch(*folders, yield_on_timeout=True, rust_timeout=_POLL_MS, raise_interrupt=True):
        files = sorted({path for _, path in changes if path.endswith(_SUFFIXES) and not _is_hidden(path)})
        if files or not has_begun:
            yield files
        has_begun = True


def _is_hidden(path: str) -> bool:
    """Whether it is an editor's own file, or the temporary one of a write."""
    return Path(path).name.startswith(".")
