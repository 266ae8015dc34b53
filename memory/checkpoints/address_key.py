"""The secret of an encrypted schema, which keeps content addresses from being guessable.

An address is a hash of what it names; without a key, whoever reads the disk could test guesses.
The key is random, made once for each tenant, and stored only encrypted by the user's own cipher.
"""

import os
from typing import LiteralString

from memory.database.scope import Scope
from memory.database.steps import FetchOne, Plan, Steps, attempt
from memory.encoding.codec import Codec
from memory.errors import ConfigurationError

NAME = "address-key"
INSERT: LiteralString = (
    "insert into {schema}.memory_secrets (tenant, name, value) values (%s, %s, %b)"
    " on conflict do nothing returning value"
)
SELECT: LiteralString = "select value from {schema}.memory_secrets where tenant = %s and name = %s"
KEY_BYTES = 32


def address_key(scope: Scope, codec: Codec) -> Plan[bytes]:
    """Read the secret, making it first if there is none."""
    cipher = codec.cipher
    assert cipher is not None
    name, sealed = cipher.encrypt(os.urandom(KEY_BYTES))
    proposal = name.encode() + b"\0" + sealed

    def steps() -> Steps[bytes]:
        row = yield FetchOne(scope.render(SELECT), (scope.tenant, NAME))
        if row is None:
            yield FetchOne(scope.render(INSERT), (scope.tenant, NAME, proposal))
            row = yield FetchOne(scope.render(SELECT), (scope.tenant, NAME))
        return bytes(row[0])

    label, _, ciphertext = (yield from attempt(steps)).partition(b"\0")
    try:
        key = cipher.decrypt(label.decode(), ciphertext)
    except Exception as error:
        raise ConfigurationError(
            "the encryption key is not the one that this schema was first written with"
        ) from error
    if len(key) != KEY_BYTES:
        raise ConfigurationError("the stored address key has the wrong length")
    return key
