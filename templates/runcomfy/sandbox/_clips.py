"""Short films: the prompt in the picture, a bar that runs below it, and a tone where sound is asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import zip_longest
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from ._pictures import draw
from ._sounds import tone

if TYPE_CHECKING:
    import av

_FRAMES_A_SECOND = 10
_SAMPLE_RATE = 44_100
_WHITE = b"\xeb"


@dataclass(frozen=True)
class Clip:
    """What a video is made from."""

    text: str
    size: tuple[int, int]
    """In pixels, both even."""
    seconds: float
    has_sound: bool
    number: int = 0
    """Which of several videos of the same text."""

    media_type: ClassVar[str] = "video/mp4"
    suffix: ClassVar[str] = "mp4"

    def encode(self) -> bytes:
        """The file: MP4 with H.264, or with MPEG-4 where PyAV came without libx264, and with AAC."""
        import av

        codec, settings = ("libx264", {"preset": "ultrafast"}) if "libx264" in av.codecs_available else ("mpeg4", {})
        # Room for the index at the front, so that players can begin before all is there.
        options = {"fflags": "+bitexact", "moov_size": str(4096 + 512 * ceil(self.seconds))}
        content = BytesIO()
        with av.open(content, "w", format="mp4", options=options) as container:
            width, height = self.size
            shape: dict[str, Any] = {"width": width, "height": height, "pix_fmt": "yuv420p"}
            stream: Any = container.add_stream(codec, _FRAMES_A_SECOND, {**settings, "threads": "1"}, **shape)
            parts: list[tuple[Any, Iterator[Any]]] = [(stream, self._pictures())]
            if self.has_sound:
                sound = tone(self.text, self.number, self.seconds, _SAMPLE_RATE, _FRAMES_A_SECOND)
                parts.append((container.add_stream("aac", _SAMPLE_RATE, layout="mono"), sound))
            for moment in zip_longest(*(frames for _, frames in parts)):
                for (stream, _), frame in zip(parts, moment, strict=True):
                    if frame is not None:
                        container.mux(stream.encode(frame))
            for stream, _ in parts:
                container.mux(stream.encode())
        return content.getvalue()

    def _pictures(self) -> Iterator["av.VideoFrame"]:
        import av

        width, height = self.size
        read: Any = av.VideoFrame.from_image  # untyped in the stubs
        still = read(draw(self.text, self.size, self.number)).reformat(format="yuv420p")
        luma, *chroma = (bytes(plane) for plane in still.planes)
        stride = still.planes[0].line_size
        bar = max(2, width // 8)
        rows = range(height - max(2, height // 16), height - max(1, height // 32))
        for index in range(max(1, round(self.seconds * _FRAMES_A_SECOND))):
            moved = bytearray(luma)
            at = index * max(1, width // 40) % (width - bar)
            for row in rows:
                start = row * stride + at
                moved[start : start + bar] = _WHITE * bar
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane, data in zip(frame.planes, (bytes(moved), *chroma), strict=True):
                plane.update(data)
            frame.pts = index
            yield frame
