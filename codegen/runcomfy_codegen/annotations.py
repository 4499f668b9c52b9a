"""Annotations as datamodel-code-generator makes them, rewritten into those that are printed."""

import ast
from copy import deepcopy

from .literals import literal

_TYPES = {
    "StrictBool": "bool",
    "StrictInt": "int",
    "StrictStr": "str",
    "_runtime.MediaField": "_runtime.MediaInput",
    "_runtime.Number": "float",
}
"""How a signature shows what an annotation says more exactly."""


def annotated(annotation: ast.expr, check: str) -> ast.expr:
    """``StrictStr`` -> ``Annotated[StrictStr, _runtime.matching('^a')]``."""
    match annotation:
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[*elements])):
            inner = ", ".join(map(ast.unparse, elements))
        case _:
            inner = text_of(annotation)
    return expression(f"Annotated[{inner}, {check}]")


def with_alias(annotation: ast.expr, alias: str | None) -> str:
    """``Annotated[StrictInt, Field(ge=0)]`` -> ``Annotated[StrictInt, Field(ge=0, alias='62_steps')]``."""
    if alias is None:
        return text_of(annotation)
    type_, parts = annotation, []
    match annotation:
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[first, *others])):
            type_, parts = first, others
    fields = [part for part in parts if isinstance(part, ast.Call) and text_of(part.func) == "Field"]
    checks = "".join(f"{text_of(part)}, " for part in parts if part not in fields)
    known = [f"{keyword.arg}={text_of(keyword.value)}" for field in fields for keyword in field.keywords]
    return f"Annotated[{text_of(type_)}, {checks}Field({', '.join([*known, f'alias={literal(alias)}'])})]"


class Exact(ast.NodeTransformer):
    """``Literal[5, 10]`` -> ``Annotated[Literal[5, 10], _runtime.exact]``: pydantic alone would take 5.0 for 5.

    ``StrictFloat`` -> ``_runtime.Number``: pydantic alone would make 5 a 5.0.
    """

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return expression("_runtime.Number") if node.id == "StrictFloat" else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if not (isinstance(node.value, ast.Name) and node.value.id == "Literal"):
            return self.generic_visit(node)  # type: ignore[return-value]  # a subscript stays one
        values = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if all(isinstance(value, ast.Constant) and isinstance(value.value, str) for value in values):
            return node
        return expression(f"Annotated[{text_of(node)}, _runtime.exact]")


class OfMedia(ast.NodeTransformer):
    """``StrictStr`` -> ``_runtime.MediaField``: a media field takes files as well."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return expression("_runtime.MediaField") if node.id == "StrictStr" else node


class Inlined(ast.NodeTransformer):
    """``Sequence[X0]`` -> ``Sequence[Annotated[StrictInt, Field(ge=0)]]``: every name by its meaning."""

    def __init__(self, meanings: dict[str, ast.expr]) -> None:
        self._meanings = meanings

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return deepcopy(self._meanings.get(node.id, node))


class _Shown(ast.NodeTransformer):
    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        match node:
            case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[type_, *_])):
                return self.visit(type_)  # type: ignore[no-any-return]  # an expression stays one
            case ast.Subscript(value=ast.Name(id="Literal")):
                return node
        return self.generic_visit(node)  # type: ignore[return-value]  # a subscript stays one

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        # ``Annotated[str | None, …] | None`` says None twice; without the limits, once is enough.
        return left if f"| {text_of(left)}".endswith(f"| {text_of(right)}") else ast.BinOp(left, node.op, right)

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(_TYPES.get(node.id, node.id), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.Name:
        return ast.Name(_TYPES[ast.unparse(node)], node.ctx)


def shown(annotation: ast.expr) -> str:
    """The type as a signature shows it: ``Annotated[StrictInt | None, Field(ge=0)]`` -> ``int | None``."""
    return text_of(_Shown().visit(expression(text_of(annotation))))


class _Literal(str):
    """A text that `ast.unparse` prints as `literal` does."""

    __slots__ = ()

    def __repr__(self) -> str:
        return literal(str(self))


def text_of(node: ast.expr) -> str:
    """An expression as Python, to the byte the same by every version of it."""
    for constant in ast.walk(node):
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
            constant.value = _Literal(constant.value)
    return ast.unparse(node)


def expression(text: str) -> ast.expr:
    """The syntax tree of one expression."""
    return ast.parse(text, mode="eval").body
