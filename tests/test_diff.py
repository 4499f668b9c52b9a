"""`diff`: what a change of a schema means for callers, by rule; between folders, files and git revisions."""

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from command import SCHEMA, add_schema, codegen
from runcomfy_codegen.changes import compare
from runcomfy_codegen.impact import MODEL_RULES, RULES
from runcomfy_codegen.load import SchemaFile

Json = dict[str, Any]
Told = tuple[str, str, str, str, str]
"""Field, rule, before, after, impact."""

COSMETIC, COMPATIBLE, BREAKING = "cosmetic", "compatible", "breaking"
UNREAD = ""
"""In the place of an impact: the side does not read what has changed."""

TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}
NUMBER: Json = {"type": "number"}
PHOTO: Json = {"type": "string", "format": "image_uri"}
NAMED: Json = {"type": "object", "properties": {"path": TEXT}}


class Row(NamedTuple):
    rule: str
    old: Json | None
    """The schema of the field ``x``; None, where it is not there."""
    new: Json | None
    before: str
    after: str
    in_input: str
    in_output: str
    field: str = "x"


def listed(items: Json, **more: Any) -> Json:
    return {"type": "array", "items": items, **more}


def ruled(*rules: tuple[str, float]) -> Json:
    return {
        **PHOTO,
        "validations": [
            {"validation_rule": rule, "validation_value": value, "validation_error": "no"} for rule, value in rules
        ],
    }


def required(schema: Json) -> Json:
    return {**schema, "required": True}


def limit_rows(schema: Json, key: str, loose: Any, tight: Any, *, at: str = "x", out: bool = True) -> list[Row]:
    """A limit that goes from loose to tight, and back; that comes, and goes."""
    looser, tighter = {**schema, key: loose}, {**schema, key: tight}
    loose_text, tight_text = f"{key} {loose}", f"{key} {tight}"
    tightened = ("limit tightened", BREAKING, COMPATIBLE if out else UNREAD)
    loosened = ("limit loosened", COMPATIBLE, BREAKING if out else UNREAD)
    return [
        Row(rule, old, new, before, after, in_input, in_output, at)
        for (rule, in_input, in_output), old, new, before, after in (
            (tightened, looser, tighter, loose_text, tight_text),
            (loosened, tighter, looser, tight_text, loose_text),
            (tightened, schema, tighter, "", tight_text),
            (loosened, tighter, schema, tight_text, ""),
        )
    ]


