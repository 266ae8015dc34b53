"""How each kind of value is written: an extension code of msgpack, and what it holds."""

import collections
import dataclasses
import decimal
import fractions
import functools
import ipaddress
import pathlib
import re
import sys
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone
from enum import Enum
from itertools import chain
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from langgraph.checkpoint.serde.jsonplus import (
    EXT_CONSTRUCTOR_KW_ARGS,
    EXT_CONSTRUCTOR_POS_ARGS,
    EXT_CONSTRUCTOR_SINGLE_ARG,
    EXT_DELTA_SNAPSHOT,
    EXT_METHOD_SINGLE_ARG,
    EXT_NUMPY_ARRAY,
    EXT_PYDANTIC_V1,
    EXT_PYDANTIC_V2,
)
from langgraph.checkpoint.serde.types import SendProtocol, _DeltaSnapshot
from langgraph.store.base import Item
from pydantic import BaseModel

from memory.encoding.classes import ALWAYS_ALLOWED, BASES, AllowList
from memory.encoding.restoring import NAMING, NAMING_ERRORS, RAW, built_in
from memory.errors import NotSerializableError

# Codes of our own, far from LangGraph's 0 to 7.
EXT_TUPLE = 64
EXT_SURROGATES = 65
EXT_BIG_INTEGER = 66
EXT_PAIRS = 67
EXT_ZONED_DATETIME = 68
EXT_SUBCLASS = 69
EXT_EXCEPTION = 70
EXT_TYPE = 71
EXT_NUMPY_SCALAR = 72

Shape = tuple[int, Any]

INT64 = range(-(2**63), 2**64)
_KEYS = frozenset({str, int, float, bool, type(None), bytes})
_PLAIN = frozenset({dict, list})
_BYTES_LIKE = frozenset({bytearray, memoryview})
METHOD = "model_validate_json"  # what LangGraph writes there; its reader ignores it


@dataclasses.dataclass(frozen=True, slots=True)
class Marked:
    """In place of a value that msgpack cannot hold, or would change."""

    code: int
    data: Any
    packed: bool = False


def needs_marks(value: Any) -> bool:
    """Whether plain containers hold what ormsgpack would change in silence: keys, byte arrays."""
    # Level by level, since what looks at each value in C takes a fifth of the time.
    level = [value]
    while level:
        dicts = [each for each in level if type(each) is dict]
        if not _KEYS.issuperset(map(type, chain.from_iterable(dicts))):
            return True
        lists = (each for each in level if type(each) is list)
        parts = [*chain.from_iterable(lists), *chain.from_iterable(map(dict.values, dicts))]
        kinds = set(map(type, parts))
        if not kinds.isdisjoint(_BYTES_LIKE):
            return True
        level = [] if kinds.isdisjoint(_PLAIN) else [p for p in parts if type(p) in _PLAIN]
    return type(value) in _BYTES_LIKE


def mark(value: Any) -> Any:
    """Replace what msgpack cannot hold, inside plain containers, by our marks for it."""
    kind = type(value)
    if kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            return Marked(EXT_SURROGATES, value.encode("utf-8", "surrogatepass"), packed=True)
        return value
    if kind is int:
        if value in INT64:
            return value
        size = value.bit_length() // 8 + 1
        return Marked(EXT_BIG_INTEGER, value.to_bytes(size, "big", signed=True), packed=True)
    if kind is dict:
        if all(type(key) in _KEYS and mark(key) is key for key in value):
            return {key: mark(inner) for key, inner in value.items()}
        return Marked(EXT_PAIRS, [[mark(key), mark(inner)] for key, inner in value.items()])
    if kind is list:
        return [mark(inner) for inner in value]
    if kind is tuple:
        return tuple(mark(inner) for inner in value)
    if kind is bytearray:
        return Marked(EXT_CONSTRUCTOR_SINGLE_ARG, ["builtins", "bytearray", bytes(value)])
    if kind is memoryview:
        raise NotSerializableError("a memoryview cannot be stored; store its bytes")
    return value


_langchains: dict[type, bool] = {}


