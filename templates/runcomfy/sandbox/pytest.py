"""A pytest plugin: ``pytest_plugins = ["runcomfy.sandbox.pytest"]`` in a ``conftest.py``."""

from collections.abc import Iterator

import pytest

from .._settings import BASE_URL_VARIABLE, TOKEN_VARIABLES
from ._server import Sandbox


@pytest.fixture(scope="session")
def _runcomfy_sandbox_server() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def runcomfy_sandbox(_runcomfy_sandbox_server: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox without jobs, which the environment points to: ``edit.run(…)`` needs no client."""
    monkeypatch.setenv(TOKEN_VARIABLES[0], _runcomfy_sandbox_server.token)
    monkeypatch.setenv(BASE_URL_VARIABLE, _runcomfy_sandbox_server.base_url)
    _runcomfy_sandbox_server.reset()
    return _runcomfy_sandbox_server
