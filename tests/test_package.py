"""The wheel: what is in it, and that it works where nothing else is installed."""

import os
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest
import runcomfy
from conftest import REPOSITORY


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_puts_two_packages_and_nothing_odd_at_the_top(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()

    info = f"runcomfy-{runcomfy.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"runcomfy", "runcomfy_codegen", info}
    assert {
        "runcomfy/py.typed",
        "runcomfy/_schemas/blackforestlabs/flux_1_kontext/pro/edit.json",
        "runcomfy_codegen/templates/model.py.jinja",
        "runcomfy_codegen/templates/runcomfy/_client.py",
        f"{info}/licenses/LICENSE",
    } <= set(names)
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_works_in_an_empty_environment_without_extras(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / ("venv/Scripts/python.exe" if sys.platform == "win32" else "venv/bin/python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True, capture_output=True)
    program = """
import importlib.metadata, runcomfy
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
assert importlib.metadata.version("runcomfy") == runcomfy.__version__
try:
    edit.run(runcomfy.Client("t", "http://127.0.0.1:9"), prompt="p", image_url="u")
except runcomfy.APIConnectionError as error:
    print(error.model_id)
"""

    ran = subprocess.run([python, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    generate = subprocess.run(
        [python, "-I", "-m", "runcomfy_codegen", "check"], capture_output=True, text=True, check=False
    )
    sandbox = subprocess.run([python, "-I", "-m", "runcomfy.sandbox"], capture_output=True, text=True, check=False)

    assert (ran.stdout, ran.stderr) == ("blackforestlabs/flux-1-kontext/pro/edit\n", "")
    assert generate.returncode == 2
    assert "pip install 'runcomfy[codegen]'" in generate.stderr
    assert sandbox.returncode == 1
    assert "pip install 'runcomfy[sandbox]'" in sandbox.stderr


def test_the_generator_finds_its_templates_in_the_wheel(wheel: Path, tmp_path: Path) -> None:
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); from runcomfy_codegen.templates import shipped;"
        "print(shipped()); from runcomfy_codegen.cli import main; sys.exit(main())"
    )
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/m.json").write_text('{"input_schema": {}}')

    done = subprocess.run(
        [sys.executable, "-c", program, "generate"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == str(tmp_path / "site/runcomfy_codegen/templates")
    assert (tmp_path / "generated/runcomfy/models/m.py").exists()


def test_whoever_has_only_the_wheel_adds_generates_checks_and_compares(wheel: Path, tmp_path: Path) -> None:
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    (tmp_path / "schema.json").write_text('{"properties": {"text": {"type": "string"}}}')
    (tmp_path / "newer.json").write_text('{"properties": {"text": {"type": "string"}, "seed": {"type": "integer"}}}')
    package = ("--out", "src", "--package", "acme_models")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "runcomfy_codegen", *arguments],
            cwd=tmp_path / "empty",
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), arguments
        return done.stdout

    run("add", "../schema.json", "--model-id", "acme/secret")
    run("generate", *package)
    run("add", "../newer.json", "--model-id", "acme/secret", "--schemas", "newer")

    assert run("check", *package).endswith(" up to date\n")
    assert "compatible  input seed: field added, int\n" in run("diff", "schemas", "newer")
    program = "import runcomfy; from acme_models.models.acme import secret; print(secret.__file__, runcomfy.__file__)"
    paths = os.pathsep.join((str(tmp_path / "empty/src"), str(tmp_path / "site")))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        str(tmp_path / "empty/src/acme_models/models/acme/secret.py"),
        str(tmp_path / "site/runcomfy/__init__.py"),
    ]
