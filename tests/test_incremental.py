"""A run makes anew only what has changed, and gives what a clean generation gives."""

import json
import os
import shutil
import subprocess
import sys
from errno import EFBIG
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from command import SCHEMA, add_schema, codegen, files
from hypothesis import given, settings
from hypothesis import strategies as st
from runcomfy_codegen.atomic import alone
from runcomfy_codegen.cli import main
from runcomfy_codegen.errors import GenerationError
from runcomfy_codegen.field_types import Sought, field_types
from runcomfy_codegen.fingerprints import digest
from runcomfy_codegen.pipeline import build, read
from runcomfy_codegen.templates import Templates, shipped

# Twins, a package that is a model as well, and neighbours.
IDS = ("acme/video", "acme/video/extend", "acme/vi.deo", "acme/vi-deo", "other/model", "other/4k")
TEXTS = ("text", "prompt", "lora-scale", "class")

ACTIONS = ("edit", "edit", "move", "break", "settle", "remove", "upgrade")
MISHAPS = ("change output", "lose output", "lose cache", "cut cache")
STEPS = st.tuples(
    st.sampled_from((*ACTIONS, *MISHAPS)), st.sampled_from(IDS), st.sampled_from(TEXTS), st.integers(0, 1000)
)
Step = tuple[str, str, str, int]


def clean(schemas: Path, templates: Templates, package: str = "client") -> dict[str, bytes]:
    """What a generation gives that knows nothing of earlier ones; nothing where it is refused."""
    try:
        tree = build(read(schemas), package, keep_going=True, templates=templates)
    except GenerationError:
        return {}
    return {path: text.encode() for path, text in tree.items()}


def take(step: Step, folder: Path) -> None:
    """Change something before the next run."""
    action, model_id, text, number = step
    schema = folder / f"schemas/{model_id}.json"
    made = sorted(path for path in (folder / "generated").rglob("*.*") if path.is_file())
    match action:
        case "edit":
            add_schema(folder, model_id, {"input_schema": {"properties": {text: {"type": "string"}}}})
        case "move" if schema.exists():
            add_schema(folder, f"{model_id}-2", json.loads(schema.read_bytes()))
            schema.unlink()
        case "break":
            add_schema(folder, model_id, {"input_schema": {"properties": {text: {"type": "tuple"}}}})
        case "settle" if schema.exists():
            add_schema(folder, model_id, {**json.loads(schema.read_bytes()), "python_path": f"settled.m{number}"})
        case "remove":
            schema.unlink(missing_ok=True)
        case "change output" if made:
            victim = made[number % len(made)]
            victim.write_bytes(victim.read_bytes().replace(b"str", b"int"))
        case "lose output" if made:
            made[number % len(made)].unlink()
        case "lose cache":
            shutil.rmtree(folder / "generated/.cache", ignore_errors=True)
        case "cut cache" if (cache := folder / "generated/.cache/client.json").exists():
            content = cache.read_bytes()
            cache.write_bytes(content[: number % len(content)])
        case "upgrade":
            template = (shipped() / "model.py.jinja").read_bytes()
            (folder / "templates/model.py.jinja").write_bytes(template.replace(b"Run ``", f"{text}: ``".encode()))


@settings(max_examples=25)
@given(st.lists(STEPS, min_size=2, max_size=8))
def test_a_run_gives_what_a_clean_generation_gives(steps: list[Step]) -> None:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "templates").mkdir()
        (folder / "templates/VERSION").write_text("1\n")
        arguments = [f"--schemas={folder}/schemas", f"--out={folder}/generated", f"--templates={folder}/templates"]
        for step in steps:
            take(step, folder)
            before = files(folder / "generated")
            expected = clean(folder / "schemas", Templates(folder / "templates"))

            main(["generate", "--keep-going", "--package", "client", *arguments])

            assert files(folder / "generated") == (expected or before)


