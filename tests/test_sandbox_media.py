"""The files of the sandbox: what is in them, and how they are served."""

import json
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av
import httpx
import pytest
from PIL import Image, ImageChops
from runcomfy.sandbox import Sandbox, Variant
from test_sandbox import BODY, EDIT, call, output_of

IMAGE, VIDEO, AUDIO = (f"acme/text-to-{kind}" for kind in ("image", "video", "audio"))


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that take any input, one of each kind."""
    folder = tmp_path_factory.mktemp("schemas")
    for model_id in (IMAGE, VIDEO, AUDIO):
        path = folder / f"{model_id}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text('{"input_schema": {}}')
    return folder


@pytest.fixture(scope="module")
def _studio(schemas: Path) -> Iterator[Sandbox]:
    with Sandbox(schemas) as sandbox:
        yield sandbox


@pytest.fixture
def studio(_studio: Sandbox) -> Sandbox:
    _studio.reset()
    return _studio


def get(url: str, **headers: str) -> httpx.Response:
    """A request without a token."""
    return httpx.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()}, trust_env=False)


def url_of(studio: Sandbox, model_id: str, **body: Any) -> str:
    """The address of the one file of a job."""
    (url,) = output_of(studio, model_id, body).values()
    assert isinstance(url, str)
    return url


def image_of(studio: Sandbox, **body: Any) -> Image.Image:
    image = Image.open(BytesIO(get(url_of(studio, IMAGE, **body)).content))
    image.load()
    return image


def letters(picture: Image.Image) -> Image.Image:
    """What is white in it, whatever the ground."""
    return picture.convert("L").point([255 * (level > 230) for level in range(256)])


class Track(NamedTuple):
    """One track of a decoded file."""

    codec: str
    rate: float
    """Frames a second, of sound samples a second."""
    frames: list[Any]

    @classmethod
    def of(cls, stream: Any) -> "Track":
        """Without its frames; a stream can be asked only as long as its file is open."""
        rate = stream.average_rate if stream.type == "video" else stream.rate
        return cls(stream.codec_context.name, float(rate), [])

    @property
    def seconds(self) -> float:
        """How long what was decoded lasts."""
        return sum(getattr(frame, "samples", 1) for frame in self.frames) / self.rate


def decoded(content: bytes, format_: str) -> dict[str, Track]:
    """The tracks of a clip by their kind."""
    tracks: dict[str, Track] = {}
    with av.open(BytesIO(content), "r", format=format_) as container:
        for stream in container.streams.get():
            tracks[stream.type] = Track.of(stream)
        for packet in container.demux():
            tracks[packet.stream.type].frames.extend(packet.decode())
    return tracks


def test_images_are_real_and_of_the_shape_asked_for_with_the_schemas_default_filled_in(sandbox: Sandbox) -> None:
    for ratio, size in ((None, (1024, 576)), ("1:1", (1024, 1024)), ("9:21", (432, 1008))):
        body = BODY if ratio is None else {**BODY, "aspect_ratio": ratio}
        answer = get(output_of(sandbox, EDIT, body)["image"])
        assert answer.headers["content-type"] == "image/png"
        with Image.open(BytesIO(answer.content)) as image:
            image.load()
            assert (image.format, image.size, image.info["prompt"]) == ("PNG", size, "p")
    assert sandbox.accepted[0].arguments == BODY


@pytest.mark.parametrize(
    ("asked", "format_", "name"),
    [
        ("png", "PNG", "output.png"),
        ("jpeg", "JPEG", "output.jpg"),
        ("JPG", "JPEG", "output.jpg"),
        ("webp", "WEBP", "output.webp"),
        ("tiff", "PNG", "output.png"),
        (None, "PNG", "output.png"),
        (5, "PNG", "output.png"),
    ],
)
def test_images_have_the_format_asked_for(studio: Sandbox, asked: Any, format_: str, name: str) -> None:
    url = url_of(studio, IMAGE, output_format=asked, prompt="p")
    answer = get(url)

    assert url.endswith(f"/{name}")
    assert answer.headers["content-type"] == f"image/{format_.lower()}"
    with Image.open(BytesIO(answer.content)) as image:
        image.load()
        assert (image.format, image.size) == (format_, (1024, 1024))


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ({"width": 300, "height": 200}, (300, 200)),
        ({"width": "300", "height": 200.0}, (300, 200)),
        ({"width": 300}, (1024, 1024)),
        ({"width": True, "height": True}, (1024, 1024)),
        ({"size": "640x480"}, (640, 480)),
        ({"size": "640 × 480"}, (640, 480)),
        ({"image_size": {"width": 300, "height": 200}}, (300, 200)),
        ({"image_size": "portrait_4_3"}, (768, 1024)),
        ({"image_size": "landscape_16_9"}, (1024, 576)),
        ({"image_size": "square_hd"}, (1024, 1024)),
        ({"size": "99999x99999"}, (1024, 1024)),
        ({"resolution": "2K", "aspect_ratio": "16:9"}, (2048, 1152)),
        ({"resolution": "1k", "aspect_ratio": "2:3"}, (682, 1023)),
        ({"resolution": "4k", "aspect_ratio": "4:1"}, (4096, 1024)),
        ({"resolution": "9k", "aspect_ratio": "auto"}, (4096, 4096)),
        ({"resolution": "0k"}, (1024, 1024)),
        ({"resolution": "480p", "aspect_ratio": "16:9"}, (853, 480)),
        ({"resolution": "720P", "ratio": "9:16"}, (720, 1280)),
        ({"resolution": "1080p"}, (1080, 1080)),
        ({"resolution": "1080p", "aspect_ratio": "8:1"}, (4096, 512)),
        ({"aspect_ratio": "1920:1080"}, (1024, 576)),
        ({"aspect_ratio": "9999:1"}, (1024, 1)),
        ({"aspect_ratio": "0:1", "size": []}, (1024, 1024)),
    ],
)
def test_every_way_to_ask_for_a_size_is_understood(studio: Sandbox, body: dict[str, Any], size: Any) -> None:
    assert image_of(studio, **body).size == size


def test_different_prompts_make_different_pictures(studio: Sandbox) -> None:
    pictures = [letters(image_of(studio, prompt=prompt)) for prompt in ("a", "b", "", "\ud800", "日本 " * 500)]

    assert all(picture.getbbox() for picture in pictures)
    assert all(ImageChops.difference(one, other).getbbox() for one, other in pairwise(pictures))


def test_a_video_is_a_film_with_the_prompt_in_it(studio: Sandbox) -> None:
    answers = [get(url_of(studio, VIDEO, prompt=prompt, duration=2)) for prompt in ("a storm", "a calm")]
    films = [decoded(answer.content, "mp4") for answer in answers]

    assert answers[0].headers["content-type"] == "video/mp4"
    assert answers[0].content.index(b"moov") < answers[0].content.index(b"mdat")  # plays before all of it is there
    for film in films:
        assert film.keys() == {"video"}
        pictures = [frame.to_image() for frame in film["video"].frames]
        assert (film["video"].codec, film["video"].frames[0].format.name) == ("h264", "yuv420p")
        assert all(ImageChops.difference(one, other).getbbox() for one, other in pairwise(pictures))
    one, other = (letters(film["video"].frames[0].to_image()) for film in films)
    assert ImageChops.difference(one, other).getbbox()


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ({}, 5),
        ({"duration": 2}, 2),
        ({"duration": 2.5}, 2.5),
        ({"duration": "3"}, 3),
        ({"duration": "4s"}, 4),
        ({"seconds": "2"}, 2),
        ({"duration": "auto"}, 5),
        ({"duration": -1}, 5),
        ({"duration": None}, 5),
        ({"duration": True}, 5),
        ({"duration": [2]}, 5),
        ({"duration": 1e-9}, 0.1),
        ({"duration": 10**400}, 5),
        ({"duration": 61}, 60),
    ],
)
def test_a_video_is_as_long_as_asked_for(studio: Sandbox, duration: dict[str, Any], seconds: float) -> None:
    content = get(url_of(studio, VIDEO, **duration, width=64, height=64, generate_audio=True)).content
    tracks = decoded(content, "mp4")

    assert tracks["video"].seconds == pytest.approx(seconds)
    assert tracks["audio"].seconds == pytest.approx(seconds, abs=0.05)
    with av.open(BytesIO(content), "r") as container:
        assert container.duration == pytest.approx(seconds * 1_000_000)


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ({}, (1280, 720)),
        ({"resolution": "480p", "aspect_ratio": "16:9"}, (852, 480)),
        ({"resolution": "720p", "aspect_ratio": "9:16"}, (720, 1280)),
        ({"resolution": "1080P", "ratio": "1:1"}, (1080, 1080)),
        ({"resolution": "4k"}, (3840, 2160)),
        ({"resolution": "4k", "aspect_ratio": "21:9"}, (4096, 1754)),
        ({"resolution": "768p", "aspect_ratio": "adaptive"}, (1364, 768)),
        ({"size": "641x359"}, (640, 358)),
        ({"width": 1, "height": 1}, (16, 16)),
    ],
)
def test_a_video_has_the_size_asked_for_in_even_numbers(studio: Sandbox, body: dict[str, Any], size: Any) -> None:
    (frame, *_) = decoded(get(url_of(studio, VIDEO, **body, duration=0.1)).content, "mp4")["video"].frames

    assert (frame.width, frame.height) == size


@pytest.mark.parametrize(
    ("body", "has_sound"),
    [
        ({}, False),
        ({"generate_audio": True}, True),
        ({"enable_audio": True}, True),
        ({"generate_audio": False}, False),
        ({"generate_audio": "true"}, False),
    ],
)
def test_a_video_has_sound_where_it_is_asked_for(studio: Sandbox, body: dict[str, Any], has_sound: bool) -> None:
    tracks = decoded(get(url_of(studio, VIDEO, **body, duration=1)).content, "mp4")

    assert ("audio" in tracks) is has_sound
    if has_sound:
        assert tracks["audio"].codec == "aac"
        assert max(map(max, (memoryview(frame.planes[0]).cast("f") for frame in tracks["audio"].frames))) > 0.2


def test_a_video_has_sound_by_the_default_of_its_schema(tmp_path: Path) -> None:
    schema = {"properties": {"generate_audio": {"type": "boolean", "default": True}}}
    entry = {"input_schema": schema, "categories": ["text-to-video"]}
    (tmp_path / "model.json").write_text(json.dumps(entry))
    with Sandbox(tmp_path) as sandbox:
        tracks = [
            decoded(get(url_of(sandbox, "model", duration=1, **body)).content, "mp4").keys()
            for body in ({}, {"generate_audio": False})
        ]

    assert tracks == [{"video", "audio"}, {"video"}]


def test_a_video_is_mpeg_4_where_h264_cannot_be_made(studio: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    tracks = decoded(get(url_of(studio, VIDEO, prompt="without libx264", duration=1)).content, "mp4")

    assert (tracks["video"].codec, len(tracks["video"].frames)) == ("mpeg4", 10)


@pytest.mark.parametrize(
    ("asked", "media_type", "suffix", "container", "codec"),
    [
        ("wav", "audio/wav", "wav", "wav", "pcm_s16le"),
        ("pcm", "audio/wav", "wav", "wav", "pcm_s16le"),
        ("mp3", "audio/mpeg", "mp3", "mp3", "mp3float"),
        ("ogg_opus", "audio/ogg", "ogg", "ogg", "opus"),
        ("ogg", "audio/ogg", "ogg", "ogg", "opus"),
        ("opus", "audio/ogg", "ogg", "ogg", "opus"),
        ("FLAC", "audio/flac", "flac", "flac", "flac"),
        ("midi", "audio/wav", "wav", "wav", "pcm_s16le"),
        (None, "audio/wav", "wav", "wav", "pcm_s16le"),
    ],
)
def test_audio_has_the_format_asked_for(
    studio: Sandbox, asked: Any, media_type: str, suffix: str, container: str, codec: str
) -> None:
    url = url_of(studio, AUDIO, output_format=asked, prompt="p", duration=1.5)
    answer = get(url)
    track = decoded(answer.content, container)["audio"]

    assert url.endswith(f"/output.{suffix}")
    assert answer.headers["content-type"] == media_type
    assert (track.codec, track.rate) == (codec, 48_000 if codec == "opus" else 24_000)
    assert track.seconds == pytest.approx(1.5, abs=0.01)


@pytest.mark.parametrize("format_", ["wav", "mp3", "ogg", "flac"])
@pytest.mark.parametrize(
    ("body", "seconds", "rate"),
    [
        ({}, 3, 24_000),
        ({"seconds": 2, "sample_rate": 8000}, 2, 8_000),
        ({"audio_duration": "1", "sample_rate": "44100"}, 1, 44_100),
        ({"end_time": 0.5, "sample_rate": 5}, 0.5, 24_000),
        ({"duration": 1e9, "sample_rate": 11_025}, 300, 11_025),
    ],
)
def test_audio_is_as_long_as_asked_for(
    studio: Sandbox, format_: str, body: dict[str, Any], seconds: float, rate: int
) -> None:
    track = decoded(get(url_of(studio, AUDIO, **body, output_format=format_)).content, format_)["audio"]

    assert track.seconds == pytest.approx(seconds, abs=0.01)
    assert track.rate == (48_000 if format_ == "ogg" else rate)


ONE_OF_EACH: list[tuple[str, dict[str, Any]]] = [
    *((IMAGE, {"output_format": format_}) for format_ in ("png", "jpeg", "webp")),
    (VIDEO, {"duration": 1, "generate_audio": True}),
    *((AUDIO, {"output_format": format_}) for format_ in ("wav", "mp3", "ogg", "flac")),
]


def test_the_same_request_always_makes_the_same_file(studio: Sandbox, schemas: Path, tmp_path: Path) -> None:
    """In this process and in another, which remembers nothing of this one."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from runcomfy.sandbox import Sandbox\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_sandbox_media import ONE_OF_EACH, etags\n"
        f"with Sandbox({str(schemas)!r}) as sandbox:\n"
        "    print(*etags(sandbox))\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True)

    assert etags(studio) == etags(studio) == done.stdout.split()
    assert len(set(etags(studio))) == len(ONE_OF_EACH)


