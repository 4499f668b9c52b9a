"""Files that were made and are not written yet: in a folder of their own, since there may be too many to hold."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from errno import EXDEV
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Self

from .atomic import replace


class Stage(Mapping[str, str]):
    """The texts of files by their paths below the output folder. What is staged ends with the stage.

    To create a file takes long, and is done once: a Python file, which ruff needs as a real one, is moved to its place
    in the end, and all others stand in one spool.
    """

    def __init__(self, place: Path | None = None) -> None:
        """`place` is where its folder can be, on the file system of the output; it must be nobody else's."""
        self._place = place
        self._folder: Path | None = None
        self._parents: list[Path] = []
        """The folders that were made for it."""
        self._numbers = count()
        self._files: dict[str, Path | tuple[int, int]] = {}
        """Of a Python file its place, of any other where it begins in the spool and how long it is."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            rmtree(self._folder, ignore_errors=True)
        for folder in self._parents:
            with suppress(OSError):  # it has other files by now
                folder.rmdir()

    def add(self, tree: Mapping[str, str]) -> None:
        """Take further files in."""
        if not tree:
            return
        root = self._opened()
        with (root / "spool").open("ab") as spool:
            for path, text in tree.items():
                package, _, rest = path.partition("/")
                if rest.endswith(".py"):
                    # Where there is a folder of its name, ruff takes a package for one of the code's own.
                    (root / package).mkdir(exist_ok=True)
                    self._files[path] = file = root / package / f"{next(self._numbers)}.py"
                    file.write_bytes(text.encode())
                else:
                    content = text.encode()
                    self._files[path] = spool.tell(), len(content)
                    spool.write(content)

    def format(self) -> None:
        """Sort the imports and format the code of every Python file."""
        if self._files:
            from .formatting import format_folder

            format_folder(self._opened())

    def place(self, names: Mapping[str, str]) -> None:
        """Give files their final paths, by those that they were added with; drop all others."""
        self._files = {final: self._files[path] for path, final in names.items()}

    def move(self, path: str, target: Path) -> None:
        """Give a file its place in the output: all of it, or nothing where this is interrupted.

        Raises:
            OSError: it cannot be written.
        """
        found = self._files[path]
        if isinstance(found, Path):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                found.replace(target)
            except OSError as error:
                if error.errno != EXDEV:
                    raise
            else:
                return
        replace(target, self._content(path))

    def _opened(self) -> Path:
        if self._folder is None:
            self._folder = self._near() or Path(mkdtemp(prefix="runcomfy-codegen-"))
        return self._folder

    def _near(self) -> Path | None:
        if self._place is None:
            return None
        parents = [folder for folder in self._place.parents if not folder.exists()]
        try:
            rmtree(self._place, ignore_errors=True)  # a run that was killed may have left it
            self._place.mkdir(parents=True)
        except OSError:
            return None
        self._parents = parents
        return self._place

    def _content(self, path: str) -> bytes:
        """What is to be in a file."""
        found = self._files[path]
        if isinstance(found, Path):
            return found.read_bytes()
        with (self._opened() / "spool").open("rb") as spool:
            spool.seek(found[0])
            return spool.read(found[1])

    def __contains__(self, path: object) -> bool:
        return path in self._files

    def __getitem__(self, path: str) -> str:
        return self._content(path).decode()

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)
