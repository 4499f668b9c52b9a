"""Isolated ruff runs over rendered files; whatever ruff or black settings lie around change nothing."""

import os
from pathlib import Path

_COMMON = ("--isolated", "--no-cache", "--quiet", "--no-respect-gitignore", "--target-version", "py311")
_STYLE = ("--config", "line-length=120", "--config", "exclude=[]")


def format_folder(folder: Path) -> None:
    """Sort the imports and format the code of every Python file below a folder."""
    _ruff(folder, "check", *_COMMON, *_STYLE, "--select", "I", "--fix", ".")
    _ruff(folder, "format", *_COMMON, *_STYLE, ".")


def _ruff(folder: Path, *arguments: str) -> None:
    import subprocess  # slow to load, and mostly there is nothing to format

    from ruff import find_ruff_bin  # type: ignore[import-untyped]

    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUFF_")}
    done = subprocess.run(
        [find_ruff_bin(), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"ruff {arguments[0]} failed: {done.stdout}{done.stderr}")