def etags(studio: Sandbox) -> list[str]:
    return [get(url_of(studio, model_id, **body)).headers["etag"] for model_id, body in ONE_OF_EACH]


@pytest.mark.parametrize("key", ["num_images", "n", "num_outputs", "batch_size"])
def test_as_many_files_are_made_as_asked_for(studio: Sandbox, key: str) -> None:
    for model_id, kind, suffix in ((IMAGE, "images", "png"), (VIDEO, "videos", "mp4"), (AUDIO, "audios", "wav")):
        output = output_of(studio, model_id, {key: 3, "duration": 1})
        urls = output[kind]
        files = [get(url) for url in urls]

        assert output.keys() == {kind}
        assert [url.rpartition("/")[2] for url in urls] == [f"output-{number}.{suffix}" for number in (1, 2, 3)]
        assert [file.status_code for file in files] == [200] * 3
        assert len({file.content for file in files}) == 3
        assert get(urls[0].replace("-1.", "-4.")).status_code == 404


@pytest.mark.parametrize(("asked", "made"), [(1, 1), ("2", 2), (8, 8), (9, 8), (0, 1), (-2, 1), (None, 1), ("x", 1)])
def test_there_are_one_to_eight_files(studio: Sandbox, asked: Any, made: int) -> None:
    output = output_of(studio, IMAGE, {"num_images": asked})

    assert len(output.get("images", [1])) == made
    assert ("image" in output) is (made == 1)


