"""The command and a folder to try it in, for the tests of everything that it does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCHEMA: dict[str, Any] = {
    "input_schema": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
}


def codegen(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``runcomfy-codegen`` in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "runcomfy_codegen", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,  # whatever a schema says, the command ends
    )


def add_schema(folder: Path, model_id: str, entry: Any = SCHEMA) -> Path:
    """Write a schema file below ``schemas`` in a folder."""
    file = folder / "schemas" / f"{model_id}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(entry))
    return file


def files(folder: Path) -> dict[str, bytes]:
    """The content of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {"__pycache__", ".cache"} & set(path.parts)
    }
