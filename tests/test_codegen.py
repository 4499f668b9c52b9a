"""The command: what it writes, what it leaves alone, what it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REFERENCE, REPOSITORY
from runcomfy_codegen.pipeline import build
from runcomfy_codegen.verify import UnsafeCode, verify

SCHEMA = {"input_schema": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}}


def codegen(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runcomfy_codegen", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def add_schema(folder: Path, model_id: str) -> Path:
    file = folder / "schemas" / f"{model_id}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(SCHEMA))
    return file


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_committed_package_equals_a_fresh_generation() -> None:
    fresh = {path: text.encode() for path, text in build(REPOSITORY / "schemas", "runcomfy").items()}

    assert files(REPOSITORY / "generated") == fresh


def test_the_output_is_the_same_from_anywhere_and_whatever_settings_lie_around(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[tool.ruff]\nline-length = 40\n[tool.ruff.format]\nquote-style = 'single'\n[tool.black]\nline-length = 40\n"
    )
    (tmp_path / ".gitignore").write_text("*\n")

    done = codegen(
        "generate",
        "--schemas",
        REPOSITORY / "schemas",
        "--out",
        "out",
        cwd=tmp_path,
        RUFF_LINE_LENGTH="40",
        PYTHONHASHSEED="7",
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert files(tmp_path / "out") == files(REPOSITORY / "generated")


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the API pages are not here")
@pytest.mark.parametrize("model", ["flux-1-kontext/pro/edit", "flux-1-kontext/max/text-to-image"])
def test_the_seed_schemas_stand_as_the_api_pages_print_them(model: str) -> None:
    page = (REFERENCE / "seeds" / f"{model.replace('/', '-')}.txt").read_text(encoding="utf-8")
    entry = json.loads((REPOSITORY / f"schemas/blackforestlabs/{model}.json").read_text(encoding="utf-8"))

    for name in ("input_schema", "output_schema"):
        heading = name.replace("_", " ").capitalize()
        printed, _ = json.JSONDecoder().raw_decode(page, page.index("{", page.index(f"{heading}\n")))
        assert json.dumps(entry[name]) == json.dumps(printed)


def test_adding_a_model_is_dropping_in_its_schema(tmp_path: Path) -> None:
    add_schema(tmp_path, "vendor/model")
    codegen("generate", cwd=tmp_path)
    before = files(tmp_path / "generated")
    add_schema(tmp_path, "acme/new-model/edit")

    check = codegen("check", cwd=tmp_path)
    done = codegen("generate", cwd=tmp_path)

    after = files(tmp_path / "generated")
    assert check.returncode == 1
    assert "+++ b/runcomfy/models/acme/new_model/edit.py" in check.stdout
    assert check.stderr == "out of date; type: runcomfy-codegen generate\n"
    assert (done.returncode, done.stdout) == (0, f"generated/runcomfy: {len(after)} files, 4 changed\n")
    assert set(after) - set(before) == {
        "runcomfy/models/acme/__init__.py",
        "runcomfy/models/acme/new_model/__init__.py",
        "runcomfy/models/acme/new_model/edit.py",
        "runcomfy/_schemas/acme/new_model/edit.json",
    }
    assert before.items() <= after.items()
    assert codegen("check", cwd=tmp_path).returncode == 0


def test_what_no_schema_asks_for_any_more_is_removed_with_its_folders(tmp_path: Path) -> None:
    kept = add_schema(tmp_path, "acme/video/extend")
    child = add_schema(tmp_path, "acme/video/extend/draft")
    codegen("generate", cwd=tmp_path)
    models = tmp_path / "generated/runcomfy/models"
    assert (models / "acme/video/extend/__init__.py").exists()
    (models / "acme/video/extend/__pycache__").mkdir()
    (models / "acme/video/extend/__pycache__/draft.cpython-311.pyc").write_bytes(b"")

    child.unlink()
    check = codegen("check", cwd=tmp_path)
    codegen("generate", cwd=tmp_path)

    assert check.returncode == 1
    assert "+++ /dev/null" in check.stdout
    assert sorted(path.name for path in (models / "acme/video").iterdir()) == ["__init__.py", "extend.py"]
    kept.unlink()
    assert codegen("generate", cwd=tmp_path).returncode == 1
    assert (models / "acme/video/extend.py").exists()


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    notes = tmp_path / "generated/runcomfy/models/notes.py"
    notes.parent.mkdir(parents=True)
    notes.write_text("# Unlike the files beside it, which are\n# Generated by runcomfy-codegen from schemas.\n")

    assert codegen("generate", cwd=tmp_path).returncode == 0
    assert codegen("check", cwd=tmp_path).returncode == 0
    assert notes.read_text().startswith("# Unlike")


def test_nothing_of_others_is_removed_and_no_link_is_followed(tmp_path: Path) -> None:
    first = add_schema(tmp_path, "acme/first")
    add_schema(tmp_path, "acme/second")
    codegen("generate", cwd=tmp_path)
    package = tmp_path / "generated/runcomfy"
    (package / "empty").mkdir()
    (package / "link").symlink_to(tmp_path / "schemas", target_is_directory=True)
    compiled = package / "models/acme/__pycache__"
    compiled.mkdir()
    for name in ("first.cpython-311.pyc", "second.cpython-311.pyc", "notes.bin"):
        (compiled / name).write_bytes(b"")
    first.unlink()

    assert codegen("generate", cwd=tmp_path).returncode == 0

    assert (package / "empty").is_dir()
    assert (package / "link").is_symlink()
    assert sorted(path.name for path in compiled.iterdir()) == ["notes.bin", "second.cpython-311.pyc"]
    assert not (package / "models/acme/first.py").exists()


@pytest.mark.parametrize("path", ["py.typed", "models"])
def test_whatever_is_in_the_way_stops_everything_before_the_first_write(tmp_path: Path, path: str) -> None:
    add_schema(tmp_path, "acme/model")
    mine = tmp_path / "generated/runcomfy" / path
    mine.parent.mkdir(parents=True)
    mine.write_text("partial\n")

    done = codegen("generate", cwd=tmp_path)

    assert done.returncode == 1
    assert path in done.stderr
    assert files(tmp_path / "generated") == {f"runcomfy/{path}": b"partial\n"}


def test_no_model_id_declares_the_encoding_of_its_module(tmp_path: Path) -> None:
    """Python takes ``# … coding=utf-7 …`` in the first line at its word: a docstring in it could become code."""
    file = add_schema(tmp_path, "acme/coding=utf-7 x")
    canary = tmp_path / "canary"
    code = f'"""\nopen({str(canary)!r}, "w")\n"""'
    hidden = code.encode("utf-7").decode().replace('"', "+ACI-").replace("\n", "+AAo-")
    file.write_text(json.dumps({**SCHEMA, "description": hidden}))

    assert codegen("generate", "--package", "evil", cwd=tmp_path).returncode == 0
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "generated")}
    program = "import importlib; importlib.import_module('evil.models.acme.coding_utf_7_x')"
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)

    assert not canary.exists()
    with pytest.raises(UnsafeCode):
        verify("m.py", f'# coding: utf-7\n"""{hidden}"""', "evil")


