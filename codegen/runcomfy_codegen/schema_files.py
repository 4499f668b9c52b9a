"""A folder of schema files and entries that are to go into it: what has to be written, and the writing."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .atomic import replace
from .errors import Problem, SchemaError
from .layout import ImportPath
from .literals import json_document
from .load import SchemaFile, find, parse_file
from .naming import import_path, valid_path
from .pipeline import understood_file
from .sources import Entry, same

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
            if model_id not in self.entries and os.path.lexists(self.file(model_id)):
                plan.problems.extend(self._in_the_way(model_id))
                continue
            known = self.entries.get(model_id)
            after = merged(known, entry)
            if known is not None and same(known, after):
                plan.unchanged.append(model_id)
                continue
            twin = taken.get(_path(model_id, after), model_id)
            if twin != model_id:
                after = _settled(after, taken)
            file = SchemaFile(model_id, self._source(model_id), json_document(after).encode())
            try:
                taken[understood_file(file).path] = model_id
            except SchemaError as error:
                plan.problems.extend(error.problems)
                continue
            plan.changes.append(FileChange(self.files.get(model_id), file, after, "" if twin == model_id else twin))
        return plan

    def file(self, model_id: str) -> Path:
        """Where the schema of a model belongs."""
        return self.path / f"{model_id}.json"

    def _in_the_way(self, model_id: str) -> list[Problem]:
        """Why a file that is there cannot be brought up to date: it could not be read, or it is not this model's."""
        path, source = self.file(model_id), self._source(model_id)
        if any(problem.file in (str(path), source) for problem in self.problems):
            return []
        reason = "is taken by this file system for that of another model, whose id differs in case"
        return [Problem(source, "", reason)]

    def _source(self, model_id: str) -> str:
        return f"{self.path.resolve().name}/{model_id}.json"

    def write(self, changes: Iterable[FileChange]) -> tuple[list[FileChange], list[Problem]]:
        """Write files, each whole or not at all: those that are written, and what keeps others from being it."""
        written: list[FileChange] = []
        problems: list[Problem] = []
        for change in changes:
            path = self.file(change.after.model_id)
            try:
                if not path.parent.resolve().is_relative_to(self.path.resolve()):
                    problems.append(Problem(str(path), "", "leads out of the folder, so it is not written"))
                    continue
                replace(path, change.after.content)
            except OSError as error:
                problems.append(Problem(str(error.filename or path), "", f"cannot be written: {error.strerror}"))
                continue
            written.append(change)
        return written, problems

    def remove(self, model_ids: Iterable[str]) -> list[Problem]:
        """Remove the files of models, and the folders that are empty without them; what keeps others from it."""
        problems: list[Problem] = []
        for model_id in model_ids:
            path = self.file(model_id)
            try:
                path.unlink()
                while path.parent != self.path and not any(path.parent.iterdir()):
                    path = path.parent
                    path.rmdir()
            except OSError as error:
                problems.append(Problem(str(path), "", f"cannot be removed: {error.strerror}"))
        return problems


def merged(known: Entry | None, entry: Entry) -> Entry:
    """A file's content with what an entry says: its keys win, all others stay, and so does the order.

    >>> merged({"python_path": "a.b", "input_schema": {"x": 1, "y": 2}}, {"input_schema": {"y": 2, "x": 3}})
    {'python_path': 'a.b', 'input_schema': {'x': 3, 'y': 2}}
    """
    if known is None:
        return _in_order(entry)
    new = {key: value for key, value in entry.items() if not _is_theirs(key, value, known)}
    both: Entry = _arranged({**known, **new}, known)
    return both if both.keys() == known.keys() else _in_order(both)


def _is_theirs(key: str, value: object, known: Entry) -> bool:
    """Whether a file keeps its own: import paths are what people import, and no output schema is none."""
    return (
        (key == "model_id" and key not in known)
        or (key == "python_path" and key in known)
        or (key == "output_schema" and value is None)
    )


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
