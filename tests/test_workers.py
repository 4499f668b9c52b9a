"""Many models are made in several processes, and nobody can tell by what comes out."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from command import SCHEMA, add_schema, files
from runcomfy_codegen.errors import GenerationError
from runcomfy_codegen.pipeline import build, read
from runcomfy_codegen.templates import VERSION, shipped

MODELS = 201
"""The fewest that are worth a second process."""

# The command on a machine with some cores; it also tells how often it has started Python, or tried to.
PROGRAM = """
import os, sys
cores, sys.executable = int(sys.argv[1]), sys.argv[2]
os.sched_getaffinity = lambda _: set(range(cores))
started = []
def note(event, arguments):
    if event == "subprocess.Popen" and arguments[1][0] == sys.executable:
        started.append(arguments)
sys.addaudithook(note)
from runcomfy_codegen.cli import main
code = main(sys.argv[3:])
print(len(started), "datamodel_code_generator" in sys.modules)
sys.exit(code)
"""


def command(*arguments: str | Path, cores: int = 2, executable: str | Path = sys.executable) -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(cores), str(executable), *map(str, arguments)]


def run(folder: Path, arguments: Sequence[str]) -> tuple[int, list[str], list[str]]:
    """The exit code of a command, and what it says."""
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def add_models(folder: Path) -> None:
    """Models each of which has a field of a type that no other has."""
    for number in range(MODELS):
        text = {"type": "string", "maxLength": number + 1}
        add_schema(folder, f"acme/model-{number:03}", {"input_schema": {"properties": {"text": text}}})


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    add_models(folder)
    return folder / "schemas"


@pytest.fixture(scope="module")
def expected(schemas: Path) -> dict[str, bytes]:
    """What one process makes of them."""
    return {path: text.encode() for path, text in build(read(schemas), "runcomfy").items()}


def test_two_processes_make_what_one_makes_and_learn_what_one_learns(
    tmp_path: Path, schemas: Path, expected: dict[str, bytes]
) -> None:
    generate = ("generate", f"--schemas={schemas}")

    two = run(tmp_path, command(*generate))
    made = files(tmp_path / "generated")
    check = run(tmp_path, command("check", f"--schemas={schemas}"))
    shutil.rmtree(tmp_path / "generated/runcomfy")
    one = run(tmp_path, command(*generate, cores=1))

    assert two[1][-1] == "1 True"
    assert made == expected
    assert check[0] == 0
    assert one[1][-2].endswith(f"; {MODELS} of {MODELS} models made anew")
    assert one[1][-1] == "0 False"
    assert files(tmp_path / "generated") == expected


def test_templates_of_ones_own_reach_every_process(tmp_path: Path, schemas: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/VERSION").write_text(str(VERSION))
    template = (shipped() / "model.py.jinja").read_bytes()
    (tmp_path / "mine/model.py.jinja").write_bytes(template + b"\n\n# Mine.\n")

    code, out, _ = run(tmp_path, command("generate", f"--schemas={schemas}", "--templates=mine"))

    assert (code, out[-1]) == (0, "1 True")
    modules = list((tmp_path / "generated/runcomfy/models/acme").glob("model_*.py"))
    assert len(modules) == MODELS
    assert all(module.read_bytes().endswith(b"# Mine.\n") for module in modules)


def test_what_goes_wrong_in_another_process_is_told_as_if_it_were_this_one(tmp_path: Path, schemas: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/VERSION").write_text(str(VERSION))
    (tmp_path / "mine/model.py.jinja").write_text("\n{{ nothing }}")
    generate = ("generate", f"--schemas={schemas}", "--templates=mine")

    two = run(tmp_path, command(*generate))
    one = run(tmp_path, command(*generate, cores=1))

    assert (two[0], two[2]) == (one[0], one[2]) == (1, ["mine/model.py.jinja:2: 'nothing' is undefined"])
    assert not (tmp_path / "generated/runcomfy").exists()


def test_what_is_wrong_is_told_of_all_files_and_twins_are_twins_however_far_apart(tmp_path: Path) -> None:
    add_models(tmp_path)
    for name in ("model-001", "model-150", "model-180"):
        add_schema(tmp_path, f"acme/{name}", {"input_schema": {"properties": {"text": {"type": "tuple"}}}})
    add_schema(tmp_path, "acme/model_000", {**SCHEMA, "description": "A twin."})
    add_schema(tmp_path, "acme/model.199", {**SCHEMA, "description": "A twin, in one batch with the first."})

    refused = run(tmp_path, command("generate"))
    made = run(tmp_path, command("generate", "--keep-going"))

    assert (refused[0], [line[:2] for line in refused[1]]) == (1, ["1 "])
    assert [line.partition(":")[0] for line in refused[2]] == [
        "schemas/acme/model-001.json",
        "schemas/acme/model-150.json",
        "schemas/acme/model-180.json",
        "schemas/acme/model.199.json",
        "schemas/acme/model_000.json",
        "nothing was written",
    ]
    with pytest.raises(GenerationError) as caught:
        build(read(tmp_path / "schemas"), "runcomfy")
    assert refused[2][:-1] == str(caught.value).splitlines()
    assert made[0] == 1
    assert made[1][-2].endswith("; 198 of 198 models made anew")
    expected = build(read(tmp_path / "schemas"), "runcomfy", keep_going=True)
    assert files(tmp_path / "generated") == {path: text.encode() for path, text in expected.items()}


@pytest.mark.skipif(sys.platform == "win32", reason="takes scripts for programs")
@pytest.mark.parametrize(
    "program",
    [None, "exit 3", "echo nonsense; cat > /dev/null", f'head -n 3 | "{sys.executable}" "$@" > /dev/null'],
    ids=["not there", "ends at once", "answers nonsense", "dies before it answers"],
)
def test_a_process_that_is_of_no_use_changes_nothing(
    tmp_path: Path, schemas: Path, expected: dict[str, bytes], program: str | None
) -> None:
    executable = tmp_path / "python"
    if program is not None:
        executable.write_text(f"#!/bin/sh\n{program}\n")
        executable.chmod(0o755)

    code, out, err = run(tmp_path, command("generate", f"--schemas={schemas}", executable=executable))

    assert (code, out[-1], err) == (0, "1 True", [])
    assert files(tmp_path / "generated") == expected


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
@pytest.mark.parametrize("to_all", [True, False])
def test_an_interruption_ends_all_processes_and_leaves_nothing(tmp_path: Path, schemas: Path, to_all: bool) -> None:
    with subprocess.Popen(
        command("generate", f"--schemas={schemas}"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        while process.poll() is None and not any((tmp_path / "generated/.cache").glob("*.stage/*/runcomfy/*")):
            pass
        (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (130, "1 True\n")
    assert err == "interrupted; every file is whole, and the same command goes on\n"
    assert not (tmp_path / "generated").exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
