"""What the plain schemas of fields are in Python. The types are datamodel-code-generator's; only this module knows it.

The type of a field depends on its own schema alone, and the same fields are in most models. So every schema is handed
on once, however many fields have it, and many of them in one call.
"""

import ast
import json
from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple

from .annotations import Exact, Inlined, OfMedia, annotated, text_of
from .literals import literal
from .placeholders import Values, with_values, without_values
from .plain import WORDS, Plain, changed

_BATCH = 200
"""Fields in one call: each call has its price, and in a long one each field costs more."""
_MOST_KNOWN = 50_000
"""Types that are remembered, so that a process that goes on does not grow for ever."""
_KEPT_BACK = {*WORDS, "media", "values", "patterns", "uniqueItems"}
"""The texts, and the keywords that datamodel-code-generator does not know."""


class FieldType(NamedTuple):
    """The type of one field."""

    text: str
    """An annotation in which ``R0`` is the first of the classes, ``R1`` the second."""
    classes: tuple[str, ...]


class Sought(NamedTuple):
    """A field whose type is asked for."""

    schema: Plain
    """As that of a `Member`: it refers to classes as ``{"$ref": "#/$defs/<name>"}``."""
    required: bool
    is_input: bool


known: dict[str, str] = {}
"""The texts of the types that were made, by what is handed on of their fields."""


def field_types(fields: Iterable[Sought]) -> list[FieldType]:
    """The types of some fields, the more at once the better."""
    essences = [_essence(field) for field in fields]
    if len(known) > _MOST_KNOWN:
        known.clear()
    unknown = [key for key in dict.fromkeys(essence.key for essence in essences) if key not in known]
    for is_input in (True, False):
        kin = [key for key in unknown if json.loads(key)["is_input"] is is_input]
        for start in range(0, len(kin), _BATCH):
            _learn(kin[start : start + _BATCH], is_input=is_input)
    return [FieldType(with_values(known[essence.key], essence.values), essence.classes) for essence in essences]


class _Essence(NamedTuple):
    """What decides the type of a field."""

    key: str
    """As JSON, in which classes are only numbered, and values only have their places."""
    values: Values
    classes: tuple[str, ...]


def _essence(field: Sought) -> _Essence:
    numbers: dict[str, int] = {}

    def stripped(part: Plain) -> Plain:
        if "$ref" in part:
            return {"$ref": f"#/$defs/R{numbers.setdefault(part['$ref'].rpartition('/')[2], len(numbers))}"}
        return {key: value for key, value in part.items() if key not in WORDS}

    schema, values = without_values(changed(field.schema, stripped))
    key = json.dumps({"is_input": field.is_input, "required": field.required, "schema": schema})
    return _Essence(key, values, tuple(numbers))


def _learn(keys: list[str], *, is_input: bool) -> None:
    """Have the types made of some fields; what fails does so by itself, as if it had been alone."""
    try:
        made = _annotations([json.loads(key) for key in keys], is_input=is_input)
    except Exception:
        if len(keys) == 1:
            raise
        for key in keys:
            _learn([key], is_input=is_input)
    else:
        known.update(zip(keys, made, strict=True))


def _annotations(fields: list[dict[str, Plain]], *, is_input: bool) -> list[str]:
    document = _Document(is_input=is_input)
    for field in fields:
        document.add(field["schema"], is_required=bool(field["required"]))
    module = ast.parse(_generated(json.dumps({"$defs": document.definitions}), is_input=is_input))
    types: dict[str, ast.expr] = {}
    for name, type_ in _named_types(module, document.definitions.keys() - document.checks.keys()):
        types[name] = Inlined(types).visit(type_)
        if check := document.checks.get(name):
            is_media = check.startswith("_runtime.Media(")
            types[name] = annotated(OfMedia().visit(types[name]) if is_media else types[name], check)
    inlined = Inlined(types)
    exact = Exact() if is_input else ast.NodeTransformer()
    found = {
        item.target.id: item.annotation
        for statement in module.body
        if isinstance(statement, ast.ClassDef) and statement.name == "C"
        for item in statement.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }
    return [text_of(exact.visit(inlined.visit(found[f"f{number}"]))) for number in range(len(fields))]


class _Document:
    """What datamodel-code-generator gets to see: no texts, numbers for names, and none of our own keywords.

    The fields are ``f0``, ``f1`` of one class ``C``; ``R0`` stands for a class that a field refers to. What has a check
    of ours, which it does not know, becomes a definition ``X0`` of its own, with the check in `checks`.
    """

    def __init__(self, *, is_input: bool) -> None:
        self._is_input = is_input
        self._members: dict[str, Plain] = {}
        self._required: list[str] = []
        owner = {"type": "object", "properties": self._members, "required": self._required}
        self.definitions: dict[str, Plain] = {"C": owner}
        self.checks: dict[str, str] = {}

    def add(self, schema: Plain, *, is_required: bool) -> None:
        name = f"f{len(self._members)}"
        self._members[name] = self._schema(schema)
        if is_required:
            self._required.append(name)

    def _schema(self, schema: Plain) -> Plain:
        if "$ref" in schema:
            some = {"type": "object", "properties": {"f0": {"type": "string"}}}
            self.definitions.setdefault(schema["$ref"].rpartition("/")[2], some)
            return schema
        known: Plain = {key: value for key, value in schema.items() if key not in _KEPT_BACK}
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
        name = f"X{len(self.checks)}"
        self.definitions[name], self.checks[name] = known, check
        return {"$ref": f"#/$defs/{name}"}


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


def _generated(document: str, *, is_input: bool) -> str:
    # Slow to load, and not needed for fields that are known.
    from datamodel_code_generator import GenerateConfig, InputFileType, LiteralType, generate
    from datamodel_code_generator.enums import DataModelType, StrictTypes
    from datamodel_code_generator.format import PythonVersion

    config = GenerateConfig(
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
    )
    text = generate(document, config=config)
    if not isinstance(text, str):
        raise TypeError(f"expected one module from datamodel-code-generator, got {type(text).__name__}")
    return text


def _named_types(module: ast.Module, objects: Set[str]) -> Iterator[tuple[str, ast.expr]]:
    """What is no object has a name of its own: as a class with its type as the only field, or as an alias of it."""
    for statement in module.body:  # the inner before the outer
        match statement:
            case ast.ClassDef(name=name, body=[ast.AnnAssign(annotation=type_), *_]) if name not in objects:
                yield name, type_
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(args=[_, type_])):
                yield name, type_
