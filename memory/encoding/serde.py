"""The serializer: LangGraph's msgpack format, exact for every value and strict about classes.

It reads and writes what `JsonPlusSerializer` does, with two differences. Exact: tuples come back
as tuples, lone surrogates, integers beyond 64 bits and zone names survive (the parent class
replaces, refuses and drops them). Strict: a class that is not on the allow-list is refused by
name before anything is imported, when it is written and when it is read; there is no pickle.
"""

import dataclasses
import decimal
import importlib
import ipaddress
import pathlib
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone
from enum import Enum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import ormsgpack
from langgraph.checkpoint.serde._msgpack import SAFE_MSGPACK_METHODS, SAFE_MSGPACK_TYPES
from langgraph.checkpoint.serde.jsonplus import (
    EXT_CONSTRUCTOR_KW_ARGS,
    EXT_CONSTRUCTOR_POS_ARGS,
    EXT_CONSTRUCTOR_SINGLE_ARG,
    EXT_DELTA_SNAPSHOT,
    EXT_METHOD_SINGLE_ARG,
    EXT_NUMPY_ARRAY,
    EXT_PYDANTIC_V1,
    EXT_PYDANTIC_V2,
    JsonPlusSerializer,
)
from langgraph.checkpoint.serde.types import SendProtocol, _DeltaSnapshot
from langgraph.store.base import Item

from memory.errors import AgentMemoryError, CorruptedCheckpointError, TypeNotAllowedError

# Codes of our own, far from LangGraph's 0 to 7.
EXT_TUPLE = 64
EXT_SURROGATES = 65
EXT_BIG_INTEGER = 66
EXT_PAIRS = 67
EXT_ZONED_DATETIME = 68

PACK = (
    ormsgpack.OPT_NON_STR_KEYS
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_UUID
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
)
UNPACK = ormsgpack.OPT_NON_STR_KEYS
INT64 = range(-(2**63), 2**64)

TypeKey = tuple[str, ...]

ALWAYS_ALLOWED: frozenset[TypeKey] = SAFE_MSGPACK_TYPES | {
    ("langgraph.store.base", "SearchItem"),
}


