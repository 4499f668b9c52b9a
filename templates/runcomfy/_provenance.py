"""What a saved file came from: a JSON sidecar beside it, and the way back from there to the input."""

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

from . import __version__
from ._body import FILE
from ._download_rules import without_secrets
from ._errors import InputProblem, InputValidationError
from ._file_names import sidecar_of
from ._formats import HEAD, detect
from ._inputs import Input
from ._numbers import dollars
from ._packaged import packaged
from ._record import without_media
from ._source import Source

_WORDS_ONLY = {"title", "description", "default", "examples", "$comment"}
"""What of a schema decides nothing about a request."""


class ReproductionWarning(UserWarning):
    """What is different today from when a file was saved."""


class Provenance:
    """What the sidecars of all files of one output have in common.

    Args:
        body: The result body.
        source: The request.
    """

    def __init__(self, body: Mapping[str, Any], source: Source) -> None:
        sent = source.sent
        model_id = source.model_id or _text(body.get("model_id"))
        found = packaged(model_id) if model_id else None
        entry = found.entry if found else None
        self._facts = {
            "runcomfy": __version__,
            "model_id": model_id,
            "request_id": source.request_id,
            "input": without_media(body.get("input") if sent is None else json.loads(sent.record)),
            "cost_usd": dollars(body.get("cost")),
            "submitted_at": None if sent is None else _iso(sent.at),
            "created_at": _text(body.get("created_at")),
            "finished_at": _text(body.get("finished_at")),
            "schema_sha256": None if entry is None else schema_hash(entry),
            "input_schema": None if entry is None else entry["input_schema"],
        }

    def sidecar(self, file: Path, url: str) -> bytes:
        """The sidecar of a saved file: where it came from, and what it is."""
        with file.open("rb") as content:
            format_ = detect(content.read(HEAD))
        status = file.stat()
        facts = {
            **self._facts,
            "url": without_secrets(url),
            "saved_at": _iso(status.st_mtime),
            "file": {
                "name": file.name,
                "media_type": format_.media_type if format_ else None,
                "size": status.st_size,
                "sha256": _hash(file),
            },
        }
        # Half a surrogate pair, which UTF-8 does not have, becomes the escape that JSON has for it.
        return json.dumps(facts, ensure_ascii=False, indent=2).encode(errors="backslashreplace")


def reproduce(
    file: str | PathLike[str], *, media: str | PathLike[str] | Iterable[str | PathLike[str]] = ()
) -> Input[Any]:
    """The input that a saved file was made from, read from the sidecar beside it; nothing is sent.

    ``client.run(runcomfy.reproduce("out/cat.png"))`` runs it once more. What has changed since, in the schema or in the
    file itself, is said in a `ReproductionWarning`.

    Args:
        file: The saved file, or its sidecar.
        media: Where the local files of the input may be found again; they are known by their content.

    Raises:
        InputValidationError: there is no sidecar or it cannot be read; its model is not in this package; a local file
            of the input is not among `media`; or the schema does not take the input any more.
    """
    path = Path(file)
    if path.suffix != ".json" or sidecar_of(path).is_file():
        path = sidecar_of(path)
    facts = _read(path)
    model_id = facts["model_id"]
    found = packaged(model_id)
    if found is None:
        raise _invalid(path, "model_id", f"{model_id} is not in this package; its input stands in the sidecar")
    entry, module = found
    changes = [*_changed_file(path, facts), *_schema_changes(facts.get("input_schema"), entry["input_schema"])]
    if changes:
        warnings.warn(f"since {path.name} was written: {'; '.join(changes)}", ReproductionWarning, stacklevel=2)
    files = [media] if isinstance(media, str | PathLike) else media
    body = _Files(path, map(Path, files)).put_into(facts["input"])
    request: Input[Any] = import_module(module).Input.model_validate(body, by_alias=True, by_name=False)
    return request


