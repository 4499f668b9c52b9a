"""``make soak``: thousands of jobs through faults of every kind, by a program that is killed again and again.

The program runs one ``client.map`` with a ledger, sync and async by turns. Whatever happens to it: in the end nothing
is lost, nothing was paid twice, and the ledger agrees with the sandbox's book to the micro-dollar.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from runcomfy import Client, Ledger
from runcomfy._packaged import packaged
from runcomfy.models.blackforestlabs.flux_1_kontext.max import text_to_image
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.models.bytedance.seedance_2_5.image_to_video import v480p
from runcomfy.sandbox import Job, Sandbox, Variant

RUN = "soak"
PRICES = {
    edit.MODEL_ID: (0.04, "output"),
    text_to_image.MODEL_ID: (0.000001, "request"),
    v480p.MODEL_ID: (0.013, "second"),
}
PROGRAM = """
import asyncio, json, resource, sys
import soak
from runcomfy import AsyncClient, Client

kind, ledger, jobs, in_flight = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
settings = {"ledger": ledger, "budget_usd": 1e6, "timeout": 30.0, "poll_interval": 0.1}
options = {"run": soak.RUN, "concurrency": in_flight}

def told(result):
    print(json.dumps([result.index, result.request_id, type(result.error).__name__]))

async def run():
    async with AsyncClient(**settings) as client:
        async for result in client.map(soak.inputs(jobs), **options):
            told(result)

if kind == "async":
    asyncio.run(run())
else:
    with Client(**settings) as client:
        for result in client.map(soak.inputs(jobs), **options):
            told(result)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
