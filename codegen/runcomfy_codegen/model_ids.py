"""Model ids that come from elsewhere and have to name files here."""

import re

_SEGMENT = re.compile("[A-Za-z0-9_][A-Za-z0-9_.-]*(?<![.])")
_LONGEST = 200
_DEVICE = re.compile(r"(aux|con|nul|prn|com[1-9]|lpt[1-9])(\..*)?", re.IGNORECASE)


def problem_of(model_id: str) -> str | None:
    """What keeps an id from naming a schema file, if anything.

    Stricter than the API may be: an id must lead to a file inside the folder on every system, and not to a hidden one.
    """
    segments = model_id.split("/")
    if len(model_id) > _LONGEST:
        return f"is longer than {_LONGEST} characters"
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        return "is no model id: letters, digits, '.', '_' and '-', with '/' between its parts"
    if any(segment.lower().endswith(".json") for segment in segments[:-1]):
        return "has a part that would be a folder named like a schema file"
    if any(_DEVICE.fullmatch(segment) for segment in segments):
        return "would be a device on some systems, not a file"
    return None