@pytest.mark.parametrize(
    ("output_schema", "shape"),
    [
        ({"image": {"type": "string"}}, {"image": "output.png"}),
        ({"file": {"type": "string"}}, {"file": "output.png"}),
        ({"images": {"type": "array"}}, {"images": ["output-1.png", "output-2.png"]}),
        ({"images": {}}, {"images": ["output-1.png", "output-2.png"]}),
        (
            {"images": {"type": "array", "items": {"properties": {"url": {"type": "string"}}}}},
            {"images": [{"url": "output-1.png"}, {"url": "output-2.png"}]},
        ),
    ],
)
def test_several_files_are_made_where_the_output_has_a_place_for_them(
    tmp_path: Path, output_schema: Any, shape: Any
) -> None:
    entry = {"input_schema": {}, "output_schema": {"output": {"properties": output_schema}}}
    (tmp_path / "model.json").write_text(json.dumps(entry))
    with Sandbox(tmp_path) as sandbox:
        output = output_of(sandbox, "model", {"n": 2})
        base = f"{sandbox.base_url.removesuffix('/v1')}/outputs/{sandbox.accepted[0].id}/"

    assert json.loads(json.dumps(output).replace(base, "")) == shape


@pytest.mark.parametrize(
    ("variant", "model_id", "keys"),
    [
        (Variant(), IMAGE, {"image": "one"}),
        (Variant(lists=True), IMAGE, {"images": ["one"]}),
        (Variant(lists=True), VIDEO, {"videos": ["one"]}),
        (Variant(lists=True), AUDIO, {"audios": ["one"]}),
        (Variant(audio_twice=True), AUDIO, {"audio": "one", "audios": ["one"]}),
        (Variant(audio_twice=True), IMAGE, {"image": "one"}),
    ],
)
def test_one_file_comes_under_the_keys_of_the_source_that_is_asked_for(
    schemas: Path, variant: Variant, model_id: str, keys: Any
) -> None:
    with Sandbox(schemas, variant=variant) as sandbox:
        output = output_of(sandbox, model_id, {})
        url = next(value if isinstance(value, str) else value[0] for value in output.values())

        assert json.loads(json.dumps(output).replace(url, "one")) == keys
        assert get(url).status_code == 200


