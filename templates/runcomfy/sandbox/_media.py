"""The files that sandbox jobs make: real and decodable, of the size asked for, with the prompt to be read in them."""

import re
import wave
from hashlib import sha256
from io import BytesIO
from math import pi, sin
from struct import pack
from textwrap import wrap
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageEnhance, ImageFont, PngImagePlugin

_LONG_SIDE = 1024
_LARGEST = 4096
_RATIO = re.compile(r"(\d{1,4})[:_/](\d{1,4})$")
_PIXELS = re.compile(r"(\d{2,5})\s*[x*×]\s*(\d{2,5})$", re.IGNORECASE)


class File(NamedTuple):
    """One output file."""

    name: str
    media_type: str
    content: bytes


def make(kind: str, arguments: dict[str, Any]) -> File:
    """A file of the kind: a PNG image, an animated GIF for a video, a WAV for audio."""
    if kind == "audio":
        return File("output.wav", "audio/wav", _tone())
    text = str(next((arguments[key] for key in ("prompt", "text", "tags") if arguments.get(key)), "no prompt"))
    text = text.encode(errors="replace").decode()
    picture = _picture(text, image_size(arguments))
    content = BytesIO()
    if kind == "video":
        frames = [ImageEnhance.Brightness(picture).enhance(level) for level in (1.0, 1.1, 1.2, 1.1)]
        frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=250, loop=0)
        return File("output.gif", "image/gif", content.getvalue())
    facts = PngImagePlugin.PngInfo()
    facts.add_itxt("prompt", text)
    picture.save(content, "PNG", pnginfo=facts)
    return File("output.png", "image/png", content.getvalue())


def image_size(arguments: dict[str, Any]) -> tuple[int, int]:
    """Width and height in pixels that the arguments ask for.

    >>> image_size({"aspect_ratio": "16:9"}), image_size({"width": 512, "height": 768}), image_size({})
    ((1024, 576), (512, 768), (1024, 1024))
    """
    width, height = arguments.get("width"), arguments.get("height")
    if isinstance(width, int) and isinstance(height, int) and 0 < min(width, height) <= max(width, height) <= _LARGEST:
        return width, height
    for key in ("aspect_ratio", "ratio", "image_size", "size", "resolution"):
        value = str(arguments.get(key, "")).strip()
        if (match := _PIXELS.search(value)) and 0 < max(map(int, match.groups())) <= _LARGEST:
            return int(match[1]), int(match[2])
        if (match := _RATIO.search(value)) and min(map(int, match.groups())) > 0:
            across, down = int(match[1]), int(match[2])
            unit = max(1, _LONG_SIDE // max(across, down))
            return across * unit, down * unit
    return _LONG_SIDE, _LONG_SIDE


def _picture(text: str, size: tuple[int, int]) -> Image.Image:
    digest = sha256(text.encode(errors="replace")).digest()
    picture = Image.new("RGB", size, (60 + digest[0] // 3, 60 + digest[1] // 3, 60 + digest[2] // 3))
    draw = ImageDraw.Draw(picture)
    margin = max(4, min(size) // 16)
    points = max(10, min(size) // 10)
    while True:  # the largest letters with which all of the text fits, but none below 8 points
        font = ImageFont.load_default(size=points)
        lines = "\n".join(wrap(text, max(4, int((size[0] - 2 * margin) / (points * 0.52))))[:200])
        box = draw.multiline_textbbox((margin, margin), lines, font=font)
        if points <= 8 or (box[2] <= size[0] - margin and box[3] <= size[1] - margin):
            break
        points -= 2
    draw.multiline_text((margin, margin), lines, font=font, fill=(255, 255, 255))
    return picture


def _tone(seconds: int = 1, rate: int = 16_000) -> bytes:
    content = BytesIO()
    with wave.open(content, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        samples = (int(12_000 * sin(2 * pi * 440 * index / rate)) for index in range(seconds * rate))
        sound.writeframes(b"".join(pack("<h", sample) for sample in samples))
    return content.getvalue()
