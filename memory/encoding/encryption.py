"""A cipher for LangGraph's `EncryptedSerializer`: AES-256 in Galois/Counter mode.

    saver = BorealisSaver(cluster, serde=EncryptedSerializer(AesGcm(key)))

Source: NIST SP 800-38D; the implementation is that of the `cryptography` package.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from memory.errors import ConfigurationError, CorruptedCheckpointError

NONCE_BYTES = 12
NAME = "aes-gcm"


class AesGcm:
    """key: 16, 24 or 32 bytes, kept out of logs and reprs. Safe to use from several threads."""

    def __init__(self, key: bytes) -> None:
        if len(key) not in (16, 24, 32):
            raise ConfigurationError(f"the key has {len(key)} bytes; it must have 16, 24 or 32")
        self._cipher = AESGCM(key)

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        """The cipher's name, and nonce, ciphertext and tag."""
        nonce = os.urandom(NONCE_BYTES)
        return NAME, nonce + self._cipher.encrypt(nonce, plaintext, None)

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        """The plaintext; raises `CorruptedCheckpointError` for another key or altered bytes."""
        if ciphername != NAME:
            raise CorruptedCheckpointError(f"the value is encrypted with {ciphername!r}")
        nonce, rest = ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, rest, None)
        except (InvalidTag, ValueError) as error:
            raise CorruptedCheckpointError(
                "a value cannot be decrypted: the key is another one, or the bytes were altered"
            ) from error
