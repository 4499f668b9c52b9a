"""A saved API page in, the model's id and schemas out, and nothing else: what the page says in words is not read.

A schema is a JSON object that stands by itself, never one from the inside of another value or of a sample. Its text is
split at fences and headings first, so that what is broken spoils no more than its own part of the page.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from .errors import Problem, SchemaError
from .html_text import FENCE, Text, is_html, plain_text, visible_text
from .load import parse_text

_INPUT = ("input", "eingabe", "entrada", "entrée", "entree", "ingresso", "入力", "입력", "вход", "ввод", "输入", "輸入")
_OUTPUT = (
    *("output", "ausgabe", "salida", "saída", "saida", "sortie", "uscita"),
    *("出力", "출력", "выход", "вывод", "输出", "輸出"),
)
_LONGEST_HEADING = 60
_OPTION = 200  # characters in which the option of a body stands
_NEAR = 3  # lines: between a heading and its schema there may be the name of the language, or of a button

# Zero-width and no-break spaces, which pages indent with.
_ODD_SPACES = "\u00a0\u202f\u200b-\u200d\u2060\ufeff"
_GAP = rf"[\s{_ODD_SPACES}]*"
_STRING = r'"(?:[^"\\\n]+|\\.)*+"?'
_FENCE = re.compile(rf"^[ \t>]*(?:{FENCE}|~~~)[^\n]*$", re.MULTILINE)
_LINE = re.compile(rf'(?:^|(?<=}}))[^\n{{}}"]{{1,{_LONGEST_HEADING}}}$', re.MULTILINE)
_OPENS = re.compile(rf'\{{(?={_GAP}(?:["\\]|\Z))')
_BRACES = re.compile(rf"{_STRING}|\\.|[{{}}]")
# A quote at the end of a line closes a sample, unless it stands behind the option of a body.
_INSIDE = re.compile(
    rf"""(?:['"][ \t]*|(?:[=(\[,]|":|(?:(?<!\S)-d|--data[a-z-]*|--json)[\s=]*\$?['"]?|<<-?['"]?\w+['"]?){_GAP})\Z"""
)
_GOES_ON = re.compile(rf"{_GAP}([,:}}\]])")
_ODD = re.compile(rf"({_STRING})|[{_ODD_SPACES}]")

_TYPES = set("string str integer int number float double boolean bool array list object dict null".split())
_COMBINATIONS = ("allOf", "anyOf", "oneOf")
_SAYS_SCHEMA = re.compile(
    rf'"(?:properties"{_GAP}:{_GAP}\{{|(?:allOf|anyOf|oneOf)"{_GAP}:{_GAP}\[|\$ref"{_GAP}:'
    rf'|type"{_GAP}:{_GAP}\[?{_GAP}"(?:{"|".join(sorted(_TYPES))})")',
    re.IGNORECASE,
)
_SAYS_ANSWER = re.compile(rf'"(?:request_id|status)"{_GAP}:{_GAP}"')

_COMMAND = re.compile(r"(?:[^\n]*[\\^`][^\S\n]*\n)*+[^\n]*")
_SUBMIT = re.compile(r"""https?://[^\s/'"]+/v1/models/((?:[A-Za-z0-9_.-]++/?)++)(?![{<%$])""")
_METHOD = re.compile(r"""(?:(?<!\S)-X|--request)[\s=]*['"]?([A-Za-z]+)""")

_LOOKED_FOR = 'looked for a JSON object with "type" or "properties", as behind the heading "Input schema"'
_UNLOADED = "save the page from the browser after it has loaded"


@dataclass(frozen=True)
class Page:
    """What a saved API page says of a model."""

    model_ids: tuple[str, ...]
    """The ids that the page's curl lines submit to, each once, in order of appearance."""
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None
    """None where the page has none."""


class _Block(NamedTuple):
    """What may be a JSON object that stands by itself: where it is, and what is said before it."""

    start: int
    end: int
    closed: bool
    role: str
    """``"input"`` or ``"output"``, as its heading says, ``"sample"``, or nothing."""


class _Candidate(NamedTuple):
    start: int
    role: str
    schema: dict[str, Any]


def read_page(text: str, source: str) -> Page:
    """Read a page that was saved as text, Markdown or HTML. `SchemaError` says what keeps it from being read."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    html = is_html(text)
    page = visible_text(text) if html else plain_text(text)
    seen = str(page)
    blocks = list(_blocks(seen))
    candidates = [found for block in blocks for found in _candidates(seen, block, page, source)]
    inputs, outputs = _told_apart(candidates)
    if not inputs:
        unloaded = f"; {_UNLOADED}" if html and not outputs else ""
        raise SchemaError(Problem(source, "", f"has no input schema: {_LOOKED_FOR}{unloaded}"))
    _refuse_several(inputs, "input", page, source)
    _refuse_several(outputs, "output", page, source)
    return Page(_model_ids(seen, blocks), inputs[0].schema, outputs[0].schema if outputs else None)


def _blocks(text: str) -> Iterator[_Block]:
    """Every outermost ``{…}`` that begins like JSON. One that is never closed takes the rest of its section."""
    told = 0
    for at, limit in _sections(text):
        start = at
        while opening := _OPENS.search(text, start, limit):
            end = _closing(text, opening.start(), limit)
            before = text[told : opening.start()]
            told = start = end or limit
            role = "sample" if _INSIDE.search(before[-_OPTION:]) else _role(before)
            yield _Block(opening.start(), start, end is not None, role)


def _sections(text: str) -> Iterator[tuple[int, int]]:
    """Where the parts between fences and headings begin and end; no JSON can hold either."""
    headings = {line.start() for line in _LINE.finditer(text) if _roles(line[0])}
    borders = [0, *sorted(headings | {fence.start() for fence in _FENCE.finditer(text)}), len(text)]
    return pairwise(borders)


def _closing(text: str, start: int, limit: int) -> int | None:
    depth = 0
    for token in _BRACES.finditer(text, start, limit):
        depth += (token[0] == "{") - (token[0] == "}")
        if not depth:
            return token.end()
    return None


def _role(before: str) -> str:
    """Which schema the lines right before a block announce, if they agree."""
    lines = [line for line in _FENCE.sub("", before).split("\n") if line.strip()]
    roles = {role for line in lines[-_NEAR:] if len(line) <= _LONGEST_HEADING for role in _roles(line)}
    return roles.pop() if len(roles) == 1 else ""


def _roles(line: str) -> set[str]:
    """``"## Input schema"`` -> ``{"input"}``."""
    words = unicodedata.normalize("NFKC", line).casefold()
    return {role for role, stems in (("input", _INPUT), ("output", _OUTPUT)) if any(stem in words for stem in stems)}


def _candidates(text: str, block: _Block, page: Text, source: str) -> Iterator[_Candidate]:
    """The schema in a block, if it holds one; an error, if it should hold one and is broken."""
    content = text[block.start : block.end]
    if block.role == "sample" or not _may_be_schema(content, block):
        return
    value = _parsed(content, block, page, source)
    if further := _GOES_ON.match(text, block.end):
        raise SchemaError(Problem(source, "", "Extra data", page.position(further.start(1))))
    if len(value) == 1 and _is_schema(value.get("output")):
        yield _Candidate(block.start, "output", value)
    elif _is_schema(value) if block.role == "output" else _describes_object(value):
        yield _Candidate(block.start, block.role, value)


def _may_be_schema(content: str, block: _Block) -> bool:
    """Whether a block says so, or is cut off before it could."""
    return bool(_SAYS_SCHEMA.search(content)) or not (block.closed or _SAYS_ANSWER.search(content))


def _parsed(content: str, block: _Block, page: Text, source: str) -> dict[str, Any]:
    content = _ODD.sub(lambda match: match[1] or " ", content)
    try:
        value: dict[str, Any] = parse_text(content, source)
    except SchemaError as error:
        placed = [replace(one, position=_position(one.position, content, block.start, page)) for one in error.problems]
        raise SchemaError(*placed) from None
    return value


def _position(position: str, content: str, start: int, page: Text) -> str:
    """Where in the file that place of a block is, or the block, if what is wrong has no place."""
    line, column = map(int, (position or "1:1").split(":"))
    before = content.split("\n")[: line - 1]
    return page.position(start + sum(len(part) + 1 for part in before) + column - 1)


def _is_schema(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    types = value.get("type")
    return _describes_object(value) or (bool(_names(types)) and _names(types) <= _TYPES)


def _describes_object(value: dict[str, Any]) -> bool:
    return (
        isinstance(value.get("properties"), dict)
        or bool(_names(value.get("type")) & {"object", "dict"})
        or isinstance(value.get("$ref"), str)
        or any(isinstance(value.get(key), list) for key in _COMBINATIONS)
    )


def _names(types: Any) -> set[str]:
    return {str(name).lower() for name in (types if isinstance(types, list) else [types])}


def _told_apart(candidates: list[_Candidate]) -> tuple[list[_Candidate], list[_Candidate]]:
    """The different input schemas, and the different output schemas: by heading, by shape, by order."""
    inputs, outputs = (_distinct([one for one in candidates if one.role == role]) for role in ("input", "output"))
    known = {repr(one.schema) for one in (*inputs, *outputs)}
    others = _distinct([one for one in candidates if not one.role and repr(one.schema) not in known])
    if not inputs and len(others) == 2 and not outputs:
        return others[:1], others[1:]
    if not inputs:
        return others, outputs
    after = [one for one in others if one.start > inputs[0].start]
    return inputs, outputs or after


def _distinct(candidates: list[_Candidate]) -> list[_Candidate]:
    """Each schema once: a page may show it for wide screens and for narrow ones."""
    return list({repr(one.schema): one for one in reversed(candidates)}.values())[::-1]


def _refuse_several(found: list[_Candidate], role: str, page: Text, source: str) -> None:
    if len(found) > 1:
        lines = [page.position(one.start).partition(":")[0] for one in found]
        reason = f"has several {role} schemas, and nothing tells which is the model's: lines {', '.join(lines)}"
        raise SchemaError(Problem(source, "", reason, page.position(found[1].start)))


def _model_ids(text: str, blocks: list[_Block]) -> tuple[str, ...]:
    """The ids in the URLs of curl lines; what stands in a body is no command."""
    ends = [0, *(block.end for block in blocks)]
    starts = [*(block.start for block in blocks), len(text)]
    outside = "{}".join(text[end:start] for end, start in zip(ends, starts, strict=True))
    found = (_submitted(following) for following in re.split(r"\bcurl\b", outside)[1:])
    return tuple(dict.fromkeys(filter(None, found)))


def _submitted(following: str) -> str:
    """``" -X POST https://host/v1/models/a/b"`` -> ``"a/b"``; nothing, if it submits to no model."""
    match = _COMMAND.match(following)
    command = match[0] if match else ""
    method, url = _METHOD.search(command), _SUBMIT.search(command)
    if url is None or (method and method[1].upper() != "POST"):
        return ""
    model_id = url[1].rstrip("./")
    unusable = model_id == "categories" or any(not segment.strip(".") for segment in model_id.split("/"))
    return "" if unusable else model_id
