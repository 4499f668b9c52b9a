"""One published schema as a plain one: types, combinations, references, members.

What cannot be understood and would change the type is an error. What only narrows (``not``, ``if``, a pattern with a
look-ahead) is left to the API, which refuses a body before it costs anything, and is reported. An output is never
narrowed: it has been paid for.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import keywords, media
from .docs import one_line
from .enums import enum
from .errors import Place, Report
from .finish import finished
from .limits import limits
from .literals import is_text
from .plain import MAX_ALTERNATIVES, NULL, Plain, TooManyAlternatives, both, options, rounded, union, words_of
from .references import definition_name, resolve

MAX_DEPTH = 32
"""Schemas inside each other: properties, items, alternatives and references, all counted."""
MAX_PARTS = 10_000
"""Schemas inside one input or output schema, counted as often as they are referred to."""


@dataclass
class _Combination:
    """A schema with references or branches, and which of its other keywords those have use for."""

    schema: dict[str, Any]
    at: Place
    heard: set[str] = field(default_factory=set)


@dataclass
class Reader:
    """Reads one schema of a file. What is wrong with single properties is gathered in the report."""

    entry: dict[str, Any]
    root_at: Place
    is_input: bool
    report: Report
    _parts: int = 0
    _depth: int = 0
    _combining: int = 0
    _following: tuple[Place, ...] = ()
    """What the references lead to, on the way to where the reader is."""

    def root(self, schema: object) -> Plain:
        """The plain meaning of the whole schema, as it is declared."""
        self._following = (self.root_at,)
        return self._read(schema, self.root_at)

    def _read(self, schema: object, at: Place, name: str = "") -> Plain:
        """The plain meaning of a whole: the root, a property, the items of an array."""
        plain = self._meaning(schema, at, name)
        if self._combining or not self.is_input:
            return plain  # a part of a combination is finished with the whole
        return finished(plain, at, self.report, deep=isinstance(schema, dict) and _merges(schema))

    def _meaning(self, schema: object, at: Place, name: str) -> Plain:
        if schema is True:
            return {}
        if not isinstance(schema, dict):
            self.report.fail(at, "allows no value" if schema is False else "is not an object")
        if self._parts >= MAX_PARTS:
            self.report.fail(self.root_at, f"has more than {MAX_PARTS} parts, counting what they refer to")
        if self._depth >= MAX_DEPTH:
            self.report.fail(at, f"is nested more than {MAX_DEPTH} deep")
        self._parts += 1
        self._depth += 1
        try:
            return self._understood(schema, at, name)
        finally:
            self._depth -= 1

    def _understood(self, schema: dict[str, Any], at: Place, name: str) -> Plain:
        types = keywords.types_of(schema, at, self.report)
        keywords.note(schema, types, at, self.report)
        plain = {**_words(schema), **self._own(schema, types, at, name)}
        for part in self._combined(schema, at, name):
            plain = self._both(plain, part, at)
        if schema.get("nullable") is True:
            plain = {**words_of(plain), **union([plain, NULL])}
        return plain

    def _both(self, one: Plain, other: Plain, at: Place) -> Plain:
        try:
            found = both(one, other)
        except TooManyAlternatives:
            self.report.fail(at, f"has more than {MAX_ALTERNATIVES} combinations of its alternatives")
        if found is not None:
            return found
        if self.is_input:
            self.report.fail(at, "allows no value: its parts contradict each other")
        return {}

    def _own(self, schema: dict[str, Any], types: list[str], at: Place, name: str) -> Plain:
        chosen = enum(schema, [type_ for type_ in types if type_ != "array"], at, self.report)
        if chosen is None:
            return union([self._typed(schema, type_, at, name) for type_ in types]) if types else {}
        if "array" not in types:
            return chosen
        self.report.note(at, "has an enum without lists; its values are taken for those of the items")
        array = self._typed(schema, "array", at, name)
        alternatives = [{**array, "items": self._both(array["items"], chosen, at)}]
        alternatives += [NULL] if "null" in types else []
        return union([*alternatives, *([chosen] if {*types} - {"array", "null"} else [])])

    def _typed(self, schema: dict[str, Any], kind: str, at: Place, name: str) -> Plain:
        plain = rounded({"type": kind, **limits(schema, kind, at, self.report)})
        if kind == "string":
            return {**plain, **self._media(schema, at, name)}
        if kind == "array":
            return {**plain, "items": self._items(schema, at, name)}
        return {**plain, **self._members(schema, at)} if kind == "object" else plain

    # Combinations

    def _combined(self, schema: dict[str, Any], at: Place, name: str) -> list[Plain]:
        if not any(keyword in schema for keyword in keywords.COMBINATIONS):
            return []
        whole = _Combination(schema, at)
        merges = _merges(schema)
        self._combining += merges
        try:
            found = [self._referred(whole, name)] if "$ref" in schema else []
            found += [self._branch(whole, branch, place, name) for branch, place in self._branches(whole, "allOf")]
            for keyword in ("anyOf", "oneOf"):
                if branches := self._branches(whole, keyword):
                    found.append(union([self._branch(whole, branch, place, name) for branch, place in branches]))
                if any(_is_choice_of_fields(branch) for branch, _ in branches):
                    self.report.note((*at, keyword), "is a choice of properties to set; not checked")
        finally:
            self._combining -= merges
        if "type" not in schema:
            keywords.unheard(schema, whole.heard, at, self.report)
        return found

    def _branch(self, whole: _Combination, branch: object, at: Place, name: str) -> Plain:
        if not isinstance(branch, dict):
            return self._meaning(branch, at, name)
        further = keywords.beside(whole.schema, branch, at, self.report)
        whole.heard.update(further)
        new = {keyword: value for keyword, value in further.items() if keyword not in branch}
        self.report.moved |= {(*at, keyword): (*whole.at, keyword) for keyword in new}
        plain = self._meaning({**new, **branch}, at, name)
        if new.keys() == further.keys():
            return plain
        # What the branch says of the same keyword counts as well.
        limited = [self._limited(option, further, whole.at) for option in options(plain)]
        return {**words_of(plain), **union(limited)}

    def _limited(self, option: Plain, schema: dict[str, Any], at: Place) -> Plain:
        found = limits(schema, option.get("type", ""), at, self.report)
        return self._both(option, {"type": option["type"], **found}, at) if found else option

    def _branches(self, whole: _Combination, keyword: str) -> list[tuple[object, Place]]:
        schema, at = whole.schema, whole.at
        branches = schema.get(keyword, [])
        if not isinstance(branches, list):
            self.report.fail((*at, keyword), "is not a list of schemas")
        if keyword in schema and not branches:
            self.report.fail((*at, keyword), "is empty")
        if len(branches) > MAX_ALTERNATIVES:
            self.report.fail((*at, keyword), f"has more than {MAX_ALTERNATIVES} alternatives")
        return [(branch, (*at, keyword, index)) for index, branch in enumerate(branches)]

    def _referred(self, whole: _Combination, name: str) -> Plain:
        reference, at = whole.schema["$ref"], (*whole.at, "$ref")
        found = resolve(reference, self.entry, self.root_at)
        if found is None:
            self.report.fail(at, f"is {reference!r}, which is not in this document")
        target, place = found
        if place in self._following:
            self.report.note(at, "refers to itself; any value is taken there")
            return {}
        before, self._following = self._following, (*self._following, place)
        try:
            plain = self._branch(whole, target, place, name)
        finally:
            self._following = before
        if "properties" not in plain:
            return plain
        return {**plain, "class": definition_name(place), "about": _words(_object(target)).get("description", "")}

    # Strings and arrays

    def _media(self, schema: dict[str, Any], at: Place, name: str) -> Plain:
        if not self.is_input:
            return {}
        kind = media.by_format(schema)
        if kind is None and str(schema.get("format", "")).lower() in ("", "uri", "url"):
            kind = media.by_name(name, schema.get("title"))
            if kind:
                self.report.note(at, f"is taken for the URL of {_AN[kind]}, by its name")
        if kind:
            return {"media": {"kind": kind, "rules": media.rules(schema, at, self.report)}}
        if "validations" in schema:
            self.report.note((*at, "validations"), "stands beside a field that is no image, video or audio; ignored")
        return {}

    def _items(self, schema: dict[str, Any], at: Place, name: str) -> Plain:
        kind = media.by_format(schema) if self.is_input else None
        positions = _positions(schema, at)
        if positions:
            self.report.note(at, "has a schema for each position; any of them is taken at any position")
            items = union([self._read(part, place, name) for part, place in positions])
        elif "items" in schema:
            items = self._read(schema["items"], (*at, "items"), name)
        else:
            kind = kind or (media.by_name(name, schema.get("title")) if self.is_input else None)
            self.report.note(at, f"has no items; {f'URLs, each of {_AN[kind]},' if kind else 'any values'} are taken")
            items = {"type": "string"} if kind else {}
        if not self.is_input or (kind is None and "validations" not in schema):
            return items
        rules = media.rules(schema, at, self.report)
        return {**items, **union([_ruled(option, kind, rules) for option in options(items)])}

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
        members: dict[str, Plain] = {}
        marked: list[str] = []
        for name, member, place in _named(schema, properties, at):
            with self.report.gathering():
                if not is_text(name):
                    self.report.fail(place, f"{name!r} holds half a surrogate pair, which cannot be sent")
                members.setdefault(name, self._read(member, place, name))
            if isinstance(member, dict) and member.get("required") is True:
                marked.append(name)
        named = {"properties": members, "required": list(dict.fromkeys((*required, *marked)))}
        return {**(named if members or required else {}), **self._further(schema, at, has_members=bool(members))}

    def _further(self, schema: dict[str, Any], at: Place, *, has_members: bool) -> Plain:
        """Fields that have no name in the schema."""
        further = schema.get("additionalProperties", False)
        if not has_members:
            place = (*at, "additionalProperties")
            return {} if isinstance(further, bool) else {"additionalProperties": self._read(further, place)}
        keyword = "patternProperties" if further is False else "additionalProperties"
        if not self.is_input or (further is False and keyword not in schema):
            return {}
        if at == self.root_at:
            self.report.note(
                (*at, keyword), 'further properties are no arguments of run(); client.submit("…", {…}) sends them'
            )
            return {}
        self.report.note((*at, keyword), "any further properties are taken; not checked")
        return {"additionalProperties": {}}


_AN = {"image": "an image", "video": "a video", "audio": "an audio file"}


def _merges(schema: dict[str, Any]) -> bool:
    """Whether parts of a schema come together; a reference alone only stands for something."""
    present = [keyword for keyword in keywords.COMBINATIONS if keyword in schema]
    return bool(present) and (present != ["$ref"] or "properties" in schema)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_choice_of_fields(branch: object) -> bool:
    return isinstance(branch, dict) and "required" in branch and "properties" not in branch


def _named(schema: dict[str, Any], properties: dict[str, Any], at: Place) -> Iterator[tuple[str, object, Place]]:
    """The properties, and those that only a condition brings in: they can be set, and when is not checked."""
    yield from ((name, member, (*at, "properties", name)) for name, member in properties.items())
    conditions = [((*at, keyword), schema.get(keyword)) for keyword in ("then", "else")]
    dependent = _object(schema.get("dependentSchemas"))
    conditions += [((*at, "dependentSchemas", name), part) for name, part in dependent.items()]
    for place, part in conditions:
        for name, member in _object(_object(part).get("properties")).items():
            if name not in properties:
                yield name, member, (*place, "properties", name)


def _positions(schema: dict[str, Any], at: Place) -> list[tuple[object, Place]]:
    """The schemas of an array that has one for each position, as two drafts of JSON Schema write them."""
    lists = [(keyword, schema[keyword]) for keyword in ("prefixItems", "items") if _is_list(schema.get(keyword))]
    if "prefixItems" in schema and isinstance(schema.get("items"), dict):
        lists.append(("items", [schema["items"]]))
    return [(part, (*at, keyword, index)) for keyword, parts in lists for index, part in enumerate(parts)]


def _words(schema: dict[str, Any]) -> Plain:
    """What people are told of a field."""
    meaning = one_line(schema.get("description")) or one_line(schema.get("title"))
    sample = schema.get("default")
    return {**({"description": meaning} if meaning else {}), **({} if sample is None else {"default": sample})}


def _ruled(option: Plain, kind: str | None, rules: list[media.Rule]) -> Plain:
    """An alternative of the items of an array whose format or rules speak of its items."""
    if option.get("type") != "string" or not (kind or "media" in option):
        return option
    known = option.get("media", {"kind": kind, "rules": []})
    return {**option, "media": {**known, "rules": [*known["rules"], *rules]}}
