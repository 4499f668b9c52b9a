"""What the commands do with the package: they print, and return the exit code."""

import argparse
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter

from . import cache
from .atomic import alone
from .errors import GenerationError, OutputError, Problem
from .incremental import Update, update
from .staging import Stage
from .templates import Templates
from .tree import diff, write


def generate(options: argparse.Namespace) -> int:
    """Write the package."""
    place = options.out / cache.FOLDER / f"{options.package}.stage"
    with alone(options.out / options.package), Stage(place) as stage:
        found = _update(options, stage)
        changed = write(found.tree, options.out, options.package, found.kept)
        try:
            if found.types is not None:
                cache.store_types(found.types, options.out, options.package, found.tools)
            if found.cache is not None:
                cache.store(found.cache, options.out, options.package)
        except OSError as error:
            print(f"{error.filename}: {error.strerror}; the next run starts from nothing", file=sys.stderr)
    removed = len([path for path in changed if path not in found.tree])
    news = f"{len(changed)} changed" + (f", {removed} of them removed" if removed else "")
    files = counted(len(found.tree) + len(found.kept), "file")
    print(
        f"{options.out / options.package}: {files}, {news}; {found.anew} of {counted(found.models, 'model')} made anew"
    )
    return int(bool(found.problems))


def check(options: argparse.Namespace) -> int:
    """Show what `generate` would change."""
    with Stage() as stage:
        found = _update(options, stage)
        difference = diff(found.tree, options.out, options.package, found.kept)
    if not difference:
        print(f"{_files(found, options)}, up to date")
        return int(bool(found.problems))
    print(difference)
    print(f"out of date; type: {_command(options)}", file=sys.stderr)
    return 1


def watch(options: argparse.Namespace) -> int:
    """Write the package, and again whenever a schema or a template is edited."""
    from .watching import edits

    folders = [options.schemas, *Templates(options.templates).folders]
    try:
        for files in edits(folders):
            if files:
                print(f"edited: {', '.join(os.path.relpath(file) for file in files)}")
            _generate_again(options)
    except KeyboardInterrupt:
        print()
    return 0


def _generate_again(options: argparse.Namespace) -> None:
    started = perf_counter()
    try:
        generate(options)
    except (GenerationError, OutputError) as error:
        print(error, file=sys.stderr)
    print(f"{perf_counter() - started:.2f} s; watching, Ctrl-C ends it", flush=True)


def lint(options: argparse.Namespace) -> int:
    """Report what is broken or doubtful in the schemas."""
    from .pipeline import read

    understood = read(options.schemas)
    for problem in understood.problems:
        print(problem.text("error"))
    for finding in understood.findings:
        print(finding)
    counts = [
        counted(len(understood.modules), "model"),
        counted(len(understood.problems), "error"),
        counted(len(understood.findings), "finding"),
    ]
    print(f"{options.schemas}: {', '.join(counts)}", file=sys.stderr)
    return int(bool(understood.problems or understood.findings))


def counted(count: int, what: str) -> str:
    """``"1 model"``, ``"2 models"``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def report(problems: Iterable[Problem]) -> None:
    """Tell what is wrong."""
    for problem in sorted(set(problems)):
        print(problem, file=sys.stderr)


def _update(options: argparse.Namespace, stage: Stage) -> Update:
    templates = Templates(options.templates)
    found = update(options.schemas, options.out, options.package, templates, stage, keep_going=options.keep_going)
    if found.was_damaged:
        place = options.out / cache.FOLDER
        print(f"{place}: is not as it was stored; made everything anew", file=sys.stderr)
    if found.problems:
        report(found.problems)
        files = sorted({problem.file for problem in found.problems})
        count = len(files) + found.models
        print(f"left out, {len(files)} of {count} files: {', '.join(files)}", file=sys.stderr)
    return found


def _files(found: Update, options: argparse.Namespace) -> str:
    return f"{options.out / options.package}: {counted(len(found.tree) + len(found.kept), 'file')}"


def _command(options: argparse.Namespace) -> str:
    """The command that brings up to date what was checked."""
    words = ["runcomfy-codegen", "generate"]
    if (options.schemas, options.out, options.package) != (Path("schemas"), Path("generated"), "runcomfy"):
        words += ["--schemas", str(options.schemas), "--out", str(options.out), "--package", options.package]
    words += ["--templates", str(options.templates)] if options.templates else []
    return shlex.join([*words, *(["--keep-going"] if options.keep_going else [])])
