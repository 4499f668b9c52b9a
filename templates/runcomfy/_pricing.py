"""What a client's budget needs: its limit, and what a submit is to be taken to cost."""

from collections.abc import Mapping
from math import isfinite

from ._answers import is_model_id
from ._book import Limit
from ._errors import ConfigurationError
from ._http_types import Flow


def limits_of(budget_usd: float | None, run: str | None = None) -> list[Limit]:
    """The limit that a budget is.

    Raises:
        ConfigurationError: it is no amount.
    """
    return [] if budget_usd is None else [Limit(_amount("budget_usd", budget_usd), run)]


class Pricing:
    """What submits are to be taken to cost.

    Args:
        prices: What is known of it, in US dollars, by model id.

    Raises:
        ConfigurationError: the prices are no amounts by model id.
    """

    def __init__(self, prices: Mapping[str, float] | None) -> None:
        if not isinstance(prices, Mapping | None):
            raise ConfigurationError(f"prices: {prices!r} is no dict of model ids and US dollars")
        for model_id in prices or ():
            if not is_model_id(model_id):
                raise ConfigurationError(f"prices: {model_id!r} is no model id")
        self._given = {model_id: _amount(f"prices: {model_id}", usd) for model_id, usd in (prices or {}).items()}

    def price(self, model_id: str) -> Flow[float | None]:
        """US dollars for one submit; None where nobody knows."""
        yield from ()
        return self._given.get(model_id)


def _amount(name: str, usd: float) -> float:
    if isinstance(usd, bool) or not isinstance(usd, int | float) or not (isfinite(usd) and 0 <= usd < 1e9):
        raise ConfigurationError(f"{name}: {usd!r} is no amount of US dollars")
    return float(usd)