class BorealisSerializer(JsonPlusSerializer):
    """Strict and exact serializer; the default of `BorealisSaver`.

    allow: classes, or `(module, name)` pairs, beyond the built-in list (standard library values,
        LangChain messages and documents, LangGraph's own types): your state's dataclasses,
        pydantic models, enums and named tuples.
    """

    def __init__(self, *, allow: Iterable[type | TypeKey] = ()) -> None:
        self._allowed = ALWAYS_ALLOWED | {_key(entry) for entry in allow}
        self._models: dict[type, tuple[str, str]] = {}
        super().__init__(
            pickle_fallback=False,
            allowed_msgpack_modules=tuple(self._allowed),
            __unpack_ext_hook__=self._revive,
        )

    def with_msgpack_allowlist(
        self, extra_allowlist: Iterable[type | TypeKey]
    ) -> "BorealisSerializer":
        """A serializer that allows more; LangGraph calls it with the classes of a graph."""
        extra = {_key(entry) for entry in extra_allowlist}
        return self if extra <= self._allowed else BorealisSerializer(allow=self._allowed | extra)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Serialize; raises `TypeNotAllowedError` for a class that reading would refuse."""
        match obj:
            case None:
                return "null", b""
            case bytes():
                return "bytes", obj
            case bytearray():
                return "bytearray", bytes(obj)
            case _:
                return "msgpack", self._pack(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Deserialize; raises `TypeNotAllowedError` or `CorruptedCheckpointError`."""
        kind, payload = data
        match kind:
            case "null":
                return None
            case "bytes":
                return bytes(payload)
            case "bytearray":
                return bytearray(payload)
            case "msgpack":
                return self._unpack(payload)
            case "json":
                return super().loads_typed(data)
            case _:
                raise TypeNotAllowedError(
                    f"a stored value is of type {kind[:40]!r}, which this serializer never "
                    "reads; it takes msgpack, json, bytes and null (and no pickle)"
                )

    def _pack(self, obj: Any) -> bytes:
        try:
            return _packb(obj, self._encode)
        except ormsgpack.MsgpackEncodeError:
            # Lone surrogates and integers beyond 64 bits: rare, so looked for only now.
            return _packb(_wrap(obj), self._encode)

    def _unpack(self, payload: bytes) -> Any:
        _reason.error = None
        try:
            return ormsgpack.unpackb(payload, ext_hook=self._revive, option=UNPACK)
        except ormsgpack.MsgpackDecodeError as error:
            reason = _reason.error
            if isinstance(reason, AgentMemoryError):
                raise reason from None
            raise CorruptedCheckpointError(
                f"a stored value of {len(payload)} bytes cannot be read back: {reason or error}"
            ) from (reason or error)

    # -- writing

    def _encode(self, obj: Any) -> ormsgpack.Ext | str:
        """What ormsgpack does not know: one extension value, its arguments packed inside."""
        name = self._models.get(type(obj))
        if name is not None:
            # Messages, mostly: the rest of this class only costs time for them.
            fields = [*name, obj.model_dump(), "model_validate_json"]
            try:
                packed = ormsgpack.packb(fields, default=self._encode, option=PACK)
            except ormsgpack.MsgpackEncodeError:
                pass  # what is rare is looked for below
            else:
                return ormsgpack.Ext(EXT_PYDANTIC_V2, packed)
        try:
            return self._encode_known(obj)
        except Exception as error:
            _reason.error = error
            raise

    def _encode_known(self, obj: Any) -> ormsgpack.Ext | str:
        encoder = _ENCODERS.get(type(obj))
        if encoder is None:
            return self._encode_instance(obj)
        code, arguments = encoder(obj)
        if code in _PLAIN:
            return ormsgpack.Ext(code, self._pack(arguments))
        return self._extension(code, arguments)

    def _encode_instance(self, obj: Any) -> ormsgpack.Ext | str:
        cls = type(obj)
        name = (cls.__module__, cls.__name__)
        match obj:
            case _DeltaSnapshot():
                return ormsgpack.Ext(EXT_DELTA_SNAPSHOT, self._pack(obj.value))
            case _Surrogates(text):
                return ormsgpack.Ext(EXT_SURROGATES, text.encode("utf-8", "surrogatepass"))
            case _BigInteger(value):
                size = value.bit_length() // 8 + 1
                return ormsgpack.Ext(EXT_BIG_INTEGER, value.to_bytes(size, "big", signed=True))
            case _Pairs(pairs):
                return ormsgpack.Ext(EXT_PAIRS, self._pack(pairs))
            case Enum():
                return self._extension(EXT_CONSTRUCTOR_SINGLE_ARG, (*name, obj.value))
            case datetime():
                return self._encode(datetime.fromisoformat(obj.isoformat()))
            case pathlib.PurePath():
                return self._extension(EXT_CONSTRUCTOR_POS_ARGS, (*name, list(obj.parts)))
            case BaseException():
                # Never rebuilt: an exception's constructor is arbitrary code.
                return repr(obj)
        if (dump := _method(obj, "model_dump")) is not None:
            extension = self._extension(EXT_PYDANTIC_V2, (*name, dump(), "model_validate_json"))
            self._models[cls] = name
            return extension
        if (reveal := _method(obj, "get_secret_value")) is not None:
            return self._extension(EXT_CONSTRUCTOR_SINGLE_ARG, (*name, reveal()))
        if isinstance(obj, Item):
            fields = {slot: getattr(obj, slot) for slot in Item.__slots__}
            if (score := getattr(obj, "score", None)) is not None:
                fields["score"] = score
            return self._extension(EXT_CONSTRUCTOR_KW_ARGS, (*name, fields))
        if dataclasses.is_dataclass(obj) and not isinstance(obj, SendProtocol):
            fields = {f.name: getattr(obj, f.name) for f in dataclasses.fields(obj) if f.init}
            return self._extension(EXT_CONSTRUCTOR_KW_ARGS, (*name, fields))
        if isinstance(obj, SendProtocol):
            arguments: list[Any] = [obj.node, obj.arg]
            if (limit := getattr(obj, "timeout", None)) is not None:
                arguments.append(limit)
            return self._extension(EXT_CONSTRUCTOR_POS_ARGS, (*name, arguments))
        if isinstance(obj, tuple):
            if (fields_of := _method(obj, "_asdict")) is not None:
                return self._extension(EXT_CONSTRUCTOR_KW_ARGS, (*name, fields_of()))
            return ormsgpack.Ext(EXT_TUPLE, self._pack(list(obj)))
        if (dump := _method(obj, "dict")) is not None:
            return self._extension(EXT_PYDANTIC_V1, (*name, dump()))
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(obj, numpy.ndarray) and not obj.dtype.hasobject:
            fortran = obj.flags.f_contiguous and not obj.flags.c_contiguous
            order = "F" if fortran else "C"
            array = [obj.dtype.str, list(obj.shape), order, obj.tobytes(order=order)]
            return ormsgpack.Ext(EXT_NUMPY_ARRAY, self._pack(array))
        if numpy is not None and isinstance(obj, numpy.generic):
            raise TypeError(f"convert {cls.__name__} to a Python number first (`.item()`)")
        raise TypeError(f"a {cls.__module__}.{cls.__name__} cannot be serialized")

    def _extension(self, code: int, arguments: tuple[Any, ...]) -> ormsgpack.Ext:
        self._require_allowed(arguments[0], arguments[1])
        return ormsgpack.Ext(code, self._pack(list(arguments)))

    # -- reading

    def _revive(self, code: int, data: bytes) -> Any:
        try:
            return self._revive_known(code, data)
        except Exception as error:
            _reason.error = error
            raise

    def _revive_known(self, code: int, data: bytes) -> Any:
        if code == EXT_SURROGATES:
            return data.decode("utf-8", "surrogatepass")
        if code == EXT_BIG_INTEGER:
            return int.from_bytes(data, "big", signed=True)
        value = self._unpack(data)
        match code:
            case c if c == EXT_TUPLE:
                return tuple(value)
            case c if c == EXT_DELTA_SNAPSHOT:
                return _DeltaSnapshot(value)
            case c if c == EXT_PAIRS:
                return dict(value)
            case c if c == EXT_ZONED_DATETIME:
                text, zone, fold = value
                return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
            case c if c == EXT_NUMPY_ARRAY:
                numpy = importlib.import_module("numpy")
                dtype, shape, order, buffer = value
                return numpy.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)
        return self._construct(code, value)

    def _construct(self, code: int, value: Any) -> Any:
        try:
            module, name, argument, *rest = value
        except (TypeError, ValueError):
            raise CorruptedCheckpointError(
                f"a stored value has an unknown extension (code {code})"
            ) from None
        if code == EXT_METHOD_SINGLE_ARG and (module, name, *rest) not in SAFE_MSGPACK_METHODS:
            raise TypeNotAllowedError(f"a stored value calls {module}.{name}.{rest}: refused")
        self._require_allowed(module, name)
        factory: Any = getattr(importlib.import_module(module), name)
        match code:
            case c if c == EXT_CONSTRUCTOR_SINGLE_ARG:
                return factory(argument)
            case c if c == EXT_CONSTRUCTOR_POS_ARGS:
                if (module, name) == ("langgraph.types", "Send") and len(argument) == 3:
                    return factory(argument[0], argument[1], timeout=argument[2])
                return factory(*argument)
            case c if c == EXT_CONSTRUCTOR_KW_ARGS:
                return factory(**argument)
            case c if c == EXT_METHOD_SINGLE_ARG:
                return getattr(factory, rest[0])(argument)
            case c if c in (EXT_PYDANTIC_V2, EXT_PYDANTIC_V1):
                return _build_model(factory, argument)
            case _:
                raise CorruptedCheckpointError(
                    f"a stored value has an unknown extension (code {code})"
                )

    def _require_allowed(self, module: Any, name: Any) -> None:
        if (module, name) not in self._allowed:
            raise TypeNotAllowedError(
                f"{module}.{name} is not on the serializer's allow-list. If you trust it, pass "
                f"allow=[{name}] (or allow=[({module!r}, {name!r})]) to BorealisSaver",
                refused=(str(module), str(name)),
            )


