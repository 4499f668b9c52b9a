"""``add``: what people have at hand becomes schema files, and nothing that is there already is lost."""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from command import SCHEMA, add_schema, codegen, files
from conftest import REFERENCE, REPOSITORY
from runcomfy_codegen.atomic import alone
from runcomfy_codegen.cli import main
from runcomfy_codegen.load import find

INPUT = SCHEMA["input_schema"]
OUTPUT = {"output": {"type": "object", "properties": {"image": {"type": "string", "format": "uri"}}}}
CURL = "curl --request POST \\\n  --url https://model-api.runcomfy.net/v1/models/{}\n\n"
KINDS = "a saved API page, a catalog entry, a catalog answer or an input schema is expected"
NO_ID = "is no model id: letters, digits, '.', '_' and '-', with '/' between its parts"
NO_SCHEMA = 'has no input schema: looked for a JSON object with "type" or "properties", as behind the heading'
NOT_FOUND = "  not found: display_name, description, categories, kind, base_price_usd, output_schema\n"
FULL = {
    "model_id": "acme/full",
    "display_name": "Füll",
    "description": "Does it all.",
    "categories": ["text-to-image"],
    "kind": "model",
    "base_price_usd": 0.5,
    "input_schema": INPUT,
    "output_schema": OUTPUT,
}


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Add:
    """The command, run in a folder of its own in this process."""

    def __init__(self, folder: Path, captured: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._captured = captured

    def __call__(self, *arguments: str) -> Done:
        self._captured.readouterr()
        code = main(["add", *arguments])
        captured = self._captured.readouterr()
        return Done(code, captured.out, captured.err)

    def source(self, name: str, content: Any) -> str:
        """A source in the folder: bytes, text, or what becomes JSON."""
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        (self.folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    @property
    def schemas(self) -> dict[str, bytes]:
        return files(self.folder / "schemas")

    def generates(self) -> None:
        assert main(["generate"]) == 0


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Add:
    monkeypatch.chdir(tmp_path)
    return Add(tmp_path, capsys)


def entry(model_id: str, **text: Any) -> dict[str, Any]:
    """A catalog entry with one field."""
    properties = {"text": {"type": "string", **text}}
    return {"model_id": model_id, "input_schema": {"type": "object", "properties": properties}}


def written(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def page(*model_ids: str) -> str:
    """A page of text about some models, with one pair of schemas."""
    curls = "".join(CURL.format(model_id) for model_id in model_ids)
    schemas = f"Input schema\n\n{json.dumps(INPUT, indent=2)}\n\nOutput schema\n\n{json.dumps(OUTPUT, indent=2)}\n"
    return f"About.\n\n{curls}{schemas}"


HTML = f"""<!DOCTYPE html>
<html><body><p>About.</p><pre><code>{CURL.format("acme/page")}</code></pre>
<h3>Input schema</h3><pre><code>{json.dumps(INPUT)}</code></pre>
<h3>Output schema</h3><pre><code>{json.dumps(OUTPUT)}</code></pre></body></html>
"""
MARKDOWN = f"""# About

```
{CURL.format("acme/page")}```

## Input schema

```json
{json.dumps(INPUT)}
```

## Output schema

```json
{json.dumps(OUTPUT)}
```
"""
PAGED = {"model_id": "acme/page", "input_schema": INPUT, "output_schema": OUTPUT}


# What there may be at hand


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("page.txt", page("acme/page"), PAGED),
        ("page.md", MARKDOWN, PAGED),
        ("page.html", HTML, PAGED),
        ("entry.json", FULL, FULL),
        ("catalog.json", {"models": [FULL], "next_cursor": None}, FULL),
        ("list.json", [FULL], FULL),
        ("entry", b"\xef\xbb\xbf" + json.dumps(FULL, indent=1).replace("\n", "\r\n").encode(), FULL),
        ("page", b"\xef\xbb\xbf" + page("acme/page").replace("\n", "\r\n").encode(), PAGED),
    ],
    ids=["text", "markdown", "html", "entry", "catalog", "list", "entry with BOM and CRLF", "page with BOM and CRLF"],
)
def test_every_kind_of_source_becomes_a_schema_file(add: Add, name: str, content: Any, expected: Any) -> None:
    done = add(add.source(name, content))

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{Path('schemas', expected['model_id'])}.json: added\n")
    assert add.schemas == {f"{expected['model_id']}.json": written(expected)}
    add.generates()


def test_a_bare_input_schema_needs_the_id_only(add: Add) -> None:
    done = add(add.source("schema.json", INPUT), "--model-id", "acme/v1.5/Edit_it")

    assert (done.code, done.err) == (0, "")
    assert add.schemas == {"acme/v1.5/Edit_it.json": written({"model_id": "acme/v1.5/Edit_it", "input_schema": INPUT})}
    add.generates()


def test_standard_input_is_a_source(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "runcomfy_codegen", "add", "-"]
    given = b"\xef\xbb\xbf" + json.dumps(FULL, ensure_ascii=False).encode()

    done = subprocess.run(command, cwd=tmp_path, input=given, capture_output=True, check=False, timeout=120)

    expected = f"{Path('schemas/acme/full')}.json: added{os.linesep}".encode()
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, b"")
    assert files(tmp_path) == {"schemas/acme/full.json": written(FULL)}


