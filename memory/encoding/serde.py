"""The serializer: LangGraph's msgpack format, exact for every value and strict about classes.

It reads and writes what `JsonPlusSerializer` does, with two differences. Exact: what is accepted
comes back equal to itself, of the same type, at any depth; anything else is refused by name and
nothing is stored (the parent class replaces, drops and flattens). Strict: a class that is not on
the allow-list is refused by name before anything is imported, when it is written and when it is
read; there is no pickle.
"""

import copy
import re
import threading
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self
from zoneinfo import ZoneInfo

import ormsgpack
from langgraph.checkpoint.serde._msgpack import SAFE_MSGPACK_METHODS
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
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from memory.encoding import restoring
from memory.encoding.classes import Aliases, AllowList, TypeKey
from memory.encoding.msgpack import array_head
from memory.encoding.packed import PackedMessages, framed
from memory.encoding.shapes import (
    EXT_BIG_INTEGER,
    EXT_EXCEPTION,
    EXT_NUMPY_SCALAR,
    EXT_PAIRS,
    EXT_SUBCLASS,
    EXT_SURROGATES,
    EXT_TUPLE,
    EXT_TYPE,
    EXT_ZONED_DATETIME,
    Marked,
    Shapes,
    is_langchains,
    mark,
    needs_marks,
)
from memory.encoding.unreadable import Unreadable
from memory.errors import (
    AgentMemoryError,
    CorruptedCheckpointError,
    NotSerializableError,
    TypeNotAllowedError,
)

__all__ = ["BorealisSerializer", "TypeKey"]

PACK_TEXT_KEYS = (
    ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_UUID
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
)
PACK = PACK_TEXT_KEYS | ormsgpack.OPT_NON_STR_KEYS
# First bytes of msgpack's binary formats.
_BINARY = re.compile(b"[\xc4-\xc6]")
UNPACK = ormsgpack.OPT_NON_STR_KEYS
LANGCHAINS_LENGTH = 4
"""Of `Shapes.message`; other models have more, or less."""


