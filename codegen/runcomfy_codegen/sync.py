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
    entries, problems = checked(fetched.rows, _CATALOG)
    plan = folder.plan(entries)
    gone, unknown = _gone(fetched, folder)
    return Synced(plan.changes, len(plan.unchanged), gone, [*problems, *plan.problems, *unknown])


def _gone(fetched: Fetched, folder: Folder) -> tuple[list[str], list[Problem]]:
    """The models that are in the catalog no more, and what keeps from knowing."""
    ours = [model_id for model_id in folder.files if folder.entries.get(model_id, {}).get(_CATALOG) is not False]
    strange = [model_id for model_id in fetched.missing if model_id not in folder.files]
    unknown = [Problem(_CATALOG, "", f"has no model {model_id}, and there is no file of it") for model_id in strange]
    if not fetched.selection.is_all:
        return [model_id for model_id in ours if model_id in fetched.missing], unknown
    if not (fetched.is_complete and fetched.rows):
        reason = "could not be read as a whole" if fetched.rows else "is empty"
        return [], [Problem(_CATALOG, "", f"{reason}; which models are gone is not known")]
    listed = {row.get("model_id") for row in fetched.rows if isinstance(row, dict)}
    return [model_id for model_id in ours if model_id not in listed], []