def is_langchains(cls: type) -> bool:
    """Whether it is a message or a document of LangChain's own."""
    known = _langchains.get(cls)
    if known is None:
        name = (cls.__module__, cls.__name__)
        known = _langchains[cls] = name[0].startswith("langchain_core.") and name in ALWAYS_ALLOWED
    return known


class Shapes:
    """Values to extensions; every class is looked up in an allow-list."""

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed

    def message(self, obj: Any) -> list[Any]:
        """A model of LangChain's, whose own constructor reads it back."""
        extra = obj.__pydantic_extra__
        fields = {**obj.__dict__, **extra} if extra else obj.__dict__
        cls = type(obj)
        return [cls.__module__, cls.__name__, fields, METHOD]

    def of(self, obj: Any) -> Shape:
        """Raises TypeNotAllowedError, and NotSerializableError for what would not come back."""
        encoder = _ENCODERS.get(type(obj))
        if encoder is not None:
            return encoder(obj)
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(obj, (numpy.ndarray, numpy.generic)):
            return _numpy(numpy, obj)
        if isinstance(obj, type):
            return EXT_TYPE, self._allowed.reference(obj)
        kinds: tuple[tuple[type, Callable[[Any], Shape]], ...] = (
            (_DeltaSnapshot, lambda v: (EXT_DELTA_SNAPSHOT, v.value)),
            (Enum, self._enum),
            (pathlib.PurePath, self._path),
            (BaseException, self._exception),
            (BaseModel, self._model),
            (Item, self._item),
            (SendProtocol, self._send),
        )
        for kind, shape in kinds:
            if isinstance(obj, kind):
                return shape(obj)
        if dataclasses.is_dataclass(obj):
            return self._dataclass(obj)
        if isinstance(obj, tuple) and hasattr(obj, "_asdict"):
            return EXT_CONSTRUCTOR_KW_ARGS, [*self._name(obj), dict(obj._asdict()), RAW]
        if hasattr(obj, "__fields_set__") and hasattr(obj, "__fields__"):
            return self._old_model(obj)
        if hasattr(obj, "unicode_string"):
            return self._address(obj)
        if hasattr(obj, "get_secret_value"):
            return EXT_CONSTRUCTOR_SINGLE_ARG, [*self._name(obj), obj.get_secret_value()]
        for base in BASES:
            if isinstance(obj, base):
                return self._subclass(obj, base)
        raise _refusal(obj)

    def _name(self, obj: Any) -> list[str]:
        module, qualname, _ = self._allowed.name(type(obj))
        return [module, qualname]

    def _enum(self, obj: Enum) -> Shape:
        name = self._name(obj)
        if type(obj)(obj.value) is not obj:
            raise NotSerializableError(f"{obj!r} is not what its class makes of its value")
        return EXT_CONSTRUCTOR_SINGLE_ARG, [*name, obj.value]

    def _path(self, obj: pathlib.PurePath) -> Shape:
        return EXT_CONSTRUCTOR_POS_ARGS, [*self._name(obj), list(obj.parts)]

    def _exception(self, obj: BaseException) -> Shape:
        attributes = dict(vars(obj))
        if isinstance(obj, NAMING_ERRORS):
            named = {name: getattr(obj, name, None) for name in NAMING}
            attributes |= {name: value for name, value in named.items() if value is not None}
        if isinstance(obj, BaseExceptionGroup):
            # A class with a constructor of its own leaves that one's arguments in `args`.
            arguments: Iterable[Any] = (obj.message, list(obj.exceptions))
            attributes["args"] = obj.args
        else:
            arguments = built_in(type(obj)).__reduce__(obj)[1]  # also names of files
        return EXT_EXCEPTION, [*self._name(obj), list(arguments), attributes or None]

    def _model(self, obj: Any) -> Shape:
        cls = type(obj)
        module, qualname, arguments = self._allowed.name(cls)
        names = cls.model_fields
        fields = {name: value for name, value in obj.__dict__.items() if name in names}
        if fields.keys() != names.keys():
            raise NotSerializableError(f"a {module}.{qualname} lacks some of its fields")
        was_set = obj.__pydantic_fields_set__
        private = obj.__pydantic_private__
        state = [
            None if len(was_set) == len(names) else sorted(was_set),
            obj.__pydantic_extra__,
            None if private is None else {k: v for k, v in private.items() if _is_set(v)},
            arguments,
        ]
        return EXT_PYDANTIC_V2, [module, qualname, fields, METHOD, state]

    def _old_model(self, obj: Any) -> Shape:
        private = {
            name: getattr(obj, name)
            for name in getattr(obj, "__private_attributes__", ())
            if hasattr(obj, name)
        }
        state = [sorted(obj.__fields_set__), None, private, None]
        return EXT_PYDANTIC_V1, [*self._name(obj), dict(obj.__dict__), "construct", state]

    def _item(self, obj: Any) -> Shape:
        fields = {slot: getattr(obj, slot) for slot in Item.__slots__}
        if (score := getattr(obj, "score", None)) is not None:
            fields["score"] = score
        return EXT_CONSTRUCTOR_KW_ARGS, [*self._name(obj), fields]

    def _send(self, obj: Any) -> Shape:
        arguments: list[Any] = [obj.node, obj.arg]
        if (limit := getattr(obj, "timeout", None)) is not None:
            arguments.append(limit)
        return EXT_CONSTRUCTOR_POS_ARGS, [*self._name(obj), arguments]

    def _dataclass(self, obj: Any) -> Shape:
        name = self._name(obj)
        fields = dataclasses.fields(obj)
        given = {f.name: getattr(obj, f.name) for f in fields if f.init}
        if type(obj).__module__.startswith("langgraph."):
            return EXT_CONSTRUCTOR_KW_ARGS, [*name, given]
        others = {f.name: getattr(obj, f.name) for f in fields if not f.init}
        shape = [*name, given, RAW, others]
        beside = {
            key: value
            for key, value in getattr(obj, "__dict__", {}).items()
            if key not in given
            and key not in others
            and not isinstance(getattr(type(obj), key, None), functools.cached_property)
        }
        return EXT_CONSTRUCTOR_KW_ARGS, [*shape, beside] if beside else shape

    def _address(self, obj: Any) -> Shape:
        """A URL of pydantic's."""
        shape = [*self._name(obj), str(obj)]
        if type(obj)(str(obj)) != obj:
            raise _refusal(obj)
        return EXT_CONSTRUCTOR_SINGLE_ARG, shape

    def _subclass(self, obj: Any, base: type) -> Shape:
        cls = type(obj)
        if any(vars(c).get("__slots__") for c in cls.__mro__ if not issubclass(base, c)):
            raise NotSerializableError(f"a {cls.__qualname__} has slots, which cannot be stored")
        if isinstance(obj, (collections.OrderedDict, collections.defaultdict)):
            raise _refusal(obj)
        content: Any = list(obj) if base in (tuple, set, frozenset) else base(obj)
        if base is str:
            content = str.__str__(obj)
        attributes = dict(getattr(obj, "__dict__", None) or {}) or None
        return EXT_SUBCLASS, [*self._name(obj), content, base.__name__, attributes]


