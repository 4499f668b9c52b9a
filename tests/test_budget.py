"""Budgets: nothing is sent that would go over, whatever else is submitted at the same time."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import Kind
from runcomfy import (
    APIConnectionError,
    AsyncClient,
    BudgetExceededError,
    Client,
    ConfigurationError,
    JobCancelledError,
    Ledger,
    NotFoundError,
    PermissionDeniedError,
    SubmissionOutcomeUnknown,
)
from runcomfy.models.blackforestlabs.flux_1_kontext.max import text_to_image
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox, Variant

REQUEST = edit.Input(prompt="p", image_url="u")
PRICES = {edit.MODEL_ID: 0.1, text_to_image.MODEL_ID: 0.04}


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The settings of a client for each place where it may book."""
    if request.param == "memory":
        return {"prices": PRICES}
    if request.param == "sqlite":
        return {"prices": PRICES, "ledger": tmp_path / "jobs.sqlite3"}
    return {"prices": PRICES, "ledger": request.getfixturevalue("postgresql")}


def test_a_submit_that_would_go_over_is_refused_before_it_is_sent(
    kind: Kind, sandbox: Sandbox, book: dict[str, Any]
) -> None:
    client = kind.client(sandbox, budget_usd=0.25, **book)
    for _ in range(2):
        kind.settle(client.submit(REQUEST))

    with pytest.raises(BudgetExceededError) as caught:
        kind.settle(client.submit(REQUEST))
    kind.settle(client.submit(text_to_image.Input(prompt="p")))  # there is enough for this one

    assert str(caught.value) == (
        f"a job of {edit.MODEL_ID} for 0.1 USD would go over the budget of 0.25 USD: 0.2 USD are spent or set"
        " aside. Nothing was sent."
    )
    facts = caught.value
    assert (facts.budget_usd, facts.spent_usd, facts.price_usd, facts.run) == (0.25, 0.2, 0.1, None)
    assert [job.model.id for job in sandbox.accepted] == [edit.MODEL_ID] * 2 + [text_to_image.MODEL_ID]
    assert kind.settle(client.spending()).total_usd == 0.24
    assert kind.settle(client.spending()).by_model == {edit.MODEL_ID: 0.2, text_to_image.MODEL_ID: 0.04}


def test_what_was_not_accepted_costs_nothing(kind: Kind, sandbox: Sandbox, book: dict[str, Any]) -> None:
    client = kind.client(sandbox, budget_usd=0.1, **book)
    sandbox.faults.append(Fault("submit", 404))
    with pytest.raises(NotFoundError):
        kind.settle(client.submit(REQUEST))

    kind.settle(client.submit(REQUEST))

    assert (kind.settle(client.spending()).jobs, kind.settle(client.spending()).estimated_usd) == (1, 0.1)


def test_what_was_not_sent_costs_nothing(kind: Kind, book: dict[str, Any]) -> None:
    client = kind.client(token="t", base_url="http://127.0.0.1:9", budget_usd=0.1, **book)

    for _ in range(3):
        with pytest.raises(APIConnectionError):
            kind.settle(client.submit(REQUEST))

    assert (kind.settle(client.spending()).jobs, kind.settle(client.spending()).total_usd) == (0, 0.0)


def test_what_may_have_been_accepted_counts(kind: Kind, sandbox: Sandbox, book: dict[str, Any]) -> None:
    client = kind.client(sandbox, budget_usd=0.1, **book)
    sandbox.faults.append(Fault("submit", drop="answer", takes_effect=True))
    with pytest.raises(SubmissionOutcomeUnknown):
        kind.settle(client.submit(REQUEST))

    with pytest.raises(BudgetExceededError):
        kind.settle(client.submit(REQUEST))


def test_a_cancelled_job_costs_nothing(kind: Kind, stuck: Sandbox, book: dict[str, Any]) -> None:
    client = kind.client(stuck, budget_usd=0.1, **book)
    job = kind.settle(client.submit(REQUEST))
    assert kind.settle(job.cancel())
    with pytest.raises(JobCancelledError):
        kind.settle(job.result())

    kind.settle(client.submit(REQUEST))

    assert kind.settle(client.spending()).total_usd == 0.1


def test_the_cost_that_the_api_tells_takes_the_place_of_the_price(
    kind: Kind, sandbox: Sandbox, book: dict[str, Any]
) -> None:
    client = kind.client(sandbox, budget_usd=0.1, **book)
    sandbox.faults.append(Fault("result", changes={"cost": 0.000001}))

    kind.settle(client.run(REQUEST))

    assert (kind.settle(client.spending()).cost_usd, kind.settle(client.spending()).estimated_usd) == (0.000001, 0.0)
    with pytest.raises(BudgetExceededError, match=r"0\.1 USD: 1e-06 USD are spent or set aside"):
        kind.settle(client.submit(REQUEST))


