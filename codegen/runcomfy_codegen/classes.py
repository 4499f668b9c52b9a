"""Shapes in, typed fields out. The types are datamodel-code-generator's; this is the only module that knows it."""

import ast
import json
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from datamodel_code_generator import GenerateConfig, InputFileType, LiteralType, generate
from datamodel_code_generator.enums import DataModelType, StrictTypes
from datamodel_code_generator.format import PythonVersion

from .naming import Module, Shape

_HOMES = {
    "Annotated": "typing",
    "Any": "typing",
    "Literal": "typing",
    "Mapping": "collections.abc",
    "Sequence": "collections.abc",
    "Field": "pydantic",
    "StrictBool": "pydantic",
    "StrictFloat": "pydantic",
    "StrictInt": "pydantic",
    "StrictStr": "pydantic",
}
_PLAIN = {"StrictBool": "bool", "StrictFloat": "float", "StrictInt": "int", "StrictStr": "str"}


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


@dataclass(frozen=True)
class Code:
    """One model's classes, the inner before the outer; the last ones are `Input` and `Output`."""

    module: Module
    inputs: tuple[Class, ...]
    outputs: tuple[Class, ...]
    imports: tuple[tuple[str, str], ...]
    """What the annotations use: pairs of module and name."""


def classes(module: Module) -> Code:
    """Type the shapes of one module."""
    inputs = _typed(module.inputs, is_input=True)
    outputs = _typed(module.outputs, is_input=False)
    used = {
        node.id
        for cls in (*inputs, *outputs)
        for field in cls.fields
        for text in (field.annotation, field.type if cls.name == "Input" else "None")
        for node in ast.walk(ast.parse(text, mode="eval"))
        if isinstance(node, ast.Name)
    }
    imports = sorted((_HOMES[name], name) for name in used & _HOMES.keys())
    return Code(module, inputs, outputs, tuple(imports))


def _typed(shapes: tuple[Shape, ...], *, is_input: bool) -> tuple[Class, ...]:
    numbers = {shape.name: f"C{number}" for number, shape in enumerate(shapes)}
    names = _Inlined({number: ast.Name(name) for name, number in numbers.items()})
    definitions = {numbers[shape.name]: _definition(shape, numbers) for shape in shapes}
    texts = _annotations(json.dumps({"$defs": definitions}), is_input)
    made = []
    for shape in shapes:
        fields = []
        for member, text in zip(shape.members, texts[numbers[shape.name]], strict=True):
            annotation = names.visit(_expression(text))
            fields.append(
                Field(
                    name=member.name,
                    annotation=_with_alias(annotation, member.wire if member.wire != member.name else None),
                    type=_plain(annotation),
                    required=member.required and is_input,
                    doc=member.doc if member.wire == member.name else f"{member.doc} Sent as {member.wire!r}.".strip(),
                )
            )
        made.append(Class(shape.name, shape.doc, tuple(fields)))
    return tuple(made)


def _definition(shape: Shape, numbers: dict[str, str]) -> dict[str, Any]:
    """A shape as it is handed on: without texts, and with numbers for names, so that no name decides anything."""
    return {
        "type": "object",
        "properties": {f"f{index}": _handed_on(member.schema, numbers) for index, member in enumerate(shape.members)},
        "required": [f"f{index}" for index, member in enumerate(shape.members) if member.required],
    }


def _handed_on(schema: Any, numbers: dict[str, str]) -> Any:
    if isinstance(schema, list):
        return [_handed_on(part, numbers) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{numbers[schema['$ref'].rpartition('/')[2]]}"}
    return {key: _handed_on(value, numbers) for key, value in schema.items() if key != "description"}


@lru_cache(maxsize=256)
def _annotations(definitions: str, is_input: bool) -> dict[str, list[str]]:
    """The annotations of all fields by class. Most models share one output schema, hence the cache."""
    numbers = json.loads(definitions)["$defs"]
    text = generate(
        definitions,
        config=GenerateConfig(
            input_file_type=InputFileType.JsonSchema,
            output_model_type=DataModelType.PydanticV2BaseModel,
            target_python_version=PythonVersion.PY_311,
            formatters=[],
            disable_timestamp=True,
            disable_future_imports=True,
            use_annotated=True,
            field_constraints=True,
            use_standard_collections=True,
            use_union_operator=True,
            use_generic_container_types=is_input,
            strict_types=list(StrictTypes) if is_input else [],
            enum_field_as_literal=LiteralType.All,
            strict_refs=True,
            allow_remote_refs=False,
        ),
    )
    if not isinstance(text, str):
        raise TypeError(f"expected one module from datamodel-code-generator, got {type(text).__name__}")
    found = {
        statement.name: [item.annotation for item in statement.body if isinstance(item, ast.AnnAssign)]
        for statement in ast.parse(text).body
        if isinstance(statement, ast.ClassDef)
    }
    # The items of a list that have limits come as a class of their own, with the type of an item as its only field.
    items: dict[str, ast.expr] = {}
    for name in [name for name in found if name not in numbers]:  # the inner before the outer
        items[name] = _Inlined(items).visit(found[name][0])
    inlined = _Inlined(items)
    exact = _Exact() if is_input else ast.NodeTransformer()
    return {
        name: [ast.unparse(exact.visit(inlined.visit(annotation))) for annotation in found[name]] for name in numbers
    }


def _with_alias(annotation: ast.expr, alias: str | None) -> str:
    """``Annotated[StrictInt, Field(ge=0)]`` -> ``Annotated[StrictInt, Field(ge=0, alias='62_steps')]``."""
    text = ast.unparse(annotation)
    if alias is None:
        return text
    match annotation:
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[type_, ast.Call() as field])):
            known = [*(f"{keyword.arg}={ast.unparse(keyword.value)}" for keyword in field.keywords), f"alias={alias!r}"]
            return f"Annotated[{ast.unparse(type_)}, Field({', '.join(known)})]"
    return f"Annotated[{text}, Field(alias={alias!r})]"


class _Exact(ast.NodeTransformer):
    """``Literal[5, 10]`` -> ``Annotated[Literal[5, 10], _runtime.exact]``; pydantic alone would take 5.0 for 5."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if not (isinstance(node.value, ast.Name) and node.value.id == "Literal"):
            return self.generic_visit(node)  # type: ignore[return-value]  # a subscript stays one
        values = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if all(isinstance(value, ast.Constant) and isinstance(value.value, str) for value in values):
            return node
        return _expression(f"Annotated[{ast.unparse(node)}, _runtime.exact]")


class _Inlined(ast.NodeTransformer):
    """``Sequence[F0Item]`` -> ``Sequence[Annotated[StrictInt, Field(ge=0)]]``, by the given meanings; also of names."""

    def __init__(self, meanings: dict[str, ast.expr]) -> None:
        self._meanings = meanings

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return deepcopy(self._meanings.get(node.id, node))


class _Plain(ast.NodeTransformer):
    """``Annotated[StrictInt | None, Field(ge=0)]`` -> ``int | None``."""

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
        return left if ast.unparse(left).endswith(f"| {ast.unparse(right)}") else ast.BinOp(left, node.op, right)

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(_PLAIN.get(node.id, node.id), node.ctx)


def _plain(annotation: ast.expr) -> str:
    return ast.unparse(_Plain().visit(_expression(ast.unparse(annotation))))


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