# ormsgpack hides what a hook raised; the hooks leave it here for the call that started them.
_reason = threading.local()


def _packb(obj: Any, default: Callable[[Any], Any]) -> bytes:
    _reason.error = None
    try:
        return ormsgpack.packb(obj, default=default, option=PACK)
    except ormsgpack.MsgpackEncodeError:
        reason = _reason.error
        if isinstance(reason, (AgentMemoryError, TypeError)) and not isinstance(
            reason, ormsgpack.MsgpackEncodeError
        ):
            raise reason from None
        raise


def _key(entry: type | TypeKey) -> TypeKey:
    return (entry.__module__, entry.__name__) if isinstance(entry, type) else tuple(entry)


def _method(obj: Any, name: str) -> Callable[[], Any] | None:
    method = getattr(obj, name, None)
    return method if callable(method) else None


def _build_model(model: Any, values: dict[str, Any]) -> Any:
    """A pydantic model of stored values; unvalidated if its class has changed since."""
    try:
        return model(**values)
    except (TypeError, ValueError):
        construct = getattr(model, "model_construct", None) or model.construct
        return construct(**values)


@dataclasses.dataclass(frozen=True, slots=True)
class _Surrogates:
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class _BigInteger:
    value: int


@dataclasses.dataclass(frozen=True, slots=True)
class _Pairs:
    pairs: list[list[Any]]


