"""What every row of the dialect means for a caller: which values are taken, which are refused, and what is sent."""

import json
import re
from importlib import import_module
from typing import Any

import pytest
from conftest import sent
from workshop import understood

LORA = {"path": "a"}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("types.acme.aliases", {"strength": 0.35}),
        ("types.acme.aliases", {"strength": 1, "steps": 1, "fast": True, "name": "x", "tags": ["a"], "options": {}}),
        ("types.acme.implied", {"point": {"x": 0.5, "y": "abc"}, "tags": [], "code": "abc", "images": ["u"]}),
        ("unions.acme.unions", {"note": None}),
        ("unions.acme.unions", {"note": "n", "seed": 0, "size": "1024", "value": [0.5, 1.0], "mode": "slow"}),
        ("unions.acme.unions", {"note": "n", "size": 64, "value": 2.5, "image_size": "wide", "images": "u"}),
        ("unions.acme.unions", {"note": "n", "image_size": {"width": 64}, "bounded": "abc", "images": ["u", "v"]}),
        ("unions.acme.alternatives", {"prompt": "p", "image_url": "u", "video_url": "v"}),
        ("unions.acme.branches", {"prompt": "p"}),
        ("unions.acme.branches", {"prompt": "p", "seed": "s"}),
        ("all_of.acme.all_of", {"lora": LORA, "more": {"path": "a", "trigger": "t", "scale": 2.0}, "narrow": 4}),
        ("references.acme.references", {"loras": [LORA], "refiner": LORA, "ratio": "16:9", "shared": {"width": 1}}),
        ("references.acme.references", {"loras": [], "tree": {"name": "a", "children": [{"anything": 1}]}}),
        ("enums.acme.enums", {"integers": 10, "mixed": True, "floats": 1.5, "big": 2**63, "auto_or_number": 0.5}),
        ("enums.acme.enums", {"integers": 5, "mixed": 5, "floats": 0.5, "empty": "", "case": "1k", "one": "only"}),
        ("enums.acme.enums", {"integers": 5, "mixed": "auto", "wrong_type": "5", "objects": {"b": 2}}),
        ("enums.acme.enums", {"integers": 5, "styles": ["soft", "hard"]}),
        ("enums.acme.duration_integer", {"duration": 10}),
        ("enums.acme.duration_string", {"duration": "10"}),
        ("limits.acme.limits", {"above": 0.5, "flags": 9, "step": 72, "half": 9, "tags": ["a", "b"], "code": "ab"}),
        ("limits.acme.limits", {"points": [[1.0, 2.0]], "look_ahead": "x", "broken": "x", "never": 5, "exact": "abcd"}),
        ("limits.acme.limits", {"huge": -(10**30), "seed": 4294967295}),
        ("media.acme.names", {"tags": ["a", 1], "keyframes": [{"frame": 1, "image_url": "u"}]}),
        ("defaults.acme.defaults", {"prompt": "", "seed": 1}),
        ("required.acme.required", {"prompt": "p", "size": {"width": 1}}),
        ("objects.acme.objects", {"weights": {"a": 0.5}, "regions": {"b": {"x": 1}}, "rules": {"y": [None]}}),
        ("objects.acme.objects", {"open": {"a": "x", "b": [1]}, "pair": ["a", 1], "old_pair": [1.0, 2.0, 3.0]}),
        ("objects.acme.free", {}),
    ],
)
def test_what_fits_is_sent_as_it_is(module: Any, path: str, fields: dict[str, Any]) -> None:
    case, _, rest = path.partition(".")

    found = sent(module(case, rest).Input(**fields))

    assert json.dumps(found, sort_keys=True) == json.dumps(fields, sort_keys=True)  # 5 is not 5.0


