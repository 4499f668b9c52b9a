"""The models that the package ships: each runs as its schema says, and says what the live catalog says."""

import importlib
import json
from typing import Any

import pytest
from conftest import REFERENCE, REPOSITORY, Kind
from runcomfy.sandbox import Sandbox
from runcomfy_codegen.load import ModelSchema, load
from runcomfy_codegen.naming import Module
from runcomfy_codegen.pipeline import understand
from samples import body

SCHEMAS = REPOSITORY / "schemas"
STARTER = [path for path in sorted(SCHEMAS.rglob("*.json")) if '"source"' in path.read_text(encoding="utf-8")]
"""The files that came with the project say where and when their facts are from; further ones need not."""
IDS = [path.relative_to(SCHEMAS).as_posix().removesuffix(".json") for path in STARTER]


def entry(model_id: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((SCHEMAS / f"{model_id}.json").read_text(encoding="utf-8"))
    return read


def imported(model_id: str) -> Any:
    """The module of a model, by the path that its schema is shipped at."""
    for path in (REPOSITORY / "generated/runcomfy/_schemas").rglob("*.json"):
        if json.loads(path.read_text(encoding="utf-8"))["model_id"] == model_id:
            relative = path.relative_to(REPOSITORY / "generated/runcomfy/_schemas").as_posix()
            return importlib.import_module(f"runcomfy.models.{relative.removesuffix('.json').replace('/', '.')}")
    raise AssertionError(f"{model_id} is not in the package")


def test_the_package_ships_the_starter_catalog_with_its_sources() -> None:
    assert len(IDS) == 78
    assert all(entry(model_id)["source"].endswith("2026-11-21.") for model_id in IDS)


@pytest.mark.parametrize("full", [False, True], ids=["smallest", "fullest"])
@pytest.mark.parametrize("model_id", IDS)
def test_every_model_sends_what_it_was_given(
    kind: Kind, sandbox: Sandbox, client: Any, model_id: str, full: bool
) -> None:
    model = imported(model_id)
    arguments = body(entry(model_id), full=full)
    names = {field.alias or name: name for name, field in model.Input.model_fields.items()}

    output = kind.call(model, "run", client, **{names[wire]: value for wire, value in arguments.items()})

    assert model_id == model.MODEL_ID
    assert sandbox.requests[0].path == f"/v1/models/{model_id}"
    assert json.dumps(sandbox.requests[0].json, sort_keys=True) == json.dumps(arguments, sort_keys=True)
    assert type(output) is model.Output
    assert output.image or output.images or output.video or output.audio


@pytest.mark.parametrize("model_id", IDS)
def test_every_required_field_is_required(model_id: str) -> None:
    model, schema = imported(model_id), entry(model_id)["input_schema"]

    required = {field.alias or name for name, field in model.Input.model_fields.items() if field.is_required()}

    assert required == set(schema.get("required", ()))


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the live catalog's answer is not here")
def test_the_live_catalog_says_the_same_of_every_field() -> None:
    live = json.loads((REFERENCE / "catalog/catalog.json").read_text(encoding="utf-8"))["models"]
    theirs = [ModelSchema(item["model_id"], f"schemas/{item['model_id']}.json", item) for item in live]
    ours = [schema for schema in load(SCHEMAS)[0] if schema.model_id in {item["model_id"] for item in live}]

    published, shipped = understand(theirs), understand(ours)

    assert (len(live), published.problems, shipped.problems) == (76, [], [])
    assert facts(published.modules) == facts(shipped.modules)


def facts(modules: list[Module]) -> dict[str, Any]:
    """Everything but the words, by model."""
    return {
        module.model.model_id: [
            (
                shape.name,
                [(member.name, member.wire, _bare(member.schema), member.required) for member in shape.members],
            )
            for shape in (*module.inputs, *module.outputs)
        ]
        for module in modules
    }


def _bare(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _bare(part) for key, part in schema.items() if key != "description"}
    return schema
