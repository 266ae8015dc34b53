"""Messages of the PostgreSQL protocol, as far as a front door has to know them.

Only the start of a connection is read here: the untyped startup packets, and the typed messages
of the authentication exchange. Everything after that is relayed as bytes.

Source: PostgreSQL 18 documentation, "Frontend/Backend Protocol" (Message Formats); the limits are
those of `libpq/pqcomm.h` and `libpq/auth.h`.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from cluster_runtime.gateway.wire.cancel_keys import BackendKey

SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102
TLS_HANDSHAKE_RECORD = 0x16  # first byte of a TLS ClientHello: no startup packet begins so

LATEST_MINOR = 2  # protocol 3.2: cancel keys of up to 256 bytes
# 10 kB for PostgreSQL, with what the gateway adds.
STARTUP_BYTES_MAX = 10_000 - 64
CREDENTIAL_BYTES_MAX = 16_384  # a password message; an IAM token has less than 2 kB
CANCEL_BYTES_MIN, CANCEL_BYTES_MAX = 16, 12 + 256
NAME_BYTES_MAX = 63  # NAMEDATALEN - 1: PostgreSQL cuts longer names off here


class ProtocolVersion(NamedTuple):
    """A version of the protocol, such as 3.0."""

    major: int
    minor: int

    @property
    def code(self) -> int:
        """The version as a startup message has it."""
        return self.major << 16 | self.minor


class ProtocolError(Exception):
    """A peer sent bytes that are no message of the protocol, or none that fits here.

    sqlstate: what PostgreSQL answers in this case (Appendix A, "Error Codes").
    """

    def __init__(self, message: str, sqlstate: str = "08P01") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class Startup:
    """A StartupMessage: the version asked for, its parameters, and the protocol options among them.

    parameters: without the `_pq_.` options, in the order sent; of a repeated name the last value,
        as PostgreSQL takes it.
    unknown_options: names of `_pq_.` options; this gateway knows none of them.
    """

    version: ProtocolVersion
    parameters: dict[str, str]
    unknown_options: tuple[str, ...] = ()


def parse_startup(packet: bytes) -> Startup:
    """Read a whole StartupMessage, its length word included. Raises ProtocolError."""
    version = ProtocolVersion(*struct.unpack_from("!HH", packet, 4))
    body = packet[8:]
    if not body.endswith(b"\0"):
        raise ProtocolError("invalid startup packet layout: expected terminator as last byte")
    fields = body[:-1].split(b"\0")
    if fields.pop() != b"" or len(fields) % 2 or b"" in fields[::2]:
        raise ProtocolError("invalid startup packet layout: expected name and value pairs")
    try:
        words = [field.decode() for field in fields]
    except UnicodeDecodeError:
        raise ProtocolError("startup parameters must be encoded in UTF-8", "22021") from None
    pairs = dict(zip(words[::2], words[1::2], strict=True))
    options = tuple(name for name in pairs if name.startswith("_pq_."))
    return Startup(
        version,
        {name: pairs[name] for name in pairs if name not in options},
        unknown_options=options,
    )


def startup_message(version: ProtocolVersion, parameters: dict[str, str]) -> bytes:
    """The StartupMessage for the server. It is written new rather than passed on, so that the
    server reads exactly what was checked here.
    """
    body = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items()) + b"\0"
    return struct.pack("!II", len(body) + 8, version.code) + body


def parse_cancel(packet: bytes) -> BackendKey:
    """The process that a CancelRequest, its length included, is for, with its secret."""
    (pid,) = struct.unpack_from("!I", packet, 8)
    return BackendKey(int(pid), packet[12:])


def message(kind: bytes, body: bytes = b"") -> bytes:
    """A typed message: one byte, the length (of itself and the body), the body."""
    return kind + struct.pack("!I", len(body) + 4) + body


def authentication(code: int, body: bytes = b"") -> bytes:
    """An Authentication request; the codes are those of "Message Formats"."""
    return message(b"R", struct.pack("!I", code) + body)


AUTHENTICATION_OK = authentication(0)
AUTHENTICATION_CLEARTEXT_PASSWORD = authentication(3)


def authentication_sasl(mechanisms: tuple[str, ...]) -> bytes:
    """AuthenticationSASL: the mechanisms to choose from."""
    return authentication(10, b"".join(name.encode() + b"\0" for name in mechanisms) + b"\0")


def authentication_sasl_continue(data: bytes) -> bytes:
    """AuthenticationSASLContinue: the server's first message."""
    return authentication(11, data)


def authentication_sasl_final(data: bytes) -> bytes:
    """AuthenticationSASLFinal: the server's last message."""
    return authentication(12, data)


def negotiate_protocol_version(version: ProtocolVersion, options: tuple[str, ...]) -> bytes:
    """NegotiateProtocolVersion: the version to go on with, and the options that are not known."""
    names = b"".join(name.encode() + b"\0" for name in options)
    return message(b"v", struct.pack("!II", version.code, len(options)) + names)


def fatal(sqlstate: str, text: str, *, hint: str | None = None) -> bytes:
    """An ErrorResponse of severity FATAL: the connection ends after it."""
    return _report(b"E", b"FATAL", sqlstate, text, hint)


def error_response(sqlstate: str, text: str, *, hint: str | None = None) -> bytes:
    """An ErrorResponse of severity ERROR: the statement ends, the connection goes on."""
    return _report(b"E", b"ERROR", sqlstate, text, hint)


def notice(text: str, *, hint: str | None = None) -> bytes:
    """A NoticeResponse of severity NOTICE."""
    return _report(b"N", b"NOTICE", "00000", text, hint)


def _report(kind: bytes, severity: bytes, sqlstate: str, text: str, hint: str | None) -> bytes:
    fields = [b"S" + severity, b"V" + severity, b"C" + sqlstate.encode(), b"M" + text.encode()]
    if hint is not None:
        fields.append(b"H" + hint.encode())
    return message(kind, b"".join(field + b"\0" for field in fields) + b"\0")


@dataclass(frozen=True, slots=True)
class SaslInitialResponse:
    """SASLInitialResponse: the mechanism that the client chose, and its first message."""

    mechanism: str
    data: bytes


def parse_sasl_initial_response(body: bytes) -> SaslInitialResponse:
    """Mechanism name, then the length-prefixed first client message. Raises ProtocolError."""
    name, terminator, rest = body.partition(b"\0")
    if not terminator or len(rest) < 4:
        raise ProtocolError("invalid SASLInitialResponse message")
    (length,) = struct.unpack_from("!i", rest)
    if length != len(rest) - 4:
        raise ProtocolError("invalid SASLInitialResponse message: wrong length of its data")
    return SaslInitialResponse(name.decode("ascii", "replace"), rest[4:])


def parse_password(body: bytes) -> str:
    """The text of a PasswordMessage. Raises ProtocolError, which never quotes it."""
    if not body.endswith(b"\0") or b"\0" in body[:-1]:
        raise ProtocolError("invalid password packet")
    try:
        return body[:-1].decode()
    except UnicodeDecodeError:
        raise ProtocolError("the password must be encoded in UTF-8", "22021") from None
