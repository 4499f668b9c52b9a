"""The command ``sync``: a folder of schema files is brought to what the live catalog says."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from command import add_schema, codegen, files
from conftest import REFERENCE, REPOSITORY
from runcomfy.sandbox import Fault, Sandbox
from runcomfy_codegen.atomic import alone
from runcomfy_codegen.cli import main
from runcomfy_codegen.pipeline import read

TEXT = {"type": "string"}
SOON = {"Retry-After": "0"}
CATALOG = REFERENCE / "catalog/catalog.json"


def entry(model_id: str, *fields: str, **keys: Any) -> dict[str, Any]:
    """A catalog entry whose input has some texts, the first of which is required."""
    names = fields or ("text",)
    schema = {"type": "object", "required": [names[0]], "properties": dict.fromkeys(names, TEXT)}
    return {"model_id": model_id, "input_schema": schema, **keys}


PAINT = entry("acme/paint", "prompt", display_name="Paint", categories=["text-to-image"], kind="model")
FILM = entry("acme/film", "prompt", categories=["text-to-video"], kind="workflow")
SONG = entry("other/song/make", "lyrics", categories=["text-to-audio"], kind="model")
THREE = (PAINT, FILM, SONG)
TWINS = (entry("wan-2.7/edit"), entry("wan-2-7/edit"))


class Done(NamedTuple):
    """How a run of the command ended."""

    code: int
    out: str
    err: str


class Desk:
    """A working folder, a catalog, and the command in this process."""

    def __init__(self, folder: Path, stack: ExitStack, patch: pytest.MonkeyPatch, capsys: Any) -> None:
        self.folder = folder
        self.schemas = folder / "schemas"
        self._stack = stack
        self._patch = patch
        self._capsys = capsys
        self._count = 0

    def serve(self, *entries: dict[str, Any]) -> Sandbox:
        """From now on the catalog has these entries."""
        self._count += 1
        remote = self.folder.parent / f"remote-{self._count}"
        remote.mkdir()
        for number, item in enumerate(entries):
            (remote / f"{number}.json").write_text(json.dumps(item), encoding="utf-8")
        sandbox = self._stack.enter_context(Sandbox(schemas=remote))
        self._patch.setenv("RUNCOMFY_TOKEN", sandbox.token)
        self._patch.setenv("RUNCOMFY_MODEL_API_BASE", sandbox.base_url)
        return sandbox

    def run(self, command: str, *arguments: str) -> Done:
        self._capsys.readouterr()
        code = main([command, *arguments])
        return Done(code, *self._capsys.readouterr())

    def sync(self, *arguments: str) -> Done:
        return self.run("sync", *arguments)

    def synced(self, *entries: dict[str, Any]) -> None:
        """The folder is as the catalog with these entries."""
        self.serve(*entries)
        assert self.sync().code == 0
        self.age()

    def file(self, model_id: str) -> Path:
        return self.schemas / f"{model_id}.json"

    def entry(self, model_id: str) -> Any:
        return json.loads(self.file(model_id).read_text(encoding="utf-8"))

    def age(self) -> None:
        for path in self.schemas.rglob("*.json"):
            os.utime(path, (1, 1))

    def touched(self) -> list[str]:
        """The models whose files were written since `age`."""
        paths = [path for path in self.schemas.rglob("*.json") if path.stat().st_mtime != 1]
        return sorted(path.relative_to(self.schemas).as_posix().removesuffix(".json") for path in paths)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with ExitStack() as stack:
        yield Desk(folder, stack, monkeypatch, capsys)


def listing(*rows: Any, **changes: Any) -> Fault:
    """An answer whose only page has these rows."""
    return Fault("models", changes={"models": list(rows), "total": len(rows), **changes})


def test_the_first_run_makes_the_folder_and_the_second_touches_nothing(desk: Desk) -> None:
    desk.serve(*THREE)

    first = desk.sync()
    desk.age()
    second = desk.sync()

    assert first.code == second.code == 0
    assert sorted(files(desk.schemas)) == ["acme/film.json", "acme/paint.json", "other/song/make.json"]
    assert [desk.entry(item["model_id"]) for item in THREE] == list(THREE)
    assert all(f"added: {Path('schemas', name)}" in first.out for name in files(desk.schemas))
    assert "3 compatible" in first.out
    assert "3 written, 0 up to date, 0 gone" in first.err
    assert desk.touched() == []
    assert second.out == "nothing has changed for callers\n"
    assert "3 models in the catalog; 0 written, 3 up to date, 0 gone" in second.err


def test_the_folder_may_be_another_one(desk: Desk) -> None:
    desk.serve(PAINT)

    assert desk.sync("--schemas", "deep/down").code == 0
    assert list(files(desk.folder)) == ["deep/down/acme/paint.json"]


def test_the_api_may_be_given(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = desk.serve(PAINT)
    monkeypatch.delenv("RUNCOMFY_MODEL_API_BASE")

    assert desk.sync("--base-url", sandbox.base_url).code == 0
    assert list(files(desk.schemas)) == ["acme/paint.json"]


def test_only_the_file_of_what_changed_is_touched_and_the_change_is_told(desk: Desk) -> None:
    desk.synced(*THREE)
    desk.serve(PAINT, SONG, entry("acme/film", "prompt", "seconds", categories=["text-to-video"], kind="workflow"))

    compatible = desk.sync()
    touched = desk.touched()
    desk.age()
    desk.serve(PAINT, SONG, entry("acme/film", "seconds", categories=["text-to-video"], kind="workflow"))
    breaking = desk.sync()

    assert (compatible.code, breaking.code) == (0, 0)
    assert touched == desk.touched() == ["acme/film"]
    assert f"changed: {Path('schemas/acme/film.json')}" in compatible.out
    assert "input seconds: field added" in compatible.out
    assert "asks for a minor version" in compatible.out
    assert "breaking    input prompt: field removed" in breaking.out
    assert "asks for a major version" in breaking.out


def test_formatting_and_order_are_no_change(desk: Desk) -> None:
    desk.serve(PAINT)
    backwards = dict(reversed([*PAINT.items()]))
    backwards["input_schema"] = dict(reversed([*PAINT["input_schema"].items()]))
    path = desk.file("acme/paint")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(backwards, indent=7), encoding="utf-8")
    desk.age()

    done = desk.sync()

    assert done.code == 0
    assert desk.touched() == []
    assert "1 up to date" in done.err


@pytest.mark.parametrize(("before", "after"), [(1, 1.0), (1, True), (0, False), (None, ...)])
def test_what_is_equal_to_python_only_is_a_change(desk: Desk, before: Any, after: Any) -> None:
    ours = entry("acme/paint")
    ours["input_schema"]["properties"] = {"text": {**TEXT, "default": before}}
    theirs = entry("acme/paint")
    theirs["input_schema"]["properties"] = {"text": TEXT if after is ... else {**TEXT, "default": after}}
    desk.synced(ours)
    desk.serve(theirs)

    assert desk.sync().code == 0
    assert desk.touched() == ["acme/paint"]
    assert json.dumps(desk.entry("acme/paint"), sort_keys=True) == json.dumps(theirs, sort_keys=True)


def test_what_people_added_stays_and_what_the_catalog_says_is_taken(desk: Desk) -> None:
    output = {"type": "object", "properties": {"image": TEXT}}
    properties = {"zoom": TEXT, "prompt": TEXT, "angle": TEXT}
    ours = {
        "display_name": "Old",
        "python_path": "brush.paint",
        "note": {"by": "hand"},
        "input_schema": {"type": "object", "required": ["prompt"], "properties": properties},
        "output_schema": output,
    }
    path = add_schema(desk.folder, "acme/paint", ours)
    changed = entry("acme/paint", "prompt", "angle", "new", "zoom", display_name="New", base_price_usd=0.5)
    desk.serve(changed)

    assert desk.sync().code == 0

    entry_now = desk.entry("acme/paint")
    assert "model_id" not in entry_now
    assert entry_now["output_schema"] == output
    assert (entry_now["python_path"], entry_now["note"]) == ("brush.paint", {"by": "hand"})
    assert (entry_now["display_name"], entry_now["base_price_usd"]) == ("New", 0.5)
    assert entry_now["input_schema"] == changed["input_schema"]
    assert list(entry_now["input_schema"]["properties"]) == ["zoom", "prompt", "angle", "new"]
    assert path.read_bytes().endswith(b"}\n")


def test_a_file_with_a_model_id_keeps_it(desk: Desk) -> None:
    desk.synced(PAINT)
    desk.serve({**PAINT, "display_name": "New"})

    assert desk.sync().code == 0
    assert desk.entry("acme/paint") == {**PAINT, "display_name": "New"}


def test_a_model_that_is_gone_is_kept_unless_it_is_to_be_pruned(desk: Desk) -> None:
    desk.synced(*THREE)
    before = files(desk.schemas)
    desk.serve(PAINT)

    kept = desk.sync()
    assert kept.code == 0
    assert files(desk.schemas) == before
    for name in ("acme/film.json", "other/song/make.json"):
        assert f"not in the catalog any more: {Path('schemas', name)} (kept; --prune removes it)" in kept.out
    assert "2 gone" in kept.err
    assert "nothing has changed for callers" in kept.out

    pruned = desk.sync("--prune")
    assert pruned.code == 0
    assert f"not in the catalog any more: {Path('schemas/acme/film.json')} (removed)" in pruned.out
    assert "acme/film (schemas/acme/film.json)\n  breaking    model removed\n" in pruned.out
    assert [path.relative_to(desk.schemas).as_posix() for path in sorted(desk.schemas.rglob("*"))] == [
        "acme",
        "acme/paint.json",
    ]
    assert desk.touched() == []


def test_a_folder_that_holds_something_else_is_not_removed(desk: Desk) -> None:
    desk.synced(PAINT, SONG)
    note = desk.schemas / "other/NOTES.md"
    note.write_text("mine")
    desk.serve(PAINT)

    assert desk.sync("--prune").code == 0
    assert sorted(files(desk.schemas)) == ["acme/paint.json", "other/NOTES.md"]
    assert not (desk.schemas / "other/song").exists()


def test_a_file_that_says_it_is_not_of_the_catalog_is_not_pruned(desk: Desk) -> None:
    desk.synced(PAINT)
    mine = add_schema(desk.folder, "own/model", {**entry("own/model"), "catalog": False})
    before = mine.read_bytes()

    every, named = desk.sync("--prune"), desk.sync("--prune", "--model", "own/model")

    assert mine.read_bytes() == before
    assert (every.code, named.code) == (0, 0)
    assert "own/model" not in every.out + named.out


@pytest.mark.parametrize("value", [True, None, "false", 0])
def test_only_false_protects(desk: Desk, value: Any) -> None:
    desk.synced(PAINT)
    other = add_schema(desk.folder, "own/model", {**entry("own/model"), "catalog": value})

    assert desk.sync("--prune").code == 0
    assert not other.exists()


@pytest.mark.parametrize("prune", [(), ("--prune",)])
def test_a_dry_run_tells_the_same_and_changes_nothing(desk: Desk, prune: tuple[str, ...]) -> None:
    desk.synced(PAINT, SONG)
    desk.serve({**PAINT, "display_name": "New"}, FILM)
    before = files(desk.folder)

    dry = desk.sync("--dry-run", *prune)
    assert files(desk.folder) == before
    assert desk.touched() == []
    real = desk.sync(*prune)

    assert (dry.code, real.code) == (0, 0)
    assert dry.out == real.out
    assert dry.out.count("schemas") >= 3
    assert "dry run, nothing was written" in dry.err
    assert "dry run" not in real.err
    assert files(desk.folder) != before


def test_a_dry_run_makes_no_folder(desk: Desk) -> None:
    desk.serve(PAINT)

    assert desk.sync("--dry-run").code == 0
    assert list(desk.folder.iterdir()) == []


@pytest.mark.parametrize("option", ["--search", "--category", "--kind"])
@pytest.mark.parametrize("other", [("--prune",), ("--model", "acme/film")])
def test_a_selection_goes_with_neither_prune_nor_model(desk: Desk, option: str, other: tuple[str, ...]) -> None:
    sandbox = desk.serve(*THREE)

    done = desk.sync(option, "x", *other)

    assert done.code == 2
    assert option in done.err
    assert other[0] in done.err
    assert sandbox.requests == []
    assert list(desk.folder.iterdir()) == []


def test_models_are_named(desk: Desk) -> None:
    sandbox = desk.serve(*THREE)

    done = desk.sync("--model", "acme/film", "--model", "acme/paint", "--model", "acme/film")

    assert done.code == 0
    assert sorted(files(desk.schemas)) == ["acme/film.json", "acme/paint.json"]
    assert {request.path for request in sandbox.requests} == {"/v1/models/acme/film", "/v1/models/acme/paint"}


def test_a_named_model_that_is_gone_is_kept_unless_it_is_to_be_pruned(desk: Desk) -> None:
    desk.synced(*THREE)
    desk.serve(PAINT)

    kept = desk.sync("--model", "acme/film")
    assert kept.code == 0
    assert f"not in the catalog any more: {Path('schemas/acme/film.json')} (kept; --prune removes it)" in kept.out
    assert desk.file("acme/film").exists()

    pruned = desk.sync("--model", "acme/film", "--prune")
    assert pruned.code == 0
    assert sorted(files(desk.schemas)) == ["acme/paint.json", "other/song/make.json"]
    assert "song" not in kept.out + pruned.out


def test_a_named_model_that_nobody_knows_is_an_error_and_the_others_are_written(desk: Desk) -> None:
    desk.serve(*THREE)

    done = desk.sync("--model", "acme/nothing", "--model", "acme/film")

    assert done.code == 1
    assert "catalog: has no model acme/nothing, and there is no file of it" in done.err
    assert list(files(desk.schemas)) == ["acme/film.json"]


@pytest.mark.parametrize(
    ("option", "value", "chosen"),
    [
        ("--search", "PAINT", "acme/paint"),
        ("--category", "text-to-video", "acme/film"),
        ("--kind", "workflow", "acme/film"),
    ],
)
def test_models_are_selected_and_no_others_are_called_gone(desk: Desk, option: str, value: str, chosen: str) -> None:
    desk.serve(*THREE)
    other = add_schema(desk.folder, "old/one")

    done = desk.sync(option, value)

    assert done.code == 0
    assert sorted(files(desk.schemas)) == sorted([f"{chosen}.json", "old/one.json"])
    assert other.exists()
    assert "any more" not in done.out
    assert "0 gone" in done.err


def test_a_selection_that_finds_nothing_is_no_news(desk: Desk) -> None:
    desk.synced(*THREE)

    done = desk.sync("--search", "nothing like it")

    assert (done.code, done.out) == (0, "nothing has changed for callers\n")
    assert "any more" not in done.out
    assert desk.touched() == []


def test_an_empty_catalog_prunes_nothing(desk: Desk) -> None:
    desk.synced(*THREE)
    before = files(desk.schemas)
    desk.serve()

    done = desk.sync("--prune")

    assert done.code == 1
    assert "catalog: is empty; which models are gone is not known" in done.err
    assert "any more" not in done.out
    assert files(desk.schemas) == before


def test_a_catalog_with_a_nameless_entry_prunes_nothing(desk: Desk) -> None:
    desk.synced(*THREE)
    before = files(desk.schemas)
    nameless = {key: value for key, value in FILM.items() if key != "model_id"}
    sandbox = desk.serve(PAINT)
    sandbox.faults.append(listing(PAINT, nameless))

    done = desk.sync("--prune")

    assert done.code == 1
    assert "catalog: could not be read as a whole; which models are gone is not known" in done.err
    assert "any more" not in done.out
    assert files(desk.schemas) == before


def test_a_catalog_that_changes_under_the_reader_prunes_nothing(desk: Desk) -> None:
    desk.synced(PAINT)
    sandbox = desk.serve(*(entry(f"acme/m-{number:03}") for number in range(150)))
    sandbox.faults.extend([Fault("models", changes={"total": total}) for total in (160, 151, 151)] * 3)

    done = desk.sync("--prune")

    assert done.code == 1
    assert "catalog: could not be read as a whole; which models are gone is not known" in done.err
    assert desk.file("acme/paint").exists()


def test_a_catalog_that_settles_is_pruned_by(desk: Desk) -> None:
    desk.synced(PAINT)
    sandbox = desk.serve(*(entry(f"acme/m-{number:03}") for number in range(150)))
    sandbox.faults.append(Fault("models", changes={"total": 160}))

    assert desk.sync("--prune").code == 0
    assert not desk.file("acme/paint").exists()
    assert len(files(desk.schemas)) == 150


def test_of_two_models_with_one_import_path_the_later_gets_another(desk: Desk) -> None:
    desk.serve(*TWINS)

    done = desk.sync()

    assert done.code == 0
    assert "  wan-2-7/edit has the import path that it would have; so it is wan_2_7.edit_2" in done.out.splitlines()
    assert desk.entry("wan-2.7/edit") == {**TWINS[0], "python_path": "wan_2_7.edit_2"}
    assert desk.entry("wan-2-7/edit") == TWINS[1]
    assert desk.run("generate", "--package", "twins").code == 0
    assert (desk.folder / "generated/twins/models/wan_2_7/edit_2.py").exists()
    desk.age()
    again = desk.sync()
    assert (again.code, again.out, desk.touched()) == (0, "nothing has changed for callers\n", [])


def test_who_has_an_import_path_keeps_it(desk: Desk) -> None:
    desk.synced(TWINS[0])
    desk.serve(*TWINS)

    done = desk.sync()

    assert done.code == 0
    assert "wan-2.7/edit has the import path" in done.out
    assert desk.touched() == ["wan-2-7/edit"]
    assert desk.entry("wan-2-7/edit")["python_path"] == "wan_2_7.edit_2"
    assert (read(desk.schemas).problems, len(read(desk.schemas).modules)) == ([], 2)
    desk.serve(TWINS[0], {**TWINS[1], "display_name": "New"})
    assert desk.sync().code == 0
    assert desk.entry("wan-2-7/edit") == {**TWINS[1], "python_path": "wan_2_7.edit_2", "display_name": "New"}


@pytest.mark.parametrize(
    ("bad", "reported"),
    [
        ({"model_id": "acme/bad"}, "input_schema: is missing"),
        ({"model_id": "acme/bad", "input_schema": []}, "input_schema: is a list"),
        (entry("acme/bad", output_schema="x"), "output_schema: is a string"),
        (
            {"model_id": "acme/bad", "input_schema": {"properties": {"a": {"type": "wobble"}}}},
            "schemas/acme/bad.json: /input_schema/properties/a",
        ),
        (entry(".git/x"), "'.git/x' is no model id"),
        (entry("../x"), "could not be read as a whole"),
        (entry("a//b"), "could not be read as a whole"),
        (entry("a\\b"), "could not be read as a whole"),
        (entry("/tmp/x"), "could not be read as a whole"),
        (entry("acme/con"), "'acme/con' would be a device"),
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_used_is_reported_and_the_others_are_written(
    desk: Desk, bad: dict[str, Any], reported: str
) -> None:
    sandbox = desk.serve(PAINT)
    sandbox.faults.append(listing(bad, PAINT))
    outside = files(desk.folder.parent)

    done = desk.sync()

    assert done.code == 1
    assert reported in done.err
    assert list(files(desk.folder)) == ["schemas/acme/paint.json"]
    assert {key: content for key, content in files(desk.folder.parent).items() if key in outside} == outside
    assert len(files(desk.folder.parent)) == len(outside) + 1
    assert "acme/bad" not in done.out


def test_an_entry_that_cannot_be_used_leaves_the_file_as_it_is(desk: Desk) -> None:
    desk.synced(PAINT, FILM)
    before = files(desk.schemas)
    sandbox = desk.serve(PAINT)
    sandbox.faults.append(listing({"model_id": "acme/film"}, PAINT))

    done = desk.sync("--prune")

    assert done.code == 1
    assert "input_schema: is missing" in done.err
    assert files(desk.schemas) == before


def test_a_broken_file_is_reported_and_not_touched(desk: Desk) -> None:
    desk.serve(PAINT, FILM)
    broken = add_schema(desk.folder, "acme/film")
    broken.write_text('{"catalog": false,')
    desk.age()

    done = desk.sync("--prune")

    assert done.code == 1
    assert "schemas/acme/film.json:1:" in done.err
    assert broken.read_text() == '{"catalog": false,'
    assert desk.touched() == ["acme/paint"]


def test_a_fault_that_passes_is_not_noticed(desk: Desk) -> None:
    sandbox = desk.serve(*THREE)
    sandbox.faults.append(Fault("models", 503, headers=SOON))

    assert desk.sync().code == 0
    assert len(files(desk.schemas)) == 3
    assert len(sandbox.requests) == 2


def test_a_bad_token_is_refused_and_not_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.serve(PAINT)
    monkeypatch.setenv("RUNCOMFY_TOKEN", "wrong-and-secret")

    done = desk.sync()

    assert done.code == 1
    assert "HTTP 401" in done.err
    assert "RUNCOMFY_TOKEN" in done.err
    assert "Traceback" not in done.err
    assert "wrong-and-secret" not in done.out + done.err
    assert list(desk.folder.iterdir()) == []


def test_without_a_token_nothing_is_asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = desk.serve(PAINT)
    monkeypatch.delenv("RUNCOMFY_TOKEN")

    done = desk.sync()

    assert (done.code, done.out) == (1, "")
    assert "RUNCOMFY_TOKEN" in done.err
    assert sandbox.requests == []
    assert list(desk.folder.iterdir()) == []


def test_an_answer_without_models_is_an_error(desk: Desk) -> None:
    desk.synced(PAINT)
    sandbox = desk.serve(FILM)
    sandbox.faults.append(Fault("models", 200, b'{"data": []}'))

    done = desk.sync("--prune")

    assert (done.code, done.out) == (1, "")
    assert "the answer has no list of models" in done.err
    assert list(files(desk.schemas)) == ["acme/paint.json"]


def test_a_large_catalog_is_read_and_written_whole(desk: Desk) -> None:
    desk.serve(*(entry(f"vendor-{number % 50}/model-{number}") for number in range(5000)))

    done = desk.sync()

    assert done.code == 0
    assert len(files(desk.schemas)) == 5000
    assert "5,000 written" in done.err
    assert [line for line in done.err.splitlines() if line.startswith("read ")] == [
        f"read {number:,} of 5,000 models of the catalog" for number in range(100, 5001, 100)
    ]
    assert "read " not in done.out


@pytest.mark.skipif(not CATALOG.is_file(), reason="the live catalog's answer is not here")
def test_the_live_catalog_goes_over_the_schemas_of_the_repository(desk: Desk) -> None:
    live = json.loads(CATALOG.read_text(encoding="utf-8"))["models"]
    shutil.copytree(REPOSITORY / "schemas", desk.schemas)
    desk.serve(*live)

    done = desk.sync()

    assert (done.code, done.err.splitlines()[:-1]) == (0, ["read 76 of 76 models of the catalog"])
    assert read(desk.schemas).problems == []
    assert len(live) == 76
    for item in live:
        ours = desk.entry(item["model_id"])["input_schema"]
        assert json.dumps(ours, sort_keys=True) == json.dumps(item["input_schema"], sort_keys=True)


INTERRUPTED = """
import os, signal, sys
from runcomfy_codegen.cli import main

