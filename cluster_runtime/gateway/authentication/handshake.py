"""The start of one client's connection, from its first byte to the open backend: a state machine.

It takes events (bytes from the client, TLS established, facts of the role, a credential's check,
time's up) and returns actions for the driver. No socket, no clock, no TLS library in here.

    STARTUP ─SSLRequest─► TLS ─► STARTUP ─StartupMessage─► LOGIN ─┬─► SASL ─► SASL_FINAL ─► BACKEND
                                   │                       ▲     │             │ wrong
                                   └─StartupMessage─► ROUTE┘     └─► TOKEN ◄───┘
                                                                       └─► CHECK ─────────► BACKEND

ROUTE is passed where the port is that of all endpoints, or where the client names the one it means.
What to ask for must be decided before any credential is seen. A role without a password is asked
for a token (as a plain password, inside TLS). A role with one goes through SCRAM; if it may use
tokens as well, a proof that does not fit its password is followed by the question for a token,
which a client that insists on SCRAM or on channel binding does not answer. With `borealis.auth` in
its startup message a client says beforehand what it has.

Source: PostgreSQL 18 documentation, "Message Flow: Start-up"; `tcop/backend_startup.c` and
`libpq/auth.c` for the texts and SQLSTATEs.
"""

import struct
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import Enum, auto

from cluster_runtime.gateway.authentication.actions import (
    Action,
    Cancel,
    CheckToken,
    Close,
    Connect,
    FindEndpoint,
    LookUp,
    Policy,
    Refusal,
    Send,
    StartTls,
    Wish,
)
from cluster_runtime.gateway.authentication.packets import IncomingPacket
from cluster_runtime.gateway.authentication.scram import ScramError, ScramServer, Verifier
from cluster_runtime.gateway.backend import Login
from cluster_runtime.gateway.waiting_room import Progress
from cluster_runtime.gateway.wire import protocol, startup_options
from cluster_runtime.gateway.wire.commit_settings import overruled_notice
from cluster_runtime.gateway.wire.protocol import ProtocolError, ProtocolVersion, Startup

ALPN = "postgresql"
# Roles of the runtime itself and of PostgreSQL: no client logs in as one.
RESERVED_ROLE_PREFIXES = ("rds", "pg_")

IAM_TOKEN = "IAM token"
INVALID_AUTHORIZATION = "28000"
INVALID_PARAMETER_VALUE = "22023"
INVALID_PASSWORD = "28P01"
FEATURE_NOT_SUPPORTED = "0A000"
QUERY_CANCELED = "57014"


class State(Enum):
    """How far a handshake is."""

    STARTUP = auto()
    TLS = auto()
    ROUTE = auto()
    LOGIN = auto()
    SASL = auto()
    SASL_FINAL = auto()
    TOKEN = auto()
    CHECK = auto()
    BACKEND = auto()
    CLOSED = auto()


