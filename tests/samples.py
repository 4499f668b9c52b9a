"""Valid bodies for a published schema, made from the schema alone: the smallest and the fullest.

This reads the schema a second time, with nothing of the generator, so that the two readings check each other.
"""

from fractions import Fraction
from functools import reduce
from math import ceil, floor
from typing import Any

_TYPES = {"float": "number", "double": "number", "int": "integer", "bool": "boolean", "str": "string"}
_TYPES |= {"list": "array", "dict": "object"}
_MATCHING = {'^[a-z]"?\\d+$': 'a"1', "^a": "abc", "^[a-z]{2}$": "ab"}
"""A value for each pattern that the tests' schemas have."""
_LIMITS = {
    **dict.fromkeys(("minimum", "minLength", "minItems"), max),
    **dict.fromkeys(("maximum", "maxLength", "maxItems"), min),
}


def body(entry: dict[str, Any], *, full: bool) -> dict[str, Any]:
    """A body for a schema file: all required fields, or all fields."""
    schema = entry["input_schema"]
    made: dict[str, Any] = _value({**schema, "type": "object"}, {**entry, **schema}, full, 0)
    return made


def _value(schema: Any, root: dict[str, Any], full: bool, index: int, depth: int = 0) -> Any:
    full = full and depth < 6  # a schema may refer to itself
    schema = _resolved(schema if isinstance(schema, dict) else {}, root, full)
    choices = [schema["const"]] if "const" in schema else schema.get("enum", [])
    if choices and _kind(schema) == "array":
        return [choices[-1]] if full else []
    if choices:
        return [choice for choice in choices if choice is not None][-1 if full else 0]
    match _kind(schema):
        case "string":
            return _text(schema, full, index)
        case "integer" | "number" as kind:
            return _number(schema, kind, full, index)
        case "boolean":
            return full
        case "array":
            count = min(schema.get("maxItems", 2), 20) if full else schema.get("minItems", 0)
            items = schema.get("items", {"type": "string"})
            items = items[0] if isinstance(items, list) else items
            return [_value(items, root, full, position, depth + 1) for position in range(count)]
        case "object":
            members = schema.get("properties", {})
            needed = schema.get("required") if isinstance(schema.get("required"), list) else []
            taken = {
                name: part
                for name, part in members.items()
                if full or name in (needed or []) or (isinstance(part, dict) and part.get("required") is True)
            }
            if full and not members and depth:
                taken = {"key": schema.get("additionalProperties", {})}
            return {
                name: _value(part, root, full, index, depth + 1) for name, part in taken.items() if _can_be_set(part)
            }
    return {"any": [1, None]} if full else "x"


def _can_be_set(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return True
    contradictory = schema.get("minimum", 0) > schema.get("maximum", schema.get("minimum", 0))
    return not contradictory and str(schema.get("type")).lower() != "null"


def _resolved(schema: dict[str, Any], root: dict[str, Any], full: bool) -> dict[str, Any]:
    """One schema without references and combinations: of alternatives, the first or the last that is not null."""
    parts = [schema]
    if "$ref" in schema:
        steps = schema["$ref"].removeprefix("#/").replace("%20", " ").split("/")
        target: Any = root
        for step in steps:
            target = target.get(step.replace("~1", "/"), {})
        parts.append(_resolved(target, root, full))
    parts += [_resolved(part, root, full) for part in schema.get("allOf", ())]
    alternatives = [part for part in schema.get("anyOf", schema.get("oneOf", ())) if part != {"type": "null"}]
    if alternatives:
        parts.append(_resolved(alternatives[-1 if full else 0], root, full))
    return reduce(_merged, parts)


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = {**other, **one}
    for keyword in one.keys() & other.keys():
        if keyword in _LIMITS:
            merged[keyword] = _LIMITS[keyword](one[keyword], other[keyword])
        elif keyword == "properties":
            names = {**other[keyword], **one[keyword]}
            merged[keyword] = {
                name: _merged(one[keyword].get(name, {}), other[keyword].get(name, {})) for name in names
            }
        elif keyword == "required":
            merged[keyword] = [*one[keyword], *other[keyword]]
        elif keyword == "enum":
            merged[keyword] = [value for value in one[keyword] if value in other[keyword]]
        elif keyword == "type" and {one[keyword], other[keyword]} == {"number", "integer"}:
            merged[keyword] = "integer"
    return merged


def _kind(schema: dict[str, Any]) -> str:
    declared = schema.get("type")
    declared = declared[0] if isinstance(declared, list) else declared
    if declared is not None:
        return _TYPES.get(str(declared).lower(), str(declared).lower())
    implied = {
        "properties": "object",
        "items": "array",
        "maxItems": "array",
        "minimum": "number",
        "pattern": "string",
        "maxLength": "string",
    }
    if str(schema.get("format", "")).endswith("_uris"):
        return "array"
    return next(
        (kind for keyword, kind in implied.items() if keyword in schema), "string" if "format" in schema else ""
    )


def _text(schema: dict[str, Any], full: bool, index: int) -> str:
    if schema.get("pattern") in _MATCHING:
        return _MATCHING[schema["pattern"]]
    if "uri" in str(schema.get("format", "")):
        return f"https://example.com/ä {index}.png?X-Sign=a%2Bb" if full else "https://example.com/a.png"
    least = int(schema.get("minLength", 0))
    if not full:
        return "x" * least
    text = f'{index}"quoted" \\ é \U0001fae8\n'
    most = min(int(schema.get("maxLength", 40)), 5_000)
    return (text * most)[:most]


def _number(schema: dict[str, Any], kind: str, full: bool, index: int) -> int | float:
    """The largest multiple within the limits, or the smallest; without an upper limit, something beyond the lower."""
    step = Fraction(str(schema.get("multipleOf", 1 if kind == "integer" else 0.25)))
    step = max(Fraction(1), step) if kind == "integer" else step
    low, low_open = _bound(schema, "inimum", Fraction(0))
    high, high_open = _bound(schema, "aximum", low + 10 * step)
    if full and abs(low) < 10**15:
        chosen = floor(high / step) * step
        chosen -= step if high_open and chosen == high else 0
        chosen -= step * index if "maximum" not in schema else 0
    else:
        chosen = ceil(low / step) * step
        chosen += step if low_open and chosen == low else 0
    return int(chosen) if kind == "integer" else float(chosen)


def _bound(schema: dict[str, Any], which: str, otherwise: Fraction) -> tuple[Fraction, bool]:
    """A limit, and whether it is exclusive; as a number of its own, or as a flag beside the limit."""
    exclusive = schema.get(f"exclusiveM{which}", False)
    if isinstance(exclusive, bool):
        return Fraction(str(schema.get(f"m{which}", otherwise))), exclusive
    return Fraction(str(exclusive)), True
