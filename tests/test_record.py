"""What is kept of inputs and errors: all but media, and of these what identifies them."""

import json
import re
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from conftest import Kind
from hypothesis import given
from hypothesis import strategies as st
from media_files import CLIPS, PICTURES, SOUNDS, clip, picture, sound
from runcomfy import APIStatusError, Ledger
from runcomfy._record import text_without_media, without_media
from runcomfy.sandbox import Sandbox

PNG = picture(size=(40, 40))
ENCODED = b64encode(PNG).decode()
URI = f"data:image/png;base64,{ENCODED}"
HASH = sha256(PNG).hexdigest()
MARK = f"[{len(PNG)} bytes, SHA-256 {HASH}]"

ESCAPES: list[Callable[[str], str]] = [
    str,
    lambda text: text.replace("/", "\\/"),
    lambda text: text.replace("+", "\\u002B").replace("/", "\\u002f"),
    lambda text: json.dumps(text)[1:-1].replace("/", "\\\\\\/"),
    lambda text: text.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D"),
    lambda text: text.replace("+", "%252B").replace("/", "%252F").replace("=", "%253D"),
    lambda text: text.replace("+", "-").replace("/", "_"),
]
MEDIA = [
    *(picture(media_type) for media_type in PICTURES),
    *(clip(media_type) for media_type in CLIPS),
    *(sound(media_type) for media_type in SOUNDS),
]


def stored(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("jobs*"))


@pytest.mark.parametrize(
    "value",
    [
        ENCODED,
        f" \n{URI}",
        f"![a cat]({URI}) in the snow",
        json.dumps({"nodes": [{"image": URI}, {"image": ENCODED}]}),
        json.dumps(json.dumps({"image": URI})),
        {URI: 1},
        {"a": {ENCODED: [URI]}},
        PNG.hex() * 40,
    ],
)
def test_no_media_of_an_input_are_in_the_ledger(kind: Kind, sandbox: Sandbox, tmp_path: Path, value: Any) -> None:
    client = kind.client(sandbox, ledger=tmp_path / "jobs.sqlite3")

    with pytest.raises(APIStatusError):  # which the ledger has, too
        kind.settle(client.submit("acme/none", {"prompt": "p", "value": value}))
    kind.settle(client.close())

    assert ENCODED[:24].encode() not in stored(tmp_path)
    assert PNG.hex().encode() not in stored(tmp_path)
    with Ledger(tmp_path / "jobs.sqlite3") as ledger:
        (entry,) = ledger.entries()
    assert entry.arguments["prompt"] == "p"


def test_a_file_that_is_a_whole_text_is_told_by_its_facts() -> None:
    facts = {"sha256": HASH, "media_type": "image/png", "size": len(PNG), "name": None}
    for text in (URI, f" {URI}\n", ENCODED, encodebytes(PNG).decode(), urlsafe_b64encode(PNG).decode().rstrip("=")):
        assert without_media({"a": [text]}) == {"a": [{"$file": facts}]}
    for escape in ESCAPES:
        assert without_media(f"data:image/png;base64,{escape(ENCODED)}") == {"$file": facts}
    svg = "data:image/svg+xml;utf8,<svg xmlns='x'>%20</svg>"
    assert without_media(svg)["$file"]["sha256"] == sha256(b"<svg xmlns='x'> </svg>").hexdigest()
    assert without_media("data:,\ud800")["$file"]["size"] == 3
    assert without_media("data:image/png;base64,no base64!")["$file"]["size"] == len("no base64!")


def test_in_a_longer_text_its_data_give_way_to_a_mark() -> None:
    for keep in (without_media, text_without_media):
        assert keep(f"a {URI}, {URI}") == f"a data:image/png;base64,{MARK}, data:image/png;base64,{MARK}"
        assert keep(f'{{"a":"{ENCODED}"}}') == f'{{"a":"{MARK}"}}'
        assert keep(f"data:{{data:image/png;base64,{ENCODED})") == f"data:{{data:image/png;base64,{MARK})"
        assert keep("see data:image/svg+xml,%3Csvg%3E b") == (
            f"see data:image/svg+xml,[5 bytes, SHA-256 {sha256(b'<svg>').hexdigest()}] b"
        )
        assert keep(f"{MARK}\n{HASH}") == f"{MARK}\n{HASH}"
    assert without_media({URI: 1}) == {f"data:image/png;base64,{MARK}": 1}


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize(
    "frame", ["{}", '"{}"', "\\n{}\\n", "\\u0022{}\\u0022", "a%22{}%22", "x={}&y", "猫{}犬", "({})."]
)
def test_media_are_found_however_they_are_escaped(escape: Callable[[str], str], frame: str) -> None:
    """The picture has so many colours that its base64 has all signs in it."""
    content = PNG[:40] + bytes(range(256)) * 2
    run = escape(b64encode(content).decode())

    for text in (frame.format(run), frame.format(f"data:image/png;base64,{run}")):
        for kept in (str(without_media(f"see: {text}")), text_without_media(text)):
            assert sha256(content).hexdigest() in kept
            assert run[60:90] not in kept
            assert len(kept) < 200