def test_standard_input_is_named_in_errors(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b" \n")))

    assert add("-") == Done(1, "", "standard input: is empty\n")


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the API pages are not here")
@pytest.mark.parametrize("model", ["flux-1-kontext/pro/edit", "flux-1-kontext/max/text-to-image"])
def test_the_saved_pages_give_the_shipped_schemas(add: Add, model: str) -> None:
    saved = str(REFERENCE / "seeds" / f"{model.replace('/', '-')}.txt")
    model_id = f"blackforestlabs/{model}"
    shipped = REPOSITORY / f"schemas/{model_id}.json"
    known = json.loads(shipped.read_text(encoding="utf-8"))
    expected = {key: known[key] for key in ("model_id", "input_schema", "output_schema")}

    assert add(saved, "--schemas", "new").code == 0

    file = add.folder / "schemas" / f"{model_id}.json"
    file.parent.mkdir(parents=True)
    shutil.copy(shipped, file)
    before = file.stat()

    assert (add.folder / "new" / f"{model_id}.json").read_bytes() == written(expected)
    assert add(saved) == Done(0, f"{Path('schemas', model_id)}.json: up to date\n", "")
    assert file.read_bytes() == shipped.read_bytes()
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert list(add.schemas) == [f"{model_id}.json"]
    add.generates()


def test_the_folder_may_be_another(add: Add) -> None:
    add("--schemas", "deep/there", add.source("entry.json", FULL))

    assert files(add.folder / "deep") == {"there/acme/full.json": written(FULL)}


# What is said


def test_it_says_what_it_wrote_and_what_it_did_not_find(add: Add) -> None:
    add_schema(add.folder, "acme/known", entry("acme/known"))
    known, new = add.source("known.json", entry("acme/known")), add.source("new.json", [FULL, entry("acme/new")])

    done = add(known, new, add.source("page.txt", page("acme/page")))

    schemas = Path("schemas/acme")
    assert done == Done(
        0,
        f"{schemas / 'full.json'}: added\n"
        f"{schemas / 'new.json'}: added\n{NOT_FOUND}"
        f"{schemas / 'page.json'}: added\n{NOT_FOUND.replace(', output_schema', '')}"
        f"{schemas / 'known.json'}: up to date\n",
        "",
    )
    assert list(add.schemas) == ["acme/full.json", "acme/known.json", "acme/new.json", "acme/page.json"]
    add.generates()


def test_what_is_broken_does_not_keep_the_others_out(add: Add) -> None:
    rows = [{"model_id": "acme/no"}, entry("acme/odd", type="tuple"), entry("acme/row"), 4, {"input_schema": INPUT}]
    catalog = add.source("catalog.json", {"models": rows})

    done = add(add.source("broken.json", "{"), add.source("entry.json", FULL), catalog, "missing.txt")

    assert done.code == 1
    assert done.out == "".join(
        f"{Path('schemas/acme', name)}.json: added\n{remark}" for name, remark in (("full", ""), ("row", NOT_FOUND))
    )
    assert list(add.schemas) == ["acme/full.json", "acme/row.json"]
    assert [line.partition(" which is")[0] for line in done.err.splitlines()] == [
        "broken.json:1:2: Expecting property name enclosed in double quotes",
        "catalog.json: /models/0/input_schema: is missing",
        "catalog.json: /models/3: is a number, not a catalog entry",
        "catalog.json: /models/4/model_id: is missing",
        "missing.txt: cannot be read: No such file or directory",
        "schemas/acme/odd.json: /input_schema/properties/text/type: is 'tuple',",
    ]


