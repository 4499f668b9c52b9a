"""Files of this machine in the place of a URL: what they are, whether they keep the rules, and as a ``data:`` URI.

A path is read when the request is sent, in pieces, so that no file is in memory more often than it must be. What can be
read only once, or may change (an open file, a picture of pillow's), is read when the input is made.
"""

import os
import stat
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO, TextIOBase
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, Protocol

from . import _probe
from ._formats import HEAD, Format, MediaKind, detect
from ._media_rules import MediaRule, broken_by_frame, broken_by_size, need_frame


class BinaryFile(Protocol):
    """An open binary file, or anything else that is read like one."""

    def read(self, size: int = -1, /) -> bytes: ...


class PILImage(Protocol):
    """A picture of pillow's, described so that type checkers do not need pillow."""

    @property
    def size(self) -> tuple[int, int]: ...

    def save(self, fp: IO[bytes], format: str) -> None: ...  # noqa: A002  # as pillow calls it


MediaInput = str | Path | bytes | BinaryFile | PILImage
"""What a media field takes: a URL, which is sent untouched, or a file of this machine, sent as a ``data:`` URI."""

Source = Path | bytes
"""A file that can be read again and again."""

LARGEST_STREAM = 64 * 1024 * 1024
"""Bytes that are read of an open file, which has no end that can be known before, at most."""

_CHUNK = 3 * 256 * 1024  # a multiple of 3, so that base64 of the pieces is base64 of the whole
_OF_PNG = ("1", "L", "LA", "P", "RGB", "RGBA")
_WITHOUT_WHITE = ("I", "F")
_CONVERTED = {"La": "LA", "PA": "RGBA", "RGBa": "RGBA"}
_AS_TEXT = 'is open as text; open it with mode "rb"'
_CHANGED = "has changed while it was read"
_TOO_LONG = f"is longer than {LARGEST_STREAM // 1024**2} MiB; give its Path"


class Unusable(Exception):
    """What is wrong with a file: one sentence for each of `args`."""


class FileFacts(NamedTuple):
    """What a stored request keeps of a file."""

    sha256: str
    media_type: str
    size: int
    name: str | None
    """The last part of its path; None for a file that had none."""


def require_no_file_name(text: str) -> None:
    """Refuse a text that is meant as a file rather than as a URL.

    Raises:
        Unusable: it names a file of this machine.
    """
    if text[:5].lower() == "file:":
        raise Unusable("is a file: URL, which only this machine can read; wrap its path in Path(…)")
    if len(text) < 1000 and "://" not in text:
        with suppress(OSError, ValueError):  # no text that a path can be
            if Path(text).is_file():
                raise Unusable("is the name of a file; wrap it in Path(…)")


def usable(value: object, kind: MediaKind, rules: tuple[MediaRule, ...]) -> Source:
    """The file of a media field, if nothing is wrong with it. Only a rule on its pixels has it opened as a picture.

    Raises:
        Unusable: everything that is wrong with it.
    """
    source = source_of(value, rules)
    found: list[str] = []
    try:
        found += broken_by_size(size_of(source), rules)
        format_of(source, kind)
        if kind != "audio" and need_frame(rules):
            found += broken_by_frame(*_frame_size(source), rules)
    except Unusable as error:
        found += map(str, error.args)
    if found:
        raise Unusable(*found)
    return source


def is_local(value: object) -> bool:
    """Whether a value is a file of this machine, in one of the forms that media fields take."""
    return isinstance(value, bytes | bytearray | memoryview | os.PathLike) or hasattr(value, "read") or _is_image(value)


def source_of(value: object, rules: tuple[MediaRule, ...] = ()) -> Source:
    """A file as what can be read again and again.

    Raises:
        Unusable: it is none, cannot be read, or breaks a rule on the size, which is looked at first.
    """
    if not is_local(value):
        raise Unusable("should be a URL, a Path, bytes, an open binary file or a PIL image")
    try:
        if isinstance(value, os.PathLike):
            return Path(os.fsdecode(value))
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        return _png(value) if _is_image(value) else _read(value, rules)
    except Unusable:
        raise
    except Exception as error:  # whatever a stream or a picture has to say
        raise Unusable(f"cannot be read: {error}") from error


