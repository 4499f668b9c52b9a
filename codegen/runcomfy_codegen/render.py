"""Typed models in, a `Tree` of files out. The templates print; what they print was decided before."""

from collections.abc import Iterable
from traceback import extract_tb

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from .classes import Code
from .errors import OutputError
from .layout import ImportPath, Layout
from .literals import Section, docstring, json_document, literal
from .templates import Templates
from .tree import MARK, Tree, header

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


def render(codes: Iterable[Code], package: str, files: Layout, templates: Templates) -> Tree:
    """The modules of models; paths are relative to the output folder."""
    template = _Template(templates, "model.py.jinja")
    return {files.modules[code.module.path]: _model(code, package, template) for code in codes}


def packages(paths: Iterable[ImportPath], files: Layout, templates: Templates) -> Tree:
    """The packages that hold the modules."""
    template = _Template(templates, "package.py.jinja")
    return {files.packages[path]: template.printed(header=header("schemas"), path=path) for path in paths}


def data(codes: Iterable[Code], files: Layout) -> Tree:
    """The schemas themselves, for all that needs them at run time: the sandbox, for one."""
    tree = {}
    for code in codes:
        model = code.module.model
        # The mark comes first, where `tree` looks for it.
        entry = {"$comment": f"{MARK} from {model.source}"} | {
            key: value for key, value in model.entry.items() if key != "$comment"
        }
        tree[files.schemas[code.module.path]] = json_document(entry)
    return tree


def _model(code: Code, package: str, template: "_Template") -> str:
    model = code.module.model
    # In a signature, what must be given comes first; a body keeps the order of the schema.
    parameters = sorted(code.inputs[-1].fields, key=lambda field: not field.required)
    names = ["Input", "MODEL_ID", "Output", "run", "run_async", "submit", "submit_async"]
    return template.printed(
        header=header(model.source),
        package=package,
        model=model,
        price=f"{model.price}, as published when this module was generated." if model.price else "",
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


class _Template:
    """One template, read anew for each generation: it may have been edited meanwhile."""

    def __init__(self, templates: Templates, name: str) -> None:
        self._own = templates.own
        self._name = name
        self._environment = _environment(templates)

    def printed(self, **variables: object) -> str:
        try:
            return self._environment.get_template(self._name).render(variables)
        except (TemplateError, UnicodeDecodeError) as error:
            if self._own is None:
                raise
            raise OutputError(f"{self._own / self._name}:{_line(error)}: {error}") from error


def _line(error: Exception) -> int:
    """The line of a template that an error is about: the last that was reached in one."""
    frames = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename.endswith(".jinja")]
    return getattr(error, "lineno", None) or (frames[-1] if frames else 1) or 1


def _environment(templates: Templates) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates.folders, encoding="utf-8"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # the output is Python, and `literal` and `docstring` escape for it
    )
    environment.filters["literal"] = literal
    environment.globals |= {"docstring": docstring, "section": Section}
    return environment
