"""Random schemas through the generator: each is refused with a reason, or becomes a module that does what it says.

`make test` runs a short, fixed selection; ``make test-long`` looks for new cases.
"""

import builtins
import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import sent
from hypothesis import given
from hypothesis import strategies as st
from runcomfy import Client, InsufficientBalanceError, UnprocessableEntityError
from runcomfy.sandbox import Sandbox
from runcomfy.sandbox._catalog import Model
from strategies import CANARY, hostile_entries, inputs_and_bodies, json_values
from test_typing import reported
from workshop import Workshop, as_written


@pytest.fixture
def workshop(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workshop]:
    fired: list[None] = []
    setattr(builtins, CANARY, lambda: fired.append(None))
    sys.path.insert(0, str(tmp_path))
    yield Workshop(tmp_path, f"fuzz_{request.node.name}")
    sys.path.remove(str(tmp_path))
    delattr(builtins, CANARY)
    assert fired == []


def test_an_enemys_schema_is_refused_or_harmless(workshop: Workshop) -> None:
    @given(st.lists(hostile_entries, min_size=1, max_size=6), json_values)
    def check(entries: list[Any], received: Any) -> None:
        modules, problems = workshop.modules(entries)

        assert all(module is not None or f"/m{index}.json" in str(problems) for index, module in enumerate(modules))
        assert all(problem.file and problem.reason and "\n" not in str(problem) for problem in problems)
        for module in filter(None, modules):
            body = {"output": as_written(received), "status": "succeeded"}
            assert module.Output._from_result(body).raw is body
            assert issubclass(module.Input, importlib.import_module(module.__name__.split(".")[0])._inputs.Input)

    check()
    assert reported("mypy", workshop.models) == []
    with Sandbox(workshop.schemas) as sandbox, Client(base_url=sandbox.base_url, token=sandbox.token) as client:
        for model_id in sandbox.models:
            with suppress(UnprocessableEntityError, InsufficientBalanceError):
                assert "output" in client.run(model_id, {}).raw


def test_what_fits_a_schema_is_sent_exactly(workshop: Workshop) -> None:
    @given(st.lists(inputs_and_bodies, min_size=1, max_size=4))
    def check(pairs: list[Any]) -> None:
        modules, problems = workshop.modules([{"input_schema": schema} for schema, _ in pairs])

        assert problems == []
        for module, (schema, body) in zip(modules, pairs, strict=True):
            request = module.Input.model_validate(body, by_alias=True, by_name=False)
            found = sent(request)
            assert json.dumps(found, sort_keys=True) == json.dumps(body, sort_keys=True)
            assert Model({"model_id": "m", "input_schema": as_written(schema)}).problems(found) == []

    check()
    assert reported("mypy", workshop.models) == []


def test_what_does_not_fit_is_never_sent(workshop: Workshop) -> None:
    """The sandbox reads the same schema with other code: what an `Input` takes, it takes."""

    @given(st.lists(st.tuples(inputs_and_bodies, inputs_and_bodies, st.randoms()), min_size=1, max_size=4))
    def check(examples: list[Any]) -> None:
        modules, _ = workshop.modules([{"input_schema": schema} for (schema, _), _, _ in examples])

        for module, ((schema, body), (_, other), random) in zip(modules, examples, strict=True):
            values = [*other.values(), *body.values(), None, 1.0, True, -1, "", []]
            wrong = {name: random.choice(values) if random.random() < 0.5 else value for name, value in body.items()}
            try:
                request = module.Input.model_validate(wrong, by_alias=True, by_name=False)
            except ValueError:
                continue
            found = sent(request)
            assert Model({"model_id": "m", "input_schema": as_written(schema)}).problems(found) == []

    check()
