"""A ledger as a file: what must not be in it, what is none, other versions, a disk that does not take it."""

import pickle
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Kind
from media_files import picture
from runcomfy import ConfigurationError, Ledger, LedgerError
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Sandbox

REQUEST = edit.Input(prompt="p", image_url="https://example.com/in.png")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as ledger:
        yield ledger


def test_neither_the_token_nor_media_are_in_the_file(kind: Kind, sandbox: Sandbox, path: Path, tmp_path: Path) -> None:
    file = tmp_path / "in.png"
    file.write_bytes(picture())
    uri = "data:image/png;base64," + "QUJD" * 1000
    client = kind.client(sandbox, ledger=path)

    kind.settle(client.run(edit.Input(prompt="p", image_url=file)))
    kind.settle(client.run(edit.Input(prompt="p", image_url=uri)))
    kind.settle(client.run(edit.MODEL_ID, {"prompt": "QUJD" * 1000, "image_url": "u"}))
    kind.settle(client.close())

    stored = b"".join(file.read_bytes() for file in tmp_path.glob("jobs*"))
    assert sandbox.token.encode() not in stored
    assert b"QUJDQUJD" not in stored
    assert b"iVBORw0K" not in stored  # a PNG in base64
    with Ledger(path) as ledger:
        first, second, third = (entry.arguments for entry in ledger.entries())
    assert first["image_url"]["$file"]["name"] == "in.png"
    assert second["image_url"]["$file"] == third["prompt"]["$file"] | {"media_type": "image/png"}
    assert second["image_url"]["$file"]["size"] == 3000


def test_what_is_no_ledger_is_refused_when_the_client_is_made(kind: Kind, sandbox: Sandbox, tmp_path: Path) -> None:
    text, folder = tmp_path / "notes.txt", tmp_path / "none"
    text.write_text("no database, but long enough to be one" * 20)

    for ledger, error, message in [
        (text, LedgerError, r"ledger .*notes\.txt: file is not a database"),
        (folder / "jobs.sqlite3", LedgerError, r"ledger .*jobs\.sqlite3: unable to open database file"),
        (5, ConfigurationError, "ledger: an object of type int is neither a path, a URL nor a Ledger"),
        ("", ConfigurationError, "ledger: '' is neither"),
        ("sqlite://", ConfigurationError, "a database in memory would not outlast the process"),
        ("mysql://host/name", ConfigurationError, "ledger: mysql is neither SQLite nor PostgreSQL"),
        ("://", ConfigurationError, "ledger: no path of a file, and no URL"),
        ("sqlite+none:///a", ConfigurationError, "ledger: "),
    ]:
        with pytest.raises(error, match=message):
            kind.client(sandbox, ledger=ledger)


def test_a_ledger_of_a_newer_version_is_left_alone(kind: Kind, sandbox: Sandbox, path: Path, ledger: Ledger) -> None:
    ledger.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE runcomfy_ledger SET version = 99")

    with pytest.raises(LedgerError, match="it is of version 99, written by a newer runcomfy; this one knows version 1"):
        kind.client(sandbox, ledger=path)


def test_a_ledger_of_an_older_version_gets_what_it_lacks(kind: Kind, sandbox: Sandbox, path: Path) -> None:
    client = kind.client(sandbox, ledger=path, prices={edit.MODEL_ID: 0.25})
    job = kind.settle(client.submit(REQUEST))
    kind.settle(client.close())
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE runcomfy_totals")
        database.execute("DROP INDEX ix_runcomfy_jobs_request_id")
        for column in ("status", "error", "result", "cost"):
            database.execute(f"ALTER TABLE runcomfy_jobs DROP COLUMN {column}")
        database.execute("UPDATE runcomfy_ledger SET version = 0")

    client = kind.client(sandbox, ledger=path)
    (resumed,) = client.ledger.resume(client, edit.Output)
    before = kind.settle(client.spending())
    kind.settle(resumed.result())

    assert resumed.id == job.id
    assert (before.jobs, before.total_usd) == (1, 0.25)
    assert [entry.state for entry in client.ledger.entries()] == ["completed"]


def test_a_ledger_says_what_it_is_and_cannot_be_pickled(ledger: Ledger, path: Path) -> None:
    assert repr(ledger) == f"Ledger({str(path)!r})"
    with pytest.raises(TypeError, match="make one in each process"):
        pickle.dumps(ledger)
