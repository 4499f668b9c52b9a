"""Media in: what a media field takes, what is checked on the real file, and what is sent of it."""

import asyncio
import json
import os
import pickle
import re
import struct
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from conftest import Kind, sent
from media_files import CLIPS, PICTURES, SOUNDS, clip, picture, sound
from PIL import Image
from runcomfy import AsyncClient, Client, ConfigurationError, InputProblem, InputValidationError
from runcomfy._formats import detect
from runcomfy._local_media import Unusable, format_of, write_data_uri
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.models.bytedance.seedance_2_5.reference_to_video import v720p
from runcomfy.sandbox import Sandbox

PNG = picture()


def uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(content).decode()}"


def problem_of(**fields: Any) -> InputProblem:
    with pytest.raises(InputValidationError) as caught:
        edit.Input(**{"prompt": "p", **fields})
    (problem,) = caught.value.problems
    return problem


@pytest.fixture
def ruled(made: Any) -> Any:
    """An input with one media field whose files have to keep rules."""

    def ruled(*rules: str, words: str = "", media_format: str = "image_uri") -> Any:
        validations = [
            {"validation_rule": name, "validation_value": float(value), "validation_error": words}
            for name, _, value in (rule.partition(" ") for rule in rules)
        ]
        type_ = "array" if media_format.endswith("s") else "string"
        field = {"type": type_, "format": media_format, "validations": validations}
        return made({"properties": {"file": field}}).Input

    return ruled


def broken(make: Any, value: Any) -> list[str]:
    with pytest.raises(ValueError, match="invalid input") as caught:
        make(file=value)
    return [problem.message for problem in caught.value.problems]  # type: ignore[attr-defined]  # of its own package


@pytest.mark.parametrize("form", ["path", "bytes", "bytearray", "memoryview", "open file", "buffer", "spooled"])
def test_a_file_is_sent_as_what_it_is(kind: Kind, sandbox: Sandbox, client: Any, tmp_path: Path, form: str) -> None:
    file = tmp_path / "picture.mp4"  # a wrong suffix says nothing
    file.write_bytes(PNG)
    with file.open("rb") as opened, TemporaryFile() as spooled:
        spooled.write(b"before" + PNG)
        spooled.seek(6)
        value = {
            "path": file,
            "bytes": PNG,
            "bytearray": bytearray(PNG),
            "memoryview": memoryview(PNG),
            "open file": opened,
            "buffer": BytesIO(PNG),
            "spooled": spooled,
        }[form]
        kind.call(edit, "run", client, prompt="p", image_url=value)

    (submit, *_) = sandbox.requests
    assert submit.json == {"prompt": "p", "image_url": uri("image/png", PNG)}


