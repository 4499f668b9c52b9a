"""One published schema as a plain one: types, combinations, references, members.

What cannot be understood and would change the type is an error. What only narrows (``not``, ``if``, a pattern with a
look-ahead) is left to the API, which refuses a body before it costs anything, and is reported. An output is never
narrowed: it has been paid for.
"""

from dataclasses import dataclass, field
from typing import Any

from . import media
from .enums import enum
from .errors import Place, Problem, Report, SchemaError
from .limits import KEYWORDS as LIMITS
from .limits import ignored, limits
from .plain import (
    MAX_ALTERNATIVES,
    NULL,
    WORDS,
    Plain,
    TooManyAlternatives,
    both,
    contradictory,
    fits,
    options,
    union,
    whole,
)
from .references import resolve

MAX_DEPTH = 32
"""Schemas inside each other: properties, items, alternatives and references, all counted."""
MAX_PARTS = 10_000
"""Schemas in one file, counted as often as they are referred to."""

_TYPES = {
    **dict.fromkeys(("string", "str"), "string"),
    **dict.fromkeys(("integer", "int"), "integer"),
    **dict.fromkeys(("number", "float", "double"), "number"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("array", "list"), "array"),
    **dict.fromkeys(("object", "dict"), "object"),
    "null": "null",
}
_COMBINATIONS = ("$ref", "allOf", "anyOf", "oneOf")
_READ = {
    *("type", "enum", "const", "format", "nullable", "items", "prefixItems", "properties", "required"),
    *("additionalProperties", "validations", *_COMBINATIONS, *LIMITS),
    *("title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly"),
    *("$comment", "$schema", "$id", "$defs", "definitions"),
}
_NARROWING = {
    *("not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies", "patternProperties"),
    *("propertyNames", "minProperties", "maxProperties", "contains", "minContains", "maxContains"),
    *("unevaluatedItems", "unevaluatedProperties", "additionalItems", "contentEncoding", "contentMediaType"),
}
_REFERRING = {"$dynamicRef", "$recursiveRef"}
_FORMATS = {
    *(
        "uri",
        "url",
        "uri-reference",
        "iri",
        "date",
        "date-time",
        "time",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
    ),
    *("uuid", "regex", "password", "byte", "binary", "float", "double", "int32", "int64"),
}


