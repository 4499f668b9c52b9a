"""What things cost, as both clients tell it: the balance, prices, estimates, and the cost of a job."""

import json
import pickle
import socket
import ssl
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

import pytest
import trustme
from conftest import Kind, RawServer, http_answer
from media_files import picture
from runcomfy import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    Client,
    ConfigurationError,
    InputValidationError,
    InternalServerError,
    JobCancelledError,
    JobFailedError,
    NotFoundError,
    PermissionDeniedError,
    Price,
    ResponseMismatchError,
    _costs,
)
from runcomfy._book import MemoryBook
from runcomfy._http_types import Await, Pause, Request, Response
from runcomfy._requests import JobFlows
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.models.bytedance.seedance_2_5.image_to_video import v480p
from runcomfy.sandbox import Fault, Sandbox, Variant
from test_connections import TlsServer

REQUEST = edit.Input(prompt="p", image_url="u")
PRICED: dict[str, Any] = {
    "model_id": edit.MODEL_ID,
    "base_price_usd": 0.04,
    "price_unit": "output",
    "pricing_note": "Twice as much in 4K.",
    "input_schema": {"properties": {"prompt": {"type": "string"}}},
}
SOON = {"Retry-After": "0"}


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Sandbox]:
    """A sandbox, not yet started, whose only model has a price."""

    def shop(**options: Any) -> Sandbox:
        folder = tmp_path / "schemas"
        folder.mkdir(exist_ok=True)
        (folder / "model.json").write_text(json.dumps(PRICED))
        return Sandbox(folder, **options)

    return shop


def package_of(module: Any) -> Any:
    """The generated package that a model's module belongs to."""
    return import_module(module.__name__.partition(".")[0])


def paths(sandbox: Sandbox) -> list[str]:
    return [request.path for request in sandbox.requests]


def unused_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


# The account URL


@pytest.mark.parametrize(
    ("base_url", "account_url", "used"),
    [
        (None, None, "https://api.runcomfy.net/prod/v2"),
        ("https://model-api.runcomfy.net/v1/", None, "https://api.runcomfy.net/prod/v2"),
        ("https://MODEL-API.runcomfy.net:443", None, "https://api.runcomfy.net/prod/v2"),
        ("http://model-api.runcomfy.net", None, "http://model-api.runcomfy.net/prod/v2"),
        ("https://model-api.runcomfy.net:8443", None, "https://model-api.runcomfy.net:8443/prod/v2"),
        ("https://model-api.runcomfy.net.example", None, "https://model-api.runcomfy.net.example/prod/v2"),
        ("http://127.0.0.1:8000/a/b/v1", None, "http://127.0.0.1:8000/prod/v2"),
        ("http://[::1]:8000", None, "http://[::1]:8000/prod/v2"),
        (None, "https://account.example/v1/", "https://account.example/v1"),
        ("http://127.0.0.1:8000", " https://account.example ", "https://account.example"),
    ],
)
def test_account_calls_go_where_the_base_url_says_unless_told_otherwise(
    kind: Kind, base_url: str | None, account_url: str | None, used: str
) -> None:
    assert kind.client(token="t", base_url=base_url, account_url=account_url).account_url == used


