"""A process that makes batches for another: a line of JSON in for each, a line of JSON out, until there are no more.

It ends where anything goes wrong: the other process makes the same batch itself, and tells what happens there.
"""

import gc
import json
import sys
from pathlib import Path

from . import cache
from .batch import Task, make_batch
from .field_types import known
from .load import Listed
from .templates import Templates


def main() -> None:
    gc.set_threshold(10_000)
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library may print is no answer
    out, package, templates, tools, keep_going = json.loads(sys.stdin.readline())
    task = Task(Path(out), package, Templates(templates and Path(templates)), tools, keep_going)
    known.update(cache.restore_types(task.out, package, tools))
    for line in sys.stdin:
        asked = json.loads(line)
        files = [Listed(Path(asked["root"]), *file) for file in asked["files"]]
        before = set(known)
        made = make_batch(files, task, Path(asked["folder"]), is_broken=asked["is_broken"])
        if made.failure is not None:
            raise made.failure
        answer = {
            "paths": made.paths,
            "hashes": made.hashes,
            "problems": [vars(problem) for problem in made.problems],
            "files": made.files,
            "types": {key: type_ for key, type_ in known.items() if key not in before},
        }
        print(json.dumps(answer), file=answers, flush=True)
