"""What the network does to a request: each failure says whether a byte may have left, and no deadline is outlasted."""

import contextlib
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any, Self

import pytest
import trustme
from conftest import Kind, RawServer, http_answer
from runcomfy import APIConnectionError, SubmissionOutcomeUnknown, WaitTimeoutError
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Drop, Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="u")
ACCEPTED = http_answer("200 OK", b'{"request_id": "r1"}')
DROPS: list[Drop] = ["answer", "reset", "headers", "body"]


@pytest.mark.parametrize("drop", DROPS)
@pytest.mark.parametrize("takes_effect", [False, True])
def test_a_submit_whose_connection_is_dropped_is_unknown_and_not_repeated(
    kind: Kind, sandbox: Sandbox, client: Any, drop: Drop, takes_effect: bool
) -> None:
    sandbox.faults.append(Fault("submit", drop=drop, takes_effect=takes_effect))

    with pytest.raises(SubmissionOutcomeUnknown, match="no answer came"):
        kind.settle(client.submit(REQUEST))

    assert len(sandbox.requests) == 1
    assert len(sandbox.accepted) == (takes_effect or drop in ("headers", "body"))


@pytest.mark.parametrize("drop", DROPS)
@pytest.mark.parametrize("endpoint", ["status", "result"])
def test_a_read_whose_connection_is_dropped_is_repeated(
    kind: Kind, sandbox: Sandbox, client: Any, drop: Drop, endpoint: Any
) -> None:
    job = kind.settle(client.submit(REQUEST))
    sandbox.faults.append(Fault(endpoint, drop=drop))

    assert kind.settle(job.result()).image
    assert len(sandbox.requests) == 4


@pytest.mark.parametrize("drop", DROPS)
def test_a_cancel_whose_answer_is_lost_still_tells_the_truth(kind: Kind, drop: Drop) -> None:
    """The repetition says "not_cancellable", for the job is cancelled already."""
    with Sandbox(queue_seconds=3600) as sandbox:
        job = kind.settle(kind.client(sandbox).submit(REQUEST))
        sandbox.faults.append(Fault("cancel", drop=drop, takes_effect=True))

        assert kind.settle(job.cancel()) is True
        assert kind.settle(job.cancel()) is True
        assert sandbox.accepted[0].state == "cancelled"