@pytest.mark.parametrize("cost", [-1, True, "0.01", None, 1e400, [1]])
def test_a_cost_that_is_none_leaves_the_price(kind: Kind, sandbox: Sandbox, cost: Any) -> None:
    client = kind.client(sandbox, budget_usd=1.0, prices=PRICES)
    sandbox.faults.append(Fault("result", changes={"cost": cost}))

    kind.settle(client.run(REQUEST))

    assert (kind.settle(client.spending()).cost_usd, kind.settle(client.spending()).estimated_usd) == (0.0, 0.1)


def test_of_many_submits_at_once_only_those_are_sent_that_the_budget_covers(
    kind: Kind, sandbox: Sandbox, book: dict[str, Any]
) -> None:
    client = kind.client(sandbox, budget_usd=1.0, **book)
    if kind.is_async:

        async def submit() -> list[Any]:
            return await asyncio.gather(*(client.submit(REQUEST) for _ in range(40)), return_exceptions=True)

        outcomes = kind.settle(submit())
    else:
        with ThreadPoolExecutor(20) as pool:
            futures = [pool.submit(client.submit, REQUEST) for _ in range(40)]
            outcomes = [future.exception() or future.result() for future in futures]

    assert sum(isinstance(outcome, BudgetExceededError) for outcome in outcomes) == 30
    assert len(sandbox.accepted) == 10


def test_several_processes_share_the_budget_of_a_ledger(sandbox: Sandbox, run_program: Any, database: str) -> None:
    text = f"""
import subprocess, sys
if len(sys.argv) == 1:
    programs = [subprocess.Popen([sys.executable, __file__, "child"]) for _ in range(3)]
    print([program.wait() for program in programs])
else:
    from runcomfy import BudgetExceededError, Client
    from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
    with Client(ledger={database!r}, budget_usd=0.75, prices={PRICES!r}) as client:
        for _ in range(5):
            try:
                edit.submit(client, prompt="p", image_url="u")
            except BudgetExceededError as error:
                assert error.spent_usd == 0.7, error
"""

    assert run_program(text, sandbox) == "[0, 0, 0]\n"

    assert len(sandbox.accepted) == 7
    with Ledger(database) as ledger:
        assert (ledger.spending().jobs, ledger.spending().total_usd) == (7, 0.7)


def test_without_a_budget_the_price_that_is_given_is_booked(kind: Kind, sandbox: Sandbox, book: dict[str, Any]) -> None:
    client = kind.client(sandbox, **book)

    kind.settle(client.submit(REQUEST))

    assert kind.settle(client.spending()).estimated_usd == 0.1


SCHEMA = {"type": "object", "properties": {"duration": {"type": "integer"}}}


