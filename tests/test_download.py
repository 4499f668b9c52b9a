"""Downloads: files arrive whole or not at all, whatever the network, the server and the disk do."""

import asyncio
import copy
import gzip
import json
import logging
import os
import pickle
import socket
import ssl
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import httpcore
import pytest
import runcomfy
import trustme
from conftest import Kind, RawServer, http_answer
from file_server import Answer, Exchange, FileServer, chunked, cut, picture, raw, redirect, rest, status, whole
from PIL import Image
from runcomfy import ConfigurationError, DownloadError, DownloadFailure, Output, _connections
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Sandbox

REQUEST = edit.Input(prompt="p", image_url="https://example.com/input.png")
PICTURE = picture()
GIF = b"GIF89a" + bytes(7) + b";"
MP3 = b"ID3\x04" + bytes(20)
OTHER = picture()
HEADERS = {"host", "accept", "accept-encoding", "connection", "user-agent"}
SIGNED = "X-Signature=0123456789abcdef"
LOCAL: dict[str, Any] = {"allowed_hosts": ["127.0.0.1"], "allow_http": True}


def digest(request_id: str) -> str:
    return sha256(request_id.encode()).hexdigest()[:16]


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as server:
        yield server


@pytest.fixture
def stranger() -> Iterator[FileServer]:
    """Another one, that the client was told nothing of."""
    with FileServer() as server:
        server.put("/a.png", whole(PICTURE))
        yield server


@pytest.fixture
def fetch(kind: Kind) -> Any:
    """``runcomfy.download(…)``, or what ``await runcomfy.download_async(…)`` gives."""

    def fetch(url: str, target: Any, **options: Any) -> Path:
        path = kind.settle((runcomfy.download_async if kind.is_async else runcomfy.download)(url, target, **options))
        assert isinstance(path, Path)
        return path

    return fetch


@pytest.fixture
def get(fetch: Any, server: FileServer, tmp_path: Path) -> Any:
    """What a server's answers make of a file: its content, or the only failure. Nothing else is left behind."""

    def get(*answers: Answer, path: str = "/a.png", **options: Any) -> Any:
        url = server.put(path, *answers)
        error: DownloadError | None = None
        try:
            fetch(url, tmp_path / "out/a", base_url=server.url, **options)
        except DownloadError as raised:
            error = raised
        assert list(tmp_path.rglob("*.*")) == []
        if error is None:
            return (tmp_path / "out/a").read_bytes()
        (failure,) = error.failures
        assert (error.saved, failure.url) == ([], url.partition("?")[0])
        assert failure.reason in str(error)
        return failure

    return get


@pytest.fixture
def output_of(kind: Kind, sandbox: Sandbox) -> Any:
    """The output of a job of the sandbox, with the given fields."""

    def output_of(output: Any, **settings: Any) -> Any:
        client = kind.client(sandbox, **settings)
        job = kind.settle(client.submit(REQUEST))
        sandbox.faults.append(Fault("result", changes={"output": output}))
        return kind.settle(job.result())

    return output_of


@pytest.fixture
def save(kind: Kind) -> Any:
    """``output.save(…)``, or what ``await output.save_async(…)`` gives."""

    def save(output: Output, folder: Any, **options: Any) -> list[Path]:
        files: list[Path] = kind.settle((output.save_async if kind.is_async else output.save)(folder, **options))
        return files

    return save


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Which files an output has.


def test_the_files_are_all_urls_of_the_output_in_its_order_and_each_once(output_of: Any) -> None:
    deep: Any = "https://x.runcomfy.net/deep"
    for _ in range(100):
        deep = [{"next": deep}]
    output = output_of(
        {
            "videos": ["https://x.runcomfy.net/1", {"url": "HTTPS://x.runcomfy.net/2"}],
            "image": "https://x.runcomfy.net/1",
            "note": "see https://example.com",
            "size": 5,
            "data": ["data:image/png;base64,AAAA", "data: none, yet"],
            "other": deep,
            "last": "http://x.runcomfy.net/3",
        }
    )

    assert output.files == [
        "https://x.runcomfy.net/1",
        "HTTPS://x.runcomfy.net/2",
        "data:image/png;base64,AAAA",
        "https://x.runcomfy.net/deep",
        "http://x.runcomfy.net/3",
    ]


def test_nothing_but_the_output_has_files() -> None:
    body = {"status": "succeeded", "input": {"image_url": "https://x.runcomfy.net/in"}, "result_url": "https://x"}

    assert edit.Output._from_result({**body, "output": ["https://x.runcomfy.net/out"]}).files == [
        "https://x.runcomfy.net/out"
    ]
    assert edit.Output._from_result({**body, "image": "https://x.runcomfy.net/out"}).files == [
        "https://x.runcomfy.net/out"
    ]
    assert edit.Output._from_result({**body, "output": None}).files == []


def test_an_output_nested_beyond_measure_still_tells_its_files() -> None:
    deep: Any = "https://x.runcomfy.net/deep"
    for _ in range(100_000):
        deep = [deep]

    assert edit.Output._from_result({"output": {"a": deep}}).files == ["https://x.runcomfy.net/deep"]


# Saving an output.


def test_an_output_is_saved_under_the_id_of_its_job(
    kind: Kind, sandbox: Sandbox, client: Any, save: Any, tmp_path: Path
) -> None:
    output = kind.settle(client.run(REQUEST))
    (job,) = sandbox.accepted

    (file,) = save(output, f"{tmp_path}/new/folder")

    assert file == tmp_path / f"new/folder/{job.id}-1.png"
    assert names(file.parent) == [file.name]
    with Image.open(file) as image:
        image.load()
    assert file.stat().st_mode == _mode_of_a_new_file(tmp_path)


def _mode_of_a_new_file(folder: Path) -> int:
    (folder / "new").with_suffix(".txt").touch()
    return (folder / "new.txt").stat().st_mode


def test_files_are_saved_in_the_order_of_the_output_and_sent_no_secret(
    sandbox: Sandbox, server: FileServer, output_of: Any, save: Any, tmp_path: Path
) -> None:
    urls = [
        server.put("/1", whole(PICTURE, Set_Cookie="session=1")),
        server.put("/2.png?sig=1", whole(GIF, Set_Cookie="session=2")),
        server.put("/3", whole(MP3, "audio/mpeg")),
    ]
    output = output_of({"images": urls}, headers={"X-Secret": "of-the-client"})
    job = sandbox.accepted[0].id

    files = save(output, tmp_path, parallel=1, **LOCAL)

    assert files == [tmp_path / f"{job}-1.png", tmp_path / f"{job}-2.gif", tmp_path / f"{job}-3.mp3"]
    assert [file.read_bytes() for file in files] == [PICTURE, GIF, MP3]
    assert [asked.path for asked in server.asked] == ["/1", "/2.png?sig=1", "/3"]
    for asked in server.asked:
        assert set(asked.headers) == HEADERS
        assert asked.headers["accept-encoding"] == "identity"


def test_an_output_without_files_makes_none(output_of: Any, save: Any, tmp_path: Path) -> None:
    assert save(output_of({"text": "nothing"}), tmp_path / "out") == []
    assert not (tmp_path / "out").exists()


def test_a_saved_file_is_kept_and_not_fetched_again_unless_asked(
    server: FileServer, output_of: Any, save: Any, tmp_path: Path
) -> None:
    output = output_of({"image": server.put("/a", whole(PICTURE), whole(OTHER))})
    first = save(output, tmp_path, **LOCAL)

    assert save(output, tmp_path, **LOCAL) == first
    assert len(server.asked) == 1
    assert first[0].read_bytes() == PICTURE
    assert save(output, tmp_path, overwrite=True, **LOCAL) == first
    assert first[0].read_bytes() == OTHER
    assert names(tmp_path) == [first[0].name]


