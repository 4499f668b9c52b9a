"""The database below a ledger: forks, locks that others hold, and disturbances that pass."""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from conftest import Kind
from runcomfy import BudgetExceededError, ConfigurationError, Ledger, LedgerError, _ledger_store, _ledger_writer
from runcomfy._ledger_store import Store
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Sandbox
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.pool import Pool

REQUEST = edit.Input(prompt="p", image_url="u")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
Write = Callable[[Connection], Any]
Locked = Callable[[], AbstractContextManager[None]]


def note(what: str) -> Write:
    """An operation that adds a row; its number is the order."""
    sql = text("INSERT INTO runcomfy_totals VALUES (:what, (SELECT count(*) FROM runcomfy_totals), 0, 0, 0, 0)")
    return lambda connection: connection.execute(sql, {"what": what}) and None


def notes(store: Store) -> list[str]:
    """What was added, in its order."""
    with store.read() as connection:
        return list(connection.scalars(text("SELECT run FROM runcomfy_totals ORDER BY model_id")))


def refuse(_: Connection) -> None:
    raise LedgerError("refused")


def repeat(connection: Connection) -> None:
    """An operation that fails in the database by its own fault."""
    connection.execute(text("INSERT INTO runcomfy_ledger VALUES (1, 1)"))


@pytest.fixture
def hasty(database: str) -> str:
    """A ledger's URL that has locks waited for only shortly."""
    return f"{database}%20-clock_timeout%3D50" if "://" in database else f"sqlite:///{database}?timeout=0.05"


@pytest.fixture
def store(hasty: str) -> Iterator[Store]:
    store = Store(hasty)
    yield store
    store.close()


@pytest.fixture
def locked(database: str) -> Locked:
    """Another program's transaction, which lets nobody write."""

    @contextmanager
    def locked() -> Iterator[None]:
        if "://" in database:
            with psycopg.connect(database) as other:
                other.execute("SELECT * FROM runcomfy_ledger FOR UPDATE")
                yield
            return
        with closing(sqlite3.connect(database, isolation_level=None, check_same_thread=False)) as other_file:
            other_file.execute("BEGIN IMMEDIATE")
            yield

    return locked


WARNINGS = ("-W", "ignore::DeprecationWarning")  # about forking with threads

MULTIPROCESSING = """
import multiprocessing
from runcomfy import Client, Ledger
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

database = {database!r}

def work(inherited, started, go):
    client = Client(ledger=database, poll_interval=0.0) if inherited is None else inherited
    edit.run(client, prompt="child", image_url="u")
    started.set()
    go.wait()
    for number in range(3):
        edit.run(client, prompt=f"child {{number}}", image_url="u")
    client.close()

processes = multiprocessing.get_context("fork")
for inherits in (False, True):
    started, go = processes.Event(), processes.Event()
    with Client(ledger=database, poll_interval=0.0) as client:
        edit.run(client, prompt="parent", image_url="u")
        child = processes.Process(target=work, args=[client if inherits else None, started, go])
        child.start()
        assert started.wait(60)
    go.set()  # the parent has closed its own connections
    child.join()
    assert child.exitcode == 0
with Ledger(database) as ledger:
    print([entry.arguments["prompt"] for entry in ledger.finished()])
"""


@forks
def test_what_a_forked_child_writes_stays_when_its_parent_closes(
    sandbox: Sandbox, run_program: Any, database: str
) -> None:
    written = ["parent", "child", "child 0", "child 1", "child 2"] * 2

    assert run_program(MULTIPROCESSING.format(database=database), sandbox, *WARNINGS) == f"{written}\n"


AMID = """
import os
from threading import Event, Thread
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from sqlalchemy import text

begun, forks = Event(), Event()

def write(connection):
    begun.set()
    forks.wait()
    connection.execute(text("UPDATE runcomfy_ledger SET version = version"))

client = Client(ledger={url!r}, poll_interval=0.0)
edit.run(client, prompt="parent", image_url="u")
os.register_at_fork(before=forks.set)
for number in range(5):
    begun.clear()
    forks.clear()
    amid = client.ledger._store().write(write)
    begun.wait()
    child = os.fork()
    if not child:
        edit.run(client, prompt=f"child {{number}}", image_url="u")
        client.close()
        os._exit(0)
    amid.result()
    assert os.waitpid(child, 0)[1] == 0
print([entry.arguments["prompt"] for entry in client.ledger.finished()])
"""


