"""Keywords together: what stands beside a union, a reference or an enum counts as JSON Schema says."""

import json
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from conftest import sent
from workshop import understood

STRING, NUMBER, NULL = {"type": "string"}, {"type": "number"}, {"type": "null"}
RULE = {"validation_rule": "width/height>", "validation_value": 0.5, "validation_error": "too tall"}


@pytest.mark.parametrize(
    ("schema", "fine", "wrong"),
    [
        ({"anyOf": [{"type": "array"}, NULL], "items": {"type": "integer"}}, [[1], []], [["x"], [1.0]]),
        ({"anyOf": [{"type": "object"}, NULL], "additionalProperties": NUMBER}, [{"k": 1.5}], [{"k": "x"}]),
        ({"anyOf": [STRING, NULL], "maxLength": 2, "pattern": "^a"}, ["ab"], ["abc", "b"]),
        ({"$ref": "#/$defs/Text", "maxLength": 2}, ["ab"], ["abc"]),
        ({"allOf": [{"$ref": "#/$defs/Text"}], "nullable": True, "maxLength": 2}, ["ab"], ["abc"]),
        ({"type": "object", "required": ["a"], "additionalProperties": NUMBER}, [{"a": 1}, {"b": 0.5}], [{"a": "x"}]),
        ({"allOf": [{**STRING, "pattern": "^a"}, {**STRING, "pattern": "b$"}]}, ["ab"], ["ax", "xb"]),
        ({"pattern": "^a", "allOf": [{**STRING, "pattern": "b$"}, {"pattern": "c"}]}, ["acb"], ["ab", "cb", "ac"]),
        ({"allOf": [{"minimum": 1}], "maximum": 3}, [2.5], [0, 4]),
        ({"maximum": 3, "anyOf": [{"type": ["integer", "null"], "maximum": 5}]}, [3], [4]),
        (
            {
                "allOf": [
                    {"properties": {"lora": {"type": "object", "properties": {"path": STRING}}}},
                    {"properties": {"lora": {"required": ["path"]}}},
                ]
            },
            [{"lora": {"path": "p"}}, {}],
            [{"lora": {}}],
        ),
        (
            {"allOf": [{"properties": {"n": {**NUMBER, "minimum": 5}}}, {"properties": {"n": {"maximum": 1}}}]},
            [{"n": 3}],
            [{"n": "x"}],
        ),
        ({"type": "integer", "enum": [1, 5, 10], "minimum": 5}, [5, 10], [1]),
        ({"enum": ["a", "bbb", 7], "maxLength": 1}, ["a", 7], ["bbb"]),
        ({"type": "string", "enum": ["aa", "bb"], "maxLength": 1}, ["aa"], ["cc"]),
        ({"const": "a", "enum": ["a", "b"]}, ["a"], ["b"]),
        ({"anyOf": [{"enum": [1, 2, 3]}, NULL], "maximum": 2}, [2], [3]),
        ({"type": "integer", "allOf": [{"enum": [5.0, 10.0]}]}, [5], [7, 5.0]),
        ({"type": "integer", "enum": [5.0, 10.0]}, [5], [7]),
        ({"type": "number", "minimum": 5, "maximum": 1, "exclusiveMinimum": 5, "exclusiveMaximum": 1}, [3, 7.5], ["x"]),
        ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, [7], [7.5]),
        ({"type": "integer", "minimum": 3, "maximum": 5, "multipleOf": 8}, [4], ["4"]),
        ({"type": "number", "exclusiveMinimum": 1, "maximum": 1}, [7], []),
        ({"type": "array"}, [["a", 1], []], ["abc", b"ab", bytearray(b"a"), 5]),
        ({"type": "array", "items": {}, "minItems": 2}, [["a", {}]], ["ab", ["a"]]),
        (NUMBER, [9007199254740993, 2**64 - 1, 5, 0.1, -0.0, 1e300], [True, "5", float("nan"), float("inf")]),
        ({**NUMBER, "multipleOf": 0.1}, [0.3, 1, 0.7], [0.35]),
        ({**NUMBER, "minimum": 0, "maximum": 18446744073709551615}, [18446744073709551615, 0], [-1]),
        ({"enum": [0.5, 2**70]}, [0.5, 2**70], [2**70 + 1, 1]),
        ({"enum": ["a choice", "b", "further choices"]}, ["b", "further choices"], ["c"]),
        ({"anyOf": [{"enum": ["a", "b"]}, {"enum": ["a choice", "c"]}]}, ["b", "c", "a choice"], ["further choices"]),
        ({"type": "integer", "minimum": 7, "maximum": 10**12 + 1}, [7, 10**12 + 1], [6, 10**12 + 2]),
        ({"anyOf": [{"type": "integer", "maximum": 7}, {**NUMBER, "minimum": 7.5, "maximum": 9.0}]}, [7, 8, 9], [9.5]),
        ({"type": "array", "items": {}, "uniqueItems": True}, [[1, "1", {"a": 1}, {"a": 2}]], [[{"b": 1, "a": 2}] * 2]),
        *(
            ({**STRING, "pattern": pattern}, [value], [5])
            for pattern, value in {
                r"^[\w&&-]+$": "a",
                r"^[!--]+$": "#",
                r"^[a-z~~]+$": "a~",
                r"^\<b\>$": "<b>",
                r"^\Ab$": "Ab",
                r"^[a-z[0-9]]+$": "a]",
                r"^(?!x)": "x",
            }.items()
        ),
    ],
)
def test_what_fits_is_sent_exactly_and_nothing_else(made: Any, schema: Any, fine: list[Any], wrong: list[Any]) -> None:
    model = made({"properties": {"a": schema}, "required": ["a"], "$defs": {"Text": {"type": "string"}}})

    for value in fine:
        assert json.dumps(sent(model.Input(a=value))) == json.dumps({"a": value})
    for value in wrong:
        with pytest.raises(ValueError, match="invalid input for"):
            model.Input(a=value)


