"""What the functions of a model module do, with the client they are given or with the default one.

The input is made, and so checked, before a client is looked for: what is wrong with it is said without a token, too.
"""

from ._async_client import AsyncClient, AsyncJob
from ._client import Client, Job
from ._default import default_async_client, default_client
from ._inputs import Input, OutT


def run(client: Client | None, request: Input[OutT]) -> OutT:
    return _sync(client).run(request)


def submit(client: Client | None, request: Input[OutT]) -> Job[OutT]:
    return _sync(client).submit(request)


async def run_async(client: AsyncClient | None, request: Input[OutT]) -> OutT:
    return await (await _async(client)).run(request)


async def submit_async(client: AsyncClient | None, request: Input[OutT]) -> AsyncJob[OutT]:
    return await (await _async(client)).submit(request)


def _sync(client: object) -> Client:
    if client is None:
        return default_client()
    if not isinstance(client, Client):
        raise TypeError(f"expected a Client, got {client!r}; an AsyncClient goes with run_async and submit_async")
    return client


async def _async(client: object) -> AsyncClient:
    if client is None:
        return await default_async_client()
    if not isinstance(client, AsyncClient):
        raise TypeError(f"expected an AsyncClient, got {client!r}; a Client goes with run and submit")
    return client
