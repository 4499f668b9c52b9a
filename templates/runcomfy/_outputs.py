"""What generated `Output` classes are made of: as lenient as can be, since a result has been paid for.

Nothing in a result can make reading it fail. No field is required, unknown fields and values stay, and what cannot be
read as declared is None; the body as received is always in `Output.raw`.
"""

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


class OutputObject(BaseModel):
    """An object inside an output."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    @field_validator("*", mode="wrap")
    @classmethod
    def _read(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        """A list of one and a single value stand for each other; what still does not fit is None."""
        other = value[0] if isinstance(value, list) and len(value) == 1 else [value]
        for candidate in (value, other):
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
        received = body.get("output")
        # pydantic takes no key that UTF-8 does not have; `raw` keeps it.
        fields = {key: value for key, value in received.items() if _is_text(key)} if isinstance(received, dict) else {}
        for pair in _PAIRS:
            for absent, present in (pair, pair[::-1]):
                if absent in cls.model_fields and not fields.get(absent) and fields.get(present):
                    fields[absent] = fields[present]
        output = cls.model_validate(fields)
        output._raw = body
        return output


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
