"""The live catalog, read by the client that is installed beside the generator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors import OutputError

Tell = Callable[[int, int | None], object]
"""Called with the number of models read so far, and how many there are, where that is known."""


@dataclass(frozen=True)
class Selection:
    """Which models are wanted: those with these ids, or all that have what is given; or all."""

    model_ids: tuple[str, ...] = ()
    search: str | None = None
    category: str | None = None
    kind: str | None = None

    @property
    def is_all(self) -> bool:
        return self == Selection()


@dataclass(frozen=True)
class Fetched:
    """What the catalog has of a selection."""

    selection: Selection
    rows: list[dict[str, Any]]
    """Entries as received."""
    missing: list[str]
    """The ids that were asked for and are not in the catalog."""
    is_complete: bool
    """Whether there is nothing in the catalog that was selected and is not here."""


def fetch(selection: Selection, base_url: str | None, tell: Tell) -> Fetched:
    """Read the catalog.

    Raises:
        OutputError: there is no token, no answer, or none that can be used.
    """
    try:
        from runcomfy import Client, RunComfyError
    except ImportError as error:
        raise OutputError(f"the client, which reads the catalog, is not there ({error}); generate it first") from None
    try:
        with Client(base_url=base_url) as client:
            base_url = client.base_url
            return _by_id(client, selection, tell) if selection.model_ids else _listed(client, selection, tell)
    except RunComfyError as error:
        raise OutputError(f"{base_url}: {error}" if base_url else str(error)) from error


def _by_id(client: Any, selection: Selection, tell: Tell) -> Fetched:
    from runcomfy import NotFoundError

    rows: list[dict[str, Any]] = []
    missing: list[str] = []
    for number, model_id in enumerate(selection.model_ids, 1):
        try:
            rows.append(client.models.get(model_id).raw)
        except NotFoundError:
            missing.append(model_id)
        tell(number, len(selection.model_ids))
    return Fetched(selection, rows, missing, is_complete=True)


def _listed(client: Any, selection: Selection, tell: Tell) -> Fetched:
    totals: set[int | None] = set()
    last = 0

    def on_page(read: int, total: int | None) -> None:
        nonlocal last
        if read < last:  # it is read again from the beginning
            totals.clear()
        last = read
        totals.add(total)
        tell(read, total)

    found = client.models.list(
        search=selection.search,
        category=selection.category,
        kind=selection.kind,
        include_schema=True,
        on_page=on_page,
    )
    return Fetched(selection, [info.raw for info in found], [], is_complete=totals == {len(found)})
