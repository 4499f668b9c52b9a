"""How long a type checker takes for a file of a user's."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

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


_FILE_WITHOUT_US = """
import httpx, pydantic

class Input(pydantic.BaseModel):
    tags: str

with httpx.Client() as client:
    print(client.post("https://example.com", json=Input(tags="rain").model_dump()).json())
"""


def figures() -> Iterator[Figure]:
    """Check a file that uses one model, of packages with 2 and with 5,000 models, with nothing cached."""
    file, file_without_us = FOLDER / "user.py", FOLDER / "other.py"
    file.write_text(_FILE)
    file_without_us.write_text(_FILE_WITHOUT_US)
    paths = {count: packages.package(count)["PYTHONPATH"] for count in (2, 5000)}

    def mypy(count: int) -> float:
        command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir=/dev/null", "--config-file=", file]
        return run(command, MYPYPATH=paths[count]).seconds

    found = pairs(lambda: mypy(5000), lambda: mypy(2), 3)
    yield ratio("cold mypy of a user's file, 5,000 models", "2 models", 1.5, found)

    def pyright(file: Path, count: int) -> float:
        settings = FOLDER / "pyright.json"
        environment = {
            "extraPaths": [paths[count]],
            "venvPath": str(Path(sys.prefix).parent),
            "venv": Path(sys.prefix).name,
        }
        settings.write_text(json.dumps({**environment, "include": [str(file)], "typeCheckingMode": "standard"}))
        return run([sys.executable, "-m", "basedpyright", "--project", settings]).seconds

    found = pairs(lambda: pyright(file, 5000), lambda: pyright(file, 2), 5)
    yield ratio("basedpyright of a user's file, 5,000 models", "2 models", 1.5, found)
    found = pairs(lambda: pyright(file, 5000), lambda: pyright(file_without_us, 5000), 5)
    yield ratio("basedpyright of a user's file, 5,000 models", "a file with httpx and pydantic", None, found)
