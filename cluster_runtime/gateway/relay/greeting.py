"""The server's answer to a startup message, up to where its session begins.

Nothing of it reaches the client before it is complete. So a server that goes away while it answers
(a failover, a pause) can be asked again, and the client only sees that it takes longer.
"""

import struct
from dataclasses import dataclass

from cluster_runtime.gateway.wire.cancel_keys import BackendKey
from cluster_runtime.gateway.wire.frames import HEADER_BYTES
from cluster_runtime.gateway.wire.protocol import AUTHENTICATION_OK, ProtocolError

GREETING_BYTES_MAX = 1024 * 1024

# admin_shutdown, crash_shutdown, cannot_connect_now: it stops, or it starts.
GOING_AWAY = frozenset({b"57P01", b"57P02", b"57P03"})


class InstanceGoneError(ConnectionError):
    """The server stops or starts. Its startup can be tried again, at the one that comes next."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """before: up to the message that ends the startup. rest: that message and what follows.
    key: what a CancelRequest for the session must carry; None where the server refused it.
    """

    before: bytes
    rest: bytes
    key: BackendKey | None

    def for_client(self, notice: bytes = b"") -> bytes:
        """Everything, with a notice of ours where the session begins."""
        return self.before + (notice if self.key is not None else b"") + self.rest


def read_greeting(received: bytes) -> Greeting | None:
    """What of a server's first bytes to pass on to the client; None: more bytes are needed.

    The server trusts its socket, so it must answer AuthenticationOk (or an ErrorResponse) first.
    A NegotiateProtocolVersion before it is for the gateway, whose own answer the client has had.
    The session begins with ReadyForQuery, or where a login trigger has something to say.
    Raises InstanceGoneError, and ProtocolError when the server asks for a credential.
    """
    if len(received) > GREETING_BYTES_MAX:
        raise ProtocolError("the server's startup answer does not end")
    at = begin = 0
    key: BackendKey | None = None
    while len(received) >= at + HEADER_BYTES:
        kind, length = struct.unpack_from("!cI", received, at)
        end = at + 1 + length
        if kind not in b"vERSKNZ":
            raise ProtocolError(f"the server answered with message type {kind!r}")
        if len(received) < end:
            return None
        match kind:
            case b"v":
                begin = end
            case b"E" | b"N" if _sqlstate(received[at + HEADER_BYTES : end]) in GOING_AWAY:
                raise InstanceGoneError("the instance stops, or still starts")
            case b"E":
                return Greeting(received[begin:at], received[at:], None)
            case b"R" if received[at:end] != AUTHENTICATION_OK:
                raise ProtocolError("the server asks the gateway for a credential")
            case b"K":
                (pid,) = struct.unpack_from("!I", received, at + HEADER_BYTES)
                key = BackendKey(pid, received[at + HEADER_BYTES + 4 : end])
            case b"Z" | b"N" if key is not None:
                return Greeting(received[begin:at], received[at:], key)
            case b"Z":
                raise ProtocolError("the server began a session without a key to cancel with")
        at = end
    return None


def _sqlstate(body: bytes) -> bytes:
    return next((field[1:] for field in body.split(b"\0") if field[:1] == b"C"), b"")
