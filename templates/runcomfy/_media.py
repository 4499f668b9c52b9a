"""Which fields of an input are media, and the rules that RunComfy publishes for the files."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ._formats import MediaKind


class MediaRule(NamedTuple):
    """One rule for the file of a media field, from the ``validations`` of the schema; for a list, for each file of it.

    A file keeps the rule when its quantity is ``<`` (below), ``<=``, ``>`` (above) or ``>=`` the limit.
    """

    quantity: str
    """``"file_size_mb"`` (1 MB is 1,000,000 bytes), ``"width_pixels"``, ``"height_pixels"``, ``"width/height"`` or
    ``"height/width"``."""
    operator: str
    limit: float
    message: str = ""
    """The words that RunComfy has for a file that breaks the rule; may be empty."""


@dataclass(frozen=True)  # a tuple would equal that of another generated package, and typing keeps one of equals
class Media:
    """What is known of a media field."""

    kind: MediaKind
    rules: tuple[MediaRule, ...] = ()


def media_fields(model: type[BaseModel]) -> dict[str, Media]:
    """The media fields of an ``Input``, by name; those of objects inside it with dots.

    >>> from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
    >>> media_fields(edit.Input)
    {'image_url': Media(kind='image', rules=())}
    """
    return {name: media for field, info in model.model_fields.items() for name, media in _in_field(field, info)}


def _in_field(name: str, info: FieldInfo) -> Iterator[tuple[str, Media]]:
    # pydantic takes the outermost Annotated apart and keeps what was in it here.
    yield from ((name, item) for item in info.metadata if isinstance(item, Media))
    yield from _in_type(name, info.annotation)


def _in_type(name: str, annotation: Any) -> Iterator[tuple[str, Media]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from ((f"{name}.{inner}", media) for inner, media in media_fields(annotation).items())
        return
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from ((name, item) for item in arguments[1:] if isinstance(item, Media))
    for argument in arguments:
        yield from _in_type(name, argument)
