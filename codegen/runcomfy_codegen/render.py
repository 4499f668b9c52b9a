"""Typed models in, a `Tree` of files out. The templates print; what they print was decided before."""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .classes import Code
from .literals import Section, docstring, literal
from .tree import MARK, Tree

_CLIENT = "The client to use; without one, a client of this process that is made from the environment."
_RAISES = (
    ("InputValidationError", "the input does not fit the schema; nothing was sent."),
    ("APIConnectionError", "the API could not be reached."),
    ("APIStatusError", "the API refused."),
    ("SubmissionOutcomeUnknown", "no answer told whether a job was accepted; look before you run again."),
    ("JobFailedError", "the job failed."),
    ("JobCancelledError", "the job was cancelled."),
    ("WaitTimeoutError", "the deadline passed; the job goes on."),
)


def templates() -> Path:
    """The folder of templates: inside an installed package, beside it in a checkout."""
    shipped = Path(__file__).parent / "templates"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "templates"


def render(codes: Iterable[Code], package: str) -> Tree:
    """The modules of all models and of the packages that hold them; paths are relative to the output folder."""
    by_path = {code.module.path: code for code in codes}
    folders = {path[:depth] for path in by_path for depth in range(len(path))} | {()}
    rendered = {}
    for path, code in by_path.items():
        # An id that is a prefix of another is a package; its import line stays the same.
        file = "/".join((package, "models", *path)) + ("/__init__.py" if path in folders else ".py")
        rendered[file] = _model(code, package)
    for path in folders - by_path.keys():
        file = "/".join((package, "models", *path, "__init__.py"))
        rendered[file] = _print("package.py.jinja", header=header("schemas"), path=path)
    return rendered


def data(codes: Iterable[Code], package: str) -> Tree:
    """The schemas themselves, for all that needs them at run time: the sandbox, for one."""
    tree = {}
    for code in codes:
        model = code.module.model
        # The mark comes first, where `tree` looks for it.
        entry = {"$comment": f"{MARK} from {model.source}"} | {
            key: value for key, value in model.entry.items() if key != "$comment"
        }
        path = "/".join((package, "_schemas", *code.module.path)) + ".json"
        text = json.dumps(entry, indent=2, ensure_ascii=False)
        # Half a surrogate pair has no UTF-8, but JSON has a way to write it.
        tree[path] = re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text) + "\n"
    return tree


def runtime(package: str) -> Tree:
    """The client's runtime: real files, copied as they are below a header."""
    folder = templates() / "runcomfy"
    tree = {}
    for file in sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".typed")):
        relative = file.relative_to(folder).as_posix()
        text = file.read_bytes().decode()
        tree[f"{package}/{relative}"] = f"{header(f'templates/runcomfy/{relative}')}\n{text}" if text else text
    return tree


def header(source: str) -> str:
    """The first line of every generated file.

    Python looks for the encoding of a file in such a comment, so no sign with which one is declared gets into it.
    """
    return f"# {MARK} from {quote(source, safe='/ ')}; do not edit."


def _model(code: Code, package: str) -> str:
    model = code.module.model
    # In a signature, what must be given comes first; a body keeps the order of the schema.
    parameters = sorted(code.inputs[-1].fields, key=lambda field: not field.required)
    names = ["Input", "MODEL_ID", "Output", "run", "run_async", "submit", "submit_async"]
    return _print(
        "model.py.jinja",
        header=header(model.source),
        package=package,
        model=model,
        heading=f"{model.title} (``{model.model_id}``)." if model.title else f"``{model.model_id}``.",
        imports=code.imports,
        names=sorted({*names, *(cls.name for cls in (*code.inputs, *code.outputs))}),
        nested_inputs=code.inputs[:-1],
        nested_outputs=code.outputs[:-1],
        input=code.inputs[-1],
        output=code.outputs[-1],
        parameters=parameters,
        arguments=[("client", _CLIENT), *((field.name, field.doc) for field in parameters)],
        raises=_RAISES,
    )


def _print(template: str, **variables: object) -> str:
    return _environment().get_template(template).render(variables)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates(), encoding="utf-8"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # the output is Python, and `literal` and `docstring` escape for it
    )
    environment.filters["literal"] = literal
    environment.globals |= {"docstring": docstring, "section": Section}
    return environment
