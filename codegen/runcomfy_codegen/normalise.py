"""What a schema file means, decided here and nowhere else: RunComfy's dialect in, plain schemas out.

The table in ``codegen/README.md`` lists every row of the dialect. Only known keywords get through, so nothing that a
schema says can reach datamodel-code-generator unseen.
"""

from dataclasses import dataclass
from typing import Any

from .docs import shortened
from .errors import Place, Problem, Report, SchemaError
from .load import GENERIC_OUTPUT_SCHEMA, ModelSchema
from .plain import Plain, options, union
from .reader import Reader
from .references import resolve

_ENVELOPE = {"request_id", "status"}
"""What tells the schema of a whole result from that of an output."""
BARE_OUTPUT = "output"
"""The field of an output that is no object, but one string or list."""


@dataclass(frozen=True)
class Model:
    """One model in plain schemas."""

    model_id: str
    source: str
    title: str
    description: str
    price: str
    input: Plain
    """Always an object with ``properties`` and ``required``."""
    output: Plain
    """The same."""
    entry: dict[str, Any]
    findings: tuple[Problem, ...]
    """What is doubtful in the file, and what is done about it."""


def normalise(schema: ModelSchema) -> Model:
    """Give one schema its plain meaning, or raise a `SchemaError` with everything that has none."""
    entry = schema.entry
    report = Report(schema.source)
    problems: list[Problem] = []
    input_ = _root(entry, ("input_schema",), entry["input_schema"], report, problems, is_input=True)
    published, at = _output_schema(entry)
    output = _root(entry, at, published, report, problems, is_input=False)
    if problems:
        raise SchemaError(*problems)
    return Model(
        model_id=schema.model_id,
        source=schema.source,
        title=shortened(_text(entry.get("display_name"))),
        description=shortened(_text(entry.get("description"))),
        price=_price(entry),
        input=input_,
        output=output,
        entry={"model_id": schema.model_id, **entry},
        findings=tuple(report.findings),
    )


def _root(
    entry: dict[str, Any], at: Place, schema: object, report: Report, problems: list[Problem], *, is_input: bool
) -> Plain:
    reader = Reader(entry, at, is_input, report)
    try:
        plain = reader.root(_object(schema))
        objects = [option for option in options(plain) if _is_object(option)]
        others = [option for option in options(plain) if not _is_object(option) and option != {"type": "null"}]
        if is_input:
            return _input(plain, objects, others, at, report)
        if others:  # no object, but one string or list: it gets a field
            objects.append({"properties": {BARE_OUTPUT: union(others)}, "required": []})
        return {**plain, **_one(objects)}
    except SchemaError as error:
        problems.extend(error.problems)
        return {}
    finally:
        problems.extend(reader.problems)


def _input(plain: Plain, objects: list[Plain], others: list[Plain], at: Place, report: Report) -> Plain:
    if others or not objects:
        kind = (others or [{"type": "null"}])[0].get("type", "any value")
        report.fail((*at, "type"), f"is {kind!r}; only an object can be the whole of an input")
    if len(objects) > 1:
        report.note(at, "has alternatives; their fields can be set together, and which go together is left to the API")
    one = _one(objects)
    if not one["properties"]:
        report.note(at, "has no properties; nothing can be set")
    return {key: value for key, value in {**plain, **one}.items() if key not in ("anyOf", "additionalProperties")}


def _object(schema: object) -> object:
    """The title of a root is decoration: "Input", or the key of a translation. Its type may be missing."""
    if not isinstance(schema, dict):
        return schema
    typed = (
        {"type": "object"} if not {"type", "anyOf", "oneOf", "allOf", "$ref", "enum", "const"} & schema.keys() else {}
    )
    return {**typed, **schema, "title": ""}


def _is_object(plain: Plain) -> bool:
    return plain.get("type") == "object"


def _one(objects: list[Plain]) -> Plain:
    """Alternatives of objects as one with all their fields; required is what all of them require."""
    names = dict.fromkeys(name for option in objects for name in option.get("properties", {}))
    members = {
        name: union([option["properties"][name] for option in objects if name in option.get("properties", {})])
        for name in names
    }
    required = [name for name in names if all(name in option.get("required", ()) for option in objects)]
    return {"type": "object", "properties": members, "required": required}


def _output_schema(entry: dict[str, Any]) -> tuple[object, Place]:
    """The schema of what a result has below ``output``.

    The API's pages print it below one key ``output``; it may as well stand alone, or inside the schema of a result.
    """
    published = entry.get("output_schema") or GENERIC_OUTPUT_SCHEMA
    if "output" in published and not {"type", "properties", "$ref"} & published.keys():
        return published["output"], ("output_schema", "output")
    whole, at = _pointed(entry, published, ("output_schema",))
    members = whole.get("properties") if isinstance(whole, dict) else None
    if isinstance(members, dict) and "output" in members:
        inner, _ = _pointed(entry, members["output"], at)
        alone = members.keys() == {"output"} and isinstance(inner, dict) and "properties" in inner
        if alone or members.keys() & _ENVELOPE:
            return members["output"], (*at, "properties", "output")
    return published, ("output_schema",)


def _pointed(entry: dict[str, Any], schema: object, at: Place) -> tuple[object, Place]:
    """What a reference refers to; anything else, and a reference to nowhere, is itself."""
    for _ in range(10):
        if not isinstance(schema, dict) or "$ref" not in schema:
            break
        try:
            schema, at = resolve(schema["$ref"], entry, at, at, Report(""))
        except SchemaError:  # the reader will tell
            break
    return schema, at


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _price(entry: dict[str, Any]) -> str:
    price = entry.get("base_price_usd")
    if not isinstance(price, int | float) or isinstance(price, bool):
        return ""
    unit = _text(entry.get("price_unit")) or "request"
    return f"{price} USD per {unit}, as published when this module was generated."
