"""SCRAM-SHA-256, the server's side, from the verifiers that PostgreSQL keeps in `pg_authid`.

Source: RFC 5802 (SCRAM), RFC 7677 (SHA-256), RFC 5929 (channel binding `tls-server-end-point`),
RFC 4013 (SASLprep); PostgreSQL 18 documentation, "SASL Authentication".

An unknown user gets a mock exchange that looks like any other and cannot succeed: who asks does
not learn which names exist.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from dataclasses import dataclass, field

SCRAM_SHA_256 = "SCRAM-SHA-256"
SCRAM_SHA_256_PLUS = "SCRAM-SHA-256-PLUS"
ITERATIONS = 4096  # PostgreSQL's default of scram_iterations
SALT_BYTES = 16

_VERIFIER = re.compile(
    r"SCRAM-SHA-256\$(\d{1,10}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)"
)
_CLIENT_FIRST = re.compile(
    rb"(?P<gs2>(?P<flag>[ny]|p=(?P<binding>[A-Za-z0-9.-]+)),,)"
    rb"(?P<bare>n=[^,]*,r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,.*)?)",
    re.DOTALL,
)
_CLIENT_FINAL = re.compile(
    rb"(?P<rest>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[^,]+)*?)"
    rb",p=(?P<proof>[A-Za-z0-9+/=]+)",
    re.DOTALL,
)


class ScramError(Exception):
    """The client's message breaks the SCRAM protocol. Not raised for a wrong password."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """What PostgreSQL stores instead of a password (`pg_authid.rolpassword`)."""

    iterations: int
    salt: bytes
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Verifier | None":
        """Read `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`; None for other text."""
        match = _VERIFIER.fullmatch(text)
        if match is None:
            return None
        try:
            salt, stored_key, server_key = (
                base64.b64decode(part, validate=True) for part in match.groups()[1:]
            )
        except binascii.Error:
            return None
        iterations = int(match[1])
        if not iterations or not salt or {len(stored_key), len(server_key)} != {32}:
            return None
        return cls(iterations, salt, stored_key, server_key)

    @classmethod
    def mock(cls, user: str, secret: bytes) -> "Verifier":
        """A verifier that no password fits; the same salt each time a name is asked for."""
        salt = hmac.digest(secret, b"salt:" + user.encode(), "sha256")[:SALT_BYTES]
        return cls(ITERATIONS, salt, secrets.token_bytes(32), secrets.token_bytes(32))

    def __str__(self) -> str:
        stored = _b64(self.stored_key) + ":" + _b64(self.server_key)
        return f"SCRAM-SHA-256${self.iterations}:{_b64(self.salt)}${stored}"


def make_verifier(password: str, *, iterations: int = ITERATIONS, salt: bytes | None = None) -> str:
    """The verifier of a password, for `ALTER ROLE ... PASSWORD`: the password itself then never
    travels in SQL text.
    """
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    client_key, server_key = _keys(password, salt, iterations)
    return str(Verifier(iterations, salt, hashlib.sha256(client_key).digest(), server_key))


