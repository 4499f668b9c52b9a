"""A short soak; ``make soak`` runs the long one."""

import sys
from pathlib import Path

import pytest
from soak import Soak

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a killed process is told by a signal")


def test_a_program_that_is_killed_again_and_again_loses_nothing_and_pays_nothing_twice(tmp_path: Path) -> None:
    figures = Soak(tmp_path, jobs=90, in_flight=20, kills=2, seed=7).run()

    assert figures.kills == 2
    assert figures.cost_usd > 0