def test_a_schema_with_one_key_only_has_the_output_under_this_key(tmp_path: Path) -> None:
    entry = {"input_schema": {}, "output_schema": {"output": {"properties": {"audio": {"type": "string"}}}}}
    (tmp_path / "model.json").write_text(json.dumps(entry))
    with Sandbox(tmp_path, variant=Variant(lists=True, audio_twice=True)) as sandbox:
        assert output_of(sandbox, "model", {}).keys() == {"audio"}


def test_a_file_is_served_with_all_that_a_download_needs(studio: Sandbox) -> None:
    url = url_of(studio, IMAGE, prompt="p")
    whole, head, again = get(url), httpx.head(url, trust_env=False), get(url)

    assert whole.status_code == head.status_code == 200
    assert whole.headers["content-length"] == str(len(whole.content))
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["etag"].startswith('"')
    assert again.content == whole.content
    names = ("content-length", "content-type", "etag", "accept-ranges")
    assert [head.headers[name] for name in names] == [whole.headers[name] for name in names]
    assert head.content == b""


@pytest.mark.parametrize("model_id", [IMAGE, VIDEO, AUDIO])
def test_a_range_of_a_file_can_be_had(studio: Sandbox, model_id: str) -> None:
    url = url_of(studio, model_id, duration=1)
    whole = get(url)
    size = len(whole.content)
    ranges = {
        "bytes=0-99": (0, 99),
        "bytes=100-100": (100, 100),
        "bytes=100-": (100, size - 1),
        f"bytes=100-{size + 5}": (100, size - 1),
        "bytes=-10": (size - 10, size - 1),
        f"bytes=-{size + 5}": (0, size - 1),
    }
    for asked, (first, last) in ranges.items():
        part = get(url, range=asked)
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
        assert part.headers["content-length"] == str(last - first + 1)
        assert part.headers["etag"] == whole.headers["etag"]
        assert part.headers["content-type"] == whole.headers["content-type"]
        assert part.content == whole.content[first : last + 1]


