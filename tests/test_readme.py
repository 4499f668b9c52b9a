"""The programs of the README: type-checked, and run against the sandbox."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY
from runcomfy.sandbox import Sandbox
from test_typing import reported

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_readme_begins_with_a_program_of_about_ten_lines() -> None:
    assert README.index("```python") == README.index("```")
    assert len(PROGRAMS[0].splitlines()) <= 10
    assert len(PROGRAMS) >= 6


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_each_program_runs(number: int, sandbox: Sandbox, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAMS[number], encoding="utf-8")
    environment = {**os.environ, "RUNCOMFY_TOKEN": sandbox.token, "RUNCOMFY_MODEL_API_BASE": sandbox.base_url}

    done = subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("checker", ["mypy", "basedpyright"])
def test_all_programs_are_cleanly_typed(checker: str, tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    folder.mkdir()
    for number, program in enumerate(PROGRAMS):
        (folder / f"program_{number}.py").write_text(program, encoding="utf-8")

    assert reported(checker, folder) == []


def test_the_schema_of_the_readme_makes_a_model(tmp_path: Path) -> None:
    schema = re.search(r"```json\n(.*?)```", README, re.DOTALL)
    assert schema is not None
    file = tmp_path / "schemas/acme/new-model/edit.json"
    file.parent.mkdir(parents=True)
    file.write_text(schema[1], encoding="utf-8")
    command = [sys.executable, "-m", "runcomfy_codegen", "generate", "--package", "readme_models"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    program = "from readme_models.models.acme.new_model import edit; print(edit.Input(prompt='p', strength=1))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "generated")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout == "prompt='p' strength=1\n"


def test_it_says_that_the_project_is_not_runcomfys_own() -> None:
    assert "not RunComfy's own" in README


def test_every_error_is_in_its_table() -> None:
    import runcomfy

    table = README[README.index("## Errors") :]
    for name in runcomfy.__all__:
        if name.endswith(("Error", "Unknown")):
            assert f"`{name}`" in table or f"runcomfy.{name}" in table
