"""What jobs of a model are said to cost: its price, and an estimate for one request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from . import _units
from ._body import Draft
from ._inputs import Input
from ._model_info import ModelInfo
from ._numbers import finite
from ._packaged import packaged

Source = Literal["catalog", "package"]

_EACH_OUTPUT = {"output", "image", "video", "audio", "item", "generation"}
_EACH_JOB = {None, "request", "job", "run"}


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a model. What a job did cost, `Job.cost` tells."""

    model_id: str
    """The model."""
    base_usd: float | None
    """US dollars for one `unit`, 0 or more; None where no price is published."""
    unit: str | None
    """What the price is for, such as ``"output"`` or ``"second"``; None where nothing is said, which means a job."""
    note: str | None
    """What else the price depends on, as prose."""
    source: Source
    """``"catalog"`` for the price of now; ``"package"`` for the one that was known when this package was generated."""
    defaults: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What the API takes for fields that are not set, by their names on the wire: the defaults of the schema."""

    def estimate(self, request: Input[Any] | Mapping[str, Any] | None = None) -> float | None:
        """What one job is likely to cost, in US dollars. It is an estimate, and no offer.

        It is the base price times the outputs that are asked for, or their seconds, whichever the price is for. What
        else a price may depend on, such as resolution or sound, is not known: see `note`. A job may cost more or less.

        Args:
            request: The input, or the arguments by their names on the wire. What is not set counts as the schema's
                default; without a request, nothing is set.

        Returns:
            The estimate; None where nobody can tell: no price is published, its unit is not known, or the length of
            the output is left to the model.

        Raises:
            ValueError: the input is one of another model.
            TypeError: `request` is neither an input nor a dict.
        """
        units = self._units({**self.defaults, **self._set(request)})
        if self.base_usd is None or units is None:
            return None
        # As the numbers are written in decimals: three times 0.1 is 0.3.
        return finite(float(Decimal(str(self.base_usd)) * Decimal(str(units))))

    def _set(self, request: object) -> dict[str, Any]:
        """What is set in a request, by its names on the wire."""
        if isinstance(request, Input):
            model_id = request._endpoint.model_id
            if model_id.casefold() != self.model_id.casefold():
                raise ValueError(f"this is the price of {self.model_id}, and the input is one of {model_id}")
            return Draft(model_id, request).arguments
        if request is None:
            return {}
        if not isinstance(request, Mapping):
            raise TypeError(f"expected an Input or a dict of arguments, got {request!r}")
        return {name: value for name, value in request.items() if value is not None}

    def _units(self, arguments: Mapping[str, Any]) -> float | None:
        unit = None if self.unit is None else self.unit.strip().casefold().removesuffix("s")
        if unit in _EACH_JOB:
            return 1.0
        count = _units.count(arguments)
        if unit in _EACH_OUTPUT:
            return count
        seconds = _units.seconds(arguments) if unit == "second" else None
        return None if seconds is None or count is None else seconds * count


def price_of(info: ModelInfo, source: Source) -> Price:
    """The price in a catalog entry."""
    schema = info.input_schema
    if schema is None:
        found = packaged(info.model_id)
        schema = found.entry["input_schema"] if found else {}
    return Price(info.model_id, info.base_price_usd, info.price_unit, info.pricing_note, source, _defaults(schema))


def _defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    return {
        name: part["default"]
        for name, part in (properties if isinstance(properties, dict) else {}).items()
        if isinstance(part, dict) and part.get("default") is not None
    }
