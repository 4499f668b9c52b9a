"""The naming rules, example by example. A changed line is a breaking change for those who import the package."""

import keyword

import pytest
from conftest import REFERENCE
from pydantic import BaseModel
from runcomfy_codegen.naming import RESERVED_FIELDS, field_names, import_path


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
        (["_x", "__x__"], ["field_x", "field__x__"]),
        (["größe", "ﬁne"], ["größe", "field_ne"]),
        (["", "!", "?"], ["field", "field_", "field__2"]),
    ],
)
def test_the_names_of_fields(wires: list[str], names: list[str]) -> None:
    assert list(field_names(wires).values()) == names
    assert all(name.isidentifier() and not keyword.iskeyword(name) for name in names)


def test_every_member_of_a_pydantic_model_is_reserved() -> None:
    members = {name for name in dir(BaseModel) if not name.startswith("_")}

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
