"""Files that are replaced whole or not at all, and folders that one run at a time writes to."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile, gettempdir

from filelock import FileLock, Timeout

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
    lock = FileLock(Path(gettempdir(), f"runcomfy-codegen-{user}-{name}.lock"))
    try:
        with lock.acquire(timeout=0):
            yield
    except Timeout:
        raise OutputError(f"{folder}: another run is writing to it; try again when it has ended") from None
