"""How outputs and jobs show themselves in a notebook: as HTML in which every text is escaped and nothing runs.

Nothing is asked of the API to show something, and a notebook's library is not needed. What an output holds is somebody
else's: however much or odd it is, what is shown stays small, and only what can be nothing but a picture, a film or a
sound is loaded.
"""

import json
import re
from collections.abc import Container, Iterable
from html import escape
from typing import Any

from ._answers import shortened
from ._download_rules import Refused, Rules, without_secrets
from ._status import Status
from ._urls import kind_of, named_urls

_MOST_FILES = 24
_MOST_FACTS = 20
_MOST_PARTS = 10
_LONGEST_TEXT = 300
_LONGEST_PLAIN = 10_000
_LONGEST_DATA = 2_000_000
"""Characters of a ``data:`` URL; a longer one would make a notebook slow to open."""
_LOADABLE = re.compile(r"https?://[^/]|data:(?:image|video|audio)/[\w.+-]+[;,]", re.ASCII | re.IGNORECASE)
_BOX = "max-width:100%;max-height:32em"


def bundle(shown: object, html: str, include: Container[str] | None, exclude: Container[str] | None) -> dict[str, str]:
    """The same in each form, by media type; those that a notebook asks for."""
    try:
        plain = shortened(repr(shown), _LONGEST_PLAIN)
    except RecursionError:  # an output that is nested beyond measure
        plain = type(shown).__name__
    forms = {"text/plain": plain, "text/html": html}
    return {
        name: text
        for name, text in forms.items()
        if (include is None or name in include) and (exclude is None or name not in exclude)
    }


def output_html(name: str, output: object, rules: Rules) -> str:
    """An output: its pictures and players in their order, then a table of what else is in it.

    Only what a download may fetch by these rules is loaded; of anything else there is a link.
    """
    urls = dict[str, str]()  # by URL, so that each is shown once
    for field, url in named_urls(output):
        urls.setdefault(url, field)
    shown = [_file(field, url, rules) for url, field in list(urls.items())[:_MOST_FILES]]
    if len(urls) > _MOST_FILES:
        shown.append(f"<p>… and {len(urls) - _MOST_FILES} more files</p>")
    facts = [
        (str(key), value)
        for key, value in (output.items() if isinstance(output, dict) else [("output", output)])
        if value is not None and next(named_urls(value), None) is None
    ]
    if not shown and not facts:
        shown.append("<p>no output</p>")
    return _encodable(f"<div><b>{escape(name)}</b>{''.join(shown)}{_table(facts)}</div>")


def job_html(name: str, request_id: str, model_id: str | None, status: Status | None) -> str:
    """A job: what was last seen of it, and how to resume it."""
    facts: list[tuple[str, object]] = [("id", request_id), ("model", model_id), ("state", "not read yet")]
    if status is not None:
        facts[2:] = [("state", status.state), ("queue position", status.queue_position)]
    facts.append(("to resume it", f"client.job({request_id!r}, …)"))
    table = _table((key, value) for key, value in facts if value is not None)
    return _encodable(f"<div><b>{escape(name)}</b>{table}</div>")


def _file(field: str, url: str, rules: Rules) -> str:
    name = escape(_shortened(f"{field}: {without_secrets(url)}"), quote=True)
    is_data = url[:5].lower() == "data:"
    if not _LOADABLE.match(url) or (is_data and len(url) > _LONGEST_DATA):
        return f"<p>{name} ({len(url):,} characters)</p>"
    source = escape(url, quote=True)
    link = name if is_data else f'<a href="{source}" target="_blank" rel="noopener noreferrer">{name}</a>'
    player = {
        "image": f'<img src="{source}" alt="{name}" style="{_BOX}" referrerpolicy="no-referrer">',
        "video": f'<video controls preload="metadata" src="{source}" style="{_BOX}"></video>',
        "audio": f'<audio controls preload="metadata" src="{source}"></audio>',
    }.get(kind_of(field, url) or "", "")
    if not (is_data or _may_be_fetched(url, rules)):
        player = ""
    return f'<figure style="margin:0.5em 0">{player}<figcaption>{link}</figcaption></figure>'


def _may_be_fetched(url: str, rules: Rules) -> bool:
    try:
        rules.first(url)
    except Refused:
        return False
    return True


def _table(facts: Iterable[tuple[str, object]]) -> str:
    facts = list(facts)
    rows = [
        f"<tr><th style='text-align:left'>{escape(_shortened(name))}</th><td>{escape(_shown(value))}</td></tr>"
        for name, value in facts[:_MOST_FACTS]
    ]
    if len(facts) > _MOST_FACTS:
        rows.append(f"<tr><td colspan='2'>… and {len(facts) - _MOST_FACTS} more</td></tr>")
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return _shortened(value)
    if isinstance(value, dict | list):
        return _as_json(value) if len(value) <= _MOST_PARTS else f"{len(value)} values"
    return _shortened(str(value))


def _as_json(value: Any) -> str:
    try:
        return _shortened(json.dumps(value, ensure_ascii=False))
    except (RecursionError, ValueError):
        return "…"


def _shortened(text: str) -> str:
    return shortened(text, _LONGEST_TEXT)


def _encodable(html: str) -> str:
    """Without half of a surrogate pair, which no page can have."""
    return html.encode(errors="replace").decode()
