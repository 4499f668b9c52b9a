"""Shapes in, typed fields out. The types are datamodel-code-generator's; this is the only module that knows it."""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from datamodel_code_generator import GenerateConfig, InputFileType, LiteralType, generate
from datamodel_code_generator.enums import DataModelType, StrictTypes
from datamodel_code_generator.format import PythonVersion

from .annotations import Exact, Inlined, OfMedia, annotated, expression, shown, text_of, with_alias
from .literals import literal
from .naming import Module, Shape
from .plain import WORDS, Plain

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
    names = Inlined({number: ast.Name(name) for name, number in numbers.items()})
    handed_on = _HandedOn(numbers, is_input=is_input)
    definitions = {numbers[shape.name]: handed_on.definition(shape) for shape in shapes}
    checks = tuple(handed_on.checks.items())
    texts = _annotations(json.dumps({"$defs": definitions | handed_on.checked}), checks, is_input)
    made = []
    for shape in shapes:
        fields = []
        for member, text in zip(shape.members, texts[numbers[shape.name]], strict=True):
            annotation = names.visit(expression(text))
            fields.append(
                Field(
                    name=member.name,
                    annotation=with_alias(annotation, member.wire if member.wire != member.name else None),
                    type=shown(annotation),
                    required=member.required and is_input,
                    doc=member.doc,
                )
            )
        made.append(Class(shape.name, shape.doc, tuple(fields), shape.open))
    return tuple(made)


class _HandedOn:
    """What datamodel-code-generator gets to see: no texts, numbers for names, and none of our own keywords.

    What has a check of ours, which it does not know, becomes a definition in `checked`, with the check in `checks`.
    """

    def __init__(self, numbers: dict[str, str], *, is_input: bool) -> None:
        self._numbers = numbers
        self._is_input = is_input
        self.checked: dict[str, Plain] = {}
        self.checks: dict[str, str] = {}

    def definition(self, shape: Shape) -> Plain:
        return {
            "type": "object",
            "properties": {f"f{index}": self._schema(member.schema) for index, member in enumerate(shape.members)},
            "required": [f"f{index}" for index, member in enumerate(shape.members) if member.required],
        }

    def _schema(self, schema: Plain) -> Plain:
        if "$ref" in schema:
            return {"$ref": f"#/$defs/{self._numbers[schema['$ref'].rpartition('/')[2]]}"}
        known = {key: value for key, value in schema.items() if key not in _OURS}
        for key in known.keys() & {"items", "additionalProperties"}:
            known[key] = self._schema(known[key])
        if "anyOf" in known:
            known["anyOf"] = [self._schema(option) for option in known["anyOf"]]
        if known.get("type") == "null":
            return {"enum": [None]}  # the type alone would come with a needless Field
        check = _check(schema) if self._is_input else None
        if check is None:
            return known
        if known.get("type") == "number":
            known.pop("multipleOf", None)
        name = f"X{len(self.checked)}"
        self.checked[name], self.checks[name] = known, check
        return {"$ref": f"#/$defs/{name}"}


_OURS = {*WORDS, "media", "values", "patterns", "uniqueItems"}


def _check(schema: Plain) -> str | None:
    """The runtime's part of a type, as expressions."""
    found = []
    if "media" in schema:
        kind, rules = schema["media"]["kind"], schema["media"]["rules"]
        made = "".join(
            f"_runtime.MediaRule({', '.join(literal(part) for part in rule if part != '')}), " for rule in rules
        )
        found.append(f"_runtime.Media({literal(kind)}{f', ({made})' if made else ''})")
    if schema.get("type") == "number" and "multipleOf" in schema:
        found.append(f"_runtime.multiple_of({literal(schema['multipleOf'])})")  # 0.3 of 0.1, though not in binary
    if "patterns" in schema:
        found.append(f"_runtime.matching({', '.join(map(literal, schema['patterns']))})")
    if "values" in schema:
        found.append(f"_runtime.one_of({', '.join(map(literal, schema['values']))})")
    if "uniqueItems" in schema:
        found.append("_runtime.unique")
    if schema.get("type") == "array" and not {"type", "enum", "anyOf", "$ref"} & schema["items"].keys():
        found.append("_runtime.no_text")  # pydantic takes a string for a sequence of anything
    return ", ".join(found) or None


@lru_cache(maxsize=256)
def _annotations(definitions: str, checks: tuple[tuple[str, str], ...], is_input: bool) -> dict[str, list[str]]:
    """The annotations of all fields by class. Most models share one output schema, hence the cache."""
    numbers = [name for name in json.loads(definitions)["$defs"] if name.startswith("C")]
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
    module = ast.parse(text)
    found = {
        statement.name: [item.annotation for item in statement.body if isinstance(item, ast.AnnAssign)]
        for statement in module.body
        if isinstance(statement, ast.ClassDef)
    }
    types: dict[str, ast.expr] = {}
    for name, type_ in _named_types(module, numbers):
        types[name] = Inlined(types).visit(type_)
        if check := dict(checks).get(name):
            is_media = check.startswith("_runtime.Media(")
            types[name] = annotated(OfMedia().visit(types[name]) if is_media else types[name], check)
    inlined = Inlined(types)
    exact = Exact() if is_input else ast.NodeTransformer()
    return {name: [text_of(exact.visit(inlined.visit(annotation))) for annotation in found[name]] for name in numbers}


def _named_types(module: ast.Module, numbers: list[str]) -> Iterator[tuple[str, ast.expr]]:
    """What is no object has a name of its own: as a class with its type as the only field, or as an alias of it."""
    for statement in module.body:  # the inner before the outer
        match statement:
            case ast.ClassDef(name=name, body=[ast.AnnAssign(annotation=type_), *_]) if name not in numbers:
                yield name, type_
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(args=[_, type_])):
                yield name, type_