@pytest.mark.parametrize("content", MEDIA)
def test_base64_of_every_format_is_found_however_short_its_text_is(content: bytes) -> None:
    encoded = b64encode(content[:600]).decode()
    digest = sha256(content[:600]).hexdigest()

    assert without_media(encoded)["$file"]["sha256"] == digest
    assert digest in without_media(f'[["{encoded}"]]')
    assert digest in text_without_media(f"bad input: {encoded}, it seems")


def test_base64_of_anything_is_found_where_it_is_long_or_in_an_error() -> None:
    unknown = b64encode(sha256(b"a").digest() * 100).decode()

    assert "$file" in without_media(unknown)
    assert "bytes, SHA-256" in without_media(f"workflow: {unknown}")
    assert "bytes, SHA-256" in text_without_media(f"not valid: {unknown[500:564]}…")
    assert without_media(unknown[:1000]) == unknown[:1000]
    assert text_without_media(unknown[:63]) == unknown[:63]


WORDS = st.sampled_from(
    "cat Löwe 猫 über straße SDXL flux-1-kontext/pro v9 1024x768"
    " data: Data:x data:text,x ;base64, base64 // /workspace/a"
    " Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenfabrik \\n %20 100% {} [image] ''".split()
)
HASHES = st.binary(min_size=16, max_size=64).map(bytes.hex)
NAMES = st.lists(st.from_regex(r"[A-Z]?[a-z]{1,9}[0-9]{0,3}", fullmatch=True), min_size=1, max_size=30)
ORDINARY = st.one_of(
    WORDS,
    st.from_regex(r"[a-z]{1,200}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters=":"), max_size=60),
    HASHES,
    HASHES.map(str.upper),
    st.uuids().map(str),
    NAMES.flatmap(lambda names: st.sampled_from("/-_").map(lambda sign: sign.join(names))),
    st.lists(st.from_regex(r"[A-Z][a-z]{2,9}[0-9]{0,3}", fullmatch=True), max_size=30).map("".join),
    st.builds(
        "https://example.com/{}?Signature={}&a=b".format,
        st.lists(st.uuids().map(str), max_size=4).map("/".join),
        st.binary(max_size=400).map(lambda content: quote(b64encode(content).decode())),
    ),
)


@given(st.lists(ORDINARY, max_size=8), st.sampled_from([" ", "\n", ", ", "。"]))
def test_ordinary_texts_stay_as_they_are(parts: list[str], between: str) -> None:
    text = between.join(parts)

    assert without_media({"prompt": text, text: [text]}) == {"prompt": text, text: [text]}
    assert text_without_media(text) == text


@given(st.binary(min_size=48, max_size=3000), st.lists(ORDINARY, max_size=3), st.sampled_from(ESCAPES))
def test_media_inside_ordinary_texts_do_not_stay(noise: bytes, around: list[str], escape: Callable[[str], str]) -> None:
    content = PNG[:40] + noise
    run = escape(b64encode(content).decode())
    before = " ".join(["see", *around, "it"])
    for text in (f"{before} {run} {before}", f"{before} data:image/png;base64,{run} {before}"):
        for kept in (without_media(text), text_without_media(text)):
            marks = re.findall(r"\[(\d+) bytes, SHA-256 ([0-9a-f]{64})\]", kept)
            assert (str(len(content)), sha256(content).hexdigest()) in marks
            assert kept.startswith(before)
            assert kept.endswith(before)
            assert text_without_media(kept) == without_media(kept) == kept


@given(st.text('data:image/png;base64,AaB9+/=%25\\u002Bn" \n', max_size=400))
def test_whatever_is_between_them_no_long_base64_stays_in_an_error(text: str) -> None:
    kept = text_without_media(f"{text} {ENCODED}")

    assert ENCODED[:64] not in kept
