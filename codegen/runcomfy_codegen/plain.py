"""Plain schemas: what is left of a published schema once its meaning is decided, and how two of them combine.

A plain schema is JSON Schema of few words. It is one of

- ``{}``: any value;
- ``{"type": "string"}`` or another type, with its limits; a string may have ``media`` (see `media`) and further
  ``patterns``; an array always has ``items``; an object has ``properties`` and ``required``, or it is free of form;
- ``{"enum": ["a", 5, true]}``: what a Python Literal can hold;
- ``{"type": "number", "values": [0.5, 1]}``: an enum that a Literal cannot hold;
- ``{"anyOf": […]}``: at least two of the above, one of them may be ``{"type": "null"}``;

and may have ``description``, ``default``, and of a definition that was referred to ``class``, its name, and ``about``,
its own description.
"""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from math import ceil, floor, gcd, lcm
from typing import Any

from .limits import matches

Plain = dict[str, Any]

MAX_ALTERNATIVES = 1_000
"""Beyond, combining combinations has no end."""
NULL: Plain = {"type": "null"}
WORDS = ("description", "default", "class", "about")
NUMBER_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
JSON_TYPES: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
"""The types of JSON's scalars."""
_PYTHON_TYPES = {"string": str, "boolean": bool, "array": list, "object": dict, "null": type(None)}


def parts(plain: Plain) -> Iterator[Plain]:
    """A schema, and the schemas in it; those of the properties of an object are none of its own."""
    yield plain
    inner = [plain[key] for key in ("items", "additionalProperties") if key in plain]
    for part in (*inner, *plain.get("anyOf", ())):
        yield from parts(part)


def changed(plain: Plain, change: Callable[[Plain], Plain]) -> Plain:
    """A schema whose `parts` are all changed, the outer before the inner."""
    found = dict(change(plain))
    for key in found.keys() & {"items", "additionalProperties"}:
        found[key] = changed(found[key], change)
    if "anyOf" in found:
        found["anyOf"] = [changed(option, change) for option in found["anyOf"]]
    return found


def options(plain: Plain) -> list[Plain]:
    """The alternatives of a union; anything else is the only one of its own."""
    return plain.get("anyOf", [plain])  # type: ignore[no-any-return]  # a list of schemas by construction


def union(alternatives: Iterable[Plain]) -> Plain:
    """What fits any of the alternatives."""
    alternatives = list(alternatives)
    if len(alternatives) == 1:
        return alternatives[0]
    kept: list[Plain] = []
    for option in (option for alternative in alternatives for option in options(alternative)):
        if not _bare(option):
            return {}
        if option.get("type") == "null":
            option = NULL  # whatever words it has are about nothing
        for index, other in enumerate(kept):
            if (merged := _merged(other, option)) is not None:
                kept[index] = merged
                break
        else:
            kept.append(option)
    return kept[0] if len(kept) == 1 else {"anyOf": sorted(kept, key=lambda option: option == NULL)}


class TooManyAlternatives(Exception):
    """Two unions have more pairs of alternatives than anybody means."""


def both(first: Plain, second: Plain) -> Plain | None:
    """What fits both, or None where nothing does. The words of the first win."""
    if len(options(first)) * len(options(second)) > MAX_ALTERNATIVES:
        raise TooManyAlternatives
    made = [part for one in options(first) for two in options(second) if (part := _both(one, two)) is not None]
    if not made:
        return None
    words = {word: given[word] for given in (second, first) for word in WORDS if given.get(word) not in (None, "")}
    found = union(made) | words
    if first.get("properties") and second.get("properties"):
        found.pop("class", None)  # it is neither the one nor the other
        found.pop("about", None)
    return found


