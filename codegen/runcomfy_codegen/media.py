"""Which fields are media, and the rules that RunComfy publishes for the files.

A field is media by its ``format``: ``image_uri``, ``video_uri``, ``audio_uri``, or the plural on an array. Older pages
have no formats. There a string without an enum, or an array of such strings, is media by its name or title: the last
word of the name names a medium, not counting numbers and ``url`` (``start_image_url_2``, ``first_frame``); or the name
ends with ``url`` and the last word of the title names one.
"""

import re
from typing import Any

from .docs import one_line
from .errors import Place, Report
from .limits import is_number

_NOUNS = {
    **dict.fromkeys(("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures"), "image"),
    **dict.fromkeys(("frame", "frames", "mask", "masks"), "image"),
    **dict.fromkeys(("video", "videos", "clip", "clips"), "video"),
    **dict.fromkeys(("audio", "audios"), "audio"),
}
_LINKS = {"url", "urls", "uri", "uris"}
_FORMATS = {f"{kind}_uri{plural}": kind for kind in ("image", "video", "audio") for plural in ("", "s")}
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_RULE = re.compile("(file_size_mb|width_pixels|height_pixels|width/height|height/width)(<=?|>=?)")

Rule = tuple[str, str, float, str]
"""Quantity, operator, limit, and the words for who breaks it."""


def by_format(schema: dict[str, Any]) -> str | None:
    """The kind that the format names: ``"image"``, ``"video"``, ``"audio"``, or None."""
    format_ = schema.get("format")
    return _FORMATS.get(format_.lower()) if isinstance(format_, str) else None


def by_name(name: str, title: object) -> str | None:
    """The kind of a string field without a format that tells it.

    >>> by_name("start_image_url_2", ""), by_name("125_audio", ""), by_name("image_size", "")
    ('image', 'audio', None)
    >>> by_name("url", "Input video"), by_name("lora_url", "LoRA")
    ('video', None)
    """
    words = _words(name)
    if words and words[-1] in _LINKS:
        described = [word for word in _words(one_line(title)) if word not in _LINKS]
        words = [word for word in words if word not in _LINKS]
        return _noun(words) or _noun(described)
    return _noun(words)


def rules(schema: dict[str, Any], at: Place, report: Report) -> list[Rule]:
    """The ``validations`` beside a media field; those that cannot be read are reported and not checked."""
    declared = schema.get("validations", [])
    if not isinstance(declared, list):
        report.note((*at, "validations"), "is not a list; not checked")
        return []
    found = []
    for index, entry in enumerate(declared):
        fields = entry if isinstance(entry, dict) else {}
        match = _RULE.fullmatch(one_line(fields.get("validation_rule")).replace(" ", ""))
        limit: Any = fields.get("validation_value")
        if match is None or not is_number(limit):
            report.note((*at, "validations", index), "is no rule known here; not checked")
            continue
        found.append((match[1], match[2], float(limit), one_line(fields.get("validation_error"))))
    return found


def _words(text: str) -> list[str]:
    """``"startImage_url_2"`` -> ``["start", "image", "url"]``."""
    return [word.lower() for word in _WORD.findall(text)]


def _noun(words: list[str]) -> str | None:
    return _NOUNS.get(words[-1]) if words else None
