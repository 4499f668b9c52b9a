"""A folder is a test: ``schemas/`` in, ``expected/`` and ``findings.txt``, or ``errors.txt`` out.

``make golden`` rewrites what is expected.
"""

from pathlib import Path

import pytest
from conftest import GOLDEN
from runcomfy_codegen.pipeline import build, read

PACKAGE = "runcomfy"


@pytest.mark.parametrize("case", sorted(path.name for path in GOLDEN.iterdir()))
def test_generation_gives_what_is_expected(case: str, request: pytest.FixtureRequest) -> None:
    folder = GOLDEN / case
    generated = _generated(folder / "schemas")

    if request.config.getoption("--rewrite-golden"):
        _rewrite(folder, generated)

    expected = {
        path.relative_to(folder).as_posix(): path.read_bytes().decode()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != "schemas"
    }
    assert generated == expected


def _generated(schemas: Path) -> dict[str, str]:
    understood = read(schemas)
    if understood.problems:
        return {"errors.txt": "".join(f"{problem}\n" for problem in understood.problems)}
    tree = build(understood, PACKAGE)
    root = f"{PACKAGE}/models/"
    found = {f"expected/{path.removeprefix(root)}": text for path, text in tree.items() if path.startswith(root)}
    if understood.findings:
        found["findings.txt"] = "".join(f"{finding}\n" for finding in understood.findings)
    return found


def _rewrite(folder: Path, generated: dict[str, str]) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(folder).parts[0] != "schemas":
            path.unlink()
    for name, text in generated.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())
