"""A process that makes batches for another: a line of JSON in for each, a line of JSON out, until there are no more.

It ends where anything goes wrong: the other process makes the same batch itself, and tells what happens there.
"""

import gc
import json
import signal
import sys
from pathlib import Path

from . import cache
from .batch import Task, make_batch
from .field_types import known
from .formatting import format_folder
from .load import Listed
from .templates import Templates


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C does, it ends ruff as well
    gc.set_threshold(10_000)
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library may print is no answer
    out, package, templates, tools = json.loads(sys.stdin.readline())
    task = Task(Path(out), package, Templates(Path(templates) if templates is not None else None), tools)
    known.update(cache.restore_types(task.out, package, tools))
    for line in sys.stdin:
        asked = json.loads(line)
        folder, root = Path(asked["folder"]), Path(asked["root"])
        files = [Listed(root, *file) for file in asked["files"]]
        before = set(known)
        made = make_batch(files, task, folder, only_read=asked["only_read"])
        if made.failure is not None:
            raise made.failure
        if made.files:
            format_folder(folder)
        types = {key: type_ for key, type_ in known.items() if key not in before}
        answer = {
            "paths": made.paths,
            "problems": [vars(problem) for problem in made.problems],
            "files": made.files,
            "types": types,
        }
        print(json.dumps(answer), file=answers, flush=True)
