"""The models of this package: the catalog entries that it was generated from."""

import json
import re
from collections.abc import Iterator
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
    for file in _candidates(model_id):
        content = file.read_bytes()
        if wanted in content and (entry := json.loads(content))["model_id"] == model_id:
            path = file.relative_to(_SCHEMAS).with_suffix("").parts
            return Packaged(entry, ".".join((f"{__package__}.models", *path)))
    return None


def _candidates(model_id: str) -> Iterator[Path]:
    """The place that an id mostly has, then all of them: a schema may have named another one."""
    names = [re.sub("^(?=[0-9])", "v", re.sub("[^a-z0-9]+", "_", part.lower())) for part in model_id.split("/")]
    usual = _SCHEMAS.joinpath(*names[:-1], f"{names[-1]}.json")
    if usual.is_file():
        yield usual
    yield from sorted(_SCHEMAS.rglob("*.json"))
