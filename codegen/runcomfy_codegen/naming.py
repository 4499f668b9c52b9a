"""Every Python name, decided here. Names are API: a changed rule breaks the code of those who import the package.

The rules stand in ``codegen/README.md``. Nothing here depends on the Python or pydantic that runs the generator: the
reserved names are lists, not look-ups.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple
from unicodedata import normalize

from .docs import field_doc, sentence
from .errors import Problem, SchemaError
from .layout import ImportPath
from .literals import is_known
from .normalise import Model
from .plain import WORDS, Plain

_KEYWORDS = frozenset(
    "False None True and as assert async await break class continue def del elif else except finally for from global"
    " if import in is lambda nonlocal not or pass raise return try while with yield".split()
)

_CLASS_NAMES = frozenset({"Input", "Output"})
_IMPORTED = frozenset(
    "Annotated Any ClassVar Field Literal Mapping Sequence StrictBool StrictFloat StrictInt StrictStr".split()
)
# A model whose id is a prefix of another's is a package: its members must not hide the other's module.
_FUNCTIONS = frozenset({"run", "run_async", "submit", "submit_async"})
# Windows has no files of these names, whatever their suffix.
_DEVICES = frozenset(
    {"aux", "con", "nul", "prn", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789")}
)
# Present or promised members of the runtime's base classes.
_RUNTIME_MEMBERS = frozenset({"raw", "files", "save", "save_async"})
_PYDANTIC_MEMBERS = frozenset(
    "construct copy dict from_orm json parse_file parse_obj parse_raw schema schema_json update_forward_refs validate"
    " model_computed_fields model_config model_construct model_copy model_dump model_dump_json model_extra model_fields"
    " model_fields_set model_json_schema model_parametrized_name model_post_init model_rebuild model_validate"
    " model_validate_json model_validate_strings".split()
)
# Members of pydantic's metaclass, which are taken for the default of a field that has none.
_METACLASS_MEMBERS = frozenset({"mro", "register"})
# A field of such a name would hide the type that a later field's annotation means.
_BUILTIN_TYPES = frozenset({"bool", "dict", "float", "int", "list", "str"})

_LONGEST_PATH = 200
"""Characters of a python_path; file systems have limits of their own."""

RESERVED_SEGMENTS = _FUNCTIONS | _DEVICES | {"_runtime"}
RESERVED_CLASSES = _CLASS_NAMES | _IMPORTED | {"False", "None", "True"}
RESERVED_FIELDS = frozenset({"client", "cls", "self"}).union(
    *(_CLASS_NAMES, _IMPORTED, _BUILTIN_TYPES, _RUNTIME_MEMBERS, _PYDANTIC_MEMBERS, _METACLASS_MEMBERS)
)


@dataclass(frozen=True)
class Member:
    """One field of a `Shape`; `schema` refers to other shapes as ``{"$ref": "#/$defs/<name>"}``."""

    name: str
    wire: str
    doc: str
    schema: Plain
    required: bool


@dataclass(frozen=True)
class Shape:
    """One class to be made."""

    name: str
    doc: str
    members: tuple[Member, ...]
    open: bool = False
    """Whether it takes further fields that have no name here."""


@dataclass(frozen=True)
class Module:
    """One model with all its names. Nested shapes come first; the last ones are `Input` and `Output`."""

    model: Model
    path: ImportPath
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]

    @property
    def model_id(self) -> str:
        return self.model.model_id

    @property
    def source(self) -> str:
        return self.model.source


def name(model: Model) -> Module:
    """Name everything in one model.

    Raises:
        SchemaError: its ``python_path`` cannot be one.
    """
    # In a class body, a field hides a class of the same name from the annotations below it.
    taken = RESERVED_CLASSES | set(_all_fields(model.input)) | set(_all_fields(model.output))
    inputs = _Shapes(prefix="", taken=taken)
    inputs.add(model.input, "Input")
    outputs = _Shapes(prefix="Output", taken=taken | {shape.name for shape in inputs.made})
    outputs.add(model.output, "Output")
    return Module(model, _path(model), tuple(inputs.made), tuple(outputs.made))


def import_path(model_id: str) -> ImportPath:
    """``"kling/kling-3.0/4k"`` -> ``("kling", "kling_3_0", "v4k")``."""
    return tuple(_segment(segment) for segment in model_id.split("/"))


def valid_path(declared: object) -> ImportPath | None:
    """The import path that a ``python_path`` declares; None, if it cannot be one."""
    path = tuple(declared.split(".")) if isinstance(declared, str) and len(declared) <= _LONGEST_PATH else ()
    return path if path and all(part and _segment(part) == part for part in path) else None


def _segment(segment: str) -> str:
    identifier = re.sub(r"[^a-z0-9]+", "_", segment.lower())
    if identifier[:1].isdigit():
        identifier = f"v{identifier}"
    return f"{identifier}_" if identifier in _KEYWORDS or identifier in RESERVED_SEGMENTS else identifier


def field_names(wires: Iterable[str]) -> dict[str, str]:
    """Python names by wire name.

    >>> list(field_names(["prompt", "62_image", "class", "lora-scale", "lora_scale"]).values())
    ['prompt', 'field_62_image', 'class_', 'lora_scale_2', 'lora_scale']
    """
    wires = list(wires)
    names = {wire: _identifier(wire) for wire in wires}
    taken = {wire for wire in wires if names[wire] == wire}
    numbers: dict[str, int] = {}
    for wire in wires:
        if names[wire] != wire:
            names[wire] = _free(names[wire], taken, numbers)
    return names


def _identifier(wire: str) -> str:
    if not (wire.isidentifier() and is_known(wire) and normalize("NFKC", wire) == wire):
        wire = re.sub(r"[^0-9A-Za-z_]+", "_", wire)
    if wire[:1].isdigit():
        wire = f"field_{wire}"
    if wire[:1] in ("_", ""):  # pydantic has no fields with a leading underscore
        wire = f"field{wire}"
    return f"{wire}_" if wire in _KEYWORDS or wire in RESERVED_FIELDS else wire


def _free(wanted: str, taken: set[str], numbers: dict[str, int]) -> str:
    """The wanted name, or the first with a number behind it; `numbers` remembers how far each name has come."""
    candidate = wanted
    while candidate in taken:
        numbers[wanted] = numbers.get(wanted, 1) + 1
        candidate = f"{wanted}_{numbers[wanted]}"
    taken.add(candidate)
    return candidate


def _path(model: Model) -> ImportPath:
    declared = model.entry.get("python_path")
    if declared is None:
        return import_path(model.model_id)
    if path := valid_path(declared):
        return path
    reason = f'is {declared!r}; it takes lower-case names with dots: "vendor.model_two.edit"'
    raise SchemaError(Problem(model.source, "/python_path", reason))


def _all_fields(schema: Plain) -> Iterator[str]:
    """The Python names of all fields of a schema, however deep."""
    members = schema.get("properties", {})
    yield from field_names(members).values()
    inner = (schema[keyword] for keyword in ("items", "additionalProperties") if keyword in schema)
    for part in (*members.values(), *inner, *schema.get("anyOf", ())):
        yield from _all_fields(part)


class _Known(NamedTuple):
    """A class that was made, and the definition that it was made for, if any."""

    class_name: str
    definition: str | None


class _Shapes:
    """Collects the objects of one schema, the inner before the outer."""

    def __init__(self, *, prefix: str, taken: Iterable[str]) -> None:
        self._prefix = prefix
        self._taken = set(taken)
        self._known: dict[str, _Known] = {}
        self._numbers: dict[str, int] = {}
        self.made: list[Shape] = []

    def add(self, schema: Plain, class_name: str) -> None:
        names = field_names(schema["properties"])
        members = tuple(
            Member(
                names[wire],
                wire,
                field_doc(part, wire, names[wire]),
                self._hoisted(part, wire),
                wire in schema["required"],
            )
            for wire, part in schema["properties"].items()
        )
        doc = sentence(schema.get("about") or schema.get("description", ""))
        self.made.append(Shape(class_name, doc, members, "additionalProperties" in schema))

    def _hoisted(self, schema: Plain, wire: str, *, one_of_many: bool = False) -> Plain:
        """The schema with a reference to a class in the place of every object with properties."""
        if "anyOf" in schema:
            return {
                **schema,
                "anyOf": [self._hoisted(option, wire, one_of_many=one_of_many) for option in schema["anyOf"]],
            }
        if "items" in schema:
            return {**schema, "items": self._hoisted(schema["items"], wire, one_of_many=True)}
        if "properties" in schema:
            return {"$ref": f"#/$defs/{self._class_of(schema, wire, one_of_many)}"}
        if "additionalProperties" in schema:
            further = self._hoisted(schema["additionalProperties"], wire, one_of_many=True)
            return {**schema, "additionalProperties": further}
        return schema

    def _class_of(self, schema: Plain, wire: str, one_of_many: bool) -> str:
        """A class of its own, or that of the same definition met before."""
        structure = json.dumps({key: value for key, value in schema.items() if key not in WORDS})
        definition = schema.get("class")
        known = self._known.get(structure)
        # What is referred to may be a definition, or an object where it stands as a field of that name.
        if known and (definition is not None or known.definition == wire):
            return known.class_name
        class_name = self._class_name(wire, one_of_many) if definition is None else self._class_name(definition)
        self._known[structure] = _Known(class_name, definition)
        self.add(schema, class_name)
        return class_name

    def _class_name(self, words_in: str, one_of_many: bool = False) -> str:
        """``"loras"``, one of many -> ``"Lora"``."""
        words = [word for word in re.split(r"[^0-9A-Za-z]+", words_in) if word]
        if words and one_of_many:
            words[-1] = _singular(words[-1])
        camel = "".join(word[0].upper() + word[1:] for word in words) or "Item"
        if camel[0].isdigit():
            camel = f"Object{camel}"
        if camel in self._taken and self._prefix and not camel.startswith(self._prefix):
            camel = f"{self._prefix}{camel}"
        return _free(camel, self._taken, self._numbers)


def _singular(word: str) -> str:
    from inflect import engine  # slow to load, and few schemas have lists of objects

    return engine().singular_noun(word) or word
