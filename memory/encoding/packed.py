"""What messages were packed to, as long as they have not changed since.

A thread's messages are packed again at every step, though a step adds one or two. Here a message
that was packed, or was just read, keeps its bytes: it is unchanged if each of its fields is the
very object that it was, and none of them can have changed inside. Messages with something in a
list or a dict are not kept. What is kept lives as long as its message.

The other way round, such a message is read again in every run of its thread: another one like it
is made of the fields that these very bytes were read to, each list and dict a new one. Those read
last are remembered, up to REMEMBERED_BYTES.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import ref

from langgraph.checkpoint.serde.jsonplus import EXT_PYDANTIC_V2
from pydantic import BaseModel

from memory.encoding.msgpack import extension_head
from memory.forked import FreshLock

REMEMBERED_BYTES = 8 << 20
MOLD_BYTES = 512
"""What a remembered message takes beside its bytes, about."""

_set = object.__setattr__
_FIXED = frozenset({str, int, float, bool, bytes, type(None)})
_EMPTIABLE = frozenset({list, dict})


class _Kept(ref[BaseModel]):
    """A message's fields when it had these bytes; holding them keeps their identity theirs."""

    __slots__ = ("containers", "data", "framed", "names", "place", "values")

    place: int
    data: bytes
    framed: bytes
    names: tuple[str, ...]
    values: tuple[Any, ...]
    containers: list[Any]


@dataclass(frozen=True, slots=True)
class _Mold:
    """A message that was read: its fields, of which those in `containers` are to be new ones."""

    cls: type[BaseModel]
    data: bytes
    framed: bytes
    fields: dict[str, Any]
    names: tuple[str, ...]
    containers: tuple[tuple[str, type], ...]
    takes_more: bool


class PackedMessages:
    """The bytes of unchanged messages; to be used from any thread. limit: of what was read."""

    def __init__(self, limit: int = REMEMBERED_BYTES) -> None:
        self._molds: dict[bytes, _Mold] = {}
        self._left = limit
        self._lock = FreshLock()
        kept: dict[int, _Kept] = {}

        def forget(gone: "ref[BaseModel]") -> None:
            assert isinstance(gone, _Kept)
            if kept.get(gone.place) is gone:
                del kept[gone.place]

        self._kept, self._forget = kept, forget

    def __len__(self) -> int:
        """How many there are."""
        return len(self._kept)

    def get(self, message: BaseModel) -> bytes | None:
        """What this message was packed to; None if it may have changed."""
        (kept,) = self._unchanged((message,))
        return None if kept is None else kept.data

    def framed(self, messages: Sequence[Any]) -> list[bytes | None]:
        """What each was packed to, as an extension value; None for what may have changed."""
        return [None if kept is None else kept.framed for kept in self._unchanged(messages)]

    def _unchanged(self, messages: Sequence[Any]) -> list[_Kept | None]:
        # One loop without calls: it is what storing a long conversation costs.
        found: list[_Kept | None] = []
        known, same = self._kept.get, operator.is_
        for message in messages:
            kept = known(id(message))
            if kept is None or message.__pydantic_extra__ or kept() is not message:
                found.append(None)
                continue
            fields = message.__dict__
            if (
                kept.names == tuple(fields)
                and all(map(same, fields.values(), kept.values))
                and not any(kept.containers)
            ):
                found.append(kept)
            else:
                found.append(None)
        return found

    def note(self, message: BaseModel, data: bytes) -> None:
        """A message has just been packed to this."""
        if not message.__pydantic_extra__:
            fields: dict[str, Any] = message.__dict__
            containers = _containers(fields)
            if containers is not None:
                empty = [fields[name] for name in containers]
                self._keep(message, data, framed(data), fields, tuple(fields), empty)

    def note_read(self, message: BaseModel, data: bytes) -> None:
        """A message has just been read from this, and nobody has it yet."""
        fields: dict[str, Any] = message.__dict__
        containers = _containers(fields)
        if message.__pydantic_extra__ or containers is None:
            return
        names, value = tuple(fields), framed(data)
        empty = [fields[name] for name in containers]
        self._keep(message, data, value, fields, names, empty)
        kinds = tuple((name, type(fields[name])) for name in containers)
        takes_more = message.__pydantic_extra__ is not None
        mold = _Mold(type(message), data, value, fields.copy(), names, kinds, takes_more)
        for name in containers:
            mold.fields[name] = None
        with self._lock:
            if data not in self._molds:
                self._molds[data] = mold
                self._left -= len(data) + MOLD_BYTES
            while self._left < 0:
                oldest = next(iter(self._molds))
                del self._molds[oldest]
                self._left += len(oldest) + MOLD_BYTES

    def again(self, data: bytes) -> BaseModel | None:
        """A new message that equals the one that was read from these bytes before, if one was."""
        mold = self._molds.get(data)
        if mold is None:
            return None
        fields = mold.fields.copy()
        containers = []
        for name, kind in mold.containers:
            fields[name] = new = kind()
            containers.append(new)
        made = mold.cls.__new__(mold.cls)
        _set(made, "__dict__", fields)
        _set(made, "__pydantic_fields_set__", set(fields))
        _set(made, "__pydantic_extra__", {} if mold.takes_more else None)
        _set(made, "__pydantic_private__", None)
        self._keep(made, mold.data, mold.framed, fields, mold.names, containers)
        return made

    def _keep(
        self,
        message: BaseModel,
        data: bytes,
        framed: bytes,
        fields: dict[str, Any],
        names: tuple[str, ...],
        containers: list[Any],
    ) -> None:
        kept = _Kept(message, self._forget)
        kept.place, kept.data, kept.framed = id(message), data, framed
        kept.names, kept.values, kept.containers = names, tuple(fields.values()), containers
        self._kept[kept.place] = kept


def framed(data: bytes) -> bytes:
    """The extension value of a model that was packed to this."""
    return extension_head(EXT_PYDANTIC_V2, len(data)) + data


def _containers(fields: dict[str, Any]) -> list[str] | None:
    """The names of the fields that hold an empty list or dict; None if one holds anything else."""
    containers = []
    for name, value in fields.items():
        kind = type(value)
        if kind not in _FIXED:
            if value or kind not in _EMPTIABLE:
                return None
            containers.append(name)
    return containers
