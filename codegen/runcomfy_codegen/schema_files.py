"""A folder of schema files and entries that are to go into it: what has to be written, and the writing."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .atomic import replace
from .errors import OutputError, Problem, SchemaError
from .layout import ImportPath
from .load import SchemaFile, find, parse_file
from .naming import import_path, valid_path
from .pipeline import understood_file
from .sources import Entry

_SCHEMAS = ("input_schema", "output_schema")


@dataclass(frozen=True)
class FileChange:
    """One schema file as it is, and as it is to be."""

    before: SchemaFile | None
    after: SchemaFile
    entry: Entry
    """What is in it then."""
    twin: str = ""
    """The model whose import path it would have had."""


@dataclass
class Plan:
    """What some entries mean for a folder."""

    changes: list[FileChange] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    """The ids of those that say what their files say."""
    problems: list[Problem] = field(default_factory=list)
    """What keeps entries from becoming files, and files from being read."""


class Folder:
    """The schema files of one folder, as they are."""

    def __init__(self, path: Path) -> None:
        files, self.problems = find(path) if path.exists() else ([], [])
        self.path = path
        self.files = {file.model_id: file for file in files}
        self.entries: dict[str, Entry] = {}
        for file in files:
            try:
                self.entries[file.model_id] = parse_file(file).entry
            except SchemaError as error:
                self.problems.extend(error.problems)

    def plan(self, entries: Iterable[Entry]) -> Plan:
        """Decide what to write; an entry that could not be generated from is a `Problem`, and its file stays."""
        plan = Plan(problems=list(self.problems))
        taken = {_path(model_id, entry): model_id for model_id, entry in self.entries.items()}
        for entry in sorted(entries, key=lambda entry: str(entry["model_id"])):
            model_id: str = entry["model_id"]
            before = self.files.get(model_id)
            if before is not None and model_id not in self.entries:
                continue  # it cannot be read, and who knows what else is in it
            known = self.entries.get(model_id)
            after = merged(known, entry)
            if known is not None and _same(known, after):
                plan.unchanged.append(model_id)
                continue
            twin = taken.get(_path(model_id, after), model_id)
            if twin != model_id:
                after = _settled(after, taken)
            file = SchemaFile(model_id, f"{self.path.resolve().name}/{model_id}.json", text_of(after).encode())
            try:
                taken[understood_file(file).path] = model_id
            except SchemaError as error:
                plan.problems.extend(error.problems)
                continue
            plan.changes.append(FileChange(before, file, after, "" if twin == model_id else twin))
        return plan

    def file(self, model_id: str) -> Path:
        """Where the schema of a model belongs."""
        return self.path / f"{model_id}.json"

    def write(self, change: FileChange) -> None:
        """Write one file, whole or not at all.

        Raises:
            OutputError: it cannot be written, or would be written elsewhere.
        """
        path = self.file(change.after.model_id)
        if not path.parent.resolve().is_relative_to(self.path.resolve()):
            raise OutputError(f"{path}: leads out of the folder, so it is not written")
        if change.before is None and path.exists():
            raise OutputError(f"{path}: this file system takes it for that of another model, whose id differs in case")
        try:
            replace(path, change.after.content)
        except OSError as error:
            raise OutputError(f"{error.filename}: {error.strerror}") from error

    def remove(self, model_id: str) -> None:
        """Remove the file of a model, and the folders that are empty without it."""
        path = self.file(model_id)
        try:
            path.unlink()
            for folder in path.parents:
                if folder == self.path or any(folder.iterdir()):
                    return
                folder.rmdir()
        except OSError as error:
            raise OutputError(f"{error.filename}: {error.strerror}") from error


def merged(known: Entry | None, entry: Entry) -> Entry:
    """A file's content with what an entry says: its keys win, all others stay, and so does the order.

    >>> merged({"python_path": "a.b", "input_schema": {"x": 1, "y": 2}}, {"input_schema": {"y": 2, "x": 3}})
    {'python_path': 'a.b', 'input_schema': {'x': 3, 'y': 2}}
    """
    if known is None:
        return _in_order(entry)
    new = {key: value for key, value in entry.items() if key != "model_id" or key in known}
    both: Entry = _arranged({**known, **new}, known)
    return both if both.keys() == known.keys() else _in_order(both)


def text_of(entry: Entry) -> str:
    """The text of a schema file."""
    return json.dumps(entry, indent=2, ensure_ascii=False) + "\n"


def _in_order(entry: Entry) -> Entry:
    """The short keys first, and the schemas where they do not hide them."""
    return dict(sorted(entry.items(), key=lambda item: _SCHEMAS.index(item[0]) if item[0] in _SCHEMAS else -1))


def _arranged(new: Any, old: Any) -> Any:
    """The same value, with the keys of its objects in the order that they had."""
    if isinstance(new, dict) and isinstance(old, dict):
        keys = [*(key for key in old if key in new), *(key for key in new if key not in old)]
        return {key: _arranged(new[key], old.get(key)) for key in keys}
    if isinstance(new, list) and isinstance(old, list):
        return [_arranged(part, old[index] if index < len(old) else None) for index, part in enumerate(new)]
    return new


def _same(one: Entry, other: Entry) -> bool:
    """Whether two entries are the same JSON; to Python, 1 and 1.0 and True are one."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _path(model_id: str, entry: Entry) -> ImportPath:
    return valid_path(entry.get("python_path")) or import_path(model_id)


def _settled(entry: Entry, taken: dict[ImportPath, str]) -> Entry:
    """An entry with an import path of its own: the first that is free with a number behind it."""
    *package, name = _path(entry["model_id"], entry)
    number = 2
    while (*package, f"{name.rstrip('_')}_{number}") in taken:
        number += 1
    path = ".".join((*package, f"{name.rstrip('_')}_{number}"))
    return _in_order({**entry, "python_path": path})