ROWS = [
    Row("field added", None, TEXT, "", "str", COMPATIBLE, COMPATIBLE),
    Row("required field added", None, required(TEXT), "", "str", BREAKING, COMPATIBLE),
    Row("field removed", TEXT, None, "str", "", BREAKING, BREAKING),
    Row("became required", TEXT, required(TEXT), "optional", "required", BREAKING, COMPATIBLE),
    Row("became optional", required(TEXT), TEXT, "required", "optional", COMPATIBLE, BREAKING),
    # Types
    Row("type widened", TEXT, {"type": ["string", "null"]}, "str", "str | None", COMPATIBLE, BREAKING),
    Row("type narrowed", {"type": ["string", "null"]}, TEXT, "str | None", "str", BREAKING, COMPATIBLE),
    Row("type widened", TEXT, {**TEXT, "nullable": True}, "str", "str | None", COMPATIBLE, BREAKING),
    Row("type widened", WHOLE, NUMBER, "int", "float", COMPATIBLE, BREAKING),
    Row("type narrowed", NUMBER, WHOLE, "float", "int", BREAKING, COMPATIBLE),
    Row("type widened", {**WHOLE, "minimum": 1}, {**NUMBER, "minimum": 1}, "int", "float", COMPATIBLE, BREAKING),
    Row("type widened", TEXT, {}, "str", "Any", COMPATIBLE, BREAKING),
    Row("type narrowed", {}, TEXT, "Any", "str", BREAKING, COMPATIBLE),
    Row("type widened", TEXT, {"anyOf": [TEXT, listed(TEXT)]}, "str", "str | list[str]", COMPATIBLE, BREAKING),
    Row("type changed", TEXT, WHOLE, "str", "int", BREAKING, BREAKING),
    Row("type changed", TEXT, listed(TEXT), "str", "list[str]", BREAKING, BREAKING),
    Row("type changed", {"type": ["string", "null"]}, {"type": ["integer", "null"]}, "str | None", "int | None",
        BREAKING, BREAKING),
    Row("type changed", listed(TEXT), listed(WHOLE), "str", "int", BREAKING, BREAKING, "x[]"),
    Row("type widened", listed(WHOLE), listed(NUMBER), "int", "float", COMPATIBLE, BREAKING, "x[]"),
    Row("type changed", {"type": "object", "additionalProperties": TEXT},
        {"type": "object", "additionalProperties": WHOLE}, "str", "int", BREAKING, BREAKING, "x[*]"),
    # Objects
    Row("type narrowed", {"type": "object"}, NAMED, "dict[str, Any]", "object", BREAKING, COMPATIBLE),
    Row("type widened", NAMED, {"type": "object"}, "object", "dict[str, Any]", COMPATIBLE, BREAKING),
    Row("type widened", NAMED, {**NAMED, "additionalProperties": True}, "no further fields", "further fields",
        COMPATIBLE, UNREAD),
    Row("type narrowed", {**NAMED, "additionalProperties": True}, NAMED, "further fields", "no further fields",
        BREAKING, UNREAD),
    Row("type changed", listed(NAMED), listed({"type": "object", "properties": {"path": WHOLE}}), "str", "int",
        BREAKING, BREAKING, "x[].path"),
    Row("became required", listed(NAMED), listed({**NAMED, "required": ["path"]}), "optional", "required",
        BREAKING, COMPATIBLE, "x[].path"),
    Row("field added", NAMED, {"type": "object", "properties": {"path": TEXT, "scale": NUMBER}}, "", "float",
        COMPATIBLE, COMPATIBLE, "x.scale"),
    Row("field likely renamed", listed(NAMED), listed({"type": "object", "properties": {"lora_path": TEXT}}),
        "path", "lora_path", BREAKING, BREAKING, "x[].path"),
    # Enums
    Row("enum value added", {"enum": ["a"]}, {"enum": ["b", "a", "c"]}, "", '"b", "c"', COMPATIBLE, BREAKING),
    Row("enum value removed", {"enum": ["a", "b"]}, {"enum": ["a"]}, '"b"', "", BREAKING, COMPATIBLE),
    Row("enum value added", {"enum": [5]}, {"enum": [5, 10]}, "", "10", COMPATIBLE, BREAKING),
    Row("enum value added", listed({"enum": ["a"]}), listed({"enum": ["a", "b"]}), "", '"b"',
        COMPATIBLE, BREAKING, "x[]"),
    Row("type widened", {"enum": ["a", "b"]}, TEXT, "Literal['a', 'b']", "str", COMPATIBLE, BREAKING),
    Row("type narrowed", TEXT, {"enum": ["a", "b"]}, "str", "Literal['a', 'b']", BREAKING, COMPATIBLE),
    # Limits
    *limit_rows(NUMBER, "minimum", 0.5, 1.5),
    *limit_rows(NUMBER, "maximum", 50, 30),
    *limit_rows(NUMBER, "exclusiveMinimum", 0, 1),
    *limit_rows(NUMBER, "exclusiveMaximum", 1, 0.5),
    *limit_rows(WHOLE, "minimum", -5, 5),
    *limit_rows(NUMBER, "multipleOf", 8, 16),
    *limit_rows(TEXT, "minLength", 1, 2),
    *limit_rows(TEXT, "maxLength", 2000, 1000),
    *limit_rows(listed(TEXT), "minItems", 1, 2),
    *limit_rows(listed(TEXT), "maxItems", 4, 3),
    Row("limit tightened", {**NUMBER, "minimum": 0}, {**NUMBER, "exclusiveMinimum": 0}, "minimum 0",
        "exclusiveMinimum 0", BREAKING, COMPATIBLE),
    Row("limit loosened", {**NUMBER, "exclusiveMaximum": 1}, {**NUMBER, "maximum": 1}, "exclusiveMaximum 1",
        "maximum 1", COMPATIBLE, BREAKING),
    Row("limit tightened", listed({**WHOLE, "maximum": 9}), listed({**WHOLE, "maximum": 8}), "maximum 9", "maximum 8",
        BREAKING, COMPATIBLE, "x[]"),
    Row("limit changed", {**WHOLE, "multipleOf": 4}, {**WHOLE, "multipleOf": 6}, "multipleOf 4", "multipleOf 6",
        BREAKING, BREAKING),
    Row("limit tightened", {**NUMBER, "multipleOf": 0.1}, {**NUMBER, "multipleOf": 0.3}, "multipleOf 0.1",
        "multipleOf 0.3", BREAKING, COMPATIBLE),
    Row("limit tightened", listed(TEXT), listed(TEXT, uniqueItems=True), "", "uniqueItems", BREAKING, COMPATIBLE),
    Row("limit loosened", listed(TEXT, uniqueItems=True), listed(TEXT), "uniqueItems", "", COMPATIBLE, BREAKING),
    Row("limit tightened", TEXT, {**TEXT, "pattern": "^a"}, "", "pattern ^a", BREAKING, COMPATIBLE),
    Row("limit loosened", {**TEXT, "pattern": "^a"}, TEXT, "pattern ^a", "", COMPATIBLE, BREAKING),
    Row("limit changed", {**TEXT, "pattern": "^a"}, {**TEXT, "pattern": "^b"}, "pattern ^a", "pattern ^b",
        BREAKING, BREAKING),
    # Media
    Row("became media", TEXT, PHOTO, "", "image", COMPATIBLE, UNREAD),
    Row("media kind changed", PHOTO, {**PHOTO, "format": "video_uri"}, "image", "video", BREAKING, UNREAD),
    Row("media kind changed", PHOTO, TEXT, "image", "", BREAKING, UNREAD),
    Row("limit tightened", ruled(("file_size_mb <=", 10)), ruled(("file_size_mb <=", 5)), "file_size_mb <= 10",
        "file_size_mb <= 5", BREAKING, UNREAD),
    Row("limit loosened", ruled(("width_pixels >=", 300)), ruled(("width_pixels >=", 240)), "width_pixels >= 300",
        "width_pixels >= 240", COMPATIBLE, UNREAD),
    Row("limit tightened", ruled(("height_pixels <=", 900)), ruled(("height_pixels <", 900)), "height_pixels <= 900",
        "height_pixels < 900", BREAKING, UNREAD),
    Row("limit tightened", PHOTO, ruled(("width/height >", 0.4)), "", "width/height > 0.4", BREAKING, UNREAD),
    Row("limit loosened", ruled(("height/width <", 2.5)), PHOTO, "height/width < 2.5", "", COMPATIBLE, UNREAD),
    # Words
    Row("sample changed", {**WHOLE, "default": 1}, {**WHOLE, "default": 2}, "1", "2", COSMETIC, COSMETIC),
    Row("sample changed", TEXT, {**TEXT, "default": "ä"}, "", '"ä"', COSMETIC, COSMETIC),
    Row("sample changed", {**TEXT, "default": "a"}, TEXT, '"a"', "", COSMETIC, COSMETIC),
    Row("text changed", {**TEXT, "description": "A."}, {**TEXT, "description": "B."}, "A.", "B.", COSMETIC, COSMETIC),
    Row("text changed", TEXT, {**TEXT, "title": "Seed"}, "", "Seed", COSMETIC, COSMETIC),
]  # fmt: skip


