"""Outputs and jobs in a notebook: run for real, and looked at in a browser where there is one."""

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from conftest import Kind
from media_files import picture
from runcomfy import MediaOutput
from runcomfy.models.blackforestlabs.flux_1_kontext.max import text_to_image
from runcomfy.sandbox import Fault, Sandbox

HOSTILE = '"><script>document.title = "run"</script><img src=x onerror=\'document.title = "run"\'>'
EXECUTE = """
import sys
import nbclient, nbformat
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in sys.argv[2:]])
nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
nbformat.write(notebook, sys.argv[1])
"""


class Page(HTMLParser):
    """The elements of a page, and their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def sources(self, tag: str) -> list[str | None]:
        return [attributes.get("href" if tag == "a" else "src") for name, attributes in self.elements if name == tag]


@pytest.fixture
def output(kind: Kind, sandbox: Sandbox, client: Any) -> Any:
    """The output of a job whose result has this ``output``."""

    def output(received: Any) -> MediaOutput:
        job = kind.settle(client.submit(text_to_image.Input(prompt="p")))
        sandbox.faults.append(Fault("result", changes={"output": received}))
        found: MediaOutput = kind.settle(client.job(job.id).result())
        return found

    return output


def html_of(shown: Any) -> Page:
    html: str = shown._repr_html_()
    assert shown._repr_mimebundle_()["text/html"] == html
    return Page(html)


def test_an_output_shows_its_files_in_their_order_and_what_else_is_in_it(output: Any) -> None:
    received = {
        "videos": [{"url": "https://a.runcomfy.net/v.mp4?sign=secret"}, "https://a.runcomfy.net/w"],
        "image": "https://a.runcomfy.net/i.webp",
        "audio": "https://a.runcomfy.net/s",
        "preview": {"thumbnail": {"url": "data:image/png;base64,AAAA"}},
        "model": "https://a.runcomfy.net/scene.glb",
        "again": "https://a.runcomfy.net/i.webp",
        "seed": 81030369,
        "words": "a < b & c",
        "nothing": None,
        "numbers": [1, 2],
    }

    page = html_of(output(received))

    assert page.sources("video") == ["https://a.runcomfy.net/v.mp4?sign=secret", "https://a.runcomfy.net/w"]
    assert page.sources("img") == ["https://a.runcomfy.net/i.webp", "data:image/png;base64,AAAA"]
    assert page.sources("audio") == ["https://a.runcomfy.net/s"]
    assert page.sources("a") == [
        "https://a.runcomfy.net/v.mp4?sign=secret",
        "https://a.runcomfy.net/w",
        "https://a.runcomfy.net/i.webp",
        "https://a.runcomfy.net/s",
        "https://a.runcomfy.net/scene.glb",
    ]
    assert "secret" not in page.text
    for words in ("81030369", "a < b & c", "[1, 2]"):
        assert words in page.text
    assert "nothing" not in page.text


def test_nothing_in_an_output_becomes_code(output: Any) -> None:
    received = {
        HOSTILE: HOSTILE,
        "image": f"https://a.runcomfy.net/{HOSTILE.replace(' ', '/')}.png",
        "video": "javascript:document.title='run'",
        "images": ["data:text/html,<script>document.title='run'</script>", "JaVaScRiPt:alert(1)", "https:///x.png"],
        "audio": "vbscript:x",
    }

    page = html_of(output(received))

    assert {tag for tag, _ in page.elements} <= {
        "div",
        "b",
        "figure",
        "figcaption",
        "img",
        "a",
        "table",
        "tr",
        "th",
        "td",
        "p",
    }
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert page.sources("img") == page.sources("a") == [received["image"]]


def test_only_what_a_download_may_fetch_is_loaded(output: Any) -> None:
    urls = ["https://elsewhere.example/a.png", "http://192.168.1.1/reboot.png", "http://a.runcomfy.net/a.png"]

    page = html_of(output({"images": urls}))

    assert page.sources("img") == []
    assert page.sources("a") == urls


def test_an_output_that_no_job_has_read_shows_its_fields() -> None:
    assert html_of(MediaOutput(image="https://a.runcomfy.net/a.png")).sources("img") == ["https://a.runcomfy.net/a.png"]


def test_a_setting_that_cannot_be_used_keeps_nothing_from_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", "no URL")

    shown = MediaOutput(image="https://a.runcomfy.net/a.png")._repr_html_()

    assert Page(shown).sources("img") == ["https://a.runcomfy.net/a.png"]


def test_what_is_nested_beyond_measure_is_shown_by_its_name() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    shown = MediaOutput()
    shown._raw = {"output": {"deep": deep}}
    shown.__pydantic_extra__ = {"deep": deep}

    assert shown._repr_mimebundle_()["text/plain"] == "MediaOutput"


def test_a_huge_or_odd_output_is_shown_bounded(output: Any) -> None:
    deep: Any = "https://a.runcomfy.net/deep.png"
    for _ in range(400):
        deep = [{"deeper": deep}]
    many = {
        "images": [f"https://a.runcomfy.net/{number}.png" for number in range(1000)],
        "text": "x" * 3_000_000,
        "data": "data:image/png;base64," + "A" * 3_000_000,
        **{f"number {number}": number for number in range(1000)},
    }

    page = html_of(output(many))
    assert len(page.sources("img")) < 50
    assert "… and 977 more files" in page.text
    assert "… and 981 more" in page.text
    assert len(page.text) < 20_000
    large = html_of(output({"data": many["data"]}))
    assert large.sources("img") == []
    assert "data:image/png;base64 (3,000,022 characters)" in large.text
    assert html_of(output({"nested": deep})).sources("img") == ["https://a.runcomfy.net/deep.png"]
    for odd in ({}, [], "text", 5, [[["https://a.runcomfy.net/a.png"]]], {"image": "\ud800"}, {"\ud800": "\udfff"}):
        shown = output(odd)
        assert json.dumps(shown._repr_mimebundle_(), ensure_ascii=False).encode()
    assert "no output" in html_of(output({})).text
    assert len(output({"text": "x" * 3_000_000})._repr_mimebundle_()["text/plain"]) < 20_000


def test_a_notebook_gets_the_forms_that_it_asks_for(output: Any) -> None:
    shown = output({"image": "https://a.runcomfy.net/i.png"})

    assert shown._repr_mimebundle_().keys() == {"text/plain", "text/html"}
    assert shown._repr_mimebundle_(include={"text/plain"}) == {"text/plain": repr(shown)}
    assert shown._repr_mimebundle_(exclude={"text/plain"}).keys() == {"text/html"}
    assert shown._repr_mimebundle_(include=["image/png"]) == {}


def test_a_job_shows_what_was_last_seen_of_it_and_asks_nothing(kind: Kind, stuck: Sandbox) -> None:
    client = kind.client(stuck)
    job = kind.settle(client.submit(text_to_image.Input(prompt="p")))

    before = html_of(job).text
    kind.settle(job.status())
    requests = len(stuck.requests)
    after = html_of(job).text

    assert len(stuck.requests) == requests
    assert "not read yet" in before
    for words in (type(job).__name__, job.id, text_to_image.MODEL_ID, "in_queue", "3", f"client.job('{job.id}', …)"):
        assert words in after
    assert job._repr_mimebundle_()["text/plain"] == repr(job)


def test_a_job_shows_how_it_ended(kind: Kind, sandbox: Sandbox, client: Any) -> None:
    request = text_to_image.Input(prompt="p")
    succeeded, failed, updated = (kind.settle(client.submit(request)) for _ in range(3))
    sandbox.accepted[1].error = "no"

    kind.settle(succeeded.result())
    with pytest.raises(Exception, match="failed: no"):
        kind.settle(failed.result())
    kind.collect(updated.updates())

    assert [re.findall("completed|failed", html_of(job).text) for job in (succeeded, failed, updated)] == [
        ["completed"],
        ["failed"],
        ["completed"],
    ]
    odd = client.job(HOSTILE.replace("/", ""))
    assert {tag for tag, _ in html_of(odd).elements} <= {"div", "b", "table", "tr", "th", "td"}


def executed(sandbox: Sandbox, folder: Path, *cells: str) -> list[dict[str, Any]]:
    """What the cells of a notebook show."""
    environment = {
        **os.environ,
        "RUNCOMFY_TOKEN": sandbox.token,
        "RUNCOMFY_MODEL_API_BASE": sandbox.base_url,
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    command = [sys.executable, "-c", EXECUTE, str(folder / "notebook.ipynb"), *cells]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    notebook = json.loads((folder / "notebook.ipynb").read_text(encoding="utf-8"))
    return [shown for cell in notebook["cells"] for shown in cell["outputs"]]


CELLS = (
    "from runcomfy import Client\nfrom runcomfy.models.blackforestlabs.flux_1_kontext.max import text_to_image\n"
    "client = Client(poll_interval=0)\njob = text_to_image.submit(client, prompt='A lighthouse')\njob",
    "output = job.result(progress=True)\noutput",
    "job",
    "import sys\nsorted({'IPython', 'rich'} & {name.partition('.')[0] for name in sys.modules if name != 'IPython'})",
)


def text_of(shown: dict[str, Any], form: str) -> str:
    text = shown["data"].get(form, "")
    return "".join(text) if isinstance(text, list) else str(text)


def test_a_notebook_shows_jobs_and_outputs(sandbox: Sandbox, tmp_path: Path) -> None:
    first, progress, output, job, _ = executed(sandbox, tmp_path, *CELLS)

    (accepted,) = sandbox.accepted
    assert "not read yet" in text_of(first, "text/html")
    assert progress["name"] == "stderr"
    assert "completed" in "".join(progress["text"])
    assert f"/outputs/{accepted.id}/output.png" in text_of(output, "text/html")
    assert text_of(output, "text/plain").startswith("Output(image='http")
    assert "completed" in text_of(job, "text/html")


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
SEE = """
<script>
addEventListener("load", () => {
  const seen = [...document.images].map(image => image.naturalWidth);
  document.getElementById("seen").textContent = JSON.stringify({seen, title: document.title});
});
</script>
"""


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
def test_a_browser_shows_the_picture_and_runs_nothing_of_the_output(
    sandbox: Sandbox, tmp_path: Path, output: Any
) -> None:
    uri = f"data:image/png;base64,{b64encode(picture(size=(32, 18))).decode()}"
    url = f"{sandbox.base_url}/{HOSTILE.replace(' ', '/')}"
    hostile = output({"text": HOSTILE, HOSTILE: HOSTILE, "image": url, "images": [uri]})
    shown = executed(sandbox, tmp_path, *CELLS[:2])[-1]
    page = tmp_path / "page.html"
    body = f"<title>quiet</title>{text_of(shown, 'text/html')}{hostile._repr_html_()}<pre id='seen'></pre>{SEE}"
    page.write_text(f"<!doctype html><meta charset='utf-8'>{body}", encoding="utf-8")
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=20000",
        "--dump-dom",
        page.as_uri(),
    ]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    seen = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout)
    assert seen is not None, done.stderr
    assert json.loads(seen[1].replace("&quot;", '"')) == {"seen": [1024, 0, 32], "title": "quiet"}
