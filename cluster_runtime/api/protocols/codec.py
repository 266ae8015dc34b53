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
Inside = Callable[[Any, Json], Any]

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
    if kind is Any or data is None:
        return data
    inside = partial(decode, whole=whole)
    if isinstance(kind, NewType):
        return inside(kind.__supertype__, data)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return inside(inner[0], data)
    if origin in (Union, types.UnionType):
        return inside(next(arm for arm in inner if arm is not types.NoneType), data)
    if origin is Literal:
        return data
    if (origin or kind) in _SEQUENCES:
        return _sequence(origin or kind, inner, data, inside)
    if (origin or kind) in (dict, Mapping):
        name, value = inner or (Any, Any)
        return {inside(name, key): inside(value, each) for key, each in data.items()}
    if kind is datetime:
        return datetime.fromisoformat(data)
    if kind is float:
        return float(data)
    if is_dataclass(kind):
        return _dataclass(kind, data, inside, whole=whole)
    if issubclass(kind, (Enum, Path, Decimal)):
        return kind(data)
    return data


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
    return [decode(kind, each) for each in data] if result.many else decode(kind, data)


def _sequence(kind: Any, inner: tuple[Any, ...], data: Json, inside: Inside) -> Any:
    if kind is tuple and inner and inner[-1] is not Ellipsis:
        return tuple(inside(each, one) for each, one in zip(inner, data, strict=True))
    return _SEQUENCES[kind](inside(inner[0] if inner else Any, each) for each in data)


def _dataclass(kind: Any, data: Json, inside: Inside, *, whole: bool) -> Any:
    if not isinstance(data, dict):
        raise TypeError(f"a {type(data).__name__} is no {kind.__name__}")
    unknown = sorted(data.keys() - _hints(kind).keys()) if whole else ()
    if unknown:
        raise TypeError(f"it has no {unknown[0]!r}")
    given = {}
    for each in fields(kind):
        if each.name in data:
            given[each.name] = inside(_hints(kind)[each.name], data[each.name])
        elif each.default is MISSING and each.default_factory is MISSING:
            raise KeyError(f"{kind.__name__} without its {each.name}")
    return kind(**given)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
