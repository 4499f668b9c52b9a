"""``$ref``: where in the same document it leads. It never leads out of it: no file is read, no address is asked."""

import re
from typing import Any
from urllib.parse import unquote

from .errors import Place, Report


def resolve(
    reference: object, entry: dict[str, Any], root_at: Place, at: Place, report: Report
) -> tuple[object, Place]:
    """The schema that is meant, and where it stands.

    A reference starts at the root of its schema; one that leads nowhere there may start at what that stands in, up to
    the root of the file.
    """
    if not isinstance(reference, str) or not reference.startswith("#"):
        report.fail(at, f"is {reference!r}; only references inside the same document (#/…) are followed")
    first, *steps = (unquote(step).replace("~1", "/").replace("~0", "~") for step in reference[1:].split("/"))
    places = ((*root_at[:depth], *steps) for depth in range(len(root_at), -1, -1) if not first)
    found = next((place for place in places if _follow(entry, place) is not None), None)
    if found is None:
        report.fail(at, f"is {reference!r}, which is not in this document")
    return _follow(entry, found), found


def _follow(document: Any, steps: Place) -> object:
    for step in steps:
        if isinstance(document, list) and re.fullmatch("[0-9]{1,6}", str(step)) and int(step) < len(document):
            document = document[int(step)]
        elif isinstance(document, dict) and step in document:
            document = document[step]
        else:
            return None
    return document