# What is there already

OLD = {
    "output_schema": OUTPUT,
    "mine": {"b": 1, "a": 2},
    "python_path": "acme.own_name",
    "input_schema": {
        "properties": {"zeta": {"type": "string"}, "alpha": {"default": 1, "type": "integer"}},
        "type": "object",
    },
}
NEW = {
    "model_id": "acme/cat",
    "input_schema": {
        "type": "object",
        "properties": {
            "alpha": {"type": "integer", "default": 2},
            "new": {"type": "boolean"},
            "zeta": {"type": "string"},
        },
    },
}
BOTH = {
    **OLD,
    "input_schema": {
        "properties": {
            "zeta": {"type": "string"},
            "alpha": {"default": 2, "type": "integer"},
            "new": {"type": "boolean"},
        },
        "type": "object",
    },
}


def test_a_file_that_differs_is_shown_and_stays(add: Add) -> None:
    file = add_schema(add.folder, "acme/cat", OLD)
    file.write_bytes(written(OLD))
    source = add.source("new.json", NEW)

    done = add(source)

    assert done.code == 1
    assert done.err == f"{Path('schemas/acme/cat.json')}: is another; --force changes it as shown\n"
    assert done.out == (
        "--- a/schemas/acme/cat.json\n+++ b/schemas/acme/cat.json\n@@ -21,8 +21,11 @@\n"
        '         "type": "string"\n       },\n       "alpha": {\n'
        '-        "default": 1,\n+        "default": 2,\n'
        '         "type": "integer"\n+      },\n+      "new": {\n+        "type": "boolean"\n'
        '       }\n     },\n     "type": "object"\n'
    )
    assert add.schemas == {"acme/cat.json": written(OLD)}


def test_force_changes_what_the_source_says_and_nothing_else(add: Add) -> None:
    add_schema(add.folder, "acme/cat", OLD).write_bytes(written(OLD))
    source = add.source("new.json", NEW)

    done = add(source, "--force")

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{Path('schemas/acme/cat.json')}: changed\n")
    assert add.schemas == {"acme/cat.json": written(BOTH)}
    assert add(source) == Done(0, f"{Path('schemas/acme/cat.json')}: up to date\n", "")
    add.generates()
    assert (add.folder / "generated/runcomfy/models/acme/own_name.py").is_file()


def test_a_file_that_differs_keeps_no_other_out(add: Add) -> None:
    add_schema(add.folder, "acme/cat", OLD).write_bytes(written(OLD))

    done = add(add.source("sources.json", [NEW, FULL]))

    assert done.code == 1
    assert done.out.startswith(f"{Path('schemas/acme/full.json')}: added\n--- a/schemas/acme/cat.json\n")
    assert add.schemas == {"acme/cat.json": written(OLD), "acme/full.json": written(FULL)}


@pytest.mark.parametrize(("old", "new"), [("1", "1.0"), ("1", "true"), ("1.0", "true"), ("0", "false"), ("1.0", "1")])
def test_numbers_and_truth_values_are_told_apart(add: Add, old: str, new: str) -> None:
    before, after = (
        written({"input_schema": {"type": "object", "x": "?"}}).replace(b'"?"', value.encode()) for value in (old, new)
    )
    add_schema(add.folder, "acme/cat").write_bytes(before)
    source = add.source("new.json", after)

    shown = add(source, "--model-id", "acme/cat")
    stayed = add.schemas
    forced = add(source, "--model-id", "acme/cat", "--force")

    assert (shown.code, forced.code) == (1, 0)
    changed = [line for line in shown.out.splitlines()[3:] if line[0] in "+-"]
    assert changed == [f'-    "x": {old}', f'+    "x": {new}']
    assert stayed == {"acme/cat.json": before}
    assert add.schemas == {"acme/cat.json": after}


