"""Small files with a checksum: a line that names what it is, its format and checksum, then JSON.

    borealis segment 2 crc32c 9ab1f0c2
    {"volume": "...", ...}

Format 1 of each kind was the JSON alone. A file that says what an older release would misread has
a higher number than the rest of its kind: that release takes it for damage, and leaves it.
"""

import google_crc32c

from cluster_runtime.errors import StorageError

FORMAT = 2
_HEAD = "borealis {} {} crc32c {:08x}\n"


class SealBrokenError(StorageError):
    """A file is not what was written to it."""


def seal(kind: str, body: bytes, number: int = FORMAT) -> bytes:
    """The content of a file of that kind. number: its format."""
    return _head(kind, body, number) + body


def unseal(kind: str, content: bytes, newest: int = FORMAT) -> bytes:
    """What was sealed. Raises SealBrokenError for anything that was not written as it is.

    newest: the highest format of that kind.
    """
    head, _, body = content.partition(b"\n")
    numbers = range(FORMAT, newest + 1)
    if not any(content.startswith(_head(kind, body, number)) for number in numbers):
        raise SealBrokenError(
            f"its checksum does not fit, or it is no {kind} of format {newest} or below; it begins "
            f"with {head[:40]!r}"
        )
    return body


def is_unsealed(content: bytes) -> bool:
    """Whether this may be of format 1."""
    return content.startswith(b"{")


def _head(kind: str, body: bytes, number: int = FORMAT) -> bytes:
    return _HEAD.format(kind, number, google_crc32c.value(body)).encode()