def received(image: Image.Image) -> Image.Image:
    prefix, _, encoded = sent(edit.Input(prompt="p", image_url=image))["image_url"].partition(",")
    assert prefix == "data:image/png;base64"
    return Image.open(BytesIO(b64decode(encoded)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr", "HSV", "La", "RGBa", "LAB"])
def test_a_picture_of_pillows_is_sent_as_png(mode: str) -> None:
    gradient = Image.frombytes("RGBA", (4, 4), bytes(range(64, 128)))
    steps = {"La": ("LA",), "LAB": ("RGB",), "HSV": ("RGB",), "CMYK": ("RGB",), "YCbCr": ("RGB",), "P": ("RGB",)}
    image = Image.new(mode, (4, 4), 1) if mode in ("La", "LAB") else gradient
    for step in (*steps.get(mode, ()), mode) if mode not in ("La", "LAB") else ():
        image = image.convert(step)

    with received(image) as found:
        assert (found.format, found.size) == ("PNG", (4, 4))
        if mode not in ("La", "LAB"):
            assert found.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


@pytest.mark.parametrize(("mode", "order"), [("I;16", "<"), ("I;16B", ">")])
def test_sixteen_bits_stay_sixteen_bits(mode: str, order: str) -> None:
    values = range(0, 65536, 4369)

    with received(Image.frombytes(mode, (4, 4), struct.pack(f"{order}16H", *values))) as found:
        assert [found.getpixel((x, y)) for y in range(4) for x in range(4)] == list(values)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_a_picture_that_does_not_say_what_is_white_is_refused(mode: str) -> None:
    assert problem_of(image_url=Image.new(mode, (4, 4))).message.startswith(f"has the mode {mode}, which does not say")


def test_colours_that_are_converted_lose_the_profile_of_the_others() -> None:
    image = Image.new("CMYK", (4, 4))
    image.info["icc_profile"] = b"profile of CMYK"

    with received(image) as found:
        assert "icc_profile" not in found.info


def test_a_photo_that_says_how_it_is_turned_is_taken_as_it_is_shown(ruled: Any) -> None:
    content = BytesIO()
    facts = Image.Exif()
    facts[0x0112] = 6
    Image.new("RGB", (8, 4)).save(content, "JPEG", exif=facts)

    with Image.open(content) as photo, received(photo) as found:
        assert found.size == (4, 8)
    make = ruled("width/height< 1")
    assert make(file=content.getvalue())
    with Image.open(content) as photo:
        assert make(file=photo)


@pytest.mark.parametrize("media_type", [*PICTURES, *CLIPS, *SOUNDS])
def test_the_format_is_told_by_the_content(media_type: str) -> None:
    field, make = {"image": ("images", picture), "video": ("videos", clip), "audio": ("audios", sound)}[
        media_type.partition("/")[0]
    ]
    content = make(media_type)

    fields: Any = {field: [content]}
    assert sent(v720p.Input(prompt="p", **fields))[field] == [uri(media_type, content)]


@pytest.mark.parametrize(
    "text",
    [
        "Hello, this is text".encode("utf-16"),
        b"ID3,name,value\n1,2,3",
        b"The wide world of text",
        b"One wide road",
        b"My  ftypist wrote this",
        b"\0\0\0\x18ftypcrx \0\0\0\0crx isox",
        b"fLaC is lossless",
        b"GIF87a is an old format",
        b"OggS text",
        b"RIFFraffAVI !",
        b"RIFF    WAVE of text",
        b"FORM    AIFF of text",
        (b"G" + b"o" * 187) * 2 + b"text",
        PNG[:8],
        b"\xff\xfb",
        b"\xff\xfb\x90\0" + b"text " * 200,
        b"\xff\xf1\x50\x80\x02\x1f" + b"text " * 200,
        b"\xff\xf1\x50\x80\0\x1f",
        b"ID3",
        b"",
    ],
)
def test_a_text_that_begins_like_a_file_is_none(text: bytes) -> None:
    assert detect(text) is None


def test_odd_forms_of_known_formats_are_told() -> None:
    tag = b"ID3\x04\0\0\0\0\x02\x01" + bytes(257)
    for head, media_type in (
        (tag + sound("audio/mpeg"), "audio/mpeg"),
        (tag + sound("audio/flac"), "audio/flac"),
        (tag + sound("audio/aac"), "audio/aac"),
        (b"ID3\x03\0\0\x7f\0\0\0" + bytes(100), "audio/mpeg"),
        (b"\0\0\0\x18ftypheif\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "image/heic"),
        (b"\0\0\0\x1cftypXXXX\0\0\0\0XXXXmp42", "video/mp4"),
        (b"\0\0\0\x08wide\0\0\0\x08mdat", "video/quicktime"),
        (b"\0\0\0\x01mdat", "video/quicktime"),
        (b"RF64\xff\xff\xff\xffWAVEds64fmt ", "audio/wav"),
        (b"\x1aE\xdf\xa3 matroska", "video/x-matroska"),
        (b"OggS\0.............................\x80theora", "video/ogg"),
    ):
        found = detect(head)
        assert found is not None
        assert found.media_type == media_type


def test_a_container_is_what_its_field_says() -> None:
    request = v720p.Input(prompt="p", videos=[clip("video/mp4")], audios=[clip("video/mp4")])

    assert sent(request)["videos"][0].startswith("data:video/mp4;")
    assert sent(request)["audios"][0].startswith("data:audio/mp4;")


def test_a_file_of_another_kind_is_refused() -> None:
    assert problem_of(image_url=clip()).message.startswith("is video/mp4, and no image")
    with pytest.raises(InputValidationError) as caught:
        v720p.Input(prompt="p", images=[PNG, sound()], videos=[PNG], audios=[PNG])
    assert [(problem.field, problem.message.partition(",")[0]) for problem in caught.value.problems] == [
        ("audios[0]", "is image/png"),
        ("images[1]", "is audio/wav"),
        ("videos[0]", "is image/png"),
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a b.png?sign=ä%20#x",
        "HTTP://EXAMPLE.com",
        "s3://bucket/key",
        "data:image/png;base64,AAAA",
        "Runcomfy_example_1278_1.png",
        "no/such/file.png",
        "",
        "a\0b",
        "x" * 5000,
    ],
)
def test_a_url_is_sent_untouched(url: str) -> None:
    assert sent(edit.Input(prompt="p", image_url=url))["image_url"] == url


def test_the_name_of_a_file_is_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    monkeypatch.chdir(tmp_path)

    for name in ("cat.png", str(tmp_path / "cat.png")):
        assert problem_of(image_url=name).message.startswith("is the name of a file; wrap it in Path(…), got '")
    assert "wrap its path in Path(…)" in problem_of(image_url=(tmp_path / "cat.png").as_uri()).message


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    closed = BytesIO(PNG)
    closed.close()
    read = BytesIO(PNG)
    read.read()

    with (tmp_path / "text.png").open() as as_text:
        expected = {
            "cannot be read: No such file or directory": tmp_path / "none.png",
            "is a folder": tmp_path,
            "is empty": tmp_path / "empty.png",
            "is of no known format of image files": tmp_path / "text.png",
            "cannot be read: ": Path("a\0b"),  # in the words of the Python that runs this
            "is empty, got 0 bytes": b"",
            "cannot be read: I/O operation on closed file.": closed,
            "has nothing more to be read: go back with seek(0)": read,
            "has nothing more to be read, got": BytesIO(),
            'is open as text; open it with mode "rb", got <_io.StringIO': StringIO("x"),
            'is open as text; open it with mode "rb", got <_io.TextIO': as_text,
            "should be a URL, a Path, bytes, an open binary file or a PIL image, got 5": 5,
            "should be a URL, a Path, bytes, an open binary file or a PIL image, got ['u']": ["u"],
        }
        for words, value in expected.items():
            assert problem_of(image_url=value) == InputProblem("image_url", problem_of(image_url=value).message)
            assert problem_of(image_url=value).message.startswith(words)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
def test_a_file_without_an_end_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever

    assert problem_of(image_url=tmp_path / "pipe").message.startswith("is no regular file")
    assert problem_of(image_url=Path("/dev/zero")).message.startswith("is no regular file")
    with Path("/dev/zero").open("rb", buffering=0) as endless:
        endless.seekable = lambda: False  # type: ignore[method-assign]  # as a socket's file, which has no size
        assert problem_of(image_url=endless).message.startswith("is longer than 64 MiB; give its Path")


class Chunks:
    """A stream that cannot go back, and gives a little at a time."""

    def __init__(self, content: bytes | str) -> None:
        self._rest = content

    def read(self, _size: int = -1, /) -> Any:
        piece, self._rest = self._rest[:5], self._rest[5:]
        return piece


def test_a_stream_that_cannot_go_back_is_read_once() -> None:
    request = edit.Input(prompt="p", image_url=Chunks(PNG))

    assert request.image_url == PNG
    assert [sent(request)["image_url"] for _ in range(2)] == [uri("image/png", PNG)] * 2
    assert "is open as text" in problem_of(image_url=Chunks("text")).message


def test_a_stream_that_would_have_to_wait_is_refused() -> None:
    class Waiting:
        def read(self, _size: int = -1, /) -> bytes | None:
            return None

    assert problem_of(image_url=Waiting()).message.startswith("has nothing to be read just now")


def test_a_stream_that_gives_more_than_it_said_is_read_to_its_end() -> None:
    class Growing(BytesIO):
        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            return super().read(size) if self.reads == 1 else (bytes(3_000_000) if self.reads == 2 else b"")

    stream = Growing(PNG)

    request = edit.Input(prompt="p", image_url=stream)

    assert request.image_url == PNG + bytes(3_000_000)
    assert stream.reads == 3


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no file whose reading fails")
def test_a_file_whose_reading_fails_is_an_input_error(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    file = next(iter(Path("/sys/class/net").glob("*/speed")), None) or Path("/proc/self/mem")
    assert re.search("is empty|cannot be read", problem_of(image_url=file).message)
    with pytest.raises(InputValidationError, match=r"a: (is empty|cannot be read)"):
        kind.settle(client.submit("acme/m", {"a": file}))


def test_what_has_no_usable_path_is_an_input_error() -> None:
    class Odd:
        def __fspath__(self) -> Any:
            return 5

    assert problem_of(image_url=Odd()).message.startswith("cannot be read: ")


def test_an_open_file_stays_where_it_was() -> None:
    stream = BytesIO(PNG)

    requests = [edit.Input(prompt="p", image_url=stream) for _ in range(2)]

    assert requests[0] == requests[1]
    assert stream.tell() == 0


@pytest.mark.parametrize(
    ("rule", "value", "told"),
    [
        ("width_pixels", 64, "the width in pixels"),
        ("height_pixels", 36, "the height in pixels"),
        ("width/height", 64 / 36, "width divided by height"),
        ("height/width", 36 / 64, "height divided by width"),
        ("file_size_mb", None, "the size in MB"),
    ],
)
@pytest.mark.parametrize(
    ("content", "media_format"), [(picture(size=(64, 36)), "image_uri"), (clip(), "video_uri")], ids=["image", "video"]
)
def test_every_operator_on_every_quantity(
    ruled: Any, rule: str, value: float | None, told: str, content: bytes, media_format: str
) -> None:
    value = len(content) / 1e6 if value is None else value
    more, less = value * 1.25, value / 1.25
    kept = [f"{rule}< {more}", f"{rule}> {less}", f"{rule}<= {value}", f"{rule}>= {value}", f"{rule}<= {more}"]
    not_kept = {"<": ("below", value), ">": ("above", value), "<=": ("at most", less), ">=": ("at least", more)}

    ruled(*kept, media_format=media_format)(file=content)
    for operator, (word, limit) in not_kept.items():
        (message,) = broken(ruled(f"{rule}{operator} {limit}", media_format=media_format), content)
        assert message.startswith(f"{told} must be {word} {limit:.10g} and is {value:.10g}, got {len(content)} bytes")


def test_all_broken_rules_of_all_files_are_told_at_once_in_runcomfys_words_too(ruled: Any) -> None:
    rules = ("width_pixels> 14", "height_pixels> 14", "width/height> 0.0625", "width/height< 1.5")
    make, low = ruled(*rules, words="Too odd.", media_format="image_uris"), picture(size=(20, 10))

    with pytest.raises(ValueError, match="invalid input") as caught:
        make(file=[picture(size=(20, 20)), low, "https://example.com/never-looked-at.png"])

    assert [tuple(problem) for problem in caught.value.problems] == [  # type: ignore[attr-defined]  # of its own package
        ("file[1]", f"the height in pixels must be above 14 and is 10 (Too odd.), got {len(low)} bytes"),
        ("file[1]", f"width divided by height must be below 1.5 and is 2 (Too odd.), got {len(low)} bytes"),
    ]


def test_a_file_is_measured_before_it_is_read(ruled: Any, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.write(PNG)
        file.truncate(20 * 10**9)  # takes no space, but nobody could read it into memory

    class Unreadable(BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise AssertionError("was read")

    sized = ruled("file_size_mb< 30")
    assert broken(sized, large)[0].startswith("the size in MB must be below 30 and is 20000,")
    assert broken(sized, Unreadable(bytes(31_000_000)))[0].startswith("the size in MB must be below 30 and is 31,")
    with large.open("rb") as opened:
        assert problem_of(image_url=opened).message.startswith("is longer than 64 MiB; give its Path")


def test_what_cannot_be_opened_as_the_format_that_it_seems_to_be_is_refused(ruled: Any) -> None:
    make = ruled("width_pixels> 14")
    assert broken(make, PNG[:16] + b"nothing more")[0].startswith("image/png cannot be read: ")
    assert broken(make, b"\xff\x0a of JPEG XL")[0].startswith("image/jxl cannot be opened")
    make = ruled("width_pixels> 14", media_format="video_uri")
    assert broken(make, b"\x1aE\xdf\xa3webm")[0].startswith("video/webm cannot be read: ")
    assert broken(make, sound("audio/mp4"))[0].startswith("is audio/mp4, and no video")
    assert ruled("width_pixels> 14", media_format="audio_uri")(file=sound())


@pytest.mark.parametrize(
    ("library", "package", "media_format", "file"),
    [("PIL", "pillow", "image_uri", "p.png"), ("av", "av", "video_uri", "c.mp4")],
)
def test_without_the_extra_the_error_says_what_to_install(
    ruled: Any, tmp_path: Path, library: str, package: str, media_format: str, file: str
) -> None:
    make = ruled("width_pixels> 14", media_format=media_format)
    (tmp_path / file).write_bytes(PNG if library == "PIL" else clip())
    program = f"""
import sys; sys.modules[{library!r}] = None
from pathlib import Path
from {make.__module__} import Input
try:
    Input(file=Path({str(tmp_path / file)!r}))
except ValueError as error:
    print(error.problems[0].message)
"""
    paths = os.pathsep.join(path for path in sys.path if path)

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"opening it needs {package}; type: pip install 'runcomfy[media]', got" in done.stdout


def test_the_size_of_a_request_has_a_limit_that_can_be_set(kind: Kind, sandbox: Sandbox, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.write(PNG)
        file.truncate(20 * 10**9)
    too_large = edit.Input(prompt="p", image_url=large)
    small = v720p.Input(prompt="p", images=[PNG, PNG], videos=[clip()])
    size = len(json.dumps(sent(small), separators=(",", ":")))

    with pytest.raises(InputValidationError, match=r"would have 26,666,.* bytes, and the limit is 67,108,864: host"):
        kind.settle(kind.client(sandbox).submit(too_large))
    with pytest.raises(InputValidationError, match=f"would have {size:,} bytes, and the limit is {size - 1:,}"):
        kind.settle(kind.client(sandbox, max_request_bytes=size - 1).submit(small))
    with pytest.raises(InputValidationError, match="the request would have 15 bytes, and the limit is 14:"):
        kind.settle(kind.client(sandbox, max_request_bytes=14).submit("acme/m", {"text": "long"}))
    assert sandbox.requests == []
    kind.settle(kind.client(sandbox, max_request_bytes=size).submit(small))
    assert len(sandbox.requests[0].body) == size


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "64"])
def test_a_limit_that_is_no_number_of_bytes_is_refused(limit: Any) -> None:
    for make in (Client, AsyncClient):
        with pytest.raises(ConfigurationError, match="max_request_bytes"):
            make("t", max_request_bytes=limit)


def test_a_file_is_looked_at_once_more_when_it_is_sent(
    kind: Kind, sandbox: Sandbox, client: Any, tmp_path: Path
) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(PNG)
    request = edit.Input(prompt="p", image_url=file)

    file.write_bytes(picture("image/gif"))
    kind.settle(client.submit(request))
    file.unlink()
    with pytest.raises(InputValidationError, match=r"image_url: cannot be read: No such file"):
        kind.settle(client.submit(request))

    assert [job.arguments["image_url"] for job in sandbox.accepted] == [uri("image/gif", picture("image/gif"))]


def test_a_file_that_changes_while_it_is_read_is_not_sent(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(PNG)

    class Meanwhile(BytesIO):
        """Changes the file when a piece of it is taken over."""

        def __init__(self, change: Callable[[], object]) -> None:
            super().__init__()
            self._change = change

        def write(self, data: Any, /) -> int:
            if not data.startswith(b"data:"):
                self._change()
            return super().write(data)

    as_png = format_of(file, "image")
    changes: list[tuple[int, Callable[[], object]]] = [
        (len(PNG) - 1, lambda: None),
        (len(PNG) + 1, lambda: None),
        (len(PNG), lambda: file.write_bytes(PNG + b"more")),
        (len(PNG), lambda: os.utime(file, (1, 1))),
    ]
    for size, change in changes:
        file.write_bytes(PNG)
        with pytest.raises(Unusable, match="has changed while it was read"):
            write_data_uri(file, as_png, "image", size, Meanwhile(change))
    file.write_bytes(picture("image/gif"))
    with pytest.raises(Unusable, match="has changed while it was read"):
        write_data_uri(file, as_png, "image", file.stat().st_size, BytesIO())


def test_an_input_with_files_is_a_value(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(PNG)
    with_path = edit.Input(prompt="p", image_url=file)
    with_bytes = edit.Input(prompt="p", image_url=BytesIO(PNG))

    assert with_path.image_url == file
    assert with_bytes == edit.Input(prompt="p", image_url=PNG)
    for request in (with_path, with_bytes):
        assert pickle.loads(pickle.dumps(request)) == request
        assert edit.Input(**request.model_dump()) == request
        stored = request.model_dump_json(exclude_unset=True)
        assert json.loads(stored) == sent(request) == sent(edit.Input.model_validate_json(stored))
    assert repr(with_bytes).startswith(f"Input(prompt='p', image_url=<{len(PNG)} bytes>,")
    assert f"images=[<{len(PNG)} bytes>, 'u']" in repr(v720p.Input(prompt="p", images=[PNG, "u"]))


def test_files_in_untyped_arguments_are_sent_too(kind: Kind, sandbox: Sandbox, client: Any, tmp_path: Path) -> None:
    file = tmp_path / "clip"
    file.write_bytes(clip())
    arguments = {"prompt": "p", "image_url": [{"deep": (file, BytesIO(PNG), Image.new("1", (1, 1)), "u")}]}

    with pytest.raises(Exception, match="422"):
        kind.settle(client.submit(edit.MODEL_ID, arguments))

    first, second, third, fourth = sandbox.requests[0].json["image_url"][0]["deep"]
    assert (first, second, fourth) == (uri("video/mp4", clip()), uri("image/png", PNG), "u")
    assert third.startswith("data:image/png;base64,")
    with pytest.raises(InputValidationError) as caught:
        kind.settle(client.submit("acme/m", {"a": {"b": [1, tmp_path / "none", b"text"]}, "c": BytesIO()}))
    assert caught.value.problems == [
        InputProblem("a.b[1]", "cannot be read: No such file or directory"),
        InputProblem("a.b[2]", "is of no known format of media files"),
        InputProblem("c", "has nothing more to be read"),
    ]
    assert len(sandbox.requests) == 1


def test_a_choice_of_media_takes_a_stream_too(made: Any) -> None:
    either = [{"type": "string", "format": "video_uri"}, {"type": "string", "format": "image_uri"}]
    make = made({"properties": {"file": {"anyOf": [*either, {"type": "integer"}]}}}).Input

    assert sent(make(file=BytesIO(PNG)))["file"] == uri("image/png", PNG)
    assert sent(make(file=clip()))["file"] == uri("video/mp4", clip())
    assert sent(make(file=5))["file"] == 5


def test_the_same_file_twice_is_no_list_of_different_ones(made: Any, tmp_path: Path) -> None:
    items = {"type": "string", "format": "image_uri"}
    make = made({"properties": {"images": {"type": "array", "items": items, "uniqueItems": True, "maxItems": 3}}}).Input
    file = tmp_path / "picture.png"
    file.write_bytes(PNG)

    assert make(images=[file, PNG, "u"])
    for twice in ([file, file], [PNG, "u", BytesIO(PNG)]):
        with pytest.raises(ValueError, match="stands in the list already"):
            make(images=twice)
    with pytest.raises(ValueError, match="at most 3 items"):
        make(images=[file, PNG, "u", "v"])


def test_items_and_their_number_are_told_at_once(made: Any) -> None:
    with pytest.raises(InputValidationError) as caught:
        v720p.Input(prompt="p", images=[*[PNG] * 9, b"text"])
    items = {"type": "string", "format": "image_uri"}
    few = made({"properties": {"images": {"type": "array", "items": items, "minItems": 2}}}).Input

    assert [problem.field for problem in caught.value.problems] == ["images[9]", "images"]
    assert caught.value.problems[1].message == "should have at most 9 items, not 10"
    with pytest.raises(ValueError, match=r"images\[0\]: .*; images: should have at least 2 items, not 1"):
        few(images=[b"text"])
    with pytest.raises(ValueError, match=r"images: Value should have at least 2 items") as caught_once:
        few(images=[PNG])
    assert str(caught_once.value).count("at least 2 items") == 1


def test_limits_of_the_url_are_not_about_files(made: Any) -> None:
    field = {"type": "string", "format": "image_uri", "maxLength": 30, "pattern": "^https://"}
    make = made({"properties": {"image": field}}).Input

    stored = make(image=PNG).model_dump_json(exclude_unset=True)

    assert sent(make.model_validate_json(stored)) == {"image": uri("image/png", PNG)}
    for url in ("https://example.com/" + "a" * 30, "ftp://example.com"):
        with pytest.raises(ValueError, match="image: String should"):
            make(image=url)


def test_media_of_nested_and_open_objects_and_under_other_names_are_sent(made: Any) -> None:
    frame = {
        "type": "object",
        "properties": {"62_image": {"type": "string", "format": "image_uri"}},
        "additionalProperties": True,
    }
    module = made({"properties": {"frames": {"type": "array", "items": frame}}})

    request = module.Input(frames=[{"field_62_image": PNG, "more": BytesIO(clip())}])

    assert sent(request) == {"frames": [{"62_image": uri("image/png", PNG), "more": uri("video/mp4", clip())}]}


def test_reading_files_does_not_hold_up_the_event_loop(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(PNG)

    class Executor(ThreadPoolExecutor):
        done = 0

        def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
            Executor.done += 1
            return super().submit(*arguments, **options)

    async def main() -> list[int]:
        asyncio.get_running_loop().set_default_executor(Executor())
        counts = []
        async with AsyncClient(sandbox.token, sandbox.base_url) as client:
            for image in ("https://example.com/in.png", file):
                await edit.submit_async(client, prompt="p", image_url=image)
                counts.append(Executor.done)
        return counts

    without, with_file = asyncio.run(main())
    assert with_file > without


PEAK = """
import asyncio, sys
from pathlib import Path
import runcomfy
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
form, kind, file = sys.argv[1:]
size = Path(file).stat().st_size

def memory(which):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))

def request():
    value = Path(file) if form == "path" else Path(file).read_bytes() if form == "bytes" else open(file, "rb")
    return edit.Input(prompt="p", image_url=value)

async def concurrent():
    async with runcomfy.AsyncClient() as client:
        await client.submit("warm/up", {})
        before = memory("VmRSS")
        await client.submit(request())
        return before

def sync():
    with runcomfy.Client() as client:
        client.submit("warm/up", {})
        before = memory("VmRSS")
        client.submit(request())
        return before

before = sync() if kind == "sync" else asyncio.run(concurrent())
print((memory("VmHWM") - before) / size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system tells its peak elsewhere")
@pytest.mark.parametrize("form", ["path", "bytes", "stream"])
def test_peak_memory_stays_under_four_times_the_file(kind: Kind, form: str, tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    file.write_bytes(PNG + os.urandom(40 * 10**6))
    (tmp_path / "program.py").write_text(PEAK)
    schemas = tmp_path / "schemas"
    (schemas / "warm").mkdir(parents=True)
    (schemas / "warm/up.json").write_text('{"input_schema": {}}')
    (schemas / edit.MODEL_ID).parent.mkdir(parents=True)
    (schemas / f"{edit.MODEL_ID}.json").write_text('{"input_schema": {}}')

    with Sandbox(schemas) as sandbox:
        environment = {**os.environ, "RUNCOMFY_TOKEN": sandbox.token, "RUNCOMFY_MODEL_API_BASE": sandbox.base_url}
        done = subprocess.run(
            [sys.executable, str(tmp_path / "program.py"), form, kind.name, str(file)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        (_, job) = sandbox.accepted

    assert job.arguments["image_url"] == uri("image/png", file.read_bytes())
    assert 1 < float(done.stdout) < 4
