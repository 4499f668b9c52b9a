"""Formats of media files, told by what a file begins with: names and what senders declare may be wrong."""

from typing import Literal, NamedTuple

MediaKind = Literal["image", "video", "audio"]

HEAD = 4096
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
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", _PNG),
    (b"\xff\xd8\xff", _JPEG),
    (b"II*\0", _TIFF),
    (b"MM\0*", _TIFF),
    (b"\xff\x0a", _JXL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", _JXL),
    (b"fLaC\0\0\0\x22", _FLAC),
    (b"fLaC\x80\0\0\x22", _FLAC),
    (b"FLV\x01", _FLV),
    (b"\0\0\x01\xba", _MPEG),
)
_BRANDS = (
    ({b"avif", b"avis"}, _AVIF),
    ({b"heic", b"heix", b"heim", b"heis", b"hevc", b"heif", b"mif1", b"msf1"}, _HEIC),
    ({b"M4A ", b"M4B "}, _M4A),
    ({b"qt  "}, _QUICKTIME),
    ({b"3gp4", b"3gp5", b"3gp6", b"3g2a"}, _3GP),
    ({b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash", b"M4V ", b"MSNV"}, _MP4),
)
_KILOBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Of a frame of MP3, by its index, in MPEG-1 and in MPEG-2."""
_SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def detect(head: bytes) -> Format | None:
    """The format of a file that begins with these bytes; None where it is not known here.

    Text that happens to begin like a file is none: what has to follow is looked at, too.

    >>> detect(b"RIFF....WEBPVP8 ").media_type, detect(b"hello")
    ('image/webp', None)
    """
    head = head[:HEAD]
    for beginning, format_ in _BEGINNINGS:
        if head.startswith(beginning):
            return format_
    for of_family in (_gif, _riff, _boxes, _stream, _sound):
        if (found := of_family(head)) is not None:
            return found
    return None


def _gif(head: bytes) -> Format | None:
    if not head.startswith((b"GIF87a", b"GIF89a")) or len(head) < 13:
        return None
    colours = 3 << (head[10] & 7) + 1 if head[10] & 0x80 else 0
    return _GIF if head[13 + colours : 14 + colours] in (b"", b"!", b",", b";") else None


def _riff(head: bytes) -> Format | None:
    kind = head[8:12]
    if head.startswith(b"FORM"):
        return _AIFF if kind in (b"AIFF", b"AIFC") and b"COMM" in head else None
    if not head.startswith((b"RIFF", b"RF64")):
        return None
    if kind == b"WEBP" and head[12:15] == b"VP8":
        return _WEBP
    if kind == b"WAVE" and b"fmt " in head:
        return _WAV
    return _AVI if kind == b"AVI " and head[12:16] == b"LIST" else None


def _boxes(head: bytes) -> Format | None:
    """MP4 and its relatives: boxes, each with its size and its name."""
    size, name = int.from_bytes(head[:4]), head[4:8]
    if name == b"ftyp" and 16 <= size <= HEAD and not size % 4:
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, size, 4))]
        # By the main brand; where that says nothing, by those that the file is compatible with.
        return next((format_ for brand in brands for names, format_ in _BRANDS if brand in names), None)
    # QuickTime files of before there were brands; letters in the place of the size make it a text.
    is_quicktime = name in (b"moov", b"mdat", b"wide", b"free", b"skip") and (size == 1 or 8 <= size < 0x20 << 24)
    return _QUICKTIME if is_quicktime else None


def _stream(head: bytes) -> Format | None:
    if head.startswith(b"OggS\0"):
        return _OGG_VIDEO if b"\x80theora" in head else _OGG
    if head.startswith(b"\x1aE\xdf\xa3"):
        return _WEBM if b"webm" in head[:64] else _MATROSKA
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return _BMP
    return _MPEG_TS if head[:1] == head[188:189] == head[376:377] == b"G" else None


def _sound(head: bytes) -> Format | None:
    """Sound that begins with its first frame, or with an ID3 tag before that."""
    if head.startswith(b"ID3") and len(head) > 10 and head[3] in (2, 3, 4) and max(head[6:10]) < 0x80:
        tag = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        behind = head[10 + tag :]
        return (detect(behind) if behind[:3] != b"ID3" else None) or _MP3
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        return _AAC if length > 6 and head[length : length + 1] in (b"", b"\xff") else None
    version, layer, rate, frequency, padding = (
        *(head[1] >> 3 & 3, head[1] >> 1 & 3),
        *(head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1),
    )
    if version == 1 or layer != 1 or rate in (0, 15) or frequency == 3:
        return None
    is_first = version == 3
    length = (144 if is_first else 72) * _KILOBITS[is_first][rate] * 1000 // _SAMPLE_RATES[version][frequency] + padding
    return _MP3 if head[length : length + 1] in (b"", b"\xff") else None


def suffix_of(media_type: str) -> str | None:
    """The suffix for a declared media type, such as that of a ``Content-Type``; None where it says nothing.

    >>> suffix_of("image/jpeg; charset=binary"), suffix_of("application/octet-stream")
    ('.jpg', None)
    """
    return _SUFFIXES.get(media_type.partition(";")[0].strip().lower())
