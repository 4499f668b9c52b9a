"""What is sent, byte for byte."""

from typing import Any

import pytest
import runcomfy
from conftest import Kind
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Sandbox


def test_a_run_sends_only_what_the_caller_set(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    kind.call(edit, "run", client, prompt="p", image_url="https://example.com/a b.webp?sig=%2F+x")

    assert [request.method for request in sandbox.requests] == ["POST", "GET", "GET"]
    submit = sandbox.requests[0]
    assert submit.path == "/v1/models/blackforestlabs/flux-1-kontext/pro/edit"
    assert submit.body == b'{"prompt":"p","image_url":"https://example.com/a b.webp?sig=%2F+x"}'


def test_all_fields_are_sent_in_schema_order(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    kind.call(edit, "submit", client, aspect_ratio="9:21", seed=2**70, image_url="u", prompt='"ä\\ 日本\n')

    assert (
        sandbox.requests[0].body
        == '{"prompt":"\\"ä\\\\ 日本\\n","image_url":"u","seed":1180591620717411303424,"aspect_ratio":"9:21"}'.encode()
    )


def test_an_input_of_its_own_sends_the_same_as_the_function(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    kind.call(edit, "submit", client, prompt="p", image_url="u", seed=1)
    kind.settle(client.submit(edit.Input(prompt="p", image_url="u", seed=1)))

    first, second = sandbox.requests
    assert first.body == second.body


def test_none_is_not_sent(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    kind.settle(client.submit(edit.Input(prompt="p", image_url="u", seed=None)))

    assert sandbox.requests[0].json == {"prompt": "p", "image_url": "u"}


def test_every_request_carries_the_token_and_names_the_client(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    kind.call(edit, "run", client, prompt="p", image_url="u")

    for request in sandbox.requests:
        assert request.headers["authorization"] == f"Bearer {sandbox.token}"
        assert request.headers["user-agent"] == f"runcomfy-python/{runcomfy.__version__}"
        assert request.headers["accept"] == "application/json"
    assert sandbox.requests[0].headers["content-type"] == "application/json"
    assert "content-type" not in sandbox.requests[1].headers


def test_further_headers_are_sent(kind: Kind, sandbox: Sandbox) -> None:
    client = kind.client(sandbox, headers={"X-Team": "blue", "User-Agent": "mine/1"})

    kind.settle(client.submit(edit.Input(prompt="p", image_url="u")))

    headers = sandbox.requests[0].headers
    assert (headers["x-team"], headers["user-agent"]) == ("blue", "mine/1")


def test_a_model_without_a_class_gets_its_arguments_as_they_are(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    job = kind.settle(client.submit(edit.MODEL_ID, {"image_url": "u", "prompt": "p", "x": [1, 2.5, {"y": True}]}))

    assert sandbox.requests[0].body == b'{"image_url":"u","prompt":"p","x":[1,2.5,{"y":true}]}'
    assert job.model_id == edit.MODEL_ID


def test_the_id_of_a_model_is_percent_encoded_but_for_its_slashes(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    with pytest.raises(runcomfy.NotFoundError):
        kind.settle(client.run("minimax/Hailuo Video 01 Live/é?#%", {}))

    assert sandbox.requests[0].path == "/v1/models/minimax/Hailuo%20Video%2001%20Live/%C3%A9%3F%23%25"


@pytest.mark.parametrize("model_id", ["", "a//b", "a/../b", "a/./b", "/a", "a/", "a\\b", "a/b\n"])
def test_what_cannot_be_a_model_id_is_refused_before_anything_is_sent(
    kind: Kind, sandbox: Sandbox, client: Any, model_id: str
) -> None:
    with pytest.raises(runcomfy.InputValidationError, match="no model id"):
        kind.settle(client.submit(model_id, {}))

    assert sandbox.requests == []


@pytest.mark.parametrize(
    "arguments", [{"x": float("nan")}, {"x": float("inf")}, {"x": object()}, {"x": "\ud800"}, {"x": {1, 2}}]
)
def test_arguments_that_are_no_json_are_refused_before_anything_is_sent(
    kind: Kind, sandbox: Sandbox, client: Any, arguments: dict[str, Any]
) -> None:
    with pytest.raises(runcomfy.InputValidationError, match="not JSON"):
        kind.settle(client.submit("acme/model", arguments))

    assert sandbox.requests == []


@pytest.mark.parametrize("arguments", [(), (edit.Input,), ("acme/model",), ("acme/model", [1]), (5, {})])
def test_a_call_with_the_wrong_kind_of_arguments_is_a_type_error(
    kind: Kind, sandbox: Sandbox, client: Any, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(TypeError):
        kind.settle(client.submit(*arguments))

    assert sandbox.requests == []
