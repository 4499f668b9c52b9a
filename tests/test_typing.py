"""What type checkers say of programs that use the package: nothing of right ones, every mistake of wrong ones."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

RIGHT = """
import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile

from PIL import Image
from runcomfy import AsyncClient, AsyncJob, Client, Job, MapResult, MapUpdate, MediaInput, MediaOutput, ModelInfo, Price
from runcomfy import Status, WaitTimeoutError
from runcomfy.models.blackforestlabs.flux_1_kontext.max import text_to_image
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.models.bytedance.seedance_2_5.reference_to_video import v720p
from runcomfy.sandbox import Sandbox
from typing_extensions import assert_type


def show(status: Status) -> None:
    print(status.state, status.queue_position)


def media(client: Client, image: MediaInput) -> None:
    edit.run(client, prompt="p", image_url=Path("in.png"))
    edit.run(client, prompt="p", image_url=image)
    with open("in.png", "rb") as file, TemporaryFile() as other, Image.open("in.png") as picture:
        edit.Input(prompt="p", image_url=file)
        edit.Input(prompt="p", image_url=other)
        edit.Input(prompt="p", image_url=picture)
        edit.Input(prompt="p", image_url=BytesIO(b"content"))
        v720p.Input(prompt="p", images=[file, picture, "https://example.com/a.png", b"content"], videos=[Path("a.mp4")])
        paths = [Path("a.mp4")]
        v720p.Input(prompt="p", videos=paths)


def sync(client: Client) -> None:
    assert_type(edit.run(prompt="p", image_url="u", seed=1, aspect_ratio="21:9"), edit.Output)
    assert_type(edit.submit(client, prompt="p", image_url="u"), Job[edit.Output])
    assert_type(client.run(text_to_image.Input(prompt="p"), timeout=60, on_update=show), text_to_image.Output)
    assert_type(client.submit(edit.Input(prompt="p", image_url="u", seed=None)), Job[edit.Output])
    assert_type(client.run("acme/new-model", {"prompt": "p"}), MediaOutput)
    assert_type(client.submit("acme/new-model", {"prompt": "p"}), Job[MediaOutput])
    job = client.job("id", edit.Output)
    assert_type(job.result().image, str | None)
    assert_type(client.job("id"), Job[MediaOutput])
    for status in job.updates(timeout=5):
        show(status)
    try:
        job.result()
    except WaitTimeoutError as error:
        print(error.request_id)
    print(job.cancel() is True, job.id, job.status().raw)
    assert_type(client.models.list(search="edit", on_page=print), list[ModelInfo])
    assert_type(client.models.get("acme/new-model").base_price_usd, float | None)
    assert_type(client.price("acme/new-model"), Price)
    assert_type(client.price(edit.MODEL_ID).estimate(edit.Input(prompt="p", image_url="u")), float | None)
    assert_type(client.price("acme/new-model").estimate({"prompt": "p"}), float | None)
    assert_type((client.balance(), job.cost(timeout=5)), tuple[float, float | None])


def show_one(update: MapUpdate) -> None:
    print(update.index, update.request_id, update.status.state)


def many(client: Client) -> None:
    requests = [edit.Input(prompt="p", image_url="u")]
    for result in client.map(requests, ordered=True, on_update=show_one):
        assert_type(result, MapResult[edit.Output])
        assert_type(result.output.image, str | None)
    with closing(client.map(request for request in requests)) as results:
        assert_type(next(results).output, edit.Output)
    for mixed in client.map([*requests, text_to_image.Input(prompt="p")]):
        print(mixed.output.raw, mixed.output.files, mixed.cost_usd)


async def arriving() -> AsyncIterator[edit.Input]:
    yield edit.Input(prompt="p", image_url="u")


async def many_async(client: AsyncClient) -> None:
    async for result in client.map(arriving(), concurrency=200):
        assert_type(result.output, edit.Output)
    async with aclosing(client.map([text_to_image.Input(prompt="p")])) as results:
        assert_type((await anext(results)).output, text_to_image.Output)


