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


class _Kept:
    """A message's fields when it had these bytes; holding them keeps their identity theirs."""

    __slots__ = ("containers", "data", "names", "of", "values")

    def __init__(self, of: "ref[Any]", fields: dict[str, Any], data: bytes) -> None:
        self.of, self.data = of, data
        self.names, self.values = tuple(fields), tuple(fields.values())
        self.containers = [value for value in self.values if type(value) in _EMPTIABLE]


class PackedMessages:
    """The bytes of unchanged messages; to be used from any thread."""

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._kept)

    def get(self, message: BaseModel) -> bytes | None:
        """What this message was packed to; None if it may have changed."""
        kept = self._kept.get(id(message))
        if kept is None or kept.of() is not message or message.__pydantic_extra__:
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
        fields: dict[str, Any] = message.__dict__
        for value in fields.values():
            if type(value) not in _FIXED and (value or type(value) not in _EMPTIABLE):
                return
        if message.__pydantic_extra__:
            return
        place, kept = id(message), self._kept

        def forget(gone: "ref[Any]") -> None:
            known = kept.get(place)
            if known is not None and known.of is gone:
                del kept[place]

        kept[place] = _Kept(ref(message, forget), fields, data)
