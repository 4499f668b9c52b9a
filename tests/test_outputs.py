"""Outputs: whatever was received, nothing is lost and nothing fails."""

import pickle
from typing import Any

import pytest
from conftest import Kind
from runcomfy import MediaOutput
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="u")


@pytest.fixture
def read(kind: Kind, sandbox: Sandbox, client: Any) -> Any:
    """The output for a result body."""
    job = kind.settle(client.submit(REQUEST))

    def read(body: bytes, output: type = edit.Output) -> Any:
        sandbox.faults.append(Fault("result", 200, b'{"status": "succeeded", "output": ' + body + b"}"))
        return kind.settle(client.job(job.id, output).result())

    return read


@pytest.mark.parametrize(
    ("received", "image", "images"),
    [
        (b'{"image": "a"}', "a", ["a"]),
        (b'{"images": ["a"]}', "a", ["a"]),
        (b'{"images": "a"}', "a", ["a"]),
        (b'{"image": ["a"]}', "a", ["a"]),
        (b'{"images": ["a", "b"]}', None, ["a", "b"]),
        (b'{"image": "a", "images": ["b", "c"]}', "a", ["b", "c"]),
        (b'{"image": null, "images": []}', None, []),
        (b'{"image": 5}', None, None),
        (b'{"image": {"url": "a"}}', "a", ["a"]),
        (b'{"images": [{"url": "a"}, {"url": "b"}]}', None, ["a", "b"]),
        (b'{"image": {"src": "a"}}', None, None),
        (b'{"images": [1]}', None, None),
        (b"{}", None, None),
        (b"null", None, None),
        (b'"https://x/a.PNG?sign=1.mp4"', "https://x/a.PNG?sign=1.mp4", ["https://x/a.PNG?sign=1.mp4"]),
        (b'["https://x/a.png", "https://x/b.webp"]', None, ["https://x/a.png", "https://x/b.webp"]),
        (b'"https://x/a"', None, None),
        (b"[1, 2]", None, None),
    ],
)
def test_one_value_and_a_list_of_one_stand_for_each_other(
    read: Any, received: bytes, image: str | None, images: list[str] | None
) -> None:
    output = read(received)

    assert (output.image, output.images) == (image, images)


def test_unknown_fields_stay(read: Any) -> None:
    output = read(b'{"image": "a", "seed": 7, "model_dump": 1, "raw": 2, "nested": {"url": "x"}}')

    assert output.model_extra == {"seed": 7, "model_dump": 1, "raw": 2, "nested": {"url": "x"}}
    assert output.seed == 7


def test_no_key_makes_a_result_fail(read: Any) -> None:
    output = read(b'{"\\ud800": 1, "": 2, "image": "a", "images": [{"\\udfff": 1}]}')

    assert output.image == "a"
    assert output.raw["output"]["\ud800"] == 1


def test_raw_is_the_whole_body_as_received(read: Any) -> None:
    output = read(b'{"images": ["a"]}, "cost": 0.04, "created_at": "2026"')

    assert output.raw == {"status": "succeeded", "output": {"images": ["a"]}, "cost": 0.04, "created_at": "2026"}
    assert pickle.loads(pickle.dumps(output)).raw == output.raw


def test_the_output_of_a_model_without_a_schema_has_the_usual_fields(read: Any) -> None:
    output = read(b'{"audios": ["a"], "video": "v"}', MediaOutput)

    assert (output.audio, output.videos, output.image) == ("a", ["v"], None)


STRING = {"type": "string"}
OUTPUT = {"type": "object", "properties": {"image": {"type": "string"}}}


@pytest.mark.parametrize(
    "schema",
    [
        {"output": OUTPUT},
        {"output": OUTPUT, "title": "Output", "$schema": "x"},
        {"output": {"$ref": "#/$defs/O"}, "$defs": {"O": OUTPUT}},
        {"type": "object", "properties": {"output": {"$ref": "#/$defs/O"}}, "$defs": {"O": OUTPUT}},
        {"$ref": "#/$defs/R", "$defs": {"R": {"properties": {"output": {"$ref": "#/$defs/O"}}}, "O": OUTPUT}},
        {"type": "object", "properties": {"output": OUTPUT, "status": STRING, "logs": STRING}},
        OUTPUT,
    ],
)
def test_an_output_is_found_however_it_is_wrapped(made: Any, schema: Any) -> None:
    model = made({"properties": {}}, output_schema=schema)

    assert list(model.Output.model_fields) == ["image"]
    assert model.Output._from_result({"output": {"image": "u"}}).image == "u"


@pytest.mark.parametrize(
    ("declared", "received", "read"),
    [
        ({"type": "array", "items": STRING}, ["a", None], ["a"]),
        ({"type": "array", "items": STRING}, ["a", {"url": "b"}], ["a", "b"]),
        ({"type": "boolean"}, "off", None),
        ({"type": "boolean"}, True, True),
        ({"type": "integer"}, True, None),
        ({"type": "integer"}, "5", 5),
        ({"type": "number"}, "nan", None),
        ({"type": "number"}, 5, 5.0),
    ],
)
def test_an_output_reads_what_can_be_read_and_nothing_else(made: Any, declared: Any, received: Any, read: Any) -> None:
    model = made({"properties": {}}, output_schema={"output": {"properties": {"a": declared}}})

    assert model.Output._from_result({"output": {"a": received}}).a == read


def test_a_list_of_objects_and_urls_is_read_as_objects(made: Any) -> None:
    items = {"type": "object", "properties": {"url": STRING}}
    model = made({}, output_schema={"output": {"properties": {"a": {"type": "array", "items": items}}}})
    output = model.Output._from_result(
        {"output": {"a": [{"url": "https://a"}, None, "https://b", {"url": "c", "\ud800": 1}]}}
    )

    assert [item.url for item in output.a] == ["https://a", "https://b", "c"]
