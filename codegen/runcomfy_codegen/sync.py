"""What the live catalog means for a folder of schema files."""

from dataclasses import dataclass

from .errors import Problem
from .fetch import Fetched
from .schema_files import FileChange, Folder
from .sources import checked

_CATALOG = "catalog"
"""How it is named in errors; and the key of a schema file that says, being false, that the file is not from there."""


@dataclass(frozen=True)
class Synced:
    """What is to be done."""

    changes: list[FileChange]
    unchanged: int
    gone: list[str]
    """The models that have a file and are in the catalog no more."""
    problems: list[Problem]


def synced(fetched: Fetched, folder: Folder) -> Synced:
    """Decide what to do; nothing is written."""
    # What only this folder can say is not the catalog's to say.
    rows = [{key: value for key, value in row.items() if key != _CATALOG} for row in fetched.rows]
    entries, problems = checked(rows, _CATALOG)
    plan = folder.plan(entries)
    gone, unknown = _gone(fetched, folder)
    return Synced(plan.changes, len(plan.unchanged), gone, [*problems, *plan.problems, *unknown])


def _gone(fetched: Fetched, folder: Folder) -> tuple[list[str], list[Problem]]:
    """The models that are in the catalog no more, and what keeps from knowing."""
    # What cannot be read may be somebody's own.
    ours = [model_id for model_id, entry in folder.entries.items() if entry.get(_CATALOG) is not False]
    strange = [model_id for model_id in fetched.missing if model_id not in folder.files]
    unknown = [Problem(_CATALOG, "", f"has no model {model_id}, and there is no file of it") for model_id in strange]
    if not fetched.is_complete:
        unknown.append(Problem(_CATALOG, "", "could not be read as a whole; which models are gone is not known"))
    if fetched.selection.is_all and not fetched.rows:
        unknown.append(Problem(_CATALOG, "", "is empty; which models are gone is not known"))
    if unknown or not fetched.selection.is_all:
        return [model_id for model_id in ours if model_id in fetched.missing], unknown
    listed = {row["model_id"] for row in fetched.rows}
    return [model_id for model_id in ours if model_id not in listed], []
