"""A schema is data: nothing in it becomes code, an import, a file outside the output, or a request."""

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from command import SCHEMA, add_schema, codegen, files
from conftest import REPOSITORY
from runcomfy_codegen.verify import UnsafeCode, verify


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os", "contains Import"),
        ("from os import path", "imports from os import path"),
        ("from . import _runtime", "imports from . import _runtime"),
        ("from runcomfy import Client", "imports from runcomfy import Client"),
        ("from typing import *", "imports from typing import *"),
        ("from typing import Any as _runtime", "imports from typing import Any as _runtime"),
        ("from pydantic import BaseModel", "imports from pydantic import BaseModel"),
        ("MODEL_ID = open('f')", "calls open"),
        ("MODEL_ID = _runtime.default_client()", "calls _runtime.default_client"),
        ("MODEL_ID = _runtime.run.__globals__", "reads _runtime.run.__globals__"),
        ("class C:\n  f: ().__class__", "reads ().__class__"),
        ("class C:\n  f: int = exit", "reads exit"),
        ("class C:\n  f: \"__import__('os').abort()\"", "has a text for a type"),
        ("class C:\n  f: list['exit()'] | None = None", "has a text for a type"),
        ("def run(a: 'exit()'): return 1", "has a text for a type"),
        ("def run() -> 'exit()': return 1", "has a text for a type"),
        ("class C:\n  def __del__(self): return 1", "defines __del__ inside"),
        ("class C:\n  class D:\n    x: int", "defines D inside"),
        ("def other(): return 1", "defines other"),
        ("class C(int):\n  x: int", "is derived from int"),
        ("class Input(str):\n  x: int\nclass C(Input):\n  x: int", "is derived from"),
        ("class C:\n  __slots__: int = 1", "assigns __slots__"),
        ("class C:\n  int: int = 1", "assigns int"),
        ("x = 1", "assigns x"),
        ("class C:\n  _endpoint = 1", "assigns _endpoint"),
        ("f()", "is a statement without effect"),
        ("x", "is a statement without effect"),
        ("MODEL_ID = lambda: 1", "contains Lambda"),
        ("MODEL_ID = [y for y in 'z']", "contains ListComp"),
        ("MODEL_ID = f'{y}'", "contains JoinedStr"),
        ("@d\ndef run(): return 1", "is decorated"),
        ("@d\nclass C:\n  x: int", "is decorated"),
        ("@d\nasync def submit_async(): return 1", "is decorated"),
        ("while True:\n  x: int", "contains While"),
        ("x = (", "does not parse"),
        ("x = '\0'", "does not parse"),
        ("# coding: utf-7\n+AAo-import os", "contains Import"),
    ],
)
def test_nothing_but_what_generated_code_may_contain_gets_written(code: str, reason: str) -> None:
    with pytest.raises(UnsafeCode, match=r"^m\.py:") as caught:
        verify("m.py", code, "runcomfy")

    assert reason in str(caught.value)


def test_every_module_is_verified_before_anything_is_written(tmp_path: Path) -> None:
    """With a template gone wrong, the command writes nothing."""
    shutil.copytree(REPOSITORY / "codegen/runcomfy_codegen", tmp_path / "tool/runcomfy_codegen")
    shutil.copytree(REPOSITORY / "templates", tmp_path / "tool/runcomfy_codegen/templates")
    template = tmp_path / "tool/runcomfy_codegen/templates/model.py.jinja"
    template.write_text(template.read_text().replace("MODEL_ID = ", "import os\nMODEL_ID = "))
    add_schema(tmp_path, "acme/model")

    done = codegen("generate", cwd=tmp_path, PYTHONPATH=str(tmp_path / "tool"))

    assert done.returncode != 0
    assert "runcomfy/models/acme/model.py" in done.stderr
    assert "contains Import" in done.stderr
    assert not (tmp_path / "generated").exists()


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


@pytest.mark.parametrize(
    "keywords",
    [
        {"customTypePath": "evil.T"},
        {"customBasePath": "evil.T"},
        {"x-python-type": "evil.T"},
        {"x-python-import": {"module": "evil", "name": "T"}},
        {"default_factory": "evil.T"},
        {"type": "string", "format": "evil.T"},
        {"$comment": "evil"},
    ],
)
def test_no_keyword_of_a_vendor_reaches_the_code(tmp_path: Path, keywords: dict[str, Any]) -> None:
    add_schema(tmp_path, "acme/model", {"input_schema": {**keywords, "type": "object", "properties": {"a": keywords}}})

    assert codegen("generate", "--package", "client", cwd=tmp_path).returncode == 0

    assert "evil" not in (tmp_path / "generated/client/models/acme/model.py").read_text()


