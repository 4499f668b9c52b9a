"""The catalog, as both clients read it."""

import json
import pickle
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import Kind
from runcomfy import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    ConfigurationError,
    InputValidationError,
    InternalServerError,
    ModelInfo,
    NotFoundError,
    ResponseMismatchError,
)
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"prompt": {"type": "string"}}}
ENTRIES: list[dict[str, Any]] = [
    {
        "model_id": "acme/paint/edit",
        "display_name": "Paint",
        "description": "Repaints a wall & a door.",
        "categories": ["image-to-image", "text-to-image"],
        "kind": "model",
        "base_price_usd": 0.04,
        "price_unit": "output",
        "pricing_note": "Twice as much in 4K.",
        "model_url": "https://www.runcomfy.com/models/acme/paint",
        "required_inputs": ["prompt"],
        "input_schema": SCHEMA,
        "output_schema": {"type": "object"},
    },
    {"model_id": "acme/film", "categories": ["text-to-video"], "kind": "workflow", "input_schema": SCHEMA},
    {"model_id": "acme/film/4K", "categories": ["text-to-video"], "kind": "model", "input_schema": SCHEMA},
]
SOON = {"Retry-After": "0"}


def serving(folder: Path, entries: list[dict[str, Any]]) -> Sandbox:
    for number, entry in enumerate(entries):
        (folder / f"{number}.json").write_text(json.dumps(entry), encoding="utf-8")
    return Sandbox(schemas=folder)


@pytest.fixture(scope="module")
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Sandbox]]:
    many = [{"model_id": f"acme/model-{number:03}", "input_schema": {}} for number in range(250)]
    with (
        serving(tmp_path_factory.mktemp("few"), ENTRIES) as few,
        serving(tmp_path_factory.mktemp("many"), many) as large,
    ):
        yield [few, large]


@pytest.fixture
def few(_servers: list[Sandbox]) -> Sandbox:
    """A sandbox with the models of `ENTRIES`."""
    _servers[0].reset()
    return _servers[0]


@pytest.fixture
def large(_servers: list[Sandbox]) -> Sandbox:
    """A sandbox with 250 models, which are three pages."""
    _servers[1].reset()
    return _servers[1]


def queries(sandbox: Sandbox) -> list[dict[str, str]]:
    """The query of each request."""
    return [
        {name: values[0] for name, values in parse_qs(urlsplit(request.path).query, keep_blank_values=True).items()}
        for request in sandbox.requests
    ]


def offsets(sandbox: Sandbox) -> list[int]:
    return [int(query["offset"]) for query in queries(sandbox)]


def rows(*numbers: int) -> list[dict[str, str]]:
    return [{"model_id": f"acme/model-{number:03}"} for number in numbers]


def ids(models: list[ModelInfo]) -> list[str]:
    return [model.model_id for model in models]


def test_a_model_has_all_that_the_catalog_says(kind: Kind, few: Sandbox) -> None:
    model = kind.settle(kind.client(few).models.get("acme/paint/edit"))

    assert model == ModelInfo(
        model_id="acme/paint/edit",
        display_name="Paint",
        description="Repaints a wall & a door.",
        categories=("image-to-image", "text-to-image"),
        kind="model",
        base_price_usd=0.04,
        price_unit="output",
        pricing_note="Twice as much in 4K.",
        model_url="https://www.runcomfy.com/models/acme/paint",
        required_inputs=("prompt",),
        input_schema=SCHEMA,
        output_schema={"type": "object"},
        raw=ENTRIES[0],
    )
    assert [request.path for request in few.requests] == ["/v1/models/acme/paint/edit"]
    assert "raw" not in repr(model)
    assert len({model, pickle.loads(pickle.dumps(model))}) == 1


def test_what_the_catalog_leaves_out_is_none_or_empty(kind: Kind, few: Sandbox) -> None:
    few.faults.append(Fault("model", 200, b"{}"))

    assert kind.settle(kind.client(few).models.get("acme/film")) == ModelInfo(model_id="acme/film")


