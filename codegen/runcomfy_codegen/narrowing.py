"""Two alternatives of one type, before and after: what has changed in the values that they let through."""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from .impact import Found
from .plain import Plain, identity, patterns
from .shown import listed, shown

_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def choices(old: Plain, new: Plain, at: str) -> Iterator[Found]:
    """What has changed in the values of an enum."""
    was, now = (plain.get("enum", plain.get("values")) for plain in (old, new))
    if was is None and now is None:
        return
    if was is None or now is None:
        yield Found(at, "type widened" if now is None else "type narrowed", shown(old), shown(new))
        return
    known, kept = set(map(identity, was)), set(map(identity, now))
    if gone := [value for value in was if identity(value) not in kept]:
        yield Found(at, "enum value removed", listed(gone), "")
    if more := [value for value in now if identity(value) not in known]:
        yield Found(at, "enum value added", "", listed(more))


class _Bound(NamedTuple):
    """One limit; of two limits of the same, the higher rank is the tighter."""

    rank: tuple[Fraction, bool]
    text: str


def limits(old: Plain, new: Plain, at: str) -> Iterator[Found]:
    """What has changed in the limits, those of media files among them."""
    was, now = _bounds(old), _bounds(new)
    for what in sorted(was.keys() | now.keys()):
        before, after = was.get(what), now.get(what)
        if (before and before.rank) != (after and after.rank):
            tighter = after is not None and (before is None or after.rank > before.rank)
            yield Found(at, _rule(tighter, not tighter), before.text if before else "", after.text if after else "")
    step, new_step = old.get("multipleOf"), new.get("multipleOf")
    if step != new_step:
        texts = (f"multipleOf {value}" if value else "" for value in (step, new_step))
        yield Found(at, _rule(_is_multiple(new_step, step), _is_multiple(step, new_step)), *texts)
    shapes, new_shapes = set(patterns(old)), set(patterns(new))
    if shapes != new_shapes:
        texts = (" and ".join(f"pattern {pattern}" for pattern in patterns(plain)) for plain in (old, new))
        yield Found(at, _rule(shapes < new_shapes, new_shapes < shapes), *texts)


def _bounds(plain: Plain) -> dict[str, _Bound]:
    """The limits of one alternative, by what they limit: a number, a length, the width of a picture."""
    found: dict[str, _Bound] = {}
    for keyword in plain.keys() & {*_LEAST, *_MOST}:
        sign = 1 if keyword in _LEAST else -1
        value, is_open = sign * Fraction(str(plain[keyword])), "exclusive" in keyword
        if is_open and plain.get("type") == "integer":
            value, is_open = value + 1, False  # above 0 is at least 1
        if keyword in ("minLength", "minItems") and not value:
            continue
        bound = _Bound((value, is_open), f"{keyword} {plain[keyword]}")
        _keep_tighter(found, keyword.replace("exclusiveM", "m"), bound)
    for quantity, operator, limit, _ in plain.get("media", {}).get("rules", ()):
        sign = 1 if operator[0] == ">" else -1
        bound = _Bound((sign * Fraction(str(limit)), len(operator) == 1), f"{quantity} {operator} {limit:g}")
        _keep_tighter(found, f"{quantity} {operator[0]}", bound)
    if "uniqueItems" in plain:
        found["uniqueItems"] = _Bound((Fraction(0), True), "uniqueItems")
    return found


def _keep_tighter(found: dict[str, _Bound], what: str, bound: _Bound) -> None:
    if what not in found or bound.rank > found[what].rank:
        found[what] = bound


def _is_multiple(number: float | None, of: float | None) -> bool:
    """Whether what is a multiple of the one is always a multiple of the other; anything is one of None."""
    return of is None or (number is not None and (Fraction(str(number)) / Fraction(str(of))).denominator == 1)


def _rule(tighter: bool, looser: bool) -> str:
    return f"limit {'tightened' if tighter else 'loosened' if looser else 'changed'}"


def media(old: Plain, new: Plain, at: str) -> Iterator[Found]:
    """Whether a field has become media, or media of another kind."""
    was, now = (plain.get("media", {}).get("kind", "") for plain in (old, new))
    if was != now:
        yield Found(at, "media kind changed" if was else "became media", was, now)
