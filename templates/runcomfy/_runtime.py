"""What the generated model modules use."""

from ._async_client import AsyncClient, AsyncJob
from ._client import Client, Job
from ._endpoints import run, run_async, submit, submit_async
from ._inputs import (
    Endpoint,
    Input,
    InputObject,
    Number,
    OpenInputObject,
    exact,
    matching,
    multiple_of,
    no_text,
    one_of,
    unique,
)
from ._local_media import MediaInput
from ._media import Media, MediaField
from ._media_rules import MediaRule
from ._outputs import Output, OutputObject

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "Client",
    "Endpoint",
    "Input",
    "InputObject",
    "Job",
    "Media",
    "MediaField",
    "MediaInput",
    "MediaRule",
    "Number",
    "OpenInputObject",
    "Output",
    "OutputObject",
    "exact",
    "matching",
    "multiple_of",
    "no_text",
    "one_of",
    "run",
    "run_async",
    "submit",
    "submit_async",
    "unique",
]
