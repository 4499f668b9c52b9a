"""Saved API pages: what is read off them, what is passed over, and what is refused with its place."""

import html
import json
from typing import Any

import pytest
from conftest import REFERENCE, REPOSITORY
from hypothesis import given
from hypothesis import strategies as st
from runcomfy_codegen.errors import SchemaError
from runcomfy_codegen.pages import Page, read_page

INPUT = {
    "type": "object",
    "title": "modelApiDoc_navInputSchema",
    "required": ["text"],
    "properties": {"text": {"type": "string", "description": "a } and a { < &"}, "size": {"type": "int", "default": 5}},
}
OUTPUT = {"output": {"type": "object", "properties": {"clip": {"type": "string"}}}}
PLAIN_OUTPUT = {"type": "object", "properties": {"clip": {"type": "string"}}}
OTHER = {"type": "object", "properties": {"other": {"type": "number"}}}
CURL = "curl --request POST \\\n  --url https://model-api.runcomfy.net/v1/models/acme/v1.5/Edit_it \\\n"
SAMPLE = f'{CURL}  --data \'{{\n    "text": "hello"\n  }}\''
KINDS = ["text", "run together", "markdown", "html"]
HEADINGS = {
    "english": ("Input schema", "Output schema"),
    "german": ("Eingabeschema", "Ausgabeschema"),
    "spanish": ("Esquema de entrada", "Esquema de salida"),
    "french": ("Schéma d'entrée", "Schéma de sortie"),
    "portuguese": ("Esquema de entrada", "Esquema de saída"),
    "italian": ("Schema di ingresso", "Schema di uscita"),
    "japanese": ("入力スキーマ", "出力スキーマ"),
    "korean": ("입력 스키마", "출력 스키마"),
    "russian": ("Схема входных данных", "Схема выходных данных"),
    "simplified": ("输入结构", "输出结构"),
    "traditional": ("輸入結構", "輸出結構"),
    "keys": ("modelApiDoc_navInputSchema", "modelApiDoc_navOutputSchema"),
    "none": ("", ""),
}


def page(kind: str, *parts: tuple[str, str]) -> str:
    """A page with some code parts, each behind its heading, and prose around them."""
    if kind == "html":
        shown = "".join(f"<h3>{heading}</h3><pre><code>{_spans(code)}</code></pre>" for heading, code in parts)
        return (
            f"<!DOCTYPE html>\n<html><head><title>x</title></head>\n<body><p>About.</p>{shown}<p>End.</p></body></html>"
        )
    if kind == "markdown":
        headed = ((f"## {heading}\n\n```json" if heading else "```", code) for heading, code in parts)
        fences = "".join(f"\n{start}\n{code}\n```\n" for start, code in headed)
        return f"# About\n{fences}\nEnd.\n"
    gap = "" if kind == "run together" else "\n\n"
    return "About.\n" + "".join(f"{heading}\n{code}{gap}" for heading, code in parts) + "End.\n"


def _spans(code: str) -> str:
    return html.escape(code).replace("&quot;", '<span class="q">&quot;</span>').replace("  ", "&nbsp; ")


def shown(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def text(*parts: Any) -> str:
    return page("text", *(("", part if isinstance(part, str) else shown(part)) for part in parts))


def refusal(content: str) -> str:
    with pytest.raises(SchemaError) as caught:
        read_page(content, "page.txt")
    return str(caught.value)


@pytest.mark.parametrize("headings", HEADINGS.values(), ids=HEADINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("output", [OUTPUT, PLAIN_OUTPUT], ids=["wrapped", "plain"])
def test_every_kind_of_page_says_the_same(kind: str, end: str, headings: tuple[str, str], output: Any) -> None:
    content = page(kind, ("Start", SAMPLE), (headings[0], shown(INPUT)), (headings[1], shown(output)))

    found = read_page(content.replace("\n", end), "page")

    assert found == Page(("acme/v1.5/Edit_it",), INPUT, output)


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the API pages are not here")
@pytest.mark.parametrize("model", ["flux-1-kontext/pro/edit", "flux-1-kontext/max/text-to-image"])
def test_the_saved_pages_say_what_the_shipped_schemas_say(model: str) -> None:
    saved = (REFERENCE / "seeds" / f"{model.replace('/', '-')}.txt").read_text(encoding="utf-8")
    entry = json.loads((REPOSITORY / f"schemas/blackforestlabs/{model}.json").read_text(encoding="utf-8"))

    found = read_page(saved, "page.txt")

    assert found == Page((f"blackforestlabs/{model}",), entry["input_schema"], entry["output_schema"])


_NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
_LEAVES = st.one_of(_NAMES, st.integers(-9, 9), st.booleans(), st.none())
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3))