@pytest.fixture
def priced(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox with models that have a price in the catalog, and one that has none."""
    entries = {
        "clip": {"base_price_usd": 0.05, "price_unit": "second"},
        "cut": {"base_price_usd": 0.2, "price_unit": "output"},
        "odd": {"base_price_usd": 0.2, "price_unit": "furlong"},
        "new": {},
    }
    for name, entry in entries.items():
        file = tmp_path / f"priced/acme/{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**entry, "input_schema": SCHEMA}))
    with Sandbox(tmp_path / "priced") as sandbox:
        yield sandbox


def test_the_price_is_read_in_the_catalog_and_estimated_for_the_input(kind: Kind, priced: Sandbox) -> None:
    client = kind.client(priced, budget_usd=1.0)
    for duration in (4, 6, 9):
        kind.settle(client.submit("acme/clip", {"duration": duration}))

    with pytest.raises(BudgetExceededError) as caught:
        kind.settle(client.submit("acme/clip", {"duration": 2}))
    kind.settle(client.submit("acme/clip", {"duration": 1}))

    assert (caught.value.spent_usd, caught.value.price_usd) == (0.95, 0.1)
    assert kind.settle(client.spending()).total_usd == 1.0
    assert [request.path for request in priced.requests].count("/v1/models/acme/clip") == 1 + 4


@pytest.mark.parametrize("arguments", [("acme/new", {}), ("acme/odd", {}), ("acme/clip", {})])
def test_a_job_whose_price_is_not_known_is_refused_unless_one_is_given(
    kind: Kind, priced: Sandbox, arguments: tuple[str, dict[str, Any]]
) -> None:
    with pytest.raises(BudgetExceededError) as caught:
        kind.settle(kind.client(priced, budget_usd=1.0).submit(*arguments))
    kind.settle(kind.client(priced, budget_usd=1.0, prices={arguments[0]: 0.5}).submit(*arguments))

    assert str(caught.value) == (
        f"the price of {arguments[0]} is not known, and the budget of 1 USD may not be exceeded: tell it in"
        " Client(prices=…). Nothing was sent."
    )
    assert caught.value.price_usd is None
    assert len(priced.accepted) == 1


def test_many_submits_at_once_read_the_price_once(kind: Kind, priced: Sandbox) -> None:
    client = kind.client(priced, budget_usd=100.0)
    if kind.is_async:

        async def submit() -> None:
            await asyncio.gather(*(client.submit("acme/cut", {}) for _ in range(20)))

        kind.settle(submit())
    else:
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda _: client.submit("acme/cut", {}), range(20)))

    assert sum(request.method == "GET" for request in priced.requests) == 1
    assert kind.settle(client.spending()).total_usd == 4.0


def test_a_price_that_cannot_be_read_is_told_and_nothing_is_sent(kind: Kind, priced: Sandbox) -> None:
    client = kind.client(priced, budget_usd=1.0)

    with pytest.raises(NotFoundError, match="look up acme/none"):
        kind.settle(client.submit("acme/none", {}))
    priced.faults.append(Fault("model", 403))
    with pytest.raises(PermissionDeniedError):
        kind.settle(client.submit("acme/cut", {}))
    kind.settle(client.submit("acme/cut", {}))

    assert sum(request.method == "POST" for request in priced.requests) == 1


def test_an_interrupted_reading_of_a_price_leaves_it_to_another(priced: Sandbox) -> None:
    async def submit() -> None:
        async with AsyncClient(priced.token, priced.base_url, budget_usd=1.0) as client:
            priced.faults.append(Fault("model", delay=3600))
            first = asyncio.create_task(client.submit("acme/cut", {}))
            while not priced.requests:  # noqa: ASYNC110  # the condition is one of the sandbox's thread
                await asyncio.sleep(0)
            second = asyncio.create_task(client.submit("acme/cut", {}))
            await asyncio.sleep(0)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            await second
            assert (await client.spending()).total_usd == 0.2

    asyncio.run(submit())
    assert len(priced.accepted) == 1


def test_what_a_job_did_cost_is_booked_when_it_is_read(kind: Kind, tmp_path: Path, book: dict[str, Any]) -> None:
    with Sandbox(variant=Variant(cost_after=1)) as sandbox:
        client = kind.client(sandbox, budget_usd=1.0, **book)
        job = kind.settle(client.submit(REQUEST))
        kind.settle(job.result())
        before = kind.settle(client.spending())
        cost = kind.settle(job.cost())

    assert (before.cost_usd, before.estimated_usd) == (0.0, 0.1)
    assert kind.settle(client.spending()).total_usd == kind.settle(client.spending()).cost_usd == cost


def test_the_costs_that_were_not_told_at_once_are_read_later(
    kind: Kind, ledger: Ledger, stuck: Sandbox, tmp_path: Path
) -> None:
    kind.settle(kind.client(stuck, ledger=ledger).submit(REQUEST))
    with Sandbox(variant=Variant(cost_after=1)) as sandbox:
        client = kind.client(sandbox, ledger=ledger)
        outputs = [kind.settle(client.run(REQUEST)) for _ in range(3)]
        sandbox.faults.append(Fault("result", 403, request_id=outputs[1].raw["request_id"]))

        costs = kind.settle(ledger.read_costs_async(client) if kind.is_async else ledger.read_costs(client))
        again = kind.settle(ledger.read_costs_async(client) if kind.is_async else ledger.read_costs(client))
        price = sandbox.accepted[0].cost

    first, second, third = (output.raw["request_id"] for output in outputs)
    assert costs == {first: price, second: None, third: price}
    assert again == {second: price}
    assert ledger.spending().cost_usd == sandbox.charged


@pytest.mark.parametrize("make", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget_usd": -1}, "budget_usd: -1 is no amount of US dollars"),
        ({"budget_usd": True}, "budget_usd: True is no amount"),
        ({"budget_usd": "5"}, "budget_usd: '5' is no amount"),
        ({"budget_usd": float("nan")}, "budget_usd: nan is no amount"),
        ({"prices": [("a/b", 1)]}, "prices: .* is no dict of model ids and US dollars"),
        ({"prices": {"a/b": -1}}, "prices: a/b: -1 is no amount"),
        ({"prices": {"..": 1}}, r"prices: '\.\.' is no model id"),
    ],
)
def test_what_is_no_amount_is_refused(make: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make(token="t", **settings)
