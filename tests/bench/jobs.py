"""Runs jobs with one client, as its users do, and prints what they took: ``python jobs.py CLIENT URL JOBS IN_FLIGHT``.

It runs where the client is installed. Every job is one submit and two reads, and no client pauses between them.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from time import perf_counter, process_time
from typing import Any

INPUT = {"prompt": "Make it rain", "image_url": "https://example.com/in.webp", "seed": 7, "aspect_ratio": "16:9"}
TOKEN = "measured-token"
WARM_UP = 200

Job = Callable[[], object]
AsyncJob = Callable[[], Awaitable[object]]


def httpx_sync(url: str) -> Job:
    client = import_module("httpx").Client(base_url=f"{url}/v1", headers={"Authorization": f"Bearer {TOKEN}"})

    def job() -> object:
        request_id = client.post("/models/acme/model", json=INPUT).raise_for_status().json()["request_id"]
        client.get(f"/requests/{request_id}/status").raise_for_status().json()
        return client.get(f"/requests/{request_id}/result").raise_for_status().json()["output"]

    return job


def runcomfy_sync(url: str) -> Job:
    edit: Any = import_module("runcomfy.models.blackforestlabs.flux_1_kontext.pro.edit")
    client = import_module("runcomfy").Client(TOKEN, url)
    return lambda: edit.run(client, **INPUT)


def httpx_async(url: str) -> AsyncJob:
    client = import_module("httpx").AsyncClient(base_url=f"{url}/v1", headers={"Authorization": f"Bearer {TOKEN}"})

    async def job() -> object:
        submitted = await client.post("/models/acme/model", json=INPUT)
        request_id = submitted.raise_for_status().json()["request_id"]
        (await client.get(f"/requests/{request_id}/status")).raise_for_status().json()
        return (await client.get(f"/requests/{request_id}/result")).raise_for_status().json()["output"]

    return job


def runcomfy_async(url: str) -> AsyncJob:
    edit: Any = import_module("runcomfy.models.blackforestlabs.flux_1_kontext.pro.edit")
    client = import_module("runcomfy").AsyncClient(TOKEN, url)
    return lambda: edit.run_async(client, **INPUT)


def fal_async(url: str) -> AsyncJob:
    module: Any = import_module("fal_client.client")
    module.QUEUE_URL_FORMAT = f"{url}/"  # it has no setting for http
    client = module.AsyncClient(key="measured:token")
    return lambda: client.subscribe("acme/model", INPUT, interval=0)


def replicate_async(url: str) -> AsyncJob:
    client = import_module("replicate.client").Client(TOKEN, base_url=url)
    client.poll_interval = 0
    return lambda: client.async_run("acme/model", INPUT, wait=False, use_file_output=False)


def _run(job: Job, jobs: int) -> None:
    for _ in range(jobs):
        job()


async def _run_async(job: AsyncJob, jobs: int, in_flight: int) -> None:
    numbers = iter(range(jobs))

    async def work() -> None:
        for _ in numbers:
            await job()

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(work())


async def _measure_async(client: str, url: str, jobs: int, in_flight: int) -> None:
    job = globals()[client](url)
    await _run_async(job, WARM_UP, in_flight)
    started = perf_counter(), process_time()
    await _run_async(job, jobs, in_flight)
    _print(*started)


def _print(wall: float, cpu: float) -> None:
    print(json.dumps({"seconds": perf_counter() - wall, "cpu": process_time() - cpu}))


def main(client: str, url: str, jobs: int, in_flight: int) -> None:
    if client.endswith("_async"):
        asyncio.run(_measure_async(client, url, jobs, in_flight))
        return
    job = globals()[client](url)
    _run(job, WARM_UP)
    started = perf_counter(), process_time()
    _run(job, jobs)
    _print(*started)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
