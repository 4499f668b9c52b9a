"""What a finished job has: its files, and the ``output`` that tells where they are."""

from typing import Any

from . import _asked, _media
from ._catalog import Model, types
from ._jobs import Job
from ._variant import Variant


def files(job: Job) -> dict[str, _media.Media]:
    """What the files of a job are made from, by their names."""
    kind, arguments = job.model.kind, job.model.with_defaults(job.arguments)
    media = _media.plan(kind, arguments)
    count = _asked.count(arguments) if f"{kind}s" in job.model.output_members else 1
    if count == 1:
        return {f"output.{media.suffix}": media}
    return {f"output-{index + 1}.{media.suffix}": _media.another(media, index) for index in range(count)}


def output(job: Job, base: str, variant: Variant) -> Any:
    """What a result has below ``output``, in the shape of the model's schema.

    Args:
        job: A job that has succeeded.
        base: The address of the sandbox, with a slash at its end.
        variant: Which shape to take where there are two.
    """
    model, kind = job.model, job.model.kind
    urls = [f"{base}outputs/{job.id}/{name}" for name in files(job)]
    keys = model.output_members
    one, many = kind, f"{kind}s"
    order = (many, one) if len(urls) > 1 or variant.lists else (one, many)
    names = [name for name in order if name in keys]
    if not (variant.audio_twice and kind == "audio"):
        names = names[:1]
    if not names:
        return _sample(model, model.output_schema, urls[0])
    return {name: _filled(model, keys[name], urls if name == many else urls[:1]) for name in names}


def _filled(model: Model, schema: Any, urls: list[str]) -> Any:
    values = [_sample(model, schema, url) for url in urls]
    if len(values) == 1:
        return values[0]
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _sample(model: Model, schema: Any, url: str, depth: int = 0) -> Any:
    """A value for a schema whose own name says nothing of the medium."""
    schema = model.resolved(schema)
    type_ = types(schema)[0]
    if depth > 20:
        return None
    if type_ == "array":
        return [_sample(model, schema.get("items"), url, depth + 1)]
    members = schema.get("properties") if isinstance(schema, dict) else None
    if isinstance(members, dict):
        return {name: _sample(model, part, url, depth + 1) for name, part in members.items()}
    plain: dict[str, Any] = {"integer": 0, "number": 0.0, "boolean": False, "object": {}, "null": None}
    return plain.get(type_, url)