class Whole(NamedTuple):
    """What no single field shows."""

    rule: str
    old: Json
    new: Json
    """All properties, and the definitions that they refer to."""
    in_input: list[Told]
    in_output: list[Told]


def loras(definition: str) -> Json:
    return {
        "properties": {"loras": listed({"$ref": f"#/$defs/{definition}"})},
        "$defs": {definition: NAMED},
    }


def same_in_both(*told: Told) -> tuple[list[Told], list[Told]]:
    return [*told], [*told]


WHOLES = [
    Whole(
        "field likely renamed",  # the words of the one are among those of the other
        {"properties": {"output_size": WHOLE}},
        {"properties": {"size": WHOLE}},
        *same_in_both(("output_size", "field likely renamed", "output_size", "size", BREAKING)),
    ),
    Whole(
        "field likely renamed",  # alike by name
        {"properties": {"guidance_scale": NUMBER}},
        {"properties": {"guidance_scales": NUMBER}},
        *same_in_both(("guidance_scale", "field likely renamed", "guidance_scale", "guidance_scales", BREAKING)),
    ),
    Whole(
        "field likely renamed",  # of the same meaning
        {"properties": {"cfg": {**NUMBER, "description": "How closely to follow."}}},
        {"properties": {"strength": {**NUMBER, "description": "How closely to follow."}}},
        *same_in_both(("cfg", "field likely renamed", "cfg", "strength", BREAKING)),
    ),
    Whole(
        "field removed",  # alike by name, but of another type
        {"properties": {"output_size": WHOLE}},
        {"properties": {"size": TEXT}},
        *same_in_both(
            ("output_size", "field removed", "int", "", BREAKING), ("size", "field added", "", "str", COMPATIBLE)
        ),
    ),
    Whole(
        "Python name changed",
        {"properties": {"lora-scale": NUMBER}},
        {"properties": {"lora-scale": NUMBER, "lora_scale": NUMBER}},
        *same_in_both(
            ("lora-scale", "Python name changed", "lora_scale", "lora_scale_2", BREAKING),
            ("lora_scale", "field added", "", "float", COMPATIBLE),
        ),
    ),
    Whole(
        "class renamed",
        loras("Lora"),
        loras("Weights"),
        *same_in_both(("loras[]", "class renamed", "Lora", "Weights", BREAKING)),
    ),
]