def test_the_account_url_of_a_base_url_from_the_environment(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", "http://127.0.0.1:8000/v1")

    assert kind.client(token="t").account_url == "http://127.0.0.1:8000/prod/v2"


@pytest.mark.parametrize(
    ("account_url", "message"),
    [
        ("api.runcomfy.net", "account_url: 'api.runcomfy.net' is no http or https URL"),
        ("", "account_url: '' is no http or https URL"),
        (5, "account_url: 5 is no http or https URL"),
        ("https://x:port", "account_url: "),
        ("https://user:hunter2@x", "account_url: a base URL has no user name"),
        ("https://x/?a=1", "account_url: a base URL has no user name, query or fragment"),
    ],
)
def test_an_account_url_that_cannot_be_used_is_named(kind: Kind, account_url: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind.client(token="t", account_url=account_url)

    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_only_account_calls_go_to_the_account_url(kind: Kind, sandbox: Sandbox) -> None:
    with RawServer([http_answer("200 OK", b'{"balance_usd": 7}')]) as account:
        client = kind.client(sandbox, account_url=f"{account.url}/money/", headers={"X-A": "b"})

        assert kind.settle(client.balance()) == 7.0
        assert kind.settle(client.run(REQUEST)).image

    (received,) = account.received
    assert received.startswith(b"GET /money/balance HTTP/1.1\r\n")
    assert f"Authorization: Bearer {sandbox.token}".encode() in received
    assert b"X-A: b" in received
    assert "balance" not in "".join(paths(sandbox))


def test_a_redirect_of_an_account_call_is_not_followed(kind: Kind, sandbox: Sandbox) -> None:
    with RawServer([http_answer("200 OK", b'{"balance_usd": 7}')]) as elsewhere:
        redirect = http_answer("302 Found", b"", f"Location: {elsewhere.url}/balance")
        with RawServer([redirect]) as account, pytest.raises(APIStatusError, match="redirects are never followed"):
            kind.settle(kind.client(sandbox, account_url=account.url).balance())
        assert elsewhere.received == []


def test_a_proxy_is_for_the_hosts_that_it_is_meant_for(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here for the API, and not for the account, which is on this machine."""
    with (
        RawServer([http_answer("200 OK", b'{"request_id": "by-proxy"}')], is_proxy=True) as proxy,
        RawServer([http_answer("200 OK", b'{"balance_usd": 7}')]) as account,
    ):
        for variable in ("http_proxy", "all_proxy"):
            monkeypatch.setenv(variable, proxy.url)
        client = kind.client(base_url="http://api.example", account_url=account.url, token="t")

        assert kind.settle(client.balance()) == 7.0
        assert kind.settle(client.submit(REQUEST)).id == "by-proxy"

    assert [received.split()[1] for received in proxy.received] == [
        f"http://api.example/v1/models/{edit.MODEL_ID}".encode()
    ]


def test_the_certificates_of_the_account_are_checked_as_those_of_the_api(
    kind: Kind, sandbox: Sandbox, tmp_path: Path
) -> None:
    authority = trustme.CA()
    certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(certificates)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    with TlsServer([http_answer("200 OK", b'{"balance_usd": 7}')], certificates) as account:
        url = account.url.replace("http:", "https:")

        assert kind.settle(kind.client(sandbox, account_url=url, verify=bundle).balance()) == 7.0
        with pytest.raises(APIConnectionError, match="certificate verify failed"):
            kind.settle(kind.client(sandbox, account_url=url, timeout=0.5).balance())


def test_an_account_url_that_has_no_form_to_be_looked_up_is_told_at_the_first_call(
    kind: Kind, sandbox: Sandbox
) -> None:
    with pytest.raises(ConfigurationError, match="account_url, proxy or verify"):
        kind.settle(kind.client(sandbox, account_url="https://xn--zzzzzz").balance())


# The balance


def test_the_balance_is_read_from_the_account(kind: Kind, shop: Callable[..., Sandbox]) -> None:
    with shop(balance=10.0) as sandbox:
        client = kind.client(sandbox)
        kind.settle(client.submit(edit.MODEL_ID, {}))

        assert kind.settle(client.balance()) == 9.96
        assert paths(sandbox)[-1] == "/prod/v2/balance"


@pytest.mark.parametrize(
    ("body", "dollars"),
    [
        (b'{"balance_usd": 12.35, "balance_microdollars": 12345678, "currency": "USD"}', 12.345678),
        (b'{"balance_microdollars": 0}', 0.0),
        (b'{"balance_microdollars": -1}', -0.000001),
        (b'{"balance_usd": 0}', 0.0),
        (b'{"balance_usd": -1.5}', -1.5),
        (b'{"balance_usd": 2.5, "balance_microdollars": "1"}', 2.5),
        (b'{"balance_usd": 2.5, "balance_microdollars": 1.5}', 2.5),
        (b'{"balance_usd": 2.5, "balance_microdollars": true}', 2.5),
        (b'{"balance_usd": 2.5, "balance_microdollars": 1%s}' % (b"0" * 400), 2.5),
    ],
)
def test_a_balance_is_exact_where_the_api_tells_it_exactly(
    kind: Kind, sandbox: Sandbox, client: Any, body: bytes, dollars: float
) -> None:
    sandbox.faults.append(Fault("balance", 200, body))

    assert repr(kind.settle(client.balance())) == repr(dollars)


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"5", b'{"balance_usd": "5"}', b'{"balance_usd": true}', b'{"balance_usd": NaN}']
)
def test_an_answer_without_a_balance_is_an_error_that_keeps_it(
    kind: Kind, sandbox: Sandbox, client: Any, body: bytes
) -> None:
    sandbox.faults.append(Fault("balance", 200, body))

    with pytest.raises(APIStatusError, match="read the balance: the answer has no usable number") as caught:
        kind.settle(client.balance())
    assert (caught.value.body, caught.value.status_code) == (body, 200)


def test_a_balance_that_may_not_be_read_is_a_permission_denied(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    sandbox.faults.append(Fault("balance", 200, b'{"error_code": 403003, "error_message": "Forbidden"}'))

    with pytest.raises(PermissionDeniedError, match="read the balance: HTTP 200, code 403003: Forbidden") as caught:
        kind.settle(client.balance())
    assert len(sandbox.requests) == 1
    assert caught.value.code == 403003


def test_a_balance_is_read_again_where_a_read_fails(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    sandbox.faults.extend([Fault("balance", 503, headers=SOON), Fault("balance", drop="answer")])

    assert kind.settle(client.balance()) == 100.0
    assert paths(sandbox) == ["/prod/v2/balance"] * 3


def test_a_balance_needs_the_token_a_network_and_an_open_client(kind: Kind, sandbox: Sandbox) -> None:
    with pytest.raises(AuthenticationError):
        kind.settle(kind.client(base_url=sandbox.base_url, token="another").balance())
    with pytest.raises(APIConnectionError, match="read the balance"):
        kind.settle(kind.client(base_url=unused_url(), token="t", timeout=0.2).balance())
    client = kind.client(sandbox)
    kind.settle(client.close())
    for call in (client.balance, lambda: client.price(edit.MODEL_ID), client.job("r1").cost):
        with pytest.raises(ConfigurationError, match="this client is closed"):
            kind.settle(call())


# Prices


def test_a_price_is_that_of_the_catalog(kind: Kind, shop: Callable[..., Sandbox]) -> None:
    with shop() as sandbox:
        price = kind.settle(kind.client(sandbox).price(edit.MODEL_ID))

        assert paths(sandbox) == [f"/v1/models/{edit.MODEL_ID}"]
    assert price == Price(edit.MODEL_ID, 0.04, "output", "Twice as much in 4K.", "catalog")
    assert price.estimate(REQUEST) == 0.04
    assert {price} == {pickle.loads(pickle.dumps(price))}
    assert "defaults" not in repr(price)


def test_a_model_without_a_price_has_none(kind: Kind, client: Any) -> None:
    price = kind.settle(client.price(edit.MODEL_ID))

    assert price == Price(edit.MODEL_ID, None, None, None, "catalog")
    assert price.estimate(REQUEST) is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("model", 404, b'{"error_code": 404001}'), NotFoundError),
        (Fault("model", 401, b'{"error_code": 400004}'), AuthenticationError),
        (Fault("model", 403), PermissionDeniedError),
        (Fault("model", changes={"model_id": "acme/other"}), ResponseMismatchError),
    ],
)
def test_what_the_catalog_refuses_the_package_does_not_answer(
    kind: Kind, sandbox: Sandbox, client: Any, fault: Fault, error: type[Exception]
) -> None:
    sandbox.faults.append(fault)

    with pytest.raises(error):
        kind.settle(client.price(edit.MODEL_ID))
    assert len(sandbox.requests) == 1


def test_what_is_no_model_id_is_not_asked_for(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    with pytest.raises(InputValidationError):
        kind.settle(client.price("acme/../other"))
    assert sandbox.requests == []


UNREACHABLE = [b"", http_answer("503 Busy", b""), http_answer("200 OK", b'{"error_code": 500001}')]


@pytest.mark.parametrize("answer", UNREACHABLE)
def test_without_the_catalog_it_is_the_price_that_the_package_knows(kind: Kind, made: Any, answer: bytes) -> None:
    schema = {"properties": {"duration": {"type": "integer", "default": 5}}}
    module = made(schema, base_price_usd=0.1, price_unit="second", pricing_note="More in 4K.")
    with RawServer([answer]) as server:
        client = kind.client_of(package_of(module), base_url=server.url, token="t", timeout=0.3)

        price = kind.settle(client.price(module.MODEL_ID))

    assert (price.model_id, price.base_usd, price.unit) == (module.MODEL_ID, 0.1, "second")
    assert (price.note, price.source) == ("More in 4K.", "package")
    assert price.estimate(module.Input()) == 0.5


def test_without_the_catalog_a_model_of_the_package_may_have_no_price(kind: Kind) -> None:
    price = kind.settle(kind.client(base_url=unused_url(), token="t", timeout=0.2).price(edit.MODEL_ID))

    assert price == Price(edit.MODEL_ID, None, None, None, "package")


@pytest.mark.parametrize("answer", UNREACHABLE)
def test_a_model_of_which_nobody_knows_is_the_error_of_the_catalog(kind: Kind, answer: bytes) -> None:
    with RawServer([answer]) as server:
        client = kind.client(base_url=server.url, token="t", timeout=0.2)
        with pytest.raises((APIConnectionError, InternalServerError), match="look up acme/nowhere"):
            kind.settle(client.price("acme/nowhere"))


@pytest.mark.parametrize(("timeout", "most"), [(3.0, 3.0), (60.0, 10.0), (inf, 10.0)])
def test_the_catalog_is_asked_for_ten_seconds_at_most(timeout: float, most: float) -> None:
    step = next(_costs.price("acme/m", timeout))

    assert isinstance(step, Request)
    assert most - 1 < step.timeout <= most


# Estimates


def price_for(unit: str | None, base: float | None = 0.1, **defaults: Any) -> Price:
    return Price("acme/m", base, unit, None, "catalog", defaults)


@pytest.mark.parametrize(
    ("unit", "arguments", "dollars"),
    [
        ("output", {}, 0.1),
        ("output", {"num_images": 3}, 0.3),
        ("output", {"num_images": None}, 0.1),
        ("output", {"n": "2"}, 0.2),
        ("output", {"num_images": "many"}, None),
        ("output", {"num_images": 0}, None),
        ("output", {"num_images": 1.5}, None),
        ("output", {"num_images": True}, None),
        ("output", {"num_images": 10**400}, None),
        ("output", {"num_images": 1e308}, 1e307),
        ("image", {"number_of_images": 2}, 0.2),
        ("video", {"num_videos": 2}, 0.2),
        ("audio", {"num_samples": 2}, 0.2),
        ("item", {"batch_size": 2}, 0.2),
        ("generation", {"num_outputs": 2}, 0.2),
        (" Images ", {"num_images": 2}, 0.2),
        ("request", {"num_images": 3, "duration": 8}, 0.1),
        ("job", {"num_images": 3}, 0.1),
        ("run", {"num_images": 3}, 0.1),
        (None, {"num_images": 3}, 0.1),
        ("second", {"duration": 8}, 0.8),
        ("second", {"duration": 2.5}, 0.25),
        ("second", {"duration": "8s"}, 0.8),
        ("seconds", {"duration": "7.5 sec"}, 0.75),
        ("second", {"seconds": 3}, 0.3),
        ("second", {"duration": 3, "num_videos": 2}, 0.6),
        ("second", {"duration": 3, "num_videos": 0}, None),
        ("second", {}, None),
        ("second", {"duration": "auto"}, None),
        ("second", {"duration": -1}, None),
        ("second", {"duration": True}, None),
        ("second", {"duration": float("nan")}, None),
        ("second", {"duration": [5]}, None),
        ("megapixel", {"num_images": 3}, None),
        ("", {}, None),
    ],
)
def test_an_estimate_is_the_base_price_times_what_is_asked_for(
    unit: str | None, arguments: dict[str, Any], dollars: float | None
) -> None:
    assert price_for(unit).estimate(arguments) == dollars


def test_what_is_not_set_counts_as_the_default_of_the_schema() -> None:
    assert price_for("second", duration=5).estimate() == 0.5
    assert price_for("second", duration=5).estimate({"duration": None}) == 0.5
    assert price_for("second", duration=5).estimate({"duration": 8}) == 0.8
    assert price_for("second", duration="auto").estimate() is None
    assert price_for("output", num_images=4).estimate() == 0.4


def test_there_is_no_estimate_without_a_price_nor_beyond_all_numbers() -> None:
    assert price_for("output", base=None).estimate() is None
    assert price_for("output", base=0.0).estimate() == 0.0
    assert price_for("output", base=1e308).estimate({"n": 100}) is None


@pytest.mark.parametrize("has_schema", [True, False])
def test_an_input_is_estimated_by_what_it_sends_and_by_what_the_api_adds(
    kind: Kind, sandbox: Sandbox, client: Any, tmp_path: Path, has_schema: bool
) -> None:
    """The defaults stand in the catalog's schema, and where its answer has none, in that of the package."""
    schema = {} if has_schema else {"input_schema": ...}
    sandbox.faults.append(Fault("model", changes={"base_price_usd": 0.1, "price_unit": "second", **schema}))
    price = kind.settle(client.price(v480p.MODEL_ID))
    still = tmp_path / "in.png"
    still.write_bytes(picture())

    assert price.source == "catalog"
    assert price.estimate() == 0.5
    assert price.estimate(v480p.Input(prompt="p", image=still)) == 0.5
    assert price.estimate(v480p.Input(prompt="p", image=picture(), duration=None)) == 0.5
    assert price.estimate(v480p.Input(prompt="p", image="u", duration=8)) == 0.8


def test_a_field_counts_by_its_name_on_the_wire(kind: Kind, made: Any) -> None:
    """``num-images`` is set as ``num_images`` in Python, but nobody knows what it means to the API."""
    module = made({"properties": {"num-images": {"type": "integer"}}}, base_price_usd=0.1, price_unit="output")
    price = kind.settle(
        kind.client_of(package_of(module), base_url=unused_url(), token="t", timeout=0.2).price(module.MODEL_ID)
    )

    assert price.estimate(module.Input(num_images=3)) == 0.1


@pytest.mark.parametrize("schema", [{}, {"properties": []}, {"properties": {"duration": True}}])
def test_a_schema_without_usable_properties_has_no_defaults(
    kind: Kind, sandbox: Sandbox, client: Any, schema: dict[str, Any]
) -> None:
    changes = {"base_price_usd": 0.1, "price_unit": "second", "input_schema": schema}
    sandbox.faults.append(Fault("model", changes=changes))

    assert kind.settle(client.price(edit.MODEL_ID)).estimate() is None


def test_a_model_that_neither_the_answer_nor_the_package_describes_has_no_defaults(kind: Kind) -> None:
    body = b'{"model_id": "acme/m", "base_price_usd": 0.1, "price_unit": "output"}'
    with RawServer([http_answer("200 OK", body)]) as server:
        price = kind.settle(kind.client(base_url=server.url, token="t").price("acme/m"))

    assert (price.defaults, price.estimate()) == ({}, 0.1)


def test_a_price_is_for_one_model_only() -> None:
    with pytest.raises(ValueError, match=f"this is the price of acme/m, and the input is one of {edit.MODEL_ID}"):
        price_for("output").estimate(REQUEST)
    with pytest.raises(TypeError, match="expected an Input or a dict of arguments, got 'p'"):
        price_for("output").estimate("p")  # type: ignore[arg-type]  # pyright: ignore  # what is tested


# What a job did cost


def test_a_job_tells_what_it_did_cost(kind: Kind, shop: Callable[..., Sandbox]) -> None:
    with shop() as sandbox:
        client = kind.client(sandbox)
        job = kind.settle(client.submit(REQUEST))
        output = kind.settle(job.result())
        sandbox.requests.clear()

        assert kind.settle(job.cost()) == 0.04 == sandbox.accepted[0].cost
        assert kind.settle(client.job(job.id).cost()) == 0.04
        assert paths(sandbox) == [f"/v1/requests/{job.id}/result?include_cost=true"] * 2
    assert output.raw["cost"] == 0.04


def test_a_cost_that_is_not_there_yet_is_asked_for_again(kind: Kind, shop: Callable[..., Sandbox]) -> None:
    with shop(variant=Variant(cost_after=2)) as sandbox:
        client = kind.client(sandbox)
        job = kind.settle(client.submit(REQUEST))

        assert "cost" not in kind.settle(job.result()).raw
        assert kind.settle(job.cost()) == 0.04
        assert len(paths(sandbox)) == 1 + 1 + 1 + 2


@pytest.mark.parametrize("value", [..., None, True, "0.04", -0.01, 10**400, [0.04]])
def test_what_is_no_amount_of_money_is_no_cost(kind: Kind, shop: Callable[..., Sandbox], value: Any) -> None:
    with shop() as sandbox:
        job = kind.settle(kind.client(sandbox).submit(REQUEST))
        sandbox.faults.append(Fault("result", changes={"cost": value}))

        assert kind.settle(job.cost()) == 0.04
        assert len(paths(sandbox)) == 3


def test_a_cost_that_nobody_tells_is_none_in_the_end(kind: Kind) -> None:
    with Sandbox(variant=Variant(cost_after=10**9)) as sandbox:
        job = kind.settle(kind.client(sandbox).submit(REQUEST))

        assert kind.settle(job.cost(timeout=1)) is None
        assert len(paths(sandbox)) > 2


def test_a_cost_of_nothing_is_no_missing_cost(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    job = kind.settle(client.submit(REQUEST))

    assert kind.settle(job.cost()) == 0.0
    assert len(paths(sandbox)) == 2


@pytest.mark.parametrize("not_ready", [200, 400])
def test_a_job_that_has_not_ended_has_no_cost_and_is_asked_once(kind: Kind, not_ready: Any) -> None:
    with Sandbox(queue_seconds=3600, variant=Variant(not_ready=not_ready)) as sandbox:
        job = kind.settle(kind.client(sandbox).submit(REQUEST))

        assert kind.settle(job.cost(timeout=3600)) is None
        assert len(paths(sandbox)) == 2


@pytest.mark.parametrize("changes", [{"status": "warming_up", "output": ...}, {"status": "processing"}])
def test_a_state_that_is_no_end_has_no_cost(kind: Kind, sandbox: Sandbox, client: Any, changes: dict[str, Any]) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("result", changes={**changes, "cost": 1}))

    assert kind.settle(job.cost(timeout=3600)) is None


def test_an_output_under_an_unknown_word_has_a_cost(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("result", changes={"status": "delivered", "cost": 1}))

    assert kind.settle(job.cost()) == 1.0


@pytest.mark.parametrize(("charge_failed", "dollars"), [(False, 0.0), (True, 0.04)])
def test_a_failed_job_tells_what_it_did_cost(
    kind: Kind, shop: Callable[..., Sandbox], charge_failed: bool, dollars: float
) -> None:
    with shop(variant=Variant(charge_failed=charge_failed)) as sandbox:
        sandbox.fail_next("boom")
        job = kind.settle(kind.client(sandbox).submit(REQUEST))
        with pytest.raises(JobFailedError) as caught:
            kind.settle(job.result())

        assert kind.settle(job.cost()) == dollars == caught.value.raw["cost"]


def test_a_cancelled_job_costs_nothing_unless_the_api_says_otherwise(kind: Kind, shop: Callable[..., Sandbox]) -> None:
    with shop(queue_seconds=3600) as sandbox:
        job = kind.settle(kind.client(sandbox).submit(REQUEST))
        assert kind.settle(job.cancel())
        with pytest.raises(JobCancelledError):
            kind.settle(job.result())

        assert kind.settle(job.cost()) == 0.0
        sandbox.faults.append(Fault("result", changes={"cost": 0.01}))
        assert kind.settle(job.cost()) == 0.01


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("result", 404, b'{"error_code": 404001}'), NotFoundError),
        (Fault("result", 403, b'{"error_code": 403001}'), PermissionDeniedError),
        (Fault("result", 401), AuthenticationError),
        (Fault("result", changes={"request_id": "another"}), ResponseMismatchError),
    ],
)
def test_a_refusal_to_tell_the_cost_is_raised(
    kind: Kind, sandbox: Sandbox, client: Any, fault: Fault, error: type[Exception]
) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(fault)

    with pytest.raises(error) as caught:
        kind.settle(job.cost())
    assert getattr(caught.value, "request_id", None) == job.id


