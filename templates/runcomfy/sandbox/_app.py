"""The paths of the Model API as a Starlette application; what they answer is described in the API's pages."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import _asked, _files, _media
from ._catalog import Model
from ._connections import BrokenAnswer, Transports
from ._faults import Endpoint, Fault, Faults
from ._jobs import Job, Pace
from ._outputs import files, output
from ._variant import Variant
from ._wallet import Wallet

Handler = Callable[["State", Request, str], Awaitable[Response]]
"""What answers the requests of an account, which its token tells."""
Answerer = Callable[["State", Request, Fault | None], Awaitable[Response]]
"""The same, before anybody asked for the token."""


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as the sandbox received it."""

    method: str
    path: str
    """As sent: percent-encoded, with the query."""
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None without a body."""
        return json.loads(self.body) if self.body else None


@dataclass
class State:
    """All that a sandbox remembers."""

    models: dict[str, Model]
    tokens: frozenset[str]
    pace: Pace
    wallet: Wallet
    jobs: dict[str, Job] = field(default_factory=dict)
    requests: list[ReceivedRequest] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    variant: Variant = field(default_factory=Variant)
    transports: Transports = field(default_factory=dict)
    errors: deque[Any] = field(default_factory=deque)
    """What the next jobs fail with."""


def application(state: State) -> Starlette:
    """The server of one sandbox."""

    def route(path: str, method: str, endpoint: Endpoint, own: Answerer) -> Route:
        async def respond(request: Request) -> Response:
            state.requests.append(await _received(request))
            fault = state.faults.take(endpoint, request.path_params.get("request_id"))
            if fault is None:
                return await own(state, request, None)
            response = await own(state, request, fault) if fault.is_carried_out else Response()
            await asyncio.sleep(fault.delay)
            response = _faulty(response, fault)
            return BrokenAnswer(response, fault, state.transports) if fault.is_broken else response

        return Route(path, respond, methods=[method])

    return Starlette(
        routes=[
            route("/v1/models", "GET", "models", _for_account(_models)),
            route("/v1/models/categories", "GET", "categories", _for_account(_categories)),
            route("/v1/models/{model_id:path}", "GET", "model", _for_account(_model)),
            route("/v1/models/{model_id:path}", "POST", "submit", _for_account(_submit)),
            route("/v1/requests/{request_id}/status", "GET", "status", _for_account(_status)),
            route("/v1/requests/{request_id}/result", "GET", "result", _for_account(_result)),
            route("/v1/requests/{request_id}/cancel", "POST", "cancel", _for_account(_cancel)),
            route("/prod/v2/balance", "GET", "balance", _for_account(_balance)),
            route("/outputs/{request_id}/{name}", "GET", "output", _file),
        ]
    )


def _for_account(handler: Handler) -> Answerer:
    """Only with a token."""

    async def answer(state: State, request: Request, fault: Fault | None) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token not in state.tokens:
            return _error(state.variant.bad_token, 400004, "The API token is missing, expired or revoked.")
        return await handler(state, request, token)

    return answer


def _faulty(own: Response, fault: Fault) -> Response:
    if not fault.is_own_answer:
        own = Response(fault.body or b"", 200 if fault.status is None else fault.status)
    elif fault.changes:
        body = {**json.loads(bytes(own.body)), **fault.changes}
        own = _json({key: value for key, value in body.items() if value is not ...}, own.status_code)
    length = {} if fault.length is None else {"Content-Length": str(fault.length)}
    for name, value in {**fault.headers, **length}.items():
        if isinstance(value, str):
            own.headers[name] = value
        else:
            del own.headers[name]
    return own


async def _received(request: Request) -> ReceivedRequest:
    raw_path = request.scope.get("raw_path", b"").decode("ascii", errors="replace")
    query = request.scope.get("query_string", b"").decode("ascii", errors="replace")
    path = f"{raw_path}?{query}" if query else raw_path
    return ReceivedRequest(request.method, path, dict(request.headers), await request.body())


def _json(content: Any, status: int = 200) -> Response:
    """In ASCII, which half a surrogate pair in a schema or an input has a way through."""
    return Response(json.dumps(content), status, media_type="application/json")


def _error(status: int, code: int, message: str, detail: Any = None) -> Response:
    body = {"error_code": code, "error_message": message}
    return _json(body if detail is None else {**body, "detail": detail}, status)


async def _models(state: State, request: Request, token: str) -> Response:
    query = request.query_params
    search, category, kind = query.get("search", "").lower(), query.get("category"), query.get("kind")
    searched = ("model_id", "display_name", "description")
    found = [
        model.entry
        for _, model in sorted(state.models.items())
        if search in " ".join(str(model.entry.get(key, "")) for key in searched).lower()
        and (category is None or category in model.categories)
        and (kind is None or kind == model.entry.get("kind", "model"))
    ]
    try:
        limit, offset = int(query.get("limit", 100)), int(query.get("offset", 0))
    except ValueError:
        limit = offset = -1
    if not (1 <= limit <= 500 and offset >= 0):
        return _error(422, 422001, "limit is 1 to 500 and offset at least 0")
    page = found[offset : offset + limit]
    if query.get("include_schema") != "true":
        page = [{key: value for key, value in entry.items() if key != "input_schema"} for entry in page]
    return _json({"models": page, "total": len(found), "limit": limit, "offset": offset})


async def _categories(state: State, request: Request, token: str) -> Response:
    names = {name for model in state.models.values() for name in model.categories}
    return _json({"categories": sorted(names)})


async def _model(state: State, request: Request, token: str) -> Response:
    model = state.models.get(request.path_params["model_id"])
    return _json(model.entry) if model else _unknown_model(request)


def _unknown_model(request: Request) -> Response:
    return _error(404, 404001, f"There is no model {request.path_params['model_id']}.")


async def _submit(state: State, request: Request, token: str) -> Response:
    model = state.models.get(request.path_params["model_id"])
    if model is None:
        return _unknown_model(request)
    try:
        arguments = json.loads(await request.body())
    except (ValueError, RecursionError):
        return _error(400, 400001, "The body is not JSON.")
    problems: list[dict[str, Any]] = [
        {"loc": ["body", *error.absolute_path], "msg": error.message, "type": error.validator}
        for error in model.problems(arguments)
    ]
    if problems:
        return _error(422, 422001, "; ".join(map(_words, problems)), problems)
    job = Job(model, arguments, token, state.pace, state.errors[0] if state.errors else None)
    if not state.wallet.charge(job):
        return _error(state.variant.low_balance, 400002, "The balance is too low.")
    if state.errors:
        state.errors.popleft()
    state.jobs[job.id] = job
    base = f"{request.base_url}v1/requests/{job.id}"
    urls = {f"{name}_url": f"{base}/{name}" for name in ("status", "result", "cancel")}
    return _json({"request_id": job.id, **urls}, state.variant.accepted)


def _words(problem: dict[str, Any]) -> str:
    return ": ".join(filter(None, (".".join(map(str, problem["loc"][1:])), problem["msg"])))


def _find(state: State, request: Request, token: str) -> Job | Response:
    job = state.jobs.get(request.path_params["request_id"])
    if job is None:
        return _error(404, 404001, "There is no such request.")
    return job if job.owner == token else _error(403, 403001, "The request belongs to another account.")


def _spelled(name: str, state: State) -> str:
    return state.variant.cancelled if name == "cancelled" else name


async def _status(state: State, request: Request, token: str) -> Response:
    job = _find(state, request, token)
    if isinstance(job, Response):
        return job
    name, position = job.look(counts=True)
    if state.variant.failed_status and job.state == "failed":
        name = "failed"
    name = _spelled(name, state)
    base = f"{request.base_url}v1/requests/{job.id}"
    body = {"request_id": job.id, "status": name}
    queue = {} if position is None else {"queue_position": position}
    return _json({**body, **queue, "status_url": f"{base}/status", "result_url": f"{base}/result"})


async def _result(state: State, request: Request, token: str) -> Response:
    job = _find(state, request, token)
    if isinstance(job, Response):
        return job
    name, _ = job.look()
    if name in ("in_queue", "in_progress") and state.variant.not_ready == 400:
        return _error(400, 400005, "The result is not ready.")
    name = _spelled(name, state)
    body: dict[str, Any] = {"request_id": job.id, "status": name, "created_at": job.created_at.isoformat()}
    if job.finished_at is not None:
        body["finished_at"] = job.finished_at.isoformat()
    if name == "completed" and job.error is not None:
        body |= {"status": "failed", "error": job.error}
    elif name == "completed":
        body |= {"status": state.variant.succeeded, "output": output(job, str(request.base_url), state.variant)}
    if name == "completed":
        job.finished_reads += 1
        if request.query_params.get("include_cost") == "true" and job.finished_reads > state.variant.cost_after:
            state.wallet.settle()
            body["cost"] = job.cost
    if state.variant.echo:
        body |= {"model_id": job.model.id, "input": job.arguments}
    return _json(body)


async def _cancel(state: State, request: Request, token: str) -> Response:
    job = _find(state, request, token)
    if isinstance(job, Response):
        return job
    cancelled = job.cancel()
    if cancelled:
        state.wallet.refund(job)
    body = {"request_id": job.id, "status": "completed", "outcome": "cancelled" if cancelled else "not_cancellable"}
    return _json(body, 202)


async def _balance(state: State, request: Request, token: str) -> Response:
    micro = state.wallet.balance
    return _json({"balance_usd": micro / 1_000_000, "balance_microdollars": micro, "currency": "USD"})


async def _file(state: State, request: Request, fault: Fault | None) -> Response:
    job = state.jobs.get(request.path_params["request_id"])
    media = files(job).get(request.path_params["name"]) if job and job.state == "completed" else None
    if media is None:
        return Response("no such file", 404)
    if fault is not None and fault.file == "changed":
        media = _media.another(media, _asked.MOST_FILES)
    return _files.answer(await asyncio.to_thread(_media.make, media), request, fault)