@pytest.mark.parametrize(
    ("name", "received", "read"),
    [
        ("display_name", 5, None),
        ("description", ["a"], None),
        ("categories", "text-to-image", ()),
        ("categories", ["a", 5, None, "b"], ("a", "b")),
        ("kind", {}, None),
        ("base_price_usd", "0.04", None),
        ("base_price_usd", True, None),
        ("base_price_usd", -0.01, None),
        ("base_price_usd", float("nan"), None),
        ("base_price_usd", float("inf"), None),
        ("base_price_usd", 10**400, None),
        ("base_price_usd", 0, 0.0),
        ("price_unit", 1, None),
        ("pricing_note", False, None),
        ("model_url", None, None),
        ("required_inputs", {"prompt": True}, ()),
        ("input_schema", [SCHEMA], None),
        ("output_schema", "object", None),
    ],
)
def test_a_field_of_another_shape_is_none_or_empty_and_kept_as_received(
    kind: Kind, few: Sandbox, name: str, received: Any, read: Any
) -> None:
    body = json.dumps({**ENTRIES[0], name: received}).encode()
    few.faults.append(Fault("model", 200, body))
    few.faults.append(Fault("models", 200, b'{"models": [%s], "total": 1}' % body))
    client = kind.client(few)

    found = [kind.settle(client.models.get("acme/paint/edit")), *kind.settle(client.models.list())]

    assert len(found) == 2
    for model in found:
        assert getattr(model, name) == read
        assert type(getattr(model, name)) is type(read)
        assert json.dumps(model.raw[name]) == json.dumps(received)


def test_a_model_that_the_api_spells_otherwise_has_its_spelling(kind: Kind, few: Sandbox) -> None:
    few.faults.append(Fault("model", changes={"model_id": "Acme/Film"}))

    assert kind.settle(kind.client(few).models.get("acme/film")).model_id == "Acme/Film"


@pytest.mark.parametrize("named", [..., None, "", 7])
def test_an_answer_that_names_no_model_is_about_the_one_asked_for(kind: Kind, few: Sandbox, named: Any) -> None:
    few.faults.append(Fault("model", changes={"model_id": named}))

    model = kind.settle(kind.client(few).models.get("acme/film"))

    assert (model.model_id, model.kind) == ("acme/film", "workflow")


def test_an_answer_about_another_model_is_an_error_that_keeps_it(kind: Kind, few: Sandbox) -> None:
    few.faults.append(Fault("model", changes={"model_id": "acme/paint"}))

    with pytest.raises(ResponseMismatchError, match=r"look up acme/film: .*'acme/paint'") as caught:
        kind.settle(kind.client(few).models.get("acme/film"))

    assert (caught.value.model_id, caught.value.request_id) == ("acme/film", None)
    assert caught.value.raw["kind"] == "workflow"
    assert pickle.loads(pickle.dumps(caught.value)).raw == caught.value.raw


def test_an_unknown_model_is_not_found(kind: Kind, few: Sandbox) -> None:
    with pytest.raises(NotFoundError, match="acme/nothing") as caught:
        kind.settle(kind.client(few).models.get("acme/nothing"))

    assert (caught.value.model_id, caught.value.request_id) == ("acme/nothing", None)
    assert len(few.requests) == 1


@pytest.mark.parametrize(
    "model_id",
    ["", "/acme/film", "film/", "acme//film", "acme/../film", "./film", "a\\b", "a\nb", "\ud800", 5, "categories"],
)
def test_what_cannot_be_an_id_is_refused_before_anything_is_sent(kind: Kind, few: Sandbox, model_id: Any) -> None:
    with pytest.raises(InputValidationError, match=r"look-up of a model: .* is no model id"):
        kind.settle(kind.client(few).models.get(model_id))

    assert few.requests == []


def test_an_id_is_no_query_and_no_fragment(kind: Kind, few: Sandbox) -> None:
    with pytest.raises(NotFoundError):
        kind.settle(kind.client(few).models.get("acme/film?a=b#c %2F"))

    assert few.requests[0].path == "/v1/models/acme/film%3Fa%3Db%23c%20%252F"


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"7", b"true"])
def test_an_answer_that_is_no_model_is_an_error_that_keeps_it(kind: Kind, few: Sandbox, body: bytes) -> None:
    few.faults.append(Fault("model", 200, body))

    with pytest.raises(APIStatusError, match="no model") as caught:
        kind.settle(kind.client(few).models.get("acme/film"))

    assert (type(caught.value), caught.value.status_code, caught.value.body) == (APIStatusError, 200, body)


