"""The client's runtime: real files, copied as they are below a header."""

from pathlib import Path
from typing import NamedTuple

from .templates import Templates
from .tree import header

_FOLDER = "runcomfy/"


class RuntimeFile(NamedTuple):
    """One file of a package's runtime, and what it is made of."""

    source: str
    """As it is named in headers."""
    path: str

    def text(self) -> str:
        """As it stands in the package."""
        return self.text_of(self.content())

    def content(self) -> bytes:
        return Path(self.path).read_bytes()

    def text_of(self, content: bytes) -> str:
        """As it stands in the package, of what was read already."""
        text = content.decode()
        return f"{header(self.source)}\n{text}" if text else text


def runtime(package: str, templates: Templates) -> dict[str, RuntimeFile]:
    """The runtime of one package, by the paths of its files below the output folder."""
    return {
        f"{package}/{name.removeprefix(_FOLDER)}": RuntimeFile(templates.source(name), path)
        for name, path in templates.files((".py", ".typed")).items()
        if name.startswith(_FOLDER)
    }
