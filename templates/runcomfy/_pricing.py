"""What a client's budget needs: its limit, and what a submit is to be taken to cost."""

from collections.abc import Mapping
from concurrent.futures import Future
from math import isfinite
from threading import Lock
from time import monotonic

from . import _costs
from ._answers import is_model_id
from ._body import Draft
from ._book import Limit
from ._errors import ConfigurationError, RunComfyError
from ._http_types import Flow, awaited
from ._price import Price

_FRESH = 600.0
"""Seconds that a price of the catalog is taken for the price of now."""
_FOR_A_WISH = 2.0
"""Seconds that the catalog may take to tell it."""
_AGAIN = 60.0
"""Seconds after which the catalog is asked again that did not tell a price that nobody needs."""


def limits_of(budget_usd: float | None, run: str | None = None) -> list[Limit]:
    """The limit that a budget is.

    Raises:
        ConfigurationError: it is no amount.
    """
    return [] if budget_usd is None else [Limit(_amount("budget_usd", budget_usd), run)]


class Pricing:
    """What submits are to be taken to cost.

    Args:
        prices: What is known of it, in US dollars, by model id. Of the others, the price is read in the catalog.

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
        self._lock = Lock()
        self._read: dict[str, tuple[Price, float]] = {}
        self._reading: dict[str, Future[Price | None]] = {}
        self._failed_at: dict[str, float] = {}

    def estimate(self, draft: Draft, timeout: float, *, is_needed: bool, is_wished: bool) -> Flow[float | None]:
        """US dollars for one submit; None where nobody knows, or it is neither needed nor wished.

        Raises:
            RunComfyError: it is needed, and the price cannot be read.
        """
        model_id = draft.model_id
        if model_id in self._given:
            return self._given[model_id]
        if not is_needed and (not is_wished or monotonic() - self._failed_at.get(model_id, -_AGAIN) < _AGAIN):
            return None
        try:
            price = yield from self._price(model_id, timeout if is_needed else min(timeout, _FOR_A_WISH))
        except RunComfyError:
            if is_needed:
                raise
            self._failed_at[model_id] = monotonic()
            return None
        return price.estimate(draft.arguments)

    def _price(self, model_id: str, timeout: float) -> Flow[Price]:
        """The price of a model, which many submits at once read once."""
        while True:
            with self._lock:
                known, at = self._read.get(model_id, (None, 0.0))
                if known is not None and monotonic() - at < _FRESH:
                    return known
                other = self._reading.get(model_id)
                if other is None:
                    own = self._reading[model_id] = Future[Price | None]()
                    own.set_running_or_notify_cancel()  # whoever no longer waits for it does not end it for the others
                    break
            if (told := (yield from awaited(other))) is not None:
                return told
        found: Price | None = None
        failure: Exception | None = None
        try:
            price = found = yield from _costs.price(model_id, timeout)
        except Exception as error:
            failure = error
            raise
        finally:
            with self._lock:
                del self._reading[model_id]
                if found is not None:
                    self._read[model_id] = found, monotonic()
            if failure is None:
                own.set_result(found)  # None where this flow was given up: then another one reads
            else:
                own.set_exception(failure)
        return price


def _amount(name: str, usd: float) -> float:
    if isinstance(usd, bool) or not isinstance(usd, int | float) or not (isfinite(usd) and 0 <= usd < 1e9):
        raise ConfigurationError(f"{name}: {usd!r} is no amount of US dollars")
    return float(usd)
