"""Identifiers as PostgreSQL can store them, and small.

A text value may hold neither NUL nor a lone surrogate; a thread id or a key may. They are
escaped with U+001A (SUBSTITUTE), which itself is escaped too, so that the mapping is exact.
Ids of checkpoints and tasks, which nearly always are UUIDs, are packed to 17 bytes.
"""

import re
from uuid import UUID

_ESCAPE = "\x1a"
_UNSAFE = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{4})")


def storable(text: str) -> str:
    """The text as PostgreSQL can store it; almost always the text itself."""
    if type(text) is not str:
        text = str.__str__(text)  # psycopg would send the name of an enum's member
    if _UNSAFE.search(text) is None:
        return text
    return _UNSAFE.sub(lambda match: f"{_ESCAPE}{ord(match[0]):04x}", text)


def original(text: str) -> str:
    """What `storable` was given."""
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)


_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_IS_UUID, _IS_TEXT = b"\x01", b"\x02"


def pack_id(text: str) -> bytes:
    """An id in bytes that sort as the ids do: UUIDs among themselves, and after them the others."""
    if _UUID.fullmatch(text):
        return _IS_UUID + bytes.fromhex(text.replace("-", ""))
    return _IS_TEXT + text.encode("utf-8", "surrogatepass")


def unpack_id(packed: bytes) -> str:
    """What `pack_id` was given."""
    if packed[:1] == _IS_UUID:
        return str(UUID(bytes=packed[1:]))
    return packed[1:].decode("utf-8", "surrogatepass")
