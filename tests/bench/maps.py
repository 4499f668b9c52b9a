"""Whether a map over many inputs takes more memory than one over few."""

from collections.abc import Iterator

from .figures import Figure, ratio
from .measure import Pairs, python
from .servers import server

_PROGRAM = """
import asyncio, sys
from runcomfy import AsyncClient
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

async def main():
    inputs = (edit.Input(prompt=f"prompt {n}", image_url="https://example.com/in.webp") for n in range(COUNT))
    failed = 0
    async with AsyncClient("token", "URL") as client:
        async for result in client.map(inputs, concurrency=50):
            failed += result.error is not None
    sys.exit(bool(failed))

asyncio.run(main())
"""


def figures() -> Iterator[Figure]:
    """Map over 1,000 and over 100,000 inputs."""

    def peak(count: int) -> float:
        return python(_PROGRAM.replace("URL", url).replace("COUNT", str(count))).peak_mib

    with server() as url:
        found = Pairs([peak(100_000)], [peak(1000)])
    yield ratio("`map` over 100,000 inputs (peak memory)", "1,000 inputs", 1.1, found, "MiB")
