"""The gateway: endpoints to open and close, the sessions behind each of them.

client ──TLS──► Reception ─► Session (Handshake, ClientStream) ─► Relay ──unix socket──► PostgreSQL
                                │
                             Endpoint, Backend: login facts, wake, accounting of connections

Every endpoint has a port of its own; the shared port (`SharedPort`) leads to all of them.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakValueDictionary

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
from cluster_runtime.gateway.doors import Door, Visitor
from cluster_runtime.gateway.limits import GatewayLimits
from cluster_runtime.gateway.listener import ListeningSockets, bind_loopback
from cluster_runtime.gateway.reception import MADE_ROOM, Reception
from cluster_runtime.gateway.relay.reactor import Reactor, new_reactor
from cluster_runtime.gateway.relay.relay import BUFFER_BYTES
from cluster_runtime.gateway.relay.traffic import Traffic
from cluster_runtime.gateway.routes import NO_SUCH_ENDPOINT, Routes
from cluster_runtime.gateway.session import TOO_MANY_CONNECTIONS, Session
from cluster_runtime.gateway.shared_port import SharedPort
from cluster_runtime.gateway.waiting_room import WaitingRoom
from cluster_runtime.gateway.waking import Waking, to_its_end
from cluster_runtime.gateway.wire.cancel_keys import BackendKey, CancelKeys, CancelTarget
from cluster_runtime.logs import EventLogger, get_logger

LOOK_UPS_MAX = 8
"""Roles of one endpoint that are looked up at a time."""

NO_KEYS = CancelKeys()
TERMINATED = "terminating connection due to administrator command"
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """What an endpoint is to be.

    cluster: resource id, for the log.
    names: host names under `.localhost`, in the certificate and in IAM tokens; the loopback
        addresses are always added to them.
    aliases: identifiers that mean it at the shared port, in the option `endpoint`.
    port: None for any that is free.
    read_only: transactions are READ ONLY unless a session says otherwise, whatever its client, its
        role or its database asks for at the start.
    max_connections: that it takes, where that is less than the gateway's limit.
    """

    cluster: str
    names: tuple[str, ...]
    port: int | None = None
    require_tls: bool = True
    iam_enabled: bool = True
    aliases: tuple[str, ...] = ()
    read_only: bool = False
    max_connections: int | None = None


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
        self.routes = Routes[Endpoint]()
        self._endpoints: set[Endpoint] = set()
        self._traffic = WeakValueDictionary[Path, Traffic]()
        self._shared: SharedPort | None = None
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

    async def open_shared_port(self, port: int | None = None) -> SharedPort:
        """Listen for clients of all endpoints, of now and later, under one port.

        port: None for any that is free. Raises PortInUseError.
        """
        self._shared = SharedPort(
            bind_loopback(port),
            self.listening,
            self.routes,
            self.certificates,
            self.waiting_room,
            now=self.now,
            mock_secret=self.mock_secret,
            authentication_timeout=self.limits.authentication_timeout,
            cancel_target=self.cancel_target,
        )
        return self._shared

    @property
    def shared_port(self) -> int | None:
        """The number of the port that leads to all endpoints, where it is open."""
        return self._shared.port if self._shared is not None else None

    async def open_endpoint(self, spec: EndpointSpec, backend: Backend) -> "Endpoint":
        """Listen for clients of a cluster endpoint.

        Raises PortInUseError, and InvalidParameterError for names that cannot be certified.
        """
        endpoint = Endpoint(self, spec, backend)
        self._endpoints.add(endpoint)
        self.routes.put(endpoint, spec.names, spec.aliases)
        return endpoint

    def update_endpoint(self, endpoint: "Endpoint", spec: EndpointSpec) -> None:
        """Change what an open endpoint demands, for connections from now on.

        Raises InvalidParameterError if the port would change.
        """
        endpoint.update(spec)
        self.routes.put(endpoint, spec.names, spec.aliases)

    async def close_endpoint(self, *endpoints: "Endpoint") -> None:
        """Stop listening, and end the connections.

        Who does not wait for the ends of these has closed the endpoints all the same.
        """
        for endpoint in endpoints:
            self._endpoints.discard(endpoint)
            self.routes.remove(endpoint)
            endpoint.stop_listening()
        ending = [endpoint.terminate(starting_ones_too=True) for endpoint in endpoints]
        for endpoint, sessions in zip(endpoints, ending, strict=True):
            await endpoint.left_by(sessions)

    async def close(self) -> None:
        """Close every endpoint. The gateway may be used again afterwards."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None
        await self.close_endpoint(*self._endpoints)
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

    def traffic_of(self, server: Path) -> Traffic:
        """What passes to and from a server, since somebody asked first: a session, or a meter.

        server: its socket. It is counted for as long as one of them holds it.
        """
        found = self._traffic.get(server)
        if found is None:
            found = self._traffic[server] = Traffic()
        return found

    @property
    def listening(self) -> ListeningSockets:
        """Where its endpoints listen; made with the first."""
        if self._listening is None:
            self._listening = ListeningSockets(asyncio.get_running_loop(), self.make_room)
        return self._listening

    def cancel_target(self, key: BackendKey) -> tuple[Door, CancelTarget] | None:
        """The session of a CancelRequest's key, whichever endpoint it is at."""
        # All of them are asked: a match costs as much time as none.
        asked = [each.cancel_target(key) for each in self._endpoints]
        return next((found for found in asked if found is not None), None)