class ModelRow(NamedTuple):
    rule: str
    old: dict[str, Json]
    new: dict[str, Json]
    """Entries by model id."""
    field: str
    before: str
    after: str
    impact: str


OTHER: Json = {"input_schema": {"type": "object", "properties": {"size": {"type": "integer"}}}}
MODEL_ROWS = [
    ModelRow("model added", {}, {"a/b": SCHEMA}, "", "", "a/b", COMPATIBLE),
    ModelRow("model removed", {"a/b": SCHEMA}, {}, "", "a/b", "", BREAKING),
    ModelRow("model likely renamed", {"a/edit-v1": SCHEMA}, {"a/edit-v2": SCHEMA}, "", "a/edit-v1", "a/edit-v2",
             BREAKING),
    ModelRow("import path changed", {"a/b-2": SCHEMA}, {"a/b-2": {**SCHEMA, "python_path": "a.other"}}, "", "a.b_2",
             "a.other", BREAKING),
    ModelRow("price changed", {"a/b": {**SCHEMA, "base_price_usd": 0.04, "price_unit": "image"}},
             {"a/b": {**SCHEMA, "base_price_usd": 0.05, "price_unit": "image"}}, "", "0.04 USD per image",
             "0.05 USD per image", COMPATIBLE),
    ModelRow("price changed", {"a/b": SCHEMA}, {"a/b": {**SCHEMA, "base_price_usd": 1}}, "", "", "1 USD per request",
             COMPATIBLE),
    *(
        ModelRow("text changed", {"a/b": {**SCHEMA, key: old}}, {"a/b": {**SCHEMA, key: new}}, key, json.dumps(old),
                 json.dumps(new), COSMETIC)
        for key, old, new in (
            ("display_name", "A", "B"), ("description", "Old", "New"), ("categories", ["x"], ["x", "y"]),
            ("kind", "model", "workflow"), ("pricing_note", "cheap", "dear"),
        )
    ),
    ModelRow("text changed", {"a/b": SCHEMA}, {"a/b": {**SCHEMA, "kind": "model"}}, "kind", "", '"model"', COSMETIC),
]  # fmt: skip


def of_files(entries: dict[str, Json]) -> dict[str, SchemaFile]:
    return {
        model_id: SchemaFile(model_id, f"schemas/{model_id}.json", json.dumps(entry).encode())
        for model_id, entry in entries.items()
    }


def entry_of(schema: Json, side: str) -> Json:
    """An entry with a schema on one side, which has at least one field."""
    schema = {"type": "object", **schema, "properties": {"text": TEXT, **schema["properties"]}}
    return {"input_schema": schema} if side == "input" else {**SCHEMA, "output_schema": {"output": schema}}


def told(old: Json, new: Json, side: str) -> list[Told]:
    found = compare(of_files({"a/b": entry_of(old, side)}), of_files({"a/b": entry_of(new, side)}))
    assert found.problems == []
    assert {(change.file, change.model_id, change.side) for change in found.changes} <= {
        ("schemas/a/b.json", "a/b", side)
    }
    return [(change.field, change.rule, change.before, change.after, change.impact.word) for change in found.changes]


def field_x(schema: Json | None) -> Json:
    return {"properties": {} if schema is None else {"x": schema}}


# Rules


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.rule}: {row.before} - {row.after}")
def test_a_change_of_a_field_is_told_by_its_rule(row: Row, side: str) -> None:
    impact = row.in_input if side == "input" else row.in_output
    expected = [] if impact == UNREAD else [(row.field, row.rule, row.before, row.after, impact)]

    assert told(field_x(row.old), field_x(row.new), side) == expected


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize("row", WHOLES, ids=lambda row: row.rule)
def test_a_change_of_several_fields_is_told_by_its_rules(row: Whole, side: str) -> None:
    assert told(row.old, row.new, side) == (row.in_input if side == "input" else row.in_output)


@pytest.mark.parametrize("row", MODEL_ROWS, ids=lambda row: f"{row.rule} {row.field}")
def test_a_change_of_a_model_is_told_by_its_rule(row: ModelRow) -> None:
    found = compare(of_files(row.old), of_files(row.new))

    assert found.problems == []
    assert [
        (change.side, change.field, change.rule, change.before, change.after, change.impact.word)
        for change in found.changes
    ] == [("model", row.field, row.rule, row.before, row.after, row.impact)]


def test_every_rule_has_a_row() -> None:
    assert {row.rule for row in ROWS} | {row.rule for row in WHOLES} == set(RULES)
    assert {row.rule for row in MODEL_ROWS} == set(MODEL_RULES)


