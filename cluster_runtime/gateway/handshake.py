"""The start of one client's connection, from its first byte to the open backend: a state machine.

It takes events (bytes from the client, TLS established, facts of the role, a credential's check,
time's up) and returns actions for the driver. No socket, no clock, no TLS library in here.

    STARTUP ─SSLRequest─► TLS ─► STARTUP ─StartupMessage─► LOGIN ─┬─► SASL ─► SASL_FINAL ─► BACKEND
                                                                 └─► PASSWORD ─► CHECK ───► BACKEND

Source: PostgreSQL 18 documentation, "Message Flow: Start-up"; `tcop/backend_startup.c` and
`libpq/auth.c` for the texts and SQLSTATEs.
"""

import struct
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto

from cluster_runtime.gateway import protocol
from cluster_runtime.gateway.backend import Login
from cluster_runtime.gateway.protocol import ProtocolError, ProtocolVersion, Startup
from cluster_runtime.gateway.scram import ScramError, ScramServer, Verifier

ALPN = "postgresql"
# Roles of the runtime itself and of PostgreSQL: no client logs in as one.
RESERVED_ROLE_PREFIXES = ("rds", "pg_")

INVALID_AUTHORIZATION = "28000"
INVALID_PASSWORD = "28P01"
FEATURE_NOT_SUPPORTED = "0A000"
QUERY_CANCELED = "57014"


@dataclass(frozen=True, slots=True)
class Policy:
    """What an endpoint demands of its clients.

    require_tls: as rds.force_ssl=1; a connection in clear is refused.
    iam_enabled: IAM tokens count.
    """

    require_tls: bool = True
    iam_enabled: bool = True


@dataclass(frozen=True, slots=True)
class Send:
    """Write to the client."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartTls:
    """Run the TLS handshake as the server, then report `tls_established`."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """Find the role's login facts, then report `login_found`."""

    user: str


@dataclass(frozen=True, slots=True)
class CheckCredential:
    """Check a token or password against the role, then report `credential_checked`."""

    login: Login
    credential: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Connect:
    """The client is who it says: open the backend with this startup message and relay."""

    startup_message: bytes
    user: str
    database: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Pass the CancelRequest on to PostgreSQL, if that runs, then close."""

    packet: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection. reason: for the log; without secrets."""

    reason: str


Action = Send | StartTls | LookUp | CheckCredential | Connect | Cancel | Close


class State(Enum):
    STARTUP = auto()
    TLS = auto()
    LOGIN = auto()
    SASL = auto()
    SASL_FINAL = auto()
    PASSWORD = auto()
    CHECK = auto()
    BACKEND = auto()
    CLOSED = auto()