@pytest.mark.parametrize(
    ("path", "fields", "wrong"),
    [
        ("types.acme.aliases", {}, "strength: is required"),
        ("types.acme.aliases", {"strength": 0.33}, "strength: .*multiple of 0.05"),
        ("types.acme.aliases", {"strength": 1, "steps": 0}, "steps: .*greater than or equal to 1"),
        ("types.acme.aliases", {"strength": 1, "scale": 0}, "scale: .*greater than 0"),
        ("types.acme.aliases", {"strength": 1, "name": ""}, "name: .*at least 1"),
        ("types.acme.aliases", {"strength": 1, "tags": []}, "tags: .*at least 1"),
        ("types.acme.implied", {"point": {"x": -1}}, r"point\.x: "),
        ("types.acme.implied", {"names": [1, 2, 3]}, "names: .*at most 2"),
        ("types.acme.implied", {"code": "b"}, "code: .*pattern"),
        ("unions.acme.unions", {}, "note: is required"),
        ("unions.acme.unions", {"note": "n" * 10}, "note: .*at most 9"),
        ("unions.acme.unions", {"note": None, "seed": -1}, "seed: "),
        ("unions.acme.unions", {"note": None, "size": 63}, "size"),
        ("unions.acme.unions", {"note": None, "size": "12345"}, "size"),
        ("unions.acme.unions", {"note": None, "image_size": {"width": 1}}, "image_size"),
        ("unions.acme.unions", {"note": None, "mode": "Fast"}, "mode: "),
        ("unions.acme.unions", {"note": None, "bounded": 2}, "bounded"),
        ("unions.acme.unions", {"note": None, "value": "1"}, "value"),
        ("all_of.acme.all_of", {"more": {"path": "a"}}, r"more\.trigger: is required"),
        ("all_of.acme.all_of", {"more": {"path": "a", "trigger": "t", "scale": 3}}, r"more\.scale: "),
        ("all_of.acme.all_of", {"narrow": 3}, "narrow: .*multiple of 2"),
        ("all_of.acme.all_of", {"narrow": 6}, "narrow: "),
        ("all_of.acme.all_of", {"pick": "a"}, "pick: "),
        ("references.acme.references", {"loras": [{}]}, r"loras\[0\]\.path: is required"),
        ("references.acme.references", {"loras": [], "ratio": "4:3"}, "ratio: "),
        ("enums.acme.enums", {"integers": 5.0}, "integers: .*exactly 5, of type int"),
        ("enums.acme.enums", {"integers": 5, "mixed": 1}, "mixed: "),
        ("enums.acme.enums", {"integers": 5, "floats": 0.7}, "floats: .*one of 0.5, 1, 1.5, got 0.7"),
        ("enums.acme.enums", {"integers": 5, "floats": True}, "floats: "),
        ("enums.acme.enums", {"integers": 5, "big": 2**64}, "big: .*one of 9223372036854775808, 1"),
        ("enums.acme.enums", {"integers": 5, "wrong_type": 5}, "wrong_type: "),
        ("enums.acme.enums", {"integers": 5, "case": "1Kk"}, "case: "),
        ("enums.acme.enums", {"integers": 5, "styles": ["loud"]}, r"styles\[0\]: "),
        ("enums.acme.duration_integer", {"duration": "5"}, "duration: "),
        ("enums.acme.duration_string", {"duration": 5}, "duration: "),
        ("limits.acme.limits", {"above": 1}, "above: .*less than 1"),
        ("limits.acme.limits", {"flags": 0}, "flags: .*greater than 0"),
        ("limits.acme.limits", {"half": 10}, "half: .*less than 10"),
        ("limits.acme.limits", {"tags": ["a", "b", "a"]}, "tags: Item 2 stands in the list already"),
        ("limits.acme.limits", {"tags": ["abcd"]}, r"tags\[0\]: .*at most 3"),
        ("limits.acme.limits", {"points": [[1, 1]]}, r"points\[0\]: Item 1 stands in the list already"),
        ("limits.acme.limits", {"exact": "abc"}, "exact: .*at least 4"),
        ("media.acme.formats", {"images": "u"}, "images: "),
        ("defaults.acme.defaults", {"prompt": "p"}, "seed: is required"),
        ("required.acme.required", {"prompt": "p"}, "size: is required"),
        ("required.acme.required", {"prompt": "p", "size": {}}, r"size\.width: is required"),
        ("objects.acme.objects", {"weights": {"a": -1}}, r"weights\.a: "),
        ("objects.acme.objects", {"regions": {"b": {"y": 1}}}, r"regions\.b\.y: no such field"),
        ("objects.acme.objects", {"open": {"a": 1}}, r"open\.a: "),
        ("objects.acme.objects", {"closed": {"b": 1}}, r"closed\.b: no such field"),
        ("objects.acme.objects", {"multi_prompt": [{"prompt": "p", "duration": 5}]}, r"multi_prompt\[0\]\.duration: "),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(
    module: Any, path: str, fields: dict[str, Any], wrong: str
) -> None:
    case, _, rest = path.partition(".")

    with pytest.raises(ValueError, match=f"[:;] {wrong}"):
        module(case, rest).Input(**fields)


def test_the_rules_for_media_are_there_at_run_time(module: Any, packages: Any) -> None:
    validations = module("validations", "acme.validations")
    media = import_module("golden_validations").media_fields(validations.Input)

    assert {name: item.kind for name, item in media.items()} == {
        "image": "image",
        "images": "image",
        "video": "video",
        "audio": "audio",
    }
    assert [tuple(rule) for rule in media["image"].rules] == [
        ("file_size_mb", "<", 30.0, 'The image is "too" large.'),
        ("width/height", ">", 0.0625, ""),
        ("width/height", "<", 16.0, ""),
        ("width_pixels", ">", 14.0, ""),
        ("height_pixels", ">", 14.0, ""),
    ]
    assert [tuple(rule)[:3] for rule in media["images"].rules] == [
        ("height_pixels", "<", 4096.0),
        ("file_size_mb", "<=", 10.0),
    ]


def test_the_media_inside_objects_and_lists_are_found(module: Any, packages: Any) -> None:
    media_fields = import_module("golden_objects").media_fields

    assert {name: item.kind for name, item in media_fields(module("objects", "acme.objects").Input).items()} == {
        "elements.frontal_image_url": "image",
        "elements.reference_image_urls": "image",
    }


@pytest.mark.parametrize(
    ("path", "received", "expected"),
    [
        ("wrapped", {"image": "u", "seed": 1, "kind": "new"}, {"image": "u", "seed": 1, "kind": "new"}),
        ("unwrapped", {"audio": "u", "timings": {"inference": 1}}, {"audio": "u"}),
        ("inside_the_result", {"video": "u"}, {"video": "u"}),
        ("missing", {"images": ["u"]}, {"image": "u", "images": ["u"], "video": None}),
        ("bare_string", "https://x/y", {"output": "https://x/y"}),
        ("bare_string", ["https://x/y"], {"output": "https://x/y"}),
        ("bare_list", ["a", "b"], {"output": ["a", "b"]}),
        ("bare_list", "a", {"output": ["a"]}),
        ("bare_list", None, {"output": None}),
        ("odd", {"score": "high", "labels": {"cat": 0.5}, "any": [1]}, {"score": "high", "labels": {"cat": 0.5}}),
        ("odd", {"either": "u"}, {"either": "u"}),
    ],
)
def test_every_shape_of_an_output_is_read(module: Any, path: str, received: Any, expected: dict[str, Any]) -> None:
    output = module("outputs", f"acme.{path}").Output._from_result({"output": received})

    assert {name: getattr(output, name) for name in expected} == expected
    assert output.raw == {"output": received}


@pytest.mark.parametrize(
    "image", [{"url": "https://x/a.png", "width": 5}, [{"url": "https://x/a.png"}], "https://x/a.png"]
)
def test_an_object_with_a_url_and_the_url_stand_for_each_other(module: Any, image: Any) -> None:
    output = module("outputs", "acme.nested_urls").Output._from_result({"output": {"image": image, "files": image}})

    assert output.image.url == "https://x/a.png"
    assert [file.url for file in output.files_] == ["https://x/a.png"]


def test_defaults_are_samples_and_never_sent(module: Any) -> None:
    defaults = module("defaults", "acme.defaults")

    assert sent(defaults.Input(prompt="p", seed=1)) == {"prompt": "p", "seed": 1}
    assert 'Sample: "A sample".' in defaults.run.__doc__
    assert 'Sample: "many".' in defaults.run.__doc__
    assert all(field.default is None for name, field in defaults.Input.model_fields.items() if not field.is_required())


def test_long_texts_are_cut_in_docstrings(module: Any) -> None:
    texts = module("texts", "acme.texts")

    assert 2_000 < len(texts.run.__doc__) < 5_000
    assert "提示词" not in texts.run.__doc__
    assert "描述您想要的图像。" in texts.run.__doc__


def property_(schema: Any) -> Any:
    return {"properties": {"a": schema}}


@pytest.mark.parametrize(
    ("schema", "place", "reason"),
    [
        (property_({"type": "strnig"}), "/a/type", "is 'strnig', which is no type; known are string, str, "),
        (property_({"type": ["string", 5]}), "/a/type", "is 5, which is no type"),
        (property_({"type": []}), "/a/type", r"is \[\], which is no type"),
        (property_({"type": "array", "items": {"type": "x"}}), "/a/items/type", "is 'x'"),
        (property_({"anyOf": [{"type": "x"}]}), "/a/anyOf/0/type", "is 'x'"),
        (property_({"anyOf": []}), "/a/anyOf", "is empty"),
        (property_({"oneOf": {}}), "/a/oneOf", "is not a list of schemas"),
        (property_({"allOf": [{"type": "string"}, {"type": "integer"}]}), "/a", "its parts contradict each other"),
        (property_({"enum": ["a"], "allOf": [{"enum": ["b"]}]}), "/a", "its parts contradict each other"),
        (property_({"additionalProperties": {"type": "x"}}), "/a/additionalProperties/type", "is 'x'"),
        (property_({"enum": []}), "/a/enum", "is empty"),
        (property_({"uniqueItems": "yes", "type": "array"}), "/a/uniqueItems", "is 'yes', not true or false"),
        (property_({"type": "string", "maxLength": 1.5}), "/a/maxLength", "is 1.5, not a whole number"),
        (property_({"type": "number", "multipleOf": -1}), "/a/multipleOf", "is -1, not above zero"),
        (property_({"$dynamicRef": "#a"}), "/a/$dynamicRef", "is not supported"),
        (property_(False), "/a", "allows no value"),
        (property_(5), "/a", "is not an object"),
        (property_({"required": "x", "properties": {"b": {}}}), "/a/required", "is not a list of names"),
    ],
)
def test_what_has_no_meaning_is_an_error_with_its_place(schema: Any, place: str, reason: str) -> None:
    found = understood(schema)

    assert found.modules == []
    assert [problem.pointer for problem in found.problems] == [f"/input_schema/properties{place}"]
    assert re.search(reason, found.problems[0].reason)


def test_everything_that_is_wrong_in_a_file_is_said_at_once() -> None:
    broken = {"properties": {"a": {"type": "x"}, "b": {"type": "string"}, "c": {"properties": {"d": {"enum": 5}}}}}
    found = understood(broken, output_schema={"output": {"properties": {"e": {"type": "y"}}}})

    assert [problem.pointer for problem in found.problems] == [
        "/input_schema/properties/a/type",
        "/input_schema/properties/c/properties/d/enum",
        "/output_schema/output/properties/e/type",
    ]


def test_combinations_narrow_and_widen_as_json_schema_says() -> None:
    """Each as the schema that it comes to, in plain words."""

    def plain(schema: Any) -> Any:
        return understood({"properties": {"a": schema}}).modules[0].model.input["properties"]["a"]

    assert plain({"allOf": [{"minimum": 1}, {"type": "integer", "minimum": 3}]}) == {"type": "integer", "minimum": 3}
    assert plain({"type": "integer", "allOf": [{"multipleOf": 4}, {"multipleOf": 6}]}) == {
        "type": "integer",
        "multipleOf": 12,
    }
    assert plain({"type": "number", "allOf": [{"multipleOf": 0.5}, {"multipleOf": 0.2}]})["multipleOf"] == 1
    assert plain({"enum": [1, 2, 3], "allOf": [{"minimum": 2}]}) == {"enum": [2, 3]}
    assert plain({"anyOf": [{"const": "a"}, {"const": "b"}, {"const": "a"}]}) == {"enum": ["a", "b"]}
    assert plain({"anyOf": [{}, {"type": "string"}]}) == {}
    assert plain({"anyOf": [{"type": "null"}, {"type": "string"}]}) == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert plain({"type": "string", "anyOf": [{"type": "integer"}, {"maxLength": 4}]}) == {
        "type": "string",
        "maxLength": 4,
    }
    assert plain({"type": ["integer", "null"], "enum": [1, None]}) == {"anyOf": [{"enum": [1]}, {"type": "null"}]}
    assert plain({"type": "array", "allOf": [{"items": {"minimum": 1}}, {"items": {"type": "integer"}}]}) == {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
    }
    assert json.dumps(plain({"enum": [1, 1.0, True]})) == '{"enum": [1, true]}'


def test_what_contains_itself_is_refused_before_anything_is_sent(module: Any) -> None:
    circle: dict[str, Any] = {}
    circle["itself"] = circle
    objects = module("objects", "acme.objects")

    with pytest.raises(ValueError, match="invalid input for acme/objects: not JSON"):
        sent(objects.Input(free=circle))


def test_a_number_too_long_to_be_shown_is_refused_all_the_same(module: Any) -> None:
    with pytest.raises(ValueError, match=r"strength: .*, got a value of type int"):
        module("types", "acme.aliases").Input(strength=10**5000)