def test_an_unlike_model_in_the_place_of_another_is_no_renamed_one() -> None:
    found = compare(of_files({"a/edit-v1": SCHEMA}), of_files({"a/edit-v2": OTHER, "b/edit-v1": SCHEMA}))

    assert [(change.model_id, change.rule) for change in found.changes] == [
        ("a/edit-v1", "model removed"),
        ("a/edit-v2", "model added"),
        ("b/edit-v1", "model added"),
    ]


def test_a_renamed_model_is_compared_with_what_it_was() -> None:
    old = entry_of({"properties": {"a": TEXT, "b": TEXT, "c": TEXT, "d": {**TEXT, "maxLength": 5}}}, "input")
    new = entry_of({"properties": {"a": TEXT, "b": TEXT, "c": TEXT, "d": {**TEXT, "maxLength": 4}}}, "input")

    found = compare(of_files({"a/edit-v1": old}), of_files({"a/edit-v2": new}))

    assert [(change.model_id, change.field, change.rule) for change in found.changes] == [
        ("a/edit-v2", "", "model likely renamed"),
        ("a/edit-v2", "d", "limit tightened"),
    ]


# What means the same


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"x": {"type": "float"}}, {"x": NUMBER}),
        ({"x": {"type": "int"}}, {"x": WHOLE}),
        ({"x": {"type": ["string", "null"]}}, {"x": {"anyOf": [{"type": "null"}, TEXT]}}),
        ({"x": {"anyOf": [TEXT, WHOLE]}}, {"x": {"oneOf": [WHOLE, TEXT]}}),
        ({"x": TEXT, "y": WHOLE}, {"y": WHOLE, "x": TEXT}),
        ({"x": {"type": "string", "maxLength": 5}}, {"x": {"maxLength": 5.0, "type": "string"}}),
        ({"x": {"enum": ["a", "b"]}}, {"x": {"type": "string", "enum": ["b", "a"]}}),
        ({"x": {"type": "number", "minimum": 1, "exclusiveMinimum": True}}, {"x": {**NUMBER, "exclusiveMinimum": 1}}),
        ({"x": TEXT}, {"x": {**TEXT, "x-order": 3, "examples": ["a"]}}),
        ({"x": {**TEXT, "description": "Two  words"}}, {"x": {**TEXT, "description": " Two\nwords"}}),
    ],
    ids=str,
)  # fmt: skip
def test_nothing_is_told_of_what_means_the_same(old: Json, new: Json, side: str) -> None:
    assert told({"properties": old}, {"properties": new}, side) == []


def test_nothing_is_told_of_formatting_and_unknown_keys() -> None:
    plain = json.dumps(SCHEMA).encode()
    other = b"\xef\xbb\xbf" + json.dumps({"zzz": 1, **SCHEMA, "model_id": "a/b"}, indent=4).encode()

    found = compare({"a/b": SchemaFile("a/b", "b.json", plain)}, {"a/b": SchemaFile("a/b", "b.json", other)})

    assert (found.changes, found.problems) == ([], [])


# The command


def limited(most: int, **more: Any) -> Json:
    return {"input_schema": {"type": "object", "properties": {"steps": {"type": "integer", "maximum": most}}}, **more}


def written(file: Path, entry: Json) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(entry))
    return file