_TEXTS = st.fixed_dictionaries({"type": st.just("string"), "default": _VALUES})


@given(st.dictionaries(_NAMES, _TEXTS, max_size=3), st.sampled_from(KINDS), st.booleans())
def test_any_schema_comes_back_as_it_was(properties: dict[str, Any], kind: str, escaped: bool) -> None:
    schema = {"type": "object", "properties": properties}
    printed = json.dumps(schema, ensure_ascii=escaped, indent=1)

    found = read_page(page(kind, ("Input schema", printed), ("Output schema", shown(OUTPUT))), "page")

    assert (found.input_schema, found.output_schema) == (schema, OUTPUT)


@pytest.mark.parametrize(
    ("lines", "ids"),
    [
        ("curl -X POST https://h.example/v1/models/a/b \\\n -d '{}'", ("a/b",)),
        ('curl "http://localhost:8000/v1/models/a/b?x=1"', ("a/b",)),
        (
            "curl 'http://h/v1/models/a/B'\ncurl http://h/v1/models/a/b\ncurl http://h/v1/models/a/B",
            ("a/B", "a/b"),
        ),
        ("Call it with curl at http://h/v1/models/a/b.", ("a/b",)),
        ("curl --url http://h/v1/models/solo", ("solo",)),
        ("curl --url http://h/v1/models/{model_id}", ()),
        ("curl --url http://h/v1/models/acme/{name}", ()),
        ("curl --url http://h/v1/models/<model_id>", ()),
        ("curl --url http://h/v1/models/categories", ()),
        ("curl --request GET --url http://h/v1/models/a/b", ()),
        ("curl --url http://h/v1/requests/{request_id}/status", ()),
        ("See http://h/v1/models/a/b.", ()),
        ("curl --url http://h/v1/models/a/../b", ()),
        ('curl -d \'{"text": "http://h/v1/models/no/no"}\' http://h/v1/models/a/b', ("a/b",)),
    ],
)
def test_the_models_are_those_that_curl_submits_to(lines: str, ids: tuple[str, ...]) -> None:
    assert read_page(text(lines, INPUT), "page").model_ids == ids


@pytest.mark.parametrize(
    "sample",
    [
        f"{CURL} --data '{shown(OTHER)}'",
        f"{CURL} -d '{json.dumps(OTHER)}'",
        f"{CURL} --data-raw $'{shown(OTHER)}'",
        f'{CURL} --data "{shown(OTHER)}"',
        f"{CURL} --data {json.dumps(json.dumps(OTHER))}",
        f"{CURL} -d @- <<'EOF'\n{shown(OTHER)}\nEOF",
        f"payload = {shown(OTHER)}",
        f"[{shown(OTHER)}]",
        '{"request_id": "1", "status": "completed", "output": {"image": "u", "type": "image"}}',
        '{"request_id": "1" "output": {"image": "u"}}',
        "Send {model_id} and { nothing }.",
    ],
)
@pytest.mark.parametrize("heading", ["Input schema", ""])
def test_samples_are_no_schemas(sample: str, heading: str) -> None:
    content = page("text", ("", sample), (heading, shown(INPUT)), ("", sample))

    found = read_page(content, "page")

    assert (found.input_schema, found.output_schema) == (INPUT, None)


def test_an_unclosed_sample_spoils_no_more_than_its_fence() -> None:
    content = page("markdown", ("Answer", '{"request_id": "1", "output": {'), ("Input schema", shown(INPUT)))

    assert read_page(content, "page").input_schema == INPUT


def test_what_stands_twice_counts_once() -> None:
    assert read_page(text(INPUT, PLAIN_OUTPUT, INPUT, PLAIN_OUTPUT), "page") == Page((), INPUT, PLAIN_OUTPUT)


def test_headings_go_before_order() -> None:
    content = page("text", ("Output schema", shown(PLAIN_OUTPUT)), ("Input schema", shown(INPUT)))

    assert read_page(content, "page") == Page((), INPUT, PLAIN_OUTPUT)


