"""What an object looks like: compressed, then encrypted and authenticated as a whole.

| offset | bytes | field |
|---:|---:|---|
| 0 | 4 | `BRLO` |
| 4 | 2 | format, 1 |
| 6 | 12 | nonce of AES-256-GCM |
| 18 | | zstd of the content, encrypted, and the tag of 16 bytes |

The name of an object is authenticated with it: none can stand in for another one.
"""

import os

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cluster_runtime.backup.core.manifests import NewerFormatError
from cluster_runtime.backup.core.names import content_max_bytes

MAGIC = b"BRLO"
FORMAT = 1
KEY_BYTES = 32
NONCE_BYTES = 12
HEAD_BYTES = len(MAGIC) + 2 + NONCE_BYTES
TAG_BYTES = 16
ZSTD_LEVEL = 1


class UnsealableError(ValueError):
    """Bytes that are no object, are damaged, or were sealed with another key or name."""


def new_key() -> bytes:
    """A fresh data key."""
    return AESGCM.generate_key(KEY_BYTES * 8)


def seal(key: bytes, name: str, content: bytes) -> bytes:
    """An object of a name."""
    head = MAGIC + FORMAT.to_bytes(2, "little")
    nonce = os.urandom(NONCE_BYTES)
    packed = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(content)
    return head + nonce + AESGCM(key).encrypt(nonce, packed, head + name.encode())


def unseal(key: bytes, name: str, sealed: bytes) -> bytes:
    """The content of an object. Raises UnsealableError, NewerFormatError."""
    if len(sealed) < HEAD_BYTES + TAG_BYTES or not sealed.startswith(MAGIC):
        raise UnsealableError("it does not begin as an object does")
    head, nonce = sealed[: len(MAGIC) + 2], sealed[len(MAGIC) + 2 : HEAD_BYTES]
    number = int.from_bytes(head[len(MAGIC) :], "little")
    if number > FORMAT:
        raise NewerFormatError(f"it has format {number}, this release knows up to {FORMAT}")
    try:
        packed = AESGCM(key).decrypt(nonce, sealed[HEAD_BYTES:], head + name.encode())
    except InvalidTag as error:
        raise UnsealableError(
            "it is not what was written, or was written with another key"
        ) from error
    return _unpacked(packed, content_max_bytes(name, len(sealed)))


def _unpacked(packed: bytes, most: int) -> bytes:
    """What was compressed. Who sealed it may be a stranger: nothing is made room for beyond `most`.

    Raises UnsealableError.
    """
    try:
        size = zstandard.frame_content_size(packed)
        if not 0 <= size <= most:
            raise UnsealableError(f"it says that it holds {size} bytes, and may hold {most}")
        return zstandard.ZstdDecompressor().decompress(packed)
    except zstandard.ZstdError as error:
        raise UnsealableError(
            f"what is in it is not compressed as an object is: {error}"
        ) from error
