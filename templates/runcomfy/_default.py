"""The clients that ``edit.run(…)`` uses when it is given none: made from the environment when first needed."""

import atexit
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from ._async_client import AsyncClient
from ._client import Client
from ._settings import BASE_URL_VARIABLE, TOKEN_VARIABLES

if TYPE_CHECKING:
    import asyncio

_clients: dict[bytes, Client] = {}
_async_clients: "dict[tuple[asyncio.AbstractEventLoop, bytes], tuple[AsyncClient, AsyncIterator[None]]]" = {}


def default_client() -> Client:
    """The client of this process; another one where the environment has changed. Closed at exit.

    Raises:
        ConfigurationError: the environment has no token.
    """
    key = _environment()
    if key not in _clients:
        client = Client()
        if _clients.setdefault(key, client) is client:
            atexit.register(client.close)
    return _clients[key]


async def default_async_client() -> AsyncClient:
    """The client of the running event loop; another one where the environment has changed.

    It is closed with the loop by ``asyncio.run``.

    Raises:
        ConfigurationError: the environment has no token.
    """
    import asyncio  # which programs without an event loop do without

    key = asyncio.get_running_loop(), _environment()
    if key not in _async_clients:
        for closed in [known for known in _async_clients if known[0].is_closed()]:
            del _async_clients[closed]  # its loop was closed without the end that asyncio.run gives it
        client = AsyncClient()
        # An event loop has no exit hook of its own, but it closes the async generators that were started in it.
        closer = _until_closed(key, client)
        _async_clients[key] = client, closer
        await anext(closer)
    return _async_clients[key][0]


async def _until_closed(key: "tuple[asyncio.AbstractEventLoop, bytes]", client: AsyncClient) -> AsyncIterator[None]:
    try:
        yield
    finally:
        _async_clients.pop(key, None)
        await client.close()


def _environment() -> bytes:
    """What decides which account and which server a client talks to; hashed, since the token is part of it."""
    from hashlib import sha256  # it takes its time to load

    values = [os.environ.get(variable) for variable in (*TOKEN_VARIABLES, BASE_URL_VARIABLE)]
    return sha256(repr(values).encode(errors="surrogatepass")).digest()