def test_one_changed_model_is_made_anew_and_no_other(tmp_path: Path) -> None:
    for number in range(20):
        add_schema(tmp_path, f"acme/model-{number}")
    first = codegen("generate", cwd=tmp_path)
    add_schema(tmp_path, "acme/model-7", {"input_schema": {"properties": {"other": {"type": "integer"}}}})

    check = codegen("check", cwd=tmp_path)
    second = codegen("generate", cwd=tmp_path)

    assert first.stdout.endswith("; 20 of 20 models made anew\n")
    assert [line for line in check.stdout.splitlines() if line.startswith("+++")] == [
        "+++ b/runcomfy/_schemas/acme/model_7.json",
        "+++ b/runcomfy/models/acme/model_7.py",
    ]
    assert second.stdout.endswith(" files, 2 changed; 1 of 20 models made anew\n")


def test_one_changed_model_rewrites_its_own_files_and_no_other(tmp_path: Path) -> None:
    for number in range(3):
        add_schema(tmp_path, f"acme/model-{number}")
    codegen("generate", cwd=tmp_path)
    inodes = {path: path.stat().st_ino for path in (tmp_path / "generated/runcomfy").rglob("*.*")}
    add_schema(tmp_path, "acme/model-1", {**SCHEMA, "description": "Another."})

    codegen("generate", cwd=tmp_path)

    root = tmp_path / "generated/runcomfy"
    assert sorted(path.relative_to(root).as_posix() for path in inodes if path.stat().st_ino != inodes[path]) == [
        "_schemas/acme/model_1.json",
        "models/acme/model_1.py",
    ]


def loaded(folder: Path, program: str) -> list[str]:
    """Those of the slow modules that a program of its own has loaded in the end."""
    slow = "asyncio concurrent.futures datamodel_code_generator difflib email httpx importlib.metadata inflect jinja2"
    slow += " logging multiprocessing pydantic ruff runcomfy socket subprocess watchfiles zipfile"
    program = f"""
import sys
from runcomfy_codegen.cli import main
{program}
print(*(name for name in {slow.split()} if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()[-1].split()


def test_where_nothing_has_changed_nothing_is_loaded_that_makes_models(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    codegen("generate", cwd=tmp_path)

    assert loaded(tmp_path, "assert (main(['check']), main(['generate'])) == (0, 0)") == []


def test_a_model_whose_fields_have_known_types_needs_no_datamodel_code_generator(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    codegen("generate", cwd=tmp_path)
    types = tmp_path / "generated/.cache/runcomfy.types.json"
    generate = "assert main(['generate']) == 0"

    add_schema(tmp_path, "acme/model", {**SCHEMA, "description": "Another."})
    assert {"datamodel_code_generator", "jinja2"} & set(loaded(tmp_path, generate)) == {"jinja2"}

    add_schema(tmp_path, "acme/model", {"input_schema": {"properties": {"text": {"type": "string", "minLength": 2}}}})
    assert "datamodel_code_generator" in loaded(tmp_path, generate)

    for content in (b"", types.read_bytes().replace(b"Str", b"Int")):
        types.write_bytes(content)
        add_schema(tmp_path, "acme/other", {**SCHEMA, "description": str(len(content))})
        assert "datamodel_code_generator" in loaded(tmp_path, generate)
    assert codegen("check", cwd=tmp_path).returncode == 0
    shutil.rmtree(tmp_path / "generated/.cache")
    assert codegen("check", cwd=tmp_path).returncode == 0


def test_where_nothing_has_changed_no_file_is_read_but_the_cache(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    own_templates = tmp_path / "templates"
    own_templates.mkdir()
    (own_templates / "VERSION").write_text("1")
    # What was written a moment ago is read once more: it could be written again and look the same.
    program = """
import sys
from pathlib import Path
from runcomfy_codegen.cli import main
from runcomfy_codegen.templates import shipped
read = []
folders = (Path("schemas").resolve(), Path("generated/runcomfy").resolve(), shipped() / "runcomfy")
def note(event, arguments):
    if event == "open" and str(arguments[0]).startswith(tuple(map(str, folders))):
        read.append(arguments[0])
main(["generate", "--templates", "templates"])
sys.addaudithook(note)
for run in range(1000):
    read.clear()
    main(["generate", "--templates", "templates"])
    if not read:
        break