TIGHTENED = (
    "acme/fine (schemas/acme/fine.json)\n"
    "  breaking    input steps: limit tightened, maximum 50 → maximum 30\n"
    "1 breaking, 0 compatible, 0 cosmetic: asks for a major version\n"
)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder ``old``, and the folder of schemas that it became."""
    written(tmp_path / "old/acme/fine.json", limited(50))
    add_schema(tmp_path, "acme/fine", limited(30))
    return tmp_path


def test_two_folders(folders: Path) -> None:
    written(folders / "old/acme/gone.json", SCHEMA)
    add_schema(folders, "acme/zebra-crossing", OTHER)

    done = codegen("diff", "old", "schemas", cwd=folders)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "acme/fine (schemas/acme/fine.json)\n"
        "  breaking    input steps: limit tightened, maximum 50 → maximum 30\n"
        "acme/gone (old/acme/gone.json)\n"
        "  breaking    model removed\n"
        "acme/zebra-crossing (schemas/acme/zebra-crossing.json)\n"
        "  compatible  model added\n"
        "2 breaking, 1 compatible, 0 cosmetic: asks for a major version\n"
    )


def test_the_new_side_is_the_folder_of_schemas(folders: Path) -> None:
    (folders / "schemas").rename(folders / "mine")

    done = codegen("diff", "old", "--schemas", "mine", cwd=folders)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == TIGHTENED.replace("schemas/", "mine/")


def test_the_gravest_change_of_a_model_is_told_first(folders: Path) -> None:
    written(folders / "old/acme/fine.json", limited(50, kind="model", base_price_usd=1))
    add_schema(folders, "acme/fine", limited(30, kind="workflow", base_price_usd=2))

    lines = codegen("diff", "old", cwd=folders).stdout.splitlines()

    assert [line.split()[0] for line in lines[1:4]] == ["breaking", "compatible", "cosmetic"]
    assert lines[4] == "1 breaking, 1 compatible, 1 cosmetic: asks for a major version"


@pytest.mark.parametrize("known", [True, False], ids=["with a model_id", "without one"])
def test_two_files(tmp_path: Path, known: bool) -> None:
    more = {"model_id": "acme/fine"} if known else {}
    written(tmp_path / "fine.json", limited(50, **more))
    written(tmp_path / "other.json", limited(30, **more))

    done = codegen("diff", "fine.json", "other.json", cwd=tmp_path)

    model_id = "acme/fine" if known else "other"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == TIGHTENED.replace("acme/fine (schemas/acme/fine.json)", f"{model_id} (other.json)")


def test_a_file_against_a_folder_is_about_its_models_only(folders: Path) -> None:
    add_schema(folders, "acme/other")
    written(folders / "saved.json", limited(50, model_id="acme/fine"))

    assert codegen("diff", "saved.json", cwd=folders).stdout == TIGHTENED


def test_a_folder_against_a_file_is_about_its_models_only(folders: Path) -> None:
    written(folders / "old/acme/other.json", SCHEMA)

    done = codegen("diff", "old", "schemas/acme/fine.json", cwd=folders)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == TIGHTENED


@pytest.mark.parametrize("format_", ["text", "markdown"])
def test_nothing_has_changed(tmp_path: Path, format_: str) -> None:
    add_schema(tmp_path, "acme/fine")

    done = codegen("diff", "schemas", "--format", format_, "--fail-on", "cosmetic", cwd=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing has changed for callers\n", "")


def test_nothing_has_changed_as_json(tmp_path: Path) -> None:
    add_schema(tmp_path, "acme/fine")

    done = codegen("diff", "schemas", "--format", "json", cwd=tmp_path)

    counts = {"breaking": 0, "compatible": 0, "cosmetic": 0}
    assert json.loads(done.stdout) == {"bump": None, "counts": counts, "changes": [], "problems": []}


def test_changes_as_json(folders: Path) -> None:
    done = codegen("diff", "old", "--format", "json", cwd=folders)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "bump": "major",
        "counts": {"breaking": 1, "compatible": 0, "cosmetic": 0},
        "changes": [
            {
                "file": "schemas/acme/fine.json",
                "model_id": "acme/fine",
                "side": "input",
                "field": "steps",
                "rule": "limit tightened",
                "before": "maximum 50",
                "after": "maximum 30",
                "impact": "breaking",
            }
        ],
        "problems": [],
    }


def test_changes_as_markdown(folders: Path) -> None:
    written(folders / "old/acme/fine.json", limited(50, base_price_usd=1))
    written(folders / "old/acme/gone.json", SCHEMA)
    written(folders / "old/acme/told.json", {**SCHEMA, "kind": "model"})
    add_schema(folders, "acme/told")
    add_schema(folders, "acme/zebra-crossing", OTHER)

    done = codegen("diff", "old", "--format", "markdown", cwd=folders)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "2 breaking, 2 compatible, 1 cosmetic: asks for a major version\n"
        "\n"
        "### Removed\n"
        "\n"
        "- **Breaking:** `acme/gone`: model removed\n"
        "\n"
        "### Added\n"
        "\n"
        "- `acme/zebra-crossing`: model added\n"
        "\n"
        "### Changed\n"
        "\n"
        "- `acme/fine`: price changed, `1 USD per request` → none\n"
        "- **Breaking:** `acme/fine` input `steps`: limit tightened, `maximum 50` → `maximum 30`\n"
        "\n"
        "### Only texts and samples\n"
        "\n"
        "- `acme/told`\n"
    )


def test_no_text_of_a_schema_breaks_out_of_markdown(tmp_path: Path) -> None:
    pattern = "`a``\n# Heading"
    written(tmp_path / "old/a.json", entry_of({"properties": {"x`\n- y": TEXT}}, "input"))
    add_schema(tmp_path, "a", entry_of({"properties": {"x`\n- y": {**TEXT, "pattern": pattern}}}, "input"))

    done = codegen("diff", "old", "--format", "markdown", cwd=tmp_path)

    assert done.stdout.splitlines()[4:] == [
        "- **Breaking:** `a` input ``x`\\n- y``: limit tightened, none → ```pattern `a``\\n# Heading```"
    ]


def test_no_text_of_a_schema_breaks_a_line_of_a_terminal(tmp_path: Path) -> None:
    written(tmp_path / "old/a.json", entry_of({"properties": {"x\n\x1b[2J": TEXT}}, "input"))
    add_schema(tmp_path, "a", entry_of({"properties": {}}, "input"))

    lines = codegen("diff", "old", cwd=tmp_path).stdout.splitlines()

    assert lines[1] == "  breaking    input x\\n\\x1b[2J: field removed, str"


CHANGED: dict[str, tuple[Json, Json, str]] = {
    BREAKING: (limited(50), limited(30), "major"),
    COMPATIBLE: (limited(30), limited(50), "minor"),
    COSMETIC: (limited(30), limited(30, kind="model"), "patch"),
}


@pytest.mark.parametrize("fail_on", [BREAKING, COMPATIBLE, COSMETIC])
@pytest.mark.parametrize("impact", CHANGED)
def test_it_fails_on_such_a_change_or_a_graver_one(tmp_path: Path, impact: str, fail_on: str) -> None:
    old, new, bump = CHANGED[impact]
    written(tmp_path / "old/a.json", old)
    add_schema(tmp_path, "a", new)

    done = codegen("diff", "old", "--fail-on", fail_on, cwd=tmp_path)

    assert done.stdout.endswith(f": asks for a {bump} version\n")
    gravity = [COSMETIC, COMPATIBLE, BREAKING]
    assert (done.returncode, done.stderr) == (int(gravity.index(impact) >= gravity.index(fail_on)), "")


# Revisions


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def committed(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--message", "A state")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with ``acme/fine`` committed, and tightened since."""
    git(tmp_path, "init", "--quiet")
    add_schema(tmp_path, "acme/fine", limited(50))
    add_schema(tmp_path, "acme/same")
    committed(tmp_path)
    add_schema(tmp_path, "acme/fine", limited(30))
    return tmp_path


