"""The client's runtime: real files, copied as they are below a header."""

from .templates import Templates
from .tree import Tree, header

_FOLDER = "runcomfy/"


def runtime(package: str, templates: Templates) -> Tree:
    """The runtime of one package."""
    tree = {}
    for path, file in templates.files((".py", ".typed")).items():
        if path.startswith(_FOLDER):
            text = file.read_bytes().decode()
            tree[f"{package}/{path.removeprefix(_FOLDER)}"] = (
                f"{header(templates.source(path))}\n{text}" if text else text
            )
    return tree