class Handshake:
    """One client's startup.

    nonce: the server's SCRAM nonce, fresh for each handshake.
    mock_secret: what makes up the salts of users that do not exist; constant for a gateway.
    """

    def __init__(self, policy: Policy, *, nonce: str, mock_secret: bytes) -> None:
        self.state = State.STARTUP
        self._policy = policy
        self._nonce = nonce
        self._mock_secret = mock_secret
        self._received = bytearray()
        self._in_tls = False
        self._tls_refusable = True  # SSLRequest and GSSENCRequest are each answered once
        self._gss_refusable = True
        self._direct = False
        self._server_end_point: bytes | None = None
        self._startup: Startup | None = None
        self._scram: ScramServer | None = None
        self._login: Login | None = None

    @property
    def user(self) -> str:
        """The user of the startup message; empty before it."""
        return self._startup.parameters["user"] if self._startup else ""

    @property
    def in_tls(self) -> bool:
        return self._in_tls

    @property
    def wants(self) -> int:
        """How many bytes to read from the client now; 0: something else is awaited.

        Never more than the current packet: what follows an SSLRequest belongs to TLS.
        """
        match self.state:
            case State.STARTUP:
                return self._needed(4, prefix=0)
            case State.SASL | State.SASL_FINAL | State.PASSWORD:
                return self._needed(5, prefix=1)
            case _:
                return 0

    def first_byte(self, byte: int) -> list[Action]:
        """The client's first byte, still unread: direct TLS starts with no request for it."""
        if self.state is State.STARTUP and not self._in_tls and not self._received:
            if byte != protocol.TLS_HANDSHAKE_RECORD:
                return []
            self.state = State.TLS
            self._direct = True
            return [StartTls()]
        raise RuntimeError("first_byte comes before any other event")

    def receive(self, data: bytes) -> list[Action]:
        """Bytes from the client; empty data: it has closed its side."""
        if self.state is State.CLOSED:
            return []
        if not data:
            return self._close("the client closed the connection")
        if self.wants == 0:
            return self._protocol_violation("unexpected data before the end of the startup")
        self._received += data
        try:
            return self._packet()
        except ProtocolError as error:
            return self.refuse(error.sqlstate, str(error))
        except ScramError as error:
            return self.refuse("08P01", str(error))

    def tls_established(self, *, alpn: str | None, server_end_point: bytes) -> list[Action]:
        """TLS runs. server_end_point: RFC 5929 channel binding data, the certificate's hash."""
        self._expect(State.TLS)
        self.state = State.STARTUP
        self._in_tls = True
        self._server_end_point = server_end_point
        if self._direct and alpn != ALPN:
            return self._protocol_violation(
                "direct TLS connections must negotiate the ALPN protocol postgresql"
            )
        return []

    def login_found(self, login: Login | None, *, now: datetime) -> list[Action]:
        """The facts of the role, None if there is none. now: aware."""
        if self.state is State.CLOSED:
            return []
        self._expect(State.LOGIN)
        if login is None or login.superuser:
            login = Login(self.user)
        if login.valid_until is not None and login.valid_until <= now:
            login = replace(login, verifier=None)
        if login.iam and self._policy.iam_enabled and self._in_tls:
            self._login = login
            self.state = State.PASSWORD
            return [Send(protocol.AUTHENTICATION_CLEARTEXT_PASSWORD)]
        verifier = Verifier.parse(login.verifier) if login.verifier else None
        self._scram = ScramServer(
            verifier or Verifier.mock(self.user, self._mock_secret),
            nonce=self._nonce,
            server_end_point=self._server_end_point,
        )
        self.state = State.SASL
        return [Send(protocol.authentication_sasl(self._scram.mechanisms))]

    def credential_checked(self, fits: bool) -> list[Action]:
        if self.state is State.CLOSED:
            return []
        self._expect(State.CHECK)
        return self._authenticated() if fits else self._wrong_password()

    def timed_out(self) -> list[Action]:
        """The time for authentication is over."""
        return self.refuse(QUERY_CANCELED, "canceling authentication due to timeout")

    def refuse(self, sqlstate: str, text: str, *, hint: str | None = None) -> list[Action]:
        """Tell the client why, and close. Also for what the driver found (limits, wake failed)."""
        if self.state is State.CLOSED:
            return []
        if self.state is State.TLS:  # in the middle of TLS's own handshake nothing can be said
            return self._close(text)
        self.state = State.CLOSED
        return [Send(protocol.fatal(sqlstate, text, hint=hint)), Close(text)]

    def _packet(self) -> list[Action]:
        """Act on the packet at the front of what was received, if it is whole."""
        if self.wants:
            return []
        packet = bytes(self._received)
        size = self._packet_bytes(prefix=0 if self.state is State.STARTUP else 1)
        if len(packet) > size:
            after_tls_request = packet[4:8] == struct.pack("!I", protocol.SSL_REQUEST)
            return self._protocol_violation(
                "received unencrypted data after SSL request"
                if self.state is State.STARTUP and after_tls_request
                else "received more data than one message before its answer"
            )
        self._received.clear()
        if self.state is State.STARTUP:
            return self._startup_packet(packet)
        return self._password_message(packet[5:])

    def _startup_packet(self, packet: bytes) -> list[Action]:
        (code,) = struct.unpack_from("!I", packet, 4)
        match code:
            case protocol.SSL_REQUEST if self._tls_refusable and not self._in_tls:
                self._tls_refusable = False
                self.state = State.TLS
                return [Send(b"S"), StartTls()]
            case protocol.GSSENC_REQUEST if self._gss_refusable and not self._in_tls:
                self._gss_refusable = False
                return [Send(b"N")]
            case protocol.CANCEL_REQUEST:
                if not protocol.CANCEL_BYTES_MIN <= len(packet) <= protocol.CANCEL_BYTES_MAX:
                    raise ProtocolError("invalid length of cancel request packet")
                self.state = State.CLOSED
                return [Cancel(packet)]
            case _ if code >> 16 != 3:
                raise ProtocolError(
                    f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}: "
                    f"server supports 3.0 to 3.{protocol.LATEST_MINOR}",
                    FEATURE_NOT_SUPPORTED,
                )
            case _:
                return self._startup_message(protocol.parse_startup(packet))

    def _startup_message(self, startup: Startup) -> list[Action]:
        if not self._in_tls and self._policy.require_tls:
            return self.refuse(
                INVALID_AUTHORIZATION,
                "this endpoint takes connections in TLS only (rds.force_ssl)",
                hint="Connect with sslmode=require or a stricter one.",
            )
        user = startup.parameters.get("user", "")
        if not user:
            return self.refuse(
                INVALID_AUTHORIZATION, "no PostgreSQL user name specified in startup packet"
            )
        for name in ("user", "database"):
            if len(startup.parameters.get(name, "").encode()) > protocol.NAME_BYTES_MAX:
                return self.refuse(
                    INVALID_AUTHORIZATION,
                    f"the {name} name is longer than {protocol.NAME_BYTES_MAX} bytes",
                )
        if user.startswith(RESERVED_ROLE_PREFIXES):
            return self.refuse(
                INVALID_AUTHORIZATION, f'role "{user}" is reserved: no client may log in as it'
            )
        if "replication" in startup.parameters:
            return self.refuse(
                FEATURE_NOT_SUPPORTED, "replication connections do not pass the gateway"
            )
        self._startup = startup
        self.state = State.LOGIN
        actions: list[Action] = [LookUp(user)]
        if startup.version.minor > protocol.LATEST_MINOR or startup.unknown_options:
            negotiated = protocol.negotiate_protocol_version(
                self._negotiated, startup.unknown_options
            )
            actions.insert(0, Send(negotiated))
        return actions

    def _password_message(self, body: bytes) -> list[Action]:
        match self.state:
            case State.PASSWORD:
                assert self._login is not None
                self.state = State.CHECK
                return [CheckCredential(self._login, protocol.parse_password(body))]
            case State.SASL:
                assert self._scram is not None
                initial = protocol.parse_sasl_initial_response(body)
                answer = self._scram.first(initial.mechanism, initial.data)
                self.state = State.SASL_FINAL
                return [Send(protocol.authentication_sasl_continue(answer))]
            case State.SASL_FINAL:
                assert self._scram is not None
                proof = self._scram.final(body)
                if proof is None:
                    return self._wrong_password()
                return [Send(protocol.authentication_sasl_final(proof)), *self._authenticated()]
            case _:
                raise RuntimeError(f"no password message is read in {self.state}")

    def _authenticated(self) -> list[Action]:
        """AuthenticationOk is left to PostgreSQL, which may still refuse (no such database)."""
        assert self._startup is not None
        self.state = State.BACKEND
        parameters = self._startup.parameters
        return [
            Connect(
                protocol.startup_message(self._negotiated, parameters),
                user=self.user,
                database=parameters.get("database") or self.user,
            )
        ]

    @property
    def _negotiated(self) -> ProtocolVersion:
        assert self._startup is not None
        return ProtocolVersion(3, min(self._startup.version.minor, protocol.LATEST_MINOR))

    def _wrong_password(self) -> list[Action]:
        """One text whatever was wrong: the name, the password, the token or part of it."""
        hint = (
            "A password may have changed; an IAM token counts for 15 minutes, one user and one port"
        )
        return self.refuse(
            INVALID_PASSWORD,
            f'password authentication failed for user "{self.user}"',
            hint=hint + ("." if self._in_tls else ", and in TLS only (sslmode=require)."),
        )

    def _protocol_violation(self, text: str) -> list[Action]:
        return self.refuse("08P01", text)

    def _close(self, reason: str) -> list[Action]:
        self.state = State.CLOSED
        return [Close(reason)]

    def _needed(self, header: int, *, prefix: int) -> int:
        """Bytes that the header, and then the whole packet, still lack."""
        if len(self._received) < header:
            return header - len(self._received)
        return max(self._packet_bytes(prefix=prefix) - len(self._received), 0)

    def _packet_bytes(self, *, prefix: int) -> int:
        """Size of the packet being received. Raises ProtocolError before its body is taken in."""
        (length,) = struct.unpack_from("!I", self._received, prefix)
        if prefix:
            if self._received[:1] != b"p":
                kind = self._received[0]
                raise ProtocolError(f"expected password response, got message type {kind}")
            if not 4 <= length <= protocol.CREDENTIAL_BYTES_MAX:
                raise ProtocolError("invalid password packet size")
        elif not 8 <= length <= protocol.STARTUP_BYTES_MAX:
            raise ProtocolError("invalid length of startup packet")
        return prefix + int(length)

    def _expect(self, state: State) -> None:
        if self.state is not state:
            raise RuntimeError(f"the handshake is in {self.state}, not in {state}")
