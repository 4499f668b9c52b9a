"""What generated `Output` classes are made of: as lenient as can be, since a result has been paid for.

Nothing in a result can make reading it fail. No field is required, unknown fields and values stay, and what cannot be
read as declared is None; the body as received is always in `Output.raw`.
"""

from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from ._answers import is_request_id, is_url, output_in
from ._source import Source
from ._urls import kind_of_url, media_urls

# One picture may come as "image" or as a list "images" of one, whatever the model.
_PAIRS = (("image", "images"), ("video", "videos"), ("audio", "audios"))


class OutputObject(BaseModel):
    """An object inside an output."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    @field_validator("*", mode="wrap")
    @classmethod
    def _read(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        """A list of one and a single value stand for each other, and an object with a ``url`` and the URL itself.

        What still does not fit is None.
        """
        with suppress(RecursionError):  # a value nested beyond measure
            for candidate in _forms(value):
                try:
                    found = read(candidate)
                except ValidationError:
                    continue
                if _means(candidate, found):
                    return found
        return None


class Output(OutputObject):
    """The output of a model that succeeded."""

    _raw: dict[str, Any] = PrivateAttr(default_factory=dict)
    _source: Source = PrivateAttr(default_factory=Source)

    @property
    def raw(self) -> dict[str, Any]:
        """The whole result body as received."""
        return self._raw

    @property
    def files(self) -> list[str]:
        """The URLs of all files in the output, in the order of `raw`, each once."""
        return media_urls(self._shown)

    @property
    def _shown(self) -> Any:
        """The output as received; the fields of one that was stored and read again, which has nothing else."""
        return output_in(self._raw) if self._raw else self.model_dump()

    def save(
        self,
        folder: str | PathLike[str],
        *,
        overwrite: bool = False,
        max_bytes: int = 2 * 1024**3,
        timeout: float = 600.0,
        allowed_hosts: Sequence[str] = (),
        allow_http: bool = False,
        decode: bool = False,
        parallel: int = 4,
        sidecar: bool = False,
    ) -> list[Path]:
        """Fetch all `files` into a folder, which is made if need be. The token is never sent.

        A file is named after the job and its position in `files`, with the suffix of what is in it:
        ``8f14e45f-1.png``. One that is there already is kept as it is, so that a call that failed half-way can be
        repeated.

        Args:
            folder: Where to.
            overwrite: Whether files that are there already are fetched again, and replaced.
            max_bytes: As for `download`, of each file.
            timeout: As for `download`, of all files together.
            allowed_hosts: As for `download`.
            allow_http: As for `download`.
            decode: As for `download`.
            parallel: How many files are fetched at a time.
            sidecar: Whether to write beside each file, as ``8f14e45f-1.png.json``, how it was made: the model, its
                schema, the input as it was sent (of a local file the hash), the job, its cost if the API told it, the
                times, and the SHA-256 of the file. `runcomfy.reproduce` reads it.

        Returns:
            The files, in the order of `files`.

        Raises:
            DownloadError: at least one file could not be fetched; all have been tried. The output stays as it is.
            ConfigurationError: an option cannot be used; nothing was fetched.
        """
        from ._background import run
        from ._downloads import Options, saving

        options = Options(overwrite, max_bytes, timeout, allowed_hosts, allow_http, decode, parallel, sidecar)
        return run(saving(self.files, self._raw, folder, self._source, options))

    async def save_async(
        self,
        folder: str | PathLike[str],
        *,
        overwrite: bool = False,
        max_bytes: int = 2 * 1024**3,
        timeout: float = 600.0,
        allowed_hosts: Sequence[str] = (),
        allow_http: bool = False,
        decode: bool = False,
        parallel: int = 4,
        sidecar: bool = False,
    ) -> list[Path]:
        """Fetch all `files`, beside the event loop. As `save`; the cancellation of the task ends it at once."""
        from ._background import run_async
        from ._downloads import Options, saving

        options = Options(overwrite, max_bytes, timeout, allowed_hosts, allow_http, decode, parallel, sidecar)
        return await run_async(saving(self.files, self._raw, folder, self._source, options))

    def _repr_html_(self) -> str:
        """What a notebook shows: the pictures and players of the `files`, and what else is in the output."""
        from ._display import output_html
        from ._download_rules import Rules, origin_of

        return output_html(type(self).__name__, self._shown, Rules(origin_of(self._source.origin or "")))

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, str]:
        from ._display import bundle

        return bundle(self, self._repr_html_(), include, exclude)

    @classmethod
    def _from_result(cls, body: dict[str, Any], source: Source | None = None) -> Self:
        fields = _fields(output_in(body))
        for pair in _PAIRS:
            for absent, present in (pair, pair[::-1]):
                if absent in cls.model_fields and not fields.get(absent) and fields.get(present):
                    fields[absent] = fields[present]
        output = cls.model_validate(fields)
        output._raw = body
        request_id = body.get("request_id")
        output._source = source or Source(request_id=request_id if is_request_id(request_id) else None)
        return output


def _fields(received: Any) -> dict[str, Any]:
    """The fields of an output; what is no object is the field ``output``, and of the fields of media by its suffix."""
    if isinstance(received, dict):
        return {key: value for key, value in received.items() if _is_text(key)}
    if received is None:
        return {}
    media: dict[str, Any] = {}
    for url in map(_url, received if isinstance(received, list) else [received]):
        if isinstance(url, str) and (kind := kind_of_url(url)):
            media.setdefault(f"{kind}s", []).append(url)
    return {"output": received, **media}


def _forms(value: Any) -> Iterator[Any]:
    """A value as received, then whatever else a vendor may have meant by it."""
    yield value
    items = [_clean(item) for item in value if item is not None] if isinstance(value, list) else [_clean(value)]
    for form in (items, [_url(item) for item in items], [_with_url(item) for item in items]):
        yield form
        if len(form) == 1:
            yield form[0]


def _means(received: Any, found: Any) -> bool:
    """Whether a value was read as what it is: "off" is no False, true no 1, and "nan" no number."""
    if isinstance(found, float) and not isfinite(found):
        return False
    return not isinstance(found, int | float) or isinstance(found, bool) is isinstance(received, bool)


def _url(item: Any) -> Any:
    return item["url"] if isinstance(item, dict) and isinstance(item.get("url"), str) else item


def _with_url(item: Any) -> Any:
    return {"url": item} if is_url(item) else item


def _clean(value: Any) -> Any:
    """Without the keys that UTF-8 does not have, and pydantic does not take; `raw` keeps them."""
    if isinstance(value, dict):
        return {key: _clean(part) for key, part in value.items() if _is_text(key)}
    return [_clean(part) for part in value] if isinstance(value, list) else value


def _is_text(key: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in key)


class MediaOutput(Output):
    """The output of a model whose output schema is not known: what the API's pages show for every model.

    All values are URLs.
    """

    image: str | None = None
    images: list[str] | None = None
    video: str | None = None
    videos: list[str] | None = None
    audio: str | None = None
    audios: list[str] | None = None
