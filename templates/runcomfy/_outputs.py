"""What generated `Output` classes are made of: as lenient as can be, since a result has been paid for.

Nothing in a result can make reading it fail. No field is required, unknown fields and values stay, and what cannot be
read as declared is None; the body as received is always in `Output.raw`.
"""

from collections.abc import Iterator
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

# One picture may come as "image" or as a list "images" of one, whatever the model.
_PAIRS = (("image", "images"), ("video", "videos"), ("audio", "audios"))
_SUFFIXES = {
    **dict.fromkeys(("png", "jpg", "jpeg", "webp", "gif", "avif", "bmp", "tif", "tiff"), "image"),
    **dict.fromkeys(("mp4", "webm", "mov", "mkv", "m4v"), "video"),
    **dict.fromkeys(("mp3", "wav", "ogg", "opus", "flac", "m4a", "aac"), "audio"),
}


class OutputObject(BaseModel):
    """An object inside an output."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    @field_validator("*", mode="wrap")
    @classmethod
    def _read(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        """A list of one and a single value stand for each other, and an object with a ``url`` and the URL itself.

        What still does not fit is None.
        """
        for candidate in _forms(value):
            try:
                return read(candidate)
            except ValidationError:
                continue
        return None


class Output(OutputObject):
    """The output of a model that succeeded."""

    _raw: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def raw(self) -> dict[str, Any]:
        """The whole result body as received."""
        return self._raw

    @classmethod
    def _from_result(cls, body: dict[str, Any]) -> Self:
        fields = _fields(body.get("output"))
        for pair in _PAIRS:
            for absent, present in (pair, pair[::-1]):
                if absent in cls.model_fields and not fields.get(absent) and fields.get(present):
                    fields[absent] = fields[present]
        output = cls.model_validate(fields)
        output._raw = body
        return output


def _fields(received: Any) -> dict[str, Any]:
    """The fields of an output; what is no object is the field ``output``, and of the fields of media by its suffix."""
    if isinstance(received, dict):
        # pydantic takes no key that UTF-8 does not have; `raw` keeps it.
        return {key: value for key, value in received.items() if _is_text(key)}
    if received is None:
        return {}
    media: dict[str, Any] = {}
    for url in received if isinstance(received, list) else [received]:
        if isinstance(url, str) and (kind := _SUFFIXES.get(_suffix(url))):
            media.setdefault(f"{kind}s", []).append(url)
    return {"output": received, **media}


def _suffix(url: str) -> str:
    return url.partition("?")[0].partition("#")[0].rpartition("/")[2].rpartition(".")[2].lower()


def _forms(value: Any) -> Iterator[Any]:
    """A value as received, then whatever else a vendor may have meant by it."""
    items = value if isinstance(value, list) else [value]
    yield value
    if not isinstance(value, list):
        yield [value]
    elif len(value) == 1:
        yield value[0]
    if items and all(isinstance(item, dict) and isinstance(item.get("url"), str) for item in items):
        urls = [item["url"] for item in items]
        yield urls[0] if len(urls) == 1 else urls
        yield urls
    elif items and all(isinstance(item, str) and item.startswith(("https:", "http:", "data:")) for item in items):
        objects = [{"url": item} for item in items]
        yield objects[0] if len(objects) == 1 else objects
        yield objects


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
