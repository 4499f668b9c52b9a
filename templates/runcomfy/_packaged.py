"""The models of this package: the catalog entries that it was generated from."""

import json
from pathlib import Path
from typing import Any, NamedTuple

_SCHEMAS = Path(__file__).parent / "_schemas"


class Packaged(NamedTuple):
    """One model of this package."""

    entry: dict[str, Any]
    """Its catalog entry, as it was when the package was generated."""
    module: str
    """The full name of its module."""


def packaged(model_id: str) -> Packaged | None:
    """The model of an id; None where it is not in this package."""
    wanted = json.dumps(model_id, ensure_ascii=False).encode(errors="replace")
    for file in sorted(_SCHEMAS.rglob("*.json")):
        content = file.read_bytes()
        if wanted in content and (entry := json.loads(content))["model_id"] == model_id:
            path = file.relative_to(_SCHEMAS).with_suffix("").parts
            return Packaged(entry, ".".join((f"{__package__}.models", *path)))
    return None