def _wrap(obj: Any) -> Any:
    """Replace what msgpack cannot hold, inside plain containers, by our marks for it."""
    match obj:
        case bool() | None | float() | bytes() | Enum():
            return obj
        case str():
            try:
                obj.encode()
            except UnicodeEncodeError:
                return _Surrogates(str(obj))
            return obj
        case int():
            return obj if obj in INT64 else _BigInteger(int(obj))
        case dict():
            if all(isinstance(key, str) and _wrap(key) is key for key in obj):
                return {key: _wrap(value) for key, value in obj.items()}
            return _Pairs([[_wrap(key), _wrap(value)] for key, value in obj.items()])
        case list():
            return [_wrap(value) for value in obj]
        case tuple() if type(obj) is tuple:
            return tuple(_wrap(value) for value in obj)
        case _:
            return obj


def _builtin(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__name__


def _datetime(value: datetime) -> tuple[int, Any]:
    if isinstance(value.tzinfo, ZoneInfo) and value.tzinfo.key:
        wall = value.replace(tzinfo=None, fold=0)
        return EXT_ZONED_DATETIME, [wall.isoformat(), value.tzinfo.key, value.fold]
    return EXT_METHOD_SINGLE_ARG, ("datetime", "datetime", value.isoformat(), "fromisoformat")


def _time(value: time) -> tuple[int, Any]:
    fields = {
        name: getattr(value, name)
        for name in ("hour", "minute", "second", "microsecond", "tzinfo", "fold")
    }
    return EXT_CONSTRUCTOR_KW_ARGS, ("datetime", "time", fields)


_Encoder = Callable[[Any], tuple[int, Any]]

_PLAIN = frozenset({EXT_TUPLE, EXT_ZONED_DATETIME})

_ENCODERS: dict[type, _Encoder] = {
    tuple: lambda v: (EXT_TUPLE, list(v)),
    datetime: _datetime,
    date: lambda v: (EXT_CONSTRUCTOR_POS_ARGS, ("datetime", "date", [v.year, v.month, v.day])),
    time: _time,
    timedelta: lambda v: (
        EXT_CONSTRUCTOR_POS_ARGS,
        ("datetime", "timedelta", [v.days, v.seconds, v.microseconds]),
    ),
    timezone: lambda v: (
        EXT_CONSTRUCTOR_POS_ARGS,
        ("datetime", "timezone", list(v.__getinitargs__())),
    ),
    ZoneInfo: lambda v: (EXT_CONSTRUCTOR_SINGLE_ARG, ("zoneinfo", "ZoneInfo", v.key)),
    UUID: lambda v: (EXT_CONSTRUCTOR_SINGLE_ARG, ("uuid", "UUID", v.hex)),
    decimal.Decimal: lambda v: (EXT_CONSTRUCTOR_SINGLE_ARG, ("decimal", "Decimal", str(v))),
    re.Pattern: lambda v: (EXT_CONSTRUCTOR_POS_ARGS, ("re", "compile", [v.pattern, v.flags])),
    **{
        cls: lambda v: (EXT_CONSTRUCTOR_SINGLE_ARG, (*_builtin(type(v)), list(v)))
        for cls in (set, frozenset, deque)
    },
    **{
        cls: lambda v: (EXT_CONSTRUCTOR_SINGLE_ARG, (*_builtin(type(v)), str(v)))
        for cls in (
            ipaddress.IPv4Address,
            ipaddress.IPv4Interface,
            ipaddress.IPv4Network,
            ipaddress.IPv6Address,
            ipaddress.IPv6Interface,
            ipaddress.IPv6Network,
        )
    },
}
