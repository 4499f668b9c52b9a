"""What the sandbox charges, refunds and tells of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox, Variant
from test_sandbox import call

Shop = Callable[..., Sandbox]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A sandbox of one model, ``acme/m``."""

    def shop(entry: dict[str, Any], **options: Any) -> Sandbox:
        file = tmp_path / "schemas/acme/m.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"input_schema": {}, **entry}))
        return Sandbox(tmp_path / "schemas", **options)

    return shop


def submit(sandbox: Sandbox, body: dict[str, Any] | None = None) -> str:
    answer = call(sandbox, "POST", "/v1/models/acme/m", json=body or {})
    assert answer.status_code == 200, answer.text
    return f"/v1/requests/{answer.json()['request_id']}"


def result(sandbox: Sandbox, job: str) -> dict[str, Any]:
    body: dict[str, Any] = call(sandbox, "GET", f"{job}/result?include_cost=true").json()
    return body


VIDEO = {"categories": ["text-to-video"]}
AUDIO = {"categories": ["text-to-audio"]}
WITH_DEFAULT = {"input_schema": {"properties": {"duration": {"type": "integer", "default": 8}}}}


@pytest.mark.parametrize(
    ("entry", "body", "dollars"),
    [
        ({"price_unit": "output"}, {}, 0.1),
        ({"price_unit": "output"}, {"num_images": 3}, 0.3),
        ({"price_unit": "Images"}, {"num_images": 3}, 0.3),
        ({"price_unit": "image"}, {"num_images": 100}, 0.8),
        ({"price_unit": "second", **VIDEO}, {}, 0.5),
        ({"price_unit": "second", **VIDEO}, {"duration": "7s"}, 0.7),
        ({"price_unit": "second", **VIDEO}, {"duration": 1000}, 6.0),
        ({"price_unit": "second", **VIDEO, **WITH_DEFAULT}, {}, 0.8),
        ({"price_unit": "second", **VIDEO}, {"duration": 2, "n": 3}, 0.6),
        ({"price_unit": "second", **AUDIO}, {"duration": 2.5}, 0.25),
        ({"price_unit": "second"}, {"duration": 8}, 0.1),
        ({"price_unit": "video", **VIDEO}, {"duration": 8}, 0.1),
        ({"price_unit": "request"}, {"num_images": 3}, 0.1),
        ({"price_unit": "megapixel"}, {"num_images": 3}, 0.1),
        ({}, {"num_images": 3}, 0.1),
        ({"base_price_usd": 0.0000014}, {}, 0.000001),
        ({"base_price_usd": None}, {}, 0.0),
        ({"base_price_usd": -1}, {}, 0.0),
        ({"base_price_usd": 0}, {}, 0.0),
    ],
)
def test_a_job_costs_the_base_price_of_what_it_really_makes(
    shop: Shop, entry: dict[str, Any], body: dict[str, Any], dollars: float
) -> None:
    with shop({"base_price_usd": 0.1, **entry}) as sandbox:
        job = submit(sandbox, body)

        assert sandbox.accepted[0].cost == sandbox.charged == dollars
        assert result(sandbox, job)["cost"] == dollars
        assert round(sandbox.balance + dollars, 6) == 100.0


def test_a_cost_is_told_only_to_those_who_ask_for_it(shop: Shop) -> None:
    with shop({"base_price_usd": 0.1}) as sandbox:
        job = submit(sandbox)

        assert "cost" not in call(sandbox, "GET", f"{job}/result").json()
        assert "cost" not in call(sandbox, "GET", f"{job}/result?include_cost=false").json()


def test_charges_are_counted_to_the_micro_dollar(shop: Shop) -> None:
    with shop({"base_price_usd": 0.000001}, balance=1.0) as sandbox:
        for _ in range(30):
            submit(sandbox)

        assert sandbox.charged == 0.00003
        assert sandbox.balance == 0.99997
        assert call(sandbox, "GET", "/prod/v2/balance").json()["balance_microdollars"] == 999_970


def test_what_is_too_dear_is_neither_accepted_nor_charged(shop: Shop) -> None:
    with shop(
        {"base_price_usd": 0.3, "price_unit": "output"}, balance=1.0, variant=Variant(charge_failed=True)
    ) as sandbox:
        sandbox.fail_next("boom")
        refused = call(sandbox, "POST", "/v1/models/acme/m", json={"num_images": 4})
        assert (refused.status_code, refused.json()["error_code"]) == (402, 400002)
        assert (sandbox.accepted, sandbox.charged) == ([], 0.0)

        job = submit(sandbox, {"num_images": 3})
        assert sandbox.balance == 0.1
        assert result(sandbox, job)["status"] == "failed"  # what the refused one was to fail with is still to come


