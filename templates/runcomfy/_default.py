"""The clients that ``edit.run(…)`` uses when it is given none: made from the environment when first needed."""

import asyncio
import atexit
import os
from collections.abc import AsyncIterator
from threading import Lock
from weakref import WeakKeyDictionary

from ._async_client import AsyncClient
from ._client import Client

_lock = Lock()
_clients: dict[int, Client] = {}
_async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[AsyncClient, AsyncIterator[None]]] = (
    WeakKeyDictionary()
)


def default_client() -> Client:
    """The client of this process; closed at exit.

    Raises:
        ConfigurationError: the environment has no token.
    """
    with _lock:
        process = os.getpid()
        if process not in _clients:
            _clients.clear()  # a forked child must not use its parent's connections
            _clients[process] = Client()
            atexit.register(_clients[process].close)
        return _clients[process]


async def default_async_client() -> AsyncClient:
    """The client of the running event loop; closed with it by ``asyncio.run``.

    Raises:
        ConfigurationError: the environment has no token.
    """
    loop = asyncio.get_running_loop()
    if loop not in _async_clients:
        client = AsyncClient()
        # An event loop has no exit hook of its own, but it closes the async generators that were started in it.
        closer = _closing(client)
        await anext(closer)
        _async_clients[loop] = client, closer
    return _async_clients[loop][0]


async def _closing(client: AsyncClient) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await client.close()