@pytest.mark.parametrize(
    ("name", "schema", "rules"),
    [
        ("start", {"anyOf": [STRING, NULL], "format": "image_uri", "validations": [RULE]}, 1),
        ("start", {"anyOf": [{"type": "array", "items": STRING}, NULL], "format": "image_uris"}, 0),
        ("start", {"anyOf": [{"type": "array"}, NULL], "format": "image_uris", "validations": [RULE]}, 1),
        ("start", {"$ref": "#/$defs/Text", "format": "image_uri"}, 0),
        ("start", {"allOf": [{"$ref": "#/$defs/Text"}], "nullable": True, "format": "image_uri"}, 0),
        ("url", {"anyOf": [STRING, NULL], "title": "Input image"}, 0),
        ("image", {"anyOf": [STRING, NULL], "validations": [RULE]}, 1),
        ("image", {"anyOf": [STRING, {"type": "array", "items": STRING, "maxItems": 3}]}, 0),
    ],
)
def test_what_makes_a_field_media_may_stand_beside_its_type(made: Any, name: str, schema: Any, rules: int) -> None:
    model = made({"properties": {name: schema}, "$defs": {"Text": {"type": "string"}}})
    media = import_module(model.__name__.split(".")[0]).media_fields(model.Input)

    assert [(field, item.kind, len(item.rules)) for field, item in media.items()] == [(name, "image", rules)]


@pytest.mark.parametrize("name", ["mask", "image"])
def test_an_enum_is_no_media_however_it_is_written(made: Any, name: str) -> None:
    model = made({"properties": {name: {"type": "string", "allOf": [{"enum": ["a", "b"]}]}}})

    assert import_module(model.__name__.split(".")[0]).media_fields(model.Input) == {}


