"""Small files with a checksum: a line that names what it is, its format and checksum, then JSON.

    borealis segment 2 crc32c 9ab1f0c2
    {"volume": "...", ...}

Format 1 of each kind was the JSON alone.
"""

import google_crc32c

from cluster_runtime.errors import StorageError

FORMAT = 2
_HEAD = "borealis {} {} crc32c {:08x}\n"


class SealBrokenError(StorageError):
    """A file is not what was written to it."""


def seal(kind: str, body: bytes) -> bytes:
    """The content of a file of that kind."""
    return _head(kind, body) + body


def unseal(kind: str, content: bytes) -> bytes:
    """What was sealed. Raises SealBrokenError for anything that was not written as it is."""
    head, _, body = content.partition(b"\n")
    if not content.startswith(_head(kind, body)):
        raise SealBrokenError(
            f"its checksum does not fit, or it is no {kind} of format {FORMAT}; it begins with "
            f"{head[:40]!r}"
        )
    return body


def is_unsealed(content: bytes) -> bool:
    """Whether this may be of format 1."""
    return content.startswith(b"{")


def _head(kind: str, body: bytes) -> bytes:
    return _HEAD.format(kind, FORMAT, google_crc32c.value(body)).encode()
