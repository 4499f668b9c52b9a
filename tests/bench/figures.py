"""What was measured, as a table and as JSON."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Any

from .measure import Pairs

_BEGIN, _END = "<!-- make bench -->", "<!-- end of make bench -->"


@dataclass(frozen=True)
class Figure:
    """One line of the table: a value that is at most, or at least, what it is to be."""

    what: str
    against: str
    target: float | None
    """None where nothing is to be reached: what is good to know."""
    value: float
    low: float
    high: float
    ours: float
    theirs: float | None
    unit: str
    """Of what ours and theirs are given in, such as ``s``."""
    more_is_better: bool = False

    @property
    def reached(self) -> bool:
        """Whether it is what it is to be."""
        if self.target is None:
            return True
        return self.value >= self.target if self.more_is_better else self.value <= self.target


def ratio(
    what: str, against: str, target: float | None, found: Pairs, unit: str = "s", *, more_is_better: bool = False
) -> Figure:
    """The median of the ratios of the rounds, which had the same machine each."""
    ratios = found.ratios
    return Figure(
        what=what,
        against=against,
        target=target,
        value=median(ratios),
        low=min(ratios),
        high=max(ratios),
        ours=median(found.ours),
        theirs=median(found.theirs),
        unit=unit,
        more_is_better=more_is_better,
    )


def single(what: str, against: str, target: float, ours: float, unit: str = "", theirs: float | None = None) -> Figure:
    """One value, or the ratio of two that are the same in every round."""
    value = ours if theirs is None else ours / theirs
    return Figure(what, against, target, value, value, value, ours, theirs, unit)


def table(figures: Iterable[Figure], earlier: Iterable[Figure] = ()) -> str:
    """The table as Markdown; with what an earlier run found, where there is one."""
    before = {(figure.what, figure.against): number(figure.value) for figure in earlier}
    rows = [["what", "against", "target", "measured", "ours", "theirs", *(["before"] if before else [])]]
    for figure in figures:
        sign = "≥" if figure.more_is_better else "≤"
        spread = "" if figure.low == figure.high else f" ({number(figure.low)} – {number(figure.high)})"
        missed = "" if figure.reached else " **missed**"
        rows.append(
            [
                figure.what,
                figure.against,
                "" if figure.target is None else f"{sign} {number(figure.target)}",
                f"{number(figure.value)}{spread}{missed}",
                f"{number(figure.ours)} {figure.unit}".strip(),
                "" if figure.theirs is None else f"{number(figure.theirs)} {figure.unit}".strip(),
                *([before.get((figure.what, figure.against), "")] if before else []),
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    rule = "|".join("-" * (width + 2) for width in widths)
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def number(value: float) -> str:
    """With two or three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def store(file: Path, figures: Iterable[Figure], facts: Mapping[str, Any]) -> None:
    """Write everything down for later comparison."""
    content = {**facts, "figures": [asdict(figure) for figure in figures]}
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def stored(file: Path) -> list[Figure]:
    """What the last run found; nothing where there is none."""
    return [Figure(**figure) for figure in json.loads(file.read_text())["figures"]] if file.exists() else []


def report(file: Path) -> str:
    """What the last run found, as the README shows it."""
    facts = json.loads(file.read_text())
    measured = (
        f"Measured on {facts['date']}, on {facts['system']} with {facts['cores']} cores: {listed(facts['versions'])}."
    )
    return f"{table(stored(file))}\n\n{fill(measured, 120)}"


def listed(versions: Mapping[str, str]) -> str:
    """``Python 3.11.7, httpx 0.28.1``."""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def with_report(text: str, report: str) -> str:
    """A text with a report between its marks."""
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}\n\n{report}\n\n{_END}{after}"
