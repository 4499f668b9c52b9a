"""The sandbox as a server: its seven paths and the balance, its outputs, its command and its pytest plugin."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from runcomfy.sandbox import Sandbox

pytest_plugins = ["pytester"]

EDIT = "blackforestlabs/flux-1-kontext/pro/edit"
BODY = {"prompt": "p", "image_url": "u"}


def call(sandbox: Sandbox, method: str, path: str, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {sandbox.token}", **options.pop("headers", {})}
    return httpx.request(
        method, sandbox.base_url.removesuffix("/v1") + path, headers=headers, trust_env=False, **options
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/v1/models/{EDIT}"),
        ("GET", "/v1/requests/x/status"),
        ("GET", "/v1/requests/x/result"),
        ("POST", "/v1/requests/x/cancel"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/categories"),
        ("GET", f"/v1/models/{EDIT}"),
        ("GET", "/prod/v2/balance"),
    ],
)
@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic {token}", "{token}"])
def test_every_path_needs_the_token(sandbox: Sandbox, method: str, path: str, authorization: str) -> None:
    answer = call(sandbox, method, path, headers={"Authorization": authorization.format(token=sandbox.token)})

    assert (answer.status_code, answer.json()["error_code"]) == (401, 400004)


def test_a_job_goes_through_its_states(sandbox: Sandbox) -> None:
    with Sandbox(queue_reads=2, run_reads=1, queue_length=2) as sandbox:
        base = sandbox.base_url
        accepted = call(sandbox, "POST", f"/v1/models/{EDIT}", json=BODY)
        request_id = accepted.json()["request_id"]
        urls = {name: f"{base}/requests/{request_id}/{name}" for name in ("status", "result", "cancel")}
        assert accepted.status_code == 200
        assert accepted.json() == {"request_id": request_id, **{f"{name}_url": url for name, url in urls.items()}}
        path = f"/v1/requests/{request_id}"
        tail = {"status_url": urls["status"], "result_url": urls["result"]}

        assert call(sandbox, "GET", f"{path}/status").json() == {
            "request_id": request_id,
            "status": "in_queue",
            "queue_position": 2,
            **tail,
        }
        assert call(sandbox, "GET", f"{path}/status").json()["queue_position"] == 1
        assert call(sandbox, "GET", f"{path}/result").json()["status"] == "in_progress"
        assert call(sandbox, "POST", f"{path}/cancel").json()["outcome"] == "not_cancellable"
        assert call(sandbox, "GET", f"{path}/status").json() == {
            "request_id": request_id,
            "status": "in_progress",
            **tail,
        }
        assert call(sandbox, "GET", f"{path}/status").json()["status"] == "completed"
        result = call(sandbox, "GET", f"{path}/result").json()
        assert set(result) == {"request_id", "status", "created_at", "finished_at", "output"}
        assert result["status"] == "succeeded"
        assert call(sandbox, "GET", f"{path}/result?include_cost=true").json()["cost"] == 0.0


def test_a_queued_job_can_be_cancelled_and_a_cancelled_one_has_no_output() -> None:
    with Sandbox(queue_seconds=3600) as sandbox:
        path = f"/v1/requests/{call(sandbox, 'POST', f'/v1/models/{EDIT}', json=BODY).json()['request_id']}"

        cancelled = call(sandbox, "POST", f"{path}/cancel")
        again = call(sandbox, "POST", f"{path}/cancel")
        result = call(sandbox, "GET", f"{path}/result").json()

    assert (cancelled.status_code, cancelled.json()["outcome"]) == (202, "cancelled")
    assert (again.status_code, again.json()["outcome"]) == (202, "not_cancellable")
    assert (result["status"], "output" in result) == ("cancelled", False)


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (b"{", 400, 400001, "not JSON"),
        (b"\xff", 400, 400001, "not JSON"),
        (b"[" * 100_000, 400, 400001, "not JSON"),
        (b"[]", 422, 422001, "not of type 'object'"),
        (b"{}", 422, 422001, "'prompt' is a required property; 'image_url' is a required property"),
        (b'{"prompt": "p", "image_url": 5}', 422, 422001, "image_url: 5 is not of type 'string'"),
        (b'{"prompt": "p", "image_url": "u", "aspect_ratio": "17:9"}', 422, 422001, "aspect_ratio: '17:9' is not one"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_with_the_field(
    sandbox: Sandbox, body: bytes, status: int, code: int, words: str
) -> None:
    answer = call(sandbox, "POST", f"/v1/models/{EDIT}", content=body)

    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert words in answer.json()["error_message"]
    assert sandbox.accepted == []


@pytest.mark.parametrize("content", [None, "{", "[]", '{"input_schema": 5}'])
def test_a_folder_that_cannot_be_served_is_named(tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "schemas"
    if content is not None:
        folder.mkdir()
        (folder / "model.json").write_text(content)

    with pytest.raises(ValueError, match="no such folder" if content is None else r"model\.json: no"):
        Sandbox(folder)
    command = [sys.executable, "-m", "runcomfy.sandbox", "--schemas", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert str(folder) in done.stderr


def test_unknown_models_and_requests_are_not_found(sandbox: Sandbox) -> None:
    for method, path in (
        ("POST", "/v1/models/no/such"),
        ("GET", "/v1/models/no/such"),
        ("GET", "/v1/requests/x/status"),
    ):
        answer = call(sandbox, method, path)
        assert (answer.status_code, answer.json()["error_code"]) == (404, 404001)


def test_the_catalog_can_be_listed_searched_and_paged(sandbox: Sandbox) -> None:
    everything = call(sandbox, "GET", "/v1/models").json()
    assert [entry["model_id"] for entry in everything["models"]] == sandbox.models
    assert (everything["total"], everything["limit"], everything["offset"]) == (len(sandbox.models), 100, 0)
    assert all("input_schema" not in entry for entry in everything["models"])

    page = call(sandbox, "GET", "/v1/models?limit=1&offset=1&include_schema=true").json()
    assert [entry["model_id"] for entry in page["models"]] == sandbox.models[1:2]
    assert "input_schema" in page["models"][0]
    assert page["total"] == len(sandbox.models)

    found = call(sandbox, "GET", "/v1/models?search=KONTEXT+PRO&category=image-to-image&kind=model").json()
    assert [entry["model_id"] for entry in found["models"]] == [EDIT]
    assert call(sandbox, "GET", "/v1/models?kind=workflow").json()["total"] == 0
    assert call(sandbox, "GET", "/v1/models?limit=501").status_code == 422
    assert call(sandbox, "GET", "/v1/models?offset=x").status_code == 422
    assert "text-to-image" in call(sandbox, "GET", "/v1/models/categories").json()["categories"]
    assert call(sandbox, "GET", f"/v1/models/{EDIT}").json()["model_id"] == EDIT


def test_a_job_is_paid_from_the_balance_and_a_cancelled_one_paid_back(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme/dear.json").write_text('{"input_schema": {}, "base_price_usd": 60, "price_unit": "output"}')
    with Sandbox(tmp_path, queue_seconds=3600) as sandbox:
        first = call(sandbox, "POST", "/v1/models/acme/dear", json={}).json()["request_id"]
        balance = call(sandbox, "GET", "/prod/v2/balance").json()
        refused = call(sandbox, "POST", "/v1/models/acme/dear", json={})
        call(sandbox, "POST", f"/v1/requests/{first}/cancel")

        assert balance == {"balance_usd": 40.0, "balance_microdollars": 40_000_000, "currency": "USD"}
        assert (refused.status_code, refused.json()["error_code"]) == (402, 400002)
        assert call(sandbox, "GET", "/prod/v2/balance").json()["balance_usd"] == 100.0


def output_of(sandbox: Sandbox, model_id: str, body: dict[str, Any]) -> dict[str, Any]:
    request_id = call(sandbox, "POST", f"/v1/models/{model_id}", content=json.dumps(body)).json()["request_id"]
    output: dict[str, Any] = call(sandbox, "GET", f"/v1/requests/{request_id}/result").json()["output"]
    return output


def test_each_kind_of_model_has_an_output_of_its_kind(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme/text-to-audio.json").write_text('{"input_schema": {}}')
    (tmp_path / "acme/x.json").write_text('{"input_schema": {}, "categories": ["image-to-video"]}')
    lists = {"output": {"type": "object", "properties": {"images": {"type": "array"}}}}
    (tmp_path / "acme/lists.json").write_text(json.dumps({"input_schema": {}, "output_schema": lists}))
    told = {"output": {"type": "object", "properties": {"audio": {"type": "string"}}}}
    (tmp_path / "acme/told.json").write_text(json.dumps({"input_schema": {}, "output_schema": told}))
    file = {"type": "object", "properties": {"url": {"type": "string"}, "bytes": {"type": "integer"}}}
    own_schema = {"properties": {"file": file, "all": {"type": "array", "items": {"type": "string"}}}}
    (tmp_path / "acme/own.json").write_text(json.dumps({"input_schema": {}, "output_schema": own_schema}))
    with Sandbox(tmp_path) as sandbox:
        assert output_of(sandbox, "acme/text-to-audio", {})["audio"].endswith("/output.wav")
        assert output_of(sandbox, "acme/x", {})["video"].endswith("/output.mp4")
        assert output_of(sandbox, "acme/told", {})["audio"].endswith("/output.wav")
        assert len(output_of(sandbox, "acme/lists", {})["images"]) == 1
        own = output_of(sandbox, "acme/own", {})
        assert own["file"]["url"].startswith("http://127.0.0.1")
        assert own["file"]["bytes"] == 0
        assert len(own["all"]) == 1
        assert httpx.get(own["all"][0], trust_env=False).status_code == 200


def test_the_address_is_known_only_while_it_runs() -> None:
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="not running"):
        _ = sandbox.base_url
    with sandbox:
        address = sandbox.base_url
        assert httpx.get(f"{address}/models", trust_env=False).status_code == 401
    sandbox.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/models", trust_env=False)


@pytest.mark.parametrize("name", ["av", "uvicorn"])
def test_a_missing_extra_says_what_to_install(name: str) -> None:
    program = f"import sys; sys.modules['{name}'] = None; import runcomfy.sandbox"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert f"the sandbox needs {name}; type: pip install 'runcomfy[sandbox]'" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="stops the command as Ctrl-C does, which is a signal")
def test_the_command_serves_until_it_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"input_schema": {}}')
    command = [
        sys.executable,
        "-m",
        "runcomfy.sandbox",
        "--schemas",
        str(tmp_path),
        "--token",
        "t",
        "--run-seconds",
        "0",
    ]
    background = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}  # as a shell starts it with &
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **background) as process:  # type: ignore[call-overload]  # one option
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(3)]
        address = lines[1].removeprefix("export RUNCOMFY_MODEL_API_BASE=")
        answer = httpx.get(f"{address}/models", headers={"Authorization": "Bearer t"}, trust_env=False)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)

    assert lines[0] == "# RunComfy sandbox, models: 1; Ctrl-C stops it"
    assert lines[2] == "export RUNCOMFY_TOKEN=t"
    assert [entry["model_id"] for entry in answer.json()["models"]] == ["model"]
    assert process.returncode == 0


def test_the_pytest_plugin_lets_code_under_test_run_without_a_client(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeconftest('pytest_plugins = ["runcomfy.sandbox.pytest"]')
    pytester.makepyfile(
        """
        from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

        def test_one(runcomfy_sandbox):
            assert edit.run(prompt="p", image_url="u").image
            assert runcomfy_sandbox.requests[0].json == {"prompt": "p", "image_url": "u"}

        def test_two(runcomfy_sandbox):
            assert runcomfy_sandbox.requests == runcomfy_sandbox.accepted == []
            edit.run(prompt="p", image_url="u")
        """
    )
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)