@pytest.mark.parametrize(
    "reference",
    [
        "file:///etc/passwd",
        "../secret.json",
        "/etc/passwd",
        "secret.json#/a",
        "http://127.0.0.1:9/x.json",
        "#name",
        f"#/properties/b/anyOf/{'1' * 5_000}",
        "#/nowhere",
        "",
        5,
    ],
)
def test_no_reference_leaves_the_document(tmp_path: Path, reference: Any) -> None:
    (tmp_path / "secret.json").write_text('{"a": {"type": "string"}}')
    add_schema(
        tmp_path, "acme/model", {"input_schema": {"properties": {"b": {"anyOf": [{}]}, "a": {"$ref": reference}}}}
    )

    done = codegen("generate", cwd=tmp_path)

    assert done.returncode == 1
    assert f"schemas/acme/model.json: /input_schema/properties/a/$ref: is {reference!r}" in done.stderr
    assert not (tmp_path / "generated").exists()


def references(count: int, each: int) -> dict[str, Any]:
    """Definitions each of which refers several times to the next: small to write, endless to follow."""
    names = [f"d{number}" for number in range(count)]
    definitions: dict[str, Any] = {
        name: {"type": "object", "properties": {f"f{index}": {"$ref": f"#/$defs/{after}"} for index in range(each)}}
        for name, after in pairwise(names)
    }
    definitions[names[-1]] = {"type": "string"}
    return {"properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": definitions}


def alternatives(count: int, each: int) -> dict[str, Any]:
    """Unions that all count at once: small to write, endless to multiply."""
    unions = [
        {"anyOf": [{"type": "object", "properties": {f"p{number}{index}": {}}} for index in range(each)]}
        for number in range(count)
    ]
    return {"properties": {"a": {"allOf": unions}}}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (references(14, 4), "has more than 10000 parts, counting what they refer to"),
        (alternatives(6, 6), "/a: has more than 1000 combinations of its alternatives"),
        ({"anyOf": [{"const": number} for number in range(1_001)]}, "/anyOf: has more than 1000 alternatives"),
        (references(40, 1), "is nested more than 32 deep"),
        ({"properties": {f"f{number}": {"type": "string"} for number in range(10_001)}}, "has more than 10000 parts"),
    ],
)
def test_a_schema_without_measure_is_an_error_and_no_hang(tmp_path: Path, schema: Any, reason: str) -> None:
    add_schema(tmp_path, "acme/model", {"input_schema": schema})

    done = codegen("generate", cwd=tmp_path)

    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("pattern", ["(a+)+$", "(x+x+)+y", "((a{1,100}){1,100}){1,100}"])
def test_no_pattern_hangs(tmp_path: Path, pattern: str) -> None:
    """The default is tried against the pattern by `lint`, and the input by the client."""
    text = "a" * 5_000 + "!"
    property_ = {"type": "string", "pattern": pattern, "default": text}
    add_schema(tmp_path, "acme/model", {"input_schema": {"properties": {"a": property_}}})
    program = f"from client.models.acme import model\ntry: model.Input(a={text!r})\nexcept ValueError: pass"

    assert codegen("lint", cwd=tmp_path).returncode == 1
    assert codegen("generate", "--package", "client", cwd=tmp_path).returncode == 0
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "generated")}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)


def test_an_id_may_have_signs_newer_than_this_python(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/\U0001fae8")

    assert codegen("generate", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("model_id", ["a\\b", "a\x07b", "a\u2028b"])
def test_an_id_with_signs_that_no_path_has_is_an_error(tmp_path: Path, model_id: str) -> None:
    add_schema(tmp_path, f"acme/{model_id}")

    done = codegen("generate", cwd=tmp_path)

    assert done.returncode == 1
    assert "cannot be a model id" in done.stderr


@pytest.mark.parametrize(
    "path", ["../../x", "/etc/x", "a..b", "a/b", "A.b", "", "os.path\n", ".", 5, "a.import", "a" * 300]
)
def test_no_python_path_leaves_the_package(tmp_path: Path, path: Any) -> None:
    add_schema(tmp_path, "acme/model", {**SCHEMA, "python_path": path})

    done = codegen("generate", cwd=tmp_path)

    assert done.returncode == 1
    assert "schemas/acme/model.json: /python_path: is " in done.stderr
    assert list(files(tmp_path)) == ["schemas/acme/model.json"]


def test_a_link_among_the_schemas_leads_nowhere_else(tmp_path: Path) -> None:
    add_schema(tmp_path / "elsewhere", "model")
    add_schema(tmp_path, "acme/model")
    (tmp_path / "schemas/link").symlink_to(tmp_path / "elsewhere/schemas", target_is_directory=True)

    done = codegen("generate", cwd=tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("schemas/link: is a symbolic link to a folder; none is followed\n")
    assert not (tmp_path / "generated").exists()


def test_an_output_schema_is_no_way_in_either(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    text = f'"""\nopen({str(canary)!r}, "w")\n"""'
    entry = {**SCHEMA, "output_schema": {"output": {"properties": {text: {"description": text, "enum": [text]}}}}}
    add_schema(tmp_path, "acme/model", entry)

    assert codegen("generate", "--package", "client", cwd=tmp_path).returncode == 0
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "generated")}
    program = "from client.models.acme import model; print(list(model.Output.model_fields.values())[0].alias)"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout == f"{text}\n"
    assert not canary.exists()
    assert json.loads((tmp_path / "generated/client/_schemas/acme/model.json").read_text())["output_schema"]
