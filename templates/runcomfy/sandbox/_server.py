"""`Sandbox`: the application on a free port of this machine, in a thread of its own."""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from threading import Thread
from typing import Any, Self

import uvicorn

from .._numbers import dollars
from . import _catalog
from ._app import ReceivedRequest, State, application
from ._connections import Server, protocol
from ._faults import Faults
from ._jobs import Job, Pace
from ._variant import Variant
from ._wallet import Wallet

__all__ = ["ReceivedRequest", "Sandbox"]


class Sandbox:
    """A local server of the Model API; use it in a ``with`` block, or call `start` and `stop`.

    Args:
        schemas: A folder of schema files; without one, the schemas that this package was generated from.
        queue_seconds: How long a job stays in the queue.
        run_seconds: How long a job runs.
        queue_reads: How often a job's status is read before it leaves the queue, whatever the clock says.
        run_reads: How often a job's status is read before it ends, once it runs.
        queue_length: The first queue position; it counts down to 1.
        token: The API token to accept; without one, a new one each time.
        more_tokens: Tokens of other accounts, which see none of the jobs of `token`.
        port: The port of 127.0.0.1; 0 takes a free one.
        prices: Base prices in US dollars, by model id, in the place of those in the schema files; the units stay.
        balance: US dollars in the account. Each job is paid from it when it is accepted: the base price of its model
            times the files that it makes, or their seconds, whichever the price is for. Cancelled jobs are refunded.
        variant: Which answers to give where the sources about the API disagree.

    Attributes:
        token: The API token to use.
    """

    def __init__(
        self,
        schemas: Path | str | None = None,
        *,
        queue_seconds: float = 0.0,
        run_seconds: float = 0.0,
        queue_reads: int = 0,
        run_reads: int = 0,
        queue_length: int = 3,
        token: str | None = None,
        more_tokens: Sequence[str] = (),
        port: int = 0,
        prices: Mapping[str, float] | None = None,
        balance: float = 100.0,
        variant: Variant | None = None,
    ) -> None:
        variant = variant or Variant()
        folder = Path(schemas) if schemas is not None else Path(__file__).parents[1] / "_schemas"
        models = _catalog.read(folder)
        for model_id, price in (prices or {}).items():
            if model_id not in models:
                raise ValueError(f"prices: there is no model {model_id}")
            if dollars(price) is None:
                raise ValueError(f"prices: {model_id}: {price!r} is no amount of US dollars")
            models[model_id].entry["base_price_usd"] = price
        self.token = token or f"sandbox-{token_hex(12)}"
        self._port = port
        self._state = State(
            models=models,
            tokens=frozenset([self.token, *more_tokens]),
            pace=Pace(queue_seconds, run_seconds, queue_reads, run_reads, queue_length),
            wallet=Wallet(balance, charge_failed=variant.charge_failed),
            variant=variant,
        )
        self._listener: socket.socket | None = None
        self._server: Server | None = None
        self._thread: Thread | None = None

    @property
    def base_url(self) -> str:
        """For ``Client(base_url=…)``: ``http://127.0.0.1:<port>/v1``."""
        if self._listener is None:
            raise RuntimeError("the sandbox is not running")
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    @property
    def models(self) -> list[str]:
        """The ids of the models it serves."""
        return sorted(self._state.models)

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Every request received so far, in order; also those of files."""
        return self._state.requests

    @property
    def accepted(self) -> list[Job]:
        """Every job accepted so far, in order."""
        self._state.wallet.settle()
        return list(self._state.jobs.values())

    @property
    def balance(self) -> float:
        """US dollars that are left."""
        return self._state.wallet.balance / 1_000_000

    @property
    def charged(self) -> float:
        """US dollars that were charged and not refunded, exact to the micro-dollar."""
        return self._state.wallet.charged / 1_000_000

    @property
    def faults(self) -> Faults:
        """What is to go wrong: append a `Fault` for the next request of its endpoint, or draw them `at_random`."""
        return self._state.faults

    def fail_next(self, error: Any) -> None:
        """Let the next accepted job fail with this ``error``: text, an object, or a list."""
        self._state.errors.append(error)

    def reset(self) -> None:
        """Forget all jobs, requests and faults, and restore the balance; models and token stay."""
        state = self._state
        for memory in (state.jobs, state.requests, state.faults, state.errors):
            memory.clear()
        state.wallet.reset()

    def start(self) -> Self:
        """Listen and serve; returns once requests are accepted.

        Raises:
            RuntimeError: it runs already.
            OSError: the port is taken.
        """
        if self._listener is not None:
            raise RuntimeError("the sandbox is running already")
        # asyncio answers without delay only on a socket that is expressly one of TCP: else each answer takes 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name == "posix":  # elsewhere, this would let a port be shared with another server
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self._port))
            listener.listen(4096)
        except BaseException:
            listener.close()
            raise
        self._listener = listener
        config = uvicorn.Config(
            application(self._state),
            http=protocol(self._state.transports),
            log_level="critical",
            lifespan="off",
            access_log=False,
            proxy_headers=False,
        )
        self._server = Server(config, self._state.transports)
        self._thread = Thread(target=self._server.run, args=([self._listener],), name="runcomfy-sandbox", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving; open connections are closed. May be called more than once."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join()
        if self._listener is not None:
            self._listener.close()
        self._listener = self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
