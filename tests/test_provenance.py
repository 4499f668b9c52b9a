"""Sidecars: which input a saved file came from, and the way back to it."""

import json
import warnings
from base64 import b64encode
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import runcomfy
from conftest import Kind, sent
from media_files import picture
from runcomfy import DownloadError, InputValidationError, ReproductionWarning
from runcomfy.models.blackforestlabs.flux_1_kontext.max import text_to_image
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox, Variant


def saved(kind: Kind, output: Any, folder: Path, **options: Any) -> list[Path]:
    save = output.save_async if kind.is_async else output.save
    files: list[Path] = kind.settle(save(folder, sidecar=True, **options))
    return files


def sidecar(file: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(file.with_name(f"{file.name}.json").read_bytes())
    return facts


def rewritten(file: Path, /, **changes: Any) -> None:
    facts = {key: value for key, value in {**sidecar(file), **changes}.items() if value is not ...}
    file.with_name(f"{file.name}.json").write_text(json.dumps(facts))


@pytest.fixture
def file(kind: Kind, client: Any, tmp_path: Path) -> Path:
    """A saved picture with its sidecar."""
    output = kind.settle(client.run(text_to_image.Input(prompt="A lighthouse", seed=7, aspect_ratio="21:9")))
    (file,) = saved(kind, output, tmp_path)
    return file


def test_a_sidecar_tells_how_a_file_was_made(kind: Kind, sandbox: Sandbox, client: Any, tmp_path: Path) -> None:
    local = tmp_path / "in.png"
    local.write_bytes(picture())
    request = edit.Input(prompt="Größer \U0001f600", image_url=local, seed=5)
    sandbox.faults.append(Fault("result", changes={"cost": 0.04}))

    (file,) = saved(kind, kind.settle(client.run(request)), tmp_path / "out")

    facts = sidecar(file)
    (job,) = sandbox.accepted
    assert facts["model_id"] == edit.MODEL_ID
    assert facts["request_id"] == job.id
    assert facts["cost_usd"] == 0.04
    assert facts["runcomfy"] == runcomfy.__version__
    assert facts["input_schema"]["required"] == ["prompt", "image_url"]
    assert len(facts["schema_sha256"]) == 64
    assert facts["input"] == {
        "prompt": "Größer \U0001f600",
        "image_url": {
            "$file": {
                "sha256": sha256(picture()).hexdigest(),
                "media_type": "image/png",
                "size": len(picture()),
                "name": "in.png",
            }
        },
        "seed": 5,
    }
    content = file.read_bytes()
    assert facts["file"] == {
        "name": file.name,
        "media_type": "image/png",
        "size": len(content),
        "sha256": sha256(content).hexdigest(),
    }
    assert facts["url"].startswith(f"http://127.0.0.1:{sandbox.base_url.split(':')[2].removesuffix('/v1')}/outputs/")
    times = [datetime.fromisoformat(facts[name]) for name in ("submitted_at", "created_at", "finished_at", "saved_at")]
    assert times == sorted(times)
    assert "Größer \U0001f600" in file.with_name(f"{file.name}.json").read_text(encoding="utf-8")


def test_a_sidecar_has_no_media_in_it_and_is_json_whatever_the_result_was(
    kind: Kind, sandbox: Sandbox, client: Any, tmp_path: Path
) -> None:
    given = f"data:image/png;base64,{b64encode(picture()).decode()}"
    job = kind.settle(client.submit(edit.Input(prompt="p", image_url=given)))
    body = b'{"status": "succeeded", "output": {"image": "%s"}, "cost": NaN, "created_at": 5}' % given.encode()
    echo = body.replace(b'"cost"', b'"input": {"a": Infinity}, "model_id": "\\ud800", "cost"')
    sandbox.faults.extend([Fault("result", 200, body), Fault("result", 200, echo)])

    (file,) = saved(kind, kind.settle(job.result()), tmp_path / "known")
    (resumed,) = saved(kind, kind.settle(client.job(job.id).result()), tmp_path / "resumed")

    def refused(word: str) -> None:
        raise AssertionError(word)

    facts = json.loads(file.with_name(f"{file.name}.json").read_text(), parse_constant=refused)
    assert facts["input"]["image_url"]["$file"]["sha256"] == sha256(picture()).hexdigest()
    assert (facts["cost_usd"], facts["created_at"], facts["url"]) == (None, None, "data:image/png;base64")
    facts = json.loads(resumed.with_name(f"{resumed.name}.json").read_text(), parse_constant=refused)
    assert (facts["input"], facts["schema_sha256"]) == (None, None)
    local = tmp_path / "in.png"
    local.write_bytes(picture())
    assert runcomfy.reproduce(file, media=local) == edit.Input(prompt="p", image_url=local)


def test_a_sidecar_that_cannot_be_written_is_told_with_the_file_that_is_there(
    kind: Kind, client: Any, tmp_path: Path
) -> None:
    output = kind.settle(client.run(text_to_image.Input(prompt="p")))
    file = tmp_path / f"{output.raw['request_id']}-1.png"
    file.with_name(f"{file.name}.json").mkdir()

    for _ in range(2):
        with pytest.raises(DownloadError) as caught:
            saved(kind, output, tmp_path)
        assert caught.value.saved == [file]
        assert len(caught.value.failures) == 1


def test_a_kept_file_is_decoded_if_that_is_asked(kind: Kind, client: Any, tmp_path: Path) -> None:
    output = kind.settle(client.run(text_to_image.Input(prompt="p")))
    (file,) = saved(kind, output, tmp_path)
    file.write_bytes(b"garbage")

    assert saved(kind, output, tmp_path) == [file]
    with pytest.raises(DownloadError, match="it cannot be decoded"):
        saved(kind, output, tmp_path, decode=True)
    saved(kind, output, tmp_path, decode=True, overwrite=True)
    assert sidecar(file)["file"]["size"] == file.stat().st_size


def test_nobody_gets_a_sidecar_who_does_not_ask(kind: Kind, client: Any, tmp_path: Path) -> None:
    output = kind.settle(client.run(text_to_image.Input(prompt="p")))

    (file,) = kind.settle((output.save_async if kind.is_async else output.save)(tmp_path))

    assert list(tmp_path.iterdir()) == [file]
    assert saved(kind, output, tmp_path) == [file]  # the file is kept, and gets what it lacks
    assert sidecar(file)["input"] == {"prompt": "p"}


def test_the_input_comes_back(file: Path) -> None:
    for path in (file, str(file), file.with_name(f"{file.name}.json")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            request = runcomfy.reproduce(path)

        assert request == text_to_image.Input(prompt="A lighthouse", seed=7, aspect_ratio="21:9")
        assert isinstance(request, text_to_image.Input)


def test_the_input_runs_again(kind: Kind, sandbox: Sandbox, client: Any, file: Path) -> None:
    kind.settle(client.run(runcomfy.reproduce(file)))

    first, second = sandbox.accepted
    assert first.arguments == second.arguments


def test_local_files_are_found_again_by_their_content(kind: Kind, client: Any, tmp_path: Path) -> None:
    local, renamed, other = tmp_path / "in.png", tmp_path / "renamed", tmp_path / "other.png"
    local.write_bytes(picture())
    other.write_bytes(picture("image/gif"))
    (file,) = saved(kind, kind.settle(client.run(edit.Input(prompt="p", image_url=local))), tmp_path / "out")
    local.rename(renamed)

    request = runcomfy.reproduce(file, media=[other, renamed])

    assert sent(request) == sent(edit.Input(prompt="p", image_url=renamed))
    for media in ([], [other]):
        with pytest.raises(InputValidationError, match=r"image_url: was the local file 'in\.png' \(SHA-256 "):
            runcomfy.reproduce(file, media=media)
    with pytest.raises(InputValidationError, match=r"media: .*in\.png cannot be read: No such file"):
        runcomfy.reproduce(file, media=[local])


def test_what_has_changed_since_is_said(file: Path) -> None:
    old = sidecar(file)["input_schema"]
    properties = {
        **{name: part for name, part in old["properties"].items() if name != "seed"},
        "prompt": {**old["properties"]["prompt"], "maxLength": 80, "title": "Other words"},
        "aspect_ratio": {**old["properties"]["aspect_ratio"], "enum": ["1:1"]},
        "style": {"type": "string"},
    }
    rewritten(file, input_schema={**old, "properties": properties, "required": [], "type": "other"})

    with pytest.warns(ReproductionWarning) as caught:
        request = runcomfy.reproduce(file)

    assert request.seed == 7  # type: ignore[attr-defined]  # the type of the model's own input is not known here
    (warning,) = caught
    assert warning.filename == __file__
    for words in (
        f"since {file.name}.json was written: ",
        'type was "other" and is "object"',
        "the field style is gone",
        "the field seed is new",
        "prompt: maxLength was 80 and is null",
        "prompt: required was false and is true",
        'aspect_ratio: enum was ["1:1"] and is ["21:9", "16:9"',
    ):
        assert words in str(warning.message)
    assert "title" not in str(warning.message)


def test_an_input_that_the_schema_takes_no_more_is_an_error_after_the_warning(file: Path) -> None:
    facts = sidecar(file)
    facts["input_schema"]["properties"]["aspect_ratio"]["enum"].append("17:9")
    rewritten(file, input={**facts["input"], "aspect_ratio": "17:9"}, input_schema=facts["input_schema"])

    with (
        pytest.warns(ReproductionWarning, match=r"aspect_ratio: enum was \[.*17:9.* and is"),
        pytest.raises(InputValidationError, match="aspect_ratio"),
    ):
        runcomfy.reproduce(file)


def test_a_file_that_was_edited_is_told(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"more")

    with pytest.warns(ReproductionWarning, match="the file has other content"):
        runcomfy.reproduce(file)


def test_what_is_no_sidecar_is_an_error_that_says_why(file: Path) -> None:
    path = file.with_name(f"{file.name}.json")
    facts = sidecar(file)
    for changes, words in (
        ({"model_id": ...}, "model_id: the sidecar does not tell the model"),
        ({"model_id": 5}, "model_id: the sidecar does not tell the model"),
        ({"model_id": "../../etc/passwd"}, r"model_id: ../../etc/passwd is not in this package"),
        ({"model_id": "acme/gone"}, "model_id: acme/gone is not in this package; its input stands in the sidecar"),
        ({"input": None}, "input: the sidecar does not tell the input"),
        ({"input": {"prompt": "p", "promt": 1}}, "promt: no such field"),
        ({"input": {"prompt": {"$file": {}}}}, r"prompt: was the local file \(SHA-256 None"),
    ):
        rewritten(file, **{**facts, **changes})
        with pytest.raises(InputValidationError, match=words):
            runcomfy.reproduce(file)
    deep = f'{{"model_id": "{text_to_image.MODEL_ID}", "input": {{"prompt": {"[" * 5000}{"]" * 5000}}}}}'
    for text in ("no JSON", "[]", deep):
        path.write_text(text)
        with pytest.raises(InputValidationError, match=r"not JSON|does not tell|nested beyond measure"):
            runcomfy.reproduce(file)
    path.unlink()
    with pytest.raises(InputValidationError, match=r"\.json: the sidecar cannot be read: No such file"):
        runcomfy.reproduce(file)


def test_a_job_resumed_by_its_id_has_the_input_if_the_result_repeats_it(kind: Kind, tmp_path: Path) -> None:
    for echo in (True, False):
        with Sandbox(variant=Variant(echo=echo)) as sandbox:
            client = kind.client(sandbox)
            request_id = kind.settle(client.submit(text_to_image.Input(prompt="p"))).id
            output = kind.settle(client.job(request_id, text_to_image.Output).result())
            (file,) = saved(kind, output, tmp_path)

        facts = sidecar(file)
        assert facts["input"] == ({"prompt": "p"} if echo else None)
        assert facts["model_id"] == text_to_image.MODEL_ID
        assert facts["submitted_at"] is None
        if echo:
            assert runcomfy.reproduce(file) == text_to_image.Input(prompt="p")
        else:
            with pytest.raises(InputValidationError, match="does not tell the input: its job was resumed"):
                runcomfy.reproduce(file)
