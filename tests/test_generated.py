"""Modules of the golden folders, imported and run: what is generated is what it looks like."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import samples
from conftest import CASES, GOLDEN, Kind, sent
from runcomfy.sandbox import Sandbox


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"text": ""}, "text"),
        ({"text": "x" * 501}, "text"),
        ({"count": 0}, "count"),
        ({"count": 11}, "count"),
        ({"count": 2.0}, "count"),
        ({"ratio": 0}, "ratio"),
        ({"ratio": 1.0}, "ratio"),
        ({"ratio": "0.5"}, "ratio"),
        ({"ratio": float("nan")}, "ratio"),
        ({"flag": 1}, "flag"),
        ({"flag": None}, "flag"),
        ({"step": 12}, "step"),
        ({"code": "A1"}, "code"),
        ({"style": "Plain"}, "style"),
        ({"duration": "5"}, "duration"),
        ({"duration": 6}, "duration"),
        ({"duration": 5.0}, "duration"),
        ({"duration": True}, "duration"),
    ],
)
def test_every_limit_of_a_scalar_is_enforced(module: Any, fields: dict[str, Any], wrong: str) -> None:
    scalars = module("scalars", "acme.scalars")
    valid = {"text": "x", "count": 4, "ratio": 0.5, "flag": False}

    with pytest.raises(ValueError, match=f"{wrong}: "):
        scalars.Input(**{**valid, **fields})


def test_the_fullest_input_is_sent_as_it_is(module: Any) -> None:
    full = {
        "text": "é",
        "count": 10,
        "ratio": 0.25,
        "flag": True,
        "step": 16,
        "code": 'a"1',
        "style": 'it\'s "quoted"',
        "duration": 10,
    }

    assert sent(module("scalars", "acme.scalars").Input(**full)) == full


def test_an_integer_is_a_fine_float(module: Any) -> None:
    assert sent(module("types", "acme.aliases").Input(strength=1)) == {"strength": 1.0}


def test_any_sequence_is_a_fine_list_but_no_string(module: Any) -> None:
    formats = module("media", "acme.formats")

    assert sent(formats.Input(images=("a", "b"))) == {"images": ["a", "b"]}
    for wrong in ("abc", [1], ["a"] * 10, None):
        with pytest.raises(ValueError, match="images"):
            formats.Input(images=wrong)


def test_a_dict_is_a_fine_nested_object(module: Any) -> None:
    nested = module("nested", "acme.nested")
    expected = {
        "prompt": "p",
        "loras": [{"path": "a", "scale": 1.0}, {"path": "b"}],
        "camera": {"lens": {"focal-length": 35}},
        "extra": {"any": [1, None]},
    }

    request = nested.Input(
        prompt="p",
        loras=[{"path": "a", "scale": 1}, nested.Lora(path="b", scale=None)],
        camera={"lens": nested.Lens(focal_length=35)},
        extra={"any": [1, None]},
    )

    assert sent(request) == expected
    assert nested.Input.model_validate(expected, by_alias=True, by_name=False) == request


def test_the_limits_of_items_are_enforced(module: Any) -> None:
    lists = module("nested", "acme.lists")
    full = {"points": [[0.5, 1.0]], "sizes": [512, 1024], "62-tags": ["a", None]}

    assert sent(lists.Input(points=[(0.5, 1)], sizes=[512, 1024], field_62_tags=["a", None])) == full
    for points in ([], [[0.5]], [[0.5, 2]], [[0.5, "1"]]):
        with pytest.raises(ValueError, match="points"):
            lists.Input(points=points)
    for sizes in ([513], [512.0], [True]):
        with pytest.raises(ValueError, match=r"sizes\[0\]"):
            lists.Input(points=[[0, 0]], sizes=sizes)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"loras": [{"path": "a"}, {}]}, r"loras\[1\]\.path: is required"),
        ({"loras": [{"path": "a", "scael": 1}]}, r"loras\[0\]\.scael: no such field"),
        ({"loras": [{"path": "a", "scale": 5}]}, r"loras\[0\]\.scale: .*less than or equal to 4"),
        ({"loras": [{"path": str(n)} for n in range(4)]}, "loras: .*at most 3"),
        ({"camera": {"lens": {"focal_length": "35"}}}, r"camera\.lens\.focal_length"),
        ({"camera": "wide"}, "camera: "),
    ],
)
def test_what_is_wrong_in_a_nested_object_is_said_with_its_place(
    module: Any, fields: dict[str, Any], wrong: str
) -> None:
    nested = module("nested", "acme.nested")

    with pytest.raises(ValueError, match=wrong):
        nested.Input(prompt="p", **fields)


def test_a_list_changed_after_it_was_checked_is_checked_again(module: Any) -> None:
    nested = module("nested", "acme.nested")
    loras: list[Any] = [nested.Lora(path="a")]
    request = nested.Input(prompt="p", loras=loras)
    request.loras.append("nonsense")

    with pytest.raises(ValueError, match=r"loras\[1\]"):
        sent(request)


def test_a_nested_output_is_lenient_all_the_way_down(module: Any) -> None:
    nested = module("nested", "acme.nested")

    output = nested.Output._from_result(
        {"output": {"files": {"url": "u", "size": "big", "new": 1}, "camera": [{"zoom": 2}], "more": True}}
    )

    assert output.files_[0].url == "u"
    assert output.files_[0].size is None
    assert output.files_[0].new == 1
    assert output.camera.zoom == 2.0
    assert output.more is True


def test_wire_names_are_sent_exactly(module: Any) -> None:
    v4k = module("names", "kling_ai.kling_3_0.v4k")
    schema = json.loads((GOLDEN / "names/schemas/Kling AI/kling-3.0/4k.json").read_text(encoding="utf-8"))
    wires = list(schema["input_schema"]["properties"])

    request = v4k.Input(**{name: f"value of {name}" for name in v4k.Input.model_fields})

    assert list(sent(request)) == wires
    assert len(set(sent(request).values())) == len(wires)


@pytest.mark.parametrize("full", [False, True], ids=["smallest", "fullest"])
@pytest.mark.parametrize("case", CASES)
def test_every_golden_model_runs_against_the_sandbox(
    kind: Kind, module: Any, case: str, packages: Path, full: bool
) -> None:
    package = f"golden_{case.replace('-', '_')}"
    with Sandbox(packages / package / "_schemas") as sandbox:
        client = kind.client_of(importlib.import_module(package), sandbox)
        for path in sorted((packages / package / "_schemas").rglob("*.json")):
            relative = path.relative_to(packages / package / "_schemas").as_posix().removesuffix(".json")
            model = module(case, relative.replace("/", "."))
            arguments = samples.body(json.loads(path.read_text(encoding="utf-8")), full=full)
            request = model.Input.model_validate(arguments, by_alias=True, by_name=False)

            output = kind.settle(client.run(request))

            assert isinstance(output, model.Output)
            wire = sandbox.requests[-3].json
            assert json.dumps(wire, sort_keys=True) == json.dumps(arguments, sort_keys=True)


def test_schema_texts_stay_texts(module: Any) -> None:
    hostile = module("hostile-texts", "acme.hostile")

    assert "import os; os.abort()" in hostile.__doc__
    assert "{{ 7*7 }} {% endraw %}" in hostile.__doc__
    assert hostile.Input.model_fields["d"].annotation is not None
    assert sent(hostile.Input(d='"""\nimport os; os.abort()\n"""\\'))["d"] == '"""\nimport os; os.abort()\n"""\\'


def test_a_model_whose_id_is_a_prefix_of_another_keeps_its_import_line(module: Any) -> None:
    extend, draft = module("prefixes", "acme.video.extend"), module("prefixes", "acme.video.extend.draft")

    assert (extend.MODEL_ID, draft.MODEL_ID) == ("acme/video/extend", "acme/video/extend/draft")
