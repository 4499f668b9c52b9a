"""Request bodies: JSON as it was set, in which each local file becomes a ``data:`` URI on the last stretch."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from secrets import token_hex
from typing import Any, NamedTuple

from pydantic import BaseModel

from . import _local_media
from ._errors import InputProblem, InputValidationError
from ._formats import MediaKind
from ._local_media import Source, Unusable
from ._media import each_media

FILE = "$file"
"""The key of the object that stands for a local file in the record of a request."""


class Body(NamedTuple):
    """A request body."""

    content: bytes
    """What is sent: compact JSON in UTF-8."""
    record: bytes
    """The same with facts in the place of each local file: its hash, media type, size and name."""


class LocalFile(NamedTuple):
    """One local file of a request."""

    field: str
    source: Source
    kind: MediaKind | None
    """None where no schema tells."""


class Draft:
    """A request whose files have not been read yet.

    Raises:
        InputValidationError: something in it is no JSON: another type, an infinite number, half a surrogate pair.
    """

    def __init__(self, model_id: str, arguments: object) -> None:
        self.model_id = model_id
        self.files: list[LocalFile] = []
        self._token = token_hex(16)  # stands for the files, in a text that nobody can have guessed
        try:
            tree = self._sent(arguments, "", None)
            self._json = json.dumps(tree, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except InputValidationError:
            raise
        except (TypeError, ValueError, RecursionError) as error:
            raise self._invalid("", f"not JSON: {error}") from None

    def body(self, limit: int) -> Body:
        """Read the files, and put them into the JSON.

        Args:
            limit: How many bytes the body may have. It is checked before a file is read.

        Raises:
            InputValidationError: the body would be longer, or a file cannot be read any more.
        """
        sizes = []
        for file in self.files:
            with self._naming(file.field):
                sizes.append(_local_media.size_of(file.source))
        total = len(self._json) + sum(map(_local_media.encoded_size, sizes))
        if total > limit:
            raise self._invalid(
                "",
                f"the request would have {total / 1e6:.1f} MB, and the limit is {limit / 1e6:.1f} MB: host large files"
                " and give their URLs, or raise the client's max_request_bytes",
            )
        if not self.files:
            return Body(self._json, self._json)
        content, record, rest = BytesIO(), BytesIO(), self._json
        for index, (file, size) in enumerate(zip(self.files, sizes, strict=True)):
            before, _, rest = rest.partition(json.dumps(self._mark(index)).encode())
            content.write(before + b'"')
            with self._naming(file.field):
                facts = _local_media.write_data_uri(file.source, file.kind, size, content)
            content.write(b'"')
            record.write(before + json.dumps({FILE: facts._asdict()}).encode())
        content.write(rest)
        record.write(rest)
        return Body(content.getvalue(), record.getvalue())

    def _sent(self, value: Any, field: str, kind: MediaKind | None) -> Any:
        """A value as JSON has it; `field` is where it stands, `kind` that of the media field it belongs to."""
        if isinstance(value, str | int | float | None):
            return value
        if isinstance(value, BaseModel):
            return self._fields(value, f"{field}." if field else "")
        if isinstance(value, Mapping):
            before = f"{field}." if field else ""
            return {key: self._sent(item, f"{before}{key}", None) for key, item in value.items()}
        if _local_media.is_local(value):
            with self._naming(field):
                self.files.append(LocalFile(field, _local_media.source_of(value), kind))
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

    @contextmanager
    def _naming(self, field: str) -> Iterator[None]:
        try:
            yield
        except Unusable as error:
            problems = [InputProblem(field, problem) for problem in error.args]
            raise InputValidationError(self.model_id, problems, model_id=self.model_id) from error

    def _invalid(self, field: str, problem: str) -> InputValidationError:
        return InputValidationError(self.model_id, [InputProblem(field, problem)], model_id=self.model_id)


@cache
def _kinds(model: type[BaseModel]) -> dict[str, MediaKind | None]:
    """The kinds of a model's own media fields, by name; None for a field that takes several."""
    kinds: dict[str, MediaKind | None] = {}
    for name, media in each_media(model):
        kinds[name] = media.kind if kinds.get(name, media.kind) == media.kind else None
    return kinds