def test_a_folder_that_formatters_pass_over_is_formatted_all_the_same(tmp_path: Path) -> None:
    for name in ("dist", "venv", "acme"):
        add_schema(tmp_path, f"{name}/model")
    codegen("generate", cwd=tmp_path)
    texts = {
        (tmp_path / f"generated/runcomfy/models/{name}/model.py").read_text().replace(name, "acme")
        for name in ("dist", "venv", "acme")
    }

    assert len(texts) == 1


def test_a_comment_of_the_schema_itself_does_not_hide_whose_file_it_is(tmp_path: Path) -> None:
    file = add_schema(tmp_path, "acme/model")
    for comment in ("first", "second"):
        file.write_text(json.dumps({"$comment": comment, **SCHEMA, "display_name": comment}))
        assert codegen("generate", cwd=tmp_path).returncode == 0


def test_a_sign_that_this_python_does_not_know_stays_in_the_docstring(tmp_path: Path) -> None:
    """U+1FAE8 came with Unicode 15, which Python 3.11 has not; U+50000 is in no version."""
    file = add_schema(tmp_path, "acme/model")
    file.write_text(
        json.dumps({**SCHEMA, "description": "new \U0001fae8 \U00050000 signs, no \u202e control \x07 ones"})
    )
    codegen("generate", cwd=tmp_path)

    text = (tmp_path / "generated/runcomfy/models/acme/model.py").read_text(encoding="utf-8")
    assert "new \U0001fae8 \U00050000 signs, no control ones" in " ".join(text.split())


