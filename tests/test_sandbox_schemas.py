"""The sandbox as a second reader of the schemas: what it takes, what it refuses, what its outputs look like."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from runcomfy.sandbox import Sandbox
from test_sandbox import call, output_of


def test_limits_are_checked_as_json_writes_the_numbers(tmp_path: Path) -> None:
    schema = {"properties": {"strength": {"type": "Float", "multipleOf": 0.05}}, "required": ["strength", "gone"]}
    (tmp_path / "model.json").write_text(json.dumps({"input_schema": schema}))
    with Sandbox(tmp_path) as sandbox:
        answers = [
            call(sandbox, "POST", "/v1/models/model", json={"strength": value}) for value in (0.15, 0.3, 1, 0.31)
        ]
        nothing = call(sandbox, "POST", "/v1/models/model", json=[])

    assert [answer.status_code for answer in answers] == [200, 200, 200, 422]
    assert answers[-1].json()["error_message"] == "strength: 0.31 is not a multiple of 0.05"
    assert nothing.status_code == 422


def test_no_schema_and_no_input_makes_it_fail(tmp_path: Path) -> None:
    properties = {
        "seed": {"type": ["float", "null"], "multipleOf": 0.05},
        "letters": {"type": "string", "pattern": "^\\p{L}+$"},
        "prompt": {"type": "string", "default": "\ud800"},
        "nothing": {"type": "object", "properties": None, "required": None},
        "odd": {"type": "object", "properties": [1]},
    }
    entry = {"input_schema": {"properties": properties, "required": None}, "categories": None, "display_name": "\udfff"}
    (tmp_path / "model.json").write_text(json.dumps(entry))
    bodies: list[Any] = [
        {},
        {"seed": None},
        {"seed": 1e30},
        {"letters": "ab", "nothing": {"x": 1}, "odd": {}},
        {"prompt": "\ud800"},
    ]
    with Sandbox(tmp_path) as sandbox:
        for body in bodies:
            url = output_of(sandbox, "model", body)["image"]
            assert httpx.get(url, trust_env=False).status_code == 200
        infinite = call(sandbox, "POST", "/v1/models/model", content=b'{"seed": 1e400}')
        assert infinite.status_code == 422
        for path in ("/v1/models", "/v1/models?category=x", "/v1/models/categories", "/v1/models/model"):
            assert call(sandbox, "GET", path).status_code == 200


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "fine", "wrong"),
    [
        ({"type": "string", "pattern": "^a{0,4294967296}$"}, ["a", "b"], [5]),
        ({"type": "string", "pattern": "^(a+)+$"}, ["a" * 40], ["a" * 40 + "!"]),
        ({"$ref": "#/$defs/T", "nullable": True}, [None, "a"], [5]),
        ({"allOf": [{"$ref": "#/$defs/T"}], "nullable": True}, [None, "a"], [5]),
        ({"const": "x", "nullable": True}, [None, "x"], ["y"]),
        (
            {"type": "array", "prefixItems": [TEXT, {"type": "integer"}], "items": {"type": "boolean"}},
            [["a", 1, True]],
            [5],
        ),
        ({"$ref": "#/components/schemas/Size"}, [{"width": 0.5}], [{"width": "x"}]),
        ({"$ref": "#/input_schema/$defs/T"}, ["a"], [5]),
        ({"type": "integer", "enum": ["5", "6"]}, ["5"], [5]),
        ({"type": "array", "enum": ["a", "b"]}, [["a"]], [["c"]]),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, [1], [0]),
        ({"type": "string", "minimum": "x", "maxLength": -1, "pattern": 5}, ["a"], [5]),
        ({"type": "number", "maximum": 10**400}, [1], ["x"]),
        ({"$ref": "#/nowhere"}, ["anything"], []),
        ({"$ref": "http://127.0.0.1:9/x.json"}, ["anything"], []),
        ({"$ref": "#/$defs/loop"}, ["anything"], []),
        ({"required": True, "type": "string"}, ["a"], [5]),
        ({"type": "nonsense"}, [5], []),
    ],
)
def test_every_construct_is_checked_as_json_schema_says(tmp_path: Path, schema: Any, fine: Any, wrong: Any) -> None:
    entry = {
        "input_schema": {"properties": {"a": schema}, "$defs": {"T": TEXT, "loop": {"$ref": "#/$defs/loop"}}},
        "components": {"schemas": {"Size": {"type": "object", "properties": {"width": {"type": "float"}}}}},
    }
    (tmp_path / "model.json").write_text(json.dumps(entry))
    with Sandbox(tmp_path) as sandbox:
        answers = [call(sandbox, "POST", "/v1/models/model", json={"a": value}) for value in (*fine, *wrong)]

    assert [answer.status_code for answer in answers] == [200] * len(fine) + [422] * len(wrong)


def test_a_body_is_an_object_whatever_the_schema_says(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"input_schema": {"$ref": "#/nowhere"}}')
    with Sandbox(tmp_path) as sandbox:
        answers = [call(sandbox, "POST", "/v1/models/model", content=body) for body in (b"{}", b"[]", b"5")]

    assert [answer.status_code for answer in answers] == [200, 422, 422]


def test_no_key_of_an_entry_makes_it_fail(tmp_path: Path) -> None:
    entry = {"input_schema": {}, "categories": 5, "base_price_usd": 10**400, "kind": [], "display_name": 5}
    (tmp_path / "model.json").write_text(json.dumps(entry))
    (tmp_path / ".vscode").mkdir()
    (tmp_path / ".vscode/settings.json").write_text("{}")
    with Sandbox(tmp_path) as sandbox:
        assert sandbox.models == ["model"]
        assert "image" in output_of(sandbox, "model", {})
        for path in ("/v1/models?category=x", "/v1/models?search=x&kind=y", "/v1/models/categories"):
            assert call(sandbox, "GET", path).status_code == 200


IMAGE = {"type": "object", "properties": {"image": TEXT}}


@pytest.mark.parametrize(
    ("schema", "shape"),
    [
        ({"output": TEXT}, "https"),
        ({"output": {"type": "array", "items": TEXT}}, ["https"]),
        ({"output": IMAGE, "title": "x"}, {"image": "https"}),
        ({"type": "object", "properties": {"status": TEXT, "output": IMAGE}}, {"image": "https"}),
        ({"$ref": "#/$defs/R", "$defs": {"R": {"properties": {"output": IMAGE}}}}, {"image": "https"}),
        ({"anyOf": [IMAGE, TEXT]}, {"image": "https"}),
        ({"output": {"properties": {"image": IMAGE}}}, {"image": {"image": "https"}}),
        ({"output": {"properties": {"loop": {"$ref": "#/output"}}}}, None),
        ({"output": True}, "https"),
    ],
)
def test_an_output_has_the_shape_of_its_schema(tmp_path: Path, schema: Any, shape: Any) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"input_schema": {}, "output_schema": schema}))
    with Sandbox(tmp_path) as sandbox:
        output = output_of(sandbox, "model", {})

    def shaped(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shaped(part) for key, part in value.items()}
        return [shaped(part) for part in value] if isinstance(value, list) else "https"

    assert shape is None or shaped(output) == shape
