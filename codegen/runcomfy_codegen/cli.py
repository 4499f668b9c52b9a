"""The command ``runcomfy-codegen``. Exit codes: 0 fine, 1 a finding or a bad file, 2 wrong usage."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from io import TextIOWrapper
from keyword import iskeyword
from pathlib import Path

from .errors import GenerationError, OutputError

_EXTRA = ("jinja2", "datamodel_code_generator", "ruff", "inflect")


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):  # a schema may hold signs that a terminal has not
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    if missing := [name for name in _EXTRA if find_spec(name) is None]:
        print(f"{', '.join(missing)} not installed; type: pip install 'runcomfy[codegen]'", file=sys.stderr)
        return 2
    from .pipeline import build  # loads what the check above has found

    try:
        tree = build(options.schemas, options.package)
        return int(options.verb(tree, options))
    except GenerationError as error:
        print(f"{error}\nnothing was written", file=sys.stderr)
        return 1
    except OutputError as error:
        print(error, file=sys.stderr)
        return 1


def _generate(tree: dict[str, str], options: argparse.Namespace) -> int:
    from .tree import write

    changed = write(tree, options.out, options.package)
    print(f"{options.out / options.package}: {len(tree)} files, {len(changed)} changed")
    return 0


def _check(tree: dict[str, str], options: argparse.Namespace) -> int:
    from .tree import diff

    difference = diff(tree, options.out, options.package)
    if not difference:
        print(f"{options.out / options.package}: {len(tree)} files, up to date")
        return 0
    print(difference)
    where = f" --schemas {options.schemas} --out {options.out} --package {options.package}"
    defaults = (options.schemas, options.out, options.package) == (Path("schemas"), Path("generated"), "runcomfy")
    print(f"out of date; type: runcomfy-codegen generate{'' if defaults else where}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("runcomfy-codegen", description="Generate a typed client from model schemas.")
    verbs = parser.add_subparsers(title="commands", required=True)
    for verb, text in (
        (_generate, "write the package"),
        (_check, "show what generate would change; exit 1 if anything"),
    ):
        command = verbs.add_parser(verb.__name__.strip("_"), help=text, description=text)
        command.set_defaults(verb=verb)
        command.add_argument("--schemas", type=Path, default=Path("schemas"), metavar="DIR", help="default: schemas")
        command.add_argument("--out", type=Path, default=Path("generated"), metavar="DIR", help="default: generated")
        command.add_argument("--package", type=_package, default="runcomfy", metavar="NAME", help="default: runcomfy")
    return parser


def _package(name: str) -> str:
    if not (name.isascii() and name.isidentifier() and name == name.lower() and not iskeyword(name)):
        raise argparse.ArgumentTypeError(f"{name!r} is no package name (lower-case letters, digits and underscores)")
    return name