print(len(read), main(["check", "--templates", "templates"]), len(read))
"""

    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0 0 0"


@pytest.mark.parametrize("command", ["check", "generate"])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_change_that_leaves_size_and_time_alone_is_seen(tmp_path: Path, command: str, replaced: bool) -> None:
    schema = add_schema(tmp_path, "acme/model", {**SCHEMA, "description": "One."})
    codegen("generate", cwd=tmp_path)
    codegen("generate", cwd=tmp_path)
    module = tmp_path / "generated/runcomfy/models/acme/model.py"
    runtime = tmp_path / "generated/runcomfy/_version.py"
    runtime = runtime if runtime.exists() else tmp_path / "generated/runcomfy/__init__.py"

    for file in (module, runtime, schema):
        before = file.read_bytes()
        change_unseen(file, before.replace(b"One.", b"Two.").replace(b"import", b"imp0rt"), replaced=replaced)
        assert file.read_bytes() != before

        done = codegen(command, cwd=tmp_path)

        if command == "check":
            assert done.returncode == 1
            change_unseen(file, before, replaced=replaced)
        elif file is schema:
            assert b"Two." in module.read_bytes()
        else:
            assert file.read_bytes() == before


def change_unseen(file: Path, content: bytes, *, replaced: bool) -> None:
    """Give a file another content of the same size, and its old times."""
    status = file.stat()
    assert len(content) == status.st_size
    if replaced:
        file.with_name(".new").write_bytes(content)
        file.with_name(".new").replace(file)
    else:
        file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_a_killed_run_has_left_is_removed(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    left = tmp_path / "generated/.cache/runcomfy.stage/batch0/runcomfy/0.py"
    left.parent.mkdir(parents=True)
    left.write_text("class")

    assert codegen("generate", cwd=tmp_path).returncode == 0
    assert sorted(path.name for path in (tmp_path / "generated/.cache").iterdir()) == [
        ".gitignore",
        "runcomfy.json",
        "runcomfy.types.json",
    ]


def test_what_was_left_is_removed_where_nothing_is_to_be_made(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    codegen("generate", cwd=tmp_path)
    left = tmp_path / "generated/.cache/runcomfy.stage/batch0"
    left.mkdir(parents=True)

    assert codegen("check", cwd=tmp_path).returncode == 0
    assert left.exists()
    assert codegen("generate", cwd=tmp_path).stdout.endswith(" 0 changed; 0 of 1 model made anew\n")
    assert not left.parent.exists()


def test_ctrl_c_while_the_stage_is_removed_leaves_nothing_of_it(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    program = """
import signal
import sys
from runcomfy_codegen.cli import main
def interrupt(event, arguments):
    if event == "shutil.rmtree":
        signal.raise_signal(signal.SIGINT)
sys.addaudithook(interrupt)
print(main(["check"]))
"""

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert (done.stdout, list(temporary.iterdir())) == ("130\n", [])
    assert done.stderr == "interrupted; every file is whole, and the same command goes on\n"


EDITED_WHILE_READ = """
import sys
from pathlib import Path
from runcomfy_codegen.cli import main
schema = Path("schemas/acme/model.json").resolve()
seen = []
def edit(event, arguments):
    if event == {event!r} and str(arguments[0]).endswith({path!r}) and len(seen) < 2:
        seen.append(arguments)
        if len(seen) == 2:
            schema.write_text({text!r})
