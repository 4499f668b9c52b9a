"""Inputs: checked when made, before anything is sent, and kept as values."""

import inspect
import pickle
from typing import Any, Literal, get_args, get_origin

import pytest
from conftest import Kind
from runcomfy import InputProblem, InputValidationError
from runcomfy.models.blackforestlabs.flux_1_kontext.max import text_to_image
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Sandbox

RATIOS = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"image_url": "u"}, InputProblem("prompt", "is required")),
        ({"image_url": "u", "prompt": None}, InputProblem("prompt", "Input should be a valid string, got None")),
        ({"image_url": "u", "prompt": 5}, InputProblem("prompt", "Input should be a valid string, got 5")),
        (
            {"image_url": "u", "prompt": "p", "seed": "5"},
            InputProblem("seed", "Input should be a valid integer, got '5'"),
        ),
        (
            {"image_url": "u", "prompt": "p", "seed": True},
            InputProblem("seed", "Input should be a valid integer, got True"),
        ),
        (
            {"image_url": "u", "prompt": "p", "seed": 1.0},
            InputProblem("seed", "Input should be a valid integer, got 1.0"),
        ),
        (
            {"image_url": "u", "prompt": "p", "imageurl": "x"},
            InputProblem("imageurl", "no such field; did you mean image_url?"),
        ),
        ({"image_url": "u", "prompt": "p", "zzz": "x"}, InputProblem("zzz", "no such field")),
    ],
)
def test_what_does_not_fit_the_schema_is_an_error_that_names_the_field(
    fields: dict[str, Any], problem: InputProblem
) -> None:
    with pytest.raises(InputValidationError) as caught:
        edit.Input(**fields)

    assert caught.value.problems == [problem]
    assert caught.value.model_id == edit.MODEL_ID
    assert f"{problem.field}: {problem.message}" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_everything_that_is_wrong_is_said_at_once(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    with pytest.raises(InputValidationError) as caught:
        kind.call(edit, "run", client, prompt=1, image_url="u", seed="x", aspect_ratio="17:9")

    assert [problem.field for problem in caught.value.problems] == ["prompt", "seed", "aspect_ratio"]
    assert sandbox.requests == []


def test_a_huge_value_is_not_repeated_in_the_error() -> None:
    with pytest.raises(InputValidationError) as caught:
        edit.Input(prompt="p", image_url="u", seed="x" * 1_000_000)  # type: ignore[arg-type]  # what is tested

    assert len(str(caught.value)) < 300


def test_an_unknown_or_missing_keyword_of_run_is_a_type_error(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    with pytest.raises(TypeError, match="promt"):
        kind.call(edit, "run", client, promt="p", image_url="u")
    with pytest.raises(TypeError, match="image_url"):
        kind.call(edit, "submit", client, prompt="p")

    assert sandbox.requests == []


@pytest.mark.parametrize("ratio", RATIOS)
def test_every_enum_value_is_taken(ratio: Any) -> None:
    assert edit.Input(prompt="p", image_url="u", aspect_ratio=ratio).aspect_ratio == ratio


@pytest.mark.parametrize("function", ["run", "submit", "run_async", "submit_async"])
def test_signatures_spell_every_field_out(function: str) -> None:
    parameters = inspect.signature(getattr(edit, function)).parameters

    assert list(parameters) == ["client", "prompt", "image_url", "seed", "aspect_ratio"]
    assert parameters["client"].kind is inspect.Parameter.POSITIONAL_ONLY
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in list(parameters)[1:])
    assert parameters["prompt"].default is parameters["image_url"].default is inspect.Parameter.empty
    assert parameters["seed"].default is parameters["aspect_ratio"].default is None
    assert parameters["prompt"].annotation is str
    assert parameters["seed"].annotation == int | None
    literal, none = get_args(parameters["aspect_ratio"].annotation)
    assert get_origin(literal) is Literal
    assert (get_args(literal), none) == (RATIOS, type(None))


def test_docstrings_name_every_field_with_its_sample() -> None:
    text = inspect.getdoc(edit.run) or ""

    assert 'prompt: Prompt. Sample: "She is now holding an orange umbrella and smiling".' in text
    assert "seed: Seed. Sample: 81030369." in text
    assert 'aspect_ratio: Aspect Ratio (W:H). Sample: "16:9".' in text
    assert "seed: Seed." in (inspect.getdoc(text_to_image.run) or "")


def test_an_input_is_a_value() -> None:
    request = edit.Input(prompt="p", image_url="u", seed=1)

    assert request == edit.Input(prompt="p", image_url="u", seed=1) != edit.Input(prompt="p", image_url="u")
    assert pickle.loads(pickle.dumps(request)) == request
    assert edit.Input.model_validate_json(request.model_dump_json(exclude_unset=True)) == request
    assert edit.Input.model_validate(request.model_dump(exclude_unset=True)) == request
    assert hash(request) == hash(edit.Input(prompt="p", image_url="u", seed=1))


def test_an_input_cannot_be_changed() -> None:
    request = edit.Input(prompt="p", image_url="u")

    with pytest.raises(ValueError, match="frozen"):
        request.prompt = "q"  # pyright: ignore  # what is tested


@pytest.mark.parametrize("load", ["model_validate", "model_validate_json"])
def test_a_stored_input_that_does_not_fit_is_an_input_validation_error(load: str) -> None:
    stored: Any = {"prompt": "p"} if load == "model_validate" else '{"prompt": "p"}'

    with pytest.raises(InputValidationError, match="image_url: is required"):
        getattr(edit.Input, load)(stored)


@pytest.mark.parametrize("stored", ["", "{", "[" * 100_000, '"text"', "{" + '"prompt":{' * 100_000])
def test_what_is_no_stored_input_is_an_input_validation_error(stored: str) -> None:
    with pytest.raises(InputValidationError, match="invalid input for"):
        edit.Input.model_validate_json(stored)


def test_a_changed_copy_is_checked_before_it_is_sent(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    request = edit.Input(prompt="p", image_url="u").model_copy(update={"seed": "5"})

    with pytest.raises(InputValidationError, match="seed"):
        kind.settle(client.submit(request))

    assert sandbox.requests == []


def test_the_error_travels() -> None:
    with pytest.raises(InputValidationError) as caught:
        edit.Input(prompt="p", image_url="u", seed="5")  # type: ignore[arg-type]  # what is tested

    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.problems, copy.model_id) == (str(caught.value), caught.value.problems, edit.MODEL_ID)
