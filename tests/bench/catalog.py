"""Catalogs of any size: the shipped schemas again and again, each time a little different and under another id."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

SHIPPED = Path(__file__).parents[2] / "schemas"


def entries(count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """So many ids with their entries, always the same ones.

    A model is a shipped one with two properties of others, and with limits and choices of its own, so that no input
    schema is there twice, and hardly a limit. Outputs are as alike as those of the catalog.
    """
    return islice(_endless(), count)


def _endless() -> Iterator[tuple[str, dict[str, Any]]]:
    files = sorted(SHIPPED.rglob("*.json"))
    texts = {file.relative_to(SHIPPED).with_suffix("").as_posix(): file.read_text() for file in files}
    random = Random(1)
    properties = [item for text in texts.values() for item in json.loads(text)["input_schema"]["properties"].items()]
    for edition in range(1, 1_000_000):
        for model_id, text in texts.items():
            entry = json.loads(text)
            own = entry["input_schema"]["properties"]
            own.update((f"{name}_{edition}", dict(schema)) for name, schema in random.sample(properties, 2))
            for schema in own.values():
                if "maximum" in schema:
                    schema["maximum"] += random.randrange(1000)
                if isinstance(schema.get("enum", [0])[0], str):
                    schema["enum"] = [*schema["enum"], f"style-{random.randrange(1000)}"]
            vendor, _, rest = model_id.partition("/")
            entry["model_id"] = f"{vendor}/edition-{edition}/{rest}"
            yield entry["model_id"], entry


def write_schemas(folder: Path, count: int) -> None:
    """A folder of schema files."""
    for model_id, entry in entries(count):
        file = folder / f"{model_id}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(entry, indent=2))


def openapi(count: int) -> dict[str, Any]:
    """The same catalog as OpenAPI: for each model an operation that takes its input and gives its output."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for model_id, entry in entries(count):
        name = "".join(part.capitalize() for part in re.findall("[a-z0-9]+", model_id))
        schemas[f"{name}Input"] = {"type": "object", **_standard(entry["input_schema"])}
        output = entry.get("output_schema") or {"type": "object", "properties": {"image": {"type": "string"}}}
        schemas[f"{name}Output"] = {"type": "object", **_standard(output)}
        paths[f"/v1/models/{model_id}"] = {
            "post": {
                "operationId": f"run_{name}",
                "tags": [model_id.partition("/")[0]],
                "requestBody": {"required": True, "content": _json(f"{name}Input")},
                "responses": {"200": {"description": "The output.", "content": _json(f"{name}Output")}},
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "catalog", "version": "1"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _standard(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema as OpenAPI tools take it: without samples, formats and titles of the catalog's own, lists with items."""
    standard = {key: part for key, part in schema.items() if key not in ("default", "format", "title")}
    if standard.get("type") == "float":
        standard["type"] = "number"
    if standard.get("type") == "array":
        standard["items"] = _standard(standard.get("items", {"type": "string"}))
    if "properties" in standard:
        standard["properties"] = {name: _standard(part) for name, part in standard["properties"].items()}
    return standard
