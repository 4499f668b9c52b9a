"""The models that the sandbox knows: catalog entries read from schema files."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators
from pydantic import ValidationError as PydanticError
from pydantic_core import SchemaError, SchemaValidator, core_schema
from referencing import Registry
from referencing.exceptions import Unresolvable


def _multiple_of(validator: Any, divisor: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """As JSON writes the numbers: 0.3 is a multiple of 0.05, though not in binary."""
    if not validator.is_type(value, "number"):
        return
    try:
        rest = Decimal(str(value)) % Decimal(str(divisor))
    except InvalidOperation:  # too large to tell
        rest = Decimal(not isfinite(value))
    if rest:
        yield ValidationError(f"{value!r} is not a multiple of {divisor!r}")


def _pattern(validator: Any, pattern: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """In linear time; a pattern that a linear engine does not know is not checked."""
    try:
        engine = SchemaValidator(core_schema.str_schema(pattern=pattern))
    except (SchemaError, UnicodeEncodeError):
        return
    try:
        if validator.is_type(value, "string"):
            engine.validate_python(value)
    except PydanticError:
        yield ValidationError(f"{value!r} does not match {pattern!r}")


_Validator: Any = validators.extend(  # type: ignore[no-untyped-call]  # untyped in the stubs
    Draft202012Validator, {"multipleOf": _multiple_of, "pattern": _pattern}
)
_ALIASES = {
    "float": "number",
    "double": "number",
    "int": "integer",
    "bool": "boolean",
    "str": "string",
    "list": "array",
    "dict": "object",
}
_TYPES = {"string", "integer", "number", "boolean", "array", "object", "null"}
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_GENERIC_OUTPUT = {
    "type": "object",
    "properties": {
        **{kind: {"type": "string"} for kind in ("image", "video", "audio")},
        **{kind: {"type": "array", "items": {"type": "string"}} for kind in ("images", "videos", "audios")},
    },
}
"""What the API's pages print for every model, and the audio keys that RunComfy's own clients read as well."""


@dataclass(frozen=True)
class Model:
    """One catalog entry, as ``GET /v1/models/{model_id}`` answers it."""

    entry: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.entry["model_id"])

    @property
    def price(self) -> float:
        """US dollars for one unit; 0 where none is published."""
        price: Any = self.entry.get("base_price_usd")
        return max(0.0, float(price)) if _is_number(price) else 0.0

    @property
    def categories(self) -> list[str]:
        names = self.entry.get("categories")
        return [str(name) for name in names] if isinstance(names, list) else []

    @property
    def kind(self) -> str:
        """What the model makes: ``"image"``, ``"video"`` or ``"audio"``."""
        for name in (*self.categories, *reversed(self.id.split("/"))):
            for kind in ("image", "video", "audio"):
                if str(name).endswith(f"to-{kind}") or str(name) == f"edit-{kind}":
                    return kind
        told = self.output_members.keys()
        return next((kind for kind in ("image", "video", "audio") if {kind, f"{kind}s"} & told), "image")

    @cached_property
    def _validator(self) -> Draft202012Validator:
        elsewhere = {key: _anywhere(part) for key, part in self.entry.items() if isinstance(part, dict)}
        schema = {**elsewhere, **standard({"type": "object", **self.entry["input_schema"]})}
        # An empty registry: a reference to anywhere else is not followed.
        validator: Draft202012Validator = _Validator(schema, registry=Registry())
        return validator

    def problems(self, arguments: Any) -> list[ValidationError]:
        """What is wrong with a body; where the schema refers to nowhere or to itself, only whether it is an object."""
        try:
            return list(self._validator.iter_errors(arguments))
        except (Unresolvable, RecursionError):
            return list(_Validator({"type": "object"}).iter_errors(arguments))

    @property
    def output_schema(self) -> Any:
        """The schema of what a result has below ``output``."""
        schema = self.entry.get("output_schema") or _GENERIC_OUTPUT
        if not isinstance(schema, dict):
            return schema
        if "output" in schema and not {"type", "properties", "$ref"} & schema.keys():
            return self.resolved(schema["output"])
        schema = self.resolved(schema)
        members = schema.get("properties") if isinstance(schema, dict) else None
        if isinstance(members, dict) and "output" in members:
            inner = self.resolved(members["output"])
            alone = len(members) == 1 and isinstance(inner, dict) and "properties" in inner
            if alone or {"request_id", "status"} & members.keys():
                return inner
        return schema

    @property
    def output_members(self) -> dict[str, Any]:
        """The schemas of what an output has, by key."""
        schema = self.output_schema
        members = schema.get("properties") if isinstance(schema, dict) else None
        return members if isinstance(members, dict) else {}

    def resolved(self, schema: Any) -> Any:
        """A schema of the output, with its reference followed and the first of its alternatives taken."""
        for _ in range(10):
            if not isinstance(schema, dict):
                break
            if branches := next((schema[key] for key in ("anyOf", "oneOf", "allOf") if key in schema), None):
                schema = branches[0] if isinstance(branches, list) else {}
            elif isinstance(schema.get("$ref"), str):
                schema = self._followed(schema["$ref"])
            else:
                break
        return schema

    def _followed(self, reference: str) -> Any:
        published = self.entry.get("output_schema")
        inner = published.get("output") if isinstance(published, dict) else None
        for target in (inner, published, self.entry):
            for step in reference.removeprefix("#").strip("/").split("/"):
                target = target.get(step) if isinstance(target, dict) else None
            if target is not None:
                return target
        return {}

    def with_defaults(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments as the model gets them: what the caller left out is filled from the schema."""
        properties = self.entry["input_schema"].get("properties") or {}
        defaults = {
            name: schema["default"]
            for name, schema in properties.items()
            if isinstance(schema, dict) and schema.get("default") is not None
        }
        return {**defaults, **arguments}