def test_the_order_of_properties_makes_no_other_file(add: Add) -> None:
    file = add_schema(add.folder, "acme/cat", BOTH)
    before = file.read_bytes()

    assert add(add.source("new.json", NEW)) == Done(0, f"{Path('schemas/acme/cat.json')}: up to date\n", "")
    assert file.read_bytes() == before


def test_a_twin_gets_an_import_path_of_its_own(add: Add) -> None:
    add_schema(add.folder, "acme/cat-1.0", entry("acme/cat-1.0"))

    done = add(add.source("twins.json", [entry("acme/cat-1-0"), entry("acme/cat-1_0")]))

    says = "acme/cat-1.0 has the import path that it would have; so it is acme.cat_1_0_"
    assert done == Done(
        0,
        f"{Path('schemas/acme/cat-1-0.json')}: added\n  {says}2\n{NOT_FOUND}"
        f"{Path('schemas/acme/cat-1_0.json')}: added\n  {says}3\n{NOT_FOUND}",
        "",
    )
    twin = entry("acme/cat-1-0")
    expected = {"model_id": twin["model_id"], "python_path": "acme.cat_1_0_2", "input_schema": twin["input_schema"]}
    assert add.schemas["acme/cat-1-0.json"] == written(expected)
    assert add("twins.json").out.count("up to date") == 2
    add.generates()
    assert (add.folder / "generated/runcomfy/models/acme/cat_1_0_3.py").is_file()


# Several of one id


def test_the_same_twice_is_fine(add: Add) -> None:
    one, two = add.source("one.json", [FULL, FULL]), add.source("two.json", dict(reversed(FULL.items())))

    assert add(one, two) == Done(0, f"{Path('schemas/acme/full.json')}: added\n", "")
    assert add.schemas == {"acme/full.json": written(FULL)}


def test_two_sources_that_differ_are_an_error(add: Add) -> None:
    one, two = add.source("one.json", entry("acme/cat")), add.source("two.json", entry("acme/cat", type="integer"))

    done = add(one, two)

    assert (done.code, done.err) == (1, "two.json: has another schema for acme/cat than one.json\n")


def test_two_rows_that_differ_are_an_error(add: Add) -> None:
    rows = [FULL, entry("acme/cat"), entry("acme/cat", type="integer")]

    done = add(add.source("all.json", {"models": rows}))

    reason = "'acme/cat' has an entry before this one, with other content"
    assert (done.code, done.err) == (1, f"all.json: /models/2: {reason}\n")
    assert add.schemas["acme/full.json"] == written(FULL)


# --model-id


def test_of_a_catalog_only_the_model_is_taken(add: Add) -> None:
    rows = [entry("acme/cat"), FULL, {"model_id": "../x"}]

    done = add(add.source("all.json", {"models": rows}), "--model-id", "acme/full")

    assert done == Done(0, f"{Path('schemas/acme/full.json')}: added\n", "")
    assert list(add.schemas) == ["acme/full.json"]


@pytest.mark.parametrize(("rows", "at"), [({"models": [FULL]}, ": /models"), ([FULL], ""), ([], "")])
def test_a_model_that_the_catalog_has_not(add: Add, rows: Any, at: str) -> None:
    done = add(add.source("all.json", rows), "--model-id", "acme/cat")

    assert done == Done(1, "", f"all.json{at}: has no entry of acme/cat\n")
    assert add.schemas == {}


def test_one_id_is_not_for_two_sources(add: Add) -> None:
    done = add(add.source("one.json", INPUT), add.source("two.json", FULL), "--model-id", "acme/cat")

    assert done == Done(2, "", "--model-id speaks of one source; add the others by themselves\n")
    assert add.schemas == {}


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        ((), "has no curl line that says which model it is about; give --model-id"),
        (("acme/a", "acme/b"), "is about more than one model: acme/a, acme/b; give --model-id"),
    ],
    ids=["none", "two"],
)
def test_a_page_that_does_not_tell_its_model(add: Add, ids: tuple[str, ...], reason: str) -> None:
    source = add.source("page.txt", page(*ids))

    refused, nothing = add(source), add.schemas
    done = add(source, "--model-id", "acme/b")

    assert refused == Done(1, "", f"page.txt: {reason}\n")
    assert nothing == {}
    assert done.code == 0
    assert add.schemas == {"acme/b.json": written({**PAGED, "model_id": "acme/b"})}


