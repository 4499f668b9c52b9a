"""Schema files in, one `ModelSchema` each out: that they can be read, and are entries of a catalog."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isinf
from pathlib import Path
from typing import Any, NamedTuple

from .errors import Place, Problem, SchemaError, pointer
from .literals import is_printable

MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class ModelSchema:
    """One schema file as it stands."""

    model_id: str
    source: str
    """As that of its `SchemaFile`."""
    entry: dict[str, Any]
    """The whole file: a catalog entry with the keys ``input_schema`` and, where known, ``output_schema``."""


@dataclass(frozen=True)
class SchemaFile:
    """One schema file, not looked into yet."""

    model_id: str
    source: str
    """The file as it is named in errors and headers: ``schemas/vendor/model.json``, on every machine."""
    content: bytes


class Listed(NamedTuple):
    """One schema file, not read yet."""

    folder: Path
    relative: str
    source: str
    """As that of its `SchemaFile`."""

    @property
    def model_id(self) -> str:
        return self.relative.removesuffix(".json")

    def read(self) -> SchemaFile:
        """Its content.

        Raises:
            SchemaError: it cannot be read.
        """
        return SchemaFile(self.model_id, self.source, _content(self.folder, self.relative, self.source))


def load(folder: Path) -> tuple[list[ModelSchema], list[Problem]]:
    """Read every ``*.json`` below a folder, in the order of their ids. What cannot be read is a `Problem`."""
    files, problems = find_some(folder)
    schemas: list[ModelSchema] = []
    for file in files:
        try:
            schemas.append(parse_file(file))
        except SchemaError as error:
            problems.extend(error.problems)
    return schemas, problems


def find(folder: Path) -> tuple[list[SchemaFile], list[Problem]]:
    """The schema files below a folder, in the order of their ids, and what is wrong with others."""
    files: list[SchemaFile] = []
    found, problems = listed(folder)
    for file in found:
        try:
            files.append(file.read())
        except SchemaError as error:
            problems.extend(error.problems)
    return files, problems


def find_some(folder: Path) -> tuple[list[SchemaFile], list[Problem]]:
    """As `find`, where no files at all are a `Problem`: rather a mistyped folder than a package without models."""
    files, problems = find(folder)
    return files, problems or nothing_in(folder, files)


def nothing_in(folder: Path, files: Sequence[object]) -> list[Problem]:
    """The `Problem` of a folder that has no schema files."""
    return [] if files else [Problem(str(folder), "", "has no schema files (*.json)")]


def listed(folder: Path) -> tuple[list[Listed], list[Problem]]:
    """The schema files below a folder, in the order of their ids, none of them read.

    Hidden files and folders are passed over. A folder that cannot be listed is a `Problem`: its models are not gone.
    """
    if not folder.is_dir():
        return [], [Problem(str(folder), "", "no such folder")]
    problems: list[Problem] = []
    root = folder.resolve()
    return [Listed(root, path, f"{root.name}/{path}") for path in sorted(_paths(root, problems))], problems


def _paths(root: Path, problems: list[Problem]) -> Iterator[str]:
    """The paths of all schema files, relative to the folder."""

    def note(path: str, reason: str) -> None:
        problems.append(Problem((Path(root.name) / Path(path).relative_to(root)).as_posix(), "", reason))

    def unreadable(error: OSError) -> None:
        note(error.filename, f"cannot be read: {error.strerror}")

    for place, folders, names in os.walk(root, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]  # an editor's or a tool's own
        for name in folders:
            path = os.path.join(place, name)  # there are many
            if os.path.islink(path):
                note(path, "is a symbolic link to a folder; none is followed")
            elif name.endswith(".json"):
                note(path, "is a folder, not a schema file")
        above = place[len(str(root)) :].replace(os.sep, "/").lstrip("/")
        for name in names:
            if name.endswith(".json") and not name.startswith("."):
                yield f"{above}/{name}" if above else name


def _content(folder: Path, relative: str, source: str) -> bytes:
    path = folder / relative
    if not path.resolve().is_relative_to(folder):
        raise SchemaError(Problem(source, "", f"leads to {path.resolve()}, outside of the folder"))
    return read_bytes(path, source)


def read_bytes(path: Path, source: str, most: int = MAX_BYTES) -> bytes:
    """The content of a file of people's own."""
    try:
        if not path.is_file() and path.exists():
            raise SchemaError(Problem(source, "", "is no file"))
        if path.stat().st_size > most:
            raise SchemaError(Problem(source, "", f"is larger than {most} bytes"))
        return path.read_bytes()
    except OSError as error:
        raise SchemaError(Problem(source, "", f"cannot be read: {error.strerror}")) from None


def parse_file(file: SchemaFile) -> ModelSchema:
    """Look into a schema file.

    Raises:
        SchemaError: it is no JSON, or no entry of a catalog.
    """
    return schema_of(parse(file.content, file.source), file.model_id, file.source)


def schema_of(entry: object, model_id: str, source: str, at: Place = ()) -> ModelSchema:
    """An entry of a catalog, `at` a place of its source, which has to be that of the model.

    Raises:
        SchemaError: it is none.
    """
    if not isinstance(entry, dict):
        raise SchemaError(Problem(source, pointer(*at), f"a schema file is a JSON object, this is {kind_of(entry)}"))
    if not isinstance(entry.get("input_schema"), dict):
        bare = "; put this schema into it" if "properties" in entry else ""
        given = entry.get("input_schema")
        reason = f"is missing{bare}" if "input_schema" not in entry else f"is {kind_of(given)}, not an object"
        raise SchemaError(Problem(source, pointer(*at, "input_schema"), reason))
    if not isinstance(entry.get("output_schema") or {}, dict):
        reason = f"is {kind_of(entry['output_schema'])}, not an object"
        raise SchemaError(Problem(source, pointer(*at, "output_schema"), reason))
    if entry.get("model_id", model_id) != model_id:
        reason = f"is {entry['model_id']!r}, but the file's path says {model_id!r}"
        raise SchemaError(Problem(source, pointer(*at, "model_id"), reason))
    if any(segment in (".", "..") or "\\" in segment or not is_printable(segment) for segment in model_id.split("/")):
        raise SchemaError(Problem(source, "", f"{model_id!r} cannot be a model id"))
    return ModelSchema(model_id, source, entry)


class _Duplicate(NamedTuple):
    """Stands for an object in which a key stands twice."""

    key: str


class _Constant(NamedTuple):
    """Stands for a number that JSON does not have."""

    name: str


def parse(data: bytes, source: str) -> Any:
    """Parse one JSON document strictly: no key twice in an object, no NaN; a byte order mark is tolerated."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SchemaError(Problem(source, "", f"is not UTF-8 (byte {error.start})")) from None
    return parse_text(text, source)


def parse_text(text: str, source: str) -> Any:
    """Parse the text of one JSON document as strictly; positions count from its beginning."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_Constant)
        _refuse_marks(value, source, ())
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


def kind_of(value: object) -> str:
    """What a JSON value is, in a sentence."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
