"""What the sync and the async client share: settings, and what a call means before any I/O."""

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, NoReturn

from ._answers import is_request_id
from ._errors import InputProblem, InputValidationError, RunComfyError
from ._flows import JobFlows, Wait
from ._inputs import Input, OutT, encode, payload
from ._outputs import MediaOutput, Output
from ._settings import positive, resolve


class Submission(NamedTuple):
    """One validated submit."""

    model_id: str
    payload: bytes
    output: type[Any]


def submission(request: object, arguments: Mapping[str, Any] | None) -> Submission:
    """What ``submit(edit.Input(…))`` or ``submit("vendor/model", {…})`` is to send; everything wrong is raised here."""
    if isinstance(request, Input) and arguments is None:
        return Submission(request._endpoint.model_id, payload(request), request._endpoint.output)
    if isinstance(request, str) and isinstance(arguments, Mapping):
        return Submission(request, encode(request, dict(arguments)), MediaOutput)
    raise TypeError("expected an Input, or a model id and a dict of arguments")


class ClientBase:
    """The settings of a client."""

    def __init__(
        self,
        token: str | None = None,
        base_url: str | None = None,
        *,
        timeout: float = 60.0,
        wait_timeout: float = 600.0,
        poll_interval: float | None = None,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        verify: bool | ssl.SSLContext | str | os.PathLike[str] = True,
    ) -> None:
        """Make a client; nothing is sent, and no connection is opened.

        Args:
            token: The API token. Without one: ``RUNCOMFY_TOKEN``, ``RUNCOMFY_API_TOKEN``, ``RUNCOMFY_API_KEY``, then
                the token file of the official command line.
            base_url: Where the API is, with or without ``/v1``. Without one: ``RUNCOMFY_MODEL_API_BASE``, then
                https://model-api.runcomfy.net/v1.
            timeout: Seconds that one step (connect, send, receive) of one HTTP request may take.
            wait_timeout: Seconds that a whole wait for a result may take, unless the call says otherwise.
            poll_interval: Seconds between two looks at a job. Without one it is 0.25 at first and grows to 5.
            headers: Further headers of every request.
            proxy: URL of a proxy. Without one, the environment's (``HTTPS_PROXY`` …) is used.
            verify: How TLS certificates are checked: True, False, the path of a CA bundle, or an SSL context.

        Raises:
            ConfigurationError: there is no token, or a setting is not usable.
        """
        self._settings = resolve(
            token=token,
            base_url=base_url,
            timeout=timeout,
            wait_timeout=wait_timeout,
            poll_interval=poll_interval,
            headers=headers,
            proxy=proxy,
            verify=verify,
        )

    def _wait_seconds(self, timeout: float | None, on_update: object = None) -> float:
        """Check what a wait is given, before anything is paid."""
        if on_update is not None and not callable(on_update):
            raise TypeError(f"on_update: {on_update!r} cannot be called")
        return self._settings.wait_timeout if timeout is None else positive("timeout", timeout)

    @property
    def base_url(self) -> str:
        """The base URL in use, with ``/v1``."""
        return self._settings.base_url

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled; make one in each process")


class JobBase(Generic[OutT]):
    """What a job is before any I/O."""

    id: str
    model_id: str | None

    def __init__(self, client: ClientBase, request_id: str, output: type[OutT], model_id: str | None) -> None:
        if not is_request_id(request_id):
            raise InputValidationError("a job", [InputProblem("request_id", f"{request_id!r} is no request id")])
        if not (isinstance(output, type) and issubclass(output, Output)):
            raise TypeError(f"expected an Output class, got {output!r}")
        self.id = request_id
        self.model_id = model_id
        self._output: type[OutT] = output
        self._owner = client
        self._flows = JobFlows(request_id, model_id, client._settings.timeout)

    def _wait(self, timeout: float | None) -> Wait:
        return Wait(self._flows, self, self._owner._wait_seconds(timeout), self._owner._settings.poll_interval)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Give every exception that leaves a wait the id, so that the job that it leaves behind stays known."""
        try:
            yield
        except RunComfyError as error:
            error.request_id = error.request_id or self.id
            raise
        except BaseException as error:
            error.add_note(
                f"request {self.id} was accepted, and is not affected: client.job({self.id!r}, …) takes it up again"
            )
            raise

    def __repr__(self) -> str:
        model = f", model_id={self.model_id!r}" if self.model_id else ""
        return f"{type(self).__name__}(id={self.id!r}{model})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled; keep its id and call client.job(id, …)")
