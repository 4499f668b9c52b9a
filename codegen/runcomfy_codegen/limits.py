"""The limits of a published schema: which say something about which type, and whether they can be read."""

import re
from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from typing import Any

from pydantic_core import SchemaError as CoreSchemaError
from pydantic_core import SchemaValidator, ValidationError, core_schema

from .errors import Place, Report

_LARGEST_COUNT = 2**31 - 1
"""More characters or items than anybody can send; some Pythons cannot count beyond."""
_OTHER_MEANING = re.compile(r"&&|--|~~|\[[^\]]*\[|\\[<>Az]")
"""What the engine that checks inputs reads in its own way: sets of characters, and marks of beginnings and ends."""


def limits(schema: dict[str, Any], kind: str, at: Place, report: Report) -> dict[str, Any]:
    """The limits of a value of one type. What says nothing about the type is left out."""
    read = _READERS.get(kind, {})
    found = {keyword: read[keyword](schema[keyword], (*at, keyword), report) for keyword in read if keyword in schema}
    for low_or_high in ("Minimum", "Maximum"):
        plain, exclusive = low_or_high.lower(), f"exclusive{low_or_high}"
        if isinstance(found.get(exclusive), bool):  # as JSON Schema had it until draft 4
            found[exclusive] = found.pop(plain, None) if found[exclusive] else None
    return {keyword: value for keyword, value in found.items() if value is not None}


def of_type(kind: str) -> set[str]:
    """The limits that say something about one type."""
    return set(_READERS.get(kind, ()))


def matches(pattern: str, value: str) -> bool:
    """Whether a pattern that `limits` let through matches anywhere in a value; in linear time."""
    try:
        _engine(pattern).validate_python(value)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=64)
def _engine(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern))


def _pattern(value: object, at: Place, report: Report) -> str | None:
    if not isinstance(value, str):
        report.fail(at, "is not a string")
    if _OTHER_MEANING.search(value):
        report.note(at, "has what engines read differently (&&, --, ~~, [ in a set, \\A, \\z, \\<, \\>); not checked")
        return None
    try:  # the engine that will check inputs against it; look-arounds are beyond it
        _engine(value)
    except CoreSchemaError as error:
        reason = " ".join(str(error).partition("error: ")[2].split()) or "it is too large"
        report.note(at, f"is beyond the engine here ({reason}); not checked")
        return None
    except UnicodeEncodeError:
        report.note(at, "holds half a surrogate pair, which matches nothing; not checked")
        return None
    return value


def is_number(value: object) -> bool:
    """Whether a JSON value is a number that a float can hold."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(float(value))
    except OverflowError:
        return False


def _number(value: object, at: Place, report: Report) -> int | float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        report.fail(at, f"is {value!r}, not a number")
    if is_number(value):
        return value
    report.note(at, "is too large for a number; not checked")
    return None


def _exclusive(value: object, at: Place, report: Report) -> int | float | None:
    return value if isinstance(value, bool) else _number(value, at, report)


def _divisor(value: object, at: Place, report: Report) -> int | float | None:
    number = _number(value, at, report)
    if number is not None and number <= 0:
        report.fail(at, f"is {value!r}, not above zero")
    return number


def _count(value: object, at: Place, report: Report) -> int:
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0 or value != int(value):
        report.fail(at, f"is {value!r}, not a whole number of at least 0")
    return min(int(value), _LARGEST_COUNT)


def _flag(value: object, at: Place, report: Report) -> bool | None:
    if not isinstance(value, bool):
        report.fail(at, f"is {value!r}, not true or false")
    return value or None


_NUMBER: dict[str, Callable[[object, Place, Report], Any]] = {
    "minimum": _number,
    "maximum": _number,
    "exclusiveMinimum": _exclusive,
    "exclusiveMaximum": _exclusive,
    "multipleOf": _divisor,
}
_READERS: dict[str, dict[str, Callable[[object, Place, Report], Any]]] = {
    "integer": _NUMBER,
    "number": _NUMBER,
    "string": {"minLength": _count, "maxLength": _count, "pattern": _pattern},
    "array": {"minItems": _count, "maxItems": _count, "uniqueItems": _flag},
}
IMPLIED = {keyword: type_ for type_ in ("array", "string", "number") for keyword in of_type(type_)}
"""The type that each limit speaks of, where a schema names none."""