@dataclass
class Reader:
    """Reads one schema of a file. What is wrong with single properties is gathered in `problems`."""

    entry: dict[str, Any]
    root_at: Place
    is_input: bool
    report: Report
    problems: list[Problem] = field(default_factory=list)
    _parts: int = 0
    _depth: int = 0
    _following: tuple[Place, ...] = ()
    """What the references lead to, on the way to where the reader is."""

    def __post_init__(self) -> None:
        self._following = (self.root_at,)

    def read(self, schema: object, at: Place, name: str = "") -> Plain:
        """The plain meaning of a whole: the root, a property, the items of an array."""
        plain = self._meaning(schema, at, name)
        finished = [self._finished(option, at) for option in options(plain)]
        plain = {**plain, "anyOf": finished} if "anyOf" in plain else finished[0]
        if plain.get("default") is not None and not fits(plain["default"], plain):
            self.report.note(
                (*at, "default"), "does not fit the schema itself; documented, as every default is, not sent"
            )
        return plain if self.is_input else _opened(plain)

    def _meaning(self, schema: object, at: Place, name: str) -> Plain:
        if schema is True:
            return {}
        if not isinstance(schema, dict):
            self.report.fail(at, "allows no value" if schema is False else "is not an object")
        if self._parts >= MAX_PARTS:
            self.report.fail((), f"has more than {MAX_PARTS} parts, counting what they refer to")
        if self._depth >= MAX_DEPTH:
            self.report.fail(at, f"is nested more than {MAX_DEPTH} deep")
        self._parts += 1
        self._depth += 1
        try:
            return self._understood(schema, at, name)
        finally:
            self._depth -= 1

    def _understood(self, schema: dict[str, Any], at: Place, name: str) -> Plain:
        self._note_keywords(schema, at)
        kinds = self._kinds(schema, at)
        plain = {**_words(schema), **self._own(schema, kinds, at, name)}
        for part in self._combined(schema, at, name):
            plain = self._both(plain, part, at)
        if not kinds:
            plain = self._both(plain, self._untyped_limits(schema, plain, at), at)
        if schema.get("nullable") is True:
            plain = {**_only_words(plain), **union([plain, NULL])}
        return plain

    def _both(self, one: Plain, other: Plain, at: Place) -> Plain:
        try:
            found = both(one, other)
        except TooManyAlternatives:
            self.report.fail(at, f"comes to more than {MAX_ALTERNATIVES} alternatives")
        if found is None:
            self.report.fail(at, "allows no value: its parts contradict each other")
        return found

    def _note_keywords(self, schema: dict[str, Any], at: Place) -> None:
        for keyword in schema:
            if keyword in _REFERRING:
                self.report.fail((*at, keyword), "is not supported")
            if keyword in _NARROWING:
                self.report.note((*at, keyword), "is not checked here; left to the API")
            elif keyword not in _READ and not keyword.startswith("x-"):
                self.report.note((*at, keyword), "is no keyword known here; ignored")
        format_ = schema.get("format")
        if format_ and not media.by_format(schema) and not (isinstance(format_, str) and format_.lower() in _FORMATS):
            self.report.note((*at, "format"), f"is {format_!r}, which is not known here; ignored")

    def _kinds(self, schema: dict[str, Any], at: Place) -> list[str]:
        """The declared types, or the one that the other keywords speak of."""
        declared = schema.get("type")
        if declared is None:
            return self._implied(schema)
        found: list[str] = []
        for name in declared if isinstance(declared, list) and declared else [declared]:
            kind = _TYPES.get(name.lower()) if isinstance(name, str) else None
            if kind is None:
                self.report.fail((*at, "type"), f"is {name!r}; known are {', '.join(_TYPES)}")
            if kind not in found:
                found.append(kind)
        for keyword in ignored(schema, found):
            self.report.note((*at, keyword), f"says nothing about type {' or '.join(found)}; ignored")
        return found

    def _implied(self, schema: dict[str, Any]) -> list[str]:
        if "properties" in schema or isinstance(schema.get("required"), list):
            return ["object"]
        if any(keyword in schema for keyword in _COMBINATIONS):
            return []  # they have types of their own
        if "additionalProperties" in schema:
            return ["object"]
        if "items" in schema or "prefixItems" in schema:
            return ["array"]
        if media.by_format(schema):
            return ["array" if str(schema["format"]).lower().endswith("s") else "string"]
        return [LIMITS[keyword] for keyword in schema if keyword in LIMITS][:1]

    def _own(self, schema: dict[str, Any], kinds: list[str], at: Place, name: str) -> Plain:
        if "array" in kinds and isinstance(schema.get("enum"), list) and not any(map(_is_list, schema["enum"])):
            self.report.note((*at, "enum"), "has no lists; its values are taken for those of the items")
            inner = {"enum": schema["enum"], **_object(schema.get("items"))}
            schema = {**{key: value for key, value in schema.items() if key != "enum"}, "items": inner}
        if ("enum" in schema or "const" in schema) and (found := enum(schema, kinds, at, self.report)):
            return found
        return union([self._typed(schema, kind, at, name) for kind in kinds]) if kinds else {}

    def _typed(self, schema: dict[str, Any], kind: str, at: Place, name: str) -> Plain:
        plain = whole({"type": kind, **limits(schema, kind, at, self.report)})
        if kind == "string":
            return {**plain, **self._media(schema, at, name)}
        if kind == "array":
            return {**plain, "items": self._items(schema, at, name)}
        return {**plain, **self._members(schema, at)} if kind == "object" else plain

    def _untyped_limits(self, schema: dict[str, Any], plain: Plain, at: Place) -> Plain:
        """Limits beside a combination count for whatever types the combination has."""
        if not any(keyword in schema for keyword in _COMBINATIONS) or not any(keyword in LIMITS for keyword in schema):
            return {}
        alternatives = []
        for option in options(plain):
            found = limits(schema, option.get("type", ""), at, self.report)
            alternatives.append(self._both(option, {**option, **found}, at) if found else option)
        return union(alternatives)

    # Combinations

    def _combined(self, schema: dict[str, Any], at: Place, name: str) -> list[Plain]:
        found = [self._referred(schema["$ref"], (*at, "$ref"), name)] if "$ref" in schema else []
        found += [self._meaning(part, place, name) for part, place in self._branches(schema, "allOf", at)]
        for keyword in ("anyOf", "oneOf"):
            if branches := self._branches(schema, keyword, at):
                if any(
                    isinstance(part, dict) and "required" in part and "properties" not in part for part, _ in branches
                ):
                    self.report.note((*at, keyword), "is a choice of fields to set; left to the API")
                found.append(union([self._meaning(part, place, name) for part, place in branches]))
        return found

    def _branches(self, schema: dict[str, Any], keyword: str, at: Place) -> list[tuple[object, Place]]:
        branches = schema.get(keyword, [])
        if keyword in schema and (not isinstance(branches, list) or not branches):
            self.report.fail((*at, keyword), "is not a list of schemas")
        if len(branches) > MAX_ALTERNATIVES:
            self.report.fail((*at, keyword), f"has more than {MAX_ALTERNATIVES} alternatives")
        return [(branch, (*at, keyword, index)) for index, branch in enumerate(branches)]

    def _referred(self, reference: object, at: Place, name: str) -> Plain:
        target, place = resolve(reference, self.entry, self.root_at, at, self.report)
        if place in self._following:
            self.report.note(at, "refers to what it stands in; any value is taken there, and left to the API")
            return {}
        before, self._following = self._following, (*self._following, place)
        try:
            plain = self._meaning(target, place, name)
        finally:
            self._following = before
        hint = {"class": str(place[-1])} if place and "properties" in plain else {}
        return {**plain, **hint}

    # Strings and arrays

    def _media(self, schema: dict[str, Any], at: Place, name: str) -> Plain:
        if not self.is_input:
            return {}
        kind = media.by_format(schema)
        if kind is None and (str(schema.get("format", "")).lower() in ("", "uri", "url")):
            kind = media.by_name(name, schema.get("title"))
            if kind:
                self.report.note(at, f"is taken for the URL of {_AN[kind]}, by its name")
        if kind:
            return {"media": {"kind": kind, "rules": media.rules(schema, at, self.report)}}
        if "validations" in schema:
            self.report.note((*at, "validations"), "says nothing about what is no media; ignored")
        return {}

    def _items(self, schema: dict[str, Any], at: Place, name: str) -> Plain:
        kind = media.by_format(schema) if self.is_input else None
        positions = self._positions(schema, at)
        if positions:
            self.report.note(at, "has a schema for each position; any of them is taken at any position")
            items = union([self.read(part, place, name) for part, place in positions])
        elif "items" in schema:
            items = self.read(schema["items"], (*at, "items"), name)
        else:
            kind = kind or (media.by_name(name, schema.get("title")) if self.is_input else None)
            self.report.note(at, f"has no items; {f'URLs, each of {_AN[kind]},' if kind else 'any values'} are taken")
            items = {"type": "string"} if kind else {}
        if not self.is_input or (kind is None and "validations" not in schema):
            return items
        rules = media.rules(schema, at, self.report)
        return {**items, **union([_ruled(option, kind, rules) for option in options(items)])}

    def _positions(self, schema: dict[str, Any], at: Place) -> list[tuple[object, Place]]:
        """The schemas of an array that has one for each position, as two drafts of JSON Schema write them."""
        keywords = ("prefixItems", "items")
        lists = [(keyword, schema[keyword]) for keyword in keywords if isinstance(schema.get(keyword), list)]
        if "prefixItems" in schema and isinstance(schema.get("items"), dict):
            lists.append(("items", [schema["items"]]))
        return [(part, (*at, keyword, index)) for keyword, parts in lists for index, part in enumerate(parts)]

    # Objects

    def _members(self, schema: dict[str, Any], at: Place) -> Plain:
        properties = schema.get("properties", {})
        if not isinstance(properties, dict):
            self.report.fail((*at, "properties"), "is not an object")
        required = schema.get("required", [])
        if isinstance(required, bool):
            required = []  # as JSON Schema had it in draft 3: it speaks of the property, and is read with it
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            self.report.fail((*at, "required"), "is not a list of names")
        further = schema.get("additionalProperties", False)
        if not properties and not required:
            if isinstance(further, bool):
                return {}
            return {"additionalProperties": self.read(further, (*at, "additionalProperties"))}
        members = {}
        for name, member in properties.items():
            place = (*at, "properties", name)
            try:
                self._check_name(name, place)
                members[name] = self.read(member, place, name)
            except SchemaError as error:  # the other properties may have something to be told as well
                self.problems.extend(error.problems)
        marked = [
            name for name, member in properties.items() if isinstance(member, dict) and member.get("required") is True
        ]
        if further is not False and further != {"not": {}}:
            self.report.note((*at, "additionalProperties"), "any further fields are taken, and left to the API")
        return {
            "properties": members,
            "required": list(dict.fromkeys((*required, *marked))),
            **({"additionalProperties": {}} if further is not False else {}),
        }

    def _check_name(self, name: str, at: Place) -> None:
        if any("\ud800" <= character <= "\udfff" for character in name):
            self.report.fail(at, f"{name!r} holds half a surrogate pair, which cannot be sent")

    def _finished(self, plain: Plain, at: Place) -> Plain:
        """Without what can never be met."""
        if limits := contradictory(plain):
            self.report.note(at, f"has {' and '.join(limits)} that no value keeps; neither is checked")
            plain = {key: value for key, value in plain.items() if key not in limits}
        if "required" not in plain:
            return plain
        if not plain["properties"]:
            return {key: value for key, value in plain.items() if key not in ("properties", "required")}
        for name in plain["required"]:
            if name not in plain["properties"]:
                self.report.note((*at, "required"), f"has {name!r}, which is no property; ignored")
        return {**plain, "required": [name for name in plain["properties"] if name in plain["required"]]}


