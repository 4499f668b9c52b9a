"""Hypothesis strategies: schemas as an enemy would write them, and schemas of the dialect with bodies that fit them."""

from typing import Any

from hypothesis import strategies as st

CANARY = "__canary__"
"""A builtin while a test runs. Nothing that is generated ever calls it."""

_HOSTILE = [
    f'"""\n{CANARY}()\n"""',
    f"'''\n{CANARY}()\n'''",
    f'"\n{CANARY}()\n"',
    f"'+{CANARY}()+'",
    f'\\"""\n{CANARY}()\n"""\\',
    f"\\\n{CANARY}()\\",
    f"{{{{ {CANARY}() }}}} {{% set x = 1 %}} {{# #}} {{% endraw %}}",
    f"# coding: utf-7\n+AAo-{CANARY}()+AAo-",
    f"\r{CANARY}()\u2028{CANARY}()\x0c{CANARY}()\x1c{CANARY}()",
    f")]}}\n{CANARY}()\n#",
    f"\\N{{DASH}} \\x41 \\u0041 ${{{CANARY}()}} %s {{0}} `{CANARY}()`",
    "\ud800",
    "\x00",
    "\u202e\ufeff\u2066",
    "ﬁ ſ ª Ⅷ",
    "\U0001fae8\U00050000",
    "../../../etc/passwd",
    "",
    " ",
    "-",
    "_",
    "__class__",
    "a" * 300,
]
_RESERVED = (
    "class None True import self cls client copy json schema model_config model_fields dict int str list float bool raw"
    " files save timeout Input Output MODEL_ID Literal Annotated Sequence Mapping Any Field ClassVar _runtime run"
    " submit type id object map len print Job Lora validate construct field_1 a-b a.b a_b A_b 62_image 4k"
    " größe 提示 camelCase"
).split()
texts = st.one_of(
    st.sampled_from(_HOSTILE), st.sampled_from(_RESERVED), st.text(st.characters(exclude_categories=()), max_size=12)
)
names = st.one_of(st.sampled_from(_RESERVED), texts)
numbers = st.one_of(
    st.integers(-5, 5),
    st.integers(),
    st.sampled_from([0.5, -0.5, 1.0, 1e300, -1e-300, 2**31, 2**63, 2**64, -(10**30), 10**400]),
    st.floats(allow_nan=False, allow_infinity=False),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
_TYPES = "string str integer INT number float boolean bool array list object dict null strnig".split()
_VENDOR = ("customTypePath", "customBasePath", "x-python-type", "default_factory", "$id", "$anchor", "$comment")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")


def _keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any keywords with values that mostly make sense."""
    named = st.dictionaries(names, inner, max_size=4)
    listed = st.lists(inner, min_size=1, max_size=3)
    sensible: dict[str, st.SearchStrategy[Any]] = {
        "type": st.one_of(st.sampled_from(_TYPES), st.lists(st.sampled_from(_TYPES), max_size=3)),
        "title": texts,
        "description": texts,
        "default": json_values,
        "enum": st.lists(st.one_of(json_values, texts), max_size=4),
        "const": json_values,
        "format": st.one_of(st.sampled_from(["image_uri", "audio_uris", "uri", "date-time", "password"]), texts),
        "pattern": st.one_of(st.sampled_from(["^a", "(a+)+$", "(?=a)", "[", "\\d{1000}{1000}"]), texts),
        "nullable": st.booleans(),
        "uniqueItems": st.booleans(),
        "items": st.one_of(inner, listed),
        "prefixItems": listed,
        "properties": named,
        "required": st.one_of(st.lists(names, max_size=3), st.booleans()),
        "additionalProperties": st.one_of(st.booleans(), inner),
        "$ref": st.one_of(st.sampled_from(["#", "#/$defs/a", "#/properties/a", "#/input_schema", "file:///x"]), texts),
        "$defs": st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
        "validations": json_values,
        **dict.fromkeys(("anyOf", "oneOf", "allOf"), listed),
        **dict.fromkeys(_COUNTS, st.integers(-1, 5)),
        **dict.fromkeys(_BOUNDS, numbers),
        **dict.fromkeys(_VENDOR, st.one_of(texts, st.just(f"builtins.{CANARY}"))),
    }
    chosen = st.dictionaries(st.sampled_from(sorted(sensible)), st.none(), max_size=5)
    made = chosen.flatmap(lambda keywords: st.fixed_dictionaries({keyword: sensible[keyword] for keyword in keywords}))
    senseless = st.dictionaries(st.sampled_from(sorted(sensible)), json_values, max_size=1)
    return st.builds(lambda first, second: {**first, **second}, made, st.one_of(st.just({}), st.just({}), senseless))


hostile_schemas = st.recursive(_keywords(st.just({"type": "string"})), _keywords, max_leaves=8)
hostile_entries = st.fixed_dictionaries(
    {"input_schema": st.builds(lambda schema: {"type": "object", **schema}, hostile_schemas)},
    optional={
        "output_schema": st.one_of(hostile_schemas, st.fixed_dictionaries({"output": hostile_schemas})),
        "display_name": texts,
        "description": texts,
        "categories": json_values,
        "base_price_usd": json_values,
        "price_unit": texts,
        "$comment": texts,
    },
)

_sendable = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_wires = st.one_of(
    st.sampled_from(_RESERVED), _sendable, st.sampled_from([text for text in _HOSTILE if text.isascii()])
)


@st.composite
def schema_and_value(draw: st.DrawFn, depth: int = 0) -> tuple[dict[str, Any], Any]:
    """A schema of the dialect, and a value that fits it."""
    kinds = ["string", "choice", "integer", "number", "boolean"]
    kind = draw(st.sampled_from(kinds if depth > 2 else [*kinds, "array", "object", "map", "union", "all"]))
    schema, value = draw(_MAKERS[kind](depth))
    if draw(st.integers(0, 9)) == 0:
        return {"anyOf": [schema, {"type": "null"}]}, value
    return {**schema, "description": draw(texts), "default": draw(json_values)}, value


@st.composite
def _string(draw: st.DrawFn, depth: int) -> Any:
    value = draw(st.one_of(_sendable, st.sampled_from([text for text in _HOSTILE if "\ud800" not in text])))
    limits = {"minLength": draw(st.integers(0, len(value))), "maxLength": draw(st.integers(len(value), 400))}
    return {"type": draw(st.sampled_from(["string", "STR"])), **_some(draw, limits)}, value


@st.composite
def _choice(draw: st.DrawFn, depth: int) -> Any:
    values = draw(
        st.lists(st.one_of(_sendable, st.integers(), st.booleans(), st.floats(-9, 9)), min_size=1, max_size=4)
    )
    return {"enum": values}, draw(st.sampled_from(values))


@st.composite
def _integer(draw: st.DrawFn, depth: int) -> Any:
    value = draw(st.one_of(st.integers(-100, 100), st.integers()))
    limits = {
        "minimum": value - draw(st.integers(0, 9)),
        "maximum": value + draw(st.integers(0, 9)),
        "exclusiveMaximum": value + draw(st.integers(1, 9)),
    }
    return {"type": draw(st.sampled_from(["integer", "int"])), **_some(draw, limits)}, value


@st.composite
def _number(draw: st.DrawFn, depth: int) -> Any:
    value = draw(st.one_of(st.integers(-100, 100), st.floats(-1e6, 1e6)))
    limits = {"minimum": value - draw(st.integers(0, 9)), "exclusiveMaximum": value + draw(st.integers(1, 9))}
    return {"type": draw(st.sampled_from(["number", "float"])), **_some(draw, limits)}, value


@st.composite
def _boolean(draw: st.DrawFn, depth: int) -> Any:
    return {"type": draw(st.sampled_from(["boolean", "bool"]))}, draw(st.booleans())


@st.composite
def _array(draw: st.DrawFn, depth: int) -> Any:
    items, value = draw(schema_and_value(depth + 1))
    values = [value] * draw(st.integers(0, 3))
    limits: dict[str, Any] = {"maxItems": len(values), "minItems": len(values)}
    if len(values) < 2:
        limits["uniqueItems"] = True
    return {"type": "array", "items": items, **_some(draw, limits)}, values


@st.composite
def _object(draw: st.DrawFn, depth: int) -> Any:
    members = draw(st.dictionaries(_wires, schema_and_value(depth + 1), min_size=1, max_size=4))
    left_out = draw(st.sets(st.sampled_from(sorted(members)), max_size=2))
    schema = {
        "type": draw(st.sampled_from(["object", "dict"])),
        "properties": {name: schema for name, (schema, _) in members.items()},
        "required": draw(
            st.lists(st.sampled_from(sorted(members)), max_size=2).map(set).map(lambda s: sorted(s - left_out))
        ),
    }
    return schema, {name: value for name, (_, value) in members.items() if name not in left_out}


@st.composite
def _map(draw: st.DrawFn, depth: int) -> Any:
    schema, value = draw(schema_and_value(depth + 1))
    return {"type": "object", "additionalProperties": schema}, dict.fromkeys(draw(st.sets(_wires, max_size=2)), value)


@st.composite
def _union(draw: st.DrawFn, depth: int) -> Any:
    schema, value = draw(schema_and_value(depth + 1))
    other, _ = draw(schema_and_value(depth + 1))
    return {"anyOf": draw(st.permutations([schema, other]))}, value


@st.composite
def _all(draw: st.DrawFn, depth: int) -> Any:
    schema, value = draw(schema_and_value(depth + 1))
    return {"allOf": [schema, {"title": draw(texts)}]}, value


_MAKERS: dict[str, Any] = {
    "string": _string,
    "choice": _choice,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "array": _array,
    "object": _object,
    "map": _map,
    "union": _union,
    "all": _all,
}


def _some(draw: st.DrawFn, limits: dict[str, Any]) -> dict[str, Any]:
    return {keyword: limit for keyword, limit in limits.items() if draw(st.booleans())}


inputs_and_bodies = _object(0)
