"""The gateway: endpoints to open and close, the sessions behind each of them.

client ──TLS──► Listener ─► Session (Handshake, ClientStream) ─► Relay ──unix socket──► PostgreSQL
                                │
                             Backend: login facts, wake, accounting of connections
"""

import asyncio
import math
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.gateway.authentication.actions import Policy, Refusal
from cluster_runtime.gateway.authentication.iam import SigningKey, TokenRefusal, check_token
from cluster_runtime.gateway.authentication.tls import (
    LOOPBACK_HOSTS,
    CertificateAuthority,
    ServerCertificate,
)
from cluster_runtime.gateway.backend import Backend, Login
from cluster_runtime.gateway.description import SessionDescription
from cluster_runtime.gateway.limits import GatewayLimits
from cluster_runtime.gateway.listener import Listener, ListeningSockets, bind_loopback
from cluster_runtime.gateway.relay.reactor import Reactor, new_reactor
from cluster_runtime.gateway.relay.relay import BUFFER_BYTES
from cluster_runtime.gateway.session import TOO_MANY_CONNECTIONS, Session
from cluster_runtime.gateway.waiting_room import WaitingRoom
from cluster_runtime.gateway.wire.cancel_keys import CancelKeys
from cluster_runtime.logs import EventLogger, get_logger

LOOK_UPS_MAX = 8
"""Roles of one endpoint that are looked up at a time."""

NO_PLACE = Refusal(TOO_MANY_CONNECTIONS, "sorry, too many connections are being opened")
MADE_ROOM = "sorry, too many connections are being opened, and this one kept them waiting"

Result = TypeVar("Result")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """What an endpoint is to be.

    cluster: resource id, for the log.
    names: host names under `.localhost`, in the certificate and in IAM tokens; the loopback
        addresses are always added to them.
    port: None for any that is free.
    """

    cluster: str
    names: tuple[str, ...]
    port: int | None = None
    require_tls: bool = True
    iam_enabled: bool = True


