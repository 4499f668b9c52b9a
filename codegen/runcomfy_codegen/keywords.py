"""The keywords of a published schema: which are read, which only narrow, and which type each speaks of."""

from typing import Any

from . import media
from .errors import Place, Report
from .limits import IMPLIED, of_type

_TYPES = {
    **dict.fromkeys(("string", "str"), "string"),
    **dict.fromkeys(("integer", "int"), "integer"),
    **dict.fromkeys(("number", "float", "double"), "number"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("array", "list"), "array"),
    **dict.fromkeys(("object", "dict"), "object"),
    "null": "null",
}
COMBINATIONS = ("$ref", "allOf", "anyOf", "oneOf")
_MEDIA = {"format", "validations", "title"}
_SPEAK_OF = {
    "string": of_type("string") | _MEDIA,
    "integer": of_type("integer"),
    "number": of_type("number"),
    "array": of_type("array") | _MEDIA | {"items", "prefixItems"},
    "object": {"properties", "required", "additionalProperties"},
}
_SPEAKING = set().union(*_SPEAK_OF.values()) - {"title", "format"}
_WORDS = {
    *("title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly"),
    *("$comment", "$schema", "$id", "$defs", "definitions", "components"),
}
_READ = {"type", "enum", "const", "format", "nullable", *COMBINATIONS} | _SPEAKING | _WORDS
_NARROWING = {
    *("not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies", "patternProperties"),
    *("propertyNames", "minProperties", "maxProperties", "contains", "minContains", "maxContains"),
    *("unevaluatedItems", "unevaluatedProperties", "additionalItems", "contentEncoding", "contentMediaType"),
    "discriminator",
}
_REFERRING = {"$dynamicRef", "$recursiveRef"}
_FORMATS = {
    *("uri", "url", "uri-reference", "iri", "date", "date-time", "time", "duration", "email", "hostname"),
    *("ipv4", "ipv6", "uuid", "regex", "password", "byte", "binary", "float", "double", "int32", "int64"),
}


def types_of(schema: dict[str, Any], at: Place, report: Report) -> list[str]:
    """The declared types, or the one that the other keywords speak of; none where anything goes."""
    declared = schema.get("type")
    if declared is None:
        return _implied(schema)
    found: list[str] = []
    for name in declared if isinstance(declared, list) and declared else [declared]:
        kind = _TYPES.get(name.lower()) if isinstance(name, str) else None
        if kind is None:
            report.fail((*at, "type"), f"is {name!r}, which is no type; known are {', '.join(_TYPES)}")
        if kind not in found:
            found.append(kind)
    return found


def note(schema: dict[str, Any], types: list[str], at: Place, report: Report) -> None:
    """Report every keyword that is not read, or that says nothing about the types."""
    for keyword in schema:
        if keyword in _REFERRING:
            report.fail((*at, keyword), "is not supported")
        if keyword in _NARROWING:
            report.note((*at, keyword), "is not checked here")
        elif keyword not in _READ and not keyword.startswith("x-"):
            report.note((*at, keyword), "is no keyword known here; ignored")
    _note_format(schema, types, at, report)
    for keyword in ("nullable", "required"):
        if isinstance(schema.get(keyword), str) and not (keyword == "required" and "object" in types):
            report.note((*at, keyword), f"is {schema[keyword]!r}, not true or false; ignored")
    if types:
        heard = {"required"}.union(*(_SPEAK_OF.get(kind, ()) for kind in types))
        for keyword in schema:
            if keyword in _SPEAKING - heard:
                report.note((*at, keyword), f"says nothing about type {' or '.join(types)}; ignored")


def beside(schema: dict[str, Any], branch: object, at: Place, report: Report) -> dict[str, Any]:
    """What stands beside a combination and speaks of the type of one of its branches: limits, items, media."""
    if not isinstance(branch, dict) or "type" in schema:
        return {}
    types = types_of(branch, at, report)
    if types:
        heard = set().union(*(_SPEAK_OF.get(kind, ()) for kind in types))
    elif any(keyword in branch for keyword in COMBINATIONS):
        heard = set().union(*_SPEAK_OF.values())
    else:
        heard = set().union(*map(of_type, ("string", "number"))) if "enum" in branch else set()
    heard -= {"properties", "required"}
    return {keyword: value for keyword, value in schema.items() if keyword in heard}


def unheard(schema: dict[str, Any], heard: set[str], at: Place, report: Report) -> None:
    """Report what stands beside a combination, and none of its branches has use for."""
    for keyword in schema:
        if keyword in _SPEAKING - heard - {"properties", "required"}:
            report.note((*at, keyword), "fits none of the types beside it; ignored")


def _note_format(schema: dict[str, Any], types: list[str], at: Place, report: Report) -> None:
    format_ = schema.get("format")
    if not format_:
        return
    if media.by_format(schema):
        if types and not {"string", "array"} & set(types):
            report.note((*at, "format"), f"says nothing about type {' or '.join(types)}; ignored")
    elif not (isinstance(format_, str) and format_.lower() in _FORMATS):
        report.note((*at, "format"), f"is {format_!r}, which is not known here; ignored")


def _implied(schema: dict[str, Any]) -> list[str]:
    if "properties" in schema or isinstance(schema.get("required"), list):
        return ["object"]
    if any(keyword in schema for keyword in (*COMBINATIONS, "enum", "const")):
        return []  # they have types of their own
    if "additionalProperties" in schema:
        return ["object"]
    if "items" in schema or "prefixItems" in schema:
        return ["array"]
    if media.by_format(schema):
        return ["array" if str(schema["format"]).lower().endswith("s") else "string"]
    return [IMPLIED[keyword] for keyword in schema if keyword in IMPLIED][:1]