sys.addaudithook(edit)
print(main(["generate"]), len(seen))
"""


def edited_while_read(
    folder: Path, event: str, path: str, text: str, program: str = EDITED_WHILE_READ
) -> subprocess.CompletedProcess[str]:
    """Generate, while the schema is edited as soon as something happens for the second time."""
    program = program.format(event=event, path=path, text=text)
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, encoding="utf-8", check=False
    )


def test_a_schema_that_was_edited_while_it_was_read_is_taken_for_what_was_read(tmp_path: Path) -> None:
    schema = add_schema(tmp_path, "acme/model", {**SCHEMA, "description": "One."})
    before = schema.read_bytes()
    two = json.dumps({**SCHEMA, "description": "Two."})

    # It is opened to be hashed, and again to be read.
    done = edited_while_read(tmp_path, "open", "acme/model.json", two)
    module = tmp_path / "generated/runcomfy/models/acme/model.py"
    assert (done.stdout.splitlines()[-1], b"Two." in module.read_bytes()) == ("0 2", True)
    schema.write_bytes(before)

    assert codegen("check", cwd=tmp_path).returncode == 1
    assert codegen("generate", cwd=tmp_path).returncode == 0
    assert files(tmp_path / "generated") == clean(tmp_path / "schemas", Templates(), "runcomfy")


def test_a_runtime_file_that_was_edited_while_it_was_read_is_taken_for_what_was_read(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    own = tmp_path / "templates/runcomfy/own.py"
    own.parent.mkdir(parents=True)
    (tmp_path / "templates/VERSION").write_text("1")
    own.write_text("X = 1")
    program = EDITED_WHILE_READ.replace("schemas/acme/model.json", "templates/runcomfy/own.py")
    program = program.replace('["generate"]', '["generate", "--templates", "templates"]')
    made = tmp_path / "generated/runcomfy/own.py"

    edited_while_read(tmp_path, "open", "templates/runcomfy/own.py", "X = 2", program)
    assert made.read_text().endswith("X = 2")
    own.write_text("X = 1")

    assert codegen("generate", "--templates", "templates", cwd=tmp_path).returncode == 0
    assert made.read_text().endswith("X = 1")


@pytest.mark.parametrize("text", ["{}", json.dumps({**SCHEMA, "python_path": "acme.other"})])
def test_a_known_schema_that_is_edited_while_its_files_are_made_again_is_told(tmp_path: Path, text: str) -> None:
    add_schema(tmp_path, "acme/model")
    codegen("generate", cwd=tmp_path)
    (tmp_path / "generated/runcomfy/models/acme/model.py").unlink()

    # The templates are listed to tell the tools, and again when all schemas are known.
    done = edited_while_read(tmp_path, "os.scandir", "templates", text)

    assert done.stdout == "1 2\n"
    assert done.stderr.startswith("schemas/acme/model.json: ")
    assert done.stderr.endswith("\nnothing was written\n")
    add_schema(tmp_path, "acme/model")
    assert codegen("generate", cwd=tmp_path).returncode == 0
    assert files(tmp_path / "generated") == clean(tmp_path / "schemas", Templates(), "runcomfy")


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit for the size of a file")
def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    program = """
import resource
from runcomfy_codegen.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # it stands for the disk
print(main(["generate"]))
"""

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )

    assert (done.stdout, done.stderr) == ("1\n", f"generated/.cache/runcomfy.stage: {os.strerror(EFBIG)}\n")
    assert not (tmp_path / "generated").exists()


MEMORY = Path("/dev/shm")


@pytest.mark.skipif(not MEMORY.is_dir(), reason="has no second file system that is everywhere the same")
def test_a_package_may_be_on_another_file_system_than_its_cache(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    with TemporaryDirectory(dir=MEMORY) as elsewhere:
        (tmp_path / "generated").mkdir()
        (tmp_path / "generated/runcomfy").symlink_to(elsewhere)

        assert codegen("generate", cwd=tmp_path).returncode == 0
        assert codegen("check", cwd=tmp_path).returncode == 0
        assert (Path(elsewhere) / "models/acme/model.py").exists()


def test_a_field_that_has_no_type_fails_by_itself() -> None:
    fine = [Sought({"type": "string", "minLength": number}, True, True) for number in range(3)]
    wrong = Sought({"type": {"no": "type"}}, True, True)
    with pytest.raises(Exception, match="type") as alone_:
        field_types([wrong])

    with pytest.raises(type(alone_.value), match="type") as caught:
        field_types([*fine[:2], wrong, fine[2]])

    assert str(caught.value) == str(alone_.value)
    assert [found.text for found in field_types(fine)] == [
        "Annotated[StrictStr, Field(min_length=0)]",
        "Annotated[StrictStr, Field(min_length=1)]",
        "Annotated[StrictStr, Field(min_length=2)]",
    ]


@pytest.mark.parametrize("content", [b"", b"{}", b"0\n{}", b"\xff\n", None])
def test_a_damaged_cache_is_noticed_and_made_anew(tmp_path: Path, content: bytes | None) -> None:
    add_schema(tmp_path, "acme/model")
    codegen("generate", cwd=tmp_path)
    cache = tmp_path / "generated/.cache/runcomfy.json"
    if content is None:
        content = cache.read_bytes().replace(b"acme", b"emca")
    cache.write_bytes(content)

    damaged = codegen("generate", cwd=tmp_path)
    again = codegen("generate", cwd=tmp_path)

    assert (damaged.returncode, damaged.stderr) == (
        0,
        "generated/.cache: is not as it was stored; made everything anew\n",
    )
    assert damaged.stdout.endswith(" 0 changed; 1 of 1 model made anew\n")
    assert (again.stderr, again.stdout.endswith(" 0 changed; 0 of 1 model made anew\n")) == ("", True)


def test_the_cache_of_another_version_is_no_damage(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    codegen("generate", cwd=tmp_path)
    body = json.dumps({"tools": "", "paths": {}, "files": {}}).encode()
    (tmp_path / "generated/.cache/runcomfy.json").write_bytes(digest(body).encode() + b"\n" + body)

    done = codegen("generate", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(" 0 changed; 1 of 1 model made anew\n")


def test_the_cache_ignores_itself_in_git_and_can_be_deleted(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    codegen("generate", cwd=tmp_path)
    status = ["git", "status", "--porcelain", "--untracked-files=all", "generated/.cache"]

    assert subprocess.run(status, cwd=tmp_path, capture_output=True, check=True).stdout == b""
    shutil.rmtree(tmp_path / "generated/.cache")
    assert codegen("check", cwd=tmp_path).returncode == 0
    assert not (tmp_path / "generated/.cache").exists()


def test_a_cache_that_cannot_be_kept_is_no_reason_to_fail(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated/.cache").write_text("in the way")

    done = codegen("generate", cwd=tmp_path)

    assert done.returncode == 0
    assert "generated/.cache" in done.stderr
    assert codegen("check", cwd=tmp_path).returncode == 0


def test_other_tools_make_everything_anew(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    codegen("generate", cwd=tmp_path)
    upgraded = tmp_path / "site/ruff-99.0.0.dist-info"
    upgraded.mkdir(parents=True)
    (upgraded / "METADATA").write_text("Metadata-Version: 2.1\nName: ruff\nVersion: 99.0.0\n")

    done = codegen("generate", cwd=tmp_path, PYTHONPATH=str(tmp_path / "site"))

    assert done.stdout.endswith(" 0 changed; 1 of 1 model made anew\n")


def test_an_upgrade_is_seen_beside_what_an_earlier_one_has_left(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    for left in ("0.0.1", "99.0.0"):  # whichever of them is listed first
        (tmp_path / f"site/ruff-{left}.dist-info").mkdir(parents=True)
    site = str(tmp_path / "site")
    codegen("generate", cwd=tmp_path, PYTHONPATH=site)
    (tmp_path / "site/ruff-1.0.0.dist-info").mkdir()
    first = codegen("generate", cwd=tmp_path, PYTHONPATH=site)
    (tmp_path / "site/ruff-1.0.0.dist-info").rename(tmp_path / "site/ruff-2.0.0.dist-info")

    done = codegen("generate", cwd=tmp_path, PYTHONPATH=site)

    for run in (first, done):
        assert run.stdout.endswith(" 0 changed; 1 of 1 model made anew\n")


def test_two_runs_at_once_do_not_mix(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/model")
    with alone(tmp_path / "generated/runcomfy"):
        done = codegen("generate", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "generated/runcomfy: another run is writing to it; try again when it has ended\n"
    assert codegen("generate", cwd=tmp_path).returncode == 0
