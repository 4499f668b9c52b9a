"""The hashes of files, which are read only where something tells that they may have changed since.

What tells is a file's size, its times and its inode. A file that was written a moment before it was read could be
written again within one tick of the clock and look the same, so it is read the next time as well.
"""

import os
from collections.abc import Mapping
from hashlib import file_digest, sha256
from stat import S_ISREG
from time import time_ns

Seen = tuple[str | int, ...]
"""The hash of a file, and where that can be trusted its size, its times and its inode."""

_TICK = 100_000_000
"""Nanoseconds within which two writes may get the same time; clocks tick every 16 ms at least."""
_COARSE_TICK = 3_000_000_000
"""The same, where times are whole seconds: some file systems know no others, or even ones only."""


def digest(*parts: bytes) -> str:
    """What tells contents apart."""
    return sha256(b"\0".join(parts)).hexdigest()


class Fingerprints:
    """The hashes of files by their paths, as far as they are known from an earlier run."""

    def __init__(self, known: Mapping[str, Seen]) -> None:
        self._known = known
        self.found: dict[str, Seen] = {}
        """All that were asked for, for the next run."""

    def of(self, path: str) -> str | None:
        """The hash of a file; None where there is none, or where it cannot be read."""
        try:
            status = os.stat(path)  # before it is read: what is written later has other times
            marks = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            known = self._known.get(path)
            if known is None or known[1:] != marks:
                known = (_read(path, status.st_mode), *(marks if _is_settled(status) else ()))
        except OSError:
            return None
        self.found[path] = known
        return str(known[0])


def _read(path: str, mode: int) -> str:
    if not S_ISREG(mode):
        raise OSError(f"{path}: is no file")
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _is_settled(status: os.stat_result) -> bool:
    newest = max(status.st_mtime_ns, status.st_ctime_ns)
    return newest + (_TICK if newest % 1_000_000_000 else _COARSE_TICK) < time_ns()
