"""Plain schemas before and after: what has changed in a field, as names of rules. `impact` has what they mean."""

from collections.abc import Iterator

from .impact import Found
from .naming import field_names
from .narrowing import choices, limits, media
from .plain import JSON_TYPES, Plain, options
from .renames import bare, renamed_fields
from .shown import json_text, shown


def fields(old: Plain, new: Plain, at: str = "") -> Iterator[Found]:
    """What has changed in the fields of an object."""
    before, after = old["properties"], new["properties"]
    old_names, new_names = field_names(before), field_names(after)
    renamed = renamed_fields(before, after)
    for wire in before:
        field = f"{at}{wire}"
        became = str(renamed.get(wire, wire))
        if became not in after:
            yield Found(field, "field removed", shown(before[wire]), "")
            continue
        if became != wire:
            yield Found(field, "field likely renamed", wire, became)
        elif old_names[wire] != new_names[wire]:
            yield Found(field, "Python name changed", old_names[wire], new_names[wire])
        was_required, is_required = wire in old["required"], became in new["required"]
        if was_required != is_required:
            words = ("optional", "required")
            yield Found(field, f"became {words[is_required]}", words[was_required], words[is_required])
        yield from values(before[wire], after[became], field)
    for wire in after:
        if wire not in before and wire not in renamed.values():
            rule = "required field added" if wire in new["required"] else "field added"
            yield Found(f"{at}{wire}", rule, "", shown(after[wire]))


def values(old: Plain, new: Plain, at: str) -> Iterator[Found]:
    """What has changed in the values that a field takes, and in what is told of it."""
    yield from dict.fromkeys(_values(old, new, at))  # two looks may find the same


def _values(old: Plain, new: Plain, at: str) -> Iterator[Found]:
    yield from _types(old, new, at)
    for kind, was, now in _pairs(old, new):
        yield from choices(was, now, at)
        yield from limits(was, now, at)
        yield from media(was, now, at)
        if kind == "array":
            yield from values(was["items"], now["items"], f"{at}[]")
        if kind == "object":
            yield from _objects(was, now, at)
    yield from _told(old, new, at)


def _types(old: Plain, new: Plain, at: str) -> Iterator[Found]:
    was, now = _kinds(old), _kinds(new)
    if was == now and _counts(old) == _counts(new):
        return
    wider, narrower = _covers(now, was), _covers(was, now)
    if wider and narrower:  # of the same types, but more or fewer alternatives of one
        wider = sum(_counts(new).values()) > sum(_counts(old).values())
    rule = "type widened" if wider else "type narrowed" if narrower else "type changed"
    yield Found(at, rule, shown(old), shown(new))


def _kinds(plain: Plain) -> frozenset[str]:
    return frozenset(kind for option in options(plain) for kind in _kinds_of(option))


def _kinds_of(option: Plain) -> set[str]:
    if "enum" in option:
        return {JSON_TYPES[type(value)] for value in option["enum"]}
    return {option.get("type", "any")}


def _counts(plain: Plain) -> dict[str, int]:
    found: dict[str, int] = {}
    for option in options(plain):
        for kind in _kinds_of(option):
            found[kind] = found.get(kind, 0) + 1
    return found


def _covers(more: frozenset[str], fewer: frozenset[str]) -> bool:
    reached = {*more, *(("integer",) if "number" in more else ())}
    return "any" in more or fewer <= reached


def _pairs(old: Plain, new: Plain) -> Iterator[tuple[str, Plain, Plain]]:
    """The alternatives of one type, before and after; an integer may have become a number."""
    before, after = _by_kind(old), _by_kind(new)
    for kind, was in before.items():
        other = {"integer": "number", "number": "integer"}.get(kind, kind)
        now = after.get(kind) or ([] if other in before else after.get(other, []))
        # Those that are the same stand for each other, whatever their order.
        was, now = [_others(was, now), _others(now, was)] if len(was) + len(now) > 2 else [was, now]
        yield from ((kind, one, two) for one, two in zip(was, now, strict=False))


def _others(options: list[Plain], known: list[Plain]) -> list[Plain]:
    same = [bare(option) for option in known]
    return [option for option in options if bare(option) not in same]


def _by_kind(plain: Plain) -> dict[str, list[Plain]]:
    found: dict[str, list[Plain]] = {}
    for option in options(plain):
        for kind in sorted(_kinds_of(option)):
            narrowed = option
            if "enum" in option:
                narrowed = {"enum": [value for value in option["enum"] if JSON_TYPES[type(value)] == kind]}
            found.setdefault(kind, []).append(narrowed)
    return found


def _objects(old: Plain, new: Plain, at: str) -> Iterator[Found]:
    """Two objects: with named fields, which may take further ones; or free of form."""
    was_free, is_free = ("properties" not in plain for plain in (old, new))
    if was_free and is_free:
        yield from values(old.get("additionalProperties", {}), new.get("additionalProperties", {}), f"{at}[*]")
    elif was_free != is_free:
        yield Found(at, "type widened" if is_free else "type narrowed", shown(old), shown(new))
    else:
        yield from fields(old, new, f"{at}.")
        was_open, is_open = ("additionalProperties" in plain for plain in (old, new))
        if was_open != is_open:
            texts = ("further fields" if is_so else "no further fields" for is_so in (was_open, is_open))
            yield Found(at, "type widened" if is_open else "type narrowed", *texts)


def _told(old: Plain, new: Plain, at: str) -> Iterator[Found]:
    if json_text(old.get("default")) != json_text(new.get("default")):
        yield Found(
            at, "sample changed", *(json_text(plain["default"]) if "default" in plain else "" for plain in (old, new))
        )
    for before, after in dict.fromkeys((old.get(word, ""), new.get(word, "")) for word in ("description", "about")):
        if before != after:
            yield Found(at, "text changed", before, after)
