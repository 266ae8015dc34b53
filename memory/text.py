"""Identifiers that PostgreSQL's text type refuses, written another way and read back.

A text value may hold neither NUL nor a lone surrogate; a thread id or a key may. They are
escaped with U+001A (SUBSTITUTE), which itself is escaped too, so that the mapping is exact.
"""

import re

_ESCAPE = "\x1a"
_UNSAFE = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{4})")


def storable(text: str) -> str:
    """The text as PostgreSQL can store it; almost always the text itself."""
    if _UNSAFE.search(text) is None:
        return text
    return _UNSAFE.sub(lambda match: f"{_ESCAPE}{ord(match[0]):04x}", text)


def original(text: str) -> str:
    """What `storable` was given."""
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
