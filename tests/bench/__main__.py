"""``make bench``: everything that is to be fast, against what it is to be faster than, in turns in one run.

``python -m bench imports calls`` measures only that, and writes nothing down.
"""

import argparse
import os
import platform
import sys
from datetime import UTC, datetime

from . import calls, checking, generation, imports, maps, peers, polling
from .figures import Figure, store, stored, table
from .measure import FOLDER, REPOSITORY, compile_below

_SECTIONS = {
    "generation": generation.figures,
    "imports": imports.figures,
    "calls": calls.figures,
    "polling": polling.figures,
    "maps": maps.figures,
    "checking": checking.figures,
}
_FILE = REPOSITORY / "bench.json"


def main() -> int:
    parser = argparse.ArgumentParser("bench", description=__doc__)
    parser.add_argument("section", nargs="*", metavar="SECTION", help=f"{', '.join(_SECTIONS)}; default: all")
    wanted = parser.parse_args().section or list(_SECTIONS)
    if unknown := set(wanted) - _SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / ".gitignore").write_text("*\n")
    peers.set_up()
    for folder in ("generated", "codegen"):
        compile_below(REPOSITORY / folder)

    figures: list[Figure] = []
    for section in wanted:
        for figure in _SECTIONS[section]():
            figures.append(figure)
            print(table([figure]).rpartition("\n")[2], flush=True)
    versions = {"Python": platform.python_version(), **peers.versions()}
    print(f"\n{table(figures, stored(_FILE))}\n")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    if wanted == list(_SECTIONS):
        today, machine = f"{datetime.now(UTC):%Y-%m-%d}", {"system": platform.system(), "cores": os.cpu_count()}
        store(_FILE, figures, {"date": today, **machine, "versions": versions})
        print(f"written to {_FILE.relative_to(REPOSITORY)}")
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
