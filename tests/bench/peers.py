"""What we are measured against, in an environment of its own, as complete as its users have it."""

import os
import sys
import venv
from importlib.metadata import version
from pathlib import Path

from .measure import FOLDER, run

_PINNED = ("fal-client==1.0.3", "openapi-python-client==0.29.1", "replicate==1.0.7", "ruff==0.17.5")
_OURS = ("datamodel-code-generator", "httpx", "httpcore", "mypy", "pydantic", "ruff")
_BIN = FOLDER / "peers" / ("Scripts" if os.name == "nt" else "bin")

PYTHON = _BIN / "python"
PATH = os.pathsep.join([str(_BIN), os.environ.get("PATH", "")])
"""With the peers' ruff on it, which their generator runs."""


def set_up() -> None:
    """Make the environment; does nothing where it is there."""
    mark = FOLDER / "peers/installed.txt"
    wanted = "\n".join([sys.version, *_PINNED])
    if mark.exists() and mark.read_text() == wanted:
        return
    print("installing the peers", flush=True)
    venv.create(FOLDER / "peers", clear=True, with_pip=True)
    # pip compiles what it installs
    run([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_PINNED])
    mark.write_text(wanted)


def versions() -> dict[str, str]:
    """The versions of everything that is measured."""
    code = (
        "from importlib.metadata import version; print(*(version(name) for name in ('httpx', 'httpcore', 'pydantic')))"
    )
    httpx, httpcore, pydantic = run([PYTHON, "-c", code]).output.split()
    peers = {"httpx": httpx, "httpcore": httpcore, "pydantic": pydantic}
    for pin in _PINNED:
        name, _, number = pin.partition("==")
        peers[name] = number
    ours = {name: version(name) for name in _OURS}
    others = {f"{name} of the peers": number for name, number in peers.items() if name in ours and ours[name] != number}
    return ours | others | {name: number for name, number in peers.items() if name not in ours}


def program_of(name: str) -> Path:
    """A command of the environment."""
    return _BIN / name
