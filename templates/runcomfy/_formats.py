"""Formats of media files, told by what a file begins with: names and what senders declare may be wrong."""

from typing import Literal, NamedTuple

MediaKind = Literal["image", "video", "audio"]

HEAD = 512
"""How many bytes of a file `detect` looks at, at most."""


class Format(NamedTuple):
    """A format of media files."""

    media_type: str
    suffix: str
    kinds: tuple[MediaKind, ...]
    """What such a file may hold; more than one for a container of sound or pictures or both."""

    def media_type_of(self, kind: MediaKind) -> str:
        """The media type where the file is meant as this kind: an MP4 file without pictures is ``audio/mp4``."""
        return f"{kind}/{self.media_type.partition('/')[2]}"


def _image(subtype: str, suffix: str) -> Format:
    return Format(f"image/{subtype}", suffix, ("image",))


def _audio(subtype: str, suffix: str) -> Format:
    return Format(f"audio/{subtype}", suffix, ("audio",))


def _video(subtype: str, suffix: str, *others: MediaKind) -> Format:
    return Format(f"video/{subtype}", suffix, ("video", *others))


_PNG, _JPEG, _GIF = _image("png", ".png"), _image("jpeg", ".jpg"), _image("gif", ".gif")
_WEBP, _AVIF, _HEIC = _image("webp", ".webp"), _image("avif", ".avif"), _image("heic", ".heic")
_BMP, _TIFF, _JXL = _image("bmp", ".bmp"), _image("tiff", ".tiff"), _image("jxl", ".jxl")
_MP4, _QUICKTIME = _video("mp4", ".mp4", "audio"), _video("quicktime", ".mov", "audio")
_WEBM, _MATROSKA = _video("webm", ".webm", "audio"), _video("x-matroska", ".mkv", "audio")
_AVI, _FLV, _3GP = _video("x-msvideo", ".avi"), _video("x-flv", ".flv"), _video("3gpp", ".3gp", "audio")
_MPEG, _MPEG_TS = _video("mpeg", ".mpg"), _video("mp2t", ".ts")
_OGG_VIDEO, _OGG = _video("ogg", ".ogv"), _audio("ogg", ".ogg")
_MP3, _WAV, _FLAC = _audio("mpeg", ".mp3"), _audio("wav", ".wav"), _audio("flac", ".flac")
_AAC, _M4A, _AIFF = _audio("aac", ".aac"), _audio("mp4", ".m4a"), _audio("aiff", ".aiff")

_ALL = (
    *(_PNG, _JPEG, _GIF, _WEBP, _AVIF, _HEIC, _BMP, _TIFF, _JXL),
    *(_MP4, _QUICKTIME, _WEBM, _MATROSKA, _AVI, _FLV, _3GP, _MPEG, _MPEG_TS, _OGG_VIDEO),
    *(_OGG, _MP3, _WAV, _FLAC, _AAC, _M4A, _AIFF),
)
_SUFFIXES = {
    **{format_.media_type: format_.suffix for format_ in _ALL},
    "audio/x-wav": ".wav",
    "audio/wave": ".wav",
    "audio/vnd.wave": ".wav",
    "audio/mp3": ".mp3",
    "audio/x-m4a": ".m4a",
    "audio/m4a": ".m4a",
    "audio/x-flac": ".flac",
    "audio/opus": ".opus",
    "audio/webm": ".weba",
    "image/jpg": ".jpg",
    "image/heif": ".heic",
    "image/svg+xml": ".svg",
    "model/gltf-binary": ".glb",
    "application/json": ".json",
    "application/zip": ".zip",
    "text/plain": ".txt",
}
MEDIA_SUFFIXES = frozenset(
    suffix for media_type, suffix in _SUFFIXES.items() if not media_type.startswith(("application/", "text/"))
)
"""The suffixes that files of media have."""

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", _PNG),
    (b"\xff\xd8\xff", _JPEG),
    (b"GIF87a", _GIF),
    (b"GIF89a", _GIF),
    (b"II*\0", _TIFF),
    (b"MM\0*", _TIFF),
    (b"\xff\x0a", _JXL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", _JXL),
    (b"fLaC", _FLAC),
    (b"ID3", _MP3),
    (b"FLV\x01", _FLV),
    (b"\0\0\x01\xba", _MPEG),
)
_RIFF = {b"WEBP": _WEBP, b"WAVE": _WAV, b"AVI ": _AVI}
_IFF = {b"AIFF": _AIFF, b"AIFC": _AIFF}
_BRANDS = (
    ((b"avif", b"avis"), _AVIF),
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), _HEIC),
    ((b"M4A ", b"M4B "), _M4A),
    ((b"qt  ",), _QUICKTIME),
    ((b"3gp4", b"3gp5", b"3gp6", b"3g2a"), _3GP),
)


def detect(head: bytes) -> Format | None:
    """The format of a file that begins with these bytes; None where it is not known here.

    >>> detect(b"RIFF....WEBPVP8 ").media_type, detect(b"hello")
    ('image/webp', None)
    """
    for beginning, format_ in _BEGINNINGS:
        if head.startswith(beginning):
            return format_
    match head[:4], head[4:8]:
        case b"RIFF", _:
            return _RIFF.get(head[8:12])
        case b"FORM", _:
            return _IFF.get(head[8:12])
        case b"OggS", _:
            return _OGG_VIDEO if b"\x80theora" in head[:HEAD] else _OGG
        case b"\x1aE\xdf\xa3", _:
            return _WEBM if b"webm" in head[:64] else _MATROSKA
        case _, b"ftyp":
            return _branded(head)
        case _, b"moov" | b"mdat" | b"wide":  # QuickTime files of before there were brands
            return _QUICKTIME
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return _BMP
    if head[:1] == head[188:189] == b"G":
        return _MPEG_TS
    return _framed(head)


def _branded(head: bytes) -> Format:
    """By the brand, and for pictures also by those that a file is compatible with."""
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4]), 64), 4))]
    for names, format_ in _BRANDS:
        if brands[0] in names or (format_ is _AVIF and not set(names).isdisjoint(brands)):
            return format_
    return _MP4


def _framed(head: bytes) -> Format | None:
    """Audio that begins with its first frame: eleven set bits, then what of the rest is possible."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return _AAC
    version, layer, bit_rate, sample_rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    return _MP3 if version != 1 and layer != 0 and bit_rate not in (0, 15) and sample_rate != 3 else None


def suffix_of(media_type: str) -> str | None:
    """The suffix for a declared media type, such as that of a ``Content-Type``; None where it says nothing.

    >>> suffix_of("image/jpeg; charset=binary"), suffix_of("application/octet-stream")
    ('.jpg', None)
    """
    return _SUFFIXES.get(media_type.partition(";")[0].strip().lower())
