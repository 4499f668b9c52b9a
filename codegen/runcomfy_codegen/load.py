"""Schema files in, one `ModelSchema` each out: that they can be read, and are entries of a catalog."""

import json
from dataclasses import dataclass
from math import isinf
from pathlib import Path
from typing import Any, NamedTuple

from .errors import Problem, SchemaError, pointer
from .literals import is_printable

MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class ModelSchema:
    """One schema file as it stands."""

    model_id: str
    source: str
    """The file as it is named in errors and headers: ``schemas/vendor/model.json``, on every machine."""
    entry: dict[str, Any]
    """The whole file: a catalog entry with the keys ``input_schema`` and, where known, ``output_schema``."""


def load(folder: Path) -> tuple[list[ModelSchema], list[Problem]]:
    """Read every ``*.json`` below a folder, in the order of their ids. What cannot be read is a `Problem`.

    Hidden files and folders are passed over.
    """
    if not folder.is_dir():
        return [], [Problem(str(folder), "", "no such folder")]
    schemas: list[ModelSchema] = []
    problems: list[Problem] = []
    found = False
    for path in sorted(folder.rglob("*.json"), key=lambda path: path.relative_to(folder).as_posix()):
        relative = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in relative.split("/")):
            continue  # an editor's or a tool's own file
        found = True
        source = f"{folder.resolve().name}/{relative}"
        try:
            schemas.append(_read(path, source, relative.removesuffix(".json")))
        except SchemaError as error:
            problems.extend(error.problems)
    if not found:  # rather a mistyped folder than the wish for a package without models
        problems.append(Problem(str(folder), "", "has no schema files (*.json)"))
    return schemas, problems


def _read(path: Path, source: str, model_id: str) -> ModelSchema:
    entry = parse(_bytes(path, source), source)
    if not isinstance(entry, dict):
        raise SchemaError(Problem(source, "", f"a schema file is a JSON object, this is {_kind(entry)}"))
    if not isinstance(entry.get("input_schema"), dict):
        bare = "; put this schema into it" if "properties" in entry else ""
        reason = (
            f"is missing{bare}" if "input_schema" not in entry else f"is {_kind(entry['input_schema'])}, not an object"
        )
        raise SchemaError(Problem(source, "/input_schema", reason))
    if not isinstance(entry.get("output_schema") or {}, dict):
        raise SchemaError(Problem(source, "/output_schema", f"is {_kind(entry['output_schema'])}, not an object"))
    if entry.get("model_id", model_id) != model_id:
        raise SchemaError(
            Problem(source, "/model_id", f"is {entry['model_id']!r}, but the file's path says {model_id!r}")
        )
    if any(segment in (".", "..") or "\\" in segment or not is_printable(segment) for segment in model_id.split("/")):
        raise SchemaError(Problem(source, "", f"{model_id!r} cannot be a model id"))
    return ModelSchema(model_id, source, entry)


def _bytes(path: Path, source: str) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SchemaError(Problem(source, "", f"is larger than {MAX_BYTES} bytes"))
        return path.read_bytes()
    except OSError as error:
        raise SchemaError(Problem(source, "", f"cannot be read: {error.strerror}")) from None


class _Duplicate(NamedTuple):
    """Stands for an object in which a key stands twice."""

    key: str


class _Constant(NamedTuple):
    """Stands for a number that JSON does not have."""

    name: str


def parse(data: bytes, source: str) -> Any:
    """Parse one JSON document strictly: no key twice in an object, no NaN; a byte order mark is tolerated."""
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_Constant)
        _refuse_marks(value, source, ())
    except UnicodeDecodeError as error:
        raise SchemaError(Problem(source, "", f"is not UTF-8 (byte {error.start})")) from None
    except json.JSONDecodeError as error:
        raise SchemaError(Problem(source, "", error.msg, f"{error.lineno}:{error.colno}")) from None
    except RecursionError:
        raise SchemaError(Problem(source, "", "is nested too deeply")) from None
    except ValueError as error:  # an integer with thousands of digits
        raise SchemaError(Problem(source, "", str(error))) from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Duplicate:
    keys = [key for key, _ in pairs]
    if len(set(keys)) == len(keys):
        return dict(pairs)
    return _Duplicate(next(key for key in keys if keys.count(key) > 1))


def _refuse_marks(value: Any, source: str, at: tuple[str | int, ...]) -> None:
    if isinstance(value, _Duplicate):
        raise SchemaError(Problem(source, pointer(*at, value.key), "stands twice in one object"))
    if isinstance(value, _Constant):
        raise SchemaError(Problem(source, pointer(*at), f"is {value.name}, which JSON does not have"))
    if isinstance(value, float) and isinf(value):
        raise SchemaError(Problem(source, pointer(*at), "is larger than any number that can be sent"))
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        _refuse_marks(part, source, (*at, key))


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
