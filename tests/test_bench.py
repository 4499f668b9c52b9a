"""The measurements themselves: that they measure what they say, and that the README says what was measured."""

import json
import subprocess
import sys

import pytest
from bench import jobs
from bench.figures import report, with_report
from bench.servers import server
from conftest import REPOSITORY


def test_the_readme_has_the_figures_of_the_last_run() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")

    assert with_report(readme, report(REPOSITORY / "bench.json")) == readme


@pytest.mark.parametrize("client", ["httpx_sync", "httpx_async", "runcomfy_sync", "runcomfy_async"])
def test_the_measured_jobs_are_run(client: str) -> None:
    with server() as url:
        command = [sys.executable, jobs.__file__, client, url, "10", "5"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout).keys() == {"seconds", "cpu"}
