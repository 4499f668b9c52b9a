"""Two sets of schema files, before and after: everything that has changed for callers."""

from collections.abc import Iterator
from dataclasses import dataclass

from .compare import fields
from .errors import Problem, SchemaError
from .impact import Change, Found
from .load import SchemaFile
from .naming import Module, Shape
from .pipeline import understood_file
from .plain import Plain, options
from .renames import alike, bare, best_pairs
from .shown import json_text

_MOST_PAIRS = 10_000
"""Beyond so many pairs of a removed and an added model, renames are not looked for."""

Files = dict[str, SchemaFile]
"""Schema files by model id."""


@dataclass(frozen=True)
class Comparison:
    """What was found out about two sets of files."""

    changes: list[Change]
    problems: list[Problem]
    """What keeps files from being compared; nothing is said about their models."""


def compare(old: Files, new: Files) -> Comparison:
    """Compare the files that differ, and look into no other."""
    differ = [key for key in sorted(old.keys() | new.keys()) if _content(old.get(key)) != _content(new.get(key))]
    before, old_problems = _modules(old, differ)
    after, new_problems = _modules(new, differ)
    gone = {key: before[key] for key in differ if key not in new and key in before}
    added = {key: after[key] for key in differ if key not in old and key in after}
    renamed = _renamed(gone, added)
    changes: list[Change] = []
    for key in differ:
        if key in gone and key not in renamed:
            changes.append(_of_model(gone[key], Found("", "model removed", key, "")))
        elif key in added and key not in renamed.values():
            changes.append(_of_model(added[key], Found("", "model added", "", key)))
        elif (module := before.get(key)) and (became := after.get(renamed.get(key, key))):
            changes.extend(_changes(module, became))
    return Comparison(changes, sorted({*old_problems, *new_problems}))


def _content(file: SchemaFile | None) -> bytes | None:
    return None if file is None else file.content


def _modules(files: Files, keys: list[str]) -> tuple[dict[str, Module], list[Problem]]:
    modules: dict[str, Module] = {}
    problems: list[Problem] = []
    for key in keys:
        if key in files:
            try:
                modules[key] = understood_file(files[key])
            except SchemaError as error:
                problems.extend(error.problems)
    return modules, problems


def _renamed(gone: dict[str, Module], added: dict[str, Module]) -> dict[str, str]:
    """The models that are likely the same under another id: alike by id, and by what they take."""
    if len(gone) * len(added) > _MOST_PAIRS:
        return {}
    return best_pairs(
        [(_likeness(one, two), one_id, two_id) for one_id, one in gone.items() for two_id, two in added.items()]
    )


def _likeness(one: Module, two: Module) -> float:
    names, others = (set(module.model.input["properties"]) for module in (one, two))
    if bare(one.model.input) == bare(two.model.input):
        shared = 1.0
    else:
        shared = len(names & others) / len(names | others) if names | others else 0.0
    by_id = alike(one.model_id, two.model_id)
    return by_id if shared > 0.75 and one.model_id.split("/")[0] == two.model_id.split("/")[0] else 0.0


def _changes(old: Module, new: Module) -> Iterator[Change]:
    for found in _of_whole(old, new):
        yield _of_model(new, found)
    for found in (*fields(old.model.input, new.model.input), *_classes(old.inputs, new.inputs)):
        yield Change(new.source, new.model_id, "input", *found)
    for found in (*fields(old.model.promise, new.model.promise), *_classes(old.outputs, new.outputs)):
        yield Change(new.source, new.model_id, "output", *found)


def _of_model(module: Module, found: Found) -> Change:
    return Change(module.source, module.model_id, "model", *found)


def _of_whole(old: Module, new: Module) -> Iterator[Found]:
    if old.model_id != new.model_id:
        yield Found("", "model likely renamed", old.model_id, new.model_id)
    elif old.path != new.path:
        yield Found("", "import path changed", ".".join(old.path), ".".join(new.path))
    if old.model.price != new.model.price:
        yield Found("", "price changed", old.model.price, new.model.price)
    for key in ("display_name", "description", "categories", "kind", "pricing_note"):
        before, after = old.model.entry.get(key), new.model.entry.get(key)
        if before != after:
            yield Found(key, "text changed", *("" if value is None else json_text(value) for value in (before, after)))


def _classes(old: tuple[Shape, ...], new: tuple[Shape, ...]) -> Iterator[Found]:
    """The classes that people construct, where the field that they are for is the same."""
    before, after = _by_place(old), _by_place(new)
    for place in before:
        if before[place] != after.get(place, before[place]):
            yield Found(place, "class renamed", ", ".join(before[place]), ", ".join(after[place]))


def _by_place(shapes: tuple[Shape, ...]) -> dict[str, list[str]]:
    """The names of classes by the fields that hold them: ``{"loras[]": ["Lora"]}``."""
    known = {shape.name: shape for shape in shapes}
    found: dict[str, list[str]] = {}

    def look(schema: Plain, at: str) -> None:
        for option in options(schema):
            if "$ref" in option:
                name = option["$ref"].rpartition("/")[2]
                found.setdefault(at, []).append(name)
                members(known[name], f"{at}.")
            for keyword, sign in (("items", "[]"), ("additionalProperties", "[*]")):
                if keyword in option:
                    look(option[keyword], f"{at}{sign}")

    def members(shape: Shape, at: str) -> None:
        for member in shape.members:
            look(member.schema, f"{at}{member.wire}")

    members(shapes[-1], "")
    return found
