"""What earlier runs found out and made, kept below the output folder as hashes; it can be deleted at any time.

It holds no generated text. A file in the output counts as made when what it is made of, the tools that make it and its
own bytes are those of the earlier run.
"""

import json
import platform
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from .atomic import replace
from .layout import ImportPath
from .templates import VERSION, Templates

FOLDER = ".cache"
_DECIDING = ("datamodel-code-generator", "inflect", "jinja2", "ruff")
"""The distributions whose versions decide the bytes of the output."""


@dataclass
class Cache:
    """What one version of the tools found out and made."""

    tools: str
    paths: dict[str, ImportPath] = field(default_factory=dict)
    """The import paths of models, by the hashes of their schema files."""
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of each file in the output, the hash of what it was made of and its own."""


def digest(*parts: bytes) -> str:
    """What tells contents apart."""
    return sha256(b"\0".join(parts)).hexdigest()


def tools(templates: Templates) -> str:
    """What tells generators apart: their code, their templates, and the versions of what they use."""
    parts = [str(VERSION), platform.python_version(), *(f"{name} {version(name)}" for name in _DECIDING)]
    code = {file.name: file for file in Path(__file__).parent.glob("*.py")}
    for name, file in (*sorted(code.items()), *templates.files((".jinja",)).items()):
        parts.append(f"{name} {digest(file.read_bytes())}")
    return digest("\n".join(parts).encode())


def hashes(out: Path, files: Iterable[str]) -> dict[str, str]:
    """The hashes of files as they stand in the output, less those that cannot be read."""
    found = {}
    for file in files:
        with suppress(OSError):
            found[file] = digest((out / file).read_bytes())
    return found


def restore(out: Path, package: str, tools: str) -> Cache | None:
    """What the last run stored; empty, if other tools did. None, if it is not what was stored."""
    try:
        checksum, _, body = _place(out, package).read_bytes().partition(b"\n")
    except FileNotFoundError:
        return Cache(tools)
    except OSError:
        return None
    if checksum != digest(body).encode():
        return None
    stored = json.loads(body)
    if stored["tools"] != tools:
        return Cache(tools)
    paths = {schema: tuple(path) for schema, path in stored["paths"].items()}
    return Cache(tools, paths, {file: (of, own) for file, (of, own) in stored["files"].items()})


def store(cache: Cache, out: Path, package: str) -> None:
    """Keep it for the next run.

    Raises:
        OSError: it cannot be kept, so that the next run makes everything anew.
    """
    body = json.dumps(asdict(cache)).encode()
    place = _place(out, package)
    replace(place.with_name(".gitignore"), b"*\n")
    replace(place, digest(body).encode() + b"\n" + body)


def _place(out: Path, package: str) -> Path:
    return out / FOLDER / f"{package}.json"
