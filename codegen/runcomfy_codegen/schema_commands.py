"""The commands about schema files: what changes in them, and what that means. They print, and return the exit code."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from difflib import unified_diff

from .atomic import alone
from .changelog import as_json, as_markdown, as_text
from .changes import compare
from .commands import counted, report
from .errors import SchemaError
from .fetch import Selection, fetch
from .impact import Impact, worst
from .literals import escaped
from .revisions import sides
from .schema_files import FileChange, Folder
from .sources import gather
from .sync import Synced, synced

_WANTED = ("display_name", "description", "categories", "kind", "base_price_usd", "output_schema")
"""What a schema file is better with."""


def add(options: argparse.Namespace) -> int:
    """Turn what is at hand into schema files."""
    if options.model_id is not None and len(options.sources) > 1:
        print("--model-id speaks of one source; add the others by themselves", file=sys.stderr)
        return 2
    entries, problems = gather(options.sources, options.model_id)
    with alone(options.schemas):
        folder = Folder(options.schemas)
        plan = folder.plan(entries)
        refused = [change for change in plan.changes if change.before is not None and not options.force]
        written, unwritten = folder.write(change for change in plan.changes if change not in refused)
    problems += [*plan.problems, *unwritten]
    for change in written:
        print(f"{folder.file(change.after.model_id)}: {'changed' if change.before else 'added'}")
        _indented(_remarks(change))
    for model_id in plan.unchanged:
        print(f"{folder.file(model_id)}: up to date")
    for change in refused:
        print(_difference(change))
        print(f"{folder.file(change.after.model_id)}: is another; --force changes it as shown", file=sys.stderr)
    report(problems)
    return int(bool(problems or refused))


def sync(options: argparse.Namespace) -> int:
    """Bring the schema files to what the live catalog says."""
    selects = [name for name in ("search", "category", "kind") if getattr(options, name) is not None]
    if selects and (options.model or options.prune):
        other = "--model, which names them" if options.model else "--prune, which needs the whole catalog"
        print(f"--{selects[0]} selects among all models: it does not go with {other}", file=sys.stderr)
        return 2
    selection = Selection(tuple(options.model), options.search, options.category, options.kind)
    fetched = fetch(selection, options.base_url, _progress)
    with alone(options.schemas):
        folder = Folder(options.schemas)
        found = synced(fetched, folder)
        pruned = found.gone if options.prune else []
        written, unwritten = ([], []) if options.dry_run else folder.write(found.changes)
        unremoved = [] if options.dry_run else folder.remove(pruned)
    _tell_plan(found, folder, is_pruned=options.prune)
    after = {**folder.files, **{change.after.model_id: change.after for change in found.changes}}
    compared = compare(folder.files, {key: file for key, file in after.items() if key not in pruned})
    print(as_text(compared.changes))
    problems = {*found.problems, *compared.problems, *unwritten, *unremoved}
    report(problems)
    counts = f"{len(written):,} written, {found.unchanged:,} up to date, {len(found.gone):,} gone"
    dry = "; dry run, nothing was written" if options.dry_run else ""
    print(f"{options.schemas}: {counted(len(fetched.rows), 'model')} in the catalog; {counts}{dry}", file=sys.stderr)
    return int(bool(problems))


def diff(options: argparse.Namespace) -> int:
    """Tell what has changed for callers between two states of the schemas."""
    new = str(options.schemas) if options.new is None else options.new
    try:
        before, after = sides(options.old, new, options.schemas)
    except SchemaError as error:
        report(error.problems)
        return 1
    found = compare(before.files, after.files)
    problems = sorted({*before.problems, *after.problems, *found.problems})
    match options.format:
        case "json":
            print(as_json(found.changes, problems))
        case "markdown":
            print(as_markdown(found.changes))
        case _:
            print(as_text(found.changes))
    report(problems)
    gravest = worst(found.changes)
    fails = options.fail_on is not None and gravest is not None and gravest >= Impact[options.fail_on.upper()]
    return int(bool(problems) or fails)


def _tell_plan(found: Synced, folder: Folder, *, is_pruned: bool) -> None:
    for change in found.changes:
        print(f"{'changed' if change.before else 'added'}: {folder.file(change.after.model_id)}")
        _indented(_twin(change))
    for model_id in found.gone:
        end = "removed" if is_pruned else "kept; --prune removes it"
        print(f"not in the catalog any more: {folder.file(model_id)} ({end})")


def _remarks(change: FileChange) -> Iterator[str]:
    yield from _twin(change)
    if missing := [key for key in _WANTED if key not in change.entry]:
        yield f"not found: {', '.join(missing)}"


def _twin(change: FileChange) -> Iterator[str]:
    if change.twin:
        yield f"{change.twin} has the import path that it would have; so it is {change.entry['python_path']}"


def _difference(change: FileChange) -> str:
    contents = (file.content if file else b"" for file in (change.before, change.after))
    before, after = (content.decode("utf-8-sig").removesuffix("\n").split("\n") for content in contents)
    lines = unified_diff(before, after, f"a/{change.after.source}", f"b/{change.after.source}", lineterm="")
    return "\n".join(map(escaped, lines))


def _indented(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"  {line}")


def _progress(read: int, total: int | None) -> None:
    print(f"read {read:,}{'' if total is None else f' of {total:,}'} models of the catalog", file=sys.stderr)
