"""The words of generated docstrings: meaning, limits and sample of one field, from its schema."""

import json
from typing import Any

_MEDIA = {"image": "an image", "video": "a video", "audio": "an audio file"}
_LONGEST_SAMPLE = 200


def field_doc(schema: dict[str, Any], name: str) -> str:
    """One paragraph on a field of the published schema.

    >>> field_doc({"title": "Steps", "type": "integer", "minimum": 1, "maximum": 50, "default": 25}, "steps")
    'Steps. From 1 to 50. Sample: 25.'
    """
    sentences = (_meaning(schema) or _humanised(name), _media(schema), *_limits(schema), _sample(schema))
    return " ".join(filter(None, sentences))


def _meaning(schema: dict[str, Any]) -> str:
    for key in ("description", "title"):
        text = schema.get(key)
        if isinstance(text, str) and (text := " ".join(text.split())):
            return text if text.endswith((".", "!", "?", "。")) else f"{text}."
    return ""


def _humanised(name: str) -> str:
    """``"guidance_scale"`` -> ``"Guidance scale."``."""
    words = " ".join(name.replace("_", " ").replace("-", " ").split())
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def _media(schema: dict[str, Any]) -> str:
    format_ = str(schema.get("format", ""))
    kind = _MEDIA.get(format_.removesuffix("s").removesuffix("_uri"))
    if kind is None or "_uri" not in format_:
        return ""
    return f"URLs, each of {kind}." if format_.endswith("s") else f"URL of {kind}."


def _limits(schema: dict[str, Any]) -> list[str]:
    return [
        _range(schema.get("minimum"), schema.get("maximum"), "From {} to {}.", "At least {}.", "At most {}."),
        f"Above {schema['exclusiveMinimum']}." if _is_number(schema.get("exclusiveMinimum")) else "",
        f"Below {schema['exclusiveMaximum']}." if _is_number(schema.get("exclusiveMaximum")) else "",
        f"A multiple of {schema['multipleOf']}." if _is_number(schema.get("multipleOf")) else "",
        _range(
            schema.get("minLength"),
            schema.get("maxLength"),
            "{} to {} characters.",
            "At least {} characters.",
            "At most {} characters.",
        ),
        _range(
            schema.get("minItems"), schema.get("maxItems"), "{} to {} items.", "At least {} items.", "At most {} items."
        ),
    ]


def _range(low: object, high: object, both: str, only_low: str, only_high: str) -> str:
    if _is_number(low) and _is_number(high):
        return both.format(low, high)
    if _is_number(low):
        return only_low.format(low)
    return only_high.format(high) if _is_number(high) else ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _sample(schema: dict[str, Any]) -> str:
    sample = schema.get("default")
    if sample is None or sample == "":
        return ""
    text = json.dumps(sample, ensure_ascii=False)
    return f"Sample: {text if len(text) <= _LONGEST_SAMPLE else text[:_LONGEST_SAMPLE] + '…'}."