@pytest.mark.parametrize("beside", [".json", ".part", ".txt", ".png.bak", "0.png"])
def test_what_others_put_beside_a_file_is_not_taken_for_it(
    sandbox: Sandbox, server: FileServer, output_of: Any, save: Any, tmp_path: Path, beside: str
) -> None:
    output = output_of({"image": server.put("/a", whole(PICTURE))})
    stem = f"{sandbox.accepted[0].id}-1"
    (tmp_path / f"{stem}{beside}").write_text("a note")

    assert [file.name for file in save(output, tmp_path, **LOCAL)] == [f"{stem}.png"]
    assert (tmp_path / f"{stem}{beside}").read_text() == "a note"


@pytest.mark.parametrize(("suffix", "media_type"), [(".json", "application/json"), (".psd", "image/x-other")])
def test_a_file_of_any_kind_is_kept_where_it_is_the_same(
    server: FileServer, output_of: Any, save: Any, tmp_path: Path, suffix: str, media_type: str
) -> None:
    output = output_of({"image": server.put(f"/a{suffix}", whole(b"{}", media_type))})
    first = save(output, tmp_path, **LOCAL)

    assert save(output, tmp_path, **LOCAL) == first
    first[0].write_bytes(b"")
    with pytest.raises(DownloadError, match="is there already") as caught:
        save(output, tmp_path, **LOCAL)
    assert caught.value.saved == []
    assert first[0].read_bytes() == b""


def test_a_save_that_failed_half_way_is_finished_by_the_next(
    sandbox: Sandbox, server: FileServer, output_of: Any, save: Any, tmp_path: Path
) -> None:
    urls = [
        server.put("/1", whole(PICTURE)),
        server.put(f"/2?{SIGNED}", status(404), whole(OTHER)),
        server.put("/3", cut(PICTURE, 5000, ETag='"v1"'), status(403), whole(PICTURE)),
        "https://evil.example/4?secret",
    ]
    output = output_of({"images": urls})
    before = copy.deepcopy(output.raw)
    job = sandbox.accepted[0].id

    with pytest.raises(DownloadError) as caught:
        save(output, tmp_path, **LOCAL)

    error = caught.value
    assert error.saved == [tmp_path / f"{job}-1.png"]
    assert error.failures[:2] == [
        DownloadFailure(f"{server.url}/2", "HTTP 404 Not Found", 0),
        DownloadFailure(f"{server.url}/3", "HTTP 403 Forbidden", 5000),
    ]
    assert error.failures[2].url == "https://evil.example/4"
    assert "evil.example is not one of RunComfy's" in error.failures[2].reason
    assert (error.request_id, error.model_id) == (job, edit.MODEL_ID)
    assert str(error).startswith(f"3 of 4 files could not be downloaded: {server.url}/2: HTTP 404 Not Found; ")
    assert job in str(error)
    assert "secret" not in str(error)
    assert names(tmp_path) == [f"{job}-1.png"]
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied), vars(copied)) == (DownloadError, str(error), vars(error))
    assert output.raw == before

    server.asked.clear()
    with pytest.raises(DownloadError) as caught:
        save(output, tmp_path, **LOCAL)
    assert [path.name for path in caught.value.saved] == [f"{job}-{position}.png" for position in (1, 2, 3)]
    assert sorted(asked.path for asked in server.asked) == [f"/2?{SIGNED}", "/3"]
    assert "1 of 4 files" in str(caught.value)


def test_files_are_fetched_at_the_same_time(server: FileServer, output_of: Any, save: Any, tmp_path: Path) -> None:
    """None of the four is answered before all are asked for."""
    barrier = threading.Barrier(4)

    def answer(exchange: Exchange) -> None:
        barrier.wait(30)
        whole(PICTURE)(exchange)

    output = output_of({"images": [server.put(f"/{number}", answer) for number in range(4)]})

    assert len(save(output, tmp_path, **LOCAL)) == 4


def test_no_more_files_are_fetched_at_the_same_time_than_asked(
    server: FileServer, output_of: Any, save: Any, tmp_path: Path
) -> None:
    running, most = [0], [0]
    lock = threading.Lock()

    def answer(exchange: Exchange) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        whole(PICTURE)(exchange)
        with lock:
            running[0] -= 1

    output = output_of({"images": [server.put(f"/{number}", answer) for number in range(6)]})
    files = save(output, tmp_path, parallel=1, **LOCAL)

    assert len(files) == 6
    assert most == [1]


@pytest.mark.parametrize(
    ("request_id", "stem"),
    [
        ("7f0c-ab_9.x", "7f0c-ab_9.x-1"),
        ("7f0c-AB_9.x", f"7f0c-AB_9.x-{digest('7f0c-AB_9.x')}-1"),
        ("a/b c:d", f"a_b_c_d-{digest('a/b c:d')}-1"),
        ("../../etc/x", f"_._.._etc_x-{digest('../../etc/x')}-1"),
        (".hidden", "_hidden-1"),
        ("é", f"_-{digest('é')}-1"),
        ("x" * 300, f"{'x' * 60}-{sha256(b'x' * 300).hexdigest()[:16]}-1"),
        (None, f"{sha256(b'https://x.runcomfy.net/a').hexdigest()[:16]}-1"),
        ("", f"{sha256(b'https://x.runcomfy.net/a').hexdigest()[:16]}-1"),
        (5, f"{sha256(b'https://x.runcomfy.net/a').hexdigest()[:16]}-1"),
    ],
)
def test_the_names_of_saved_files_are_the_same_in_every_call(
    save: Any, tmp_path: Path, request_id: Any, stem: str
) -> None:
    """A file that is there under the name is taken, so that nothing is fetched."""
    body = {"request_id": request_id, "output": {"image": "https://x.runcomfy.net/a?sig=1"}}
    (tmp_path / f"{stem}.webp").write_bytes(b"x")

    assert save(edit.Output._from_result(body), tmp_path) == [tmp_path / f"{stem}.webp"]


# Where an output came from.


