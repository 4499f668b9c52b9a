"""Images with the prompt to be read in them."""

from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from textwrap import wrap
from typing import Literal

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

ImageFormat = Literal["png", "jpeg", "webp"]


@dataclass(frozen=True)
class Picture:
    """What an image is made from."""

    text: str
    size: tuple[int, int]
    format: ImageFormat
    number: int = 0
    """Which of several images of the same text."""

    @property
    def media_type(self) -> str:
        return f"image/{self.format}"

    @property
    def suffix(self) -> str:
        return "jpg" if self.format == "jpeg" else self.format

    def encode(self) -> bytes:
        """The file."""
        content = BytesIO()
        picture = draw(self.text, self.size, self.number)
        if self.format == "png":
            facts = PngImagePlugin.PngInfo()
            facts.add_itxt("prompt", self.text)
            picture.save(content, "PNG", pnginfo=facts)
        else:
            picture.save(content, self.format)
        return content.getvalue()


def draw(text: str, size: tuple[int, int], number: int) -> Image.Image:
    """The text on a ground whose colour is its own."""
    digest = sha256(f"{number} {text}".encode()).digest()
    picture = Image.new("RGB", size, (60 + digest[0] // 3, 60 + digest[1] // 3, 60 + digest[2] // 3))
    canvas = ImageDraw.Draw(picture)
    margin = max(4, min(size) // 16)
    points = max(10, min(size) // 10)
    while True:  # the largest letters with which all of the text fits, but none below 8 points
        font = ImageFont.load_default(size=points)
        lines = "\n".join(wrap(text, max(4, int((size[0] - 2 * margin) / (points * 0.52))))[:200])
        box = canvas.multiline_textbbox((margin, margin), lines, font=font)
        if points <= 8 or (box[2] <= size[0] - margin and box[3] <= size[1] - margin):
            break
        points -= max(2, points // 10)
    canvas.multiline_text((margin, margin), lines, font=font, fill=(255, 255, 255))
    return picture