def test_a_file_can_be_put_together_from_its_ranges(studio: Sandbox) -> None:
    url = url_of(studio, VIDEO, duration=1)
    size = int(httpx.head(url, trust_env=False).headers["content-length"])
    parts = [get(url, range=f"bytes={start}-{start + 999}").content for start in range(0, size, 1000)]

    assert b"".join(parts) == get(url).content
    assert decoded(b"".join(parts), "mp4").keys() == {"video"}


@pytest.mark.parametrize("asked", ["bytes={size}-", "bytes={size}-{size}", "bytes=999999999999-", "bytes=-0"])
def test_a_range_that_is_not_there_is_refused_with_the_size(studio: Sandbox, asked: str) -> None:
    url = url_of(studio, IMAGE)
    size = len(get(url).content)
    refused = get(url, range=asked.format(size=size))

    assert (refused.status_code, refused.content) == (416, b"")
    assert refused.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize(
    "asked",
    ["bytes=5-4", "bytes=-", "bytes=a-b", "bytes=0-1,5-6", "lines=0-5", "0-5", "bytes", f"bytes=0-{'9' * 5000}"],
)
def test_what_is_no_single_range_gives_the_whole_file(studio: Sandbox, asked: str) -> None:
    url = url_of(studio, IMAGE)
    answer = get(url, range=asked)

    assert (answer.status_code, answer.content) == (200, get(url).content)
    assert "content-range" not in answer.headers