_AN = {"image": "an image", "video": "a video", "audio": "an audio file"}


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _words(schema: dict[str, Any]) -> Plain:
    """What people are told of a field."""
    texts = (schema.get(key) for key in ("description", "title"))
    meaning = next((text for text in map(_text, texts) if text), "")
    sample = schema.get("default")
    return {**({"description": meaning} if meaning else {}), **({} if sample is None else {"default": sample})}


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _only_words(plain: Plain) -> Plain:
    return {key: value for key, value in plain.items() if key in WORDS}


def _ruled(option: Plain, kind: str | None, rules: list[media.Rule]) -> Plain:
    """An alternative of the items of an array whose format or rules speak of its items."""
    if option.get("type") != "string" or not (kind or "media" in option):
        return option
    known = option.get("media", {"kind": kind, "rules": []})
    return {**option, "media": {**known, "rules": [*known["rules"], *rules]}}


def _opened(plain: Plain) -> Plain:
    """An output keeps values that its schema does not name and does not enforce limits: it has been paid for."""
    if "enum" in plain:
        kinds = {bool: "boolean", int: "integer", str: "string"}
        alternatives = union([{"type": kinds[type(value)]} for value in plain["enum"]])
        return {**_only_words(plain), **alternatives}
    if "anyOf" in plain:
        return {**_only_words(plain), **union([_opened(option) for option in plain["anyOf"]])}
    kept = ("type", "items", "properties", "required", "additionalProperties", *WORDS)
    opened = {key: value for key, value in plain.items() if key in kept}
    return {**opened, "required": []} if "required" in opened else opened