class BorealisSerializer(JsonPlusSerializer):
    """Strict and exact serializer; the default of `BorealisSaver`.

    allow: classes, or `(module, name)` pairs, beyond the built-in list (standard library values,
        LangChain messages and documents, LangGraph's own types): your state's dataclasses,
        pydantic models, enums and named tuples, each with the classes of its fields. A state's
        `TypedDict` stands for all its fields. A graph names the classes of its state by itself.
    aliases: `{"module.Old": New}`, for classes that were renamed since they were stored.
    recover: read what cannot be built as `Unreadable`, which holds the plain values.
    """

    def __init__(
        self,
        *,
        allow: Iterable[type | TypeKey] = (),
        aliases: Aliases | None = None,
        recover: bool = False,
    ) -> None:
        self._allowed = AllowList(allow, aliases)
        self._shapes = Shapes(self._allowed)
        self._packed = PackedMessages()
        self._recover = recover
        super().__init__(
            pickle_fallback=False,
            allowed_msgpack_modules=tuple(self._allowed.keys),
            __unpack_ext_hook__=self._revive,
        )

    def with_msgpack_allowlist(self, extra_allowlist: Iterable[type | TypeKey]) -> Self:
        """The same serializer, which allows more now: LangGraph names the classes of a graph."""
        self._allowed.extend(extra_allowlist)
        return self

    def recovering(self) -> "BorealisSerializer":
        """The same rules, with `recover`."""
        if self._recover:
            return self
        twin = copy.copy(self)
        twin._recover = True
        return twin

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Serialize. Raises `TypeNotAllowedError`, and `NotSerializableError` with the place."""
        kind = type(obj)
        if obj is None:
            return "null", b""
        if kind is bytes:
            return "bytes", obj
        if kind is bytearray:
            return "bytearray", bytes(obj)
        try:
            return "msgpack", self._pack(obj)
        except AgentMemoryError:
            raise
        except (ormsgpack.MsgpackEncodeError, RecursionError) as error:
            raise NotSerializableError(
                f"a {kind.__module__}.{kind.__qualname__} cannot be stored: {error}"
            ) from error

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

    # -- writing

    def _pack(self, obj: Any) -> bytes:
        if type(obj) is list and (packed := self._pack_messages(obj)) is not None:
            return packed
        try:
            packed = self._packb(obj, PACK_TEXT_KEYS)
        except AgentMemoryError:
            raise  # a MsgpackEncodeError is any TypeError
        except ormsgpack.MsgpackEncodeError:
            # Other keys, lone surrogates, integers beyond 64 bits: looked for only now.
            return self._packb(mark(obj), PACK)
        else:
            # Without a mark of binary data in it, no bytearray has become bytes.
            if _BINARY.search(packed) is None or not needs_marks(obj):
                return packed
        return self._packb(mark(obj), PACK)

    def _pack_messages(self, messages: list[Any]) -> bytes | None:
        """A list of messages alone, as ormsgpack packs it; None for any other list.

        Asking for each through its hook costs more than all the bytes that are kept.
        """
        if not all(map(is_langchains, map(type, messages))):
            return None
        parts = self._packed.framed(messages)
        for place, part in enumerate(parts):
            if part is not None:
                continue
            try:
                parts[place] = framed(self._message(messages[place]))
            except AttributeError:
                return None  # it was made without its constructor: refused as any other value is
        return b"".join((array_head(len(messages)), *parts))  # type: ignore[arg-type]

    def _message(self, message: Any) -> bytes:
        """What the extension value of a message, or a document, holds."""
        data = self._packed.get(message)
        if data is None:
            data = self._pack(self._shapes.message(message))
            self._packed.note(message, data)
        return data

    def _packb(self, obj: Any, option: int) -> bytes:
        _reason.error = None
        try:
            return ormsgpack.packb(obj, default=self._encode, option=option)
        except ormsgpack.MsgpackEncodeError:
            # ormsgpack hides what a hook raised; the hook leaves it here.
            if isinstance(reason := _reason.error, AgentMemoryError):
                raise reason from None
            raise

    def _encode(self, obj: Any) -> ormsgpack.Ext:
        """What ormsgpack does not know: one extension value, its arguments packed inside."""
        try:
            if is_langchains(type(obj)):
                # Messages, mostly: the rest of this method only costs time for them.
                return ormsgpack.Ext(EXT_PYDANTIC_V2, self._message(obj))
            if isinstance(obj, Marked):
                return ormsgpack.Ext(obj.code, obj.data if obj.packed else self._pack(obj.data))
            if isinstance(obj, Unreadable):
                if obj.stored is None:
                    raise NotSerializableError("an Unreadable that was not read cannot be stored")
                return ormsgpack.Ext(*obj.stored)
            code, arguments = self._shapes.of(obj)
            return ormsgpack.Ext(code, self._pack(arguments))
        except Exception as error:
            _reason.error = error
            raise

    # -- reading

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
        if code == EXT_PYDANTIC_V2 and (made := self._packed.again(data)) is not None:
            return made
        value = self._unpack(data)
        if code == EXT_PYDANTIC_V2 and len(value) == LANGCHAINS_LENGTH:
            cls = self._allowed.langchains(value[0], value[1])
            if cls is not None and (made := restoring.message(cls, value[2])) is not None:
                self._packed.note_read(made, data)
                return made
        match code:
            case c if c == EXT_TUPLE:
                restoring.require_as_stored(tuple, value)
                return tuple(value)
            case c if c == EXT_DELTA_SNAPSHOT:
                return _DeltaSnapshot(value)
            case c if c == EXT_PAIRS:
                restoring.require_as_stored(dict, value)
                return dict(value)
            case c if c == EXT_ZONED_DATETIME:
                text, zone, fold = value
                return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
            case c if c == EXT_NUMPY_ARRAY:
                return restoring.array(*value)
            case c if c == EXT_NUMPY_SCALAR:
                return restoring.array(value[0], [], "C", value[1])[()]
            case c if c == EXT_TYPE:
                return self._allowed.type_of(value)
        if not self._recover:
            return self._construct(code, value)
        try:
            return self._construct(code, value)
        except Exception as error:  # noqa: BLE001 - whatever a constructor raises is the reason
            known = isinstance(value, list) and len(value) > 2
            name = f"{value[0]}.{value[1]}" if known else ""
            return Unreadable(name, value[2] if known else value, str(error), (code, bytes(data)))

    def _construct(self, code: int, value: Any) -> Any:
        try:
            module, name, argument, *rest = value
        except (TypeError, ValueError):
            raise CorruptedCheckpointError(
                f"a stored value has an unknown extension (code {code})"
            ) from None
        if code == EXT_METHOD_SINGLE_ARG and (module, name, *rest) not in SAFE_MSGPACK_METHODS:
            raise TypeNotAllowedError(f"a stored value calls {module}.{name}.{rest}: refused")
        factory: Any = self._allowed.find(module, name, restoring.generic_arguments(code, rest))
        match code:
            case c if c == EXT_CONSTRUCTOR_SINGLE_ARG:
                restoring.require_as_stored(factory, [argument])
                return factory(argument)
            case c if c == EXT_CONSTRUCTOR_POS_ARGS:
                restoring.require_as_stored(factory, argument)
                if (module, name) == ("langgraph.types", "Send") and len(argument) == 3:
                    return factory(argument[0], argument[1], timeout=argument[2])
                return factory(*argument)
            case c if c == EXT_CONSTRUCTOR_KW_ARGS:
                return restoring.from_fields(factory, argument, rest)
            case c if c == EXT_METHOD_SINGLE_ARG:
                return getattr(factory, rest[0])(argument)
            case c if c in (EXT_PYDANTIC_V2, EXT_PYDANTIC_V1):
                return restoring.model(factory, argument, rest)
            case c if c == EXT_SUBCLASS:
                return restoring.subclass(factory, argument, *rest)
            case c if c == EXT_EXCEPTION:
                return restoring.exception(factory, argument, *rest)
            case _:
                raise CorruptedCheckpointError(
                    f"a stored value has an unknown extension (code {code})"
                )


_reason = threading.local()
