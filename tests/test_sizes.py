"""What does not grow with the number of models: counted, not timed."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import runcomfy

PACKAGE = Path(runcomfy.__file__).parent
FIRST = "runcomfy.models.blackforestlabs.flux_1_kontext.pro.edit"
ANOTHER = "runcomfy.models.bytedance.seedance_2_5.image_to_video.v480p"


def told(program: str) -> list[str]:
    """What a program of its own process tells as JSON."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    names: list[str] = json.loads(done.stdout)
    return names


def loaded_by(program: str, before: str = "pass") -> list[str]:
    """The modules that a program loads, beyond those of an earlier one."""
    return told(
        f"import json, sys\n{before}\nearlier = set(sys.modules)\n{program}\n"
        "print(json.dumps(sorted(set(sys.modules) - earlier)))"
    )


def test_the_package_alone_loads_no_other_module_of_its_own() -> None:
    loaded = loaded_by("import runcomfy", before="import importlib, typing")

    assert loaded == ["runcomfy"]


def test_one_more_model_loads_its_own_module_and_the_packages_that_hold_it() -> None:
    *packages, module = ANOTHER.removeprefix("runcomfy.models.").split(".")

    loaded = loaded_by(f"import {ANOTHER}", before=f"import {FIRST}")

    held = [".".join(["runcomfy.models", *packages[:depth]]) for depth in range(1, len(packages) + 1)]
    assert loaded == [*held, f"{held[-1]}.{module}"]


def test_a_package_of_models_has_nothing_but_a_docstring() -> None:
    """One that named its models would make type checkers, and Python, read them all."""
    holders = [file for file in (PACKAGE / "models").rglob("__init__.py") if "MODEL_ID" not in file.read_text()]
    contents = {type(statement) for file in holders for statement in ast.parse(file.read_text()).body[1:]}

    assert len(holders) > 20
    assert contents == set()
    assert list(PACKAGE.rglob("*.pyi")) == []


def test_a_model_of_the_package_is_found_without_reading_the_others() -> None:
    opened = told(
        "import json, sys\n"
        "from runcomfy._packaged import packaged\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, what: opened.append(str(what[0])) if event == 'open' else None)\n"
        "found = packaged('bytedance/seedance-2.5/image-to-video/480p')\n"
        "print(json.dumps([found.module, *(name for name in opened if name.endswith('.json'))]))"
    )

    assert opened == [ANOTHER, str(PACKAGE / "_schemas/bytedance/seedance_2_5/image_to_video/v480p.json")]