def test_a_submit_whose_answer_is_lost_is_charged(shop: Shop) -> None:
    with shop({"base_price_usd": 0.1}) as sandbox:
        sandbox.faults.extend([Fault("submit", 502, takes_effect=True), Fault("submit", 502)])
        for _ in range(2):
            assert call(sandbox, "POST", "/v1/models/acme/m", json={}).status_code == 502

        assert sandbox.charged == 0.1


def test_a_cancelled_job_is_refunded_once(shop: Shop) -> None:
    with shop({"base_price_usd": 0.1}, queue_seconds=3600) as sandbox:
        first, _ = submit(sandbox), submit(sandbox)
        assert sandbox.charged == 0.2
        for _ in range(2):
            call(sandbox, "POST", f"{first}/cancel")

        assert (sandbox.charged, sandbox.balance) == (0.1, 99.9)
        assert [job.cost for job in sandbox.accepted] == [0.0, 0.1]
        assert "cost" not in result(sandbox, first)


def test_a_job_that_cannot_be_cancelled_is_not_refunded(shop: Shop) -> None:
    with shop({"base_price_usd": 0.1}) as sandbox:
        job = submit(sandbox)

        assert call(sandbox, "POST", f"{job}/cancel").json()["outcome"] == "not_cancellable"
        assert sandbox.charged == 0.1


def test_a_failed_job_is_refunded_when_it_ends(shop: Shop) -> None:
    with shop({"base_price_usd": 0.1}, run_reads=1) as sandbox:
        sandbox.fail_next("boom")
        job = submit(sandbox)
        submit(sandbox)
        assert call(sandbox, "GET", f"{job}/status").json()["status"] == "in_progress"
        # Its one read is over, so that it has ended as soon as anybody looks.
        assert (sandbox.charged, sandbox.balance) == (0.1, 99.9)
        assert result(sandbox, job)["cost"] == 0.0
        assert [job.cost for job in sandbox.accepted] == [0.0, 0.1]


def test_a_job_that_is_to_fail_is_charged_until_it_does(shop: Shop) -> None:
    with shop({"base_price_usd": 0.1}, queue_seconds=3600) as sandbox:
        sandbox.fail_next("boom")
        job = submit(sandbox)
        assert (sandbox.charged, sandbox.accepted[0].cost) == (0.1, 0.1)

        call(sandbox, "POST", f"{job}/cancel")
        assert sandbox.charged == 0.0


def test_failed_jobs_are_charged_where_that_is_asked_for(shop: Shop) -> None:
    with shop({"base_price_usd": 0.1}, variant=Variant(charge_failed=True)) as sandbox:
        sandbox.fail_next("boom")
        found = result(sandbox, submit(sandbox))

        assert (found["status"], found["cost"], sandbox.charged) == ("failed", 0.1, 0.1)


def test_the_first_results_are_without_a_cost_where_that_is_asked_for(shop: Shop) -> None:
    with shop({"base_price_usd": 0.1}, run_reads=1, variant=Variant(cost_after=2)) as sandbox:
        job = submit(sandbox)
        assert result(sandbox, job)["status"] == "in_progress"
        call(sandbox, "GET", f"{job}/status")

        assert ["cost" in result(sandbox, job) for _ in range(4)] == [False, False, True, True]


def test_a_reset_gives_all_money_back(shop: Shop) -> None:
    with shop({"base_price_usd": 0.1}, queue_seconds=3600) as sandbox:
        sandbox.fail_next("boom")
        submit(sandbox)
        sandbox.reset()

        assert (sandbox.charged, sandbox.balance) == (0.0, 100.0)


def test_prices_can_be_given_to_a_sandbox() -> None:
    with Sandbox(prices={edit.MODEL_ID: 0.25}) as sandbox, Client(sandbox.token, sandbox.base_url) as client:
        client.run(edit.Input(prompt="p", image_url="u"))

        assert sandbox.charged == 0.25
        assert client.price(edit.MODEL_ID).base_usd == 0.25
    with pytest.raises(ValueError, match="prices: there is no model acme/none"):
        Sandbox(prices={"acme/none": 1.0})


@pytest.mark.parametrize("price", [(0.25, "output"), "0.25", -0.25, float("nan"), None])
def test_a_price_for_a_sandbox_has_to_be_an_amount(price: Any) -> None:
    with pytest.raises(ValueError, match=rf"prices: {edit.MODEL_ID}: .* is no amount of US dollars"):
        Sandbox(prices={edit.MODEL_ID: price})
