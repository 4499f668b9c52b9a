"""The last word on the plain schema of an input: without what can never be met, and with a look at its default."""

from .errors import Place, Report
from .plain import NUMBER_LIMITS, Plain, contradictory, fits, options


def finished(plain: Plain, at: Place, report: Report, *, deep: bool) -> Plain:
    """A plain schema that can be met. `deep`, where its parts are not finished yet."""
    parts = [_finished(option, at, report, deep=deep) for option in options(plain)]
    plain = {**plain, "anyOf": parts} if "anyOf" in plain else parts[0]
    if plain.get("default") is not None and not fits(plain["default"], plain):
        report.note((*at, "default"), "does not fit the schema itself; documented, as every default is, not sent")
    return plain


def _finished(plain: Plain, at: Place, report: Report, *, deep: bool) -> Plain:
    if limits := contradictory(plain):
        report.note(at, f"has {' and '.join(limits)} that no value keeps together; not checked")
        dropped = {*limits, *(NUMBER_LIMITS if limits[0] in NUMBER_LIMITS else ())}
        plain = {key: value for key, value in plain.items() if key not in dropped}
    if deep:
        inner = plain.keys() & {"items", "additionalProperties"}
        plain = {**plain, **{key: finished(plain[key], (*at, key), report, deep=True) for key in inner}}
    if "properties" not in plain:
        return plain
    members = plain["properties"]
    if deep:
        members = {name: finished(part, (*at, "properties", name), report, deep=True) for name, part in members.items()}
    if not members:
        if plain["required"]:
            report.note((*at, "required"), "names properties that have no schema; not checked")
        return {key: value for key, value in plain.items() if key not in ("properties", "required")}
    for name in plain["required"]:
        if name not in members:
            report.note((*at, "required"), f"has {name!r}, which is no property; ignored")
    return {**plain, "properties": members, "required": [name for name in members if name in plain["required"]]}
