"""What can be asked about the account, as a flow: its balance."""

from . import _answers
from ._answers import Answer
from ._http_types import Flow, Request
from ._numbers import finite
from ._pace import Deadline
from ._reads import repeated

_READING = "read the balance"


def balance(timeout: float) -> Flow[float]:
    """Read the balance, in US dollars. `timeout` is that of one HTTP request, in seconds."""
    request = Request("GET", "balance", timeout, is_below_account_url=True)
    answer = yield from repeated(request, _READING, Deadline(timeout))
    found = _dollars(answer)
    if found is None:
        raise _answers.status_error(answer, f"{_READING}: the answer has no usable number")
    return found


def _dollars(answer: Answer) -> float | None:
    """The balance; in whole micro-dollars it is exact."""
    micro = answer.fields.get("balance_microdollars")
    if isinstance(micro, int) and finite(micro) is not None:
        return micro / 1_000_000
    return finite(answer.fields.get("balance_usd"))
