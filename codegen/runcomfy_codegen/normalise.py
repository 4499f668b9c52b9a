"""What a published schema means, decided here and nowhere else: RunComfy's dialect in, plain JSON Schema out.

Only the keywords named below go on, so nothing that a schema says can reach datamodel-code-generator unseen. The table
in ``codegen/README.md`` lists every row of the dialect.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic_core import SchemaError as CoreSchemaError
from pydantic_core import SchemaValidator, core_schema

from .docs import field_doc
from .errors import SchemaError, pointer
from .load import GENERIC_OUTPUT_SCHEMA, ModelSchema

MAX_DEPTH = 20
Check = Callable[[object, tuple[str | int, ...]], Any]
"""Gives a keyword's value back, or raises a `SchemaError` with its place."""

_TYPES = {
    "string": "string",
    "str": "string",
    "integer": "integer",
    "int": "integer",
    "number": "number",
    "float": "number",
    "double": "number",
    "boolean": "boolean",
    "bool": "boolean",
    "array": "array",
    "list": "array",
    "object": "object",
    "dict": "object",
    "null": "null",
}
_MEDIA_LISTS = ("image_uris", "video_uris", "audio_uris")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_UNSUPPORTED = ("$ref", "anyOf", "oneOf", "allOf", "not", "if", "const", "patternProperties")


@dataclass(frozen=True)
class Model:
    """One model in plain JSON Schema. Every ``description`` is the finished docstring of its field."""

    model_id: str
    source: str
    title: str
    description: str
    price: str
    input: dict[str, Any]
    output: dict[str, Any]
    entry: dict[str, Any]


def normalise(schema: ModelSchema) -> Model:
    """Give one schema its plain meaning, or raise a `SchemaError` that says where it has none."""
    entry = schema.entry
    wrapped = entry.get("output_schema") or GENERIC_OUTPUT_SCHEMA
    # The API's pages print the output schema below one key "output".
    unwrapped = wrapped["output"] if list(wrapped) == ["output"] else wrapped
    at_output = ("output_schema", "output") if unwrapped is not wrapped else ("output_schema",)
    return Model(
        model_id=schema.model_id,
        source=schema.source,
        title=_text(entry.get("display_name")),
        description=_text(entry.get("description")),
        price=_price(entry),
        input=_Reader(schema.source, is_input=True).root(entry["input_schema"], ("input_schema",)),
        output=_Reader(schema.source, is_input=False).root(unwrapped, at_output),
        entry={"model_id": schema.model_id, **entry},
    )


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _price(entry: dict[str, Any]) -> str:
    price = entry.get("base_price_usd")
    if not isinstance(price, int | float) or isinstance(price, bool):
        return ""
    unit = _text(entry.get("price_unit")) or "request"
    return f"{price} USD per {unit}, as published when this module was generated."


