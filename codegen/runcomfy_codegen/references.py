"""``$ref``: where in the same document it leads. It never leads out of it: no file is read, no address is asked."""

import re
from typing import Any
from urllib.parse import unquote

from .errors import Place


def resolve(reference: object, entry: dict[str, Any], root_at: Place) -> tuple[object, Place] | None:
    """The schema that is meant, and where it stands; None for what is not in the document.

    A reference starts at the root of its schema; one that leads nowhere there may start at what that stands in, up to
    the root of the file.
    """
    if not isinstance(reference, str) or not re.match("#(/|$)", reference):
        return None
    steps = [unquote(step).replace("~1", "/").replace("~0", "~") for step in reference[1:].split("/")[1:]]
    for depth in range(len(root_at), -1, -1):
        place = (*root_at[:depth], *steps)
        if (found := _at(entry, place)) is not None:
            return found, place
    return None


def definition_name(place: Place) -> str:
    """What a definition is called.

    >>> definition_name(("$defs", "Lora")), definition_name(("properties", "lora", "items"))
    ('Lora', 'lora')
    """
    named = [step for step in place if isinstance(step, str) and not step.isdecimal() and step not in _UNNAMED]
    return named[-1] if named else ""


_UNNAMED = {"items", "prefixItems", "properties", "additionalProperties", "allOf", "anyOf", "oneOf", "$defs"}


def _at(document: Any, steps: Place) -> object:
    for step in steps:
        if isinstance(document, list) and re.fullmatch("[0-9]{1,6}", str(step)) and int(step) < len(document):
            document = document[int(step)]
        elif isinstance(document, dict) and step in document:
            document = document[step]
        else:
            return None
    return document
