"""What is compared: a folder of schemas, one file, or a folder as it stands in a git revision."""

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

from .errors import OutputError, Problem, SchemaError
from .load import MAX_BYTES, SchemaFile, find
from .sources import entries, read


class Side(NamedTuple):
    """One of the two that are compared."""

    files: dict[str, SchemaFile]
    problems: list[Problem]
    is_whole: bool
    """Whether it has all models, as a folder; or only some, as a file."""

    def less_unread(self, other: "Side") -> "Side":
        """Without the models that the other side has, but cannot be read there."""
        unread = [problem.file.partition("/")[2].removesuffix(".json") for problem in other.problems]
        files = {
            key: file
            for key, file in self.files.items()
            if key in other.files or not any(not part or f"{key}/".startswith(f"{part}/") for part in unread)
        }
        return self._replace(files=files)


def sides(old: str, new: str, schemas: Path) -> tuple[Side, Side]:
    """Both sides; where one is a file, only its models count on the other.

    Raises:
        OutputError: one is no folder, no file and no revision, or git cannot read it.
        SchemaError: a file cannot be used.
    """
    after = _side(new, schemas, None)
    only = next(iter(after.files)) if len(after.files) == 1 and not after.is_whole else None
    before = _side(old, schemas, only)
    if before.is_whole and not after.is_whole:
        before = before._replace(files={key: file for key, file in before.files.items() if key in after.files})
    if after.is_whole and not before.is_whole:
        after = after._replace(files={key: file for key, file in after.files.items() if key in before.files})
    return before.less_unread(after), after.less_unread(before)


def _side(name: str, schemas: Path, model_id: str | None) -> Side:
    path = Path(name)
    if path.is_dir():
        files, problems = find(path)
        return Side({file.model_id: file for file in files}, problems, is_whole=True)
    if path.exists():
        return _of_file(path, model_id or _id_from(path, schemas))
    revision, colon, folder = name.partition(":")
    return _of_revision(revision, Path(folder) if colon else None, schemas, name)


def _of_file(path: Path, model_id: str) -> Side:
    """A file with one model or more; an entry that does not say its id has the one given."""
    name, content = read(str(path))
    try:
        found, problems = entries(name, content)
    except SchemaError:
        found, problems = entries(name, content, model_id)
    files = {entry["model_id"]: SchemaFile(entry["model_id"], name, json.dumps(entry).encode()) for entry in found}
    return Side(files, problems, is_whole=False)


def _id_from(path: Path, schemas: Path) -> str:
    place, folder = path.resolve(), schemas.resolve()
    inside = place.relative_to(folder).as_posix() if place.is_relative_to(folder) else place.name
    return inside.removesuffix(".json")


# Git


def _of_revision(revision: str, folder: Path | None, schemas: Path, name: str) -> Side:
    """A folder as git has it: the one given, from the root of the repository, or that of the schemas."""
    _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", meant=name)
    top = Path(_git("rev-parse", "--show-toplevel", meant=name).decode().rstrip("\n")).resolve()
    place = schemas.resolve() if folder is None else Path(top, folder)
    if not place.is_relative_to(top):
        raise OutputError(f"{place}: is not in the git repository {top}, so it has no revisions there")
    inside = place.relative_to(top).as_posix()
    listed = _git("ls-tree", "-r", "-z", "--full-tree", revision, "--", f"{inside}/", meant=name).decode()
    files: dict[str, SchemaFile] = {}
    problems: list[Problem] = []
    blobs = _schema_files(listed, inside)
    for blob, content in zip(blobs, _contents([blob.name for blob in blobs], name), strict=True):
        source = f"{place.name}/{blob.path}"
        if blob.is_link or len(content) > MAX_BYTES:
            reason = "is a symbolic link" if blob.is_link else f"is larger than {MAX_BYTES} bytes"
            problems.append(Problem(source, "", f"{reason} in {revision}"))
        else:
            model_id = blob.path.removesuffix(".json")
            files[model_id] = SchemaFile(model_id, source, content)
    if not files and not problems:
        raise OutputError(f"{name}: has no schema files in {inside}")
    return Side(files, problems, is_whole=True)


class _Blob(NamedTuple):
    """One file as git lists it."""

    name: str
    path: str
    """Inside the folder."""
    is_link: bool


def _schema_files(listed: str, inside: str) -> list[_Blob]:
    found = []
    for line in filter(None, listed.split("\0")):
        facts, _, path = line.partition("\t")
        mode, kind, name = facts.split()
        path = path.removeprefix("" if inside == "." else f"{inside}/")
        hidden = any(part.startswith(".") for part in path.split("/"))
        if kind == "blob" and path.endswith(".json") and not hidden:
            found.append(_Blob(name, path, mode == "120000"))
    return found


def _contents(blobs: list[str], name: str) -> list[bytes]:
    """The contents of blobs, read in one go."""
    answer = _git("cat-file", "--batch", meant=name, given="\n".join(blobs).encode())
    contents = []
    for _ in blobs:
        head, _, answer = answer.partition(b"\n")
        size = int(head.split()[2])
        contents.append(answer[:size])
        answer = answer[size + 1 :]
    return contents


def _git(*arguments: str, meant: str, given: bytes = b"") -> bytes:
    nothing = f"{meant}: is no folder, no file and no git revision here"
    try:
        done = subprocess.run(["git", *arguments], input=given, capture_output=True, check=False)
    except OSError:
        raise OutputError(f"{nothing} (git is not installed)") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise OutputError(f"{nothing} ({said})" if said else nothing)
    return done.stdout