def _refusal(obj: Any) -> NotSerializableError:
    cls = type(obj)
    return NotSerializableError(f"a {cls.__module__}.{cls.__qualname__} cannot be stored exactly")


def _is_set(value: Any) -> bool:
    return type(value).__name__ != "PydanticUndefinedType"


def _numpy(numpy: Any, obj: Any) -> Shape:
    dtype = obj.dtype
    if dtype.hasobject:
        raise NotSerializableError(
            "a numpy value of Python objects cannot be stored; make it a list"
        )
    described: Any = dtype.str
    if numpy.dtype(described) != dtype:
        described = numpy.lib.format.dtype_to_descr(dtype)
        if numpy.lib.format.descr_to_dtype(described) != dtype:
            raise NotSerializableError(f"numpy's dtype {dtype} cannot be stored exactly")
    if isinstance(obj, numpy.generic):
        if type(obj) is not dtype.type:
            raise _refusal(obj)
        return EXT_NUMPY_SCALAR, [described, obj.tobytes()]
    if type(obj) is not numpy.ndarray:
        raise _refusal(obj)
    fortran = obj.flags.f_contiguous and not obj.flags.c_contiguous
    order = "F" if fortran else "C"
    return EXT_NUMPY_ARRAY, [described, list(obj.shape), order, obj.tobytes(order=order)]