def opened(plain: Plain) -> Plain:
    """An output keeps values that its schema does not name and does not enforce limits: it has been paid for."""
    words = words_of(plain)
    if "anyOf" in plain:
        return {**words, **union([opened(option) for option in plain["anyOf"]])}
    if "enum" in plain:
        return {**words, **union([{"type": JSON_TYPES[type(value)]} for value in plain["enum"]])}
    made = {**words, **({"type": plain["type"]} if "type" in plain else {})}
    for keyword in plain.keys() & {"items", "additionalProperties"}:
        made[keyword] = opened(plain[keyword])
    if plain.get("properties"):
        made["properties"] = {name: opened(part) for name, part in plain["properties"].items()}
        made["required"] = []
    return made


def words_of(plain: Plain) -> Plain:
    """What people are told, and nothing of what is checked."""
    return {word: plain[word] for word in WORDS if word in plain}


def fits(value: object, plain: Plain) -> bool:
    """Whether a JSON value is what a plain schema asks for."""
    return any(_fits(value, option) for option in options(plain))


def fitting(values: list[Any], plain: Plain) -> list[Any]:
    """The scalars among some that fit."""
    chosen = plain.get("enum", plain.get("values"))
    if chosen is None:
        return [value for value in values if fits(value, plain)]
    known = set(map(identity, chosen))
    return [value for value in values if identity(value) in known]


def identity(value: object) -> tuple[bool, object]:
    """Equal for the same JSON scalar: 1 and 1.0 are one, 1 and true are not."""
    return isinstance(value, bool), value


def contradictory(plain: Plain) -> list[str]:
    """The limits that no value can keep together; empty where some value can."""
    for low, high in (("minLength", "maxLength"), ("minItems", "maxItems")):
        if plain.get(low, 0) > plain.get(high, plain.get(low, 0)):
            return [low, high]
    found = [limit for limit in NUMBER_LIMITS if limit in plain]
    least = [(Fraction(str(plain[limit])), limit != "minimum") for limit in found if "inimum" in limit]
    most = [(Fraction(str(plain[limit])), limit != "maximum") for limit in found if "aximum" in limit]
    if not least or not most:
        return []
    (low_value, low_open), (high_value, high_open) = max(least), min(most, key=lambda bound: (bound[0], not bound[1]))
    step = Fraction(str(plain.get("multipleOf", int(plain.get("type") == "integer"))))
    if not step:
        empty = low_value > high_value or (low_value == high_value and (low_open or high_open))
    else:
        first = (floor(low_value / step) + 1 if low_open else ceil(low_value / step)) * step
        empty = first > high_value or (first == high_value and high_open)
    return found if empty else []


def rounded(plain: Plain) -> Plain:
    """The limits of an integer as integers: at least 0.5 is at least 1."""
    if plain.get("type") != "integer":
        return plain
    rounds: dict[str, Callable[[float], int]] = {
        "minimum": ceil,
        "maximum": floor,
        "exclusiveMinimum": floor,
        "exclusiveMaximum": ceil,
        "multipleOf": lambda divisor: Fraction(str(divisor)).numerator,
    }
    limits = {key: rounds[key](value) if key in rounds else value for key, value in plain.items()}
    return {key: value for key, value in limits.items() if (key, value) != ("multipleOf", 1)}


def patterns(plain: Plain) -> list[str]:
    """All the patterns that a string has to match."""
    return [*([plain["pattern"]] if "pattern" in plain else []), *plain.get("patterns", ())]


def _bare(plain: Plain) -> Plain:
    return {key: value for key, value in plain.items() if key not in WORDS}


def _merged(one: Plain, other: Plain) -> Plain | None:
    """Two alternatives as one, where that loses nothing but which of the fields go together."""
    if "enum" in one and "enum" in other:
        known = set(map(identity, one["enum"]))
        words = {word: one[word] for word in WORDS if word in one and other.get(word) == one[word]}
        return {**words, "enum": [*one["enum"], *(value for value in other["enum"] if identity(value) not in known)]}
    if "properties" in one and one.get("properties") == other.get("properties"):
        return {**one, "required": [name for name in one["required"] if name in other["required"]]}
    kinds = {plain["media"]["kind"] for plain in (one, other) if "media" in plain}
    if len(kinds) < 2 and _without_media(one) == _without_media(other):
        return {**other, **one}
    return None


