"""What calls need, counted: threads, connections, TLS contexts; and what is sent on them beside the bodies."""

import asyncio
import gzip
import os
import socket
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from conftest import Kind, RawServer, http_answer
from runcomfy import APIConnectionError, AsyncClient, Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox
from test_connections import TlsServer
from test_connections import authority as authority
from test_connections import certificates as certificates

REQUEST = edit.Input(prompt="p", image_url="u")
ACCEPTED = b'{"request_id": "r1"}'
_connected: list[object] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        _connected.append(arguments[1])


sys.addaudithook(_watch)


@pytest.fixture
def connected() -> list[object]:
    """The addresses that were connected to during the test."""
    _connected.clear()
    return _connected


def submitting() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "runcomfy-submit"}


def test_calls_one_after_the_other_need_one_connection(kind: Kind, client: Any, connected: list[object]) -> None:
    for _ in range(20):
        kind.settle(client.run(REQUEST))

    assert len(connected) == 1


def test_threads_have_a_connection_each_and_open_no_more(sandbox: Sandbox, connected: list[object]) -> None:
    def run() -> None:
        for _ in range(10):
            client.run(REQUEST)

    with Client(sandbox.token, sandbox.base_url, poll_interval=0.0) as client:
        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(sandbox.accepted) == 80
    assert len(connected) <= 8


def test_tasks_share_a_bounded_number_of_connections(sandbox: Sandbox, connected: list[object]) -> None:
    async def main() -> None:
        async with AsyncClient(sandbox.token, sandbox.base_url, poll_interval=0.0) as client:
            await asyncio.gather(*(client.run(REQUEST) for _ in range(300)))

    asyncio.run(main())

    assert len(sandbox.accepted) == 300
    assert len(connected) <= 128


def test_a_connection_that_the_server_has_closed_is_not_used_again(kind: Kind, connected: list[object]) -> None:
    with RawServer([http_answer("200 OK", ACCEPTED)]) as server:  # it says so in its answer
        client = kind.client(base_url=server.url, token="t")
        for _ in range(3):
            kind.settle(client.submit(REQUEST))
        kind.settle(client.close())

        assert len(connected) == len(server.received) == 3


def test_submits_one_after_the_other_need_one_thread_which_goes_with_the_client(sandbox: Sandbox) -> None:
    before = submitting()
    with Client(sandbox.token, sandbox.base_url) as client:
        seen = set[threading.Thread]()
        for _ in range(100):
            client.submit(REQUEST)
            seen |= submitting()

    assert len(sandbox.accepted) == 100
    assert len(seen - before) <= 1
    assert submitting() == set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_finds_no_idle_thread(sandbox: Sandbox, run_program: Any) -> None:
    program = """
import os, threading
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

client = Client()
client.submit(edit.Input(prompt="p", image_url="u"))
child = os.fork()
if child == 0:
    client.submit(edit.Input(prompt="p", image_url="u"))
    os._exit(0)
assert threading.active_count() == 1
assert os.waitpid(child, 0)[1] == 0
client.submit(edit.Input(prompt="p", image_url="u"))
"""

    run_program(program, sandbox)

    assert len(sandbox.accepted) == 3


def test_a_submit_does_not_wait_for_one_that_was_interrupted(sandbox: Sandbox, run_program: Any) -> None:
    """The thread of the first one still waits for its answer."""
    sandbox.faults.append(Fault("submit", delay=3600))
    program = """
import logging, signal
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

logging.getLogger("runcomfy").setLevel(logging.CRITICAL)
request = edit.Input(prompt="p", image_url="u")
client = Client()

def alarm(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 1.0, 0.3)  # the second one ends the wait for the answer to the first submit
try:
    client.submit(request)
except KeyboardInterrupt:
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(client.submit(request).id)
client.close()
"""

    assert run_program(program, sandbox).strip() == sandbox.accepted[-1].id


INTERRUPTED = """
import faulthandler, itertools, logging, sys
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

faulthandler.dump_traceback_later(120, exit=True)  # so that a program that hangs fails
logging.getLogger("runcomfy").setLevel(logging.CRITICAL)
request = edit.Input(prompt="p", image_url="u")
client = Client()
job = client.submit(request)

def interrupted(number):
    def trace(_, event, __):
        nonlocal number
        number -= event in ("call", "return")
        if number == 0:
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        {call}
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False

for number in itertools.count(1):
    if not interrupted(number):
        break
    job.status()
    client.submit(request)
assert number > 100
client.close()
"""


@pytest.mark.parametrize("call", ["client.submit(request)", "job.status()"])
def test_calls_go_on_after_ctrl_c_at_any_moment(sandbox: Sandbox, run_program: Any, call: str) -> None:
    run_program(INTERRUPTED.replace("{call}", call), sandbox)


AT_THE_END = """
import faulthandler
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

faulthandler.dump_traceback_later(60, exit=True)  # so that a program that hangs fails

class Service:
    def __init__(self):
        self.client = Client()
        self.request = edit.Input(prompt="p", image_url="u")
        self.client.submit(self.request)

    def __del__(self):
        try:
            self.client.submit(self.request)
        except Exception:  # Python has no modules any more
            pass
        self.client.close()
        print("closed")

service = Service()
"""