def test_fields_that_only_a_condition_brings_in_can_be_set(made: Any) -> None:
    image = {"properties": {"image_url": STRING}, "required": ["image_url"]}
    model = made(
        {
            "properties": {"mode": {"enum": ["t", "i"]}, "prompt": STRING},
            "if": {"properties": {"mode": {"const": "i"}}},
            "then": image,
            "dependentSchemas": {"prompt": {"properties": {"strength": NUMBER}}},
        }
    )

    assert sent(model.Input(mode="i", image_url="u", strength=1)) == {"mode": "i", "image_url": "u", "strength": 1}
    assert sent(model.Input()) == {}


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({"image": ["a", "b", "c"]}, {"image"}),
        ({"seed": -1}, {"seed"}),
        ({"size": {"width": "x"}}, {"size", "size.width"}),
        ({"size": {"zzz": 1}}, {"size", "size.zzz"}),
        ({"many": [1, {"q": 1}]}, {"many[1]", "many[1].p", "many[1].q"}),
        ({"named": {"k": "x"}}, {"named.k"}),
    ],
)
def test_a_problem_is_named_by_its_place_and_not_by_the_part_of_a_union(
    made: Any, fields: Any, places: set[str]
) -> None:
    width = {"type": "object", "properties": {"width": {"type": "integer"}}}
    needed = {"type": "object", "properties": {"p": {"type": "integer"}}, "required": ["p"]}
    model = made(
        {
            "properties": {
                "image": {"anyOf": [STRING, {"type": "array", "items": STRING, "maxItems": 2}]},
                "seed": {"anyOf": [{"const": "random"}, {"type": "integer", "minimum": 0}]},
                "size": {"anyOf": [STRING, width]},
                "many": {"type": "array", "items": {"anyOf": [needed, {"type": "integer"}]}},
                "named": {"additionalProperties": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}},
            }
        }
    )

    loads: list[Callable[[], Any]] = [
        lambda: model.Input(**fields),
        lambda: model.Input.model_validate_json(json.dumps(fields)),
    ]
    for load in loads:
        with pytest.raises(ValueError, match="invalid input") as caught:
            load()
        error: Any = caught.value
        assert {problem.field for problem in error.problems} == places


def test_a_field_of_an_open_object_is_not_set_by_its_wire_name(made: Any) -> None:
    open_ = {
        "type": "object",
        "additionalProperties": True,
        "properties": {"class": STRING, "62-x": {"type": "integer"}},
    }
    model = made({"properties": {"a": open_}})

    assert sent(model.Input(a={"class_": "x", "more": 1})) == {"a": {"class": "x", "more": 1}}
    for wrong in ({"class_": "x", "class": 5}, {"62-x": "bad"}):
        with pytest.raises(ValueError, match="is set as"):
            model.Input(a=wrong)


@pytest.mark.parametrize("name", ["register", "mro"])
def test_no_member_of_a_metaclass_stands_in_for_a_required_field(made: Any, name: str) -> None:
    model = made({"properties": {name: {"enum": ["low", "high"]}}, "required": [name]})

    assert sent(model.Input(**{f"{name}_": "low"})) == {name: "low"}
    with pytest.raises(ValueError, match=f"{name}_: is required"):
        model.Input()


