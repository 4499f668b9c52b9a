"""Opening media files: the size of a picture, and whether a file can be decoded. Needs the extra ``media``.

Each file is opened as the format that its content shows and as no other: a playlist or a script for a printer, which
would have their reader open further files, is not opened at all.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from os import SEEK_END
from typing import Any, BinaryIO

from ._formats import HEAD, Format, detect

_OF_PILLOW = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
    "image/avif": "AVIF",
}
_OF_FFMPEG = {
    **dict.fromkeys(("video/mp4", "video/quicktime", "video/3gpp", "audio/mp4"), "mov"),
    **dict.fromkeys(("video/webm", "video/x-matroska"), "matroska"),
    **dict.fromkeys(("video/ogg", "audio/ogg"), "ogg"),
    "video/x-msvideo": "avi",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/mp2t": "mpegts",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/aac": "aac",
    "audio/aiff": "aiff",
}


_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
"""The field of EXIF, and those of its values that make a picture's width its height."""
_LONGEST_OGG_PAGE = 66_000
_LAST_OF_STREAM = 4


class Unreadable(Exception):
    """The file cannot be opened or decoded, and why."""


def missing() -> list[str]:
    """The libraries of the extra ``media`` that are not installed."""
    return [name for name, module in (("pillow", "PIL"), ("av", "av")) if find_spec(module) is None]


def frame_size(file: BinaryIO) -> tuple[int, int]:
    """Width and height of a picture in pixels, as it is shown, or of a clip, as it is stored.

    Raises:
        Unreadable: the file cannot be opened, or has no picture.
    """
    format_ = _format(file)
    with _telling(format_):
        if format_.kinds == ("image",):
            from PIL import Image

            with Image.open(file, formats=[_OF_PILLOW[format_.media_type]]) as image:
                is_turned = image.getexif().get(_ORIENTATION) in _TURNED
                width, height = image.size
                return (height, width) if is_turned else (width, height)
        import av

        with av.open(file, "r", format=_OF_FFMPEG[format_.media_type]) as container:
            for stream in container.streams.video[:1]:
                return stream.width, stream.height
    raise Unreadable("it has no picture")


def decode(file: BinaryIO, between: Callable[[], object] = lambda: None) -> None:
    """Decode a whole file; `between` is called after each frame, and may raise what ends it.

    Raises:
        Unreadable: the file is of no known format, damaged, or ends too early. That it does cannot always be told of
            formats without an end of their own: MP3, AAC, MPEG, FLV.
    """
    format_ = _format(file)
    with _telling(format_):
        if format_.kinds == ("image",):
            _decode_image(file, format_, between)
        else:
            _decode_clip(file, format_, between)


@contextmanager
def _telling(format_: Format) -> Iterator[None]:
    """Say in words of one kind what any decoder has to say."""
    try:
        yield
    except Unreadable:
        raise
    except ImportError as error:
        package = {"PIL": "pillow"}.get(error.name or "", error.name)
        raise Unreadable(f"opening it needs {package}; type: pip install 'runcomfy[media]'") from error
    except Exception as error:
        raise Unreadable(f"{format_.media_type} cannot be read: {type(error).__name__}: {error}") from error


def _decode_image(file: BinaryIO, format_: Format, between: Callable[[], object]) -> None:
    from PIL import Image, ImageSequence

    with Image.open(file, formats=[_OF_PILLOW[format_.media_type]]) as image:
        for frame in ImageSequence.Iterator(image):
            frame.load()
            between()


def _decode_clip(file: BinaryIO, format_: Format, between: Callable[[], object]) -> None:
    import av

    if _is_cut_off(file, format_):
        raise Unreadable("it ends before its end")
    with av.open(file, "r", format=_OF_FFMPEG[format_.media_type]) as container:
        streams = [stream for stream in container.streams if stream.type in ("video", "audio")]
        if not streams:
            raise Unreadable("there is nothing to see or to hear in it")
        frames = Counter({stream.index: 0 for stream in streams})
        end = 0.0
        for packet in container.demux(streams):
            for frame in packet.decode():
                frames[packet.stream.index] += 1
                end = max(end, getattr(frame, "time", None) or 0.0)
            between()
        _require_whole(streams, frames, end, (container.duration or 0) / av.time_base)


def _require_whole(streams: Iterable[Any], frames: Mapping[int, int], end: float, duration: float) -> None:
    """A file that was cut off ends without an error: what the container says of its length has to be there."""
    for stream in streams:
        found = frames[stream.index]
        if not found or (stream.type == "video" and found < stream.frames):
            raise Unreadable(f"it ends after {found} of {stream.frames} frames")
    if end + max(0.5, duration / 20) < duration:
        raise Unreadable(f"it ends after {end:.1f} of {duration:.1f} s")


def _is_cut_off(file: BinaryIO, format_: Format) -> bool:
    """Whether the end is missing of a file whose decoder takes any end for the right one."""
    head, size = file.read(8), file.seek(0, SEEK_END)
    file.seek(max(0, size - _LONGEST_OGG_PAGE))
    tail = file.read()
    file.seek(0)
    if head[:4] in (b"RIFF", b"FORM"):
        told = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
        return told + 8 > size and told < 0xFFFFFF00  # above it, for who wrote it the size was not known
    if format_.suffix in (".ogg", ".ogv"):
        last = tail.rfind(b"OggS")
        return last < 0 or last + 5 >= len(tail) or not tail[last + 5] & _LAST_OF_STREAM
    return False


def _format(file: BinaryIO) -> Format:
    file.seek(0)
    format_ = detect(file.read(HEAD))
    file.seek(0)
    if format_ is None or format_.media_type not in _OF_PILLOW.keys() | _OF_FFMPEG.keys():
        raise Unreadable(f"{format_.media_type} cannot be opened here" if format_ else "its format is not known")
    return format_