def schema_hash(entry: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of the input and output schema of a catalog entry."""
    schemas = [entry.get("input_schema"), entry.get("output_schema")]
    return sha256(json.dumps(schemas, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_bytes())
    except OSError as error:
        raise _invalid(
            path, "", f"the sidecar cannot be read: {error.strerror}; output.save(…, sidecar=True) writes one"
        ) from None
    except (ValueError, RecursionError):
        raise _invalid(path, "", "not JSON") from None
    if not isinstance(facts, dict) or not isinstance(facts.get("model_id"), str):
        raise _invalid(path, "model_id", "the sidecar does not tell the model")
    if not isinstance(facts.get("input"), dict):
        raise _invalid(path, "input", "the sidecar does not tell the input: its job was resumed by its id")
    return facts


def _changed_file(path: Path, facts: Mapping[str, Any]) -> Iterator[str]:
    file, saved = path.with_name(path.name.removesuffix(".json")), facts.get("file")
    if isinstance(saved, dict) and file.is_file() and _hash(file) != saved.get("sha256"):
        yield "the file has other content"


def _schema_changes(old: object, new: Mapping[str, Any]) -> Iterator[str]:
    """What has changed in the input schema, field by field."""
    if not isinstance(old, dict):
        return
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key) and key not in _WORDS_ONLY | {"properties", "required"}:
            yield f"{key} was {_shown(old.get(key))} and is {_shown(new.get(key))}"
    was, now = _properties(old), _properties(new)
    yield from (f"the field {name} is gone" for name in was if name not in now)
    yield from (f"the field {name} is new" for name in now if name not in was)
    for name in was:
        if name in now:
            for key in dict.fromkeys((*was[name], *now[name])):
                before, after = was[name].get(key), now[name].get(key)
                if before != after and key not in _WORDS_ONLY:
                    yield f"{name}: {key} was {_shown(before)} and is {_shown(after)}"


def _properties(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields of a schema, each with whether it is required among its keywords."""
    properties, required = schema.get("properties"), schema.get("required")
    return {
        name: {**(part if isinstance(part, dict) else {}), "required": isinstance(required, list) and name in required}
        for name, part in (properties if isinstance(properties, dict) else {}).items()
    }


class _Files:
    """Local files, found again by their content."""

    def __init__(self, sidecar: Path, files: Iterable[Path]) -> None:
        self._sidecar = sidecar
        self._files = list(files)
        self._by_hash: dict[str, Path] | None = None
        self._missing: list[InputProblem] = []

    def put_into(self, body: Any) -> Any:
        """A request body with the files in the places of the facts about them."""
        try:
            found = self._found(body, "")
        except RecursionError:
            raise _invalid(self._sidecar, "input", "is nested beyond measure") from None
        if self._missing:
            raise InputValidationError(self._sidecar.name, self._missing)
        return found

    def _found(self, value: Any, field: str) -> Any:
        if isinstance(value, list):
            return [self._found(item, f"{field}[{index}]") for index, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if value.keys() == {FILE} and isinstance(value[FILE], dict):
            return self._file(value[FILE], field)
        return {key: self._found(item, f"{field}.{key}".removeprefix(".")) for key, item in value.items()}

    def _file(self, facts: Mapping[str, Any], field: str) -> Path | None:
        if self._by_hash is None:
            try:
                self._by_hash = {_hash(file): file for file in self._files}
            except OSError as error:
                raise _invalid(self._sidecar, "media", f"{error.filename} cannot be read: {error.strerror}") from None
        file = self._by_hash.get(str(facts.get("sha256")))
        if file is None:
            name = f" {facts['name']!r}" if facts.get("name") else ""
            known = f"SHA-256 {facts.get('sha256')}, {facts.get('media_type')}, {facts.get('size')} bytes"
            self._missing.append(InputProblem(field, f"was the local file{name} ({known}); give its path in media=[…]"))
        return file


def _invalid(path: Path, field: str, problem: str) -> InputValidationError:
    return InputValidationError(str(path), [InputProblem(field, problem)])


def _hash(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as content:
        return file_digest(content, "sha256").hexdigest()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:99]}…"