class Trickle:
    """A server that never comes to an end: it accepts, reads and answers one byte at a time, or not at all."""

    def __init__(self, answer: bytes = b"", *, reads: bool = True, certificates: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answer, self._reads, self._certificates = answer, reads, certificates
        self._stopped = False
        self._thread = Thread(target=self._serve, daemon=True)
        self.port = self._listener.getsockname()[1]

    def _serve(self) -> None:
        while not self._stopped:
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                with connection:
                    if self._certificates is None:
                        self._talk(connection)
                        continue
                    connection.settimeout(5)
                    with self._certificates.wrap_socket(connection, server_side=True) as encrypted:
                        self._talk(encrypted)

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(0.02)
        for byte in self._answer:
            if self._stopped:
                return
            with contextlib.suppress(TimeoutError):
                if self._reads and not connection.recv(65536):
                    return
            connection.sendall(bytes([byte]))
        while not self._stopped:
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._thread.join()
        self._listener.close()


ENDLESS_HEADERS = b"HTTP/1.1 200 OK\r\n" + b"X-More: yes\r\n" * 1000
ENDLESS_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + b" " * 9999


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificates(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("answer", [b"", ENDLESS_HEADERS, ENDLESS_BODY])
@pytest.mark.parametrize("tls", [False, True])
def test_no_server_outlasts_a_timeout_however_slowly_it_answers(
    kind: Kind, certificates: ssl.SSLContext, answer: bytes, tls: bool
) -> None:
    """Each byte would start a socket's own timeout anew: the deadline counts for the whole exchange."""
    with Trickle(answer, certificates=certificates if tls else None) as server:
        url = f"{'https' if tls else 'http'}://127.0.0.1:{server.port}"
        client = kind.client(base_url=url, token="t", timeout=0.5, verify=False)

        with pytest.raises(SubmissionOutcomeUnknown, match="no answer came"):
            kind.settle(client.submit(REQUEST))
        with pytest.raises(WaitTimeoutError):
            kind.settle(client.job("r1").result(timeout=0.3))
        with pytest.raises(APIConnectionError, match="The job is not affected"):
            kind.settle(client.job("r1").status())


def test_a_server_that_does_not_read_is_not_waited_for_longer_than_the_timeout(kind: Kind) -> None:
    """The body is larger than all buffers, so that it cannot be written."""
    with Trickle(reads=False) as server:
        client = kind.client(base_url=f"http://127.0.0.1:{server.port}", token="t", timeout=0.5)

        with pytest.raises(SubmissionOutcomeUnknown, match="no answer came"):
            kind.settle(client.submit("a/b", {"prompt": "x" * 50_000_000}))


def test_a_handshake_that_never_ends_sends_nothing(kind: Kind) -> None:
    with Trickle() as server:
        client = kind.client(base_url=f"https://127.0.0.1:{server.port}", token="t", timeout=0.3)

        with pytest.raises(APIConnectionError, match="Nothing was sent"):
            kind.settle(client.submit(REQUEST))


@pytest.mark.skipif(sys.platform != "linux", reason="fills the queue of a listening socket, as Linux has it")
def test_a_connection_that_is_never_accepted_sends_nothing(kind: Kind) -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        client = kind.client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", token="t", timeout=0.3)

        with pytest.raises(APIConnectionError, match="Nothing was sent"):
            kind.settle(client.submit(REQUEST))


def test_a_server_that_hangs_up_while_it_is_written_to_leaves_an_unknown_outcome(kind: Kind) -> None:
    """Bytes have left, and the server may have had enough of them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10)

        thread = Thread(target=hang_up)
        thread.start()
        client = kind.client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", token="t")
        with pytest.raises(SubmissionOutcomeUnknown, match="no answer came"):
            kind.settle(client.submit("a/b", {"prompt": "x" * 20_000_000}))
        thread.join()


@pytest.mark.parametrize("answer", [http_answer("403 Forbidden", b""), http_answer("407 Who", b""), b"", b"nonsense"])
def test_a_proxy_that_opens_no_tunnel_leaves_nothing_sent(kind: Kind, answer: bytes) -> None:
    with RawServer([answer]) as proxy:
        client = kind.client(base_url="https://api.example", token="very-secret", proxy=proxy.url)

        with pytest.raises(APIConnectionError, match="Nothing was sent"):
            kind.settle(client.submit(REQUEST))

    assert proxy.received[0].startswith(b"CONNECT api.example:443")
    assert b"very-secret" not in b"".join(proxy.received)


def test_a_proxy_that_cannot_be_reached_leaves_nothing_sent(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    client = kind.client(base_url="http://api.example", token="t", proxy=f"http://127.0.0.1:{port}")

    with pytest.raises(APIConnectionError, match="Nothing was sent"):
        kind.settle(client.submit(REQUEST))


def test_the_password_of_a_proxy_reaches_the_proxy_and_no_text(kind: Kind) -> None:
    with RawServer([b""]) as proxy:
        address = proxy.url.removeprefix("http://")
        client = kind.client(base_url="https://api.example", token="t", proxy=f"http://user:hunter2@{address}")
        with pytest.raises(APIConnectionError) as caught:
            kind.settle(client.submit(REQUEST))

    assert b"Proxy-Authorization: Basic dXNlcjpodW50ZXIy" in proxy.received[0]
    assert "hunter2" not in f"{caught.value!r} {client!r} {client._settings!r}"


@pytest.mark.skipif(sys.platform == "win32", reason="0.0.0.0 is this machine, and yet not its loopback address")
@pytest.mark.parametrize("exempt", ["0.0.0.0", "*"])
def test_no_proxy_is_asked_for_what_the_environment_exempts(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, exempt: str
) -> None:
    with RawServer([ACCEPTED]) as server, RawServer([ACCEPTED], is_proxy=True) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", exempt)
        client = kind.client(base_url=server.url.replace("127.0.0.1", "0.0.0.0"), token="t")

        assert kind.settle(client.submit(REQUEST)).id == "r1"
        assert proxy.received == []


class TlsServer(RawServer):
    """As `RawServer`, behind TLS."""

    def __init__(self, answers: list[bytes], certificates: ssl.SSLContext) -> None:
        super().__init__(answers)
        self._listener = certificates.wrap_socket(self._listener, server_side=True)
        self.url = self.url.replace("http:", "https:")


@pytest.fixture
def https(certificates: ssl.SSLContext) -> Iterator[TlsServer]:
    with TlsServer([ACCEPTED], certificates) as server:
        yield server


def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(kind: Kind, https: TlsServer) -> None:
    with pytest.raises(APIConnectionError, match=r"certificate verify failed.*Nothing was sent"):
        kind.settle(kind.client(base_url=https.url, token="t").submit(REQUEST))

    assert https.received == []


@pytest.mark.parametrize("form", ["file", "path", "folder", "context", "off"])
def test_certificates_are_checked_as_the_argument_says(
    kind: Kind, https: TlsServer, authority: trustme.CA, tmp_path: Path, form: str
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    # OpenSSL looks a certificate up in a folder under the hash of its subject.
    context = ssl.create_default_context(cafile=bundle)
    forms: dict[str, Any] = {"file": str(bundle), "path": bundle, "folder": tmp_path, "context": context, "off": False}
    client = kind.client(base_url=https.url, token="t", verify=forms[form])

    if form == "folder":
        with pytest.raises(APIConnectionError, match="certificate verify failed"):
            kind.settle(client.submit(REQUEST))
    else:
        assert kind.settle(client.submit(REQUEST)).id == "r1"


def test_certificates_are_checked_as_the_environment_says(
    kind: Kind, https: TlsServer, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    assert kind.settle(kind.client(base_url=https.url, token="t").submit(REQUEST)).id == "r1"


def test_the_deadline_of_a_wait_holds_whatever_the_server_does(kind: Kind, sandbox: Sandbox) -> None:
    """Each fault alone would go on for an hour, and this test with it."""
    client = kind.client(sandbox, timeout=3600)
    for fault in (
        Fault("status", delay=3600),
        Fault("status", drip=3600),
        Fault("result", delay=3600),
        Fault("status", 503, headers={"Retry-After": "3600"}),
        Fault("status", changes={"status": "in_queue"}, headers={"Retry-After": "3600"}),
    ):
        job = kind.settle(client.submit(REQUEST))
        sandbox.faults.extend([fault] * 100)
        with pytest.raises(WaitTimeoutError) as caught:
            kind.settle(job.result(timeout=0.2))
        assert caught.value.job is job
        sandbox.reset()
