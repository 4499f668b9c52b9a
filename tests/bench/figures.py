"""What was measured, as a table and as JSON."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from .measure import Pairs


@dataclass(frozen=True)
class Figure:
    """One line of the table: a value that is at most, or at least, what it is to be."""

    what: str
    against: str
    target: float
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
        return self.value >= self.target if self.more_is_better else self.value <= self.target


def ratio(
    what: str, against: str, target: float, found: Pairs, unit: str = "s", *, more_is_better: bool = False
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


def table(figures: Iterable[Figure], earlier: Mapping[str, float] | None = None) -> str:
    """The table as Markdown; with what an earlier run found, where there is one."""
    rows = [["what", "against", "target", "measured", "ours", "theirs", *(["before"] if earlier else [])]]
    for figure in figures:
        sign = "≥" if figure.more_is_better else "≤"
        spread = "" if figure.low == figure.high else f" ({number(figure.low)} – {number(figure.high)})"
        missed = "" if figure.reached else " **missed**"
        rows.append(
            [
                figure.what,
                figure.against,
                f"{sign} {number(figure.target)}",
                f"{number(figure.value)}{spread}{missed}",
                f"{number(figure.ours)} {figure.unit}".strip(),
                "" if figure.theirs is None else f"{number(figure.theirs)} {figure.unit}".strip(),
                *([number(earlier[key]) if (key := _key(figure)) in earlier else ""] if earlier else []),
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
    content = {**facts, "figures": [{**asdict(figure), "reached": figure.reached} for figure in figures]}
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def stored(file: Path) -> dict[str, float]:
    """What the last run found, by line; nothing where there is none."""
    if not file.exists():
        return {}
    return {_name(line["what"], line["against"]): line["value"] for line in json.loads(file.read_text())["figures"]}


def _key(figure: Figure) -> str:
    return _name(figure.what, figure.against)


def _name(what: str, against: str) -> str:
    return f"{what} / {against}"
