"""What a handshake is told at its beginning, and what it has its driver do."""

from dataclasses import dataclass, field
from enum import Enum

from cluster_runtime.gateway.wire.cancel_keys import BackendKey


@dataclass(frozen=True, slots=True)
class Policy:
    """What an endpoint demands of its clients.

    require_tls: as rds.force_ssl=1; a connection without TLS is refused.
    iam_enabled: IAM tokens count.
    read_only: sessions begin with `default_transaction_read_only`.
    """

    require_tls: bool = True
    iam_enabled: bool = True
    read_only: bool = False


class Wish(Enum):
    """What a client says that it will prove itself with (`startup_options.AUTH_PARAMETER`)."""

    IAM = "iam"
    SCRAM = "scram"


@dataclass(frozen=True, slots=True)
class Refusal:
    """For a client that is to be told no, whatever it asks for; its CancelRequest is served."""

    sqlstate: str
    text: str


@dataclass(frozen=True, slots=True)
class Send:
    """Write to the client."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartTls:
    """Run the TLS handshake as the server, then report `tls_established`."""


@dataclass(frozen=True, slots=True)
class FindEndpoint:
    """Find the endpoint that the client means, then report `endpoint_found`, or refuse.

    option: what it says of it in its startup message; None: nothing.
    """

    option: str | None


@dataclass(frozen=True, slots=True)
class LookUp:
    """Find the role's login facts, then report `login_found`."""

    user: str


@dataclass(frozen=True, slots=True)
class CheckToken:
    """Check what should be an IAM token of the user, then report `token_checked`."""

    user: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Connect:
    """The client is who it says: open the backend with this startup message and relay.

    authentication: by what it proved that. notice: what to tell it at the start, if anything.
    """

    startup_message: bytes
    user: str
    database: str
    application_name: str
    authentication: str
    notice: bytes = b""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Pass the CancelRequest on to PostgreSQL if it is for a session of ours, then close."""

    key: BackendKey
    packet: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection. reason: for the log; without secrets."""

    reason: str


Action = Send | StartTls | FindEndpoint | LookUp | CheckToken | Connect | Cancel | Close