@pytest.mark.parametrize(
    ("schema", "finding"),
    [
        ({"a": {"type": "string", "items": {}}}, "/a/items: says nothing about type string; ignored"),
        ({"a": {"type": "string", "properties": {}}}, "/a/properties: says nothing about type string; ignored"),
        ({"a": {"type": "integer", "format": "image_uri"}}, "/a/format: says nothing about type integer; ignored"),
        ({"a": {"type": "string", "nullable": "true"}}, "/a/nullable: is 'true', not true or false; ignored"),
        ({"a": {"type": "string", "required": "true"}}, "/a/required: is 'true', not true or false; ignored"),
        (
            {"a": {"anyOf": [STRING, NULL], "minItems": 1}},
            "/a/minItems: fits none of the types beside it",
        ),
        (
            {"a": {"type": "string", "maxLength": 5, "minimum": 1}},
            "/a/minimum: says nothing about type string; ignored",
        ),
        ({"a": {"type": "string", "pattern": "[a&&b]"}}, "/a/pattern: has what engines read differently"),
        (
            {"a": {"type": "integer", "enum": [1, 9], "minimum": 5}},
            "/a/enum: has values that break the limits",
        ),
        (
            {"a": {"type": "integer", "enum": [1], "minimum": 5}},
            "/a/enum: has no value that keeps the limits",
        ),
        (
            {"a": {"type": "object", "required": ["x"], "additionalProperties": NUMBER}},
            "/a/required: names properties that have no schema",
        ),
        ({"a": {"anyOf": [STRING, NULL], "pattern": "(?=x)"}}, "/a/pattern: is beyond the engine here (look-around"),
        ({"a": {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}}, "/a: has exclusiveMinimum and "),
        (
            {"a": {"allOf": [{"properties": {"b": STRING}, "required": ["c"]}]}},
            "/a/required: has 'c', which is no",
        ),
    ],
)
def test_lint_says_what_has_no_effect(schema: Any, finding: str) -> None:
    found = understood({"properties": schema})

    assert found.problems == []
    assert any(re.search(re.escape(f"/input_schema/properties{finding}"), str(item)) for item in found.findings)


@pytest.mark.parametrize("default", [5, 5.0])
def test_lint_is_silent_about_an_integer_that_is_written_as_a_fraction(default: float) -> None:
    schema = {"properties": {"a": {"type": "integer", "default": default}}}

    assert understood(schema).findings == []


def test_further_fields_of_the_whole_input_are_said_to_be_no_arguments() -> None:
    schema = {"properties": {"a": STRING}, "additionalProperties": True}
    found = understood(schema)

    assert "/input_schema/additionalProperties: further properties are no arguments of run()" in str(found.findings[0])


def test_alternatives_of_the_whole_leave_the_words_of_a_property(made: Any) -> None:
    quality = {"type": "string", "enum": ["low", "high"], "default": "low", "description": "How good"}
    count = {"type": "integer", "minimum": 1, "maximum": 4, "default": 3, "title": "Count"}
    branches = [{"properties": {"n": {"const": 1}, "i": STRING}}, {"properties": {"n": {"const": 3}, "j": STRING}}]
    model = made({"properties": {"quality": quality, "n": count}, "oneOf": branches})

    assert 'quality: How good. Sample: "low".' in model.run.__doc__
    assert "n: Count. Sample: 3." in model.run.__doc__


def test_a_definition_is_one_class_with_its_own_words_wherever_it_stands(made: Any) -> None:
    vector = {"type": "object", "description": "A vector in space", "properties": {"x": NUMBER}}
    camera = {"type": "object", "properties": {"fov": {"type": "integer"}}}
    frame = {"type": "object", "properties": {"camera": {"$ref": "#/properties/camera"}}}
    model = made(
        {
            "properties": {
                "frames": {"type": "array", "items": frame},
                "camera": camera,
                "start": {"$ref": "#/$defs/Vector", "description": "Where it starts"},
                "end": {"$ref": "#/$defs/Vector", "description": "Where it ends"},
                "other": {"type": "object", "properties": {"fov": {"type": "integer"}}},
            },
            "$defs": {"Vector": vector},
        }
    )

    assert model.Vector.__doc__ == "A vector in space."
    camera_ = model.Camera(fov=3)
    assert sent(model.Input(camera=camera_, frames=[model.Frame(camera=camera_)])) == {
        "frames": [{"camera": {"fov": 3}}],
        "camera": {"fov": 3},
    }
    assert [name for name in model.__all__ if name[0].isupper()] == [
        *("Camera", "Frame", "Input", "MODEL_ID", "Other", "Output", "Vector"),
    ]
