"""The files that jobs make: real and decodable, as the arguments ask for them. The same ask gives the same bytes."""

from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from . import _asked
from ._clips import Clip
from ._pictures import ImageFormat, Picture
from ._sounds import SAMPLE_RATES, Sound, SoundFormat

Media = Picture | Clip | Sound
"""What a file is made from; equal ones make equal files."""

_IMAGES: dict[str, ImageFormat] = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "webp": "webp"}
_SOUNDS: dict[str, SoundFormat] = {
    "wav": "wav",
    "pcm": "wav",
    "mp3": "mp3",
    "flac": "flac",
    "ogg_opus": "ogg",
    "ogg": "ogg",
    "opus": "ogg",
}


class File(NamedTuple):
    """One output file."""

    media_type: str
    content: bytes
    etag: str
    """A strong one, with its quotes."""


def plan(kind: str, arguments: dict[str, Any]) -> Media:
    """What the first file of a job is made from.

    Args:
        kind: ``"image"``, ``"video"`` or ``"audio"``.
        arguments: The body of the request, with the defaults of its schema.
    """
    text, format_ = _asked.text(arguments), _asked.word(arguments, "output_format")
    if kind == "audio":
        lengths = ("duration", "seconds", "audio_duration", "end_time")
        seconds = _asked.seconds(arguments, lengths, otherwise=3.0, most=300.0)
        return Sound(text, seconds, _asked.sample_rate(arguments, SAMPLE_RATES, 24_000), _SOUNDS.get(format_, "wav"))
    if kind == "video":
        seconds = _asked.seconds(arguments, ("duration", "seconds"), otherwise=5.0, most=60.0)
        has_sound = any(arguments.get(key) is True for key in ("generate_audio", "enable_audio"))
        return Clip(text, _asked.video_size(arguments), seconds, has_sound)
    return Picture(text, _asked.image_size(arguments), _IMAGES.get(format_, "png"))


def another(media: Media, number: int) -> Media:
    """A file like this one, of the same text, size and length, with other bytes."""
    return replace(media, number=media.number + number)


@lru_cache(maxsize=16)
def make(media: Media) -> File:
    """The file, made or remembered."""
    content = media.encode()
    return File(media.media_type, content, f'"{sha256(content).hexdigest()[:32]}"')
