"""Runs both seed models against a sandbox, one with each client: what ``make run`` shows.

The inputs are those of the models' API pages.
"""

import asyncio
import sys
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from time import monotonic

from PIL import Image
from runcomfy import AsyncClient, Client, Status
from runcomfy.models.blackforestlabs.flux_1_kontext.max import text_to_image
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Sandbox


@dataclass
class Run:
    """What is to be told of one run."""

    model_id: str
    started: float = field(default_factory=monotonic)
    seconds: float = 0.0
    request_id: str = ""
    states: list[str] = field(default_factory=list)
    file: Path = Path()
    size: tuple[int, int] = (0, 0)

    def saw(self, status: Status) -> None:
        position = "" if status.queue_position is None else f", position {status.queue_position}"
        print(f"{monotonic() - self.started:6.1f} s  {self.model_id}: {status.state}{position}", flush=True)
        if status.state not in self.states:
            self.states.append(status.state)

    def saved(self, files: list[Path]) -> None:
        self.seconds = monotonic() - self.started
        if not files:
            raise SystemExit(f"{self.model_id}: the output has no image")
        self.file = files[0]
        with Image.open(self.file) as image:
            image.load()
            self.size = image.size


def run_edit(sandbox: Sandbox, folder: Path) -> Run:
    run = Run(edit.MODEL_ID)
    with Client(base_url=sandbox.base_url, token=sandbox.token) as client:
        job = edit.submit(
            client,
            prompt="She is now holding an orange umbrella and smiling",
            image_url="https://playgrounds-storage-public.runcomfy.net/tools/7063/media-files/usecase1-1-input.webp",
        )
        run.request_id = job.id
        run.saved(job.result(on_update=run.saw).save(folder))
    return run


async def run_text_to_image(sandbox: Sandbox, folder: Path) -> Run:
    run = Run(text_to_image.MODEL_ID)
    async with AsyncClient(base_url=sandbox.base_url, token=sandbox.token) as client:
        job = await text_to_image.submit_async(client, prompt="A lighthouse in a storm")
        run.request_id = job.id
        output = await job.result(on_update=run.saw)
        run.saved(await output.save_async(folder))
    return run


def table(runs: list[Run]) -> str:
    rows = [("model", "request", "states seen", "seconds", "image", "pixels")]
    for run in runs:
        states, size = " → ".join(run.states), f"{run.size[0]} × {run.size[1]}"
        rows.append((run.model_id, run.request_id, states, f"{run.seconds:.1f}", str(run.file), size))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])


def main(queue_seconds: float = 1.0, run_seconds: float = 1.5) -> None:
    for stream in (sys.stdout, sys.stderr):  # a terminal without these signs is no reason to stop
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    folder = Path("out")
    with Sandbox(queue_seconds=queue_seconds, run_seconds=run_seconds) as sandbox:
        print(f"sandbox: {sandbox.base_url}")
        runs = [run_edit(sandbox, folder), asyncio.run(run_text_to_image(sandbox, folder))]
    print(f"\n{table(runs)}")
    if wrong := [run.model_id for run in runs if run.size[0] * 9 != run.size[1] * 16]:
        raise SystemExit(f"not 16:9: {', '.join(wrong)}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
