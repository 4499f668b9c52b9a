"""What people have at hand of a model, as catalog entries: a saved page, an entry, a whole catalog, a bare schema."""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .errors import Place, Problem, SchemaError, pointer
from .load import kind_of, parse, read_bytes, schema_of
from .model_ids import problem_of
from .pages import read_page

Entry = dict[str, Any]
STANDARD_INPUT = "-"
_MOST_BYTES = 256 * 1024 * 1024  # a catalog holds thousands of schemas
_JSON = re.compile(r"\s*(?:\{|\[\s*[\[{\]])")
_EXPECTED = "a saved API page, a catalog entry, a catalog answer or an input schema is expected"


def gather(sources: Iterable[str], model_id: str | None = None) -> tuple[list[Entry], list[Problem]]:
    """The entries in all sources, ``-`` being standard input, and what is wrong with the others."""
    by_id: dict[str, tuple[Entry, str]] = {}
    disputed: set[str] = set()
    problems: list[Problem] = []
    for source in sources:
        try:
            name, content = read(source)
            found, wrong = entries(name, content, model_id)
        except SchemaError as error:
            problems.extend(error.problems)
            continue
        problems += wrong
        for entry in found:
            first, other = by_id.setdefault(entry["model_id"], (entry, name))
            if not same(first, entry):
                problems.append(Problem(name, "", f"has another schema for {entry['model_id']} than {other}"))
                disputed.add(entry["model_id"])
    return [entry for key, (entry, _) in by_id.items() if key not in disputed], problems


def read(source: str) -> tuple[str, bytes]:
    """The name for errors, and the content, of a file or of standard input."""
    if source == STANDARD_INPUT:
        return "standard input", sys.stdin.buffer.read()
    return source, read_bytes(Path(source), source, _MOST_BYTES)


def entries(name: str, content: bytes, model_id: str | None = None) -> tuple[list[Entry], list[Problem]]:
    """The entries in one source, each with its ``model_id`` and ``input_schema``, and what is wrong with others.

    Args:
        name: How the source is named in errors.
        content: What is in it.
        model_id: Of a catalog, the only model that is wanted; of anything else, its id.

    Raises:
        SchemaError: it is of no known kind, or cannot be used as a whole.
    """
    text = _text(name, content)
    if not _JSON.match(text):
        return [_of_page(text, name, model_id)], []
    value = parse(content, name)
    if isinstance(value, list):
        return _of_catalog(value, (), name, model_id)
    if isinstance(value.get("models"), list):
        return _of_catalog(value["models"], ("models",), name, model_id)
    if "input_schema" in value:
        return [_checked({**value, **_given(model_id)}, (), name)], []
    if not value.keys() & {"properties", "anyOf", "oneOf", "allOf", "$ref"} and value.get("type") != "object":
        raise SchemaError(Problem(name, "", f"is JSON, but of no known kind: {_EXPECTED}"))
    return [_checked({"input_schema": value, **_given(model_id)}, (), name)], []


def _text(name: str, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SchemaError(Problem(name, "", f"is not UTF-8 text (byte {error.start}): {_EXPECTED}")) from None
    if not text.strip():
        raise SchemaError(Problem(name, "", "is empty"))
    return text


def _given(model_id: str | None) -> Entry:
    return {} if model_id is None else {"model_id": model_id}


def _of_page(text: str, name: str, model_id: str | None) -> Entry:
    page = read_page(text, name)
    ids = list(page.model_ids) if model_id is None else [model_id]
    if not ids:
        raise SchemaError(Problem(name, "", "has no curl line that says which model it is about; give --model-id"))
    if len(ids) > 1:
        raise SchemaError(Problem(name, "", f"is about more than one model: {', '.join(ids)}; give --model-id"))
    output = {} if page.output_schema is None else {"output_schema": page.output_schema}
    return _checked({"model_id": ids[0], "input_schema": page.input_schema, **output}, (), name)


def _of_catalog(rows: list[Any], at: Place, name: str, model_id: str | None) -> tuple[list[Entry], list[Problem]]:
    found, problems = checked(rows, name, at, model_id)
    if not found and not problems:
        raise SchemaError(Problem(name, pointer(*at), f"has no entry of {model_id or 'any model'}"))
    return found, problems


def checked(
    rows: list[Any], name: str, at: Place = (), model_id: str | None = None
) -> tuple[list[Entry], list[Problem]]:
    """The entries of a catalog, or only of one of its models, that can be used; and what is wrong with the others."""
    by_id: dict[str, Entry] = {}
    disputed: set[str] = set()
    problems: list[Problem] = []
    for index, row in enumerate(rows):
        if model_id is not None and not (isinstance(row, dict) and row.get("model_id") == model_id):
            continue
        try:
            entry = _checked(row, (*at, index), name)
        except SchemaError as error:
            problems.extend(error.problems)
            continue
        if not same(by_id.setdefault(entry["model_id"], entry), entry):
            reason = f"{entry['model_id']!r} has an entry before this one, with other content"
            problems.append(Problem(name, pointer(*at, index), reason))
            disputed.add(entry["model_id"])
    return [entry for key, entry in by_id.items() if key not in disputed], problems


def same(one: Entry, other: Entry) -> bool:
    """Whether two entries are the same JSON; to Python, 1 and 1.0 and True are one."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _checked(entry: Any, at: Place, name: str) -> Entry:
    """An entry that has what a schema file needs."""
    if not isinstance(entry, dict):
        raise SchemaError(Problem(name, pointer(*at), f"is {kind_of(entry)}, not a catalog entry"))
    model_id = entry.get("model_id")
    if "model_id" not in entry and not at:
        raise SchemaError(Problem(name, "", "does not say of which model it is; give --model-id"))
    if not isinstance(model_id, str):
        reason = "is missing" if "model_id" not in entry else f"is {kind_of(model_id)}, not a text"
        raise SchemaError(Problem(name, pointer(*at, "model_id"), reason))
    if wrong := problem_of(model_id):
        raise SchemaError(Problem(name, pointer(*at, "model_id"), f"{model_id!r} {wrong}"))
    return schema_of(entry, model_id, name, at).entry
