"""Small real media files of every format, made by the real libraries."""

from fractions import Fraction
from functools import cache
from io import BytesIO
from math import pi, sin
from struct import pack
from typing import Any

import av
from PIL import Image

PICTURES = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
    "image/avif": "AVIF",
}
CLIPS = {
    "video/mp4": ("mp4", "libx264"),
    "video/quicktime": ("mov", "libx264"),
    "video/webm": ("webm", "libvpx"),
    "video/x-matroska": ("matroska", "libx264"),
    "video/x-msvideo": ("avi", "mpeg4"),
    "video/mp2t": ("mpegts", "libx264"),
    "video/x-flv": ("flv", "flv"),
    "video/mpeg": ("vob", "mpeg2video"),
}
SOUNDS = {
    "audio/wav": ("wav", "pcm_s16le"),
    "audio/mpeg": ("mp3", "libmp3lame"),
    "audio/flac": ("flac", "flac"),
    "audio/ogg": ("ogg", "libopus"),
    "audio/mp4": ("ipod", "aac"),
    "audio/aac": ("adts", "aac"),
    "audio/aiff": ("aiff", "pcm_s16be"),
}


@cache
def picture(media_type: str = "image/png", size: tuple[int, int] = (16, 9)) -> bytes:
    content = BytesIO()
    Image.new("RGB", size, (200, 100, 50)).save(content, PICTURES[media_type])
    return content.getvalue()


@cache
def clip(media_type: str = "video/mp4", size: tuple[int, int] = (64, 36)) -> bytes:
    form, codec = CLIPS[media_type]
    content = BytesIO()
    with av.open(content, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for level in range(5):
            read: Any = av.VideoFrame.from_image  # untyped in the stubs
            frame = read(Image.new("RGB", size, (level * 40, 0, 0)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return content.getvalue()


@cache
def sound(media_type: str = "audio/wav") -> bytes:
    form, codec = SOUNDS[media_type]
    content = BytesIO()
    with av.open(content, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=48_000)
        stream.layout = "mono"
        frame = av.AudioFrame(format="s16", layout="mono", samples=9_600)
        frame.planes[0].update(b"".join(pack("<h", int(9_000 * sin(2 * pi * 440 * n / 48_000))) for n in range(9_600)))
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return content.getvalue()