class Gateway:
    """All endpoints of one runtime. Its methods are called on one event loop, uvloop for speed.

    access_keys: what tokens may be signed with, by access key id; looked up at each login.
    region: that IAM tokens must be made for.
    limits: of connections and of time.
    now: aware; what certificates and tokens are measured by.
    """

    def __init__(
        self,
        *,
        certificates: CertificateAuthority,
        access_keys: Mapping[str, SigningKey],
        region: str,
        limits: GatewayLimits | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.certificates = certificates
        self.access_keys = dict(access_keys)
        self.region = region
        self.limits = limits or GatewayLimits()
        self.now = now
        self.waiting_room = WaitingRoom[Session](self.limits)
        self.mock_secret = certificates.derive_secret("scram mock authentication")
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        self._endpoints: set[Endpoint] = set()
        self._reactor: Reactor | None = None
        self._listening: ListeningSockets | None = None

    def register_session(
        self,
        access_key_id: str,
        secret_access_key: str,
        session_token: str,
        expires: datetime,
    ) -> None:
        """Take tokens that are signed with temporary credentials, until these expire (aware).

        Kept in memory alone. Raises InvalidParameterError for what can sign nothing, and for the
        id of a permanent key.
        """
        if not (access_key_id and secret_access_key and session_token):
            raise InvalidParameterError(
                "temporary credentials are an access key id, a secret access key and a session "
                "token; one of them is empty"
            )
        if expires.tzinfo is None:
            raise InvalidParameterError("expires has no time zone: pass an aware datetime")
        now = self.now()
        if expires <= now:
            raise InvalidParameterError(
                f"the session of access key {access_key_id!r} has expired at {expires.isoformat()}"
            )
        known = self.access_keys.get(access_key_id)
        if known is not None and known.expires is None:
            raise InvalidParameterError(
                f"{access_key_id!r} is a permanent access key of this runtime, not one of a session"
            )
        for key_id, key in list(self.access_keys.items()):
            if key.expires is not None and key.expires <= now:
                del self.access_keys[key_id]
        self.access_keys[access_key_id] = SigningKey(secret_access_key, session_token, expires)

    async def open_endpoint(self, spec: EndpointSpec, backend: Backend) -> "Endpoint":
        """Listen for clients of a cluster endpoint.

        Raises PortInUseError, and InvalidParameterError for names that cannot be certified.
        """
        endpoint = Endpoint(self, spec, backend)
        self._endpoints.add(endpoint)
        return endpoint

    def update_endpoint(self, endpoint: "Endpoint", spec: EndpointSpec) -> None:
        """Change what an open endpoint demands, for connections from now on.

        Raises InvalidParameterError if the port would change.
        """
        endpoint.update(spec)

    async def close_endpoint(self, endpoint: "Endpoint") -> None:
        """Stop listening, and end the connections."""
        self._endpoints.discard(endpoint)
        endpoint.stop_listening()
        await endpoint.disconnect(starting_ones_too=True)

    async def close(self) -> None:
        """Close every endpoint. The gateway may be used again afterwards."""
        for endpoint in list(self._endpoints):
            await self.close_endpoint(endpoint)
        if self._reactor is not None:
            self._reactor.close()
            self._reactor = None
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def make_room(self) -> bool:
        """Have the least advanced startup end, the process being out of file descriptors."""
        leaving = self.waiting_room.make_room()
        if leaving is not None:
            leaving.terminate(MADE_ROOM, TOO_MANY_CONNECTIONS)
        return leaving is not None

    @property
    def reactor(self) -> Reactor:
        """What all relays run on; started with the first."""
        if self._reactor is None:
            self._reactor = new_reactor(asyncio.get_running_loop())
        return self._reactor

    @property
    def listening(self) -> ListeningSockets:
        """Where its endpoints listen; made with the first."""
        if self._listening is None:
            self._listening = ListeningSockets(asyncio.get_running_loop())
        return self._listening


class Endpoint:
    """An open endpoint; `Gateway.open_endpoint` makes it."""

    def __init__(self, gateway: Gateway, spec: EndpointSpec, backend: Backend) -> None:
        self.spec = spec
        self.connections = 0
        self.cancel_keys = CancelKeys()
        self._gateway = gateway
        self._backend = backend
        gateway.certificates.check_names(spec.names)
        self._certificate: ServerCertificate | None = None
        self._sessions: set[Session] = set()
        self._turned_away = 0
        self._turned_away_noted = -math.inf
        self._one_closed: asyncio.Event | None = None
        self._waking: asyncio.Future[Path] | None = None
        self._look_ups: asyncio.Semaphore | None = None
        self._loop = asyncio.get_running_loop()
        self._listener = Listener(
            self._loop,
            gateway.listening,
            bind_loopback(spec.port),
            self._accept,
            gateway.make_room,
        )
        self.port = self._listener.port
        self._log.info("endpoint opened", names=spec.names, require_tls=spec.require_tls)

    def update(self, spec: EndpointSpec) -> None:
        """Change names and policy. Raises InvalidParameterError for another port."""
        if spec.port not in (None, self.port):
            raise InvalidParameterError(
                f"the endpoint listens on port {self.port} and cannot move to {spec.port}; "
                "close it and open another one"
            )
        if spec.names != self.spec.names:
            self._gateway.certificates.check_names(spec.names)
            self._certificate = None
        self.spec = spec

    def rest(self) -> None:
        """Keep nothing but the port until the next client comes."""
        if not self._sessions:
            self._certificate = None
            self._one_closed = self._look_ups = self._waking = None

    def stop_listening(self) -> None:
        """Take no more clients; those who are there stay."""
        self._listener.close()
        self._log.info("endpoint closed")

    async def disconnect(
        self,
        text: str = "terminating connection due to administrator command",
        *,
        starting_ones_too: bool = False,
    ) -> None:
        """End every connection of now with a FATAL 57P01; returns when those are closed.

        Clients in their startup stay, and wait for whatever the caller does, as later ones do.
        starting_ones_too: end them as well.
        """
        ending = {each for each in self._sessions if starting_ones_too or each.established}
        for session in ending:
            session.terminate(text)
        while ending & self._sessions:
            self._one_closed = self._one_closed or asyncio.Event()
            self._one_closed.clear()
            await self._one_closed.wait()

    async def explain_cancel(self, pid: int, answer: bytes) -> None:
        """Tell the client of a server process, whose statement is about to be cancelled, why.

        answer: an ErrorResponse that takes the place of PostgreSQL's own.
        """
        for session in list(self._sessions):
            if session.description is not None and session.description.pid == pid:
                await session.explain_cancel(answer)

    def describe_sessions(self) -> list[SessionDescription]:
        """The established sessions, the oldest first."""
        found = [each.description for each in self._sessions if each.description is not None]
        return sorted(found, key=lambda each: (each.backend_start, each.pid))

    @property
    def _log(self) -> EventLogger:
        return log.bind(cluster=self.spec.cluster, port=self.port)

    # What a Session asks of its door:

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.spec.names[0]

    @property
    def policy(self) -> Policy:
        """What a client has to do to get in."""
        return Policy(require_tls=self.spec.require_tls, iam_enabled=self.spec.iam_enabled)

    @property
    def certificate(self) -> ServerCertificate:
        """The current one; made for the first client, and again when its time has come."""
        if self._certificate is None or self.now() >= self._certificate.renew_at:
            self._certificate = self._gateway.certificates.server_certificate(
                self.spec.names, now=self.now()
            )
            self._log.info("certificate made")
        return self._certificate

    @property
    def mock_secret(self) -> bytes:
        """What the salts of users who do not exist are made from."""
        return self._gateway.mock_secret

    @property
    def reactor(self) -> Reactor:
        """Where the relays of its sessions run."""
        return self._gateway.reactor

    @property
    def buffer(self) -> memoryview:
        """The buffer that all relays share."""
        return self._gateway.buffer

    @property
    def authentication_timeout(self) -> float:
        """Seconds that a client has to authenticate."""
        return self._gateway.limits.authentication_timeout

    async def may_cancel(self, pid: int) -> bool:
        """Whether a cancel request may reach a server process now."""
        return await self._backend.may_cancel(pid)

    def now(self) -> datetime:
        """The time of day, aware."""
        return self._gateway.now()

    def opened(self) -> None:
        """A session has begun; the cluster must not pause."""
        self._backend.opened()

    def closed(self) -> None:
        """A session has ended."""
        self._backend.closed()

    def admit(self) -> bool:
        """Count an authenticated connection in, unless there are as many as may be."""
        if self.connections >= self._gateway.limits.max_connections:
            return False
        self.connections += 1
        return True

    def release(self) -> None:
        """Give a session's slot back."""
        self.connections -= 1

    async def login(self, user: str) -> Login | None:
        """A few at a time: those of clients that have left by then are never asked."""
        places = self._look_ups = self._look_ups or asyncio.Semaphore(LOOK_UPS_MAX)
        await places.acquire()
        work = asyncio.ensure_future(self._backend.login(user))
        work.add_done_callback(lambda _: places.release())
        return await _to_its_end(work)

    async def wake(self) -> Path:
        """One wake for all who wait; it goes on when they leave."""
        if self._waking is None or self._waking.done():
            self._waking = asyncio.ensure_future(self._backend.wake())
        return await _to_its_end(self._waking)

    def check_token(self, token: str, user: str) -> TokenRefusal | None:
        """Why an IAM token is refused; None if it is good."""
        return check_token(
            token,
            user=user,
            hosts={*(name.lower() for name in self.spec.names), *LOOPBACK_HOSTS},
            port=self.port,
            region=self._gateway.region,
            access_keys=self._gateway.access_keys,
            now=self.now(),
        )

    def _accept(self, sock: socket.socket) -> None:
        room = self._gateway.waiting_room

        def closed() -> None:
            room.leave(session)
            self._sessions.discard(session)
            if self._one_closed is not None:
                self._one_closed.set()

        session = Session(
            self._loop,
            sock,
            self,
            on_established=lambda: room.leave(session),
            on_closed=closed,
            log=self._log,
        )
        self._sessions.add(session)
        entry = room.enter(session)
        if not entry.admitted:
            self._note_turned_away()
            session.turn_away(NO_PLACE)
        for other in entry.leaving:
            other.terminate(MADE_ROOM, TOO_MANY_CONNECTIONS)

    def _note_turned_away(self) -> None:
        """Into the log, but once a second: a crowd at the door must not fill the disk."""
        self._turned_away += 1
        now = self._loop.time()
        if now - self._turned_away_noted >= 1:
            self._log.warning("no place for connections", turned_away=self._turned_away)
            self._turned_away, self._turned_away_noted = 0, now


async def _to_its_end(work: asyncio.Future[Result]) -> Result:
    """The result of work that goes on where the caller is cancelled.

    Then nobody hears of its failure, which asyncio would print to standard error.
    """
    work.add_done_callback(_heard)
    return await asyncio.shield(work)


def _heard(work: asyncio.Future[Result]) -> None:
    if not work.cancelled():
        work.exception()
