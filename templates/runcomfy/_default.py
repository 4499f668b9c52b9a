"""The clients that ``edit.run(…)`` uses when it is given none: made from the environment when first needed."""

import asyncio
import atexit
import os
from collections.abc import AsyncIterator
from threading import Lock

from ._async_client import AsyncClient
from ._client import Client
from ._settings import BASE_URL_VARIABLE, TOKEN_VARIABLES

Environment = tuple[str | None, ...]

_lock = Lock()
_clients: dict[tuple[int, Environment], Client] = {}
_async_clients: dict[tuple[asyncio.AbstractEventLoop, Environment], tuple[AsyncClient, AsyncIterator[None]]] = {}


def default_client() -> Client:
    """The client of this process; another one where the environment has changed. Closed at exit.

    Raises:
        ConfigurationError: the environment has no token.
    """
    with _lock:
        key = os.getpid(), _environment()  # a forked child must not use its parent's connections
        if key not in _clients:
            _clients[key] = Client()
            atexit.register(_clients[key].close)
        return _clients[key]


async def default_async_client() -> AsyncClient:
    """The client of the running event loop; another one where the environment has changed.

    It is closed with the loop by ``asyncio.run``.

    Raises:
        ConfigurationError: the environment has no token.
    """
    key = asyncio.get_running_loop(), _environment()
    if key not in _async_clients:
        client = AsyncClient()
        # An event loop has no exit hook of its own, but it closes the async generators that were started in it.
        closer = _until_closed(key, client)
        _async_clients[key] = client, closer
        await anext(closer)
    return _async_clients[key][0]


async def _until_closed(key: tuple[asyncio.AbstractEventLoop, Environment], client: AsyncClient) -> AsyncIterator[None]:
    try:
        yield
    finally:
        _async_clients.pop(key, None)
        await client.close()


def _environment() -> Environment:
    """What decides which account and which server a client talks to."""
    return tuple(os.environ.get(variable) for variable in (*TOKEN_VARIABLES, BASE_URL_VARIABLE))
