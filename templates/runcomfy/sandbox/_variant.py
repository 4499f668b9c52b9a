"""Which of two answers the sandbox gives where the sources about the API disagree."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Variant:
    """Switches; the defaults are what the API's pages say, or, where they are silent, what most of its clients expect.

    RunComfy's own clients and their tests are the source of all the others.

    Args:
        succeeded: The word of a result for success; also ``"completed"``.
        cancelled: The word for a cancelled job; also ``"canceled"``.
        failed_status: Whether the status of a failed job is ``failed``; else it is ``completed``, and only the result
            tells.
        not_ready: The answer to a result that is not there yet: 200 with the state, or 400 with error code 400005.
        accepted: The HTTP status of an accepted submit: 200 or 202.
        bad_token: The HTTP status for a token that is not accepted: 401 or 400; the error code is 400004.
        low_balance: The HTTP status for a balance that is too low: 402 or 400; the error code is 400002.
        echo: Whether a result repeats the model id and the input.
        lists: Whether one file comes as a list of one, where the output schema has both keys: ``images`` instead of
            ``image``.
        audio_twice: Whether audio comes under both of its keys, ``audio`` and ``audios``, where the output schema has
            both.
        cost_after: How many reads of the result of a job that has ended are without its cost, before the others tell it
            where they ask for it.
        charge_failed: Whether failed jobs are charged. No source tells; by default they are refunded when they end,
            since prices are for what is made, and they make nothing.
    """

    succeeded: str = "succeeded"
    cancelled: str = "cancelled"
    failed_status: bool = False
    not_ready: Literal[200, 400] = 200
    accepted: Literal[200, 202] = 200
    bad_token: Literal[400, 401] = 401
    low_balance: Literal[400, 402] = 402
    echo: bool = False
    lists: bool = False
    audio_twice: bool = False
    cost_after: int = 0
    charge_failed: bool = False