renames = 0

def hook(event, arguments):
    global renames
    if event == "os.rename":
        renames += 1
        if renames == 3:
            os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(hook)
sys.exit(main(["sync"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_an_interrupted_run_leaves_whole_files_and_the_next_goes_on(desk: Desk) -> None:
    entries = [entry(f"acme/model-{number}") for number in range(20)]
    desk.serve(*entries)

    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 130
    assert "interrupted" in done.stderr
    assert "Traceback" not in done.stderr
    left = files(desk.schemas)
    assert 2 <= len(left) < 20
    assert all(name.endswith(".json") and "/." not in name for name in left)
    assert all(json.loads(content) in entries for content in left.values())
    desk.age()
    assert desk.sync().code == 0
    assert len(files(desk.schemas)) == 20
    assert len(desk.touched()) == 20 - len(left)


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_a_run_that_is_interrupted_while_it_reads_writes_nothing(desk: Desk) -> None:
    sandbox = desk.serve(*(entry(f"acme/model-{number}") for number in range(150)))
    sandbox.faults.extend([Fault("models"), Fault("models", delay=60.0)])

    with subprocess.Popen(
        [sys.executable, "-m", "runcomfy_codegen", "sync"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while len(sandbox.requests) < 2 and process.poll() is None:
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[0] == "read 100 of 150 models of the catalog"
    assert "interrupted" in err
    assert list(desk.folder.iterdir()) == []


def test_two_runs_are_not_at_one_folder(desk: Desk) -> None:
    sandbox = desk.serve(PAINT)
    environment = {"RUNCOMFY_TOKEN": sandbox.token, "RUNCOMFY_MODEL_API_BASE": sandbox.base_url}

    with alone(Path("schemas")):
        done = codegen("sync", cwd=desk.folder, **environment)

    assert (done.returncode, done.stdout) == (1, "")
    assert "schemas: another run is writing to it" in done.stderr
    assert list(desk.folder.iterdir()) == []
    assert codegen("sync", cwd=desk.folder, **environment).returncode == 0


def _in_the_way_of_a_vendor(desk: Desk) -> Path:
    desk.schemas.mkdir()
    return desk.schemas / "acme"


def _in_the_way_of_all(desk: Desk) -> Path:
    return desk.schemas


@pytest.mark.parametrize("where", [_in_the_way_of_a_vendor, _in_the_way_of_all])
def test_a_file_in_the_way_of_a_folder_is_an_error(desk: Desk, where: Callable[[Desk], Path]) -> None:
    desk.serve(PAINT)
    path = where(desk)
    path.write_text("mine")

    done = desk.sync()

    assert done.code == 1
    assert os.path.relpath(path) in done.err
    assert "Traceback" not in done.err
    assert path.read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="makes symbolic links")
def test_nothing_is_written_through_a_link_that_leads_out(desk: Desk, tmp_path: Path) -> None:
    desk.serve(PAINT)
    outside = tmp_path / "outside"
    outside.mkdir()
    desk.schemas.mkdir()
    (desk.schemas / "acme").symlink_to(outside)

    done = desk.sync()

    assert done.code == 1
    assert "acme" in done.err
    assert list(outside.iterdir()) == []


def test_a_file_that_cannot_be_read_is_not_pruned(desk: Desk) -> None:
    desk.synced(PAINT, FILM)
    desk.file("acme/film").write_text('{"catalog": false,')
    desk.serve(PAINT)

    done = desk.sync("--prune")

    assert done.code == 1
    assert desk.file("acme/film").read_text() == '{"catalog": false,'
    assert "any more" not in done.out


def test_without_a_total_nothing_is_pruned(desk: Desk) -> None:
    desk.synced(*THREE)
    nameless = {key: value for key, value in FILM.items() if key != "model_id"}
    sandbox = desk.serve(PAINT)
    sandbox.faults.append(listing(PAINT, nameless, total=...))

    done = desk.sync("--prune")

    assert (done.code, desk.file("acme/film").exists(), desk.file("other/song/make").exists()) == (1, True, True)


def test_a_total_that_never_settles_prunes_nothing_though_it_fits_at_the_end(desk: Desk) -> None:
    desk.synced(PAINT)
    sandbox = desk.serve(*(entry(f"acme/m-{number:03}") for number in range(150)))
    sandbox.faults.extend([Fault("models", changes={"total": total}) for total in (160, 150)] * 3)

    done = desk.sync("--prune")

    assert (done.code, desk.file("acme/paint").exists()) == (1, True)


def test_an_entry_without_a_usable_id_is_told_of_a_selection_too(desk: Desk) -> None:
    sandbox = desk.serve(PAINT)
    sandbox.faults.append(listing({**FILM, "model_id": "../x"}, PAINT))

    done = desk.sync("--search", "paint")

    assert done.code == 1
    assert "catalog: could not be read as a whole" in done.err
    assert list(files(desk.schemas)) == ["acme/paint.json"]


def test_what_only_the_folder_can_say_is_not_the_catalogs_to_say(desk: Desk) -> None:
    rows = [entry(f"q/{name}", python_path="x.y", output_schema=None, catalog=False) for name in "ab"]
    desk.serve(*rows)
    desk.sync()
    mine = {**desk.entry("q/b"), "output_schema": {"output": {"type": "object", "properties": {}}}}
    desk.file("q/b").write_text(json.dumps(mine))
    desk.age()

    again = desk.sync()

    assert (again.code, desk.touched()) == (0, [])
    assert (desk.entry("q/a")["python_path"], mine["python_path"]) == ("x.y", "x.y_2")
    assert "catalog" not in mine
