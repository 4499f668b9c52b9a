"""Generated packages of several sizes."""

import os
import sys
from pathlib import Path

from .catalog import write_schemas
from .measure import OUTPUTS, Cost, compile_below, put_away, run

_COMMAND = Path(sys.executable).with_name("runcomfy-codegen")


def schemas(count: int) -> Path:
    """A folder of so many schemas, made anew."""
    folder = OUTPUTS / f"schemas-{count}"
    put_away(folder)
    write_schemas(folder, count)
    return folder


def output(count: int) -> Path:
    """Where the package of so many models is generated to."""
    return OUTPUTS / f"generated-{count}"


def generate(count: int) -> Cost:
    """Generate it, or what of it has changed."""
    return run([_COMMAND, "generate", "--schemas", OUTPUTS / f"schemas-{count}", "--out", output(count)])


def generate_anew(count: int) -> Cost:
    """Generate it with nothing cached."""
    put_away(output(count))
    return generate(count)


def package(count: int) -> dict[str, str]:
    """The environment in which ``import runcomfy`` gives a package of so many models, compiled as if installed."""
    if not output(count).exists():
        schemas(count)
        generate(count)
    compile_below(output(count))
    return {"PYTHONPATH": os.fspath(output(count))}