def size_of(source: Source) -> int:
    """The size of a file in bytes.

    Raises:
        Unusable: there is no such file, or nothing in it.
    """
    if isinstance(source, bytes):
        size = len(source)
    else:
        try:
            status = source.stat()
        except (OSError, ValueError) as error:
            raise Unusable(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
        if not stat.S_ISREG(status.st_mode):
            raise Unusable("is a folder" if stat.S_ISDIR(status.st_mode) else "is no regular file")
        size = status.st_size
    if not size:
        raise Unusable("is empty")
    return size


def format_of(source: Source, kind: MediaKind | None) -> Format:
    """The format of a file by its content.

    Raises:
        Unusable: it is of none that is known, or holds no medium of that kind.
    """
    with _reading(source) as file:
        format_ = detect(file.read(HEAD))
    if format_ is None:
        raise Unusable(f"is of no known format of {kind or 'media'} files")
    if kind is not None and kind not in format_.kinds:
        raise Unusable(f"is {format_.media_type}, and no {kind}")
    return format_


def write_data_uri(source: Source, format_: Format, kind: MediaKind | None, size: int, to: BytesIO) -> FileFacts:
    """Write a file as ``data:image/png;base64,…``, read piece by piece.

    Args:
        source: The file.
        format_: What `format_of` told of it.
        kind: What the file is meant as; None where nothing tells.
        size: What `size_of` told.
        to: Where to write.

    Raises:
        Unusable: it cannot be read, or has changed meanwhile.
    """
    from hashlib import sha256  # it takes its time to load, and inputs without local files do without

    prefix = _prefix(format_, kind)
    digest, read = sha256(), 0
    to.write(prefix)
    with _reading(source) as file:
        while chunk := file.read(_CHUNK):
            if read == 0 and detect(chunk) != format_:
                raise Unusable(_CHANGED)
            digest.update(chunk)
            read += len(chunk)
            to.write(b64encode(chunk))
            if read > size:
                break
    if read != size:
        raise Unusable(_CHANGED)
    media_type = prefix[5:].partition(b";")[0].decode()
    return FileFacts(digest.hexdigest(), media_type, size, source.name if isinstance(source, Path) else None)


def data_uri(source: Source, kind: MediaKind | None) -> str:
    """A file as a ``data:`` URI.

    Raises:
        Unusable: it cannot be read.
    """
    uri = BytesIO()
    write_data_uri(source, format_of(source, kind), kind, size_of(source), uri)
    return uri.getvalue().decode()


def encoded_size(format_: Format, kind: MediaKind | None, size: int) -> int:
    """How many bytes a file has as a ``data:`` URI."""
    return len(_prefix(format_, kind)) + (size + 2) // 3 * 4


def _prefix(format_: Format, kind: MediaKind | None) -> bytes:
    media_type = format_.media_type if kind is None else format_.media_type_of(kind)
    return b"data:%s;base64," % media_type.encode()


@contextmanager
def _reading(source: Source) -> Iterator[BinaryIO]:
    """Open a file to be read. What the system refuses meanwhile is `Unusable`, and so is a file that changes."""
    try:
        with BytesIO(source) if isinstance(source, bytes) else source.open("rb", buffering=_CHUNK) as file:
            before = _state(file)
            yield file
            if _state(file) != before:
                raise Unusable(_CHANGED)
    except OSError as error:
        raise Unusable(f"cannot be read: {error.strerror or error}") from None


def _state(file: BinaryIO) -> object:
    if isinstance(file, BytesIO):
        return None
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _frame_size(source: Source) -> tuple[int, int]:
    with _reading(source) as file:
        try:
            return _probe.frame_size(file)
        except _probe.Unreadable as error:
            raise Unusable(str(error)) from error


def _is_image(value: object) -> bool:
    pillow = sys.modules.get("PIL.Image")  # there is no picture of pillow's where pillow is not loaded
    return pillow is not None and isinstance(value, pillow.Image)


def _png(image: Any) -> bytes:
    """A picture as it is shown: a photo that only says how it is to be turned is turned."""
    from PIL import ImageOps

    if image.mode in _WITHOUT_WHITE:
        raise Unusable(f"has the mode {image.mode}, which does not say what is white: convert it to RGB, L or I;16")
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        upright = upright.convert("I").convert("I;16")  # the bytes in another order; at one step, pillow clips them
    elif upright.mode not in _OF_PNG:
        upright = upright.convert(_CONVERTED.get(upright.mode, "RGB"))
        upright.info.pop("icc_profile", None)  # it was about the colours of the other mode
    content = BytesIO()
    upright.save(content, "PNG")
    return content.getvalue()


def _read(stream: Any, rules: tuple[MediaRule, ...]) -> bytes:
    """The rest of an open file; one that can go back does, so that it can be read again."""
    if isinstance(stream, TextIOBase):
        raise Unusable(_AS_TEXT)
    size = LARGEST_STREAM
    start: int | None = stream.tell() if hasattr(stream, "seekable") and stream.seekable() else None
    if start is not None:
        size = stream.seek(0, os.SEEK_END) - start
        stream.seek(start)
        if broken := broken_by_size(size, rules) if size > 0 else []:
            raise Unusable(*broken)
        if size > LARGEST_STREAM:
            raise Unusable(_TOO_LONG)
    content = b"".join(_pieces(stream, size))
    if start is not None:
        stream.seek(start)
    if not content:
        raise Unusable("has nothing more to be read" + (": go back with seek(0)" if start else ""))
    return content


def _pieces(stream: Any, size: int) -> Iterator[bytes]:
    """All of a stream that is expected to have this many bytes at most."""
    read = 0
    while True:
        piece = stream.read(max(size - read + 1, _CHUNK))
        if isinstance(piece, str):
            raise Unusable(_AS_TEXT)
        if piece is None:
            raise Unusable("has nothing to be read just now: open it so that reading waits")
        if not piece:
            return
        read += len(piece)
        if read > LARGEST_STREAM:
            raise Unusable(_TOO_LONG)
        yield piece
