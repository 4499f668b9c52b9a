"""The naming rules, example by example. A changed line is a breaking change for those who import the package."""

import keyword
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from command import SCHEMA, add_schema, codegen, files
from conftest import REFERENCE, Kind
from pydantic import BaseModel
from runcomfy.sandbox import Sandbox
from runcomfy_codegen.load import ModelSchema
from runcomfy_codegen.naming import RESERVED_FIELDS, field_names, import_path
from runcomfy_codegen.pipeline import understand


@pytest.mark.parametrize(
    ("model_id", "path"),
    [
        ("blackforestlabs/flux-1-kontext/pro/edit", "blackforestlabs.flux_1_kontext.pro.edit"),
        ("bytedance/seedance-2.5/image-to-video/1080p", "bytedance.seedance_2_5.image_to_video.v1080p"),
        ("kling/kling-video-o3/4K/text-to-video", "kling.kling_video_o3.v4k.text_to_video"),
        ("minimax/Hailuo Video 01 Live", "minimax.hailuo_video_01_live"),
        ("wan-ai/wan-2.7/edit", "wan_ai.wan_2_7.edit"),
        ("wan-ai/wan-2-7/edit", "wan_ai.wan_2_7.edit"),
        ("async/import/run", "async_.import_.run_"),
        ("acme/submit_async/con/com1", "acme.submit_async_.con_.com1_"),
        ("acme/--x--/é", "acme._x_._"),
        ("happyhorse/happyhorse-1.0/video-edit", "happyhorse.happyhorse_1_0.video_edit"),
        ("openai/sora-2", "openai.sora_2"),
        ("community/infinite-talk/fast/multi", "community.infinite_talk.fast.multi"),
        ("kling/kling-video-o3/pro/4K/edit", "kling.kling_video_o3.pro.v4k.edit"),
        ("LTX/3D Body!/1.3B", "ltx.v3d_body_.v1_3b"),
        ("acme/_runtime/run_async", "acme._runtime_.run_async_"),
        ("acme/Input/MODEL_ID", "acme.input.model_id"),
    ],
)
def test_the_import_path_of_a_model(model_id: str, path: str) -> None:
    assert ".".join(import_path(model_id)) == path


@pytest.mark.parametrize(
    ("wires", "names"),
    [
        (["prompt", "imageURL", "CFG"], ["prompt", "imageURL", "CFG"]),
        (["62_image", "68_image"], ["field_62_image", "field_68_image"]),
        (["class", "from", "None"], ["class_", "from_", "None_"]),
        (
            ["client", "self", "copy", "json", "schema", "raw"],
            ["client_", "self_", "copy_", "json_", "schema_", "raw_"],
        ),
        (["timeout", "model", "model_name", "id", "type"], ["timeout", "model", "model_name", "id", "type"]),
        (["a-b", "a b", "a_b"], ["a_b_2", "a_b_3", "a_b"]),
        (["a-b", "a.b"], ["a_b", "a_b_2"]),
        (["class", "class_"], ["class__2", "class_"]),
        (["a_b", "A_b", "aB", "ab"], ["a_b", "A_b", "aB", "ab"]),
        (["a-b", "a_b_2", "a_b"], ["a_b_3", "a_b_2", "a_b"]),
        (["4k", "field_4k"], ["field_4k_2", "field_4k"]),
        (["Job", "Client", "run", "submit", "MODEL_ID"], ["Job", "Client", "run", "submit", "MODEL_ID"]),
        (["Literal", "Any", "Field", "Input"], ["Literal_", "Any_", "Field_", "Input_"]),
        (["files", "save", "save_async"], ["files_", "save_", "save_async_"]),
        (["model_fields", "model_dump", "model_config"], ["model_fields_", "model_dump_", "model_config_"]),
        (["int", "str", "list", "type", "id", "map"], ["int_", "str_", "list_", "type", "id", "map"]),
        (["_runtime", "__class__", "__init__"], ["field_runtime", "field__class__", "field__init__"]),
        (["提示", "naïve", "\U0001fae8", "x\U00050000"], ["提示", "naïve", "field_", "x_"]),
        (["a b", " a", "a\nb"], ["a_b", "field_a", "a_b_2"]),
        (["_x", "__x__"], ["field_x", "field__x__"]),
        (["größe", "ﬁne"], ["größe", "field_ne"]),
        (["", "!", "?"], ["field", "field_", "field__2"]),
    ],
)
def test_the_names_of_fields(wires: list[str], names: list[str]) -> None:
    assert list(field_names(wires).values()) == names
    assert all(name.isidentifier() and not keyword.iskeyword(name) for name in names)


