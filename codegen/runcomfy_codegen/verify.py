"""The last look at rendered modules before anything is written: nothing in them but what generated code may contain.

Schemas are data from elsewhere. Whatever went wrong before this stage, code that is more than classes with fields,
constants and the four endpoint functions does not get past it. The names are listed here once more on purpose: a list
shared with the stages before would let through whatever they let through.
"""

import ast
from collections.abc import Iterator, Set

_ALLOWED = (
    *(ast.Module, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef),
    *(ast.Return, ast.Assign, ast.AnnAssign, ast.Expr),
    *(ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.List, ast.Call, ast.Await),
    *(ast.BinOp, ast.UnaryOp, ast.BitOr, ast.USub),
    *(ast.Load, ast.Store, ast.alias, ast.arguments, ast.arg, ast.keyword),
)
_IMPORTED = {
    "collections.abc": {"Mapping", "Sequence"},
    "pydantic": {"Field", "StrictBool", "StrictInt", "StrictStr"},
    "typing": {"Annotated", "Any", "ClassVar", "Literal"},
}
_BUILTINS = {"bool", "dict", "float", "int", "list", "str"}
_CONSTANTS = {"MODEL_ID", "__all__"}
_FUNCTIONS = {"run", "run_async", "submit", "submit_async"}
_BASES = {"Input", "InputObject", "OpenInputObject", "Output", "OutputObject"}
_CALLED_OF_RUNTIME = {"Endpoint", "Media", "MediaRule", "matching", "multiple_of", "one_of", *_FUNCTIONS}
_OF_RUNTIME = (
    _CALLED_OF_RUNTIME
    | _BASES
    | {
        *(
            "AsyncClient",
            "AsyncJob",
            "Client",
            "Job",
            "MediaField",
            "MediaInput",
            "Number",
            "exact",
            "no_text",
            "unique",
        ),
    }
)
_CALLED = {"Field", "Input", *(f"_runtime.{name}" for name in _CALLED_OF_RUNTIME)}


class UnsafeCode(Exception):
    """A rendered module contains something that generated code never does: a defect of the generator."""


def verify(path: str, text: str, package: str, excused: Set[str] = frozenset()) -> None:
    """Raise `UnsafeCode` unless the module keeps to the short list, and to the `excused` objections."""
    for line, reason in objections(path, text, package):
        if reason not in excused:
            raise UnsafeCode(f"{path}:{line}: {reason}")


def objections(path: str, text: str, package: str) -> Iterator[tuple[int, str]]:
    """Everything in a module that is not on the short list, with its line; what does not parse is `UnsafeCode`."""
    try:
        tree = ast.parse(text.encode())  # as Python will read the file, with the encoding that it declares
    except (SyntaxError, ValueError, RecursionError) as error:
        raise UnsafeCode(f"{path}: does not parse: {error}") from error
    known = _BUILTINS | _CONSTANTS | {"_runtime"}.union(*_IMPORTED.values(), _defined(tree))
    for node, reason in _objections(tree, package, known):
        yield getattr(node, "lineno", 0), reason


def _defined(tree: ast.Module) -> Iterator[str]:
    """The module's own classes and the parameters of its functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg


def _objections(tree: ast.Module, package: str, known: set[str]) -> Iterator[tuple[ast.AST, str]]:
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            yield from _about_class(statement)
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name not in _FUNCTIONS:
            yield statement, f"defines {statement.name}"
    inside = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and id(node) not in inside:
            yield node, f"defines {node.name} inside another definition"
        for type_ in _types(node):
            yield from ((text, "has a text for a type") for text in _texts(type_))
        if reason := _objection(node, package, known):
            yield node, reason


def _about_class(definition: ast.ClassDef) -> Iterator[tuple[ast.AST, str]]:
    for base in definition.bases:
        of_runtime = ast.unparse(base.value if isinstance(base, ast.Subscript) else base)
        if of_runtime.removeprefix("_runtime.") not in _BASES or "." not in of_runtime:
            yield base, f"is derived from {of_runtime}"
    for statement in definition.body:
        name = ast.unparse(statement.target) if isinstance(statement, ast.AnnAssign) else ""
        if name.startswith("__") or name in _BUILTINS:
            yield statement, f"assigns {name}"


def _types(node: ast.AST) -> Iterator[ast.expr | None]:
    """The annotations of a statement, of a parameter, of a function."""
    if isinstance(node, ast.AnnAssign | ast.arg):
        yield node.annotation
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.returns


def _texts(type_: ast.AST | None) -> Iterator[ast.AST]:
    """Python evaluates a text in the place of a type; only a Literal and a call have texts for values."""
    if isinstance(type_, ast.Constant) and isinstance(type_.value, str):
        yield type_
    is_literal = isinstance(type_, ast.Subscript) and ast.unparse(type_.value) == "Literal"
    if type_ is not None and not is_literal and not isinstance(type_, ast.Call):
        for part in ast.iter_child_nodes(type_):
            yield from _texts(part)


def _objection(node: ast.AST, package: str, known: set[str]) -> str | None:
    match node:
        case ast.ImportFrom(module=module, names=aliases, level=level):
            names = {alias.name for alias in aliases if alias.asname is None or alias.asname == alias.name}
            allowed = {"_runtime"} if module == package else _IMPORTED.get(module or "", set())
            fine = level == 0 and len(names) == len(aliases) and names <= allowed
            return None if fine else f"imports {ast.unparse(node)}"
        case ast.Call(func=function) if (called := ast.unparse(function)) not in _CALLED:
            return f"calls {called}"
        case ast.Attribute() if not (ast.unparse(node.value) == "_runtime" and node.attr in _OF_RUNTIME):
            return f"reads {ast.unparse(node)}"
        case ast.Name(id=name, ctx=ast.Load()) if name not in known:
            return f"reads {name}"
        case ast.Assign(targets=targets) if not {ast.unparse(target) for target in targets} <= _CONSTANTS:
            return f"assigns {', '.join(map(ast.unparse, targets))}"
        case ast.Expr(value=value) if not isinstance(value, ast.Constant):
            return "is a statement without effect"
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef() if node.decorator_list:
            return "is decorated"
        case _ if not isinstance(node, _ALLOWED):
            return f"contains {type(node).__name__}"
    return None