@dataclass(frozen=True)
class _Reader:
    source: str
    is_input: bool

    def root(self, schema: object, at: tuple[str | int, ...]) -> dict[str, Any]:
        if not isinstance(schema, dict):
            self.fail(at, "is not an object")
        # The title of the whole is decoration: "Input", or the key of a translation.
        plain = self.read({"type": "object", **schema, "title": ""}, at)
        if plain.get("type") != "object":
            self.fail((*at, "type"), f"is {schema.get('type')!r}; only an object can be the whole of it")
        return {"properties": {}, **plain}

    def read(self, schema: object, at: tuple[str | int, ...], name: str = "") -> dict[str, Any]:
        if not isinstance(schema, dict):
            self.fail(at, "is not an object")
        if len(at) > 2 * MAX_DEPTH:
            self.fail(at, f"is nested more than {MAX_DEPTH} deep")
        for keyword in _UNSUPPORTED:
            if keyword in schema:
                self.fail((*at, keyword), "is not supported")
        doc = field_doc(schema, name)
        types = self.types(schema, at)
        plain: dict[str, Any] = {
            **({"description": doc} if doc else {}),
            **({"type": types[0] if len(types) == 1 else types} if types else {}),
            **self.limits(schema, types, at),
        }
        if "array" in types:
            plain["items"] = self.items(schema, at)
        if "object" in types and schema.get("properties"):
            plain |= self.members(schema, at)
        return plain if self.is_input else _open(plain)

    def limits(self, schema: dict[str, Any], types: list[str], at: tuple[str | int, ...]) -> dict[str, Any]:
        checks = {keyword: check for kind in types for keyword, check in self.checks(kind).items()}
        if "enum" in schema:
            if set(types) & {"array", "object"}:
                self.fail((*at, "enum"), "is not supported for lists and objects")
            checks["enum"] = self.enum
        return {
            keyword: check(schema[keyword], (*at, keyword)) for keyword, check in checks.items() if keyword in schema
        }

    def checks(self, kind: str) -> dict[str, Check]:
        """What limits a value of one type; other keywords say nothing about it."""
        numbers: dict[str, Check] = {**dict.fromkeys(_NUMBERS, self.number), "multipleOf": self.divisor}
        by_kind: dict[str, dict[str, Check]] = {
            "integer": numbers,
            "number": numbers,
            "string": {"minLength": self.count, "maxLength": self.count, "pattern": self.pattern},
            "array": {"minItems": self.count, "maxItems": self.count},
        }
        return by_kind.get(kind, {})

    def types(self, schema: dict[str, Any], at: tuple[str | int, ...]) -> list[str]:
        declared = schema.get("type")
        if declared is None:
            implied = {"properties": "object", "items": "array"}
            return [kind for keyword, kind in implied.items() if keyword in schema][:1]
        found = []
        for name in declared if isinstance(declared, list) else [declared]:
            kind = _TYPES.get(name.lower()) if isinstance(name, str) else None
            if kind is None:
                self.fail((*at, "type"), f"is {name!r}; known are {', '.join(_TYPES)}")
            if kind not in found:
                found.append(kind)
        if len([kind for kind in found if kind != "null"]) > 1:
            self.fail((*at, "type"), f"is {declared!r}; more than one type beside null is not supported")
        return found

    def enum(self, values: object, at: tuple[str | int, ...]) -> list[Any]:
        if not isinstance(values, list) or not values:
            self.fail(at, "is not a list of values")
        kept: list[Any] = []
        for index, value in enumerate(values):
            if not isinstance(value, str | int | None):
                self.fail((*at, index), f"is {value!r}; an enum value is a string, an integer, a boolean or null")
            self.sendable(value, (*at, index))
            if not any(value == other and type(value) is type(other) for other in kept):
                kept.append(value)
        return kept

    def pattern(self, value: object, at: tuple[str | int, ...]) -> str:
        if not isinstance(value, str):
            self.fail(at, "is not a string")
        try:  # the engine that will check inputs against it; look-arounds are beyond it
            SchemaValidator(core_schema.str_schema(pattern=value))
        except CoreSchemaError as error:
            self.fail(at, f"is no regular expression that can be checked: {' '.join(str(error).split())}")
        return value

    def number(self, value: object, at: tuple[str | int, ...]) -> int | float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            self.fail(at, f"is {value!r}, not a number")
        return value

    def divisor(self, value: object, at: tuple[str | int, ...]) -> int | float:
        number = self.number(value, at)
        if number <= 0:
            self.fail(at, f"is {value!r}, not above zero")
        return number

    def count(self, value: object, at: tuple[str | int, ...]) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.fail(at, f"is {value!r}, not a count")
        return value

    def items(self, schema: dict[str, Any], at: tuple[str | int, ...]) -> dict[str, Any]:
        if "items" in schema:
            return self.read(schema["items"], (*at, "items"))
        # Catalog schemas may leave out the items of a list of media; its format still says what they are.
        return {"type": "string"} if schema.get("format") in _MEDIA_LISTS else {}

    def members(self, schema: dict[str, Any], at: tuple[str | int, ...]) -> dict[str, Any]:
        properties = schema["properties"]
        if not isinstance(properties, dict):
            self.fail((*at, "properties"), "is not an object")
        required = schema.get("required", [])
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            self.fail((*at, "required"), "is not a list of names")
        for name in properties:
            self.sendable(name, (*at, "properties", name))
        return {
            "properties": {
                name: self.read(member, (*at, "properties", name), name) for name, member in properties.items()
            },
            # A catalog schema may require a name that is no property: nobody could ever send it.
            "required": [name for name in properties if name in required and self.is_input],
        }

    def sendable(self, value: object, at: tuple[str | int, ...]) -> None:
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            self.fail(at, f"{value!r} holds half a surrogate pair, which cannot be sent")

    def fail(self, at: tuple[str | int, ...], reason: str) -> NoReturn:
        raise SchemaError(self.source, pointer(*at), reason)


def _open(plain: dict[str, Any]) -> dict[str, Any]:
    """An output keeps values that its schema does not name and does not enforce limits: it has been paid for."""
    return {key: value for key, value in plain.items() if key in ("description", "type", "items", "properties")}
