"""HTML in, the text that a reader sees out, with the place in the file of each of its characters."""

import re
from bisect import bisect_right
from html import unescape
from html.parser import HTMLParser

_HIDDEN = {"head", "script", "style", "template"}
_BLOCKS = set(
    "address article aside blockquote body br button dd details div dl dt figure footer form h1 h2 h3 h4 h5 h6 header"
    " hr html li main nav ol option p section summary table tbody td th thead tr ul".split()
)
FENCE = "```"
"""Stands around each ``<pre>``, as it does in Markdown."""
_DECLARED = re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_BEGINS = re.compile(r"\s*<(?:!--|[a-z][a-z0-9-]*[\s/>])", re.IGNORECASE)
_START = 1000
_TAG = r"[A-Za-z/?!][^<>]*>"
_OPENS_NOTHING = re.compile(rf"<(?!!--|{_TAG})|<(?=!\[)")
_OPENS_NO_COMMENT = re.compile(rf"<(?!{_TAG})|<(?=!\[|!--)")


class Text:
    """A text that grows piece by piece, each from a place in a file."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._starts: list[int] = []
        self._places: list[tuple[int, int]] = []
        self._length = 0
        self._next = (0, 0)

    def add(self, piece: str, line: int, column: int) -> None:
        """Add what stands on one line of the file, from this column on."""
        if (line, column) != self._next:
            self._starts.append(self._length)
            self._places.append((line, column))
        self._pieces.append(piece)
        self._length += len(piece)
        self._next = (line, column + len(piece))

    def ends_line(self) -> bool:
        """Whether what is added next begins a line."""
        return not self._pieces or self._pieces[-1].endswith("\n")

    def position(self, offset: int) -> str:
        """``"line:column"`` in the file of one of the text's characters."""
        index = max(bisect_right(self._starts, offset) - 1, 0)
        line, column = self._places[index] if self._places else (1, 1)
        return f"{line}:{column + offset - (self._starts[index] if self._starts else 0)}"

    def __str__(self) -> str:
        return "".join(self._pieces)


def is_html(text: str) -> bool:
    """Whether a text says near its start that it is HTML, or begins with a tag."""
    return bool(_BEGINS.match(text) or _DECLARED.search(text[:_START]))


def plain_text(text: str) -> Text:
    """A text that is seen as it stands."""
    found = Text()
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), 1):
        found.add(line, number, 1)
    return found


def visible_text(html: str) -> Text:
    """What a reader sees of a page: lines end where its blocks end."""
    reader = _Reader()
    reader.feed(_completed(html))
    reader.close()
    return reader.text


def _completed(html: str) -> str:
    """HTML whose every ``<`` that opens nothing is spelled out.

    For each of them, the parser of some versions of Python would look through all that follows.
    """
    head, end, tail = html.rpartition("-->")
    return _OPENS_NOTHING.sub("&lt;", head) + end + _OPENS_NO_COMMENT.sub("&lt;", tail)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)  # so that each piece of text has its place
        self.text = Text()
        self._hidden = ""
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the parser's interface
        if tag == "body" and self._hidden == "head":  # </head> may be left out
            self._hidden = ""
        if not self._hidden and tag in _HIDDEN:
            self._hidden, self._depth = tag, 0
        self._depth += tag == self._hidden
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag == self._hidden
        if not self._depth:
            self._hidden = ""
        self._break(tag)

    def handle_data(self, data: str) -> None:
        line, column = self.getpos()
        for number, piece in enumerate(data.split("\n")):
            self._add(f"\n{piece}" if number else piece, line + number, 0 if number else column + 1)

    def handle_entityref(self, name: str) -> None:
        line, column = self.getpos()
        self._add(unescape(f"&{name};"), line, column + 1)

    def handle_charref(self, name: str) -> None:
        self.handle_entityref(f"#{name}")

    def _break(self, tag: str) -> None:
        line, column = self.getpos()
        if tag in _BLOCKS or tag == "pre":
            self._add("" if self.text.ends_line() else "\n", line, column + 1)
        if tag == "pre":
            self._add(f"{FENCE}\n", line, column + 1)

    def _add(self, piece: str, line: int, column: int) -> None:
        if piece and not self._hidden:
            self.text.add(piece, line, column)
