"""What earlier runs found out and made, kept below the output folder; it can be deleted at any time.

It holds no generated code. A file in the output counts as made when what it is made of, the tools that make it and its
own bytes are those of the earlier run.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .atomic import replace
from .fingerprints import Fingerprints, Seen, digest
from .layout import ImportPath
from .templates import VERSION, Templates

FOLDER = ".cache"
_DECIDING = ("datamodel-code-generator", "inflect", "jinja2", "ruff")
"""The distributions whose versions decide the bytes of the output."""


@dataclass
class Cache:
    """What one version of the tools found out and made."""

    tools: str = ""
    models: dict[str, tuple[str, ImportPath]] = field(default_factory=dict)
    """The hashes of schema files and the import paths of their models, by the names of the files."""
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of each file in the output, the hash of what it was made of and its own."""
    seen: dict[str, Seen] = field(default_factory=dict)
    """The fingerprints of all these files, and of the tools."""


def tools(templates: Templates, fingerprints: Fingerprints) -> str:
    """What tells generators apart: their code, their templates, and the versions of what they use."""
    parts = [str(VERSION), sys.version, *_versions()]
    with os.scandir(Path(__file__).parent) as entries:
        code = {entry.name: entry.path for entry in entries if entry.name.endswith(".py")}
    for name, file in (*sorted(code.items()), *templates.files((".jinja",)).items()):
        parts.append(f"{name} {fingerprints.of(file)}")
    return digest("\n".join(parts).encode())


def _versions() -> Iterator[str]:
    """The distributions that decide the output, by the folders that installers make: `importlib.metadata` is slow."""
    found: dict[str, str] = {}
    for folder in sys.path:
        with suppress(OSError):
            for name in sorted(os.listdir(folder or ".")):
                if name.endswith(".dist-info"):
                    # All of them: an installation that broke off may leave one that no later one removes.
                    distribution = re.sub("[-_.]+", "-", name.partition("-")[0]).lower()
                    found[distribution] = f"{found.get(distribution, '')} {name}"
    for distribution in _DECIDING:
        if distribution not in found:
            from importlib.metadata import version

            found[distribution] = version(distribution)
        yield found[distribution]


def restore(out: Path, package: str) -> Cache | None:
    """What the last run stored, if it was of this version. None, if it is not what was stored."""
    try:
        stored = _load(_place(out, package))
        if stored is None or stored.keys() != vars(Cache()).keys():
            return Cache()
        return _as_stored(**stored)
    except (OSError, ValueError, TypeError):
        return None


def _as_stored(tools: str, models: dict[str, Any], files: dict[str, Any], seen: dict[str, Any]) -> Cache:
    return Cache(
        tools,
        {source: (hash_, tuple(path)) for source, (hash_, path) in models.items()},
        {file: (of, own) for file, (of, own) in files.items()},
        {path: tuple(found) for path, found in seen.items()},
    )


def store(cache: Cache, out: Path, package: str) -> None:
    """Keep it for the next run.

    Raises:
        OSError: it cannot be kept, so that the next run makes everything anew.
    """
    _save(_place(out, package), vars(cache))


def restore_types(out: Path, package: str, tools: str) -> dict[str, str]:
    """The types of fields that earlier runs of the same tools had made."""
    try:
        stored = _load(_types(out, package)) or {}
    except (OSError, ValueError):
        stored = {}
    return stored["types"] if stored.get("tools") == tools else {}


def store_types(types: dict[str, str], out: Path, package: str, tools: str) -> None:
    """Keep the types of fields for the next run, as `store` does."""
    _save(_types(out, package), {"tools": tools, "types": types})


def _load(place: Path) -> dict[str, Any] | None:
    try:
        checksum, _, body = place.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    if checksum != digest(body).encode():
        raise ValueError(f"{place} is not as it was stored")
    stored: dict[str, Any] = json.loads(body)
    return stored


def _save(place: Path, value: dict[str, Any]) -> None:
    body = json.dumps(value, separators=(",", ":")).encode()
    ignored = place.with_name(".gitignore")
    if not ignored.exists():
        replace(ignored, b"*\n")
    replace(place, digest(body).encode() + b"\n" + body)


def _place(out: Path, package: str) -> Path:
    return out / FOLDER / f"{package}.json"


def _types(out: Path, package: str) -> Path:
    return out / FOLDER / f"{package}.types.json"
