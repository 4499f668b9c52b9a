"""The last look at rendered modules before anything is written: nothing in them but what generated code may contain.

Schemas are data from elsewhere. Whatever went wrong before this stage, code that is more than classes with fields,
constants and the four endpoint functions does not get past it.
"""

import ast

_ALLOWED = (
    *(ast.Module, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef),
    *(ast.Return, ast.Assign, ast.AnnAssign, ast.Expr),
    *(ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.List, ast.Call, ast.Await),
    *(ast.BinOp, ast.UnaryOp, ast.BitOr, ast.USub),
    *(ast.Load, ast.Store, ast.alias, ast.arguments, ast.arg, ast.keyword),
)
_IMPORTED = {"collections.abc", "pydantic", "typing"}
_RUNTIME = ("Endpoint", "run", "run_async", "submit", "submit_async")
_CALLED = {"Field", "Input", *(f"_runtime.{name}" for name in _RUNTIME)}


class UnsafeCode(Exception):
    """A rendered module contains something that generated code never does: a defect of the generator."""


def verify(path: str, text: str, package: str) -> None:
    """Raise `UnsafeCode` unless the module keeps to the short list."""
    try:
        tree = ast.parse(text.encode())  # as Python will read the file, with the encoding that it declares
    except (SyntaxError, ValueError, RecursionError) as error:
        raise UnsafeCode(f"{path}: does not parse: {error}") from error
    for node in ast.walk(tree):
        if reason := _objection(node, package):
            raise UnsafeCode(f"{path}:{getattr(node, 'lineno', 0)}: {reason}")


def _objection(node: ast.AST, package: str) -> str | None:
    match node:
        case ast.ImportFrom(module=module, names=names, level=level):
            if level == 0 and module in _IMPORTED:
                return None
            if level == 0 and module == package and [alias.name for alias in names] == ["_runtime"]:
                return None
            return f"imports from {'.' * level}{module}"
        case ast.Call(func=function):
            called = ast.unparse(function)
            return None if called in _CALLED else f"calls {called}"
        case ast.Expr(value=value) if not isinstance(value, ast.Constant):
            return "is a statement without effect"
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef() if node.decorator_list:
            return "is decorated"
        case _ if not isinstance(node, _ALLOWED):
            return f"contains {type(node).__name__}"
    return None
