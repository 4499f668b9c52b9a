"""How long a type checker takes for a file of a user's."""

import sys
from collections.abc import Iterator

from . import packages
from .figures import Figure, ratio
from .measure import FOLDER, pairs, run

_FILE = """
from runcomfy import Client
from runcomfy.models.acestep_ai.edition_1.ace_step import audio_inpaint

with Client("token") as client:
    output: audio_inpaint.Output = audio_inpaint.run(client, audio="https://example.com/in.mp3", tags="rain", seed=7)
    print(client.map([audio_inpaint.Input(audio="https://example.com/in.mp3", tags="rain")]))
"""


def figures() -> Iterator[Figure]:
    """Check a file that uses one model, of packages with 2 and with 5,000, with nothing cached."""
    file = FOLDER / "user.py"
    file.write_text(_FILE)
    paths = {count: packages.package(count)["PYTHONPATH"] for count in (2, 5000)}

    def check(count: int) -> float:
        command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir=/dev/null", "--config-file=", file]
        return run(command, MYPYPATH=paths[count]).seconds

    found = pairs(lambda: check(5000), lambda: check(2), 3)
    yield ratio("cold mypy of a user's file, 5,000 models", "2 models", 1.5, found)
