"""What ``make run`` shows."""

import re
import subprocess
import sys
from pathlib import Path

from conftest import REPOSITORY
from PIL import Image


def test_the_demo_runs_both_models_and_ends_with_a_table(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(REPOSITORY / "tests/demo.py"), "0", "0"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    models = ["blackforestlabs/flux-1-kontext/pro/edit", "blackforestlabs/flux-1-kontext/max/text-to-image"]
    for model, row in zip(models, done.stdout.splitlines()[-2:], strict=True):
        pattern = rf"{model}\s+([0-9a-f-]{{36}})\s+completed\s+\d+\.\d\s+(out.\1-1\.png)\s+1024 × 576"
        match = re.fullmatch(pattern, row)
        assert match is not None
        with Image.open(tmp_path / match[2]) as image:
            assert image.size == (1024, 576)
