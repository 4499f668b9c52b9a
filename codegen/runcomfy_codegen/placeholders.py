"""Schemas without the values by which fields of one kind differ, and types with these put back.

``{"type": "integer", "maximum": 50}`` and ``{"type": "integer", "maximum": 30}`` have one type but for a number. Taken
out is only what a type has as it stands in the schema: limits above one, and the texts of an enum. Placeholders are in
the order of what they stand for, and two are equal where these are.
"""

import ast
import json
import re
from functools import lru_cache
from typing import NamedTuple

from .annotations import expression, text_of
from .plain import Plain, changed, parts

_LIMITS = frozenset(
    ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems")
)
_FIRST = 10**12
"""The placeholder of the least number; the others follow."""
_LIKE_A_PLACEHOLDER = re.compile("[0-9]{13}")
_CHOICE, _FURTHER_CHOICES = "a choice", "further choices"


class Values(NamedTuple):
    """What was taken out of a schema."""

    numbers: tuple[float, ...]
    """In ascending order."""
    choices: tuple[str, ...]


def without_values(schema: Plain) -> tuple[Plain, Values]:
    """A schema with placeholders, and what they stand for."""
    found = list(parts(schema))
    numbers = sorted({part[key] for part in found for key in _LIMITS & part.keys() if 1 < part[key] < _FIRST})
    if _LIKE_A_PLACEHOLDER.search(json.dumps(schema)):
        numbers = []
    enums = [part["enum"] for part in found if "enum" in part]
    has_choices = len(enums) == 1 and all(isinstance(choice, str) for choice in enums[0])
    choices = tuple(enums[0]) if has_choices else ()

    def replaced(part: Plain) -> Plain:
        limits = {key: _placeholder(part[key], numbers) for key in _LIMITS & part.keys() if part[key] in numbers}
        enum = {"enum": [_CHOICE, _FURTHER_CHOICES][: len(choices)]} if choices and "enum" in part else {}
        return {**part, **limits, **enum}

    return changed(schema, replaced), Values(tuple(numbers), choices)


def _placeholder(number: float, numbers: list[float]) -> float:
    place = _FIRST + numbers.index(number)
    if isinstance(number, int):
        return place
    return float(place) if number.is_integer() else place + 0.5


@lru_cache(maxsize=10_000)
def with_values(annotation: str, values: Values) -> str:
    """A type with what was taken out of its schema."""
    return text_of(_PutBack(values).visit(expression(annotation))) if any(values) else annotation


class _PutBack(ast.NodeTransformer):
    def __init__(self, values: Values) -> None:
        self._values = values

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, int | float) or not 0 <= node.value - _FIRST < len(self._values.numbers):
            return node
        number = self._values.numbers[int(node.value) - _FIRST]
        return expression(repr(type(node.value)(number)))

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        choices = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        match node.value, choices:
            case ast.Name(id="Literal"), [ast.Constant(value=first), *_] if first == _CHOICE and self._values.choices:
                texts: list[ast.expr] = [ast.Constant(choice) for choice in self._values.choices]
                return ast.Subscript(node.value, ast.Tuple(texts) if len(texts) > 1 else texts[0])
        return self.generic_visit(node)  # type: ignore[return-value]  # a subscript stays one
