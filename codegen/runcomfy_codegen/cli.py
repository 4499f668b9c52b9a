"""The command ``runcomfy-codegen``. Exit codes: 0 fine, 1 something is to be done about files, 2 wrong usage."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from io import TextIOWrapper
from keyword import iskeyword
from pathlib import Path

from .errors import GenerationError, OutputError

_EXTRA = ("jinja2", "datamodel_code_generator", "ruff", "inflect", "filelock", "watchfiles")
# What the generated package and its users import: a package of the same name would stand in its way, or they in its.
_IMPORTED = {"httpx", "pydantic", "pydantic_core", "runcomfy_codegen", "starlette", "uvicorn", "jsonschema"}


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):  # a schema may hold characters that a terminal has not
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    if missing := [name for name in _EXTRA if find_spec(name) is None]:
        print(f"{', '.join(missing)} not installed; type: pip install 'runcomfy[codegen]'", file=sys.stderr)
        return 2
    from . import commands

    try:
        return int(getattr(commands, options.command)(options))
    except GenerationError as error:
        print(f"{error}\nnothing was written", file=sys.stderr)
        return 1
    except OutputError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("runcomfy-codegen", description="Generate a typed client from model schemas.")
    verbs = parser.add_subparsers(title="commands", required=True, dest="command")
    for command, text in (
        ("generate", "write the package"),
        ("check", "show what generate would change; exit 1 if anything"),
        ("lint", "report what is broken or doubtful in the schemas, and what is done about it; exit 1 if anything"),
    ):
        verb = verbs.add_parser(command, help=text, description=text)
        verb.add_argument("--schemas", type=Path, default=Path("schemas"), metavar="DIR", help="default: schemas")
        if command == "lint":
            continue
        verb.add_argument("--out", type=Path, default=Path("generated"), metavar="DIR", help="default: generated")
        verb.add_argument("--package", type=_package, default="runcomfy", metavar="NAME", help="default: runcomfy")
        verb.add_argument("--templates", type=Path, metavar="DIR", help="files that take the places of shipped ones")
        verb.add_argument("--keep-going", action="store_true", help="leave broken schemas out; exit 1 all the same")
    return parser


def _package(name: str) -> str:
    if not (name.isascii() and name.isidentifier() and name == name.lower() and not iskeyword(name)):
        raise argparse.ArgumentTypeError(f"{name!r} is no package name (lower-case letters, digits and underscores)")
    if name in sys.stdlib_module_names or name in _IMPORTED:
        raise argparse.ArgumentTypeError(f"{name!r} is the name of another package that Python programs import")
    return name
