"""What is kept of a request or a result: everything but media, and of these the facts."""

import json
import re
from base64 import b64decode
from hashlib import sha256
from typing import Any

from ._body import FILE
from ._local_media import FileFacts

_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]{2048,}={0,2}\s*", re.ASCII)
"""So long a text without any punctuation is none."""


def without_media(value: Any) -> Any:
    """JSON with facts in the place of each file in it, as for a local file; None where it is no JSON."""
    try:
        return json.loads(json.dumps(_replaced(value), allow_nan=False))
    except (ValueError, RecursionError):  # an infinite number, which no request has; nested beyond measure
        return None


def _replaced(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item) for item in value]
    if not isinstance(value, str):
        return value
    if value[:5].lower() == "data:":
        head, _, data = value[5:].partition(",")
        return _facts(head.partition(";")[0], data)
    return _facts("", value) if _BASE64.fullmatch(value) else value


def _facts(media_type: str, data: str) -> dict[str, Any]:
    try:
        content = b64decode(data, validate=True)
    except ValueError:
        content = data.encode(errors="surrogatepass")
    return {FILE: FileFacts(sha256(content).hexdigest(), media_type, len(content), None)._asdict()}
