"""``make bench``: everything that is to be fast, against what it is to be faster than, in turns in one run.

``python -m bench imports calls`` measures only that, and writes nothing down.
"""

import argparse
import os
import platform
import sys
from datetime import UTC, datetime

from . import calls, checking, generation, imports, maps, peers, polling
from .figures import Figure, listed, report, store, stored, table, with_report
from .measure import REPOSITORY, compile_below, set_up

_SECTIONS = {
    "generation": generation.figures,
    "imports": imports.figures,
    "calls": calls.figures,
    "polling": polling.figures,
    "maps": maps.figures,
    "checking": checking.figures,
}
_FILE = REPOSITORY / "bench.json"
_README = REPOSITORY / "README.md"


def main() -> int:
    parser = argparse.ArgumentParser("bench", description=__doc__)
    parser.add_argument("section", nargs="*", metavar="SECTION", help=f"{', '.join(_SECTIONS)}; default: all")
    wanted = parser.parse_args().section or list(_SECTIONS)
    if unknown := set(wanted) - _SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    set_up()
    peers.set_up()
    for folder in ("generated", "codegen"):
        compile_below(REPOSITORY / folder)

    figures: list[Figure] = []
    for section in wanted:
        for figure in _SECTIONS[section]():
            figures.append(figure)
            print(table([figure]).rpartition("\n")[2], flush=True)
    versions = {"Python": platform.python_version(), **peers.versions()}
    print(f"\n{table(figures, stored(_FILE))}\n\n{listed(versions)}")
    if wanted == list(_SECTIONS):
        today, machine = f"{datetime.now(UTC):%Y-%m-%d}", {"system": platform.system(), "cores": os.cpu_count()}
        store(_FILE, figures, {"date": today, **machine, "versions": versions})
        _README.write_text(with_report(_README.read_text(encoding="utf-8"), report(_FILE)), encoding="utf-8")
        print(f"written to {_FILE.name} and {_README.name}")
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
