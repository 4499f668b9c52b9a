"""The command ``runcomfy-codegen``. Exit codes: 0 fine, 1 something is to be done about files, 2 wrong usage."""

import argparse
import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from io import TextIOWrapper
from keyword import iskeyword
from pathlib import Path
from typing import Any

from .errors import GenerationError, OutputError

_EXTRA = ("jinja2", "datamodel_code_generator", "ruff", "inflect", "watchfiles")
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
    threshold = gc.get_threshold()
    gc.set_threshold(10_000)  # many objects live long here, and looking at them all again and again takes long
    try:
        run = getattr(import_module(f".{options.module}", __package__), options.command)
        return int(run(options))
    except KeyboardInterrupt:
        print("interrupted; every file is whole, and the same command goes on", file=sys.stderr)
        return 130
    except GenerationError as error:
        print(f"{error}\nnothing was written", file=sys.stderr)
        return 1
    except OutputError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        gc.set_threshold(*threshold)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("runcomfy-codegen", description="Generate a typed client from model schemas.")
    verbs = parser.add_subparsers(title="commands", required=True, dest="command")
    for command, text in (
        ("generate", "write the package"),
        ("check", "show what generate would change; exit 1 if anything"),
        ("watch", "write the package whenever a schema or a template is edited, until Ctrl-C"),
    ):
        verb = _verb(verbs, command, text)
        verb.add_argument("--out", type=Path, default=Path("generated"), metavar="DIR", help="default: generated")
        verb.add_argument("--package", type=_package, default="runcomfy", metavar="NAME", help="default: runcomfy")
        verb.add_argument("--templates", type=Path, metavar="DIR", help="files that take the places of shipped ones")
        verb.add_argument("--keep-going", action="store_true", help="leave broken schemas out; exit 1 all the same")
    _verb(
        verbs,
        "lint",
        "report what is broken or doubtful in the schemas, and what is done about it; exit 1 if anything",
    )
    _add(_verb(verbs, "add", "turn saved API pages, catalog entries or input schemas into schema files"))
    _sync(_verb(verbs, "sync", "bring the schemas to what the live catalog says; the token is taken as by the client"))
    _diff(_verb(verbs, "diff", "tell what has changed for callers between two states of the schemas"))
    return parser


def _verb(verbs: Any, command: str, text: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(command, help=text, description=text)
    verb.set_defaults(module="schema_commands" if command in ("add", "sync", "diff") else "commands")
    verb.add_argument("--schemas", type=Path, default=Path("schemas"), metavar="DIR", help="default: schemas")
    return verb


def _add(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a file: page, JSON of an entry, of a catalog, of an input schema; or - for standard input",
    )
    verb.add_argument(
        "--model-id",
        metavar="ID",
        help="whose schema it is, where the source does not say it; of a catalog, the one to take",
    )
    verb.add_argument("--force", action="store_true", help="change files that are there already and differ")


def _sync(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--model", action="append", default=[], metavar="ID", help="only this model; may be repeated")
    verb.add_argument("--search", metavar="TEXT", help="only models with this text in id, name or description")
    verb.add_argument("--category", metavar="NAME", help="only models of this category, such as text-to-image")
    verb.add_argument("--kind", metavar="NAME", help="only models of this kind: model, workflow or inference")
    verb.add_argument("--base-url", metavar="URL", help="where the API is; default: as the client's")
    verb.add_argument("--prune", action="store_true", help="remove the files of models that are in the catalog no more")
    verb.add_argument("--dry-run", action="store_true", help="only say what would be done")


def _diff(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("old", metavar="OLD", help="a folder, a file, or a git revision, also as REVISION:FOLDER")
    verb.add_argument("new", metavar="NEW", nargs="?", help="the same; default: the folder of schemas")
    verb.add_argument("--format", choices=("text", "json", "markdown"), default="text", help="default: text")
    verb.add_argument(
        "--fail-on", choices=("breaking", "compatible", "cosmetic"), help="exit 1 on such a change, or a graver one"
    )


def _package(name: str) -> str:
    if not (name.isascii() and name.isidentifier() and name == name.lower() and not iskeyword(name)):
        raise argparse.ArgumentTypeError(f"{name!r} is no package name (lower-case letters, digits and underscores)")
    if name in sys.stdlib_module_names or name in _IMPORTED:
        raise argparse.ArgumentTypeError(f"{name!r} is the name of another package that Python programs import")
    return name
