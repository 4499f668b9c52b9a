"""What a schema file means, decided here and nowhere else: RunComfy's dialect in, plain schemas out.

The table in ``codegen/README.md`` lists every row of the dialect. Only known keywords get through, so nothing that a
schema says can reach datamodel-code-generator unseen.
"""

from dataclasses import dataclass
from typing import Any

from .docs import one_line, shortened
from .errors import Place, Problem, Report, SchemaError
from .load import ModelSchema
from .plain import NULL, Plain, opened, options, union, words_of
from .reader import Reader
from .references import resolve

GENERIC_OUTPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "image": {"type": "string", "format": "uri", "description": "single image URL"},
        "video": {"type": "string", "format": "uri", "description": "single video URL"},
        "images": {
            "type": "array",
            "description": "multiple image URLs",
            "items": {"type": "string", "format": "uri"},
        },
        "videos": {
            "type": "array",
            "description": "multiple video URLs",
            "items": {"type": "string", "format": "uri"},
        },
        "audio": {"type": "string", "format": "uri", "description": "single audio URL"},
        "audios": {
            "type": "array",
            "description": "multiple audio URLs",
            "items": {"type": "string", "format": "uri"},
        },
    },
}
"""What the API's pages print for every model, and the audio keys that RunComfy's own clients read as well."""

_ENVELOPE = {"request_id", "status"}
"""What tells the schema of a whole result from that of an output."""
_BARE_OUTPUT = "output"
"""The field of an output that is no object, but one string or list."""


@dataclass(frozen=True)
class Model:
    """One model in plain schemas."""

    model_id: str
    source: str
    title: str
    description: str
    price: str
    """``"0.04 USD per output"``; empty where it is not known."""
    input: Plain
    """An object with ``properties`` and ``required``."""
    output: Plain
    """The same, for reading a result: nothing in it narrows what has been paid for."""
    promise: Plain
    """The same, as it is declared: with the enums and limits that the API promises to keep."""
    entry: dict[str, Any]
    findings: tuple[Problem, ...]
    """What is doubtful in the file, and what is done about it."""


def normalise(schema: ModelSchema) -> Model:
    """Give one schema its plain meaning, or raise a `SchemaError` with everything that has none."""
    entry = schema.entry
    report = Report(schema.source)
    input_: Plain = {}
    promise: Plain = {}
    with report.gathering():
        input_ = _input(entry, report)
    with report.gathering():
        promise = _promise(entry, report)
    if report.problems:
        raise SchemaError(*report.problems)
    return Model(
        model_id=schema.model_id,
        source=schema.source,
        title=shortened(one_line(entry.get("display_name"))),
        description=shortened(one_line(entry.get("description"))),
        price=price_of(entry),
        input=input_,
        output=_output(opened(promise)),
        promise=_output(promise),
        entry={"model_id": schema.model_id, **entry},
        findings=tuple(report.findings),
    )


def _input(entry: dict[str, Any], report: Report) -> Plain:
    at = ("input_schema",)
    plain = Reader(entry, at, is_input=True, report=report).root(_typed(entry["input_schema"]))
    objects = [option for option in options(plain) if option.get("type") == "object"]
    others = [option for option in options(plain) if option not in objects]
    if others:
        report.fail(at, f"is {others[0].get('type', 'any value')!r}; only an object can be the whole of an input")
    if len(objects) > 1:
        report.note(at, "has alternatives; their properties can be set together, which go together is not checked")
    merged = _merged(plain, objects)
    if not merged["properties"]:
        report.note(at, "has no properties; nothing can be set")
    return merged


def _promise(entry: dict[str, Any], report: Report) -> Plain:
    schema, at = _output_schema(entry)
    return Reader(entry, at, is_input=False, report=report).root(_typed(schema))


def _output(plain: Plain) -> Plain:
    objects = [option for option in options(plain) if option.get("type") == "object"]
    others = [option for option in options(plain) if option not in objects and option != NULL]
    if others:  # no object, but one string or list: it gets a field
        objects.append({"properties": {_BARE_OUTPUT: union(others)}, "required": []})
    return _merged(plain, objects)


def _typed(schema: object) -> object:
    """The title of a root is decoration: "Input", or the key of a translation. Its type may be missing."""
    if not isinstance(schema, dict):
        return schema
    tells = {"type", "anyOf", "oneOf", "allOf", "$ref", "enum", "const"} & schema.keys()
    return {**({} if tells else {"type": "object"}), **schema, "title": ""}


def _merged(plain: Plain, objects: list[Plain]) -> Plain:
    """Alternatives of objects as one with all their properties; required is what all of them require."""
    names = dict.fromkeys(name for option in objects for name in option.get("properties", {}))
    members = {
        name: union([option["properties"][name] for option in objects if name in option.get("properties", {})])
        for name in names
    }
    required = [name for name in names if all(name in option.get("required", ()) for option in objects)]
    return {**words_of(plain), "type": "object", "properties": members, "required": required}


def _output_schema(entry: dict[str, Any]) -> tuple[object, Place]:
    """The schema of what a result has below ``output``.

    The API's pages print it below one key ``output``; it may as well stand alone, or inside the schema of a result.
    """
    published = entry.get("output_schema") or GENERIC_OUTPUT_SCHEMA
    at: Place = ("output_schema",)
    if "output" in published and not {"type", "properties", "$ref"} & published.keys():
        return published["output"], (*at, "output")
    result, place = _pointed(entry, published, at)
    members = result.get("properties") if isinstance(result, dict) else None
    if isinstance(members, dict) and "output" in members:
        inner, _ = _pointed(entry, members["output"], place)
        alone = members.keys() == {"output"} and isinstance(inner, dict) and "properties" in inner
        if alone or members.keys() & _ENVELOPE:
            return members["output"], (*place, "properties", "output")
    return published, at


def _pointed(entry: dict[str, Any], schema: object, at: Place) -> tuple[object, Place]:
    """What a reference refers to; anything else, and a reference to nowhere, is itself."""
    for _ in range(10):
        found = resolve(schema["$ref"], entry, at) if isinstance(schema, dict) and "$ref" in schema else None
        if found is None:
            break
        schema, at = found
    return schema, at


def price_of(entry: dict[str, Any]) -> str:
    """``"0.04 USD per output"``; empty where none is published."""
    price = entry.get("base_price_usd")
    if not isinstance(price, int | float) or isinstance(price, bool):
        return ""
    unit = one_line(entry.get("price_unit")) or "request"
    return f"{price} USD per {unit}"