class Endpoint:
    """An open endpoint; `Gateway.open_endpoint` makes it."""

    def __init__(self, gateway: Gateway, spec: EndpointSpec, backend: Backend) -> None:
        self.spec = spec
        self.connections = 0
        self._cancel_keys: CancelKeys | None = None
        self._gateway = gateway
        self._backend = backend
        gateway.certificates.check_names(spec.names)
        self._certificate: ServerCertificate | None = None
        # An empty set takes three times as much, and most clusters are paused.
        self._sessions: dict[Visitor, None] = {}
        self._one_closed: asyncio.Event | None = None
        self._waking: Waking | None = None
        self._look_ups: asyncio.Semaphore | None = None
        self._reception = Reception(
            bind_loopback(spec.port),
            gateway.listening,
            self,
            gateway.waiting_room,
        )
        self.port = self._reception.port
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
            self._sessions = {}  # one that was fuller keeps its size
            self._certificate = None
            self._one_closed = self._look_ups = self._waking = self._cancel_keys = None

    def stop_listening(self) -> None:
        """Take no more clients; those who are there stay."""
        self._reception.close()
        self._log.info("endpoint closed")

    async def disconnect(self, *, starting_ones_too: bool = False, at: Path | None = None) -> None:
        """End every connection of now with a FATAL 57P01; returns when those are closed.

        Clients in their startup stay, and wait for whatever the caller does, as later ones do.
        starting_ones_too: end them as well. at: only those that lead to this socket.
        """
        await self.left_by(self.terminate(starting_ones_too=starting_ones_too, at=at))

    def terminate(self, *, starting_ones_too: bool = False, at: Path | None = None) -> set[Visitor]:
        """Begin to do that; the sessions that are about to leave."""
        ending = {
            each
            for each in self._sessions
            if (starting_ones_too or each.established) and at in (None, each.server)
        }
        for session in ending:
            session.terminate(TERMINATED)
        return ending

    async def left_by(self, ending: set[Visitor]) -> None:
        """Wait until those have left."""
        while ending & self._sessions.keys():
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

    def servers(self) -> Counter[Path]:
        """How many established sessions lead to each socket."""
        return Counter(each.server for each in self._sessions if each.server is not None)

    def describe_sessions(self) -> list[SessionDescription]:
        """The established sessions, the oldest first."""
        found = [each.description for each in self._sessions if each.description is not None]
        return sorted(found, key=lambda each: (each.backend_start, each.pid))

    @property
    def _log(self) -> EventLogger:
        return self.log.bind(port=self.port)

    # What a Session asks of its entrance and of its door:

    @property
    def log(self) -> EventLogger:
        """Where what happens at it is told."""
        return log.bind(cluster=self.spec.cluster)

    @property
    def door(self) -> Door:
        """Itself: its own port leads nowhere else."""
        return self

    def find(self, server_name: str | None, option: str | None) -> Door | Refusal:
        """Itself, unless the client says that it means another one."""
        found = self if option is None else self._gateway.routes.find(None, option)
        if found is self or isinstance(found, Refusal):
            return found
        return Refusal(
            NO_SUCH_ENDPOINT,
            f'"{option}" is another endpoint than the one of port {self.port}, {self.name}; '
            "connect to its own port, or to the one that all share",
        )

    def joined(self, session: Visitor) -> None:
        """A session is here, by its own port or by the shared one."""
        self._sessions[session] = None

    def left(self, session: Visitor) -> None:
        """A session has ended."""
        self._sessions.pop(session, None)
        if self._one_closed is not None:
            self._one_closed.set()

    def cancel_target(self, key: BackendKey) -> tuple[Door, CancelTarget] | None:
        """The session of a CancelRequest's key, among those of this endpoint."""
        found = (self._cancel_keys or NO_KEYS).find(key)
        return (self, found) if found is not None else None

    @property
    def cancel_keys(self) -> CancelKeys:
        """Those of its sessions."""
        self._cancel_keys = self._cancel_keys or CancelKeys()
        return self._cancel_keys

    @property
    def cluster(self) -> str:
        """Resource id of its cluster."""
        return self.spec.cluster

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.spec.names[0]

    @property
    def policy(self) -> Policy:
        """What a client has to do to get in."""
        return Policy(
            require_tls=self.spec.require_tls,
            iam_enabled=self.spec.iam_enabled,
            read_only=self.spec.read_only,
        )

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

    def traffic_of(self, server: Path) -> Traffic:
        """Where the bytes of the sessions of a server are counted."""
        return self._gateway.traffic_of(server)

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
        most = self._gateway.limits.max_connections
        if self.connections >= min(most, self.spec.max_connections or most):
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
        return await to_its_end(work)

    @property
    def waking(self) -> Waking:
        """What its clients wait for together."""
        self._waking = self._waking or Waking(self._backend)
        return self._waking

    def check_token(self, token: str, user: str, port: int) -> TokenRefusal | None:
        """Why an IAM token is refused; None if it is good.

        One for a loopback address names this endpoint by its own port, and none by the shared one.
        """
        addresses = LOOPBACK_HOSTS if port == self.port else ()
        return check_token(
            token,
            user=user,
            hosts={*(name.lower() for name in self.spec.names), *addresses},
            port=port,
            region=self._gateway.region,
            access_keys=self._gateway.access_keys,
            now=self.now(),
        )
