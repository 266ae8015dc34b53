"""What messages were packed to, as long as they have not changed since.

A thread's messages are packed again at every step, though a step adds one or two. Here a message
that was packed, or was just read, keeps its bytes: it is unchanged if each of its fields is the
very object that it was, and none of them can have changed inside. Messages with something in a
list or a dict are not kept. What is kept lives as long as its message.
"""

import operator
from typing import Any
from weakref import ref

from pydantic import BaseModel

_FIXED = frozenset({str, int, float, bool, bytes, type(None)})
_EMPTIABLE = frozenset({list, dict})


class _Kept(ref[BaseModel]):
    """A message's fields when it had these bytes; holding them keeps their identity theirs."""

    __slots__ = ("containers", "data", "names", "place", "values")

    place: int
    data: bytes
    names: tuple[str, ...]
    values: tuple[Any, ...]
    containers: list[Any]


class PackedMessages:
    """The bytes of unchanged messages; to be used from any thread."""

    def __init__(self) -> None:
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
        kept = self._kept.get(id(message))
        if kept is None or kept() is not message or message.__pydantic_extra__:
            return None
        fields: dict[str, Any] = message.__dict__
        if (
            kept.names == tuple(fields)
            and all(map(operator.is_, fields.values(), kept.values))
            and not any(kept.containers)
        ):
            return kept.data
        return None

    def note(self, message: BaseModel, data: bytes) -> None:
        """A message has just been packed to this, or been read from it."""
        if message.__pydantic_extra__:
            return
        fields: dict[str, Any] = message.__dict__
        containers = []
        for value in fields.values():
            kind = type(value)
            if kind not in _FIXED:
                if value or kind not in _EMPTIABLE:
                    return
                containers.append(value)
        kept = _Kept(message, self._forget)
        kept.place, kept.data = id(message), data
        kept.names, kept.values, kept.containers = tuple(fields), tuple(fields.values()), containers
        self._kept[kept.place] = kept
