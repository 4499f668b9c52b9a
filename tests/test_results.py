"""Results in every shape: what was paid for is never lost, and what is another job's is never taken."""

import json
import pickle
from typing import Any

import pytest
from conftest import Kind
from runcomfy import JobFailedError, ResponseMismatchError
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox, Variant

REQUEST = edit.Input(prompt="p", image_url="u")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'["https://x/1.png"]'),
        (200, b'"https://x/1.png"'),
        (200, b'{"images": ["https://x/1.png"]}'),
        (200, b'{"status": "succeeded", "image": "https://x/1.png"}'),
        (200, b'{"output": ["https://x/1.png"]}'),
        (200, b'{"output": "https://x/1.png", "status": "done"}'),
        (200, b'{"output": [{"url": "https://x/1.png"}], "status": "completed"}'),
        (200, b'{"output": {"image": {"url": "https://x/1.png"}}, "error_code": 500001, "status": "succeeded"}'),
        (500, b'{"output": {"image": "https://x/1.png"}, "error_code": 500001, "status": "succeeded"}'),
        (404, b'{"output": {"image": "https://x/1.png"}, "status": "Succeeded"}'),
    ],
)
def test_a_result_that_was_paid_for_is_read_in_whatever_shape_it_comes(
    kind: Kind, sandbox: Sandbox, client: Any, status: int, body: bytes
) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("result", status, body))

    output = kind.settle(job.result())

    assert "https://x/1.png" in (output.image, output.model_dump().get("output"))
    received = json.loads(body)
    assert output.raw == (received if isinstance(received, dict) else {"output": received})


@pytest.mark.parametrize("body", [b"[]", b'"soon"', b"{}", b'{"msg": "being prepared"}', b'{"request_id": "{id}"}'])
def test_what_holds_no_output_is_no_result_yet(kind: Kind, sandbox: Sandbox, client: Any, body: bytes) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("result", 200, body.replace(b"{id}", job.id.encode())))

    assert kind.settle(job.result()).raw["status"] == "succeeded"


def test_a_success_without_an_output_keeps_its_body_and_is_told_in_the_log(
    kind: Kind, sandbox: Sandbox, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("result", 200, b'{"status": "succeeded", "output": {}, "note": 1}'))

    output = kind.settle(job.result())

    assert (output.image, output.raw["note"]) == (None, 1)
    assert f"request {job.id} succeeded without an output" in caplog.text


def test_a_result_nested_beyond_measure_keeps_its_body(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    job = kind.settle(client.submit(REQUEST))
    nested = b"[" * 600 + b"]" * 600
    sandbox.faults.append(Fault("result", 200, b'{"status": "succeeded", "output": {"image": %s}}' % nested))

    output = kind.settle(job.result())

    assert output.image is None
    assert output.raw["output"]["image"]


@pytest.mark.parametrize("error", [b"[" * 600 + b"]" * 600, b'"%s"' % (b"x" * 9999), b"[null, 7, {}, []]"])
def test_no_error_of_a_vendor_is_too_odd_to_be_told(kind: Kind, sandbox: Sandbox, client: Any, error: bytes) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault("result", 200, b'{"status": "failed", "error": %s}' % error))

    with pytest.raises(JobFailedError, match=job.id) as caught:
        kind.settle(job.result())

    assert caught.value.error == json.loads(error)


@pytest.mark.parametrize(
    ("changes", "names"),
    [({"request_id": "another"}, "request_id 'another'"), ({"model_id": "acme/other"}, "model_id 'acme/other'")],
)
@pytest.mark.parametrize("endpoint", ["status", "result"])
def test_an_answer_about_another_request_or_model_is_an_error_that_keeps_it(
    kind: Kind, sandbox: Sandbox, client: Any, endpoint: Any, changes: dict[str, str], names: str
) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault(endpoint, changes=changes))

    with pytest.raises(ResponseMismatchError, match=names) as caught:
        kind.settle(job.result())

    error = caught.value
    assert (error.request_id, error.model_id) == (job.id, edit.MODEL_ID)
    assert error.raw["status"] == ("completed" if endpoint == "status" else "succeeded")
    assert error.raw.items() >= changes.items()
    assert pickle.loads(pickle.dumps(error)).raw == error.raw
    assert kind.settle(job.result()).image


def test_a_job_taken_up_by_its_id_takes_the_result_of_any_model(kind: Kind) -> None:
    with Sandbox(variant=Variant(echo=True)) as sandbox:
        job = kind.settle(kind.client(sandbox).submit(REQUEST))
        assert kind.settle(job.result()).raw["model_id"] == edit.MODEL_ID
        sandbox.faults.append(Fault("result", changes={"model_id": "acme/renamed"}))

        assert kind.settle(kind.client(sandbox).job(job.id, edit.Output).result()).image