def test_a_list_has_all_models_of_the_package(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    models = kind.settle(client.models.list())

    assert ids(models) == sandbox.models
    assert edit.MODEL_ID in ids(models)
    assert len(sandbox.requests) == 1


def test_a_list_has_schemas_only_where_asked_for(kind: Kind, few: Sandbox) -> None:
    client = kind.client(few)

    without, with_schemas = kind.settle(client.models.list()), kind.settle(client.models.list(include_schema=True))

    assert [model.input_schema for model in without] == [None, None, None]
    assert [model.input_schema for model in with_schemas] == [SCHEMA, SCHEMA, SCHEMA]
    assert queries(few)[1] == {**queries(few)[0], "include_schema": "true"}


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        ({}, ["acme/film", "acme/film/4K", "acme/paint/edit"]),
        ({"search": "WALL & a"}, ["acme/paint/edit"]),
        ({"search": "film"}, ["acme/film", "acme/film/4K"]),
        ({"search": "nothing"}, []),
        ({"category": "text-to-video"}, ["acme/film", "acme/film/4K"]),
        ({"kind": "workflow"}, ["acme/film"]),
        ({"search": "4k", "category": "text-to-video", "kind": "model"}, ["acme/film/4K"]),
    ],
)
def test_models_are_selected_by_the_api(kind: Kind, few: Sandbox, selection: dict[str, str], found: list[str]) -> None:
    assert ids(kind.settle(kind.client(few).models.list(**selection))) == found
    assert queries(few) == [{**selection, "limit": "100", "offset": "0"}]


@pytest.mark.parametrize("text", ["a&limit=1", "50 % + é/?#", "a%20b", "提示"])
def test_a_text_is_searched_for_as_it_is(kind: Kind, few: Sandbox, text: str) -> None:
    kind.settle(kind.client(few).models.list(search=text))

    assert queries(few) == [{"search": text, "limit": "100", "offset": "0"}]
    assert not set(" +") & set(few.requests[0].path)


@pytest.mark.parametrize("name", ["search", "category", "kind"])
def test_a_text_that_has_no_utf8_is_refused(kind: Kind, few: Sandbox, name: str) -> None:
    with pytest.raises(InputValidationError, match=name):
        kind.settle(kind.client(few).models.list(**{name: "\ud800"}))

    assert few.requests == []


def test_all_pages_are_read_and_each_is_reported(kind: Kind, large: Sandbox) -> None:
    pages: list[tuple[int, int | None]] = []

    models = kind.settle(kind.client(large).models.list(on_page=lambda read, total: pages.append((read, total))))

    assert ids(models) == large.models
    assert offsets(large) == [0, 100, 200]
    assert pages == [(100, 250), (200, 250), (250, 250)]


def test_a_server_may_give_less_than_it_was_asked_for(kind: Kind, large: Sandbox) -> None:
    large.faults.append(Fault("models", changes={"models": rows(*range(40)), "limit": 40}))

    assert ids(kind.settle(kind.client(large).models.list())) == large.models
    assert offsets(large) == [0, 40, 140, 240]


@pytest.mark.parametrize("total", [..., None, "250", 250.0, True, -1])
def test_without_a_total_pages_are_read_until_one_is_empty(kind: Kind, large: Sandbox, total: Any) -> None:
    large.faults.extend([Fault("models", changes={"total": total})] * 4)
    totals: list[int | None] = []

    models = kind.settle(kind.client(large).models.list(on_page=lambda _, total: totals.append(total)))

    assert ids(models) == large.models
    assert offsets(large) == [0, 100, 200, 250]
    assert totals == [None] * 4


def test_a_total_that_comes_late_ends_the_list_too(kind: Kind, large: Sandbox) -> None:
    large.faults.append(Fault("models", changes={"total": ...}))

    assert ids(kind.settle(kind.client(large).models.list())) == large.models
    assert offsets(large) == [0, 100, 200]


