"""Downloads from the sandbox: real files of every kind, and everything that it lets go wrong with them."""

from pathlib import Path
from typing import Any

import pytest
from conftest import Kind
from runcomfy import DownloadError
from runcomfy._probe import decode
from runcomfy.models.blackforestlabs.flux_1_kontext.max import text_to_image
from runcomfy.sandbox import Fault, Sandbox
from runcomfy.sandbox._faults import POSSIBLE

CUT = Fault("output", drop=2000)


@pytest.fixture
def output(kind: Kind, client: Any) -> Any:
    return kind.settle(client.run(text_to_image.Input(prompt="A lighthouse")))


@pytest.fixture
def save(kind: Kind, output: Any) -> Any:
    def save(folder: Path, **options: Any) -> list[Path]:
        files: list[Path] = kind.settle((output.save_async if kind.is_async else output.save)(folder, **options))
        return files

    return save


@pytest.fixture
def whole(save: Any, tmp_path: Path) -> bytes:
    """The file as it is where nothing goes wrong."""
    (file,) = save(tmp_path / "whole")
    content: bytes = file.read_bytes()
    return content


@pytest.mark.parametrize("number", range(len(POSSIBLE["output"])))
def test_whatever_goes_wrong_the_file_is_whole_or_not_there_and_can_be_had_later(
    save: Any, sandbox: Sandbox, whole: bytes, tmp_path: Path, number: int
) -> None:
    sandbox.faults.append(POSSIBLE["output"][number])
    folder = tmp_path / "out"
    told: DownloadError | None = None
    try:
        save(folder)
    except DownloadError as error:
        told = error
    assert told is None or (told.saved, len(told.failures), list(folder.glob("*"))) == ([], 1, [])
    (file,) = save(folder)

    if POSSIBLE["output"][number].file != "changed":
        assert file.read_bytes() == whole
    assert list(folder.iterdir()) == [file]
    with file.open("rb") as content:
        decode(content)


@pytest.mark.parametrize(
    ("then", "requests"),
    [
        (None, 2),
        (Fault("output", 503, headers={"Retry-After": "0"}), 3),
        (Fault("output", 416), 3),
        (Fault("output", ranges="ignored"), 2),
        (Fault("output", ranges="wrong_bytes"), 3),
        (Fault("output", ranges="wrong_header"), 3),
        (Fault("output", file="changed"), 2),
        (Fault("output", drop=1500), 3),
    ],
)
def test_a_file_that_was_cut_off_goes_on_where_it_can(
    save: Any, sandbox: Sandbox, whole: bytes, tmp_path: Path, then: Fault | None, requests: int
) -> None:
    before = len(sandbox.requests)
    sandbox.faults.extend([CUT, *([then] if then else [])])

    (file,) = save(tmp_path / "out")

    asked = sandbox.requests[before:]
    assert len(asked) == requests
    assert "range" not in asked[0].headers
    assert asked[1].headers["range"].startswith("bytes=")
    assert (file.read_bytes() == whole) is (then is None or then.file != "changed")
    with file.open("rb") as content:
        decode(content)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("output", file="endless"), "larger than the 100,000 bytes of max_bytes"),
        (Fault("output", file="endless", length=10**12), "larger than the 100,000 bytes of max_bytes"),
        (Fault("output", 302, headers={"Location": "https://example.com/a.png"}), "redirected to https://example.com"),
        (Fault("output", 307, headers={"Location": "http://localhost:1/a.png"}), "redirected to http://localhost:1"),
        (Fault("output", 308), "HTTP 308 Permanent Redirect"),
        (Fault("output", headers={"Content-Type": "text/html"}), "it is a web page, and no media"),
        (Fault("output", 404), "HTTP 404"),
        (Fault("output", body=b""), "it is empty"),
    ],
)
def test_what_cannot_be_had_is_told_and_leaves_nothing(
    save: Any, output: Any, sandbox: Sandbox, tmp_path: Path, fault: Fault, reason: str
) -> None:
    sandbox.faults.append(fault)
    raw = dict(output.raw)

    with pytest.raises(DownloadError, match=reason) as caught:
        save(tmp_path / "out", max_bytes=100_000)

    assert caught.value.request_id == output.raw["request_id"]
    assert list(tmp_path.rglob("*.*")) == []
    assert output.raw == raw


def test_no_request_for_a_file_has_the_token(save: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults.extend([CUT, Fault("output", 503, headers={"Retry-After": "0"})])

    save(tmp_path)

    asked = [request for request in sandbox.requests if request.path.startswith("/outputs/")]
    assert len(asked) == 3
    for request in asked:
        assert "authorization" not in request.headers
        assert sandbox.token not in str(request)


@pytest.mark.parametrize(
    ("model_id", "arguments", "suffixes"),
    [
        ("openai/gpt-image-2/text-to-image", {"prompt": "p", "output_format": "webp"}, [".webp"]),
        ("wan-ai/wan-2.7/text-to-video", {"prompt": "p", "duration": 2}, [".mp4"]),
        ("bytedance/seed-audio-1.0/text-to-audio", {"prompt": "p", "output_format": "mp3"}, [".mp3"]),
        ("bytedance/seed-audio-1.0/text-to-audio", {"prompt": "p", "output_format": "ogg_opus"}, [".ogg"]),
        (
            "wan-ai/wan-2.7/edit",
            {"prompt": "p", "image_urls": ["https://example.com/a.png"], "num_images": 4},
            [".png"] * 4,
        ),
    ],
)
def test_files_of_every_kind_are_saved_and_decode(
    kind: Kind, sandbox: Sandbox, client: Any, tmp_path: Path, model_id: str, arguments: Any, suffixes: list[str]
) -> None:
    output = kind.settle(client.run(model_id, arguments))

    files = kind.settle((output.save_async if kind.is_async else output.save)(tmp_path, decode=True, sidecar=True))

    assert [file.suffix for file in files] == suffixes
    assert len(output.files) == len(suffixes)
    assert sorted(tmp_path.iterdir()) == sorted([*files, *(file.with_name(f"{file.name}.json") for file in files)])