class Handshake:
    """One client's startup.

    policy: None where it depends on the endpoint that the client means.
    nonce: the server's SCRAM nonce, fresh for each handshake.
    mock_secret: what makes up the salts of users that do not exist; constant for a gateway.
    refusal: what to tell this client, once it has been let speak (and begin TLS).
    """

    def __init__(self, policy: Policy | None, *, nonce: str, mock_secret: bytes) -> None:
        self.state = State.STARTUP
        self.refusal: Refusal | None = None
        self._known_policy = policy
        self._nonce = nonce
        self._mock_secret = mock_secret
        self._packet = IncomingPacket()
        self._in_tls = False
        self._tls_refusable = True  # SSLRequest and GSSENCRequest are each answered once
        self._gss_refusable = True
        self._direct = False
        self._server_end_point: bytes | None = None
        self._startup: Startup | None = None
        self._unrouted: Startup | None = None
        self._wish: Wish | None = None
        self._scram: ScramServer | None = None
        self._login: Login | None = None

    @property
    def user(self) -> str:
        """The user of the startup message; empty before it."""
        return self._startup.parameters["user"] if self._startup else ""

    @property
    def in_tls(self) -> bool:
        """Whether the client has begun TLS."""
        return self._in_tls

    @property
    def progress(self) -> Progress:
        """How far the client is, for whoever decides who has to go."""
        if self._startup is not None:
            return Progress.NAMED
        if self._in_tls:
            return Progress.TLS_ESTABLISHED
        return Progress.TLS_BEGUN if self.state is State.TLS else Progress.SILENT

    @property
    def keeps_us_waiting(self) -> bool:
        """Whether what happens next is the client's to do."""
        return self.state in _CLIENTS_TURN

    @property
    def wants(self) -> int:
        """How many bytes to read from the client now; 0: something else is awaited.

        Never more than the current packet: what follows an SSLRequest belongs to TLS.
        """
        match self.state:
            case State.STARTUP:
                return self._packet.lacks(typed=False)
            case State.SASL | State.SASL_FINAL | State.TOKEN:
                return self._packet.lacks(typed=True)
            case _:
                return 0

    def first_byte(self, byte: int) -> list[Action]:
        """The client's first byte, still unread: direct TLS starts with no request for it."""
        if self.state is State.STARTUP and not self._in_tls and not self._packet.begun:
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
        self._packet.add(data)
        try:
            return self._take_packet()
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

    def endpoint_found(self, policy: Policy) -> list[Action]:
        """The endpoint that the client means is known, and what it demands."""
        if self.state is State.CLOSED:
            return []
        self._expect(State.ROUTE)
        assert self._unrouted is not None
        self._known_policy = policy
        return self._at_its_endpoint(self._unrouted)

    def login_found(self, login: Login | None, *, now: datetime) -> list[Action]:
        """The facts of the role, None if there is none. now: aware."""
        if self.state is State.CLOSED:
            return []
        self._expect(State.LOGIN)
        if login is None or login.superuser:
            login = Login(self.user)
        if login.valid_until is not None and login.valid_until <= now:
            login = replace(login, verifier=None)
        self._login = login
        verifier = Verifier.parse(login.verifier) if login.verifier else None
        if self._wish is Wish.IAM or (self._may_use_tokens and verifier is None):
            return self._ask_for_token()
        self._scram = ScramServer(
            verifier or Verifier.mock(self.user, self._mock_secret),
            nonce=self._nonce,
            server_end_point=self._server_end_point,
        )
        self.state = State.SASL
        return [Send(protocol.authentication_sasl(self._scram.mechanisms))]

    def token_checked(self, fits: bool) -> list[Action]:
        """fits: it is a token of the user; whether that counts for the role is decided here."""
        if self.state is State.CLOSED:
            return []
        self._expect(State.CHECK)
        if fits and self._may_use_tokens:
            return self._authenticated(IAM_TOKEN)
        return self._wrong_password()

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

    def _take_packet(self) -> list[Action]:
        """Act on the packet that comes, if it is whole."""
        if self.wants:
            return []
        in_startup = self.state is State.STARTUP
        packet, more = self._packet.take(typed=not in_startup)
        if more:
            after_tls_request = packet[4:8] == struct.pack("!I", protocol.SSL_REQUEST)
            return self._protocol_violation(
                "received unencrypted data after SSL request"
                if in_startup and after_tls_request
                else "received more data than one message before its answer"
            )
        if in_startup:
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
                return [Cancel(protocol.parse_cancel(packet), packet)]
            case _ if code >> 16 != 3:
                raise ProtocolError(
                    f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}: "
                    f"server supports 3.0 to 3.{protocol.LATEST_MINOR}",
                    FEATURE_NOT_SUPPORTED,
                )
            case _:
                return self._startup_message(protocol.parse_startup(packet))

    def _startup_message(self, startup: Startup) -> list[Action]:
        option, parameters = startup_options.take(
            startup.parameters, startup_options.ENDPOINT_PARAMETER
        )
        startup = replace(startup, parameters=parameters)
        if self._known_policy is not None and option is None:
            return self._at_its_endpoint(startup)
        if self.refusal is not None:
            return self.refuse(self.refusal.sqlstate, self.refusal.text)
        self._unrouted = startup
        self.state = State.ROUTE
        return [FindEndpoint(option)]

    def _at_its_endpoint(self, startup: Startup) -> list[Action]:
        if not self._in_tls and self._policy.require_tls:
            return self.refuse(
                INVALID_AUTHORIZATION,
                "this endpoint takes connections in TLS only (rds.force_ssl)",
                hint="Connect with sslmode=require or a stricter one.",
            )
        if self.refusal is not None:
            return self.refuse(self.refusal.sqlstate, self.refusal.text)
        refusal = _refusal_of(startup.parameters)
        if refusal is not None:
            return self.refuse(refusal.sqlstate, refusal.text)
        wish, parameters = startup_options.take(startup.parameters, startup_options.AUTH_PARAMETER)
        if refused := self._take_wish(wish):
            return refused
        self._startup = startup = replace(startup, parameters=parameters)
        self.state = State.LOGIN
        actions: list[Action] = [LookUp(self.user)]
        if startup.version.minor > protocol.LATEST_MINOR or startup.unknown_options:
            negotiated = protocol.negotiate_protocol_version(
                self._negotiated, startup.unknown_options
            )
            actions.insert(0, Send(negotiated))
        return actions

    def _take_wish(self, wish: str | None) -> list[Action]:
        """Note what the client wants to prove itself with; the refusal where that cannot be."""
        if wish is None:
            return []
        if wish not in {each.value for each in Wish}:
            return self.refuse(
                INVALID_PARAMETER_VALUE,
                f'invalid value for parameter "{startup_options.AUTH_PARAMETER}": "{wish}"',
                hint="Available values: iam, scram.",
            )
        self._wish = Wish(wish)
        if self._wish is Wish.IAM and not (self._in_tls and self._policy.iam_enabled):
            return self.refuse(
                INVALID_AUTHORIZATION,
                "IAM tokens are taken in TLS only (sslmode=require)"
                if self._policy.iam_enabled
                else "IAM database authentication is not enabled for this cluster",
            )
        return []

    @property
    def _policy(self) -> Policy:
        assert self._known_policy is not None, "nothing is decided before the endpoint is known"
        return self._known_policy

    @property
    def _may_use_tokens(self) -> bool:
        return (
            self._login is not None
            and self._login.iam
            and self._policy.iam_enabled
            and self._in_tls
            and self._wish is not Wish.SCRAM
        )

    def _ask_for_token(self) -> list[Action]:
        self.state = State.TOKEN
        return [Send(protocol.AUTHENTICATION_CLEARTEXT_PASSWORD)]

    def _password_message(self, body: bytes) -> list[Action]:
        match self.state:
            case State.TOKEN:
                self.state = State.CHECK
                return [CheckToken(self.user, protocol.parse_password(body))]
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
                    # It may have been a token that the client took for a password.
                    return self._ask_for_token() if self._may_use_tokens else self._wrong_password()
                return [
                    Send(protocol.authentication_sasl_final(proof)),
                    *self._authenticated(self._scram.mechanism),
                ]
            case _:
                raise RuntimeError(f"no password message is read in {self.state}")

    def _authenticated(self, authentication: str) -> list[Action]:
        """AuthenticationOk is left to PostgreSQL, which may still refuse (no such database)."""
        assert self._startup is not None
        assert self._login is not None
        self.state = State.BACKEND
        parameters = self._startup.parameters
        database = parameters.get("database") or self.user
        for_server = startup_options.durable(parameters)
        if self._policy.read_only:
            for_server = startup_options.read_only(for_server)
        return [
            Connect(
                protocol.startup_message(self._negotiated, for_server),
                user=self.user,
                database=database,
                application_name=parameters.get("application_name", ""),
                authentication=authentication,
                notice=overruled_notice(
                    self._login.synchronous_commit, user=self.user, database=database
                ),
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

    def _expect(self, state: State) -> None:
        if self.state is not state:
            raise RuntimeError(f"the handshake is in {self.state}, not in {state}")


def _refusal_of(parameters: Mapping[str, str]) -> Refusal | None:
    """Why nobody gets in with these parameters, at whichever endpoint; None: somebody may."""
    user = parameters.get("user", "")
    if not user:
        return Refusal(INVALID_AUTHORIZATION, "no PostgreSQL user name specified in startup packet")
    for name in ("user", "database"):
        if len(parameters.get(name, "").encode()) > protocol.NAME_BYTES_MAX:
            return Refusal(
                INVALID_AUTHORIZATION,
                f"the {name} name is longer than {protocol.NAME_BYTES_MAX} bytes",
            )
    if user.startswith(RESERVED_ROLE_PREFIXES):
        return Refusal(
            INVALID_AUTHORIZATION, f'role "{user}" is reserved: no client may log in as it'
        )
    if "replication" in parameters:
        return Refusal(FEATURE_NOT_SUPPORTED, "replication connections do not pass the gateway")
    return None


_CLIENTS_TURN = frozenset({State.STARTUP, State.TLS, State.SASL, State.SASL_FINAL, State.TOKEN})