def test_hidden_files_are_no_schemas(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    for name in ("acme/.model", ".checkpoints/acme/old", "acme/"):
        add_schema(tmp_path, name)

    done = codegen("generate", cwd=tmp_path)

    assert done.returncode == 0
    assert [path.name for path in (tmp_path / "generated").rglob("*.json")] == ["model.json"]


def test_a_file_in_the_way_is_not_overwritten(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    mine = tmp_path / "src/clients/__init__.py"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine = '\xff'\n")

    done = codegen("generate", "--out", "src", "--package", "clients", cwd=tmp_path)

    assert done.returncode == 1
    assert "src/clients/__init__.py was not generated by runcomfy-codegen" in done.stderr.replace("\\", "/")
    assert files(tmp_path / "src") == {"clients/__init__.py": b"mine = '\xff'\n"}


def test_an_edited_file_is_shown_and_restored(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    codegen("generate", cwd=tmp_path)
    before = files(tmp_path / "generated")
    edited = tmp_path / "generated/runcomfy/models/acme/model.py"
    edited.write_text(edited.read_text().replace("text: str", "text: int"))

    check = codegen("check", cwd=tmp_path)
    codegen("generate", cwd=tmp_path)

    assert check.returncode == 1
    lines = check.stdout.splitlines()
    assert sum(line.startswith("-") and "text: int" in line for line in lines) == 4
    assert sum(line.startswith("+") and "text: str" in line for line in lines) == 4
    assert files(tmp_path / "generated") == before


def test_unchanged_files_are_not_touched(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    codegen("generate", cwd=tmp_path)
    paths = [path for path in (tmp_path / "generated").rglob("*") if path.is_file()]
    for path in paths:
        os.utime(path, (1, 1))

    assert codegen("generate", cwd=tmp_path).stdout.endswith(" 0 changed\n")
    assert {path.stat().st_mtime for path in paths} == {1.0}


def test_a_private_package_has_a_client_of_its_own(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/secret-model")
    done = codegen("generate", "--out", "src", "--package", "acme_models", cwd=tmp_path)
    program = """
import runcomfy, acme_models
from acme_models.models.acme import secret_model
from acme_models.sandbox import Sandbox
assert acme_models.Client is not runcomfy.Client
with Sandbox() as sandbox, acme_models.Client(base_url=sandbox.base_url, token=sandbox.token) as client:
    print(type(secret_model.run(client, text="hi")).__module__, sandbox.models)
"""

    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert (ran.stdout, ran.stderr) == ("acme_models.models.acme.secret_model ['acme/secret-model']\n", "")


def test_broken_schemas_are_all_named_and_nothing_is_written(tmp_path: Path) -> None:
    for name in ("a", "b"):
        add_schema(tmp_path, f"acme/{name}").write_text("{")
    add_schema(tmp_path, "acme/fine")

    for verb in ("generate", "check"):
        done = codegen(verb, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.splitlines()[:2] == [
            f"schemas/acme/{name}.json:1:2: Expecting property name enclosed in double quotes" for name in ("a", "b")
        ]
    assert not (tmp_path / "generated").exists()


@pytest.mark.parametrize("broken", ["unreadable", "too-large"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, broken: str) -> None:
    file = add_schema(tmp_path, "acme/model")
    if broken == "unreadable":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(b" " * (4 * 1024 * 1024 + 1))

    done = codegen("generate", cwd=tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("schemas/acme/model.json: ")


def test_a_terminal_without_a_letter_is_no_reason_to_fail(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/größe")

    done = codegen("check", cwd=tmp_path, PYTHONIOENCODING="ascii")

    assert done.returncode == 1
    assert "gr\\xf6\\xdfe.json" in done.stdout


def test_a_folder_without_schemas_is_named_and_no_model_is_removed(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    codegen("generate", cwd=tmp_path)
    before = files(tmp_path / "generated")
    (tmp_path / "empty").mkdir()

    done = codegen("generate", "--schemas", "empty", cwd=tmp_path)

    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "empty: has no schema files (*.json)")
    assert files(tmp_path / "generated") == before


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    done = codegen("generate", "--schemas", "no-such", cwd=tmp_path)

    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "no-such: no such folder")


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    (tmp_path / "generated").write_text("a file")

    done = codegen("generate", cwd=tmp_path)

    assert done.returncode == 1
    assert "generated" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("nonsense",), ("generate", "--package", "no-name"), ("generate", "--package", "class"), ("--x",)]
)
def test_wrong_usage_is_exit_code_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = codegen(*arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert "usage: runcomfy-codegen" in done.stderr


def test_a_missing_extra_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['jinja2'] = None; from runcomfy_codegen.cli import main; sys.exit(main(['check']))"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr == "jinja2 not installed; type: pip install 'runcomfy[codegen]'\n"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os", "contains Import"),
        ("from os import path", "imports from os"),
        ("from . import _runtime", "imports from .None"),
        ("from runcomfy import Client", "imports from runcomfy"),
        ("x = open('f')", "calls open"),
        ("x = client.run()", "calls client.run"),
        ("x = _runtime.default_client()", "calls _runtime.default_client"),
        ("f()", "is a statement without effect"),
        ("x", "is a statement without effect"),
        ("x = lambda: 1", "contains Lambda"),
        ("x = [y for y in z]", "contains ListComp"),
        ("x = f'{y}'", "contains JoinedStr"),
        ("@d\ndef f(): return 1", "is decorated"),
        ("@d\nclass C:\n  x = 1", "is decorated"),
        ("@d\nasync def f(): return 1", "is decorated"),
        ("while True:\n  x = 1", "contains While"),
        ("x = (", "does not parse"),
        ("x = '\0'", "does not parse"),
    ],
)
def test_nothing_but_what_generated_code_may_contain_gets_written(code: str, reason: str) -> None:
    with pytest.raises(UnsafeCode, match=r"^m\.py:") as caught:
        verify("m.py", code, "runcomfy")

    assert reason in str(caught.value)


def test_the_package_ships_the_schemas_that_it_was_generated_from() -> None:
    shipped = REPOSITORY / "generated/runcomfy/_schemas"
    for path in shipped.rglob("*.json"):
        entry = json.loads(path.read_text(encoding="utf-8"))
        assert entry.pop("$comment") == f"Generated by runcomfy-codegen from schemas/{entry['model_id']}.json"
        source = json.loads((REPOSITORY / f"schemas/{entry['model_id']}.json").read_text(encoding="utf-8"))
        assert entry == {"model_id": entry["model_id"], **source}
