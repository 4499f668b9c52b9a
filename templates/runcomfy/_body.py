"""Request bodies: JSON as it was set, in which each local file becomes a ``data:`` URI on the last stretch."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from io import BytesIO
from typing import Any, NamedTuple

from pydantic import BaseModel

from ._errors import InputProblem, InputValidationError
from ._formats import Format, MediaKind
from ._local_media import Source, Unusable, encoded_size, format_of, is_local, size_of, source_of, write_data_uri
from ._media import each_media

FILE = "$file"
"""The key of the object that stands for a local file in the record of a request."""


@dataclass(frozen=True)
class Body:
    """A request body."""

    content: bytes
    """What is sent: compact JSON in UTF-8."""
    record: bytes
    """The same with facts in the place of each local file: its hash, media type, size and name."""

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        from hashlib import sha256  # it takes its time to load, and only a ledger needs it

        return sha256(self.content).hexdigest()


class _File(NamedTuple):
    """One local file of a request."""

    field: str
    value: object
    """In the form that it was given in."""
    kind: MediaKind | None
    """None where no schema tells."""


class _Measured(NamedTuple):
    """A file that is known to be fit to send."""

    source: Source
    size: int
    format: Format


class Draft:
    """A request whose files have not been read yet.

    Raises:
        InputValidationError: something in it is no JSON: another type, an infinite number, half a surrogate pair.
    """

    def __init__(self, model_id: str, arguments: object) -> None:
        self.model_id = model_id
        self.files: list[_File] = []
        self._token = os.urandom(16).hex()  # stands for the files, in a text that nobody can have guessed
        try:
            tree = self._sent(arguments, "", None)
            self._json = json.dumps(tree, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise self._invalid(InputProblem("", f"not JSON: {error}")) from None

    @property
    def arguments(self) -> dict[str, Any]:
        """What is sent, by its names on the wire, but with a mark of no meaning in the place of each local file."""
        arguments: dict[str, Any] = json.loads(self._json)
        return arguments

    def body(self, limit: int) -> Body:
        """Read the files, and put them into the JSON.

        Args:
            limit: How many bytes the body may have. It is checked before a file is read.

        Raises:
            InputValidationError: the body would be longer, or files cannot be read (any more): all that is wrong.
        """
        if not self.files:
            self._require_short(len(self._json), limit)
            return Body(self._json, self._json)
        measured = self._measured()
        marks = [json.dumps(self._mark(index)).encode() for index in range(len(measured))]
        pairs = zip(measured, self.files, strict=True)
        uris = sum(2 + encoded_size(format_, file.kind, size) for (_, size, format_), file in pairs)
        self._require_short(len(self._json) - sum(map(len, marks)) + uris, limit)
        content, record, start = BytesIO(), BytesIO(), 0
        for mark, (source, size, format_), (field, _, kind) in zip(marks, measured, self.files, strict=True):
            end = self._json.index(mark, start)
            content.write(self._json[start:end] + b'"')
            try:
                facts = write_data_uri(source, format_, kind, size, content)
            except Unusable as error:
                raise self._invalid(*(InputProblem(field, problem) for problem in error.args)) from error
            content.write(b'"')
            record.write(self._json[start:end] + json.dumps({FILE: facts._asdict()}).encode())
            start = end + len(mark)
        content.write(self._json[start:])
        record.write(self._json[start:])
        return Body(content.getvalue(), record.getvalue())

    def _measured(self) -> list[_Measured]:
        measured, problems = [], []
        for field, value, kind in self.files:
            try:
                source = source_of(value)
                measured.append(_Measured(source, size_of(source), format_of(source, kind)))
            except Unusable as error:
                problems += [InputProblem(field, problem) for problem in error.args]
        if problems:
            raise self._invalid(*problems)
        return measured

    def _require_short(self, size: int, limit: int) -> None:
        if size > limit:
            problem = (
                f"the request would have {size:,} bytes, and the limit is {limit:,}: host large files and give their"
                " URLs, or raise the client's max_request_bytes"
            )
            raise self._invalid(InputProblem("", problem))

    def _sent(self, value: Any, field: str, kind: MediaKind | None) -> Any:
        """A value as JSON has it; `field` is where it stands, `kind` that of the media field it belongs to."""
        if isinstance(value, str | int | float | None):
            return value
        if isinstance(value, BaseModel):
            return self._fields(value, f"{field}." if field else "")
        if isinstance(value, Mapping):
            before = f"{field}." if field else ""
            return {key: self._sent(item, f"{before}{key}", kind) for key, item in value.items()}
        if is_local(value):
            self.files.append(_File(field, value, kind))
            return self._mark(len(self.files) - 1)
        if isinstance(value, Sequence):
            return [self._sent(item, f"{field}[{index}]", kind) for index, item in enumerate(value)]
        return value

    def _fields(self, value: BaseModel, before: str) -> dict[str, Any]:
        """What was set, under its wire name, in schema order."""
        fields, kinds = type(value).model_fields, _kinds(type(value))
        sent = {
            name if (alias := fields[name].alias) is None else alias: self._sent(item, before + name, kinds.get(name))
            for name in fields
            if name in value.model_fields_set
            and ((item := getattr(value, name)) is not None or fields[name].is_required())
        }
        return sent | {name: self._sent(item, before + name, None) for name, item in (value.model_extra or {}).items()}

    def _mark(self, index: int) -> str:
        return f"{self._token}-{index}"

    def _invalid(self, *problems: InputProblem) -> InputValidationError:
        return InputValidationError(self.model_id, list(problems), model_id=self.model_id)


@cache
def _kinds(model: type[BaseModel]) -> dict[str, MediaKind | None]:
    """The kinds of a model's own media fields, by name; None for a field that takes several."""
    kinds: dict[str, MediaKind | None] = {}
    for name, media in each_media(model):
        kinds[name] = media.kind if kinds.get(name, media.kind) == media.kind else None
    return kinds
