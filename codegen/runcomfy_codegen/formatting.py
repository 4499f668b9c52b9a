"""One isolated ruff run over all rendered files; whatever ruff or black settings lie around change nothing."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from .tree import Tree

_COMMON = ("--isolated", "--no-cache", "--quiet", "--no-respect-gitignore", "--target-version", "py311")
_STYLE = ("--config", "line-length=120", "--config", "exclude=[]")


def format_tree(tree: Tree) -> Tree:
    """Sort the imports and format the code of every Python file."""
    with TemporaryDirectory(prefix="runcomfy-codegen-") as folder:
        root = Path(folder)
        for path, text in tree.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode())
        _ruff(root, "check", *_COMMON, *_STYLE, "--select", "I", "--fix", ".")
        _ruff(root, "format", *_COMMON, *_STYLE, ".")
        return {path: (root / path).read_bytes().decode() for path in tree}


def _ruff(folder: Path, *arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUFF_")}
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"ruff {arguments[0]} failed: {done.stdout}{done.stderr}")
