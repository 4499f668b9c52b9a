"""Tones, whose pitch comes of the text."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from io import BytesIO
from math import pi, sin
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import av

SoundFormat = Literal["wav", "mp3", "ogg", "flac"]
SAMPLE_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Those that all formats but Opus know."""


class _Coding(NamedTuple):
    media_type: str
    codec: str
    container: str


_CODINGS: dict[SoundFormat, _Coding] = {
    "wav": _Coding("audio/wav", "pcm_s16le", "wav"),
    "mp3": _Coding("audio/mpeg", "libmp3lame", "mp3"),
    "ogg": _Coding("audio/ogg", "libopus", "ogg"),
    "flac": _Coding("audio/flac", "flac", "flac"),
}


@dataclass(frozen=True)
class Sound:
    """What an audio file is made from."""

    text: str
    seconds: float
    rate: int
    """Samples a second; Opus has 48,000 whatever this says."""
    format: SoundFormat
    number: int = 0
    """Which of several sounds of the same text."""

    @property
    def media_type(self) -> str:
        return _CODINGS[self.format].media_type

    @property
    def suffix(self) -> str:
        return self.format

    def encode(self) -> bytes:
        """The file."""
        import av

        content = BytesIO()
        coding = _CODINGS[self.format]
        rate = 48_000 if self.format == "ogg" else self.rate
        with av.open(content, "w", format=coding.container, options={"fflags": "+bitexact"}) as container:
            stream: Any = container.add_stream(coding.codec, rate, layout="mono")
            for frame in tone(self.text, self.number, self.seconds, rate):
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return content.getvalue()


def tone(text: str, number: int, seconds: float, rate: int, frames_a_second: int = 1) -> Iterator["av.AudioFrame"]:
    """A tone in frames, each of the same part of a second; the last one may be shorter."""
    import av

    pitch = 220 + 2 * sha256(text.encode()).digest()[0] + number
    # Whole waves fill a second, so that it can be repeated; in Python, each sample of its own would take too long.
    wave = array("h", (int(12_000 * sin(2 * pi * pitch * index / rate)) for index in range(rate))).tobytes()
    length, total = rate // frames_a_second, round(seconds * rate)
    for start in range(0, total, length):
        samples = min(length, total - start)
        frame = av.AudioFrame("s16", "mono", samples)
        at = 2 * (start % rate)
        frame.planes[0].update(wave[at : at + 2 * samples])
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield frame
