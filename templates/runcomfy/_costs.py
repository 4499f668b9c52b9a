"""What jobs cost, as flows: the price of a model, and what one job did cost."""

from . import _answers
from ._book import Change, written
from ._catalog import get_model
from ._errors import APIConnectionError, APIStatusError, InternalServerError
from ._http_types import Flow, Pause
from ._model_info import info_from
from ._numbers import dollars
from ._pace import Deadline, backoff
from ._packaged import packaged
from ._price import Price, price_of
from ._requests import JobFlows
from ._status import end_of, is_unfinished

_LONGEST = 10.0
"""Seconds that the catalog is asked for a price, since there may be another answer in this package."""


def price(model_id: str, timeout: float) -> Flow[Price]:
    """The price in the catalog, or where that does not answer, in this package. `timeout` is in seconds."""
    try:
        info = yield from get_model(model_id, min(timeout, _LONGEST))
    except (APIConnectionError, InternalServerError):
        found = packaged(model_id)
        if found is None:
            raise
        return price_of(info_from(found.entry, model_id), "package")
    return price_of(info, "catalog")


def cost(job: JobFlows, seconds: float) -> Flow[float | None]:
    """What a job did cost, in US dollars, read again for some seconds until the API tells; None where it does not."""
    deadline = Deadline(seconds)
    reads = 0
    while deadline.remaining() > 0:
        try:
            answer = yield from job.read("result", deadline.within(job.timeout))
        except (APIConnectionError, APIStatusError) as error:
            if isinstance(error, APIStatusError) and error.code == _answers.NOT_READY:
                return None
            if reads and deadline.remaining() <= 0:  # it was told that there is no cost yet
                return None
            raise
        body = answer.fields
        end = end_of(body.get("status"))
        if end is None and (is_unfinished(body.get("status")) or _answers.output_in(body) is None):
            return None
        found = dollars(body.get("cost"))
        if end == "completed" and _answers.output_in(body) and not reads:
            yield from job.ended(end, body)
        elif found is not None:
            yield from written(job.entry.change(Change(cost_usd=found)), f"request {job.request_id} cost {found} USD")
        if found is not None or end == "cancelled":
            return found or 0.0
        reads += 1
        yield Pause(deadline.cut(backoff(reads, answer.retry_after)))
    return None
