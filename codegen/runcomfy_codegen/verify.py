"""The last look at rendered modules before anything is written: nothing in them but what generated code may contain.

Schemas are data from elsewhere. Whatever went wrong before this stage, code that is more than classes with fields,
constants and the four endpoint functions does not get past it. The names are listed here once more on purpose: a list
shared with the stages before would let through whatever they let through.
"""

import ast
from collections.abc import Iterator, Set
from functools import cache
from typing import Any

# Of these, only what stands in them can be wrong.
_HARMLESS = {
    *(ast.Module, ast.Return, ast.Constant, ast.Subscript, ast.Tuple, ast.List, ast.Await, ast.BinOp, ast.UnaryOp),
    *(ast.BitOr, ast.USub, ast.alias, ast.arguments, ast.keyword),
}
_ALLOWED = {
    *(ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Assign, ast.AnnAssign, ast.Expr),
    *(ast.Name, ast.Attribute, ast.Call, ast.arg, *_HARMLESS),
}
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
    nodes = _all_of(tree)
    known = _BUILTINS | _CONSTANTS | {"_runtime"}.union(*_IMPORTED.values(), _defined(nodes))
    for node, reason in _objections(tree, nodes, package, known):
        yield getattr(node, "lineno", 0), reason


@cache
def _parts(kind: Any) -> tuple[str, ...]:
    """The fields of a node that may hold others. Whether a name is read or assigned is told by what it stands in."""
    texts = {"arg", "asname", "attr", "ctx", "id", "kind", "level", "module", "type_comment"}
    fields: tuple[str, ...] = () if kind is ast.Constant else kind._fields
    return tuple(name for name in fields if name not in texts)


def _parts_of(node: ast.AST) -> Iterator[ast.AST]:
    kind: Any = type(node)
    for name in _parts(kind):
        part = getattr(node, name, None)
        if isinstance(part, ast.AST):
            yield part
        elif part and isinstance(part, list):
            yield from (item for item in part if isinstance(item, ast.AST))


def _all_of(root: ast.AST) -> list[ast.AST]:
    """A node and all below it, level by level. It stands for `ast.walk`, which is much slower."""
    found = [root]
    for node in found:
        found += _parts_of(node)
    return found


def _defined(nodes: list[ast.AST]) -> Iterator[str]:
    """The module's own classes and the parameters of its functions."""
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg


def _objections(tree: ast.Module, nodes: list[ast.AST], package: str, known: set[str]) -> Iterator[tuple[ast.AST, str]]:
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            yield from _about_class(statement)
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name not in _FUNCTIONS:
            yield statement, f"defines {statement.name}"
    inside = {id(node) for node in tree.body}
    for node in nodes:
        if type(node) in _HARMLESS:
            continue
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and id(node) not in inside:
            yield node, f"defines {node.name} inside another definition"
        for type_ in _types(node):
            yield from ((text, "has a text for a type") for text in _texts(type_))
        if reason := _objection(node, package, known):
            yield node, reason


def _about_class(definition: ast.ClassDef) -> Iterator[tuple[ast.AST, str]]:
    for base in definition.bases:
        of_runtime = _text(base.value if isinstance(base, ast.Subscript) else base)
        if of_runtime.removeprefix("_runtime.") not in _BASES or "." not in of_runtime:
            yield base, f"is derived from {of_runtime}"
    for statement in definition.body:
        name = _text(statement.target) if isinstance(statement, ast.AnnAssign) else ""
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
    todo = [type_]
    while todo:
        part = todo.pop()
        if isinstance(part, ast.Constant):
            if isinstance(part.value, str):
                yield part
        elif not isinstance(part, ast.Call | None) and not (
            isinstance(part, ast.Subscript) and _text(part.value) == "Literal"
        ):
            todo += _parts_of(part)


def _objection(node: ast.AST, package: str, known: set[str]) -> str | None:
    match node:
        case ast.Name(id=name, ctx=context):
            return f"reads {name}" if name not in known and isinstance(context, ast.Load) else None
        case ast.Attribute(value=value, attr=name):
            return None if name in _OF_RUNTIME and _text(value) == "_runtime" else f"reads {ast.unparse(node)}"
        case ast.Call(func=function):
            return None if (called := _text(function)) in _CALLED else f"calls {called}"
        case ast.ImportFrom(module=module, names=aliases, level=level):
            names = {alias.name for alias in aliases if alias.asname is None or alias.asname == alias.name}
            allowed = {"_runtime"} if module == package else _IMPORTED.get(module or "", set())
            fine = level == 0 and len(names) == len(aliases) and names <= allowed
            return None if fine else f"imports {ast.unparse(node)}"
        case ast.Assign(targets=targets) if not {ast.unparse(target) for target in targets} <= _CONSTANTS:
            return f"assigns {', '.join(map(ast.unparse, targets))}"
        case ast.Expr(value=value) if not isinstance(value, ast.Constant):
            return "is a statement without effect"
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef() if node.decorator_list:
            return "is decorated"
    return None if type(node) in _ALLOWED else f"contains {type(node).__name__}"


def _text(expression: ast.expr) -> str:
    """An expression as Python writes it. `ast.unparse` is slow, and names are what is asked for mostly."""
    match expression:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=holder), attr=name):
            return f"{holder}.{name}"
    return ast.unparse(expression)
