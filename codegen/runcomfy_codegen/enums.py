"""The enums of a published schema: the values decide, whatever the type beside them says."""

from typing import Any

from .errors import Place, Report
from .limits import limits
from .plain import NULL, Plain, fits, fitting, key, union

_LITERAL_INTEGERS = range(-(2**63), 2**63)
"""Type checkers know no Literal beyond 64 bits."""


def enum(schema: dict[str, Any], kinds: list[str], at: Place, report: Report) -> Plain | None:
    """The values of an ``enum`` or a ``const``, or None where none of them is a scalar."""
    values = _scalars(schema, kinds, at, report)
    if not values:
        return None
    at = (*at, "enum")
    typed = union({"type": kind} for kind in kinds if kind not in ("array", "object")) if kinds else {}
    fine = set(map(key, fitting(values, typed)))
    if wrong := [value for value in values if value is not None and key(value) not in fine]:
        report.note(at, f"has {wrong[0]!r}, which is not of the declared type; the enum decides")
    values = _within_limits(schema, values, at, report)
    folded = [value.casefold() for value in values if isinstance(value, str)]
    if len(set(folded)) < len(folded):
        report.note(at, "has values that differ only in case; all are kept")
    if "" in folded:
        report.note(at, "has an empty string; it is kept")
    alternatives: list[Plain] = []
    plain, beyond = _split([value for value in values if value is not None])
    if plain:
        alternatives.append({"enum": plain})
    if beyond:
        kind = "integer" if all(isinstance(value, int) for value in beyond) else "number"
        alternatives.append({"type": kind, "values": beyond})
    if None in values:
        alternatives.append(NULL)
    return union(alternatives)


def _within_limits(schema: dict[str, Any], values: list[Any], at: Place, report: Report) -> list[Any]:
    """The values that keep the limits beside the enum; all of them, where none does."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    limited = {kind: {"type": kind, **limits(schema, kind, at[:-1], report)} for kind in kinds.values()}
    kept = [value for value in values if value is None or fits(value, limited[kinds[type(value)]])]
    if kept and len(kept) < len(values):
        report.note(at, "has values that break the limits beside it; they are left out")
    elif len(kept) < len(values):
        report.note(at, "has no value that keeps the limits beside it; those are not checked")
    return kept or values


def _scalars(schema: dict[str, Any], kinds: list[str], at: Place, report: Report) -> list[Any]:
    keyword = "enum" if "enum" in schema else "const"
    declared = schema["enum"] if keyword == "enum" else [schema["const"]]
    at = (*at, keyword)
    if not isinstance(declared, list) or not declared:
        report.fail(at, "is not a list of values")
    if "integer" in kinds and "number" not in kinds:  # JSON writes 5 and 5.0 for the same
        declared = [int(value) if isinstance(value, float) and value == int(value) else value for value in declared]
    if "enum" in schema and "const" in schema:
        declared = [value for value in declared if value == schema["const"]] or report.fail(at, "has not the const")
    kept: list[Any] = []
    seen: set[tuple[bool, object]] = set()
    for index, value in enumerate(declared):
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            report.fail((*at, index), f"{value!r} holds half a surrogate pair, which cannot be sent")
        if isinstance(value, dict | list):
            report.note((*at, index), "is an object or a list; left to the API")
        elif key(value) in seen:
            report.note((*at, index), f"{value!r} stands twice; it counts once")
        else:
            seen.add(key(value))
            kept.append(value)
    # A choice among lists and scalars is no choice among the scalars.
    return kept if len(kept) == len(declared) or not any(isinstance(value, dict | list) for value in declared) else []


def _split(values: list[Any]) -> tuple[list[Any], list[Any]]:
    """What a Literal can hold, and what it cannot: all numbers, as soon as one is a fraction or too large."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if all(isinstance(value, int) and value in _LITERAL_INTEGERS for value in numbers):
        return values, []
    return [value for value in values if isinstance(value, str | bool)], numbers
