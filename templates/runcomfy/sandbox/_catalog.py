"""The models that the sandbox knows: catalog entries read from schema files."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators


def _multiple_of(validator: Any, divisor: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """As JSON writes the numbers: 0.3 is a multiple of 0.05, though not in binary."""
    if not validator.is_type(value, "number"):
        return
    try:
        rest = Decimal(str(value)) % Decimal(str(divisor))
    except InvalidOperation:  # too large to tell
        rest = Decimal(not isfinite(value))
    if rest:
        yield ValidationError(f"{value!r} is not a multiple of {divisor!r}")


def _pattern(validator: Any, pattern: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """A pattern of another dialect than Python's is not checked."""
    try:
        found = not validator.is_type(value, "string") or re.search(pattern, value)
    except re.error:
        return
    if not found:
        yield ValidationError(f"{value!r} does not match {pattern!r}")


_Validator: Any = validators.extend(  # type: ignore[no-untyped-call]  # untyped in the stubs
    Draft202012Validator, {"multipleOf": _multiple_of, "pattern": _pattern}
)
_ALIASES = {
    "float": "number",
    "double": "number",
    "int": "integer",
    "bool": "boolean",
    "str": "string",
    "list": "array",
    "dict": "object",
}
_GENERIC_OUTPUT = {
    kind: {"type": "string", "format": "uri"} for kind in ("image", "video", "images", "videos", "audio", "audios")
}


@dataclass(frozen=True)
class Model:
    """One catalog entry, as ``GET /v1/models/{model_id}`` answers it."""

    entry: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.entry["model_id"])

    @property
    def price(self) -> float:
        price = self.entry.get("base_price_usd")
        return float(price) if isinstance(price, int | float) else 0.0

    @property
    def categories(self) -> list[str]:
        return [str(name) for name in self.entry.get("categories") or ()]

    @property
    def kind(self) -> str:
        """What the model makes: ``"image"``, ``"video"`` or ``"audio"``."""
        for name in (*self.categories, *reversed(self.id.split("/"))):
            for kind in ("image", "video", "audio"):
                if str(name).endswith(f"to-{kind}") or str(name) == f"edit-{kind}":
                    return kind
        return "image"

    @cached_property
    def validator(self) -> Draft202012Validator:
        validator: Draft202012Validator = _Validator(standard({"type": "object", **self.entry["input_schema"]}))
        return validator

    @property
    def output_properties(self) -> dict[str, Any]:
        schema = self.entry.get("output_schema") or {}
        schema = schema.get("output", schema)
        return dict(schema.get("properties") or _GENERIC_OUTPUT)

    def with_defaults(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments as the model gets them: what the caller left out is filled from the schema."""
        properties = self.entry["input_schema"].get("properties") or {}
        defaults = {
            name: schema["default"]
            for name, schema in properties.items()
            if isinstance(schema, dict) and schema.get("default") is not None
        }
        return {**defaults, **arguments}


def read(folder: Path) -> dict[str, Model]:
    """All schema files below a folder, by model id; a file without ``model_id`` has its path as id.

    Raises:
        ValueError: there is no such folder, or a file in it is no schema file.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    models = {}
    for path in sorted(folder.rglob("*.json")):
        try:
            entry = json.loads(path.read_bytes().decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: not JSON: {error}") from None
        if not isinstance(entry, dict) or not isinstance(entry.get("input_schema"), dict):
            raise ValueError(f"{path}: no schema file: it has no input_schema")
        entry.pop("$comment", None)
        entry.setdefault("model_id", path.relative_to(folder).as_posix().removesuffix(".json"))
        models[entry["model_id"]] = Model(entry)
    return models


def standard(schema: Any) -> Any:
    """A schema of RunComfy's dialect as standard JSON Schema, as far as checking a body needs it."""
    if isinstance(schema, list):
        return [standard(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = dict(schema)
    if "type" in plain:
        kinds = plain["type"] if isinstance(plain["type"], list) else [plain["type"]]
        plain["type"] = [_ALIASES.get(str(kind).lower(), str(kind).lower()) for kind in kinds]
    properties = plain.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    plain["properties"] = {name: standard(part) for name, part in properties.items()}
    # Some schemas require a name that is no property; nobody could ever send it.
    plain["required"] = [name for name in plain.get("required") or () if name in properties]
    for keyword in ("items", "anyOf", "oneOf", "allOf", "additionalProperties"):
        if keyword in plain:
            plain[keyword] = standard(plain[keyword])
    return plain
