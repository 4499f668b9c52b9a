"""The command ``runcomfy-codegen``. Exit codes: 0 fine, 1 something is to be done about files, 2 wrong usage."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from io import TextIOWrapper
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import GenerationError, OutputError

if TYPE_CHECKING:
    from .tree import Tree

_EXTRA = ("jinja2", "datamodel_code_generator", "ruff", "inflect")
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
    try:
        return int(options.command(options))
    except GenerationError as error:
        print(f"{error}\nnothing was written", file=sys.stderr)
        return 1
    except OutputError as error:
        print(error, file=sys.stderr)
        return 1


def _generate(options: argparse.Namespace) -> int:
    from .tree import write

    tree, left_out = _build(options)
    changed = write(tree, options.out, options.package)
    removed = len([path for path in changed if path not in tree])
    news = f"{len(changed)} changed" + (f", {removed} of them removed" if removed else "")
    print(f"{options.out / options.package}: {len(tree)} files, {news}")
    return int(left_out)


def _check(options: argparse.Namespace) -> int:
    from .tree import diff

    tree, left_out = _build(options)
    difference = diff(tree, options.out, options.package)
    if not difference:
        print(f"{options.out / options.package}: {len(tree)} files, up to date")
        return int(left_out)
    print(difference)
    print(f"out of date; type: {_command(options)}", file=sys.stderr)
    return 1


def _command(options: argparse.Namespace) -> str:
    """The command that brings up to date what was checked."""
    words = ["runcomfy-codegen", "generate"]
    if (options.schemas, options.out, options.package) != (Path("schemas"), Path("generated"), "runcomfy"):
        words += ["--schemas", str(options.schemas), "--out", str(options.out), "--package", options.package]
    return shlex.join([*words, *(["--keep-going"] if options.keep_going else [])])


def _build(options: argparse.Namespace) -> tuple["Tree", bool]:
    """The package, and whether models were left out of it."""
    from .pipeline import build, read

    understood = read(options.schemas)
    tree = build(understood, options.package, keep_going=options.keep_going)
    if understood.problems:
        print("\n".join(map(str, understood.problems)), file=sys.stderr)
        files = sorted({problem.file for problem in understood.problems})
        count = len(files) + len(understood.modules)
        print(f"left out, {len(files)} of {count} files: {', '.join(files)}", file=sys.stderr)
    return tree, bool(understood.problems)


def _lint(options: argparse.Namespace) -> int:
    from .pipeline import read

    understood = read(options.schemas)
    for problem in understood.problems:
        print(problem.text("error"))
    for finding in understood.findings:
        print(finding)
    counts = [
        _counted(len(understood.modules), "model"),
        _counted(len(understood.problems), "error"),
        _counted(len(understood.findings), "finding"),
    ]
    print(f"{options.schemas}: {', '.join(counts)}", file=sys.stderr)
    return int(bool(understood.problems or understood.findings))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("runcomfy-codegen", description="Generate a typed client from model schemas.")
    verbs = parser.add_subparsers(title="commands", required=True)
    for command, text in (
        (_generate, "write the package"),
        (_check, "show what generate would change; exit 1 if anything"),
        (_lint, "report what is broken or doubtful in the schemas, and what is done about it; exit 1 if anything"),
    ):
        verb = verbs.add_parser(command.__name__.strip("_"), help=text, description=text)
        verb.set_defaults(command=command)
        verb.add_argument("--schemas", type=Path, default=Path("schemas"), metavar="DIR", help="default: schemas")
        if command is _lint:
            continue
        verb.add_argument("--out", type=Path, default=Path("generated"), metavar="DIR", help="default: generated")
        verb.add_argument("--package", type=_package, default="runcomfy", metavar="NAME", help="default: runcomfy")
        verb.add_argument("--keep-going", action="store_true", help="leave broken schemas out; exit 1 all the same")
    return parser


def _package(name: str) -> str:
    if not (name.isascii() and name.isidentifier() and name == name.lower() and not iskeyword(name)):
        raise argparse.ArgumentTypeError(f"{name!r} is no package name (lower-case letters, digits and underscores)")
    if name in sys.stdlib_module_names or name in _IMPORTED:
        raise argparse.ArgumentTypeError(f"{name!r} is the name of another package that Python programs import")
    return name
