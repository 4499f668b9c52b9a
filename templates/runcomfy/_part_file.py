"""A file on its way: under another name until it is whole, then in its place in one step, or gone."""

import os
from contextlib import suppress
from filecmp import cmp
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from ._formats import HEAD


class PartFile:
    """A file that is being written, in the folder that it is for; nothing is on the disk before the first byte.

    Whatever the disk refuses is raised as the `OSError` that it is.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f".runcomfy-{token_hex(8)}.part"
        self.size = 0
        """Bytes written so far."""
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        self._opened().write(data)
        self.size += len(data)

    def clear(self) -> None:
        """Begin anew."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
        self.size = 0

    def head(self) -> bytes:
        """The first bytes: as many as tell its format."""
        return self._read(0, HEAD)

    def tail(self, count: int) -> bytes:
        """The last `count` bytes."""
        return self._read(self.size - count, count)

    def close(self) -> None:
        """End writing, with everything on the disk."""
        file = self._opened()
        file.flush()
        os.fsync(file.fileno())
        file.close()

    def publish(self, target: Path, *, overwrite: bool) -> None:
        """Give a closed file its name.

        Raises:
            FileExistsError: the name is taken, and not to be overwritten.
        """
        if overwrite:
            self.path.replace(target)
        elif os.name == "nt":
            self.path.rename(target)
        else:
            _rename(self.path, target)

    def equals(self, other: Path) -> bool:
        """Whether a closed file has the content of another one."""
        return other.is_file() and cmp(self.path, other, shallow=False)

    def discard(self) -> None:
        """Leave nothing behind but what was published."""
        if self._file is not None:
            with suppress(OSError):  # what could not be written before cannot be written now
                self._file.close()
            with suppress(OSError):
                self.path.unlink()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("x+b")
        return self._file

    def _read(self, start: int, count: int) -> bytes:
        file = self._opened()
        file.seek(start)
        data = file.read(count)
        file.seek(0, os.SEEK_END)
        return data


def _rename(part: Path, target: Path) -> None:
    """Rename on a system whose own renaming would replace a file that has appeared meanwhile."""
    try:
        target.hardlink_to(part)  # the other name goes when the part file is discarded
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        target.open("xb").close()  # takes the name, unless it is taken
        try:
            part.replace(target)
        except BaseException:
            target.unlink()
            raise