@forks
def test_a_child_that_is_forked_amid_a_transaction_can_write(
    sandbox: Sandbox, run_program: Any, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.sqlite3'}?timeout=5"

    printed = run_program(AMID.format(url=url), sandbox, *WARNINGS)

    assert printed == f"{['parent', *(f'child {number}' for number in range(5))]}\n"


FORKS = """
import os
from concurrent.futures import ThreadPoolExecutor
from runcomfy._ledger_store import Store
from sqlalchemy import text

ADD = text("UPDATE runcomfy_totals SET jobs = jobs + 1")
store = Store({database!r})
store.write(lambda connection: connection.execute(text("INSERT INTO runcomfy_totals VALUES ('', '', 0, 0, 0, 0)")))

def add(store):
    store.write(lambda connection: connection.execute(ADD) and None).result()

def fork(_):
    add(store)
    child = os.fork()
    if not child:
        try:
            own = Store({database!r})
            add(own)
            own.close()
            os._exit(0)
        finally:
            os._exit(1)
    add(store)
    return os.waitpid(child, 0)[1]

with ThreadPoolExecutor(4) as pool:
    print(set(pool.map(fork, range(40))))
with store.read() as connection:
    print(connection.scalar(text("SELECT jobs FROM runcomfy_totals")))
"""


@forks
def test_threads_may_fork_at_once_while_others_write(sandbox: Sandbox, run_program: Any, tmp_path: Path) -> None:
    database = str(tmp_path / "jobs.sqlite3")

    assert run_program(FORKS.format(database=database), sandbox, *WARNINGS) == "{0}\n120\n"


LOST = """
import os
from runcomfy import Client, Ledger, LedgerError, _ledger_forks
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

_ledger_forks._LONGEST = 0.0
client = Client(ledger={database!r}, poll_interval=0.0)
with client.ledger._store().read():
    child = os.fork()
    if not child:
        try:
            Ledger({other!r})
        except LedgerError as error:
            print(error, flush=True)
            os._exit(0)
        os._exit(1)
assert os.waitpid(child, 0)[1] == 0
edit.run(client, prompt="parent", image_url="u")
print(client.spending().jobs)
"""


@forks
def test_a_child_that_was_forked_amid_a_use_that_did_not_end_uses_no_file(
    sandbox: Sandbox, run_program: Any, tmp_path: Path
) -> None:
    path, other = tmp_path / "jobs.sqlite3", tmp_path / "other.sqlite3"

    printed = run_program(LOST.format(database=str(path), other=str(other)), sandbox, *WARNINGS)

    assert printed == (
        f"ledger {other}: this process was forked while the other one used a ledger, and cannot use any; fork it at"
        " another time, or start it with multiprocessing's method 'spawn'\n1\n"
    )


READING = """
import os
from runcomfy import Client, LedgerError
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

client = Client(ledger={database!r}, poll_interval=0.0)
[edit.run(client, prompt=str(number), image_url="u") for number in range(3)]
begun, entries = client.ledger.entries(), client.ledger.entries()
next(entries)
child = os.fork()
if not child:
    print(len(list(client.ledger.entries())), flush=True)
    try:
        next(begun)
    except LedgerError as error:
        print(str(error).partition(": ")[2], flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(len(list(entries)), len(list(begun)))
"""


@forks
def test_a_listing_that_is_being_read_stays_with_its_process(sandbox: Sandbox, run_program: Any, database: str) -> None:
    printed = run_program(READING.format(database=database), sandbox, *WARNINGS)

    assert printed.splitlines() == [
        "3",
        "this was begun by the process that this one was forked from; begin anew",
        "2 3",
    ]


SESSIONS = """
import os, sys
from runcomfy import Ledger
import psycopg

def sessions():
    with psycopg.connect({database!r}) as connection:
        found = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'parent'")
        return {{pid for pid, in found}}

ledger = Ledger({database!r} + "&application_name=parent")
list(ledger.entries())
before = sessions()
child = os.fork()
if not child:
    list(ledger.entries())
    ledger.close()
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
print(len(before), before <= sessions())
"""


@forks
def test_a_forked_child_leaves_the_sessions_of_its_parent_open(
    sandbox: Sandbox, run_program: Any, postgresql: str
) -> None:
    assert run_program(SESSIONS.format(database=postgresql), sandbox, *WARNINGS) == "1 True\n"


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_a_budget_sees_what_others_wrote_while_it_waited(
    kind: Kind, sandbox: Sandbox, postgresql: str, level: str
) -> None:
    url = f"{postgresql}%20-cdefault_transaction_isolation%3D{level.replace(' ', '%5C%20')}"
    client = kind.client(sandbox, ledger=url, budget_usd=1.0, prices={edit.MODEL_ID: 0.1})
    with psycopg.connect(postgresql) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT * FROM runcomfy_ledger FOR UPDATE")
        other.execute("INSERT INTO runcomfy_totals VALUES ('', 'acme/other', 1, 1000000, 0, 0)")
        submitted = pool.submit(lambda: kind.settle(client.submit(REQUEST)))
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND %s = ANY (pg_blocking_pids(pid))"
        while not other.execute(waiting, [other.info.backend_pid]).fetchall():
            assert not submitted.done()
        other.commit()

        with pytest.raises(BudgetExceededError):
            submitted.result()

    assert sandbox.accepted == []


def waits(url: str) -> dict[str, str]:
    """How long a ledger waits for a lock, and for a machine that is gone."""
    store = Store(url)
    with store.read() as connection:
        lock = connection.scalar(text("SHOW lock_timeout"))
        driver: Any = connection.connection.dbapi_connection
        settings = driver.info.get_parameters()
    store.close()
    return {"lock_timeout": lock, **{name: value for name, value in settings.items() if name in SETTINGS}}


SETTINGS = ("connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")


def test_no_wait_for_postgresql_is_without_end(postgresql: str) -> None:
    assert waits(postgresql) == {
        "lock_timeout": "1min",
        "connect_timeout": "60",
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "tcp_user_timeout": "60000",
    }


@pytest.mark.parametrize(("value", "shown"), [("7s", "7s"), ("0", "0")])
def test_a_url_keeps_its_own_waits(postgresql: str, value: str, shown: str) -> None:
    own = f"{postgresql}%20-clock_timeout%3D{value}&connect_timeout=7&tcp_user_timeout=0&keepalives_idle=8"

    found = waits(own)

    assert (found["lock_timeout"], found["connect_timeout"]) == (shown, "7")
    assert (found["tcp_user_timeout"], found["keepalives_idle"]) == ("0", "8")


def test_a_lock_that_another_program_holds_is_told(
    kind: Kind, sandbox: Sandbox, database: str, hasty: str, locked: Locked
) -> None:
    client = kind.client(sandbox, ledger=hasty)

    with locked(), pytest.raises(LedgerError, match=r"^ledger .*: (database is locked|canceling .* lock timeout)"):
        kind.settle(client.submit(REQUEST))

    assert sandbox.accepted == []
    kind.settle(client.submit(REQUEST))


def at_once(store: Store, first: Write, operations: list[Write]) -> list[Future[Any]]:
    """Let operations come up while the thread is busy with a first one, so that it takes them together."""
    is_in, go_on = Event(), Event()

    def begin(connection: Connection) -> None:
        is_in.set()
        go_on.wait()
        first(connection)

    store.write(begin)
    is_in.wait()
    futures = [store.write(operation) for operation in operations]
    go_on.set()
    return futures


def lose_the_lock(connection: Connection) -> None:
    """An operation after which no transaction can begin."""
    connection.execute(text("ALTER TABLE runcomfy_ledger RENAME TO elsewhere"))


def test_a_database_that_cannot_be_written_is_tried_once_for_all(store: Store) -> None:
    begun: list[Connection] = []
    count = begun.append
    event.listen(Engine, "begin", count)
    try:
        operations = at_once(store, lose_the_lock, [note(str(number)) for number in range(10)])
        errors = [operation.exception(60) for operation in operations]
    finally:
        event.remove(Engine, "begin", count)

    assert len(begun) == 2
    assert {type(error) for error in errors} == {LedgerError}
    assert len({str(error) for error in errors}) == 1
    assert len({id(error) for error in errors}) == 10  # each is raised somewhere else


@pytest.fixture
def connections() -> Iterator[list[Any]]:
    """The driver's connections that pools have open."""
    connections: list[Any] = []

    def opened(connection: Any, _: object) -> None:
        connections.append(connection)

    def closed(connection: Any, _: object) -> None:
        connections.remove(connection)

    event.listen(Pool, "connect", opened)
    event.listen(Pool, "close", closed)
    yield connections
    event.remove(Pool, "connect", opened)
    event.remove(Pool, "close", closed)


def test_closing_leaves_no_connection_open_that_was_in_use(hasty: str, connections: list[Any]) -> None:
    store = Store(hasty)

    with store.read():
        store.close()
        in_use = len(connections)
    after_use = list(connections)
    with pytest.raises(LedgerError):
        store.write(repeat).result(60)
    after_an_error = list(connections)
    store.write(note("late")).result(60)

    assert in_use == 1
    assert after_use == after_an_error == connections == []


def test_an_operation_that_fails_by_itself_fails_alone(store: Store) -> None:
    first, refused, repeated, second, again = at_once(store, note("0"), [note("1"), refuse, repeat, note("2"), repeat])

    assert (first.result(60), second.result(60)) == (None, None)
    assert str(refused.exception(60)) == "refused"
    assert {type(failed.exception(60)) for failed in (repeated, again)} == {LedgerError}
    assert notes(store) == ["0", "1", "2"]


def test_what_is_patient_is_written_when_the_disturbance_is_over(store: Store, locked: Locked) -> None:
    with locked():
        futures = [store.write(note(str(number)), patient=True) for number in range(2)]
        with pytest.raises(LedgerError):
            store.write(note("hasty")).result(60)
        futures.append(store.write(note("2"), patient=True))
        with pytest.raises(LedgerError):
            store.write(note("hasty")).result(60)

        assert [future.done() for future in futures] == [False] * 3

    assert [future.result(60) for future in futures] == [None] * 3
    assert notes(store) == ["0", "1", "2"]


def test_what_is_not_patient_does_not_wait_behind_what_is(store: Store, locked: Locked) -> None:
    """There are more patient operations than one transaction takes."""
    with locked():
        futures = [store.write(note(f"{number:04}"), patient=True) for number in range(1200)]
        with pytest.raises(LedgerError):
            store.write(note("hasty")).result(60)

        assert not any(future.done() for future in futures)

    assert [future.result(60) for future in futures] == [None] * 1200
    with store.read() as connection:
        written = connection.scalars(text("SELECT run FROM runcomfy_totals ORDER BY CAST(model_id AS integer)")).all()
    assert list(written) == [f"{number:04}" for number in range(1200)]


def test_a_session_that_ends_amid_a_transaction_is_begun_anew_for_what_is_patient(postgresql: str) -> None:
    store = Store(postgresql)
    tried: list[str] = []

    def end_once(name: str) -> Write:
        def write(connection: Connection) -> None:
            tried.append(name)
            if tried.count(name) == 1:
                connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
            note(name)(connection)

        return write

    patient = store.write(end_once("patient"), patient=True)
    assert patient.result(60) is None
    with pytest.raises(LedgerError, match="terminating connection"):
        store.write(end_once("hasty")).result(60)

    assert tried == ["patient", "patient", "hasty"]
    assert notes(store) == ["patient"]
    store.close()


def test_patience_ends(store: Store, locked: Locked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ledger_writer, "_PATIENCE", 0.0)

    with locked(), pytest.raises(LedgerError, match=r"database is locked|lock timeout"):
        store.write(note("1"), patient=True).result(60)

    assert notes(store) == []


def test_an_id_that_could_not_be_written_goes_with_what_comes_next(
    kind: Kind,
    sandbox: Sandbox,
    hasty: str,
    locked: Locked,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(_ledger_writer, "_PATIENCE", 0.0)
    with Ledger(hasty) as ledger, ExitStack() as lock:

        def after_the_intent(*_: object) -> None:
            lock.enter_context(locked())

        event.listen(Pool, "checkin", after_the_intent, once=True)
        job = kind.settle(kind.client(sandbox, ledger=ledger).submit(REQUEST))
        ((before, _),) = [(entry.state, entry.request_id) for entry in ledger.entries()]
        lock.close()
        kind.settle(job.result())
        (entry,) = ledger.entries()

    assert before == "submitting"
    assert f"request {job.id} was accepted, which could not be written down" in caplog.text
    assert (entry.state, entry.request_id) == ("completed", job.id)
    assert entry.submitted_at is not None


def test_what_will_not_pass_is_not_waited_for(tmp_path: Path) -> None:
    Store(str(tmp_path / "jobs.sqlite3")).close()
    store = Store(f"sqlite:///file:{tmp_path / 'jobs.sqlite3'}?mode=ro&uri=true")

    with pytest.raises(LedgerError, match="attempt to write a readonly database"):
        store.write(note("1"), patient=True).result(60)

    store.close()


def test_nothing_is_read_that_lacks_what_is_not_written_yet(
    store: Store, locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ledger_store, "_BEFORE_READING", 0.0)
    with locked():
        written = store.write(note("1"), patient=True)
        with pytest.raises(
            LedgerError, match=r"^ledger .*: 1 changes of this process could not be written within 0 seconds$"
        ):
            notes(store)
    written.result(60)

    assert notes(store) == ["1"]


LEFT = """
import atexit, logging, sqlite3, sys
from runcomfy import Ledger, _ledger_store
from sqlalchemy import text

logging.basicConfig(format="%(message)s", stream=sys.stdout)
ledger = Ledger("sqlite:///{path}?timeout=0.05")
other = sqlite3.connect({path!r}, isolation_level=None)
other.execute("BEGIN IMMEDIATE")
insert = text("INSERT INTO runcomfy_totals VALUES ('1', '0', 0, 0, 0, 0)")
ledger._store().write(lambda connection: connection.execute(insert) and None, patient=True)
try:
    ledger._store().write(lambda connection: None).result()
except Exception as error:
    print("refused")
{then}
"""


@pytest.mark.parametrize(
    ("then", "told", "written"),
    [
        ("atexit.register(other.close)", "", ["1"]),
        ("other.close(); ledger.close()", "", ["1"]),
        ("_ledger_store._AT_EXIT = 0.0", "ledger {path}: 1 changes of this process could not be written", []),
    ],
)
def test_what_is_left_at_the_end_is_written_or_told(
    sandbox: Sandbox, run_program: Any, tmp_path: Path, then: str, told: str, written: list[str]
) -> None:
    path = str(tmp_path / "jobs.sqlite3")

    printed = run_program(LEFT.format(path=path, then=then), sandbox)

    assert printed.startswith("refused\n" + told.format(path=path))
    assert bool(printed.removeprefix("refused\n")) == bool(told)
    store = Store(path)
    assert notes(store) == written
    store.close()


def test_without_a_thread_what_is_patient_fails_like_all(
    store: Store, locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", start)

    with locked(), pytest.raises(LedgerError, match=r"database is locked|lock timeout"):
        store.write(note("1"), patient=True).result(0)
    store.write(note("2"), patient=True).result(0)

    assert notes(store) == ["2"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://u:secret@host:abc/db", "ledger: no path of a file, and no URL of a database"),
        ("postgresql://u:secret", "ledger: no path of a file, and no URL of a database"),
        ("postgresql://u:sec@ret@host/db", "ledger: write an @ in a password or a user name as %40"),
        ("jobs\0.sqlite3", "ledger: no path and no URL has a NUL"),
    ],
)
def test_a_url_that_is_none_is_told_without_its_password(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Ledger(url)

    assert str(caught.value) == message
    assert caught.value.__cause__ is None


@pytest.mark.skipif(sys.platform == "win32", reason="has other permissions")
def test_only_its_owner_can_read_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    umask = os.umask(0o022)
    try:
        with Ledger(path) as ledger:
            list(ledger.entries())
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("jobs*")}
    finally:
        os.umask(umask)

    assert modes == {f"jobs.sqlite3{suffix}": 0o600 for suffix in ("", "-wal", "-shm")}
    path.chmod(0o640)
    Ledger(path).close()
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_is_written_is_on_the_disk(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "jobs.sqlite3"))
    with store.read() as connection:
        assert connection.scalar(text("PRAGMA synchronous")) == 2
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    store.close()