"""


@dataclass
class Figures:
    """What a soak has seen."""

    jobs: int
    in_flight: int
    kills: int = 0
    passes: int = 0
    requests: int = 0
    failed_jobs: int = 0
    unknown_submits: int = 0
    refused_submits: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0
    peak_mib: float = 0.0


def inputs(count: int) -> Iterator[Any]:
    """Inputs of three models; one in ten is equal to one before."""
    for number in range(count):
        prompt = f"picture {number - number % 10 if number % 10 == 9 else number}"
        if number % 3 == 0:
            yield edit.Input(prompt=prompt, image_url="https://example.com/in.png")
        elif number % 3 == 1:
            yield text_to_image.Input(prompt=prompt)
        else:
            yield v480p.Input(prompt=prompt, image="https://example.com/in.png", duration=4 + number % 9)


def soak(folder: Path, jobs: int, in_flight: int, kills: int, seed: int) -> Figures:
    """Run and kill the program until all jobs have ended, then compare the books.

    Raises:
        AssertionError: something was lost, paid twice, or is told differently.
    """
    figures, started = Figures(jobs, in_flight), perf_counter()
    ledger = folder / "jobs.sqlite3"
    schemas = _schemas(folder / "schemas")
    with Sandbox(schemas, queue_seconds=0.2, run_seconds=0.3, balance=1e6, variant=Variant(cost_after=1)) as sandbox:
        sandbox.faults.at_random(0.05, seed)
        results: list[list[Any]] = []
        while not results or _has_more(results):
            figures.passes += 1
            assert figures.passes < 20 + kills, "it comes to no end"
            kind = ("async", "sync")[figures.passes % 2]
            results = _pass(sandbox, figures, kind, ledger, jobs * (figures.kills + 1) // (kills + 1), kills, folder)
            _resolve(sandbox, ledger, figures)
        figures.requests = len(sandbox.requests)
        sandbox.faults.clear()
        with Client(sandbox.token, sandbox.base_url, ledger=ledger) as client:
            _compare(sandbox, client, results, figures)
    figures.seconds = perf_counter() - started
    return figures


def _schemas(folder: Path) -> Path:
    for model_id, (price, unit) in PRICES.items():
        found = packaged(model_id)
        assert found is not None
        file = folder / f"{model_id}.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({**found.entry, "base_price_usd": price, "price_unit": unit}))
    return folder


def _pass(
    sandbox: Sandbox, figures: Figures, kind: str, ledger: Path, reached: int, kills: int, folder: Path
) -> list[list[Any]]:
    """Run the program once; without results where it was killed, as soon as so many jobs were accepted."""
    sandbox.fail_next("out of luck")
    environment = {**os.environ, "RUNCOMFY_TOKEN": sandbox.token, "RUNCOMFY_MODEL_API_BASE": sandbox.base_url}
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    output = folder / "output.txt"
    with output.open("w") as stdout:
        command = [sys.executable, "-c", PROGRAM, kind, str(ledger), str(figures.jobs), str(figures.in_flight)]
        with subprocess.Popen(command, env=environment, stdout=stdout) as process:
            if figures.kills < kills:
                while len(sandbox.accepted) < reached and process.poll() is None:
                    pass
                if process.poll() is None:
                    process.kill()
                    figures.kills += 1
                    return []
            assert process.wait() == 0
    *results, peak = map(json.loads, output.read_text().splitlines())
    figures.peak_mib = max(figures.peak_mib, peak)
    return results


def _has_more(results: list[list[Any]]) -> bool:
    """Whether another pass would bring more: all but the jobs that have ended is tried again."""
    return any(error not in ("NoneType", "JobFailedError") for _, _, error in results)


def _resolve(sandbox: Sandbox, path: Path, figures: Figures) -> None:
    """Find out what became of unknown submits, as a user does: by the request history of the account."""
    with Ledger(path) as ledger:
        known = {entry.request_id for entry in ledger.entries("open", "completed", "failed", "cancelled")}
        history: defaultdict[str, list[Job]] = defaultdict(list)
        for job in sandbox.accepted:
            if job.id not in known:
                history[_identity(job.model.id, job.arguments)].append(job)
        for entry in list(ledger.unknown()):
            figures.unknown_submits += 1
            found = history[_identity(entry.model_id, entry.arguments)]
            ledger.resolve(entry, found.pop().id if found else None)
        assert not any(history.values()), "jobs were accepted that nobody knows of"


def _identity(model_id: str, arguments: dict[str, Any]) -> str:
    return json.dumps([model_id, arguments], sort_keys=True)


def _compare(sandbox: Sandbox, client: Client, results: list[list[Any]], figures: Figures) -> None:
    accepted = {job.id: job for job in sandbox.accepted}
    wanted = Counter(_identity(i._endpoint.model_id, i.model_dump(exclude_unset=True)) for i in inputs(figures.jobs))
    paid = Counter(_identity(job.model.id, job.arguments) for job in accepted.values())
    assert paid == wanted, "not every input was paid exactly once"
    assert sorted(index for index, _, _ in results) == list(range(figures.jobs)), "results are missing"
    assert {request_id for _, request_id, _ in results} == set(accepted), "a result is not that of its job"
    failed = {request_id for _, request_id, error in results if error == "JobFailedError"}
    assert failed == {job.id for job in accepted.values() if job.state == "failed"}, "a failure is told wrongly"

    ledger = client.ledger
    costs = ledger.read_costs(client, run=RUN)
    assert None not in costs.values(), "the API did not tell all costs"
    entries = {entry.request_id: entry for entry in ledger.finished(run=RUN)}
    assert set(entries) == set(accepted), "the ledger and the sandbox know different jobs"
    assert not list(ledger.open())
    assert not list(ledger.unknown())
    for request_id, job in accepted.items():
        assert entries[request_id].state == job.state
        assert entries[request_id].cost_usd == job.cost, "a cost is booked wrongly"
    assert ledger.spending().cost_usd == sandbox.charged, "the books do not agree"
    assert ledger.spending().estimated_usd == 0
    assert ledger.spending().by_run == {RUN: sandbox.charged}
    figures.failed_jobs = len(failed)
    figures.refused_submits = sum(1 for _ in ledger.entries("refused", "not_sent"))
    figures.cost_usd = sandbox.charged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=200)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        figures = soak(Path(folder), options.jobs, options.in_flight, options.kills, options.seed)
    for name, value in asdict(figures).items():
        print(f"{name:16} {value:,.6g}" if isinstance(value, float) else f"{name:16} {value:,}")
    print("nothing lost, nothing paid twice, the books agree")


if __name__ == "__main__":
    main()
