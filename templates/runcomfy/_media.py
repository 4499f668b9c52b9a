"""Which fields of an input are media, and what they take."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import (
    BaseModel,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    SerializationInfo,
    ValidationError,
    ValidatorFunctionWrapHandler,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from . import _local_media
from ._formats import MediaKind
from ._local_media import MediaInput, Unusable
from ._media_rules import MediaRule

MediaField = Annotated[MediaInput, GetPydanticSchema(lambda *_: core_schema.str_schema(strict=True))]
"""The type of a media field. Its limits are about the URL, as they are published; `Media` takes the files."""


@dataclass(frozen=True)  # a tuple would equal that of another generated package, and typing keeps one of equals
class Media:
    """What is known of a media field."""

    kind: MediaKind
    rules: tuple[MediaRule, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A URL is checked as the text that it is, a file as the file that it is; as JSON, both are texts."""
        return core_schema.no_info_wrap_validator_function(
            self._validated,
            handler(source),
            serialization=core_schema.plain_serializer_function_ser_schema(self._serialised, info_arg=True),
        )

    def _validated(self, value: object, as_url: ValidatorFunctionWrapHandler) -> object:
        try:
            if not isinstance(value, str):
                return _local_media.usable(value, self.kind, self.rules)
            _local_media.require_no_file_name(value)
        except Unusable as error:
            raise ValidationError.from_exception_data(
                "media", [_detail(problem, value) for problem in error.args]
            ) from None
        # What limits a URL is not about a file, also where that was stored as a data: URI and is read again.
        return value if value[:5].lower() == "data:" else as_url(value)

    def _serialised(self, value: Any, information: SerializationInfo) -> Any:
        is_file = isinstance(value, Path | bytes) and information.mode_is_json()
        return _local_media.data_uri(value, self.kind) if is_file else value


def _detail(problem: str, value: object) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError("media", "{problem}", {"problem": problem}), input=value)


def media_fields(model: type[BaseModel]) -> dict[str, Media]:
    """The media fields of an ``Input``, by name; those of objects inside it with dots.

    >>> from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
    >>> media_fields(edit.Input)
    {'image_url': Media(kind='image', rules=())}
    """
    return dict(each_media(model))


def each_media(model: type[BaseModel]) -> Iterator[tuple[str, Media]]:
    """The media fields of an ``Input``; one that takes several kinds, several times."""
    for field, info in model.model_fields.items():
        yield from _in_field(field, info)


def _in_field(name: str, info: FieldInfo) -> Iterator[tuple[str, Media]]:
    # pydantic takes the outermost Annotated apart and keeps what was in it here.
    yield from ((name, item) for item in info.metadata if isinstance(item, Media))
    yield from _in_type(name, info.annotation)


def _in_type(name: str, annotation: Any) -> Iterator[tuple[str, Media]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from ((f"{name}.{inner}", media) for inner, media in each_media(annotation))
        return
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from ((name, item) for item in arguments[1:] if isinstance(item, Media))
    for argument in arguments:
        yield from _in_type(name, argument)