def test_a_server_that_ignores_the_offset_is_not_asked_for_ever(
    kind: Kind, large: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    large.faults.extend([Fault("models", changes={"models": rows(*range(100))})] * 10)

    models = kind.settle(kind.client(large).models.list())

    assert ids(models) == large.models[:100]
    assert offsets(large) == [0, 100] * 3
    assert [record.args for record in caplog.records if record.levelname == "WARNING"] == [
        ("list the models", 3, 100, 250)
    ]


def test_a_server_that_ignores_the_offset_and_gives_no_total_is_read_once(kind: Kind, large: Sandbox) -> None:
    large.faults.extend([Fault("models", changes={"models": rows(*range(100)), "total": ...})] * 10)

    assert ids(kind.settle(kind.client(large).models.list())) == large.models[:100]
    assert offsets(large) == [0, 100]


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        (1, {"total": 251}),
        (1, {"models": rows(*range(99, 199))}),
        (1, {"models": []}),
        (2, {"models": rows(*range(200, 251))}),
        (2, {"models": [*rows(*range(200, 250)), {"kind": "nameless"}]}),
    ],
    ids=["another total", "a row again", "no row", "a row too many", "a nameless row too many"],
)
def test_a_catalog_that_changes_meanwhile_is_read_again(
    kind: Kind, large: Sandbox, caplog: pytest.LogCaptureFixture, before: int, changes: dict[str, Any]
) -> None:
    large.faults.extend([*[Fault("models")] * before, Fault("models", changes=changes)])
    pages: list[int] = []

    models = kind.settle(kind.client(large).models.list(on_page=lambda read, _: pages.append(read)))

    assert ids(models) == large.models
    assert offsets(large)[-3:] == [0, 100, 200]
    assert offsets(large).count(0) == 2
    assert pages[-3:] == [100, 200, 250]
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_a_catalog_that_never_fits_is_read_three_times_and_returned_with_a_warning(
    kind: Kind, large: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    shifted = Fault("models", changes={"models": rows(*range(99, 199))})
    large.faults.extend([Fault("models"), shifted, Fault("models")] * 3)

    models = kind.settle(kind.client(large).models.list())

    assert ids(models) == [model_id for model_id in large.models if model_id != "acme/model-199"]
    assert offsets(large) == [0, 100, 200] * 3
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert warning.name == "runcomfy"
    assert "read 3 times" in warning.getMessage()
    assert "249 models were read, and the API counts 250" in warning.getMessage()


def test_an_id_stands_once_and_its_case_counts(kind: Kind, few: Sandbox) -> None:
    entries = [{"model_id": "acme/4k"}, {"model_id": "acme/4K"}, {"model_id": "acme/4k", "kind": "model"}]
    few.faults.append(Fault("models", changes={"models": entries, "total": 2}))

    models = kind.settle(kind.client(few).models.list())

    assert [(model.model_id, model.kind) for model in models] == [("acme/4k", None), ("acme/4K", None)]


@pytest.mark.parametrize("entry", [{}, {"model_id": 5}, {"model_id": ""}, {"model_id": "../x"}, None, "acme/film", []])
def test_an_entry_without_a_usable_id_is_left_out_with_a_warning(
    kind: Kind, few: Sandbox, caplog: pytest.LogCaptureFixture, entry: Any
) -> None:
    few.faults.append(Fault("models", changes={"models": [{"model_id": "a"}, entry, {"model_id": "b"}], "total": 3}))

    assert ids(kind.settle(kind.client(few).models.list())) == ["a", "b"]

    assert len(few.requests) == 1
    warnings = [record.getMessage() for record in caplog.records if (record.name, record.levelno) == ("runcomfy", 30)]
    assert warnings == ["list the models: left out, for want of a usable model_id: 1"]


@pytest.mark.parametrize("body", [b"{}", b'{"models": null}', b'{"models": {}}', b"[]", b'"models"', b'{"data": []}'])
def test_an_answer_without_a_list_is_an_error_that_keeps_it(kind: Kind, few: Sandbox, body: bytes) -> None:
    few.faults.append(Fault("models", 200, body))

    with pytest.raises(APIStatusError, match="the answer has no list of models") as caught:
        kind.settle(kind.client(few).models.list())

    assert (type(caught.value), caught.value.status_code, caught.value.body) == (APIStatusError, 200, body)
    assert len(few.requests) == 1


@pytest.mark.parametrize("endpoint", ["models", "model"])
def test_a_read_of_the_catalog_is_repeated_until_it_succeeds(kind: Kind, few: Sandbox, endpoint: Any) -> None:
    client = kind.client(few)
    few.faults.append(Fault(endpoint, drop="body"))
    few.faults.extend(Fault(endpoint, status, headers=SOON) for status in (408, 429, 503))
    few.faults.extend(Fault(endpoint, 200, body, SOON) for body in (b'{"models": [', b"null"))
    few.faults.append(Fault(endpoint, 200, b'{"error_code": 500001}', SOON))

    found = kind.settle(client.models.list() if endpoint == "models" else client.models.get("acme/film"))

    assert (found[0] if endpoint == "models" else found).model_id == "acme/film"
    assert len(few.requests) == 8
    assert len({request.path for request in few.requests}) == 1


def test_each_page_is_repeated_by_itself(kind: Kind, large: Sandbox) -> None:
    large.faults.extend([Fault("models"), Fault("models", 503, headers=SOON)])

    assert ids(kind.settle(kind.client(large).models.list())) == large.models
    assert offsets(large) == [0, 100, 100, 200]


@pytest.mark.parametrize("call", ["list", "get"])
def test_a_refusal_is_not_repeated(kind: Kind, few: Sandbox, call: str) -> None:
    models = kind.client(few, token="wrong").models

    with pytest.raises(AuthenticationError, match="RUNCOMFY_TOKEN"):
        kind.settle(models.list() if call == "list" else models.get("acme/film"))

    assert len(few.requests) == 1


def test_reads_of_the_catalog_give_up_after_one_request_timeout(kind: Kind, few: Sandbox) -> None:
    few.faults.extend([Fault("model", 502)] * 100)

    with pytest.raises(InternalServerError, match="look up acme/film: HTTP 502") as caught:
        kind.settle(kind.client(few, timeout=0.5).models.get("acme/film"))

    assert caught.value.model_id == "acme/film"


@pytest.mark.parametrize("call", ["list", "get"])
def test_a_catalog_that_cannot_be_reached_is_a_connection_error_without_a_word_about_jobs(
    kind: Kind, call: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    models = kind.client(base_url=f"http://127.0.0.1:{port}", token="t", timeout=0.05).models

    with pytest.raises(APIConnectionError, match=r"Call again\.") as caught:
        kind.settle(models.list() if call == "list" else models.get("acme/film"))

    assert "job" not in str(caught.value)
    assert caught.value.model_id == (None if call == "list" else "acme/film")


def test_what_on_page_raises_is_raised(kind: Kind, large: Sandbox) -> None:
    class Enough(Exception):
        pass

    def stop(read: int, total: int | None) -> None:
        raise Enough(read, total)

    with pytest.raises(Enough) as caught:
        kind.settle(kind.client(large).models.list(on_page=stop))

    assert caught.value.args == (100, 250)
    assert len(large.requests) == 1


async def _coroutine(read: int, total: int | None) -> None: ...


@pytest.mark.parametrize("on_page", [_coroutine, "print", 5])
def test_what_is_no_plain_function_is_refused(kind: Kind, few: Sandbox, on_page: Any) -> None:
    with pytest.raises(TypeError, match=r"on_page: .* is no plain function"):
        kind.settle(kind.client(few).models.list(on_page=on_page))

    assert few.requests == []


def test_a_closed_client_reads_no_catalog(kind: Kind, few: Sandbox) -> None:
    client = kind.client(few)
    kind.settle(client.close())

    with pytest.raises(ConfigurationError, match="closed"):
        kind.settle(client.models.list())
    with pytest.raises(ConfigurationError, match="closed"):
        kind.settle(client.models.get("acme/film"))
    assert few.requests == []