def _datetime(value: datetime) -> Shape:
    if type(value.tzinfo) is ZoneInfo and value.tzinfo.key:
        wall = value.replace(tzinfo=None, fold=0)
        return EXT_ZONED_DATETIME, [wall.isoformat(), value.tzinfo.key, value.fold]
    if type(value.tzinfo) not in (type(None), timezone):
        raise NotSerializableError(
            f"a datetime of the zone {value.tzinfo!r} cannot be stored; use zoneinfo.ZoneInfo"
        )
    text = value.isoformat()
    if repr(datetime.fromisoformat(text)) == repr(value):
        return EXT_METHOD_SINGLE_ARG, ["datetime", "datetime", text, "fromisoformat"]
    # A zone with a name, the second of two hours: as `datetime.now().astimezone()` has them.
    names = ("year", "month", "day", *_TIME)
    return EXT_CONSTRUCTOR_KW_ARGS, ["datetime", "datetime", {n: getattr(value, n) for n in names}]


_TIME = ("hour", "minute", "second", "microsecond", "tzinfo", "fold")


def _time(value: time) -> Shape:
    return EXT_CONSTRUCTOR_KW_ARGS, ["datetime", "time", {n: getattr(value, n) for n in _TIME}]


def _zone(value: ZoneInfo) -> Shape:
    if value.key is None:
        raise NotSerializableError("a ZoneInfo without a key cannot be stored")
    return EXT_CONSTRUCTOR_SINGLE_ARG, ["zoneinfo", "ZoneInfo", value.key]


def _deque(value: Any) -> Shape:
    if value.maxlen is None:
        return EXT_CONSTRUCTOR_SINGLE_ARG, ["collections", "deque", list(value)]
    return EXT_CONSTRUCTOR_POS_ARGS, ["collections", "deque", [list(value), value.maxlen]]


def _single(module: str, name: str, argument: Callable[[Any], Any]) -> Callable[[Any], Shape]:
    return lambda v: (EXT_CONSTRUCTOR_SINGLE_ARG, [module, name, argument(v)])


def _several(module: str, name: str, arguments: Callable[[Any], list[Any]]) -> Any:
    return lambda v: (EXT_CONSTRUCTOR_POS_ARGS, [module, name, arguments(v)])


def _each(classes: Iterable[type], argument: Callable[[Any], Any]) -> dict[type, Any]:
    return {cls: _single(cls.__module__, cls.__name__, argument) for cls in classes}


_ENCODERS: dict[type, Callable[[Any], Shape]] = {
    tuple: lambda v: (EXT_TUPLE, list(v)),
    datetime: _datetime,
    date: _several("datetime", "date", lambda v: [v.year, v.month, v.day]),
    time: _time,
    timedelta: _several("datetime", "timedelta", lambda v: [v.days, v.seconds, v.microseconds]),
    timezone: _several("datetime", "timezone", lambda v: list(v.__getinitargs__())),
    ZoneInfo: _zone,
    UUID: _single("uuid", "UUID", lambda v: v.hex),
    decimal.Decimal: _single("decimal", "Decimal", str),
    fractions.Fraction: _single("fractions", "Fraction", str),
    complex: _several("builtins", "complex", lambda v: [v.real, v.imag]),
    range: _several("builtins", "range", lambda v: [v.start, v.stop, v.step]),
    re.Pattern: _several("re", "compile", lambda v: [v.pattern, v.flags]),
    collections.deque: _deque,
    collections.OrderedDict: _single("collections", "OrderedDict", lambda v: list(v.items())),
    collections.Counter: _single("collections", "Counter", dict),
    collections.defaultdict: _several(
        "collections", "defaultdict", lambda v: [v.default_factory, dict(v)]
    ),
    **_each((set, frozenset), list),
    **_each(
        (
            ipaddress.IPv4Address,
            ipaddress.IPv4Interface,
            ipaddress.IPv4Network,
            ipaddress.IPv6Address,
            ipaddress.IPv6Interface,
            ipaddress.IPv6Network,
        ),
        str,
    ),
}
