"""``edit.run(…)`` without a client: one from the environment for each process or event loop."""

import asyncio
from typing import Any

import pytest
from runcomfy import AsyncClient, Client, ConfigurationError, InputValidationError, _default
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Sandbox

PROGRAM = """
import asyncio, gc
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

def fields(): return {"prompt": "p", "image_url": "u"}
print(edit.run(**fields()).image)
print(edit.submit(**fields()).result().image)

async def main():
    first, second = await asyncio.gather(edit.run_async(**fields()), edit.run_async(**fields()))
    job = await edit.submit_async(**fields())
    print((await job.result()).image)

asyncio.run(main())
asyncio.run(main())
gc.collect()
"""


def test_the_environment_makes_a_client_that_is_closed_at_the_end(sandbox: Sandbox, run_program: Any) -> None:
    output = run_program(PROGRAM, sandbox, "-W", "error")

    assert len(output.split()) == 4
    assert len(sandbox.accepted) == 8


def test_a_wrong_input_is_said_before_a_missing_token() -> None:
    with pytest.raises(InputValidationError):
        edit.run(prompt="p", image_url="u", seed=True)
    with pytest.raises(InputValidationError):
        asyncio.run(edit.submit_async(prompt="p", image_url="u", seed=True))


def test_the_other_kind_of_client_is_refused_before_anything_is_paid(sandbox: Sandbox) -> None:
    sync, concurrent = (kind("t", sandbox.base_url) for kind in (Client, AsyncClient))
    fields = {"prompt": "p", "image_url": "u"}
    for function in (edit.run, edit.submit):
        with pytest.raises(TypeError, match="expected a Client"):
            function(concurrent, **fields)  # type: ignore[arg-type]  # pyright: ignore  # what is tested
    for function_async in (edit.run_async, edit.submit_async):
        with pytest.raises(TypeError, match="expected an AsyncClient"):
            asyncio.run(function_async(sync, **fields))  # type: ignore[arg-type]  # pyright: ignore  # what is tested

    assert sandbox.requests == []


def test_without_a_token_the_call_says_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match="RUNCOMFY_TOKEN"):
        edit.run(prompt="p", image_url="u")
    with pytest.raises(ConfigurationError, match="RUNCOMFY_TOKEN"):
        asyncio.run(edit.run_async(prompt="p", image_url="u"))


def test_one_client_serves_all_calls_of_a_process_and_one_those_of_a_loop(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNCOMFY_TOKEN", sandbox.token)
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", sandbox.base_url)

    async def two() -> bool:
        return await _default.default_async_client() is await _default.default_async_client()

    assert _default.default_client() is _default.default_client()
    assert asyncio.run(two())


def test_a_changed_environment_gets_a_client_of_its_own(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a test that points the environment to a sandbox could run, and pay for, jobs of the real API."""
    with Sandbox() as other:
        for target in (other, sandbox, other):
            monkeypatch.setenv("RUNCOMFY_TOKEN", target.token)
            monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", target.base_url)
            edit.run(prompt="p", image_url="u")
            asyncio.run(edit.run_async(prompt="p", image_url="u"))

        assert (len(sandbox.accepted), len(other.accepted)) == (2, 4)


def test_the_clients_of_closed_loops_are_forgotten(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNCOMFY_TOKEN", sandbox.token)
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", sandbox.base_url)

    asyncio.run(edit.run_async(prompt="p", image_url="u"))

    assert _default._async_clients == {}
