"""``runcomfy-codegen watch`` generates whenever a schema or a template is edited."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import SCHEMA, add_schema, codegen
from runcomfy_codegen.templates import VERSION, shipped

READY = "watching, Ctrl-C ends it\n"


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The running command, with everything that it prints in one stream."""
    add_schema(tmp_path, "acme/model")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/VERSION").write_text(str(VERSION))
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "runcomfy_codegen", "watch", "--templates", "templates"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def said(process: subprocess.Popen[str]) -> list[str]:
    """What is printed until the next generation has ended."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.endswith(READY):
            return lines
    raise AssertionError(f"it ended: {lines}")


def test_edits_of_schemas_and_templates_are_generated_and_errors_shown(
    watch: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert "1 of 1 model made anew" in said(watch)[0]

    add_schema(tmp_path, "acme/other", {**SCHEMA, "display_name": "Other"})
    edited, made, took = said(watch)
    assert edited == "edited: schemas/acme/other.json\n"
    assert "1 of 2 models made anew" in made
    assert took.endswith(f" s; {READY}")
    assert (tmp_path / "generated/runcomfy/models/acme/other.py").exists()

    (tmp_path / "schemas/acme/other.json").write_text('{"input_schema": ')
    assert "schemas/acme/other.json:1:18: Expecting value\n" in said(watch)
    assert (tmp_path / "generated/runcomfy/models/acme/other.py").exists()

    (tmp_path / "schemas/acme/other.json").write_text(json.dumps(SCHEMA))
    assert "1 of 2 models made anew" in said(watch)[1]

    (tmp_path / "templates/model.py.jinja").write_bytes((shipped() / "model.py.jinja").read_bytes() + b"\n\n# End.\n")
    assert said(watch)[0] == "edited: templates/model.py.jinja\n"
    assert (tmp_path / "generated/runcomfy/models/acme/model.py").read_text().endswith("# End.\n")

    watch.send_signal(signal.SIGINT)
    assert watch.wait() == 0


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = codegen("watch", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (1, "schemas: no such folder\n")
