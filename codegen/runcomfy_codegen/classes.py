"""Shapes in, typed fields out."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .annotations import Inlined, expression, shown, with_alias
from .field_types import FieldType, Sought, field_types
from .naming import Module, Shape

_HOMES = {
    "Annotated": "typing",
    "Any": "typing",
    "Literal": "typing",
    "Mapping": "collections.abc",
    "Sequence": "collections.abc",
    "Field": "pydantic",
    "StrictBool": "pydantic",
    "StrictInt": "pydantic",
    "StrictStr": "pydantic",
}


@dataclass(frozen=True)
class Field:
    """One field as it is printed."""

    name: str
    annotation: str
    """With its limits and alias: ``Annotated[StrictInt | None, Field(ge=0)]``."""
    type: str
    """Without them, as a signature shows it: ``int | None``."""
    required: bool
    doc: str


@dataclass(frozen=True)
class Class:
    """One class as it is printed."""

    name: str
    doc: str
    fields: tuple[Field, ...]
    open: bool


@dataclass(frozen=True)
class Code:
    """One model's classes, the inner before the outer; the last ones are `Input` and `Output`."""

    module: Module
    inputs: tuple[Class, ...]
    outputs: tuple[Class, ...]
    imports: tuple[tuple[str, str], ...]
    """What the annotations use: pairs of module and name."""


def classes(modules: Iterable[Module]) -> list[Code]:
    """Type the shapes of some modules, the more at once the better."""
    modules = list(modules)
    sought = [
        Sought(member.schema, member.required, is_input)
        for module in modules
        for shapes, is_input in ((module.inputs, True), (module.outputs, False))
        for shape in shapes
        for member in shape.members
    ]
    types = iter(field_types(sought))
    return [_code(module, types) for module in modules]


def _code(module: Module, types: Iterator[FieldType]) -> Code:
    used: set[str] = set()
    inputs, outputs = (
        tuple(_class(shape, types, used, is_input=is_input) for shape in shapes)
        for shapes, is_input in ((module.inputs, True), (module.outputs, False))
    )
    return Code(module, inputs, outputs, tuple(sorted((_HOMES[name], name) for name in used)))


def _class(shape: Shape, types: Iterator[FieldType], used: set[str], *, is_input: bool) -> Class:
    fields = []
    for member in shape.members:
        printed = _printed(next(types), member.wire if member.wire != member.name else None)
        used |= printed.imports
        if shape.name == "Input":
            used |= printed.imports_of_type
        fields.append(Field(member.name, printed.annotation, printed.type, member.required and is_input, member.doc))
    return Class(shape.name, shape.doc, tuple(fields), shape.open)


class _Printed(NamedTuple):
    annotation: str
    type: str
    imports: frozenset[str]
    imports_of_type: frozenset[str]


@lru_cache(maxsize=4096)
def _printed(type_: FieldType, alias: str | None) -> _Printed:
    """One field as it is printed; most models share most of their fields, hence the cache."""
    annotation = Inlined({f"R{n}": ast.Name(name) for n, name in enumerate(type_.classes)}).visit(
        expression(type_.text)
    )
    texts = with_alias(annotation, alias), shown(annotation)
    return _Printed(*texts, *map(_imports, texts))


def _imports(text: str) -> frozenset[str]:
    names = (node.id for node in ast.walk(expression(text)) if isinstance(node, ast.Name))
    return frozenset(names) & _HOMES.keys()
