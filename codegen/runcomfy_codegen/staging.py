"""Files that were made and are not written yet: in a folder of their own, since there may be too many to hold."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from errno import EXDEV
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import Event, Thread
from typing import Self

from .atomic import replace
from .errors import OutputError
from .formatting import format_folder


class _Work(Thread):
    """A thread with an end to wait for: where Ctrl-C interrupts a join, some Pythons take the thread for ended."""

    def __init__(self, target: Callable[[Path], None], folder: Path) -> None:
        super().__init__(target=target, args=(folder,))
        self.ended = Event()

    def run(self) -> None:
        try:
            super().run()
        finally:
            self.ended.set()


class Stage(Mapping[str, str]):
    """The texts of files by their paths below the output folder. What is staged ends with the stage.

    To create a file takes long, and is done once: where it can be, a file is moved to its place in the end.
    """

    def __init__(self, place: Path | None = None) -> None:
        """`place` is where its folder can be, on the file system of the output; it must be nobody else's."""
        self._place = place
        self._folder: Path | None = None
        self._parents: list[Path] = []
        """The folders that were made for it."""
        self._formatting: list[_Work] = []
        self._errors: list[Exception] = []
        self._files: dict[str, Path] = {}

    def __enter__(self) -> Self:
        if self._place is not None:
            rmtree(self._place, ignore_errors=True)  # a run that was killed may have left it
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is None:
            return
        removal = _Work(self._remove, self._folder)
        removal.start()  # Ctrl-C interrupts the main thread only, and would leave half of the folder
        try:
            removal.ended.wait()
        except KeyboardInterrupt:
            removal.ended.wait()
            raise

    def _remove(self, root: Path) -> None:
        for work in self._formatting:
            with suppress(RuntimeError):  # it was interrupted before it was started
                work.join()
        rmtree(root, ignore_errors=True)
        for folder in self._parents:
            with suppress(OSError):  # it has other files by now
                folder.rmdir()

    def add(self, tree: Mapping[str, str]) -> None:
        """Take further files in as they are.

        Raises:
            OutputError: there is no room for them.
        """
        self._files |= put(tree, self.folder())

    def add_unformatted(self, tree: Mapping[str, str]) -> None:
        """As `add`, to have the imports sorted and the code formatted of every Python file."""
        folder = self.folder()
        self._files |= put(tree, folder)
        self.format(folder)

    def take(self, files: Mapping[str, str]) -> None:
        """Take in, by their final paths, files that stand in folders of the stage already."""
        self._files |= {path: Path(file) for path, file in files.items()}

    def folder(self) -> Path:
        """A new folder; what still stands in it in the end is removed.

        No folder had its name before, so that nobody who is left of a killed run can write to it.
        """
        return Path(mkdtemp(dir=self._opened()))

    def format(self, folder: Path) -> None:
        """Format a folder meanwhile: ruff is a process of its own, and needs no waiting for."""
        work = _Work(self._format, folder)
        self._formatting.append(work)
        work.start()

    def formatted(self) -> None:
        """Wait until everything is formatted."""
        for work in self._formatting:
            work.ended.wait()
        for error in self._errors:
            raise error

    def _format(self, folder: Path) -> None:
        try:
            format_folder(folder)
        except Exception as error:
            self._errors.append(error)

    def move(self, path: str, target: Path) -> None:
        """Give a file its place in the output: all of it, or nothing where this is interrupted.

        Raises:
            OSError: it cannot be written.
        """
        file = self._files[path]
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            file.replace(target)
        except OSError as error:
            if error.errno != EXDEV:
                raise OSError(error.errno, error.strerror, str(target)) from error
            replace(target, file.read_bytes())

    def _opened(self) -> Path:
        if self._folder is None:
            self._folder = self._near() or Path(mkdtemp(prefix="runcomfy-codegen-"))
        return self._folder

    def _near(self) -> Path | None:
        if self._place is None:
            return None
        parents = [folder for folder in self._place.parents if not folder.exists()]
        try:
            self._place.mkdir(parents=True)
        except OSError:
            return None
        self._parents = parents
        return self._place

    def __contains__(self, path: object) -> bool:
        return path in self._files

    def __getitem__(self, path: str) -> str:
        return self._files[path].read_bytes().decode()

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def put(tree: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Write files into an empty folder, under names that are short and without a meaning.

    Raises:
        OutputError: there is no room for them.
    """
    try:
        return _put(tree, folder)
    except OSError as error:
        raise OutputError(f"{folder.parent}: {error.strerror}") from error


def _put(tree: Mapping[str, str], folder: Path) -> dict[str, Path]:
    places = {package: folder / package for package in {path.partition("/")[0] for path in tree}}
    for place in places.values():
        place.mkdir()  # where there is a folder of its name, ruff takes a package for one of the code's own
    files = {}
    for number, (path, text) in enumerate(tree.items()):
        package, _, rest = path.partition("/")
        files[path] = file = places[package] / f"{number}{os.path.splitext(rest)[1]}"
        file.write_bytes(text.encode())
    return files