def test_an_output_may_be_saved_in_another_process(
    kind: Kind, sandbox: Sandbox, save: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was made with goes with it, as far as it can; the secrets do not."""
    context = ssl.create_default_context()
    client = kind.client(sandbox, verify=context, headers={"X-Secret": "of-the-client"})
    output = kind.settle(client.run(REQUEST))
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", "https://elsewhere.example")

    pickled = pickle.dumps(output)
    for number, twin in enumerate([pickle.loads(pickled), copy.copy(output), copy.deepcopy(output)]):
        assert twin == output
        assert twin.raw == output.raw
        assert len(save(twin, tmp_path / str(number))) == 1
    assert sandbox.token.encode() not in pickled
    assert b"of-the-client" not in pickled


def test_the_password_of_a_proxy_is_in_no_pickle_of_an_output(kind: Kind) -> None:
    answers = [
        http_answer("200 OK", b'{"request_id": "r1"}'),
        http_answer("200 OK", b'{"status": "completed"}'),
        http_answer("200 OK", b'{"status": "succeeded", "output": {"image": "https://x.runcomfy.net/a"}}'),
    ]
    with RawServer(answers, is_proxy=True) as proxy:
        address = proxy.url.removeprefix("http://")
        client = kind.client(base_url="http://api.example", token="t", proxy=f"http://user:hunter2@{address}")
        output = kind.settle(client.run(REQUEST))

    assert "hunter2" not in f"{output!r} {output._source!r}"
    assert b"hunter2" not in pickle.dumps(output)
    assert output._source.proxy is not None
    assert pickle.loads(pickle.dumps(output))._source.proxy is None


def test_an_output_of_no_client_is_saved_as_the_environment_says(
    server: FileServer, save: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.put("/a", whole(PICTURE))
    output = edit.Output._from_result({"request_id": "r1", "output": {"image": url}})
    with pytest.raises(DownloadError, match="is not one of RunComfy's"):
        save(output, tmp_path)

    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", f"{server.url}/v1")
    assert save(output, tmp_path) == [tmp_path / "r1-1.png"]

    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", "nonsense")
    with pytest.raises(ConfigurationError, match="RUNCOMFY_MODEL_API_BASE"):
        save(output, tmp_path)


def test_an_output_that_was_stored_has_the_files_of_its_fields(
    kind: Kind, sandbox: Sandbox, save: Any, tmp_path: Path
) -> None:
    output = kind.settle(kind.client(sandbox).run(REQUEST))

    again = edit.Output.model_validate_json(output.model_dump_json())

    assert again.files == output.files
    with pytest.raises(DownloadError, match=r"allowed_hosts=\['127\.0\.0\.1'\] allows it"):  # its client is not known
        save(again, tmp_path)
    assert edit.Output().files == []


def test_files_are_fetched_through_the_proxy_of_the_client(kind: Kind, save: Any, tmp_path: Path) -> None:
    url = "http://x.runcomfy.net/a?sig=1"
    answers = [
        http_answer("200 OK", b'{"status": "completed"}'),
        http_answer("200 OK", b'{"status": "succeeded", "output": {"image": "%s"}}' % url.encode()),
        http_answer("200 OK", PICTURE),
    ]
    with RawServer(answers, is_proxy=True) as proxy:
        client = kind.client(base_url="http://api.example", token="very-secret", proxy=proxy.url)
        output = kind.settle(client.job("r1", edit.Output).result())

        assert save(output, tmp_path, allow_http=True)[0].read_bytes() == PICTURE
    assert proxy.received[2].startswith(b"GET http://x.runcomfy.net/a?sig=1 HTTP/1.1\r\n")
    assert b"very-secret" not in proxy.received[2]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def https(authority: trustme.CA) -> Iterator[FileServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with FileServer(context) as server:
        yield server


def test_certificates_are_checked_as_the_client_does(
    https: FileServer, authority: trustme.CA, output_of: Any, save: Any, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    url = https.put("/a", whole(PICTURE))

    file = save(output_of({"image": url}, verify=tmp_path / "ca.pem"), tmp_path, allowed_hosts=["127.0.0.1"])[0]

    assert file.read_bytes() == PICTURE
    with pytest.raises(DownloadError, match="certificate verify failed"):
        save(output_of({"image": url}), tmp_path, allowed_hosts=["127.0.0.1"])


# Files inside an output.


@pytest.mark.parametrize(
    ("url", "name", "content"),
    [
        ("data:image/png;base64,SUkqAA==", "r1-1.tiff", b"II*\0"),
        ("DATA:image/webp;charset=x;BASE64,SUkqAA", "r1-1.tiff", b"II*\0"),
        ("data:text/plain,a%20b?c#d", "r1-1.txt", b"a b?c#d"),
        ("data:,x", "r1-1.bin", b"x"),
        ("data:audio/mpeg;base64,AAAA%3D%3D%3D%3D"[:-12], "r1-1.mp3", b"\0\0\0"),
    ],
)
def test_a_data_url_is_a_file_too(save: Any, tmp_path: Path, url: str, name: str, content: bytes) -> None:
    output = edit.Output._from_result({"request_id": "r1", "output": {"image": url}})

    assert save(output, tmp_path) == [tmp_path / name]
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize(
    ("url", "reason", "options"),
    [
        ("data:image/png;base64,!!!!", "its data cannot be decoded", {}),
        ("data:image/png;base64,A", "its data cannot be decoded", {}),
        ("data:image/png,\ud800", "its data cannot be decoded", {}),
        ("data:image/png;base64,", "it is empty", {}),
        ("data:text/html,<p>", "it is a web page, and no media", {}),
        ("data:image/png;base64,AAAA", "it is larger than the 2 bytes of max_bytes", {"max_bytes": 2}),
        ("data:image/png;base64,AAAA", "it cannot be decoded: its format is not known", {"decode": True}),
    ],
)
def test_a_data_url_without_a_usable_file_is_a_failure(
    save: Any, tmp_path: Path, url: str, reason: str, options: dict[str, Any]
) -> None:
    output = edit.Output._from_result({"request_id": "r1", "output": {"image": url}})

    with pytest.raises(DownloadError) as caught:
        save(output, tmp_path, **options)

    assert caught.value.failures == [DownloadFailure(url.partition(",")[0], reason, caught.value.failures[0].received)]
    assert names(tmp_path) == []


# Where a file goes.


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/folder/My%20cat.v2.jpeg?sig=a.mp4", "My cat.v2.png"),
        ("/", "output.png"),
        ("", "output.png"),
        ("/a/", "output.png"),
        ("/flux-1.5", "flux-1.5.png"),
        ("/a.tar.gz", "a.tar.png"),
        ("/.hidden.png", "hidden.png"),
        ("/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "_.._etc_passwd.png"),
        ("/..%5C..%5Cx.png", "_.._x.png"),
        ("/a%3Ab%7Cc%3F%2A%22%3C%3E.png", "a_b_c_____.png"),
        ("/a%00b%0Ac%E2%80%AEd.png", "a_b_c_d.png"),
        ("/con.png", "_con.png"),
        ("/NUL", "_NUL.png"),
        ("/Com1.tar.png", "_Com1.tar.png"),
        ("/console.png", "console.png"),
        ("/%20%20x%20..%20", "x.png"),
        ("/%FF%FE.png", "\ufffd\ufffd.png"),
        ("/ü.png", "ü.png"),
        (f"/{'a' * 300}.png", f"{'a' * 100}.png"),
        (f"/{'%F0%9F%90%88' * 90}.png", f"{'🐈' * 50}.png"),
    ],
)
def test_a_file_in_a_folder_has_the_name_of_its_url_made_safe(
    fetch: Any, tmp_path: Path, server: FileServer, path: str, name: str
) -> None:
    url = f"{server.url}{path}"
    server.put(path.replace("ü", "%C3%BC") or "/", whole(PICTURE))

    assert fetch(url, tmp_path, base_url=server.url) == tmp_path / name
    assert names(tmp_path) == [name]


MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"
WEBM = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01webm"


@pytest.mark.parametrize(
    ("content", "media_type", "path", "name"),
    [
        (PICTURE, "image/jpeg", "/a.webp", "a.png"),
        (PICTURE, None, "/a", "a.png"),
        (MP4, "video/mp4", "/a", "a.mp4"),
        (MP4, "audio/mp4", "/a.mp4", "a.m4a"),
        (WEBM, "Audio/WebM; codecs=opus", "/a", "a.weba"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "audio/x", "/a", "a.mov"),
        (PICTURE, "audio/mpeg", "/a", "a.png"),
        (b"<svg/>", "image/svg+xml; charset=utf-8", "/a", "a.svg"),
        (b"{}", "application/json", "/a.png", "a.json"),
        (b"?", "application/octet-stream", "/a.GLTF", "a.gltf"),
        (b"?", None, "/a.tar.7z", "a.tar.7z"),
        (b"?", None, "/a.verylong", "a.verylong.bin"),
        (b"?", None, "/a.b-c", "a.b-c.bin"),
        (b"?", "x/y", "/a", "a.bin"),
    ],
)
def test_the_suffix_says_what_is_in_the_file(
    fetch: Any, tmp_path: Path, server: FileServer, content: bytes, media_type: Any, path: str, name: str
) -> None:
    url = server.put(path, whole(content, media_type))

    assert fetch(url, tmp_path, base_url=server.url).name == name


def test_a_target_with_a_separator_at_its_end_is_a_folder(fetch: Any, server: FileServer, tmp_path: Path) -> None:
    url = server.put("/a.png", whole(PICTURE))

    assert fetch(url, f"{tmp_path}/new/one/", base_url=server.url) == tmp_path / "new/one/a.png"
    assert fetch(url, str(tmp_path / "new/one.jpg"), base_url=server.url) == tmp_path / "new/one.jpg"
    assert fetch(url, tmp_path / "new/two", base_url=server.url) == tmp_path / "new/two"


def test_a_file_that_is_there_is_not_overwritten_unless_asked(fetch: Any, server: FileServer, tmp_path: Path) -> None:
    url = server.put("/a.png", whole(PICTURE))
    file = tmp_path / "a.png"
    file.write_text("mine")

    with pytest.raises(DownloadError, match=r"a\.png is there already \(overwrite=True replaces it\)") as caught:
        fetch(url, file, base_url=server.url)
    assert (caught.value.failures[0].received, server.asked) == (0, [])
    with pytest.raises(DownloadError, match="is there already"):
        fetch(url, tmp_path, base_url=server.url)
    assert file.read_text() == "mine"
    assert names(tmp_path) == ["a.png"]

    assert fetch(url, tmp_path, overwrite=True, base_url=server.url) == file
    assert file.read_bytes() == PICTURE
    file.write_text("mine")
    assert fetch(url, file, overwrite=True, base_url=server.url).read_bytes() == PICTURE
    assert names(tmp_path) == ["a.png"]


def no_links(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("has_links", [True, False])
@pytest.mark.parametrize("taken", [False, True])
def test_a_file_that_appears_meanwhile_is_not_replaced(
    get: Any, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool, taken: bool
) -> None:
    """Neither where a file system has links, by which a name is taken at once, nor where it has none."""
    if not has_links:
        monkeypatch.setattr(os, "link", no_links)

    def answer(exchange: Exchange) -> None:
        if taken:
            (tmp_path / "out").mkdir()
            (tmp_path / "out/a").write_text("mine")
        whole(PICTURE)(exchange)

    found = get(answer)

    if taken:
        assert "is there already" in found.reason
        assert found.received == len(PICTURE)
        assert (tmp_path / "out/a").read_text() == "mine"
        assert names(tmp_path / "out") == ["a"]
    else:
        assert found == PICTURE


def test_a_name_that_cannot_be_taken_is_free_again(
    fetch: Any, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(os, "replace", no_links)

    with pytest.raises(DownloadError, match="Operation not permitted"):
        fetch(server.put("/a", whole(PICTURE)), tmp_path / "a", base_url=server.url)

    assert names(tmp_path) == []


def test_two_calls_that_save_the_same_output_get_in_nobodys_way(
    kind: Kind, server: FileServer, output_of: Any, save: Any, tmp_path: Path
) -> None:
    """The second one finds the file when it has fetched it itself."""
    files: list[Path] = []

    def answer(exchange: Exchange) -> None:
        if not files:
            files.extend(output.save(tmp_path, **LOCAL))
        whole(PICTURE)(exchange)

    def first(exchange: Exchange) -> None:
        server.put("/a", whole(PICTURE))
        answer(exchange)

    output = output_of({"image": server.put("/a", first)})

    assert save(output, tmp_path, **LOCAL) == files
    assert len(server.asked) == 2
    assert names(tmp_path) == [files[0].name]


@pytest.mark.parametrize(
    ("made", "target", "reason"),
    [
        ("file", "out/a.png", "File exists|Not a directory"),
        ("file", "out/deep/er/a.png", "Not a directory|File exists"),
        ("folder", "out/", r"out.a\.png is there already"),
    ],
)
def test_what_is_in_the_way_is_a_failure(
    fetch: Any, server: FileServer, tmp_path: Path, made: str, target: str, reason: str
) -> None:
    if made == "file":
        (tmp_path / "out").write_text("mine")
    else:
        (tmp_path / "out/a.png").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(DownloadError, match=reason):
        fetch(server.put("/a.png", whole(PICTURE)), f"{tmp_path}/{target}", base_url=server.url)

    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_is_not_overwritten(fetch: Any, server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()

    with pytest.raises(DownloadError, match="it cannot be written into"):
        fetch(server.put("/a.png", whole(PICTURE)), tmp_path, overwrite=True, base_url=server.url)

    assert names(tmp_path) == ["a.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_a_disk_that_takes_no_more_is_a_failure(
    kind: Kind, server: FileServer, tmp_path: Path, sandbox: Sandbox, run_program: Any
) -> None:
    url = server.put("/a.png", whole(PICTURE))
    program = f"""
import asyncio, os, resource, runcomfy
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
call = dict(url={url!r}, target={str(tmp_path / "out/a.png")!r}, base_url={server.url!r})
try:
    asyncio.run(runcomfy.download_async(**call)) if {kind.is_async} else runcomfy.download(**call)
except runcomfy.DownloadError as error:
    print(error.failures[0].reason, os.listdir({str(tmp_path / "out")!r}))
"""

    assert run_program(program, sandbox) == f"it cannot be written into {tmp_path / 'out'}: File too large []\n"


# Cut connections.


def asked_parts(server: FileServer) -> list[tuple[str, str]]:
    return [(asked.headers.get("range", ""), asked.headers.get("if-range", "")) for asked in server.asked]


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"v1"'}, '"v1"'),
        ({"ETag": '"v1"', "Last_Modified": "Tue, 06 Oct 2026 10:00:00 GMT"}, '"v1"'),
        ({"ETag": 'W/"v1"', "Last_Modified": "Tue, 06 Oct 2026 10:00:00 GMT"}, "Tue, 06 Oct 2026 10:00:00 GMT"),
        ({"Last_Modified": "Tue, 06 Oct 2026 10:00:00 GMT"}, "Tue, 06 Oct 2026 10:00:00 GMT"),
    ],
)
def test_a_cut_connection_is_resumed_where_it_left_off(
    get: Any, server: FileServer, headers: dict[str, Any], validator: str
) -> None:
    assert get(cut(PICTURE, 5000, **headers), rest(PICTURE, 8000, **headers), rest(PICTURE, **headers)) == PICTURE
    assert asked_parts(server) == [("", ""), ("bytes=3976-", validator), ("bytes=6976-", validator)]


def test_an_answer_that_does_not_repeat_the_date_may_be_about_another_file(get: Any, server: FileServer) -> None:
    date = "Tue, 06 Oct 2026 10:00:00 GMT"

    assert get(cut(PICTURE, 5000, Last_Modified=date), rest(PICTURE, ETag=None), whole(PICTURE)) == PICTURE
    assert [part for part, _ in asked_parts(server)] == ["", "bytes=3976-", ""]


def test_a_length_that_the_first_answer_did_not_tell_is_learned_from_the_second(get: Any, server: FileServer) -> None:
    first = chunked(PICTURE[:5000], end=b"", headers='ETag: "v1"\r\n')

    assert get(first, rest(PICTURE, 8000), rest(PICTURE)) == PICTURE
    assert [part for part, _ in asked_parts(server)] == ["", "bytes=3976-", "bytes=6976-"]


def test_a_part_of_the_rest_is_taken_and_the_rest_of_it_asked_for(get: Any, server: FileServer) -> None:
    def some(exchange: Exchange) -> None:
        headers = {"Content-Range": f"bytes 3976-7999/{len(PICTURE)}", "Content-Length": 4024, "ETag": '"v1"'}
        exchange.send(206, headers, PICTURE[3976:8000])

    assert get(cut(PICTURE, 5000, ETag='"v1"'), some, rest(PICTURE)) == PICTURE
    assert [part for part, _ in asked_parts(server)] == ["", "bytes=3976-", "bytes=6976-"]


def test_a_server_that_does_not_tell_the_length_of_a_part_is_taken_at_its_end(get: Any) -> None:
    first = chunked(PICTURE[:5000], end=b"", headers='ETag: "v1"\r\n')

    assert get(first, rest(PICTURE, Content_Range=f"bytes 3976-{len(PICTURE) - 1}/*")) == PICTURE


@pytest.mark.parametrize(
    "headers",
    [{}, {"ETag": 'W/"v1"'}, {"ETag": "v1"}, {"ETag": '"v\u00fc"'}, {"Last_Modified": "yesterday"}],
)
def test_content_without_a_name_begins_anew(get: Any, server: FileServer, headers: dict[str, str]) -> None:
    assert get(cut(PICTURE, 5000, **headers), whole(OTHER)) == OTHER
    assert asked_parts(server) == [("", ""), ("", "")]


def test_what_is_shorter_than_the_overlap_begins_anew(get: Any, server: FileServer) -> None:
    assert get(cut(PICTURE, 1024, ETag='"v1"'), whole(OTHER)) == OTHER
    assert asked_parts(server) == [("", ""), ("", "")]


LENGTH = len(PICTURE)
LIES: dict[str, Answer] = {
    "all of it": whole(OTHER, ETag='"v2"'),
    "another start": rest(PICTURE, Content_Range=f"bytes 3975-{LENGTH - 1}/{LENGTH}"),
    "another start after the end": rest(PICTURE, Content_Range=f"bytes {LENGTH}-{LENGTH + 9}/{LENGTH}"),
    "an end before its start": rest(PICTURE, Content_Range=f"bytes 3976-3975/{LENGTH}"),
    "an end after the last byte": rest(PICTURE, Content_Range=f"bytes 3976-{LENGTH}/{LENGTH}"),
    "another length": rest(PICTURE, Content_Range=f"bytes 3976-{LENGTH - 1}/{LENGTH + 1}"),
    "no range": rest(PICTURE, Content_Range=None),
    "an odd range": rest(PICTURE, Content_Range="bytes 3976-"),
    "another unit": rest(PICTURE, Content_Range=f"items 3976-{LENGTH - 1}/{LENGTH}"),
    "another tag": rest(PICTURE, ETag='"v2"'),
    "no tag": rest(PICTURE, ETag=None),
    "a weak tag": rest(PICTURE, ETag='W/"v1"'),
    "other bytes": rest(OTHER),
    "encoded bytes": rest(PICTURE, Content_Encoding="gzip"),
    "too many bytes": lambda exchange: exchange.send(
        206,
        {"Content-Range": f"bytes 3976-{LENGTH - 1}/{LENGTH}", "ETag": '"v1"', "Content-Length": LENGTH - 3975},
        PICTURE[3976:] + b"x",
    ),
    "nothing left": status(416),
}


@pytest.mark.parametrize("lie", LIES)
def test_whatever_may_be_other_content_begins_anew(get: Any, server: FileServer, lie: str) -> None:
    assert get(cut(PICTURE, 5000, ETag='"v1"'), LIES[lie], whole(OTHER, ETag='"v2"')) == OTHER
    parts = [part for part, _ in asked_parts(server)]
    assert parts == ["", "bytes=3976-", ""][: 2 if lie == "all of it" else 3]


def test_each_resumed_part_may_be_cut_as_often_as_there_is_progress(get: Any, server: FileServer) -> None:
    cuts = [rest(PICTURE, end) for end in range(3000, len(PICTURE), 1200)]

    assert get(cut(PICTURE, 2000, ETag='"v1"'), *cuts, rest(PICTURE)) == PICTURE
    assert len(server.asked) > 8


def test_five_failures_without_progress_are_the_end(get: Any, server: FileServer) -> None:
    failure = get(cut(PICTURE, 5000, ETag='"v1"'), rest(PICTURE, 5000))

    assert failure.received == 5000
    assert "peer closed connection" in failure.reason
    assert len(server.asked) == 6


@pytest.mark.parametrize("codes", [(408, 429, 500, 502), (503, 504, 599)])
def test_an_answer_that_may_be_another_one_later_is_asked_for_again(
    get: Any, server: FileServer, codes: tuple[int, ...]
) -> None:
    assert get(*(status(code, Retry_After="0") for code in codes), whole(PICTURE)) == PICTURE
    assert len(server.asked) == len(codes) + 1


def test_an_answer_that_is_none_is_asked_for_again(get: Any, server: FileServer) -> None:
    assert get(raw(b""), raw(b"nonsense"), raw(b"HTTP/1.1 200 OK\r\nContent-Le"), whole(PICTURE)) == PICTURE
    assert len(server.asked) == 4


def test_an_answer_that_stays_the_same_is_a_failure(get: Any, server: FileServer) -> None:
    assert get(status(503, Retry_After="0")) == DownloadFailure(
        f"{server.url}/a.png", "HTTP 503 Service Unavailable", 0
    )
    assert len(server.asked) == 5


@pytest.mark.parametrize("code", [201, 204, 206, 300, 304, 400, 401, 403, 404, 410, 416, 451])
def test_a_refusal_is_not_asked_for_again(get: Any, server: FileServer, code: int) -> None:
    failure = get(status(code), whole(PICTURE))

    assert failure.reason.startswith(f"HTTP {code} ")
    assert len(server.asked) == 1


def test_a_server_that_cannot_be_reached_is_a_failure(fetch: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"

    with pytest.raises(DownloadError, match="ConnectError") as caught:
        fetch(f"{url}/a.png", tmp_path, base_url=url)

    assert caught.value.failures[0].received == 0


# Lengths and sizes.


def test_a_body_that_ends_with_its_connection_is_whole(get: Any) -> None:
    assert get(raw(b"HTTP/1.0 200 OK\r\n\r\n" + PICTURE)) == PICTURE


def test_a_body_in_chunks_is_whole_where_they_end(get: Any, server: FileServer) -> None:
    assert get(chunked(PICTURE, end=b""), chunked(PICTURE[:100], PICTURE[100:])) == PICTURE
    assert len(server.asked) == 2


@pytest.mark.parametrize("wrong", [-1, 1])
def test_a_body_that_is_not_as_long_as_announced_is_a_failure(get: Any, wrong: int) -> None:
    failure = get(chunked(PICTURE, headers=f"Content-Length: {LENGTH + wrong}\r\n"))

    assert failure.reason in {
        f"it ended after {LENGTH:,} of {LENGTH + 1:,} bytes",
        f"it is longer than the {LENGTH - 1:,} bytes announced",
    }


def test_a_file_that_is_announced_to_be_too_large_is_not_read(get: Any, server: FileServer) -> None:
    failure = get(server.held(PICTURE, 2001), max_bytes=2000)

    assert failure == DownloadFailure(f"{server.url}/a.png", "it is larger than the 2,000 bytes of max_bytes", 0)


def test_a_rest_that_is_announced_to_be_too_large_is_not_read(get: Any) -> None:
    first = chunked(PICTURE[:5000], end=b"", headers='ETag: "v1"\r\n')

    failure = get(first, rest(PICTURE), max_bytes=LENGTH - 1)

    assert failure.reason == f"it is larger than the {LENGTH - 1:,} bytes of max_bytes"
    assert failure.received == 5000


def test_a_file_that_turns_out_to_be_too_large_is_read_no_further(get: Any) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.send(200, {"Transfer-Encoding": "chunked"})
        while True:  # until who asked has gone
            exchange.wfile.write(b"3e8\r\n" + b"x" * 1000 + b"\r\n")

    failure = get(endless, max_bytes=1_000_000)

    assert failure.reason == "it is larger than the 1,000,000 bytes of max_bytes"
    assert 900_000 < failure.received <= 1_000_000


def test_a_file_of_just_the_size_is_fetched(get: Any) -> None:
    assert get(whole(PICTURE), max_bytes=LENGTH) == PICTURE


@pytest.mark.parametrize("media_type", ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"])
def test_a_web_page_is_no_file(get: Any, server: FileServer, media_type: str) -> None:
    failure = get(whole(PICTURE, media_type))

    assert failure == DownloadFailure(f"{server.url}/a.png", "it is a web page, and no media", 0)
    assert len(server.asked) == 1


@pytest.mark.parametrize("answer", [whole(b""), raw(b"HTTP/1.0 200 OK\r\n\r\n"), chunked()])
def test_an_empty_answer_is_no_file(get: Any, server: FileServer, answer: Answer) -> None:
    assert get(answer) == DownloadFailure(f"{server.url}/a.png", "it is empty", 0)


# Encoded bodies, which nobody asked for.


@pytest.mark.parametrize(
    ("encoding", "encode"), [("gzip", gzip.compress), ("X-GZip", gzip.compress), ("deflate", zlib.compress)]
)
def test_an_encoded_body_is_decoded(get: Any, encoding: str, encode: Callable[[bytes], bytes]) -> None:
    assert get(whole(encode(PICTURE), Content_Encoding=encoding)) == PICTURE


def test_an_encoded_body_is_counted_as_what_is_in_it_and_never_resumed(get: Any, server: FileServer) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000

    failure = get(whole(bomb, Content_Encoding="gzip"), max_bytes=1_500_000)
    assert failure.reason == "it is larger than the 1,500,000 bytes of max_bytes"
    server.asked.clear()
    encoded = gzip.compress(PICTURE)
    assert get(cut(encoded, len(encoded) // 2, Content_Encoding="gzip", ETag='"v1"'), whole(OTHER)) == OTHER
    assert asked_parts(server) == [("", ""), ("", "")]


@pytest.mark.parametrize(
    ("encoded", "encoding", "reason"),
    [
        (PICTURE, "br", "its encoding 'br' is not known here"),
        (PICTURE, "gzip, gzip", "its encoding 'gzip, gzip' is not known here"),
        (PICTURE, "gzip", "its encoding is damaged"),
        (gzip.compress(PICTURE)[:-1], "gzip", "its encoding does not end where it does"),
        (gzip.compress(PICTURE) + b"x", "gzip", "its encoding does not end where it does"),
    ],
)
def test_an_encoded_body_that_cannot_be_decoded_is_a_failure(
    get: Any, encoded: bytes, encoding: str, reason: str
) -> None:
    assert reason in get(whole(encoded, Content_Encoding=encoding)).reason


# Decoding.


def test_a_file_may_have_to_be_decodable(get: Any) -> None:
    assert get(whole(PICTURE), decode=True) == PICTURE


@pytest.mark.parametrize("content", [PICTURE[:-5000], b"no picture at all"])
def test_a_file_that_cannot_be_decoded_gets_no_name(get: Any, content: bytes) -> None:
    failure = get(whole(content), decode=True)

    assert failure.reason.startswith("it cannot be decoded: ")
    assert failure.received == len(content)


def film(frames: int = 500) -> bytes:
    """A GIF of some kilobytes that takes long to decode: the same large picture again and again."""
    file = BytesIO()
    Image.new("P", (4000, 4000)).save(file, "GIF")
    start = file.getvalue().index(b"\x2c\0\0\0\0")
    return file.getvalue()[:start] + file.getvalue()[start:-1] * frames + b";"


def test_no_decoding_outlasts_the_deadline(get: Any) -> None:
    assert (
        get(whole(film()), decode=True, timeout=1.0).reason == "it was not whole within 1 s: it was still being decoded"
    )


@pytest.mark.parametrize("missing", ["PIL", "av"])
def test_decoding_needs_what_it_needs_before_anything_is_fetched(
    get: Any, server: FileServer, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(ConfigurationError, match=r"pip install 'runcomfy\[media\]'"):
        get(whole(PICTURE), decode=True)
    assert server.asked == []


# Time.


def slowly(content: bytes) -> Answer:
    """A byte now and then, which never makes a file."""

    def answer(exchange: Exchange) -> None:
        exchange.send(200, {"Content-Length": 1_000_000, "ETag": '"v1"'}, content)
        while True:  # until who asked has gone
            exchange.wfile.write(b"x")
            threading.Event().wait(0.02)

    return answer


def test_no_server_outlasts_the_deadline_however_slowly_it_answers(get: Any) -> None:
    failure = get(slowly(b"xy"), timeout=0.5)

    assert failure.reason.startswith("it was not whole within 0.5 s: ")
    assert failure.received >= 2


def test_no_pause_outlasts_the_deadline(get: Any) -> None:
    assert get(status(503, Retry_After="3600"), timeout=0.3).reason == (
        "it was not whole within 0.3 s: HTTP 503 Service Unavailable"
    )


def test_a_server_that_falls_silent_is_asked_again_for_the_rest(get: Any, server: FileServer) -> None:
    assert get(server.held(PICTURE[:5000], LENGTH), rest(PICTURE), timeout=2.0) == PICTURE
    assert len(server.asked) == 2


def test_no_look_up_of_a_name_outlasts_the_deadline(
    fetch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(_connections, "getaddrinfo", lambda *_, **__: answered.wait(60) and [])

    with pytest.raises(DownloadError, match=r"it was not whole within 0\.3 s"):
        fetch("https://x.runcomfy.net/a.png", tmp_path, timeout=0.3)
    answered.set()
    assert_no_thread_is_left()


# Redirects.


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_within_the_own_origin(
    get: Any, server: FileServer, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setenv("RUNCOMFY_TOKEN", "very-secret")
    server.put("/b/c", redirect(f"{server.url}/d?sig=1", code))
    server.put("/d", whole(PICTURE))

    assert get(redirect("b/c", code), path="/a.png?x=1") == PICTURE
    assert [asked.path for asked in server.asked] == ["/a.png?x=1", "/b/c", "/d?sig=1"]
    assert all(set(asked.headers) == HEADERS for asked in server.asked)


def test_a_resumed_file_is_redirected_anew(get: Any, server: FileServer) -> None:
    """The signature of the first address may have expired."""
    server.put("/b", cut(PICTURE, 5000, ETag='"v1"'), rest(PICTURE))

    assert get(redirect("/b?sig=1"), redirect("/b?sig=2")) == PICTURE
    assert [asked.path for asked in server.asked] == ["/a.png", "/b?sig=1", "/a.png", "/b?sig=2"]
    assert server.asked[3].headers["range"] == "bytes=3976-"


def test_ten_redirects_are_enough(get: Any, server: FileServer) -> None:
    for number in range(12):
        server.put(f"/{number}", redirect(f"/{number + 1}"))
    server.put("/11", whole(PICTURE))

    assert get(redirect("/1")).reason == "it was redirected more than 10 times"
    assert get(redirect("/a.png")).reason == "it was redirected more than 10 times"
    assert get(redirect("/2")) == PICTURE


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        (None, "HTTP 302 Found"),
        ("https://evil.example/a?secret", "it was redirected to https://evil.example/a: its host evil.example is not"),
        ("https://127.0.0.1:1/a", "its host 127.0.0.1 is not one of RunComfy's"),
        ("http://x.runcomfy.net/a", "it is http, not https"),
        ("ftp://x.runcomfy.net/a", "it is no http or https URL"),
        ("data:image/png;base64,AAAA", "it is no http or https URL"),
        ("https://x.runcomfy.net\\@evil.example/a", "signs that no URL has"),
        ("http://[::1", "cannot be one"),
    ],
)
def test_a_redirect_that_no_rule_allows_is_not_followed(get: Any, location: str | None, reason: str) -> None:
    failure = get(status(302) if location is None else redirect(location))

    assert reason in failure.reason
    assert "secret" not in failure.reason


def test_no_redirect_leads_to_a_private_address_but_within_the_own_origin(
    fetch: Any, server: FileServer, stranger: FileServer, tmp_path: Path
) -> None:
    """Even where the caller allows the host: who named it meant the files, and not where they send him."""
    own = server.put("/a", redirect(f"{stranger.url}/a.png"))
    for base_url, url in [
        (server.url, own),
        (stranger.url, own),
        ("https://api.example", own),
        ("https://api.example", server.put("/b", redirect("/c"))),
    ]:
        stranger.asked.clear()
        with pytest.raises(DownloadError, match=r"127\.0\.0\.1, which is no address of the open Internet"):
            fetch(url, tmp_path, base_url=base_url, **LOCAL)
        assert stranger.asked == []
    assert fetch(f"{stranger.url}/a.png", tmp_path, base_url="https://api.example", **LOCAL).read_bytes() == PICTURE


def test_a_name_that_leads_to_a_private_address_is_seen_when_it_is_looked_up(
    fetch: Any, server: FileServer, stranger: FileServer, tmp_path: Path
) -> None:
    url = server.put("/a", redirect(stranger.url.replace("127.0.0.1", "localhost") + "/a.png"))

    with pytest.raises(DownloadError, match=r"it leads to (127\.0\.0\.1|::1), which is no address of the open"):
        fetch(url, tmp_path, base_url=server.url, allowed_hosts=["localhost"], allow_http=True)

    assert stranger.asked == []


def test_a_host_of_runcomfys_that_leads_to_a_private_address_is_not_asked(
    fetch: Any, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the caller names it: in some networks every name leads to such an address."""
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
    monkeypatch.setattr(_connections, "getaddrinfo", lambda *_, **__: [address])
    url = server.put("/a.png", whole(PICTURE)).replace("127.0.0.1", "x.runcomfy.net")

    with pytest.raises(DownloadError, match=r"127\.0\.0\.1, which is no address of the open Internet"):
        fetch(url, tmp_path, allow_http=True)
    assert server.asked == []
    assert fetch(url, tmp_path, allow_http=True, allowed_hosts=["*.runcomfy.net"]).read_bytes() == PICTURE
    assert server.asked[0].headers["host"] == f"x.runcomfy.net:{server.port}"


@pytest.mark.parametrize("allow_http", [False, True])
def test_a_redirect_from_https_to_http_is_followed_only_where_that_is_allowed(
    fetch: Any, https: FileServer, server: FileServer, tmp_path: Path, allow_http: bool
) -> None:
    url = https.put("/a", redirect(server.put("/a", whole(PICTURE))))
    reason = "no address of the open Internet" if allow_http else "it leads from https to http"

    with pytest.raises(DownloadError, match=reason):
        fetch(url, tmp_path, base_url=server.url, allowed_hosts=["127.0.0.1"], allow_http=allow_http, verify=False)

    assert server.asked == []


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://127.0.0.1/b", "no address of the open Internet"),
        ("http://localhost/b", "it leads to localhost"),
        ("https://localhost/b", "it leads to localhost"),
    ],
)
def test_no_redirect_leads_a_proxy_to_itself(fetch: Any, tmp_path: Path, location: str, reason: str) -> None:
    with RawServer([http_answer("302 Found", b"", f"Location: {location}")], is_proxy=True) as proxy:
        hosts = ["127.0.0.1", "localhost"]
        with pytest.raises(DownloadError, match=reason):
            fetch("http://x.runcomfy.net/a", tmp_path, proxy=proxy.url, allowed_hosts=hosts, allow_http=True)

    assert len(proxy.received) == 1


