"""The names of downloaded files: the same in every call, safe on every system, with the suffix of what is in them."""

import re
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

from ._formats import HEAD, MEDIA_SUFFIXES, detect, suffix_of

_LONGEST = 100
_LONGEST_BYTES = 200
"""File systems allow 255, of which the suffix takes some."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_RESERVED = re.compile(r'[<>:"/\\|?*]')
_DEVICE = re.compile(r"(?:aux|con|nul|prn|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?= *(?:\.|$))", re.IGNORECASE)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}")


def stem_of_job(request_id: str | None, position: int, url: str) -> str:
    """The name, less its suffix, of the file at a position of the output of a job.

    >>> stem_of_job("7f0c/a", 1, "https://example.com/x.png"), stem_of_job(None, 2, "https://example.com/x.png?sig=1")
    ('7f0c_a-81e0eace8370a989-1', '026efd6de2494a5f-2')
    """
    if request_id is None:
        return f"{_digest(_without_query(url))}-{position}"
    name = _UNSAFE.sub("_", request_id)
    if len(name) > _LONGEST or name != request_id.lower():  # distinct ids keep distinct names, in any letter case
        name = f"{name[:60]}-{_digest(request_id)}"
    return f"{re.sub('^[.]', '_', name)}-{position}"


def stem_of_url(url: str) -> str:
    """The name, less its suffix, that a URL gives its file: its last segment, made safe for every system.

    >>> stem_of_url("https://example.com/a/My%20cat.v2.jpeg?sig=1"), stem_of_url("https://example.com/")
    ('My cat.v2', 'output')
    """
    path = "" if url[:5].lower() == "data:" else _without_query(url).partition("//")[2].partition("/")[2]
    name = "".join(character if character.isprintable() else "_" for character in unquote(path.rpartition("/")[2]))
    name = _RESERVED.sub("_", name).strip(". ")
    name = name[: len(name) - len(_suffix(name) or "")]
    name = name[:_LONGEST].encode(errors="replace")[:_LONGEST_BYTES].decode(errors="ignore").strip(". ")
    return f"_{name}" if _DEVICE.match(name) else name or "output"


def suffix_for(head: bytes, media_type: str, url: str) -> str:
    """The suffix of a file: by what it begins with, else by its declared type, else that of its URL.

    >>> suffix_for(b"RIFF....WEBPVP8 ", "image/png", "https://example.com/x.png")
    '.webp'
    >>> suffix_for(b"?", "", "https://example.com/x")
    '.bin'
    """
    format_ = detect(head[:HEAD])
    if format_ is None:
        return suffix_of(media_type) or own_suffix(url) or ".bin"
    if "audio" in format_.kinds and media_type.strip().lower().startswith("audio/"):
        return suffix_of(format_.media_type_of("audio")) or format_.suffix
    return format_.suffix


def own_suffix(url: str) -> str | None:
    """The suffix of a URL, where it is a plain one."""
    return _suffix(unquote(_without_query(url).rpartition("/")[2])) if url[:5].lower() != "data:" else None


def sidecar_of(file: Path) -> Path:
    """Where it is told what a file came from: ``cat.png.json`` for ``cat.png``."""
    return file.with_name(f"{file.name}.json")


def existing(folder: Path, stem: str, url: str) -> Path | None:
    """The whole file that an earlier call has left under a stem, whatever media it is; no notes of others beside it."""
    suffixes = MEDIA_SUFFIXES | {".bin", own_suffix(url) or ".bin"}
    for suffix in sorted(suffixes - {".json", ".part"}):
        file = folder / f"{stem}{suffix}"
        if file.is_file() and file.stat().st_size:
            return file
    return None


def _digest(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()[:16]


def _without_query(url: str) -> str:
    return url if url[:5].lower() == "data:" else re.split(r"[?#]", url, maxsplit=1)[0]


def _suffix(name: str) -> str | None:
    suffix = "." + name.rpartition(".")[2] if "." in name else ""
    is_plain = _SUFFIX.fullmatch(suffix) and not suffix[1:].isdecimal()
    return suffix.lower() if is_plain else None