def test_two_headings_in_a_row_say_nothing_of_what_follows() -> None:
    content = "Input schema\nOutput schema\n" + text(INPUT, PLAIN_OUTPUT).removeprefix("About.\n")

    assert read_page(content, "page") == Page((), INPUT, PLAIN_OUTPUT)


def test_no_break_and_zero_width_spaces_are_only_text_in_strings() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "default": "\u00a0\u200b"}}}
    content = shown(schema).replace("  ", "\u00a0\u200b")

    assert read_page(f"\u200b{content}", "page").input_schema == schema


def test_only_what_is_visible_is_read() -> None:
    hidden = "".join(f"<{tag}>{shown(OTHER)}</{tag}>" for tag in ("script", "style", "template"))
    content = page("html", ("Input schema", shown(INPUT))).replace(
        "<p>About.", f"<!-- {shown(OTHER)} -->{hidden}<p>1 < 2"
    )

    assert read_page(content, "page") == Page((), INPUT, None)


BROKEN = '{\n"type": "object",\n"properties": {\n"a": {"type": "object", "properties": {}}'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"Input schema\n{BROKEN}", "page.txt:5:42: Expecting ',' delimiter"),
        (f"{BROKEN}\nEnd.", "page.txt:5:1: Expecting ',' delimiter"),
        (f"Input schema\n{BROKEN}\nOutput schema\n{shown(OUTPUT)}", "page.txt:6:1: Expecting ',' delimiter"),
        (page("markdown", ("", '{\n"title": "a"'), ("", shown(OTHER))), "page.txt:6:1: Expecting ',' delimiter"),
        ('Input schema\n{\n"ty', "page.txt:3:1: Unterminated string starting at"),
        (f"{json.dumps(INPUT)}\nOutput schema\n{{", "page.txt:3:2: Expecting property name enclosed in double quotes"),
        (f'{json.dumps(INPUT)}\n{{"output": {{"type": "obj', "page.txt:2:21: Unterminated string starting at"),
        (f"{json.dumps(OTHER)}, {json.dumps(OTHER)}", f"page.txt:1:{len(json.dumps(OTHER)) + 1}: Extra data"),
        ('{"type": "object" "properties": {"a": {"properties": {}}}}', "page.txt:1:19: Expecting ',' delimiter"),
        (
            '\n {"type": "object", "properties": {"a": 1, "a": 2}}',
            "page.txt:2:2: /properties/a: stands twice in one object",
        ),
        ('{"type": "object", "type": "object"}', "page.txt:1:1: /type: stands twice in one object"),
        ('{"type": "object", "x": NaN}', "page.txt:1:1: /x: is NaN, which JSON does not have"),
        ('{"type": "object", "x": 1e999}', "page.txt:1:1: /x: is larger than any number that can be sent"),
        ('{"type": "object", "x": ' + "[" * 100_000, "page.txt:1:1: is nested too deeply"),
        (
            text(INPUT, PLAIN_OUTPUT, OTHER),
            "page.txt:22:1: has several input schemas, and nothing tells which is the model's: lines 3, 22, 32",
        ),
        (
            text(OUTPUT),
            'page.txt: has no input schema: looked for a JSON object with "type" or "properties", as behind the heading'
            ' "Input schema"',
        ),
        (
            "<!doctype html><body><div id=root></div><script>{}</script>",
            'page.txt: has no input schema: looked for a JSON object with "type" or "properties", as behind the heading'
            ' "Input schema"; save the page from the browser after it has loaded',
        ),
        (
            "<html>\n<p>x</p>\n<pre>x\n{&quot;type&quot;: &quot;object&quot; 1}",
            "page.txt:4:39: Expecting ',' delimiter",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(content: str, said: str) -> None:
    assert refusal(content) == said


def test_two_outputs_are_refused() -> None:
    other = {"output": {"type": "string"}}

    assert refusal("\n".join(map(json.dumps, (INPUT, OUTPUT, other)))) == (
        "page.txt:3:1: has several output schemas, and nothing tells which is the model's: lines 2, 3"
    )


@pytest.mark.parametrize("start", ["", "<html>"])
@pytest.mark.parametrize(
    "piece", ["{", "<", "<a ", "<a x='", "<!--", "<![a>", '{"a" ', '{"a":', '{"a":1}', "curl http://", "[{", '"{']
)
def test_a_hostile_page_is_read_to_its_end(start: str, piece: str) -> None:
    """Of the size at which anything that reads on to the end for each piece would take hours."""
    assert refusal(start + piece * (500_000 // len(piece))).startswith("page.txt:")
