"""What the catalog says of one model."""

from dataclasses import dataclass, field
from typing import Any

from ._numbers import dollars


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What the catalog says of one model.

    RunComfy's API pages do not describe these fields; what they mean is what RunComfy's own clients make of them. What
    the catalog leaves out, or gives in another shape, is None or empty here, and as received in `raw`.
    """

    model_id: str
    """The id to run it by, such as ``"blackforestlabs/flux-1-kontext/pro/edit"``. Upper and lower case matter."""
    display_name: str | None = None
    """Its name for people."""
    description: str | None = None
    """What it does, as prose."""
    categories: tuple[str, ...] = ()
    """What it makes of what: ``"text-to-image"``, ``"image-to-video"``, …"""
    kind: str | None = None
    """How it is executed: ``"model"``, ``"workflow"`` or ``"inference"``."""
    base_price_usd: float | None = None
    """US dollars for one `price_unit`, 0 or more. What a job costs may depend on its input, and be less or more."""
    price_unit: str | None = None
    """What the price is for, such as ``"output"`` (one image) or ``"second"``."""
    pricing_note: str | None = None
    """What else the price depends on, as prose."""
    model_url: str | None = None
    """The model's page on the web."""
    required_inputs: tuple[str, ...] = ()
    """The names of the fields that an input must have."""
    input_schema: dict[str, Any] | None = field(default=None, hash=False)
    """The JSON schema of its input, in RunComfy's dialect; in a list, only with ``include_schema=True``."""
    output_schema: dict[str, Any] | None = field(default=None, hash=False)
    """The JSON schema of its output, where the catalog has one."""
    raw: dict[str, Any] = field(default_factory=dict, repr=False, hash=False)
    """The whole entry as received."""


def info_from(entry: dict[str, Any], model_id: str) -> ModelInfo:
    """Read an entry; nothing in it can make this fail."""
    return ModelInfo(
        model_id=model_id,
        display_name=_text(entry.get("display_name")),
        description=_text(entry.get("description")),
        categories=_texts(entry.get("categories")),
        kind=_text(entry.get("kind")),
        base_price_usd=dollars(entry.get("base_price_usd")),
        price_unit=_text(entry.get("price_unit")),
        pricing_note=_text(entry.get("pricing_note")),
        model_url=_text(entry.get("model_url")),
        required_inputs=_texts(entry.get("required_inputs")),
        input_schema=_object(entry.get("input_schema")),
        output_schema=_object(entry.get("output_schema")),
        raw=entry,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None