class ScramServer:
    """One exchange: `first` answers the client's first message, `final` its last.

    verifier: of the role, or `Verifier.mock`.
    nonce: the server's part, printable ASCII without a comma, fresh for each exchange.
    server_end_point: RFC 5929 `tls-server-end-point` data when the connection runs in TLS: the
        hash of the server's certificate. Offers SCRAM-SHA-256-PLUS.
    mechanism: the one that the client has chosen in `first`.
    """

    def __init__(
        self, verifier: Verifier, *, nonce: str, server_end_point: bytes | None = None
    ) -> None:
        self._verifier = verifier
        self._server_nonce = nonce.encode()
        self._server_end_point = server_end_point
        self.mechanism = SCRAM_SHA_256
        self._nonce = b""
        self._binding = b""
        self._auth_message = b""

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What the client may choose from; channel binding needs TLS."""
        if self._server_end_point is None:
            return (SCRAM_SHA_256,)
        return (SCRAM_SHA_256_PLUS, SCRAM_SHA_256)

    def first(self, mechanism: str, message: bytes) -> bytes:
        """The server-first-message. Raises ScramError.

        The user name in the message is ignored, as by PostgreSQL: the startup message's counts.
        """
        if mechanism not in self.mechanisms:
            raise ScramError("client selected an invalid SASL authentication mechanism")
        match = _CLIENT_FIRST.fullmatch(message)
        if match is None:
            raise ScramError("malformed SCRAM message")
        self.mechanism = mechanism
        bound = mechanism == SCRAM_SHA_256_PLUS
        if bound != (match["binding"] is not None):
            raise ScramError("malformed SCRAM message: channel binding flag and mechanism disagree")
        if bound and match["binding"] != b"tls-server-end-point":
            raise ScramError("unsupported SCRAM channel-binding type")
        if match["flag"] == b"y" and self._server_end_point is not None:
            # The client can bind and believes that we cannot: someone took -PLUS off our offer.
            raise ScramError("SCRAM channel binding negotiation error")
        self._binding = match["gs2"] + (self._server_end_point or b"" if bound else b"")
        self._nonce = match["nonce"] + self._server_nonce
        salt = _b64(self._verifier.salt).encode()
        answer = b"r=%s,s=%s,i=%d" % (self._nonce, salt, self._verifier.iterations)
        self._auth_message = match["bare"] + b"," + answer
        return answer

    def final(self, message: bytes) -> bytes | None:
        """The server-final-message; None when the password was wrong. Raises ScramError."""
        match = _CLIENT_FINAL.fullmatch(message)
        if match is None:
            raise ScramError("malformed SCRAM message")
        try:
            binding = base64.b64decode(match["binding"], validate=True)
            proof = base64.b64decode(match["proof"], validate=True)
        except binascii.Error:
            raise ScramError("malformed SCRAM message: invalid base64") from None
        if not hmac.compare_digest(match["nonce"], self._nonce):
            raise ScramError("invalid SCRAM response: nonce does not match")
        if not hmac.compare_digest(binding, self._binding):
            raise ScramError("SCRAM channel binding check failed")
        if len(proof) != hashlib.sha256().digest_size:
            raise ScramError("malformed SCRAM message: wrong length of the proof")
        auth_message = self._auth_message + b"," + match["rest"]
        signature = hmac.digest(self._verifier.stored_key, auth_message, "sha256")
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        if not hmac.compare_digest(hashlib.sha256(client_key).digest(), self._verifier.stored_key):
            return None
        server_signature = hmac.digest(self._verifier.server_key, auth_message, "sha256")
        return b"v=" + _b64(server_signature).encode()


def saslprep(password: str) -> str:
    """RFC 4013. A password that it forbids is returned as it is, as PostgreSQL does."""
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in password
        if not stringprep.in_table_b1(char)
    )
    normal = unicodedata.normalize("NFKC", mapped)
    prohibited = (
        stringprep.in_table_a1, stringprep.in_table_c12, stringprep.in_table_c21_c22,
        stringprep.in_table_c3, stringprep.in_table_c4, stringprep.in_table_c5,
        stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
        stringprep.in_table_c9,
    )  # fmt: skip
    if not normal or any(test(char) for char in normal for test in prohibited):
        return password
    right_to_left = [stringprep.in_table_d1(char) for char in normal]
    if any(right_to_left) and (
        any(stringprep.in_table_d2(char) for char in normal)
        or not (right_to_left[0] and right_to_left[-1])
    ):
        return password
    return normal


def _keys(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    """ClientKey and ServerKey of RFC 5802, section 3."""
    salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)
    return hmac.digest(salted, b"Client Key", "sha256"), hmac.digest(
        salted, b"Server Key", "sha256"
    )


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
