"""What can be asked about the catalog, as flows: its list of models, and one model."""

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from . import _answers
from ._answers import Answer, is_model_id
from ._errors import InputProblem, InputValidationError, ResponseMismatchError
from ._http_types import Flow, Request
from ._model_info import ModelInfo, info_from
from ._pace import Deadline
from ._reads import repeated
from ._submit import model_path

OnPage = Callable[[int, int | None], object]
"""Called with the number of models read so far, and how many there are by the API's own count, or None."""

_LIMIT = 100
_READINGS = 3
_LISTING = "list the models"

logger = logging.getLogger(__package__)


def list_models(
    timeout: float,
    *,
    search: str | None,
    category: str | None,
    kind: str | None,
    include_schema: bool,
    on_page: OnPage | None,
) -> Flow[list[ModelInfo]]:
    """Read all pages of the list. `timeout` is that of one page, in seconds."""
    query = {"search": search, "category": category, "kind": kind, "include_schema": "true" if include_schema else None}
    selection = {name: _sendable(name, value) for name, value in query.items() if value is not None}
    readings = 0
    while True:
        readings += 1
        reading = _Reading(selection, timeout, on_page)
        yield from reading.all_pages()
        if reading.fits or readings == _READINGS:
            break
    if not reading.fits:
        logger.warning(
            "%s: read %d times, and the pages never fitted together; %d models were read, and the API counts %s",
            *(_LISTING, _READINGS, len(reading.found), reading.total),
        )
    if reading.nameless:
        logger.warning("%s: left out, for want of a usable model_id: %d", _LISTING, reading.nameless)
    return list(reading.found.values())


def get_model(model_id: str, timeout: float) -> Flow[ModelInfo]:
    """Read the entry of one model."""
    subject, doing = "a look-up of a model", f"look up {model_id}"
    if model_id == "categories":  # a path of its own, whose answer would pass for an entry
        raise InputValidationError(subject, [InputProblem("", f"{model_id!r} is no model id")])
    request = Request("GET", model_path(model_id, subject), timeout)
    answer = yield from repeated(request, doing, Deadline(timeout), model_id=model_id)
    if not isinstance(answer.value, dict):
        raise _answers.status_error(answer, f"{doing}: the answer is no model", model_id=model_id)
    named = answer.fields.get("model_id")
    theirs = named if isinstance(named, str) and named else model_id
    if theirs.casefold() != model_id.casefold():
        raise ResponseMismatchError(
            f"{doing}: the answer is about model {theirs!r}. It is kept in this error's raw.",
            raw=answer.fields,
            model_id=model_id,
        )
    return info_from(answer.fields, theirs)


class _Reading:
    """One reading of all pages.

    Pages are asked for by the number of rows before them, so that rows are skipped or repeated where the catalog
    changes between two pages; `fits` tells.
    """

    def __init__(self, selection: dict[str, str], timeout: float, on_page: OnPage | None) -> None:
        self._selection = selection
        self._timeout = timeout
        self._on_page = on_page
        self._has_changed = False
        self.found: dict[str, ModelInfo] = {}
        self.nameless = 0
        self.total: int | None = None
        """How many rows there are, as the last page that said it says."""

    def all_pages(self) -> Flow[None]:
        """Read page after page, until all are read or one brings nothing new."""
        offset = 0
        while True:
            answer = yield from self._page(offset)
            rows: list[Any] = answer.fields["models"]
            offset += len(rows)  # and not the limit: a server may give less than it was asked for
            is_new = self._take(rows)
            self._count(answer.fields.get("total"))
            if self._on_page is not None:
                self._on_page(len(self.found), self.total)
            if not is_new or (self.total is not None and offset >= self.total):
                return

    @property
    def fits(self) -> bool:
        """Whether the pages belong to one state of the catalog, as far as can be told."""
        rows = len(self.found) + self.nameless
        return not self._has_changed and self.total in (None, rows)

    def _page(self, offset: int) -> Flow[Answer]:
        query = urlencode({**self._selection, "limit": _LIMIT, "offset": offset}, quote_via=quote)
        request = Request("GET", f"models?{query}", self._timeout)
        answer = yield from repeated(request, _LISTING, Deadline(self._timeout))
        if not isinstance(answer.fields.get("models"), list):
            raise _answers.status_error(answer, f"{_LISTING}: the answer has no list of models")
        return answer

    def _take(self, rows: list[Any]) -> bool:
        """Keep the models of a page; whether any of them is new."""
        before = len(self.found)
        for row in rows:
            model_id = row.get("model_id") if isinstance(row, dict) else None
            if is_model_id(model_id):
                self.found.setdefault(model_id, info_from(row, model_id))
            else:
                self.nameless += 1
        return len(self.found) > before

    def _count(self, total: Any) -> None:
        if isinstance(total, int) and not isinstance(total, bool) and total >= 0:
            self._has_changed = self._has_changed or self.total not in (None, total)
            self.total = total


def _sendable(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which no URL has a way to write
        raise InputValidationError(_LISTING, [InputProblem(name, f"{value!r} is no text")]) from None
    return value
