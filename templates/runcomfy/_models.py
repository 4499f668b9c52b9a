"""The catalog of a client: ``client.models``."""

import builtins  # in a class with a method named list, the type needs its full name
from typing import TYPE_CHECKING

from ._catalog import OnPage, get_model, list_models
from ._model_info import ModelInfo

if TYPE_CHECKING:
    from ._async_client import AsyncClient
    from ._client import Client


class Models:
    """The catalog: which models there are, what they take and what they cost.

    RunComfy's API pages do not describe the catalog; what is said here is what RunComfy's own clients do.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client

    def list(
        self,
        *,
        search: str | None = None,
        category: str | None = None,
        kind: str | None = None,
        include_schema: bool = False,
        on_page: OnPage | None = None,
    ) -> builtins.list[ModelInfo]:
        """Read the list of models, all its pages.

        Where the catalog changes while it is read, it is read again, three times at most; after that what was read
        last is returned, and the log warns.

        Args:
            search: Only models with this text in their id, name or description, whatever the case.
            category: Only models of this category, such as ``"text-to-image"``.
            kind: Only models executed in this way: ``"model"``, ``"workflow"`` or ``"inference"``.
            include_schema: Whether to read the `ModelInfo.input_schema` of each model, which makes the answers large.
            on_page: Called after each page with the number of models read so far, and with how many there are as the
                API counts them, or None where it does not. Where all is read again, the number begins anew.

        Returns:
            The models in the API's order, each id once.

        Raises:
            APIStatusError: the API refused, or answered with something that is no list of models.
            APIConnectionError: a page had no answer within one request timeout, repetitions included.
            InputValidationError: a text cannot be sent.
            ConfigurationError: the client is closed.
            TypeError: `on_page` is no plain function.
        """
        self._client._require_plain("on_page", on_page)
        return self._client._drive(
            list_models(
                self._client._settings.timeout,
                search=search,
                category=category,
                kind=kind,
                include_schema=include_schema,
                on_page=on_page,
            )
        )

    def get(self, model_id: str) -> ModelInfo:
        """Read what the catalog says of one model, with its `ModelInfo.input_schema`.

        Raises:
            InputValidationError: `model_id` cannot be an id; nothing was sent.
            APIStatusError: the API refused; `NotFoundError` where it has no such model.
            APIConnectionError: no answer came within one request timeout, repetitions included.
            ResponseMismatchError: the API answered about another model.
            ConfigurationError: the client is closed.
        """
        return self._client._drive(get_model(model_id, self._client._settings.timeout))


class AsyncModels:
    """The catalog: which models there are, what they take and what they cost. As `Models`."""

    def __init__(self, client: "AsyncClient") -> None:
        self._client = client

    async def list(
        self,
        *,
        search: str | None = None,
        category: str | None = None,
        kind: str | None = None,
        include_schema: bool = False,
        on_page: OnPage | None = None,
    ) -> builtins.list[ModelInfo]:
        """Read the list of models, all its pages. As `Models.list`; `on_page` is a plain function."""
        self._client._require_plain("on_page", on_page)
        return await self._client._drive(
            list_models(
                self._client._settings.timeout,
                search=search,
                category=category,
                kind=kind,
                include_schema=include_schema,
                on_page=on_page,
            )
        )

    async def get(self, model_id: str) -> ModelInfo:
        """Read what the catalog says of one model. As `Models.get`."""
        return await self._client._drive(get_model(model_id, self._client._settings.timeout))