@pytest.mark.parametrize(
    ("model_id", "reason"),
    [
        *(
            (bad, NO_ID)
            for bad in ("../x", "/etc/x", "a//b", ".git/x", "a b", "", "a/", "a\\b", "a/..", "a.", "-a", "ä")
        ),
        *((bad, "would be a device on some systems, not a file") for bad in ("con", "a/NUL", "Com1.x/b")),
        ("a" * 201, "is longer than 200 characters"),
    ],
)
@pytest.mark.parametrize("option", [False, True], ids=["in the entry", "as option"])
def test_an_id_that_can_name_no_file(add: Add, model_id: str, reason: str, option: bool) -> None:
    source = add.source("e.json", INPUT if option else {**FULL, "model_id": model_id})
    before = files(add.folder)

    done = add(source, *([f"--model-id={model_id}"] if option else []))

    assert done == Done(1, "", f"e.json: /model_id: {model_id!r} {reason}\n")
    assert files(add.folder) == before


def test_no_part_of_an_id_is_a_folder_named_like_a_schema_file(add: Add) -> None:
    done = add(add.source("entry.json", entry("a.json/b")))

    reason = "has a part that would be a folder named like a schema file"
    assert done == Done(1, "", f"entry.json: /model_id: 'a.json/b' {reason}\n")


def test_an_id_may_be_as_long_as_this(add: Add) -> None:
    assert add(add.source("e.json", entry("a" * 200))).code == 0
    assert list(add.schemas) == ["a" * 200 + ".json"]


# What cannot be used


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", f": is not UTF-8 text (byte 0): {KINDS}"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", f": is not UTF-8 text (byte 10): {KINDS}"),
        (json.dumps(FULL).encode("utf-16"), f": is not UTF-8 text (byte 0): {KINDS}"),
        (b"", ": is empty"),
        (b"\xef\xbb\xbf \r\n", ": is empty"),
        ('{\n  "model_id": "a/b",\n', ":3:1: Expecting property name enclosed in double quotes"),
        ('{"models": [{"model_id": "a/b"', ":1:31: Expecting ',' delimiter"),
        (
            '{"model_id": "a/b", "input_schema": {"type": "object", "type": "object"}}',
            ": /input_schema/type: stands twice in one object",
        ),
        ('{"model_id": "a/b", "base_price_usd": NaN}', ": /base_price_usd: is NaN, which JSON does not have"),
        ('{"input_schema": {"x": [-Infinity]}}', ": /input_schema/x/0: is -Infinity, which JSON does not have"),
        ('{"a": 1e999}', ": /a: is larger than any number that can be sent"),
        ({"a": 1}, f": is JSON, but of no known kind: {KINDS}"),
        ({}, f": is JSON, but of no known kind: {KINDS}"),
        ([], ": has no entry of any model"),
        ({"models": []}, ": /models: has no entry of any model"),
        ([[]], ": /0: is a list, not a catalog entry"),
        ({"input_schema": INPUT}, ": does not say of which model it is; give --model-id"),
        (INPUT, ": does not say of which model it is; give --model-id"),
        ([{"input_schema": INPUT}], ": /0/model_id: is missing"),
        ({"model_id": 1, "input_schema": INPUT}, ": /model_id: is a number, not a text"),
        ({"model_id": "a/b", "input_schema": []}, ": /input_schema: is a list, not an object"),
        ({"model_id": "a/b", "input_schema": None}, ": /input_schema: is null, not an object"),
        ({**FULL, "output_schema": "x"}, ": /output_schema: is a string, not an object"),
        ("About.\n\nNothing else.\n", f': {NO_SCHEMA} "Input schema"'),
        (
            "<!DOCTYPE html>\n<html><body>Loading</body></html>",
            f': {NO_SCHEMA} "Input schema"; save the page from the browser after it has loaded',
        ),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(add: Add, content: Any, reason: str) -> None:
    add.source("bad", content)

    assert add("bad") == Done(1, "", f"bad{reason}\n")
    assert list(files(add.folder)) == ["bad"]


