"""What the data keys of backups are wrapped with: a key of the state directory, or a KMS.

A provider wraps and unwraps 32 bytes; that is all it is asked for, so Amazon's KMS is one and
anything shaped like it can be. A wrapped key says which provider and which key it needs.
"""

import base64
import hashlib
import os
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cluster_runtime.backup.vault.sealing import KEY_BYTES, NONCE_BYTES
from cluster_runtime.errors import BackupKeyError, StateDirectoryError

KEY_FILE = "backup.key"
LOCAL, KMS = "local", "kms"
KEY_ID_CHARACTERS = 16
DEFAULT_REGION = "us-east-1"


class KeyProvider(Protocol):
    """Wraps data keys."""

    @property
    def kind(self) -> str:
        """The word for it in what it wrapped."""

    @property
    def key_id(self) -> str:
        """Which of its keys it is; no secret."""

    def wrap(self, key: bytes, context: str) -> bytes:
        """A data key that only this provider can tell again. context: authenticated with it."""

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """The data key. Raises BackupKeyError."""


class LocalKey:
    """A key in a file of 0600: `backup.key` of a state directory, or a copy of it."""

    kind = LOCAL

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self.key_id = hashlib.sha256(b"borealis backup key" + key).hexdigest()[:KEY_ID_CHARACTERS]

    def wrap(self, key: bytes, context: str) -> bytes:
        """See `KeyProvider`."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, context.encode())

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """See `KeyProvider`."""
        try:
            return self._cipher.decrypt(
                wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context.encode()
            )
        except (InvalidTag, ValueError) as error:
            raise BackupKeyError(
                f"the key {self.key_id} does not open this backup; give the {KEY_FILE} of the "
                "state directory that wrote it"
            ) from error

    @classmethod
    def of(cls, directory: Path) -> "LocalKey":
        """That of a state directory, made on first use. Raises StateDirectoryError."""
        path = directory / KEY_FILE
        if not path.exists():
            partial = path.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
        return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> "LocalKey":
        """That of a file. Raises StateDirectoryError where it holds none."""
        try:
            return cls.parse(path.read_text(encoding="ascii"))
        except (OSError, ValueError, BackupKeyError) as error:
            raise StateDirectoryError(
                f"{path} holds no backup key; put back a copy of it"
            ) from error

    @classmethod
    def parse(cls, text: str) -> "LocalKey":
        """That of the text of such a file. Raises BackupKeyError."""
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise BackupKeyError(f"that is no backup key; give the text of a {KEY_FILE}")
        return cls(key)


class KmsKey:
    """A key of AWS KMS, or of whoever speaks as it does.

    key_id: its ARN, id or alias. Another endpoint is named as all AWS tools are told one:
    `AWS_ENDPOINT_URL_KMS`.
    """

    kind = KMS

    def __init__(self, key_id: str) -> None:
        from botocore.session import Session

        self.key_id = key_id
        region = key_id.split(":")[3] if key_id.startswith("arn:") else None
        session = Session()
        self._kms = session.create_client(
            "kms", region_name=region or session.get_config_variable("region") or DEFAULT_REGION
        )

    def wrap(self, key: bytes, context: str) -> bytes:
        """See `KeyProvider`. Raises BackupKeyError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._kms.encrypt(
                KeyId=self.key_id, Plaintext=key, EncryptionContext={"backup": context}
            )
        except (BotoCoreError, ClientError) as error:
            raise BackupKeyError(f"KMS key {self.key_id} cannot be used: {error}") from error
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """See `KeyProvider`."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._kms.decrypt(
                CiphertextBlob=wrapped, KeyId=self.key_id, EncryptionContext={"backup": context}
            )
        except (BotoCoreError, ClientError) as error:
            raise BackupKeyError(f"KMS key {self.key_id} cannot be used: {error}") from error
        return bytes(answer["Plaintext"])