def test_a_revision_against_the_working_folder(repository: Path) -> None:
    done = codegen("diff", "HEAD", cwd=repository)

    assert (done.returncode, done.stdout, done.stderr) == (0, TIGHTENED, "")


@pytest.mark.parametrize("old", ["HEAD~1", "HEAD~1:schemas", "HEAD~1:schemas/"])
@pytest.mark.parametrize("new", ["HEAD", "HEAD:schemas"])
def test_two_revisions(repository: Path, old: str, new: str) -> None:
    committed(repository)
    add_schema(repository, "acme/fine", limited(10))

    done = codegen("diff", old, new, cwd=repository)

    assert (done.returncode, done.stdout, done.stderr) == (0, TIGHTENED, "")


def test_a_revision_with_another_folder(repository: Path) -> None:
    git(repository, "mv", "schemas", "former")
    git(repository, "commit", "--message", "Moved")
    add_schema(repository, "acme/fine", limited(25))
    add_schema(repository, "acme/same")

    done = codegen("diff", "HEAD:former", cwd=repository)

    assert (done.returncode, done.stdout, done.stderr) == (0, TIGHTENED.replace("maximum 30", "maximum 25"), "")


def test_a_revision_from_a_folder_inside_of_the_repository(repository: Path) -> None:
    (repository / "inner").mkdir()

    done = codegen("diff", "HEAD", "--schemas", "../schemas", cwd=repository / "inner")

    assert (done.returncode, done.stdout, done.stderr) == (0, TIGHTENED, "")


def test_a_file_against_a_revision(repository: Path) -> None:
    done = codegen("diff", "HEAD", "schemas/acme/fine.json", cwd=repository)

    assert (done.returncode, done.stdout, done.stderr) == (0, TIGHTENED, "")


def test_hidden_files_and_other_files_of_a_revision_are_passed_over(repository: Path) -> None:
    written(repository / "schemas/.cache/a.json", SCHEMA)
    (repository / "schemas/notes.txt").write_text("x")
    committed(repository)

    done = codegen("diff", "HEAD", cwd=repository)

    assert (done.stdout, done.stderr) == ("nothing has changed for callers\n", "")


# What cannot be compared


def test_neither_folder_nor_file_nor_revision(repository: Path) -> None:
    done = codegen("diff", "nowhere", cwd=repository)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "nowhere: is no folder, no file and no git revision here\n"


def test_a_revision_is_no_option_of_git(repository: Path) -> None:
    done = codegen("diff", "--", "--output=made", cwd=repository)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("--output=made: is no folder, no file and no git revision here")
    assert not (repository / "made").exists()


