"""What generated `Input` classes are made of: validated when made.

Validation is pydantic's. The scalars are strict, unknown names are refused, and whatever is wrong becomes one
`InputValidationError` before anything is sent.
"""

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, NamedTuple, Self, TypeVar

from annotated_types import MaxLen, MinLen  # pydantic comes with it
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    Strict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError, SchemaValidator, core_schema

from ._errors import InputProblem, InputValidationError
from ._outputs import Output

OutT = TypeVar("OutT", bound=Output)
OutT_co = TypeVar("OutT_co", bound=Output, covariant=True)


class Endpoint(NamedTuple):
    """What a request needs to know of its model."""

    model_id: str
    output: type[Output]


def _same_type(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    found = read(value)
    if isinstance(value, type(found)) and isinstance(value, bool) is isinstance(found, bool):
        return found
    raise PydanticCustomError(
        "exact", "Input should be exactly {found}, of type {type}", {"found": repr(found), "type": type(found).__name__}
    )


exact = WrapValidator(_same_type)
"""For an enum with other values than strings: Python finds 5.0 equal to 5 and True equal to 1, the API need not."""


def _same_number(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    found = read(value)
    return value if isinstance(value, int) else found


def _unchanged(value: Any) -> Any:
    return value


Number = Annotated[float, Strict(), WrapValidator(_same_number), PlainSerializer(_unchanged)]
"""Any number, sent as it was given: a float alone would make 5 a 5.0, and lose digits of a large integer."""


def one_of(*values: float) -> AfterValidator:
    """For an enum of numbers that no Literal can hold: fractions, and integers beyond 64 bits."""

    def check(value: float) -> float:
        if value in values:
            return value
        raise PydanticCustomError("one_of", "Input should be one of {values}", {"values": ", ".join(map(repr, values))})

    return AfterValidator(check)


def multiple_of(step: float) -> AfterValidator:
    """For a multiple of another number as both are written: 0.3 is one of 0.1, though not in binary."""

    def check(value: float) -> float:
        if (Fraction(str(value)) / Fraction(str(step))).denominator == 1:
            return value
        raise PydanticCustomError("multiple_of", "Input should be a multiple of {step}", {"step": step})

    return AfterValidator(check)


def matching(*patterns: str) -> AfterValidator:
    """For a text that has to match further patterns."""
    validators = [SchemaValidator(core_schema.str_schema(pattern=pattern)) for pattern in patterns]

    def check(value: str) -> str:
        for validator in validators:
            validator.validate_python(value)
        return value

    return AfterValidator(check)


def _no_text(items: Sequence[Any]) -> Sequence[Any]:
    if isinstance(items, str | bytes | bytearray | memoryview):
        raise PydanticCustomError("no_text", "Input should be a list, and no text")
    return items


no_text = AfterValidator(_no_text)
"""For a list of anything: a string is a sequence too, but hardly meant."""


def _without_repeats(items: Sequence[Any]) -> Sequence[Any]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        try:
            text = json.dumps(item, sort_keys=True, default=_comparable)
        except (TypeError, ValueError, RecursionError):
            continue  # no JSON; what sends it says so
        if text in seen:
            raise PydanticCustomError("unique", "Item {index} stands in the list already", {"index": index})
        seen.add(text)
    return items


def _comparable(value: object) -> object:
    """What json does not know by itself, so that equal texts mean the same on the wire."""
    if isinstance(value, BaseModel):
        return {name: item for name in value.model_fields_set if (item := getattr(value, name)) is not None}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes):
        from hashlib import sha256  # it takes its time to load, and hardly any input needs it

        return {"sha256": sha256(value).hexdigest()}
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(type(value).__name__)


unique = AfterValidator(_without_repeats)
"""For a list in which no item may stand twice."""


class _Bytes(int):
    """How many bytes there are, in the place of these."""

    def __repr__(self) -> str:
        return f"<{int(self)} bytes>"


def _brief(value: Any) -> Any:
    if isinstance(value, bytes):
        return _Bytes(len(value))
    return type(value)(map(_brief, value)) if type(value) in (list, tuple) else value


class InputObject(BaseModel):
    """An object inside an input, such as one entry of ``loras``.

    Fields are set by their Python names. ``Input.model_validate(body, by_alias=True, by_name=False)`` reads a body with
    the API's own names instead.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=False,
        revalidate_instances="always",
        protected_namespaces=(),
    )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """A file that is given as bytes may have millions of them."""
        for name, value in super().__repr_args__():
            yield name, _brief(value)

    if not TYPE_CHECKING:  # A type checker sees the keywords that pydantic makes of the fields.

        def __init__(self, /, **data: Any) -> None:
            try:
                super().__init__(**data)
            except ValidationError as error:
                raise _invalid(type(self), error, data) from None

        # Without it, pydantic would call __init__ for nested objects, and nest its own error in ours.
        __init__.__pydantic_base_init__ = True

        @classmethod
        def model_validate(cls, obj: Any, **options: Any) -> Self:
            try:
                return super().model_validate(obj, **options)
            except ValidationError as error:
                raise _invalid(cls, error, obj) from None

        @classmethod
        def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
            try:
                return super().model_validate_json(json_data, **options)
            except ValidationError as error:
                raise _invalid(cls, error, _parsed(json_data)) from None


class OpenInputObject(InputObject):
    """An object inside an input that takes further fields, which the API checks; a dict can have them."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _no_field_by_its_wire_name(self) -> Self:
        """Among the further fields it would pass unchecked, and take the place of the checked one."""
        for name, field in type(self).model_fields.items():
            if field.alias is not None and field.alias in (self.model_extra or {}):
                raise PydanticCustomError("wire_name", "{wire} is set as {name}", {"wire": field.alias, "name": name})
        return self


class Input(InputObject, Generic[OutT_co]):
    """A request to one model as a value: it can be compared, stored, reloaded, and run by any client."""

    _endpoint: ClassVar[Endpoint]


def _invalid(cls: type[BaseModel], error: ValidationError, data: object) -> InputValidationError:
    endpoint = getattr(cls, "_endpoint", None)
    model_id = endpoint.model_id if isinstance(endpoint, Endpoint) else None
    problems = [
        InputProblem(_field(problem["loc"], data, problem["type"]), _message(cls, dict(problem)))
        for problem in error.errors(include_url=False, include_context=False)
    ]
    problems += _counts(cls, data, {problem.field for problem in problems})
    return InputValidationError(model_id or cls.__name__, list(dict.fromkeys(problems)), model_id=model_id)


def _counts(cls: type[BaseModel], data: object, told: Container[str]) -> Iterator[InputProblem]:
    """Lists that are too short or too long, which pydantic does not tell where one of their items is wrong."""
    values = data if isinstance(data, Mapping) else {}
    for name, field in cls.model_fields.items():
        value = values.get(name)
        if name not in told and isinstance(value, list | tuple):
            for limit in field.metadata:
                if isinstance(limit, MaxLen) and len(value) > limit.max_length:
                    yield InputProblem(name, f"should have at most {limit.max_length} items, not {len(value)}")
                if isinstance(limit, MinLen) and len(value) < limit.min_length:
                    yield InputProblem(name, f"should have at least {limit.min_length} items, not {len(value)}")


def _field(location: tuple[int | str, ...], data: object, problem: str) -> str:
    """``("loras", 0, "path")`` -> ``"loras[0].path"``, without the names that pydantic has for parts of a union."""
    named = ""
    for depth, part in enumerate(location, 1):
        found, inner = _inside(data, part)
        if found or (depth == len(location) and problem == "missing"):
            named += f"[{part}]" if isinstance(part, int) else f".{part}"
            data = inner
    return named.removeprefix(".")


def _inside(data: Any, part: int | str) -> tuple[bool, Any]:
    """Whether there is such a part, and what it is."""
    if isinstance(data, BaseModel | Mapping):
        parts: dict[Any, Any] = dict(data)
    else:
        parts = dict(enumerate(data)) if isinstance(data, Sequence) and not isinstance(data, str) else {}
    return part in parts, parts.get(part)


def _parsed(json_data: str | bytes | bytearray) -> object:
    try:
        return json.loads(json_data)
    except (ValueError, RecursionError):
        return None


def _message(cls: type[BaseModel], problem: dict[str, Any]) -> str:
    if problem["type"] == "missing":
        return "is required"
    if problem["type"] == "extra_forbidden":
        near = get_close_matches(str(problem["loc"][-1]), cls.model_fields, n=1) if len(problem["loc"]) == 1 else []
        return "no such field" + (f"; did you mean {near[0]}?" if near else "")
    return f"{problem['msg']}, got {_shown(problem['input'])}"


def _shown(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    try:
        shown = repr(value if not isinstance(value, str) else value[:100])
    except Exception:  # an integer with thousands of digits, or an object that cannot show itself
        shown = f"a value of type {type(value).__name__}"
    return shown if len(shown) <= 80 else shown[:79] + "…"