def test_every_member_of_a_pydantic_model_and_its_class_is_reserved() -> None:
    members = {name for name in (*dir(BaseModel), *dir(type(BaseModel))) if not name.startswith("_")}

    assert members <= RESERVED_FIELDS


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the list of model ids is not here")
def test_all_known_ids_have_import_paths_of_their_own_but_for_the_known_twins() -> None:
    ids = (REFERENCE / "catalog/model-ids.txt").read_text(encoding="utf-8").splitlines()
    twins: dict[tuple[str, ...], list[str]] = {}
    for model_id in filter(None, ids):
        twins.setdefault(import_path(model_id), []).append(model_id)

    assert sorted(group for group in twins.values() if len(group) > 1) == [
        ["happyhorse/happyhorse-1-0/image-to-video", "happyhorse/happyhorse-1.0/image-to-video"],
        ["happyhorse/happyhorse-1-0/text-to-video", "happyhorse/happyhorse-1.0/text-to-video"],
        ["wan-ai/wan-2-7/edit-video", "wan-ai/wan-2.7/edit-video"],
        ["wan-ai/wan-2-7/text-to-video", "wan-ai/wan-2.7/text-to-video"],
    ]


def test_the_twins_among_the_known_ids_are_settled_by_a_python_path(tmp_path: Path) -> None:
    add_schema(tmp_path, "wan-ai/wan-2-7/edit-video")
    twin = {**SCHEMA, "python_path": "wan_ai.wan_2_7_official.edit_video"}
    add_schema(tmp_path, "wan-ai/wan-2.7/edit-video", twin)
    add_schema(tmp_path, "wan-ai/wan-2.7/edit")

    assert codegen("generate", "--package", "client", cwd=tmp_path).returncode == 0

    models = tmp_path / "generated/client/models/wan_ai"
    modules = ["wan_2_7/edit_video", "wan_2_7_official/edit_video", "wan_2_7/edit"]
    ids = ["wan-ai/wan-2-7/edit-video", "wan-ai/wan-2.7/edit-video", "wan-ai/wan-2.7/edit"]
    for module, model_id in zip(modules, ids, strict=True):
        assert f'MODEL_ID = "{model_id}"\n' in (models / f"{module}.py").read_text()


def test_two_ids_that_differ_in_capitals_are_twins() -> None:
    schemas = [ModelSchema(name, f"schemas/{name}.json", SCHEMA) for name in ("acme/4K", "acme/4k")]

    understood = understand(schemas)

    assert [module.model.model_id for module in understood.modules] == ["acme/4K"]
    assert "'acme/4k' has the same import path as 'acme/4K' (schemas/acme/4K.json)" in understood.problems[0].reason


def test_adding_and_removing_a_longer_id_breaks_no_import_line(tmp_path: Path) -> None:
    """An id that is a prefix of another is a module before, and a package after; its name is the same."""
    add_schema(tmp_path, "acme/video/extend")
    program = (
        "import sys; sys.path.insert(0, 'generated'); from client.models.acme.video import extend; print(extend.run)"
    )

    def imports() -> bool:
        codegen("generate", "--package", "client", cwd=tmp_path)
        return subprocess.run([sys.executable, "-B", "-c", program], cwd=tmp_path, check=False).returncode == 0

    assert imports()
    before = files(tmp_path / "generated")
    longer = add_schema(tmp_path, "acme/video/extend/draft")
    assert imports()
    assert "client/models/acme/video/extend.py" not in files(tmp_path / "generated")
    longer.unlink()
    assert imports()
    assert files(tmp_path / "generated") == before


@pytest.mark.parametrize(
    "model_id", ["minimax/Hailuo Video 01 Live", "acme/a+b&c=d", "acme/größe", "acme/100%", "acme/a?b#c"]
)
def test_an_id_is_percent_encoded_on_the_wire(kind: Kind, tmp_path: Path, model_id: str) -> None:
    add_schema(tmp_path, model_id)
    with Sandbox(tmp_path / "schemas") as sandbox:
        output = kind.settle(kind.client(sandbox).run(model_id, {"text": "x"}))

        assert output.image
        assert sandbox.requests[0].path == f"/v1/models/{quote(model_id)}"
