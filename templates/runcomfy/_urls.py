"""The addresses of files in an output."""

import re

_ADDRESS = re.compile(r"https?://|data:[^,\s]*,", re.ASCII | re.IGNORECASE)


def media_urls(output: object) -> list[str]:
    """Every http, https and data URL in an output, however deep, in the order of the document and each once."""
    found: dict[str, None] = {}
    ahead = [output]  # a list of what is still to be read, last first, since a document may be nested without measure
    while ahead:
        value = ahead.pop()
        if isinstance(value, str) and _ADDRESS.match(value):
            found[value] = None
        elif isinstance(value, dict):
            ahead += reversed(value.values())
        elif isinstance(value, list):
            ahead += reversed(value)
    return list(found)