def test_a_range_is_given_only_of_the_file_that_it_was_asked_of(studio: Sandbox) -> None:
    url = url_of(studio, IMAGE)
    whole = get(url)
    etag = whole.headers["etag"]
    same = get(url, range="bytes=5-9", if_range=etag)
    others = [
        get(url, range="bytes=5-9", if_range=condition)
        for condition in ('"another"', f"W/{etag}", "Wed, 21 Oct 2015 07:28:00 GMT")
    ]

    assert (same.status_code, same.content) == (206, whole.content[5:10])
    assert [(other.status_code, other.content) for other in others] == [(200, whole.content)] * 3


def test_a_head_knows_no_ranges(studio: Sandbox) -> None:
    url = url_of(studio, IMAGE)
    head = httpx.head(url, headers={"Range": "bytes=0-4"}, trust_env=False)

    assert (head.status_code, head.headers["content-length"]) == (200, str(len(get(url).content)))


def test_requests_of_files_are_recorded_and_need_no_token(studio: Sandbox) -> None:
    url = url_of(studio, IMAGE)
    studio.requests.clear()
    httpx.head(url, trust_env=False)
    get(f"{url}?signature=a%2Bb", range="bytes=0-9")
    get(url, authorization="Bearer leaked")

    path = f"/outputs/{studio.accepted[0].id}/output.png"
    assert [(request.method, request.path) for request in studio.requests] == [
        ("HEAD", path),
        ("GET", f"{path}?signature=a%2Bb"),
        ("GET", path),
    ]
    assert [request.headers.get("authorization") for request in studio.requests] == [None, None, "Bearer leaked"]
    assert studio.requests[1].headers["range"] == "bytes=0-9"


def test_a_file_is_there_only_once_its_job_has_succeeded_and_under_its_own_name(studio: Sandbox) -> None:
    with Sandbox(queue_seconds=3600) as sandbox:
        request_id = call(sandbox, "POST", f"/v1/models/{EDIT}", json=BODY).json()["request_id"]
        assert call(sandbox, "GET", f"/outputs/{request_id}/output.png").status_code == 404
        assert call(sandbox, "GET", "/outputs/no-such/output.png").status_code == 404
        call(sandbox, "POST", f"/v1/requests/{request_id}/cancel")
        assert call(sandbox, "GET", f"/outputs/{request_id}/output.png").status_code == 404
    studio.fail_next("boom")
    request_id = call(studio, "POST", f"/v1/models/{IMAGE}", json={}).json()["request_id"]
    assert call(studio, "GET", f"/outputs/{request_id}/output.png").status_code == 404

    url = url_of(studio, IMAGE)
    for name in ("output.jpg", "output-1.png", "other.png", ".."):
        assert get(url.replace("output.png", name)).status_code == 404
