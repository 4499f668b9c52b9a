"""Typed Python client of the RunComfy Model API.

Every model of the catalog is a module below :mod:`runcomfy.models`::

    from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit

    output = edit.run(prompt="Make it rain", image_url="https://example.com/in.webp")

Importing this package loads nothing else: each public name is looked up in its module when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "AsyncClient",
    "AsyncJob",
    "AuthenticationError",
    "BadRequestError",
    "BudgetExceededError",
    "Cancellation",
    "Client",
    "ConfigurationError",
    "DownloadError",
    "DownloadFailure",
    "InputProblem",
    "InputValidationError",
    "InsufficientBalanceError",
    "InternalServerError",
    "Job",
    "JobCancelledError",
    "JobFailedError",
    "Ledger",
    "LedgerEntry",
    "LedgerError",
    "MapResult",
    "MapUpdate",
    "Media",
    "MediaInput",
    "MediaOutput",
    "MediaRule",
    "ModelInfo",
    "NotFoundError",
    "Output",
    "PermissionDeniedError",
    "Price",
    "RateLimitError",
    "ReproductionWarning",
    "ResponseMismatchError",
    "RunComfyError",
    "Spending",
    "Status",
    "SubmissionOutcomeUnknown",
    "UnprocessableEntityError",
    "WaitTimeoutError",
    "__version__",
    "download",
    "download_async",
    "media_fields",
    "reproduce",
]

if TYPE_CHECKING:
    from ._async_client import AsyncClient as AsyncClient
    from ._async_client import AsyncJob as AsyncJob
    from ._book import Spending as Spending
    from ._client import Client as Client
    from ._client import Job as Job
    from ._downloads import download as download
    from ._downloads import download_async as download_async
    from ._errors import APIConnectionError as APIConnectionError
    from ._errors import APIStatusError as APIStatusError
    from ._errors import AuthenticationError as AuthenticationError
    from ._errors import BadRequestError as BadRequestError
    from ._errors import BudgetExceededError as BudgetExceededError
    from ._errors import ConfigurationError as ConfigurationError
    from ._errors import DownloadError as DownloadError
    from ._errors import DownloadFailure as DownloadFailure
    from ._errors import InputProblem as InputProblem
    from ._errors import InputValidationError as InputValidationError
    from ._errors import InsufficientBalanceError as InsufficientBalanceError
    from ._errors import InternalServerError as InternalServerError
    from ._errors import JobCancelledError as JobCancelledError
    from ._errors import JobFailedError as JobFailedError
    from ._errors import LedgerError as LedgerError
    from ._errors import NotFoundError as NotFoundError
    from ._errors import PermissionDeniedError as PermissionDeniedError
    from ._errors import RateLimitError as RateLimitError
    from ._errors import ResponseMismatchError as ResponseMismatchError
    from ._errors import RunComfyError as RunComfyError
    from ._errors import SubmissionOutcomeUnknown as SubmissionOutcomeUnknown
    from ._errors import UnprocessableEntityError as UnprocessableEntityError
    from ._errors import WaitTimeoutError as WaitTimeoutError
    from ._ledger import Cancellation as Cancellation
    from ._ledger import Ledger as Ledger
    from ._ledger_entry import LedgerEntry as LedgerEntry
    from ._local_media import MediaInput as MediaInput
    from ._map_result import MapResult as MapResult
    from ._map_result import MapUpdate as MapUpdate
    from ._media import Media as Media
    from ._media import media_fields as media_fields
    from ._media_rules import MediaRule as MediaRule
    from ._model_info import ModelInfo as ModelInfo
    from ._outputs import MediaOutput as MediaOutput
    from ._outputs import Output as Output
    from ._price import Price as Price
    from ._provenance import ReproductionWarning as ReproductionWarning
    from ._provenance import reproduce as reproduce
    from ._status import Status as Status

_MODULES = {
    "AsyncClient": "._async_client",
    "AsyncJob": "._async_client",
    "Cancellation": "._ledger",
    "Client": "._client",
    "Job": "._client",
    "Ledger": "._ledger",
    "LedgerEntry": "._ledger_entry",
    "MapResult": "._map_result",
    "MapUpdate": "._map_result",
    "Media": "._media",
    "MediaInput": "._local_media",
    "MediaOutput": "._outputs",
    "MediaRule": "._media_rules",
    "ModelInfo": "._model_info",
    "Output": "._outputs",
    "Price": "._price",
    "ReproductionWarning": "._provenance",
    "Spending": "._book",
    "Status": "._status",
    "download": "._downloads",
    "download_async": "._downloads",
    "media_fields": "._media",
    "reproduce": "._provenance",
}


if not TYPE_CHECKING:  # A type checker is to report a misspelt name.

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_MODULES.get(name, "._errors"), __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