def read(folder: Path) -> dict[str, Model]:
    """All schema files below a folder, by model id; a file without ``model_id`` has its path as id.

    Raises:
        ValueError: there is no such folder, or a file in it is no schema file.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    models = {}
    for path in sorted(folder.rglob("*.json")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue  # an editor's or a tool's own file
        try:
            entry = json.loads(path.read_bytes().decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: not JSON: {error}") from None
        if not isinstance(entry, dict) or not isinstance(entry.get("input_schema"), dict):
            raise ValueError(f"{path}: no schema file: it has no input_schema")
        entry.pop("$comment", None)
        entry.setdefault("model_id", path.relative_to(folder).as_posix().removesuffix(".json"))
        models[entry["model_id"]] = Model(entry)
    return models


def standard(schema: Any) -> Any:
    """A schema of RunComfy's dialect as standard JSON Schema, as far as checking a body needs it.

    What has no meaning as it stands checks nothing.
    """
    if not isinstance(schema, dict):
        return schema is not False
    plain = {key: check(schema[key]) for key, check in _CHECKS.items() if key in schema}
    if "prefixItems" in schema:
        plain.pop("items", None)  # what comes after the positions is not checked
    plain |= {key: schema[key] for key in _BOUNDS if _is_number(schema.get(key))}
    plain |= {key: int(schema[key]) for key in _COUNTS if _is_number(schema.get(key)) and schema[key] >= 0}
    for bound in ("Minimum", "Maximum"):  # until draft 4, a flag beside the bound
        if schema.get(f"exclusive{bound}") is True and bound.lower() in plain:
            plain[f"exclusive{bound}"] = plain.pop(bound.lower())
    if _is_number(schema.get("multipleOf")) and schema["multipleOf"] > 0:
        plain["multipleOf"] = schema["multipleOf"]
    kinds = types(schema)
    if "array" in kinds and "enum" in plain and not any(isinstance(value, list) for value in plain["enum"]):
        choice = {"enum": plain.pop("enum")}  # among the items, and for the other types among the values
        items = {"type": "array", "items": choice}
        plain["allOf"] = [*plain.get("allOf", ()), {"anyOf": [items, choice]} if kinds != ["array"] else items]
    elif "enum" in plain or "const" in plain:
        kinds = []  # the values decide
    if kinds and set(kinds) <= _TYPES:
        plain["type"] = kinds
    members = schema.get("properties")
    members = members if isinstance(members, dict) else {}
    required = schema.get("required")
    names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    names += [name for name, part in members.items() if isinstance(part, dict) and part.get("required") is True]
    # Some schemas require a name that is no property; nobody could ever send it.
    plain["required"] = [name for name in dict.fromkeys(names) if name in members]
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain


def types(schema: Any) -> list[str]:
    """The declared types by their standard names."""
    declared = schema.get("type") if isinstance(schema, dict) else None
    names = declared if isinstance(declared, list) and declared else [declared]
    return [_ALIASES.get(str(name).lower(), str(name).lower()) for name in names]


def _anywhere(part: Any) -> Any:
    """What stands beside the schema in its file, in case that a reference leads there."""
    if not isinstance(part, dict):
        return part
    if any(key in part for key in ("type", "properties", "enum", "$ref", "anyOf", "allOf", "oneOf")):
        return standard(part)
    return {key: _anywhere(inner) for key, inner in part.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**300


def _each(schemas: Any) -> Any:
    return [standard(part) for part in schemas] if isinstance(schemas, list) and schemas else [True]


def _named(schemas: Any) -> Any:
    return {name: standard(part) for name, part in schemas.items()} if isinstance(schemas, dict) else {}


_CHECKS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("properties", "$defs", "definitions"), _named),
    **dict.fromkeys(("anyOf", "oneOf", "allOf"), _each),
    "additionalProperties": standard,
    "items": lambda schema: standard(schema) if not isinstance(schema, list) else True,
    "enum": lambda values: values if isinstance(values, list) else [values],
    "const": lambda value: value,
    "pattern": lambda pattern: pattern if isinstance(pattern, str) else "",
    "uniqueItems": lambda flag: flag is True,
    "$ref": lambda reference: reference if isinstance(reference, str) and reference.startswith("#") else "#/$defs/none",
}