def _without_media(plain: Plain) -> Plain:
    return {key: value for key, value in _bare(plain).items() if key != "media"}


def _both(one: Plain, other: Plain) -> Plain | None:
    if not _bare(one) or not _bare(other):
        return {**other, **one}
    for first, second in ((one, other), (other, one)):
        for keyword in ("enum", "values"):
            if keyword in first:
                values = fitting(first[keyword], second)
                if keyword == "values" and second.get("type") == "integer":
                    return {**first, "type": "integer", "values": list(map(int, values))} if values else None
                return {**first, keyword: values} if values else None
    types = {one["type"], other["type"]}
    if len(types) > 1 and types != {"integer", "number"}:
        return None
    kind = one["type"] if len(types) == 1 else "integer"
    merged = {**other, **one, "type": kind}
    for keyword in one.keys() & other.keys() & _TIGHTER.keys():
        merged[keyword] = _TIGHTER[keyword](one[keyword], other[keyword])
        if merged[keyword] is None:
            return None
    if more := list(dict.fromkeys((*patterns(one), *patterns(other))))[1:]:
        merged["patterns"] = more
    return rounded(merged)


def _same_multiple(one: float, other: float) -> int | float:
    first, second = Fraction(str(one)), Fraction(str(other))
    shared = Fraction(lcm(first.numerator, second.numerator), gcd(first.denominator, second.denominator))
    return shared.numerator if shared.denominator == 1 else float(shared)


def _members(one: dict[str, Plain], other: dict[str, Plain]) -> dict[str, Plain] | None:
    shared = {name: both(one[name], other[name]) for name in one if name in other}
    if None in shared.values():
        return None
    return {**one, **other, **shared}  # type: ignore[dict-item]  # None was ruled out above


_TIGHTER: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
    "multipleOf": _same_multiple,
    "items": both,
    "additionalProperties": both,
    "properties": _members,
    "required": lambda one, other: [*one, *(name for name in other if name not in one)],
}


def _fits(value: object, plain: Plain) -> bool:
    for keyword in ("enum", "values"):
        if keyword in plain:
            return not isinstance(value, list | dict) and identity(value) in set(map(identity, plain[keyword]))
    kind = plain.get("type")
    if kind is None:
        return True
    if kind in ("integer", "number"):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and (kind == "number" or _is_whole(value)) and all(_limits_kept(value, plain))
    if not isinstance(value, _PYTHON_TYPES[kind]):
        return False
    if isinstance(value, str):
        return _within(len(value), plain, "Length") and all(matches(pattern, value) for pattern in patterns(plain))
    if isinstance(value, list):
        return _within(len(value), plain, "Items") and all(fits(item, plain["items"]) for item in value)
    if isinstance(value, dict) and "properties" in plain:
        known = plain["properties"]
        return all(name in value for name in plain["required"]) and all(
            fits(part, known[name]) for name, part in value.items() if name in known
        )
    return True


def _is_whole(value: Any) -> bool:
    return bool(value == int(value))


def _limits_kept(value: Any, plain: Plain) -> Iterator[bool]:
    yield "minimum" not in plain or value >= plain["minimum"]
    yield "maximum" not in plain or value <= plain["maximum"]
    yield "exclusiveMinimum" not in plain or value > plain["exclusiveMinimum"]
    yield "exclusiveMaximum" not in plain or value < plain["exclusiveMaximum"]
    yield "multipleOf" not in plain or (Fraction(str(value)) / Fraction(str(plain["multipleOf"]))).denominator == 1


def _within(count: int, plain: Plain, what: str) -> bool:
    return bool(plain.get(f"min{what}", 0) <= count <= plain.get(f"max{what}", count))