async def concurrent(client: AsyncClient) -> None:
    assert_type(await edit.run_async(client, prompt="p", image_url="u"), edit.Output)
    assert_type(await edit.submit_async(prompt="p", image_url="u"), AsyncJob[edit.Output])
    assert_type(await client.run(edit.Input(prompt="p", image_url="u")), edit.Output)
    job = await client.submit(edit.Input(prompt="p", image_url="u"))
    assert_type(await job.result(), edit.Output)
    assert_type(await client.run("acme/new-model", {}), MediaOutput)
    assert_type(await client.models.list(kind="model", include_schema=True), list[ModelInfo])
    assert_type(await client.models.get("acme/new-model"), ModelInfo)
    assert_type(await client.price("acme/new-model"), Price)
    assert_type((await client.balance(), await job.cost()), tuple[float, float | None])
    async for status in job.updates():
        show(status)


with Sandbox() as sandbox, Client(base_url=sandbox.base_url, token=sandbox.token) as client:
    sync(client)
asyncio.run(concurrent(AsyncClient(token="t", proxy="http://localhost:8", verify="bundle.pem", headers={"X-A": "b"})))
"""

WRONG = """
import runcomfy
from runcomfy import AsyncClient, Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

client = Client()
edit.run(promt="p", image_url="u")
edit.run(prompt="p", image_url="u", aspect_ratio="17:9")
edit.run(prompt="p")
edit.run(prompt="p", image_url="u", seed="5")
edit.run(prompt="p", image_url="u", seed=1.5)
edit.run(prompt=None, image_url="u")
edit.run(prompt="p", image_url=5)
edit.run(prompt="p", image_url=open("text.png"))
edit.run("p", "u")
edit.run(AsyncClient(), prompt="p", image_url="u")
edit.submit(promt="p", image_url="u")
edit.Input(promt="p", image_url="u")
edit.Input(prompt="p", image_url="u", aspect_ratio="17:9")
edit.Input(prompt="p")
client.run(edit.Output())
client.run("acme/new-model")
client.job("id", edit.Input)
client.models.list("edit")
client.map(["p"])
client.map([edit.Input(prompt="p", image_url="u")], concurency=5)
next(client.map([edit.Input(prompt="p", image_url="u")])).output.picture
client.models.get("acme/new-model").price
client.price("acme/new-model").estimate("p")
client.job("id", edit.Output).cost() + 1
client.job("id", edit.Output).result().picture
Client(tokn="t")
runcomfy.Clinet
length: int = edit.run(prompt="p", image_url="u").image
"""
# Every line after the client is made is one mistake.
MISTAKES = list(range(WRONG.splitlines().index("client = Client()") + 2, len(WRONG.splitlines()) + 1))


def reported(checker: str, file: Path) -> list[tuple[int, str]]:
    """Line and text of every error in a file, or in the files of a folder."""
    if checker == "mypy":
        command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", "--cache-dir"]
        command += [str(REPOSITORY / ".mypy_cache"), str(file)]
        done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        lines = [line.split(":", 3) for line in done.stdout.splitlines() if ": error:" in line]
        return [(int(number), text) for _, number, _, text in lines]
    (file.parent / "pyrightconfig.json").write_text(json.dumps({"include": [file.name], "typeCheckingMode": "strict"}))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return [(item["range"]["start"]["line"] + 1, item["message"]) for item in found if item["severity"] == "error"]


@pytest.mark.parametrize("checker", ["mypy", "basedpyright"])
def test_a_right_program_is_clean_and_every_mistake_of_a_wrong_one_is_reported(checker: str, tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)

    assert reported(checker, tmp_path / "right.py") == []
    assert sorted({line for line, _ in reported(checker, tmp_path / "wrong.py")}) == MISTAKES


@pytest.mark.parametrize("checker", ["mypy", "basedpyright"])
def test_the_modules_of_all_golden_folders_are_cleanly_typed(checker: str, tmp_path: Path) -> None:
    for expected in (REPOSITORY / "tests/golden").glob("*/expected"):
        shutil.copytree(expected, tmp_path / "all" / f"golden_{expected.parent.name.replace('-', '_')}")

    assert reported(checker, tmp_path / "all") == []
