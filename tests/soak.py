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
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

from runcomfy import Client, Ledger, LedgerEntry
from runcomfy._book import State
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

kind, ledger, jobs, in_flight, budget = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
settings = {"ledger": ledger, "timeout": 30.0, "poll_interval": 0.1}
options = {"run": soak.RUN, "concurrency": in_flight, "budget_usd": budget}
taken = given = ahead = 0

def inputs():
    global taken, ahead
    for request in soak.inputs(jobs):
        taken += 1
        ahead = max(ahead, taken - given)
        yield request

def told(result):
    global given
    given += 1
    image = result.output.raw["output"] if result.error is None else None
    print(json.dumps([result.index, result.request_id, type(result.error).__name__, image]))

async def run():
    async with AsyncClient(**settings) as client:
        async for result in client.map(inputs(), **options):
            told(result)

if kind == "async":
    asyncio.run(run())
else:
    with Client(**settings) as client:
        for result in client.map(inputs(), **options):
            told(result)
print(json.dumps([ahead, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


class Result(NamedTuple):
    """What the program prints of one result."""

    position: int
    request_id: str | None
    error: str
    output: Any


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


class Soak:
    """One soak.

    Args:
        folder: An empty folder.
        jobs: How many inputs there are.
        in_flight: How many of them at a time.
        kills: How often the program is killed.
        seed: Decides the faults, and when the program is killed.
    """

    def __init__(self, folder: Path, jobs: int, in_flight: int, kills: int, seed: int) -> None:
        self.figures = Figures(jobs, in_flight)
        self._folder = folder
        self._ledger = folder / "jobs.sqlite3"
        self._kills = kills
        self._random = Random(seed)
        self._seed = seed
        self._wanted = [_identity(request._endpoint.model_id, _arguments(request)) for request in inputs(jobs)]

    def run(self) -> Figures:
        """Run and kill the program until all jobs have ended, then compare the books.

        Raises:
            AssertionError: something was lost, paid twice, or is told differently.
        """
        started, figures = perf_counter(), self.figures
        variant = Variant(cost_after=1)
        schemas = _schemas(self._folder / "schemas")
        with Sandbox(schemas, queue_seconds=0.2, run_seconds=0.3, balance=1e6, variant=variant) as sandbox:
            sandbox.faults.at_random(0.05, self._seed)
            while figures.kills < self._kills:
                share = (figures.kills + self._random.random()) / (self._kills + 1)
                self._kill(sandbox, round(share * figures.jobs))
                self._resolve(sandbox)
            self._keeps_to_a_budget(sandbox)
            results = self._until_all_have_ended(sandbox)
            sandbox.faults.clear()
            figures.requests = len(sandbox.requests)
            self._compare(sandbox, results)
            self._again(sandbox, results)
        figures.seconds = perf_counter() - started
        return figures

    def _kill(self, sandbox: Sandbox, accepted: int) -> None:
        """Run the program until so many jobs were accepted, and not to its end."""
        sandbox.fail_next("out of luck")
        with self._program(sandbox, 1e6) as process:
            while len(sandbox.accepted) < accepted and process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.01)
            assert process.poll() is None, "it ended before it could be killed"
            process.kill()
        self.figures.kills += 1
        known = {entry.request_id for entry in self._entries()}
        asked = {request.path.split("/")[3] for request in sandbox.requests if request.path.startswith("/v1/requests/")}
        assert asked <= known, "the program had asked about a job that is not in its ledger"

    def _keeps_to_a_budget(self, sandbox: Sandbox) -> None:
        budget = sandbox.charged + 0.002 * self.figures.jobs
        results = self._pass(sandbox, budget)
        assert sandbox.charged <= budget, "more was spent than the budget"
        assert any(result.error == "BudgetExceededError" for result in results), "the budget was not used up"
        self._resolve(sandbox)

    def _until_all_have_ended(self, sandbox: Sandbox) -> list[Result]:
        while True:
            accepted, unknown = len(sandbox.accepted), self.figures.unknown_submits
            results = self._pass(sandbox, 1e6)
            self._resolve(sandbox)
            submits = len(sandbox.accepted) - accepted
            assert self.figures.unknown_submits - unknown <= 0.15 * submits + 5, "ids were lost that had been told"
            if all(result.error in ("NoneType", "JobFailedError") for result in results):
                return results
            assert self.figures.passes < 20, "it comes to no end"

    def _again(self, sandbox: Sandbox, results: list[Result]) -> None:
        """What is finished is told again, each input with its own job, and nothing is sent but what asks for prices."""
        sandbox.requests.clear()
        assert sorted(self._pass(sandbox, 1e6)) == sorted(results), "the same run gives other results"
        assert {request.path.split("/")[2] for request in sandbox.requests} <= {"models"}
        assert {request.method for request in sandbox.requests} <= {"GET"}

    def _pass(self, sandbox: Sandbox, budget: float) -> list[Result]:
        """Run the program to its end."""
        self.figures.passes += 1
        with self._program(sandbox, budget) as process:
            assert process.wait() == 0
        *results, (ahead, peak) = map(json.loads, (self._folder / "output.txt").read_text().splitlines())
        self.figures.peak_mib = max(self.figures.peak_mib, peak)
        assert ahead <= 2 * self.figures.in_flight, "inputs were taken that nobody could work on"
        return [Result(*result) for result in results]

    @contextmanager
    def _program(self, sandbox: Sandbox, budget: float) -> Iterator["subprocess.Popen[bytes]"]:
        environment = {**os.environ, "RUNCOMFY_TOKEN": sandbox.token, "RUNCOMFY_MODEL_API_BASE": sandbox.base_url}
        environment["PYTHONPATH"] = str(Path(__file__).parent)
        kind = ("async", "sync")[(self.figures.passes + self.figures.kills) % 2]
        options = [kind, self._ledger, self.figures.jobs, self.figures.in_flight, budget]
        with (self._folder / "output.txt").open("w") as stdout:
            command = [sys.executable, "-c", PROGRAM, *map(str, options)]
            with subprocess.Popen(command, env=environment, stdout=stdout) as process:
                try:
                    yield process
                finally:
                    process.kill()

    def _entries(self, *states: State) -> list[LedgerEntry]:
        with Ledger(self._ledger) as ledger:
            return list(ledger.entries(*states))

    def _resolve(self, sandbox: Sandbox) -> None:
        """Find out what became of unknown submits, as a user does: by the request history of the account."""
        known = {entry.request_id for entry in self._entries() if entry.state != "unknown"}
        history: defaultdict[str, list[Job]] = defaultdict(list)
        for job in sandbox.accepted:
            if job.id not in known:
                history[_identity(job.model.id, job.arguments)].append(job)
        with Ledger(self._ledger) as ledger:
            for entry in list(ledger.unknown()):
                self.figures.unknown_submits += 1
                found = history[_identity(entry.model_id, entry.arguments)]
                ledger.resolve(entry, found.pop().id if found else None)
        assert not any(history.values()), "jobs were accepted that nobody knows of"

    def _compare(self, sandbox: Sandbox, results: list[Result]) -> None:
        figures, accepted = self.figures, {job.id: job for job in sandbox.accepted}
        paid = {job.id: _identity(job.model.id, job.arguments) for job in accepted.values()}
        assert Counter(paid.values()) == Counter(self._wanted), "not every input was paid exactly once"
        assert sorted(result.position for result in results) == list(range(figures.jobs)), "results are missing"
        assert {result.request_id for result in results} == set(accepted), "two results are those of one job"
        for result in results:
            assert result.request_id is not None
            assert paid[result.request_id] == self._wanted[result.position], "a result is that of another input"
            has_failed = accepted[result.request_id].state == "failed"
            assert result.error == ("JobFailedError" if has_failed else "NoneType"), "an end is told wrongly"
            assert has_failed or result.request_id in json.dumps(result.output), "an output is that of another job"
        with Client(sandbox.token, sandbox.base_url, ledger=self._ledger) as client:
            self._compare_books(sandbox, client, accepted)
        figures.failed_jobs = sum(job.state == "failed" for job in accepted.values())
        figures.refused_submits = len(self._entries("refused", "not_sent"))
        figures.cost_usd = sandbox.charged

    def _compare_books(self, sandbox: Sandbox, client: Client, accepted: dict[str, Job]) -> None:
        ledger = client.ledger
        assert None not in ledger.read_costs(client, run=RUN).values(), "the API did not tell all costs"
        entries = {entry.request_id: entry for entry in ledger.finished(run=RUN)}
        assert set(entries) == set(accepted), "the ledger and the sandbox know different jobs"
        assert not list(ledger.entries("open", "unknown", "submitting"))
        for request_id, job in accepted.items():
            assert entries[request_id].state == job.state
            assert entries[request_id].cost_usd == job.cost, "a cost is booked wrongly"
        assert ledger.spending().cost_usd == sandbox.charged, "the books do not agree"
        assert ledger.spending().estimated_usd == 0
        assert ledger.spending().by_run == {RUN: sandbox.charged}


def _schemas(folder: Path) -> Path:
    for model_id, (price, unit) in PRICES.items():
        found = packaged(model_id)
        assert found is not None
        file = folder / f"{model_id}.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({**found.entry, "base_price_usd": price, "price_unit": unit}))
    return folder


def _identity(model_id: str, arguments: dict[str, Any]) -> str:
    return json.dumps([model_id, arguments], sort_keys=True)


def _arguments(request: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = request.model_dump(exclude_unset=True)
    return arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=200)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        figures = Soak(Path(folder), options.jobs, options.in_flight, options.kills, options.seed).run()
    for name, value in asdict(figures).items():
        print(f"{name:16} {value:,.6g}" if isinstance(value, float) else f"{name:16} {value:,}")
    print("nothing lost, nothing paid twice, the books agree")


if __name__ == "__main__":
    main()
