"""Values as JSON and back, by their declared types: no operation has code of its own for that.

For the service `borealis`. Written on the standard library: a command that asks one question waits
for nothing else. What operations take and return is made of dataclasses, enums, datetimes, paths,
decimals, sequences and plain values. A field that a reader does not know is passed over, so that a
host may tell more than an older client asks for; one that it lacks has its default.
"""

import types
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.operations.declaration import Declared, Request, Result
from cluster_runtime.control.operations.types import DB_CLUSTER, HANDLE
from cluster_runtime.errors import InvalidParameterError

Json = Any
"""What the standard library's `json` reads and writes."""
Reader = Callable[[Json], Any]

_SEQUENCES: dict[Any, Any] = {
    tuple: tuple,
    list: list,
    Sequence: tuple,
    frozenset: frozenset,
    set: set,
    AbstractSet: frozenset,
}


def encode(value: object) -> Json:
    """A value as JSON. Raises TypeError for one of a kind that has no form here."""
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return value.isoformat()
        case Path() | Decimal():
            return str(value)
        case Mapping():
            return {str(encode(name)): encode(each) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [encode(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: encode(getattr(value, each.name)) for each in fields(value)}
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def decode(kind: Any, data: Json, *, whole: bool = False) -> Any:
    """The value of a type that JSON holds.

    whole: fields that nobody knows are refused, not passed over.
    Raises TypeError, KeyError or ValueError for what is none, and what the type itself raises.
    """
    return _reader(kind, whole=whole)(data)


def decode_request(declared: Declared, data: Json) -> Request:
    """A call of an operation. Raises InvalidParameterError for what is none."""
    try:
        request: Request = decode(declared.request, data, whole=True)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        said = error.args[0] if isinstance(error, KeyError) else error
        raise InvalidParameterError(f"{declared.name} cannot be read: {said}") from error
    return request


def encode_result(result: Any) -> Json:
    """What an operation returned, as JSON."""
    return encode(result.describe() if isinstance(result, ClusterHandle) else result)


def decode_result(result: Result | None, data: Json) -> Any:
    """What an operation returned; for a handle on a cluster, the facts of that."""
    if result is None:
        return None
    if result == HANDLE:
        result = DB_CLUSTER
    kind = getattr(import_module(result.module), result.name)
    read = _reader(kind, whole=False)
    return [read(each) for each in data] if result.many else read(data)


def _reader(kind: Any, *, whole: bool) -> Reader:
    """What makes a value of a type of what JSON holds: the type is looked at once, not each time.

    A list of clusters has thousands of fields.
    """
    read = _reader_of_some(kind, whole=whole)
    return read if read is _as_it_is else lambda data: None if data is None else read(data)


def _reader_of_some(kind: Any, *, whole: bool) -> Reader:
    """The same for what is not null."""
    if isinstance(kind, NewType):
        return _reader(kind.__supertype__, whole=whole)
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any or origin is Literal:
        return _as_it_is
    if origin is Annotated:
        return _reader(inner[0], whole=whole)
    if origin in (Union, types.UnionType):
        return _reader(next(arm for arm in inner if arm is not types.NoneType), whole=whole)
    if (origin or kind) in _SEQUENCES:
        return _sequence(origin or kind, inner, whole=whole)
    if (origin or kind) in (dict, Mapping):
        name, value = (_reader(each, whole=whole) for each in inner or (Any, Any))
        return lambda data: {name(key): value(each) for key, each in data.items()}
    if kind is datetime:
        return datetime.fromisoformat
    if kind is float:
        return float
    if is_dataclass(kind):
        return partial(_dataclass, kind, whole)
    return kind if issubclass(kind, (Enum, Path, Decimal)) else _as_it_is


def _as_it_is(data: Json) -> Any:
    return data


def _sequence(kind: Any, inner: tuple[Any, ...], *, whole: bool) -> Reader:
    if kind is tuple and inner and inner[-1] is not Ellipsis:
        each_kind = [_reader(each, whole=whole) for each in inner]
        return lambda data: tuple(read(one) for read, one in zip(each_kind, data, strict=True))
    made, read_one = _SEQUENCES[kind], _reader(inner[0] if inner else Any, whole=whole)
    return lambda data: made(read_one(each) for each in data)


def _dataclass(kind: Any, whole: bool, data: Json) -> Any:
    if not isinstance(data, dict):
        raise TypeError(f"a {type(data).__name__} is no {kind.__name__}")
    readers, needed = _fields(kind, whole)
    unknown = sorted(data.keys() - readers.keys()) if whole else ()
    if unknown:
        raise TypeError(f"it has no {unknown[0]!r}")
    missing = [name for name in needed if name not in data]
    if missing:
        raise KeyError(f"{kind.__name__} without its {missing[0]}")
    return kind(**{name: read(data[name]) for name, read in readers.items() if name in data})


@cache
def _fields(kind: Any, whole: bool) -> tuple[dict[str, Reader], tuple[str, ...]]:
    """The readers of a dataclass's fields, and the names of those that have no default."""
    hints = get_type_hints(kind)
    found = fields(kind)
    needed = (
        each.name for each in found if each.default is MISSING and each.default_factory is MISSING
    )
    return {each.name: _reader(hints[each.name], whole=whole) for each in found}, tuple(needed)