def test_a_cost_is_read_again_where_a_read_fails(kind: Kind, shop: Callable[..., Sandbox]) -> None:
    with shop() as sandbox:
        job = kind.settle(kind.client(sandbox).submit(REQUEST))
        sandbox.faults.extend([Fault("result", 503, headers=SOON), Fault("result", drop="answer")])

        assert kind.settle(job.cost()) == 0.04


def test_without_a_network_there_is_no_telling_the_cost(kind: Kind) -> None:
    with pytest.raises(APIConnectionError, match="read the result of request r1"):
        kind.settle(kind.client(base_url=unused_url(), token="t").job("r1").cost(timeout=0.2))


def test_one_request_timeout_without_any_answer_is_enough(kind: Kind) -> None:
    with pytest.raises(APIConnectionError, match="read the result of request r1"):
        kind.settle(kind.client(base_url=unused_url(), token="t", timeout=0.2).job("r1").cost(timeout=inf))


def test_a_network_that_goes_away_while_the_cost_is_awaited_leaves_it_unknown(
    kind: Kind, sandbox: Sandbox, client: Any
) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("result", changes={"cost": ...}))
    sandbox.faults.extend([Fault("result", 503)] * 100)

    assert kind.settle(job.cost(timeout=1)) is None


@pytest.mark.parametrize("timeout", [0, -1, True, "5", float("nan")])
def test_a_timeout_that_is_none_is_refused(kind: Kind, sandbox: Sandbox, client: Any, timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout: "):
        kind.settle(client.job("r1").cost(timeout))
    assert sandbox.requests == []


def test_the_pauses_between_reads_of_a_cost_grow() -> None:
    flow = _costs.cost(JobFlows("r1", None, 60.0, MemoryBook().find("r1")), 3600.0)
    pauses = []
    step = next(flow)
    for _ in range(5):
        assert isinstance(step, Request)
        pause = flow.send(Response(200, b'{"status": "succeeded", "output": {}}'))
        if isinstance(pause, Await):  # the end of the job is booked
            pause = flow.send(None)
        assert isinstance(pause, Pause)
        pauses.append(pause.seconds)
        step = flow.send(None)

    assert all(early <= late for early, late in pairwise(pauses))
    assert pauses[0] < pauses[-1] <= 5


def test_a_sidecar_tells_the_cost(kind: Kind, shop: Callable[..., Sandbox], tmp_path: Path) -> None:
    with shop() as sandbox:
        output = kind.settle(kind.client(sandbox).run(REQUEST))
        save = output.save_async if kind.is_async else output.save
        (file,) = kind.settle(save(tmp_path / "out", sidecar=True))

    assert json.loads(file.with_name(f"{file.name}.json").read_bytes())["cost_usd"] == 0.04


def test_an_account_url_is_shown_nowhere_but_where_it_is_asked_for() -> None:
    assert repr(Client(token="t")) == "Client(base_url='https://model-api.runcomfy.net/v1')"
