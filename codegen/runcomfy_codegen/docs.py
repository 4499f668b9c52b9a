"""The words of generated docstrings: meaning, limits and sample of one field, from its plain schema."""

import json
from typing import Any

from .literals import literal
from .plain import NULL, Plain, options, patterns

_ONE = {
    "image": "URL or file of an image.",
    "video": "URL or file of a video.",
    "audio": "URL or file of a sound.",
}
_MANY = {
    "image": "URLs or files of images.",
    "video": "URLs or files of videos.",
    "audio": "URLs or files of sounds.",
}
_QUANTITIES = {
    "file_size_mb": "File size in MB",
    "width_pixels": "Width in pixels",
    "height_pixels": "Height in pixels",
}
_OPERATORS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}
_LONGEST_SAMPLE = 200
_LONGEST_TEXT = 2_000


def field_doc(plain: Plain, wire: str, name: str) -> str:
    """One paragraph on a field, by its name on the wire and its name in Python.

    >>> field_doc({"type": "integer", "minimum": 1, "maximum": 50, "default": 25}, "62_steps", "field_62_steps")
    "62 steps. From 1 to 50. Sample: 25. Sent as '62_steps'."
    """
    alternatives = [option for option in options(plain) if option != NULL]
    said = [_said(option) for option in alternatives]
    if len(alternatives) > 1:
        said = [[f"As {option.get('type')}:", *part] for option, part in zip(alternatives, said, strict=True) if part]
    meaning = sentence(plain.get("description", "")) or _humanised(wire)
    sentences = [meaning, *(words for part in said for words in part), _sample(plain)]
    sentences += [f"Sent as {literal(wire)}."] if wire != name else []
    return " ".join(filter(None, sentences))


def one_line(text: object) -> str:
    """A text of a schema with single spaces; nothing for what is no text."""
    return " ".join(text.split()) if isinstance(text, str) else ""


def shortened(text: str) -> str:
    """A text as long as a docstring should be at most."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def sentence(text: str) -> str:
    """A text of a schema as a sentence of a docstring."""
    text = shortened(text)
    return text if not text or text.endswith((".", "!", "?", "。", "…")) else f"{text}."


def _humanised(wire: str) -> str:
    """``"guidance_scale"`` -> ``"Guidance scale."``."""
    words = " ".join(wire.replace("_", " ").replace("-", " ").split())
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def _said(plain: Plain) -> list[str]:
    items = plain.get("items", {})
    return [
        *_media(plain, _ONE),
        *_media(items, _MANY),
        *_limits(plain),
        *([] if "media" in items else _of_items(items)),
    ]


def _media(plain: Plain, words: dict[str, str]) -> list[str]:
    if "media" not in plain:
        return []
    rules = [
        f"{_QUANTITIES.get(quantity, quantity.capitalize())} {_OPERATORS[operator]} {_number(limit)}."
        for quantity, operator, limit, _ in plain["media"]["rules"]
    ]
    return [words[plain["media"]["kind"]], *rules]


def _of_items(items: Plain) -> list[str]:
    limits = [limit for option in options(items) for limit in _limits(option)]
    return [f"Each item: {' '.join(limits)}"] if limits else []


def _limits(plain: Plain) -> list[str]:
    found = [
        _range(plain.get("minimum"), plain.get("maximum"), ""),
        f"Above {_number(plain['exclusiveMinimum'])}." if "exclusiveMinimum" in plain else "",
        f"Below {_number(plain['exclusiveMaximum'])}." if "exclusiveMaximum" in plain else "",
        f"A multiple of {_number(plain['multipleOf'])}." if "multipleOf" in plain else "",
        f"One of {', '.join(map(_number, plain['values']))}." if "values" in plain else "",
        _range(plain.get("minLength"), plain.get("maxLength"), "character"),
        *map(_pattern, patterns(plain)),
        _range(plain.get("minItems"), plain.get("maxItems"), "item"),
        "No item twice." if "uniqueItems" in plain else "",
    ]
    return [text for text in found if text]


def _pattern(pattern: str) -> str:
    return f"Matches ``{pattern}``." if 0 < len(pattern) <= _LONGEST_SAMPLE else ""


def _range(low: Any, high: Any, unit: str) -> str:
    least, most = (None if bound is None else _number(bound) for bound in (low, high))
    if least is not None and most is not None:
        return f"Exactly {_counted(most, unit)}." if low == high else f"From {least} to {_counted(most, unit)}."
    if least is not None:
        return "" if unit and low == 0 else f"At least {_counted(least, unit)}."
    return "" if most is None else f"At most {_counted(most, unit)}."


def _counted(number: str, unit: str) -> str:
    return f"{number} {unit}{'' if number == '1' else 's'}" if unit else number


def _number(value: float) -> str:
    """As people write it: 1 for 1.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def _sample(plain: Plain) -> str:
    sample = plain.get("default")
    if sample is None or sample == "":
        return ""
    text = json.dumps(sample, ensure_ascii=False)
    return f"Sample: {text if len(text) <= _LONGEST_SAMPLE else text[:_LONGEST_SAMPLE] + '…'}."