def test_what_is_called_when_the_interpreter_ends_waits_for_no_thread(sandbox: Sandbox, run_program: Any) -> None:
    """By then the idle thread stands still for ever."""
    assert run_program(AT_THE_END, sandbox) == "closed\n"


class Hasty:
    """A server that sends a second answer with its first one, to a request that nobody made."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._connections: list[socket.socket] = []
        self.received: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        stray = b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"request_id": "r0"}'
        answer = b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"request_id": "r1"}'
        for answers in (answer + stray, answer):
            connection = self._listener.accept()[0]
            self._connections.append(connection)
            self.received.append(b"")
            while not self.received[-1].endswith(b"}"):
                self.received[-1] += connection.recv(65536)
            connection.sendall(answers)

    def close(self) -> None:
        self._thread.join()
        for connection in (*self._connections, self._listener):
            connection.close()


def test_an_answer_that_came_before_its_request_is_none_and_the_request_is_never_sent() -> None:
    server = Hasty()
    with Client("t", server.url) as client:
        assert client.submit(REQUEST).id == "r1"
        with pytest.raises(APIConnectionError, match=r"before it was asked.*Nothing was sent"):
            client.submit(REQUEST)
        assert client.submit(REQUEST).id == "r1"
    server.close()

    assert [received.count(b"POST") for received in server.received] == [1, 1]


TLS = """
import gc, ssl
from runcomfy import APIConnectionError, Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

for url in {urls}:
    with Client("t", url) as client:
        try:
            client.submit(edit.Input(prompt="p", image_url="u"))
        except APIConnectionError:
            pass
gc.collect()
print(sum(isinstance(found, ssl.SSLContext) for found in gc.get_objects()))
"""


@pytest.mark.parametrize(("urls", "contexts"), [(["http://127.0.0.1:9"], 0), (["https://127.0.0.1:9"] * 3, 1)])
def test_a_tls_context_is_made_once_and_only_for_https(
    sandbox: Sandbox, run_program: Any, urls: list[str], contexts: int
) -> None:
    assert run_program(TLS.replace("{urls}", repr(urls)), sandbox) == f"{contexts}\n"


def test_a_bundle_that_has_changed_is_read_again(
    kind: Kind, authority: trustme.CA, certificates: Any, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    with TlsServer([http_answer("200 OK", ACCEPTED)], certificates) as server:
        trustme.CA().cert_pem.write_to_path(bundle)
        with pytest.raises(Exception, match="certificate verify failed"):
            kind.settle(kind.client(base_url=server.url, token="t", verify=bundle).submit(REQUEST))
        authority.cert_pem.write_to_path(bundle)

        assert kind.settle(kind.client(base_url=server.url, token="t", verify=bundle).submit(REQUEST)).id == "r1"


@pytest.mark.parametrize(
    ("encoding", "encode"), [("gzip", gzip.compress), ("GZip", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_compressed_answer_is_read(kind: Kind, encoding: str, encode: Callable[[bytes], bytes]) -> None:
    with RawServer([http_answer("200 OK", encode(ACCEPTED), f"Content-Encoding: {encoding}")]) as server:
        assert kind.settle(kind.client(base_url=server.url, token="t").submit(REQUEST)).id == "r1"

    assert b"\r\nAccept-Encoding: gzip, deflate\r\n" in server.received[0]


def test_no_cookie_is_kept(kind: Kind) -> None:
    with RawServer([http_answer("200 OK", ACCEPTED, "Set-Cookie: session=1")]) as server:
        client = kind.client(base_url=server.url, token="t")
        for _ in range(2):
            kind.settle(client.submit(REQUEST))

    assert b"session" not in server.received[1]


def test_a_header_of_the_caller_takes_the_place_of_our_own_however_it_is_spelled(kind: Kind) -> None:
    with RawServer([http_answer("200 OK", ACCEPTED)]) as server:
        client = kind.client(base_url=server.url, token="t", headers={"accept": "x/y", "USER-AGENT": "mine"})
        kind.settle(client.submit(REQUEST))

    head = server.received[0].partition(b"\r\n\r\n")[0].lower()
    assert [line for line in head.split(b"\r\n") if line.startswith((b"accept:", b"user-agent:"))] == [
        b"accept: x/y",
        b"user-agent: mine",
    ]


def test_a_base_url_in_another_script_is_sent_as_the_network_writes_it(kind: Kind) -> None:
    with RawServer([http_answer("200 OK", ACCEPTED)], is_proxy=True) as proxy:
        client = kind.client(base_url="http://Bücher.example:8080/ä b%2Fc/v1", token="t", proxy=proxy.url)
        kind.settle(client.submit(REQUEST))

    line, host, *_ = proxy.received[0].split(b"\r\n")
    assert line.startswith(b"POST http://xn--bcher-kva.example:8080/%C3%A4%20b%2Fc/v1/models/")
    assert host == b"Host: xn--bcher-kva.example:8080"