def test_a_revision_without_schemas_in_the_folder(repository: Path) -> None:
    done = codegen("diff", "HEAD:elsewhere", cwd=repository)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "HEAD:elsewhere: has no schema files in elsewhere\n"


def test_outside_of_a_repository(folders: Path) -> None:
    done = codegen("diff", "HEAD", cwd=folders, GIT_CEILING_DIRECTORIES=str(folders.parent))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("HEAD: is no folder, no file and no git revision here (fatal: not a git repository")


def test_schemas_outside_of_the_repository(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere").resolve()
    written(elsewhere / "a.json", SCHEMA)

    done = codegen("diff", "HEAD", "--schemas", elsewhere, cwd=repository)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"{elsewhere}: is not in the git repository {repository.resolve()}, so it has no revisions there\n"
    )


@pytest.mark.parametrize("side", ["old", "schemas"])
@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_broken_schema_is_reported_and_the_others_are_compared(folders: Path, side: str, format_: str) -> None:
    written(folders / "old/acme/broken.json", SCHEMA)
    add_schema(folders, "acme/broken", OTHER)
    (folders / side / "acme/broken.json").write_text("{")

    done = codegen("diff", "old", "--format", format_, cwd=folders)

    reason = "Expecting property name enclosed in double quotes"
    assert (done.returncode, done.stderr) == (1, f"{side}/acme/broken.json:1:2: {reason}\n")
    if format_ == "text":
        assert done.stdout == TIGHTENED
    else:
        report = json.loads(done.stdout)
        assert [change["model_id"] for change in report["changes"]] == ["acme/fine"]
        assert report["problems"] == [
            {"file": f"{side}/acme/broken.json", "pointer": "", "reason": reason, "position": "1:2"}
        ]


def test_a_broken_file_is_reported(folders: Path) -> None:
    (folders / "saved.json").write_text("")

    done = codegen("diff", "saved.json", cwd=folders)

    assert (done.returncode, done.stdout, done.stderr) == (1, "", "saved.json: is empty\n")


def test_a_symbolic_link_in_a_revision_is_reported(repository: Path) -> None:
    (repository / "schemas/acme/link.json").symlink_to("same.json")
    committed(repository)
    (repository / "schemas/acme/link.json").unlink()

    done = codegen("diff", "HEAD", cwd=repository)

    assert (done.returncode, done.stdout) == (1, "nothing has changed for callers\n")
    assert done.stderr == "schemas/acme/link.json: is a symbolic link in HEAD\n"


def test_a_model_that_cannot_be_read_any_more_is_not_said_to_be_removed(folders: Path) -> None:
    written(folders / "old/acme/same.json", SCHEMA)
    written(folders / "old/linked/same.json", SCHEMA)
    (folders / "schemas/acme/same.json").symlink_to("../../elsewhere.json")
    (folders / "schemas/linked").symlink_to("../old/linked", target_is_directory=True)

    done = codegen("diff", "old", cwd=folders)
    back = codegen("diff", "schemas", "old", cwd=folders)

    assert (done.returncode, back.returncode) == (1, 1)
    assert "schemas/acme/same.json: leads to " in done.stderr
    assert "schemas/linked: is a symbolic link to a folder; none is followed\n" in done.stderr
    assert "model" not in done.stdout
    assert "model" not in back.stdout


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"type": "integer", "minimum": 1}, {"type": "integer", "exclusiveMinimum": 0}, []),
        (TEXT, {**TEXT, "minLength": 0}, []),
        (listed(TEXT, minItems=0), listed(TEXT), []),
        ({"enum": [1, 2]}, {"type": "number"}, ["type widened"]),
        ({"type": "number"}, {"enum": [1, 2]}, ["type narrowed"]),
    ],
)
@pytest.mark.parametrize("side", ["input", "output"])
def test_nothing_is_told_twice_and_what_limits_nothing_not_at_all(
    old: Json, new: Json, expected: list[str], side: str
) -> None:
    before, after = (entry_of({"properties": {"x": schema}}, side) for schema in (old, new))

    found = compare(of_files({"a/b": before}), of_files({"a/b": after}))

    assert [change.rule for change in found.changes] == expected


def test_the_text_of_a_definition_is_told_once() -> None:
    def with_text(text: str) -> Json:
        lora = {**NAMED, "description": text}
        properties = {"loras": listed({"$ref": "#/$defs/Lora"})}
        return {"input_schema": {"type": "object", "properties": properties, "$defs": {"Lora": lora}}}

    found = compare(of_files({"a/b": with_text("Old.")}), of_files({"a/b": with_text("New.")}))

    assert [(change.field, change.rule, change.before, change.after) for change in found.changes] == [
        ("loras[]", "text changed", "Old.", "New.")
    ]
