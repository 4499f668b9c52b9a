"""Plain schemas and JSON values as people read them in a report."""

import json
from typing import Any

from .plain import Plain, options

_PYTHON = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def shown(plain: Plain) -> str:
    """A type as Python writes it.

    >>> shown({"anyOf": [{"type": "array", "items": {"enum": ["a", 5]}}, {"type": "null"}]})
    "list[Literal['a', 5]] | None"
    """
    return " | ".join(map(_one, options(plain)))


def _one(option: Plain) -> str:
    if "enum" in option:
        return f"Literal[{', '.join(map(repr, option['enum']))}]"
    if "values" in option:
        return f"one of {', '.join(map(repr, option['values']))}"
    kind = option.get("type", "Any")
    if kind == "array":
        return f"list[{shown(option['items'])}]"
    if kind == "object":
        return "object" if "properties" in option else f"dict[str, {shown(option.get('additionalProperties', {}))}]"
    return str(_PYTHON.get(kind, kind))


def json_text(value: object) -> str:
    """A value as JSON writes it."""
    return json.dumps(value, ensure_ascii=False)


def listed(values: list[Any]) -> str:
    """Values of an enum."""
    return ", ".join(map(json_text, values))
