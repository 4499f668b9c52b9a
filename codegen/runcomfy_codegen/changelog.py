"""Changes as texts: for a terminal, for programs, for a changelog."""

import json
from collections.abc import Callable, Iterable
from itertools import groupby

from .errors import Problem
from .impact import Change, Impact, worst
from .literals import escaped

_LONGEST = 100
_SECTIONS = {"Removed": "removed", "Added": "added", "Changed": ""}


def as_text(changes: list[Change]) -> str:
    """File by file, the gravest first; and the version that they ask for."""
    lines = []
    for model_id, group in groupby(changes, key=lambda change: change.model_id):
        of_model = sorted(group, key=lambda change: -change.impact)
        lines.append(f"{model_id} ({of_model[0].file})")
        lines += [f"  {change.impact.word:<10}  {_line(change)}" for change in of_model]
    return "\n".join(map(escaped, [*lines, summary(changes)]))


def as_json(changes: list[Change], problems: list[Problem]) -> str:
    """An object with all changes and the version that they ask for."""
    gravest = worst(changes)
    return json.dumps(
        {
            "bump": gravest.bump if gravest else None,
            "counts": _counts(changes),
            "changes": [{**vars(change), "impact": change.impact.word} for change in changes],
            "problems": [vars(problem) for problem in problems],
        },
        indent=2,
        ensure_ascii=False,
    )


def as_markdown(changes: list[Change]) -> str:
    """An entry of a changelog, in the sections of Keep a Changelog."""
    lines = [summary(changes)]
    told = [change for change in changes if change.impact > Impact.COSMETIC]
    for heading, word in _SECTIONS.items():
        entries = [change for change in told if _section(change) == word]
        if entries:
            lines += ["", f"### {heading}", "", *(f"- {_entry(change)}" for change in entries)]
    cosmetic = sorted({change.model_id for change in changes} - {change.model_id for change in told})
    if cosmetic:
        lines += ["", "### Only texts and samples", "", *(f"- {_code(model_id)}" for model_id in cosmetic)]
    return "\n".join(lines)


def summary(changes: list[Change]) -> str:
    """``"1 breaking, 2 compatible, 0 cosmetic: asks for a major version"``."""
    gravest = worst(changes)
    if gravest is None:
        return "nothing has changed for callers"
    counts = ", ".join(f"{count} {word}" for word, count in _counts(changes).items())
    return f"{counts}: asks for a {gravest.bump} version"


def _counts(changes: Iterable[Change]) -> dict[str, int]:
    impacts = [change.impact for change in changes]
    return {impact.word: impacts.count(impact) for impact in sorted(Impact, reverse=True)}


def _line(change: Change) -> str:
    place = f"{change.side} {change.field}".removeprefix("model").strip()
    return f"{f'{place}: ' if place else ''}{change.rule}{_values(change, str)}"


def _entry(change: Change) -> str:
    mark = "**Breaking:** " if change.impact == Impact.BREAKING else ""
    side = "" if change.side == "model" else f" {change.side}"
    field = f" {_code(change.field)}" if change.field else ""
    return f"{mark}{_code(change.model_id)}{side}{field}: {change.rule}{_values(change, _code)}"


def _values(change: Change, show: Callable[[str], str]) -> str:
    """``", 50 → 30"``; of what came or went as a whole, only that."""
    if change.rule in ("model added", "model removed"):
        return ""
    before, after = (show(_shortened(text)) if text else "" for text in (change.before, change.after))
    if change.rule.endswith(("added", "removed")):
        return f", {before or after}"
    return f", {before or 'none'} → {after or 'none'}"


def _section(change: Change) -> str:
    word = change.rule.rpartition(" ")[2]
    return word if word in _SECTIONS.values() else ""


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _code(text: str) -> str:
    """A text of a schema as Markdown shows it, whatever is in it."""
    text = escaped(text)
    fence = "`" * (max((len(run) for run in _runs(text)), default=0) + 1)
    padded = f" {text} " if text.startswith("`") or text.endswith("`") else text
    return f"{fence}{padded}{fence}"


def _runs(text: str) -> list[str]:
    return ["".join(group) for sign, group in groupby(text) if sign == "`"]
