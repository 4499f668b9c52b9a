"""The public names, and no others; and what importing them costs."""

import subprocess
import sys

import pytest
import runcomfy
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

NAMES = """
APIConnectionError APIStatusError AsyncClient AsyncJob AuthenticationError BadRequestError BudgetExceededError
Cancellation Client ConfigurationError DownloadError DownloadFailure InputProblem InputValidationError
InsufficientBalanceError InternalServerError Job JobCancelledError JobFailedError Ledger LedgerEntry LedgerError
MapResult MapUpdate Media MediaInput MediaOutput MediaRule ModelInfo NotFoundError Output PermissionDeniedError Price
RateLimitError ReproductionWarning ResponseMismatchError RunComfyError Spending Status SubmissionOutcomeUnknown
UnprocessableEntityError WaitTimeoutError __version__ download download_async media_fields reproduce
""".split()


def test_the_package_has_these_public_names() -> None:
    assert runcomfy.__all__ == sorted(NAMES)
    assert all(getattr(runcomfy, name) is not None for name in NAMES)
    assert dir(runcomfy) == sorted(NAMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = runcomfy.Nonsense  # type: ignore[attr-defined]  # pyright: ignore  # what is tested


def test_a_model_module_has_these_public_names() -> None:
    assert edit.__all__ == ["Input", "MODEL_ID", "Output", "run", "run_async", "submit", "submit_async"]
    assert edit.MODEL_ID == "blackforestlabs/flux-1-kontext/pro/edit"


def test_every_error_is_a_runcomfy_error() -> None:
    errors = [getattr(runcomfy, name) for name in NAMES if name.endswith(("Error", "Unknown"))]

    assert len(errors) == 21
    assert all(issubclass(error, runcomfy.RunComfyError) for error in errors)


FIRST_USE = """
from runcomfy import Client
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
client = Client("t", "http://127.0.0.1:9")
edit.Input(prompt="p", image_url="u")
"""


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("import runcomfy", ["httpx", "pydantic", "asyncio", "runcomfy._client"]),
        ("from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit", ["httpx", "PIL", "starlette"]),
        ("import runcomfy; runcomfy.Client(token='t')", ["httpx", "runcomfy.models", "sqlalchemy", "psutil"]),
        ("import runcomfy; runcomfy.download", ["httpx", "PIL", "av"]),
        (FIRST_USE, ["asyncio", "httpcore", "ssl", "sqlite3", "urllib.request", "runcomfy._http", "runcomfy._ledger"]),
        (FIRST_USE, ["runcomfy._async_drive", "runcomfy._map_base", "runcomfy._downloads", "runcomfy._display"]),
    ],
)
def test_an_import_loads_no_more_than_it_needs(program: str, absent: list[str]) -> None:
    code = f"import sys\n{program}\nprint([name for name in {absent!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_the_first_call_loads_no_more_than_it_needs() -> None:
    """httpcore sends it; httpx, which takes as long to load as all the rest, is for proxies, files and compression."""
    call = """
import sys
from runcomfy import APIConnectionError
try:
    client.submit(edit.Input(prompt="p", image_url="u"))
except APIConnectionError:
    print(sorted({"httpcore", "httpx", "idna", "sqlite3", "runcomfy._file_http"} & sys.modules.keys()))
"""

    done = subprocess.run([sys.executable, "-c", FIRST_USE + call], capture_output=True, text=True, check=True)

    assert done.stdout == "['httpcore']\n"
