"""`lint` and `--keep-going`: what is said of broken and of doubtful schemas, and what is done about them."""

from pathlib import Path

import pytest
from command import SCHEMA, add_schema, codegen, files
from conftest import REPOSITORY

DOUBTFUL = {"input_schema": {"required": ["gone"], "properties": {"tags": {"type": "array"}}}}
BROKEN = {"input_schema": {"properties": {"a": {"type": "strnig"}, "b": {"enum": []}}}}


def test_lint_of_fine_schemas_says_so(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/fine")

    done = codegen("lint", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "schemas: 1 model, 0 errors, 0 findings\n"


def test_lint_reports_everything_with_its_place_and_what_is_done(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/doubtful", DOUBTFUL)
    add_schema(tmp_path, "acme/broken", BROKEN)
    add_schema(tmp_path, "acme/syntax").write_text("{")

    done = codegen("lint", cwd=tmp_path)

    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert [line.partition(", which is no type")[0] for line in lines] == [
        "schemas/acme/broken.json: /input_schema/properties/a/type: error: is 'strnig'",
        "schemas/acme/broken.json: /input_schema/properties/b/enum: error: is empty",
        "schemas/acme/syntax.json:1:2: error: Expecting property name enclosed in double quotes",
        "schemas/acme/doubtful.json: /input_schema/properties/tags: has no items; any values are taken",
        "schemas/acme/doubtful.json: /input_schema/required: has 'gone', which is no property; ignored",
    ]
    assert done.stderr == "schemas: 1 model, 3 errors, 2 findings\n"


def test_lint_writes_nothing(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/doubtful", DOUBTFUL)

    codegen("lint", cwd=tmp_path)

    assert list(files(tmp_path)) == ["schemas/acme/doubtful.json"]


def test_what_is_doubtful_stops_no_generation(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/doubtful", DOUBTFUL)

    done = codegen("generate", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


def test_two_models_of_one_import_path_are_reported_by_lint(tmp_path: Path) -> None:
    add_schema(tmp_path, "wan-ai/wan-2-7/edit")
    add_schema(tmp_path, "wan-ai/wan-2.7/edit")

    done = codegen("lint", cwd=tmp_path)

    assert done.returncode == 1
    assert "'wan-ai/wan-2.7/edit' has the same import path as 'wan-ai/wan-2-7/edit'" in done.stdout
    assert "python_path" in done.stdout


@pytest.mark.parametrize("verb", ["generate", "check"])
def test_keep_going_leaves_the_broken_ones_out_and_says_so(tmp_path: Path, verb: str) -> None:
    add_schema(tmp_path, "acme/fine")
    codegen("generate", cwd=tmp_path)
    fine = files(tmp_path / "generated")
    add_schema(tmp_path, "acme/other")
    add_schema(tmp_path, "acme/broken", BROKEN)
    add_schema(tmp_path, "acme/syntax").write_text("{")

    done = codegen(verb, "--keep-going", cwd=tmp_path)

    assert done.returncode == 1
    assert "schemas/acme/broken.json: /input_schema/properties/a/type: is 'strnig'" in done.stderr
    assert "left out, 2 of 4 files: schemas/acme/broken.json, schemas/acme/syntax.json\n" in done.stderr
    new = set(files(tmp_path / "generated")) - set(fine)
    if verb == "generate":
        assert new == {"runcomfy/models/acme/other.py", "runcomfy/_schemas/acme/other.json"}
        assert "up to date" in codegen("check", "--keep-going", cwd=tmp_path).stdout
    else:
        assert new == set()
        assert done.stderr.endswith("out of date; type: runcomfy-codegen generate --keep-going\n")


def test_keep_going_says_when_it_takes_a_module_away(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/fine")
    add_schema(tmp_path, "acme/broken")
    codegen("generate", cwd=tmp_path)
    add_schema(tmp_path, "acme/broken", BROKEN)

    done = codegen("generate", "--keep-going", cwd=tmp_path)

    assert done.stdout.endswith(" files, 2 changed, 2 of them removed; 0 of 1 model made anew\n")
    assert not (tmp_path / "generated/runcomfy/models/acme/broken.py").exists()


def test_keep_going_with_nothing_left_writes_nothing(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/broken", BROKEN)

    done = codegen("generate", "--keep-going", cwd=tmp_path)

    assert done.returncode == 1
    assert done.stderr.endswith("nothing was written\n")
    assert not (tmp_path / "generated").exists()


def test_keep_going_where_all_is_fine_is_no_different(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/fine", SCHEMA)

    assert codegen("generate", "--keep-going", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("name", ["pydantic", "httpx", "json", "asyncio", "runcomfy_codegen"])
def test_no_package_stands_in_the_way_of_another(tmp_path: Path, name: str) -> None:
    add_schema(tmp_path, "acme/fine")

    done = codegen("generate", "--package", name, cwd=tmp_path)

    assert done.returncode == 2
    assert f"{name!r} is the name of another package" in done.stderr


def test_the_shipped_schemas_have_no_errors() -> None:
    done = codegen("lint", cwd=REPOSITORY)

    assert " models, 0 errors, " in done.stderr