def test_a_missing_file_and_a_folder(add: Add) -> None:
    (add.folder / "folder").mkdir()

    done = add("missing.json", "folder")

    assert done == Done(1, "", "folder: is no file\nmissing.json: cannot be read: No such file or directory\n")
    assert files(add.folder) == {}


def test_a_schema_that_nothing_can_be_generated_from(add: Add) -> None:
    source = add.source("tuple.json", entry("acme/cat", type="tuple"))

    done = add(source)

    known = "string, str, integer, int, number, float, double, boolean, bool, array, list, object, dict, null"
    place = "schemas/acme/cat.json: /input_schema/properties/text/type"
    assert done == Done(1, "", f"{place}: is 'tuple', which is no type; known are {known}\n")
    assert add.schemas == {}


def test_such_a_schema_does_not_take_the_place_of_a_good_one(add: Add) -> None:
    file = add_schema(add.folder, "acme/cat", entry("acme/cat"))
    before = file.read_bytes()

    assert add(add.source("tuple.json", entry("acme/cat", type="tuple")), "--force").code == 1
    assert add.schemas == {"acme/cat.json": before}


# Where it writes


def test_no_link_leads_out_of_the_folder(add: Add) -> None:
    (add.folder / "schemas").mkdir()
    (add.folder / "elsewhere").mkdir()
    (add.folder / "schemas/acme").symlink_to("../elsewhere", target_is_directory=True)

    done = add(add.source("entry.json", FULL), "--force")

    file = Path("schemas/acme/full.json")
    link = "schemas/acme: is a symbolic link to a folder; none is followed\n"
    assert done == Done(1, "", f"{link}{file}: leads out of the folder, so it is not written\n")
    assert list(files(add.folder)) == ["entry.json"]
    assert list((add.folder / "elsewhere").iterdir()) == []


def test_a_file_where_a_folder_is_needed(add: Add) -> None:
    (add.folder / "schemas").mkdir()
    (add.folder / "schemas/acme").write_text("x")

    done = add(add.source("entry.json", FULL))

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"{Path('schemas/acme')}: ")
    assert add.schemas == {"acme": b"x"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", ":1:2: Expecting property name enclosed in double quotes"),
        (b"\xff", ": is not UTF-8 (byte 0)"),
        (b"{}", ": /input_schema: is missing"),
        (b'{"input_schema": {}, "model_id": "acme/other"}', ": /model_id: is 'acme/other', but the file's path says"),
    ],
)
def test_a_broken_file_is_told_and_not_touched(add: Add, content: bytes, reason: str) -> None:
    add_schema(add.folder, "acme/full").write_bytes(content)

    done = add(add.source("entries.json", [FULL, entry("acme/new")]), "--force")

    assert done.code == 1
    assert done.err.startswith(f"schemas/acme/full.json{reason}")
    assert done.err.count("\n") == 1
    assert add.schemas == {"acme/full.json": content, "acme/new.json": written(entry("acme/new"))}


def test_no_two_runs_write_at_once(add: Add) -> None:
    add.source("entry.json", FULL)

    with alone(add.folder / "schemas"):
        done = codegen("add", "entry.json", cwd=add.folder)
        kept_out = add.schemas
    then = add("entry.json")

    message = "schemas: another run is writing to it; try again when it has ended\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)
    assert kept_out == {}
    assert then.code == 0


# What must not be read


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Permissions do not hold for root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that everybody can get to, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    for path in folder.iterdir():
        path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are others there")