def test_a_proxy_of_the_environment_is_used_for_what_is_not_on_this_machine(
    fetch: Any, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer([http_answer("200 OK", PICTURE)], is_proxy=True) as proxy:
        for variable in ("http_proxy", "https_proxy", "no_proxy"):
            monkeypatch.setenv(variable, "" if variable == "no_proxy" else proxy.url)
        fetch("http://x.runcomfy.net/a.png", tmp_path / "1", allow_http=True)
        fetch(server.put("/a.png", whole(PICTURE)), tmp_path / "2", base_url=server.url)

    assert len(proxy.received) == len(server.asked) == 1


# Secrets.


def test_no_signature_gets_into_a_log_or_a_text(
    kind: Kind, fetch: Any, server: FileServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = server.put(f"/a.png?{SIGNED}", redirect(f"/b?{SIGNED}"))
    broken = raw(f"HTTP/1.1 302 Found\r\nLocation : /b?{SIGNED}\r\n\r\n".encode())
    answers = [cut(PICTURE, 5000, ETag='"v1"'), rest(PICTURE), status(403), redirect(f"ftp://x/c?{SIGNED}"), broken]
    server.put("/b", *answers)

    fetch(url, tmp_path, base_url=server.url)
    texts = []
    for _ in range(3):
        with pytest.raises(DownloadError) as caught:
            fetch(url, tmp_path, base_url=server.url, overwrite=True)
        texts.append(f"{caught.value} {caught.value!r} {caught.value.failures}")

    assert sum(SIGNED in asked.path for asked in server.asked) == len(server.asked) == 18
    assert SIGNED not in caplog.text + "".join(texts)
    lines = [record.message for record in caplog.records if record.name == "runcomfy"]
    assert lines[:2] == [f"GET {server.url}/a.png: 302", f"GET {server.url}/b: 200"]
    assert "peer closed connection" in lines[2]


# Interruptions.


def assert_no_thread_is_left() -> None:
    for thread in threading.enumerate():
        if thread.name in ("runcomfy", "runcomfy-connect"):
            thread.join(30)
            assert not thread.is_alive()


async def cancelled(work: Any, reached: Callable[[], object]) -> None:
    """Cancel a task once something has come to pass, and wait for its end."""
    task = asyncio.ensure_future(work)
    while not reached():  # noqa: ASYNC110  # the condition is one of the server's thread
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("phase", ["answer", "body", "pause"])
def test_a_cancelled_task_leaves_no_thread_no_connection_and_no_file(
    server: FileServer, tmp_path: Path, phase: str
) -> None:
    """Each of them would wait for an hour."""
    answers = {"answer": server.held(), "body": server.held(PICTURE), "pause": status(503, Retry_After="30")}
    work = runcomfy.download_async(server.put("/a", answers[phase]), tmp_path, base_url=server.url, timeout=3600)

    asyncio.run(cancelled(work, lambda: names(tmp_path) if phase == "body" else server.asked))

    assert names(tmp_path) == []
    assert_no_thread_is_left()
    assert phase == "pause" or server.gone.wait(30)


def test_a_cancelled_task_ends_a_handshake(tmp_path: Path) -> None:
    begun = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            with listener.accept()[0] as connection:
                while connection.recv(1000):  # until who asked has gone
                    begun.set()

        thread = threading.Thread(target=listen)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        work = runcomfy.download_async(f"{url}/a", tmp_path, base_url=url, verify=False, timeout=3600)
        asyncio.run(cancelled(work, begun.is_set))
        thread.join()

    assert_no_thread_is_left()


def test_a_cancelled_task_does_not_wait_for_the_look_up_of_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def look_up(*_: object, **__: object) -> list[Any]:
        asked.set()
        answered.wait(60)
        return []

    monkeypatch.setattr(_connections, "getaddrinfo", look_up)
    url = "https://x.runcomfy.net/a.png"

    asyncio.run(cancelled(runcomfy.download_async(url, tmp_path, timeout=3600), asked.is_set))

    assert names(tmp_path) == []
    answered.set()
    assert_no_thread_is_left()


def test_a_connection_that_comes_too_late_is_closed(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))

    def look_up(*_: object, **__: object) -> list[Any]:
        asked.set()
        answered.wait(60)
        return [address]

    monkeypatch.setattr(_connections, "getaddrinfo", look_up)
    url = server.put("/a", whole(PICTURE))

    asyncio.run(cancelled(runcomfy.download_async(url, tmp_path, base_url=server.url), asked.is_set))
    answered.set()
    assert_no_thread_is_left()

    assert server.asked == []


def test_a_connection_that_is_ended_while_it_opens_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        backend = _connections.EndableBackend()
        backend.end()
        with pytest.raises(httpcore.ConnectError, match="the exchange was ended"):
            backend.connect_tcp("127.0.0.1", listener.getsockname()[1])
        with listener.accept()[0] as connection:
            assert connection.recv(1) == b""


def test_a_cancelled_task_does_not_wait_for_a_decoder(server: FileServer, tmp_path: Path) -> None:
    content = film()
    url = server.put("/a", whole(content))
    work = runcomfy.download_async(url, tmp_path, base_url=server.url, decode=True, timeout=3600)

    asyncio.run(cancelled(work, lambda: any(path.stat().st_size == len(content) for path in tmp_path.iterdir())))

    assert names(tmp_path) == []
    assert_no_thread_is_left()


def test_a_cancelled_save_ends_all_of_its_files(server: FileServer, tmp_path: Path) -> None:
    urls = [server.put(f"/{number}", server.held(PICTURE)) for number in range(6)]
    output = edit.Output._from_result({"request_id": "r1", "output": {"images": urls}})

    asyncio.run(cancelled(output.save_async(tmp_path, timeout=3600, **LOCAL), lambda: len(server.asked) == 4))

    assert names(tmp_path) == []
    assert len(server.asked) == 4
    assert_no_thread_is_left()


def test_a_save_in_time_limits_of_asyncio_ends_as_they_say(server: FileServer, tmp_path: Path) -> None:
    url = server.put("/a", server.held(PICTURE))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(runcomfy.download_async(url, tmp_path, base_url=server.url), 0.2)

    asyncio.run(main())
    assert names(tmp_path) == []
    assert_no_thread_is_left()


def test_a_loop_that_ends_without_a_word_stops_the_download(server: FileServer, tmp_path: Path) -> None:
    url = server.put("/a", server.held(PICTURE))
    loop = asyncio.new_event_loop()
    work = runcomfy.download_async(url, tmp_path, base_url=server.url, timeout=3600)

    async def begin() -> None:
        work.send(None)
        while not server.asked:  # noqa: ASYNC110  # the condition is one of the server's thread
            await asyncio.sleep(0)

    loop.run_until_complete(begin())
    loop.close()
    work.close()

    assert_no_thread_is_left()
    assert names(tmp_path) == []


def test_the_event_loop_goes_on_meanwhile(server: FileServer, tmp_path: Path) -> None:
    """The answer comes only after the loop has had its turn."""
    turn = threading.Event()

    def answer(exchange: Exchange) -> None:
        turn.wait(60)
        whole(PICTURE)(exchange)

    url = server.put("/a", answer)

    async def main() -> Path:
        task = asyncio.create_task(runcomfy.download_async(url, tmp_path, base_url=server.url))
        while not server.asked:  # noqa: ASYNC110  # the condition is one of the server's thread
            await asyncio.sleep(0)
        turn.set()
        return await task

    assert asyncio.run(main()).read_bytes() == PICTURE


INTERRUPTED = """
import json, os, signal, sys, threading
import runcomfy

def interrupt():
    sys.stdin.readline()  # the test says when
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
try:
    runcomfy.download({url!r}, {folder!r}, base_url={base_url!r}, timeout=3600)
except KeyboardInterrupt:
    for thread in threading.enumerate():
        if thread.name.startswith("runcomfy"):
            thread.join(30)
    print(json.dumps([os.listdir({folder!r}), [thread.name for thread in threading.enumerate()]]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_ctrl_c_leaves_no_thread_no_connection_and_no_file(server: FileServer, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    url = server.put("/a", server.held(PICTURE))
    program = INTERRUPTED.format(url=url, folder=str(folder), base_url=server.url)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not names(folder) and process.poll() is None:
            pass
        out, errors = process.communicate("\n")

    assert (process.returncode, errors) == (0, "")
    assert json.loads(out) == [[], ["MainThread"]]
    assert server.gone.wait(30)


def test_a_download_needs_no_thread_where_none_can_be_started(
    server: FileServer, tmp_path: Path, sandbox: Sandbox, run_program: Any
) -> None:
    """As at the end of a program, from some versions of Python on."""
    urls = [server.put(f"/{number}", whole(PICTURE)) for number in range(3)]
    program = f"""
import atexit
from runcomfy import MediaOutput

@atexit.register
def last_words():
    output = MediaOutput._from_result({{"request_id": "r1", "output": {urls!r}}})
    print(len(output.save({str(tmp_path / "out")!r}, allow_http=True, allowed_hosts=["127.0.0.1"])))
"""

    assert run_program(program, sandbox) == "3\n"


# Options.


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"timeout": 0}, "timeout: 0 is not a number of seconds above zero"),
        ({"timeout": "5"}, "timeout: '5' is not a number of seconds above zero"),
        ({"max_bytes": 0}, "max_bytes: 0 is no whole number above zero"),
        ({"max_bytes": 1.5}, "max_bytes: 1.5 is no whole number above zero"),
        ({"max_bytes": True}, "max_bytes: True is no whole number above zero"),
        ({"parallel": 0}, "parallel: 0 is no whole number above zero"),
        ({"allowed_hosts": "cdn.example.com"}, "allowed_hosts: 'cdn.example.com' is no list of hosts"),
        ({"allowed_hosts": ["https://cdn.example.com"]}, "is no list of hosts"),
        ({"allowed_hosts": ["*"]}, "is no list of hosts"),
        ({"base_url": "nonsense"}, "base_url: 'nonsense' is no http or https URL"),
        ({"proxy": "nonsense"}, "proxy: no URL of"),
        ({"proxy": "socks5://127.0.0.1:1"}, r"httpx\[socks\]"),
        ({"verify": "nonsense"}, "verify: there is no file or folder"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_before_anything_is_fetched(
    fetch: Any, save: Any, server: FileServer, tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    url = server.put("/a", whole(PICTURE))
    output = edit.Output._from_result({"output": [url]})
    call = partial(save, output) if "parallel" in options else partial(fetch, url, base_url=server.url)

    with pytest.raises(ConfigurationError, match=reason):
        call(tmp_path, **options)

    assert server.asked == []
    assert names(tmp_path) == []


def test_what_is_no_certificate_is_a_setting_that_cannot_be_used(fetch: Any, https: FileServer, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")

    with pytest.raises(ConfigurationError, match="verify"):
        fetch(https.put("/a", whole(PICTURE)), tmp_path, base_url=https.url, verify=tmp_path / "ca.pem")


def test_a_download_without_end_may_be_asked_for(get: Any) -> None:
    assert get(whole(PICTURE), timeout=float("inf")) == PICTURE
