"""What has gone and what is new: which of them are likely the same under another name."""

from difflib import SequenceMatcher
from typing import Any

from .plain import WORDS, Plain

_ALIKE = 0.6
"""From where on two names are alike; 1 are equal ones."""


def renamed_fields(before: dict[str, Plain], after: dict[str, Plain]) -> dict[str, str]:
    """The fields that are likely the same under another name: of the same type, and alike by name or by meaning."""
    gone = [wire for wire in before if wire not in after]
    new = [wire for wire in after if wire not in before]
    pairs = [(_likeness(one, before[one], two, after[two]), one, two) for one in gone for two in new]
    return best_pairs(pairs)


def best_pairs(pairs: list[tuple[float, str, str]]) -> dict[str, str]:
    """Each name with the other that it is most alike to, where they are alike at all."""
    found: dict[str, str] = {}
    for likeness, one, two in sorted(pairs, key=lambda pair: -pair[0]):
        if likeness >= _ALIKE and one not in found and two not in found.values():
            found[one] = two
    return found


def _likeness(one: str, before: Plain, two: str, after: Plain) -> float:
    if bare(before) != bare(after):
        return 0.0
    meanings = {before.get("description"), after.get("description")}
    words, others = set(one.lower().split("_")), set(two.lower().split("_"))
    if (len(meanings) == 1 and None not in meanings) or words < others or others < words:
        return 1.0
    return alike(one, two)


def alike(one: str, two: str) -> float:
    """How much two names look like each other, from 0 to 1."""
    return SequenceMatcher(None, one.lower(), two.lower(), autojunk=False).ratio()


def bare(plain: Any) -> Any:
    """A plain schema without its words, however deep they stand."""
    if isinstance(plain, dict):
        named = "properties" in plain
        return {
            key: {name: bare(part) for name, part in value.items()} if key == "properties" and named else bare(value)
            for key, value in plain.items()
            if key not in WORDS
        }
    return [bare(part) for part in plain] if isinstance(plain, list) else plain