def test_a_folder_that_cannot_be_listed_is_a_problem(readable: Path) -> None:
    (readable / "acme").mkdir()
    (readable / "acme/cat.json").write_text(json.dumps(SCHEMA))
    (readable / "dog.json").write_text(json.dumps(SCHEMA))
    (readable / "acme").chmod(0)

    with _as_nobody():
        found, problems = find(readable)

    assert [file.model_id for file in found] == ["dog"]
    assert [str(problem) for problem in problems] == [f"{readable.name}/acme: cannot be read: Permission denied"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are others there")
def test_a_file_that_cannot_be_read_is_a_problem(readable: Path) -> None:
    for name in ("cat", "dog"):
        (readable / f"{name}.json").write_text(json.dumps(SCHEMA))
    (readable / "dog.json").chmod(0o644)
    (readable / "cat.json").chmod(0)

    with _as_nobody():
        found, problems = find(readable)

    assert [file.model_id for file in found] == ["dog"]
    assert [str(problem) for problem in problems] == [f"{readable.name}/cat.json: cannot be read: Permission denied"]


def test_half_a_surrogate_pair_is_kept(add: Add) -> None:
    done = add(add.source("entry.json", entry("acme/half", default="\ud800")))

    assert (done.code, done.err) == (0, "")
    assert json.loads(add.schemas["acme/half.json"]) == entry("acme/half", default="\ud800")
    add.generates()


@pytest.mark.parametrize("other", [1.0, True])
def test_sources_that_differ_in_the_kind_of_a_number_differ(add: Add, other: object) -> None:
    done = add(add.source("one.json", entry("acme/m", x=1)), add.source("two.json", entry("acme/m", x=other)))

    assert done == Done(1, "", "two.json: has another schema for acme/m than one.json\n")
    assert add.schemas == {}


def test_what_is_wrong_with_the_wanted_model_of_a_catalog_is_told(add: Add) -> None:
    broken = {**entry("acme/dog"), "input_schema": []}
    rows = [entry("acme/cat"), entry("acme/cat", maxLength=5), broken]
    source = add.source("catalog.json", {"models": rows})

    cat = add(source, "--model-id", "acme/cat")
    dog = add(source, "--model-id", "acme/dog")

    assert cat == Done(1, "", "catalog.json: /models/1: 'acme/cat' has an entry before this one, with other content\n")
    assert dog == Done(1, "", "catalog.json: /models/2/input_schema: is a list, not an object\n")
    assert add.schemas == {}


def test_what_cannot_be_written_keeps_no_other_out(add: Add) -> None:
    (add.folder / "schemas").mkdir()
    (add.folder / "schemas/acme").write_text("x")
    sources = [add.source(f"{name}.json", entry(f"{name}/m")) for name in ("aaa", "acme", "zzz")]

    done = add(*sources)

    assert done.code == 1
    assert [line for line in done.out.splitlines() if line.endswith(": added")] == [
        "schemas/aaa/m.json: added",
        "schemas/zzz/m.json: added",
    ]
    assert done.err.startswith("schemas/acme: cannot be written: ")


def test_a_link_in_the_place_of_a_file_stays(add: Add) -> None:
    (add.folder / "schemas/acme").mkdir(parents=True)
    link = add.folder / "schemas/acme/full.json"
    link.symlink_to("../../elsewhere.json")

    done = add(add.source("entry.json", FULL), "--force")

    assert (done.code, done.out) == (1, "")
    assert "schemas/acme/full.json: leads to " in done.err
    assert link.is_symlink()
    assert not (add.folder / "elsewhere.json").exists()


def test_a_file_that_is_too_large_is_told_as_that(add: Add) -> None:
    file = add_schema(add.folder, "acme/full")
    file.write_bytes(b" " * (4 * 1024 * 1024 + 1))

    done = add(add.source("entry.json", FULL))

    assert done == Done(1, "", "schemas/acme/full.json: is larger than 4194304 bytes\n")


def test_the_difference_is_shown_line_by_line_and_steers_no_terminal(add: Add) -> None:
    file = add_schema(add.folder, "acme/m", {"input_schema": {}, "note": "a\u2028b\x9bc"})
    file.write_bytes(file.read_bytes().replace(b"\\u2028", "\u2028".encode()).replace(b"\\u009b", "\x9b".encode()))

    done = add(add.source("entry.json", entry("acme/m")))

    assert done.code == 1
    assert '-{"input_schema": {}, "note": "a\\u2028b\\x9bc"}\n+{\n' in done.out
    assert "\u2028" not in done.out
    assert "\x9b" not in done.out
