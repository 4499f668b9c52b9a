"""Files that are replaced whole or not at all, and folders that one run at a time writes to."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EAGAIN, EDEADLK
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile, gettempdir

from .errors import OutputError


def replace(path: Path, content: bytes) -> None:
    """Give a file its content; an interruption leaves it as it was.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(content)
            file.close()
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other runs of this user from writing to the folder; a killed run keeps nobody out.

    Raises:
        OutputError: another run is at it.
    """
    # Beside no files of people's own, and by user, since nobody can lock what another user has made.
    name = sha256(str(folder.resolve()).encode(errors="surrogateescape")).hexdigest()[:24]
    user = os.getuid() if hasattr(os, "getuid") else ""
    file = os.open(Path(gettempdir(), f"runcomfy-codegen-{user}-{name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if not _locked(file):
            raise OutputError(f"{folder}: another run is writing to it; try again when it has ended")
        yield
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    """Lock an open file until it is closed, unless somebody else has.

    The system's own calls: filelock, which does the same, takes a tenth of a run with nothing to do to load.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (EACCES, EAGAIN, EDEADLK):
            raise
        return False
    return True
