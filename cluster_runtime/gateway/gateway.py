"""The gateway: endpoints to open and close, the sessions behind each of them.

client ──TLS──► Listener ─► Session (Handshake, ClientStream) ─► Relay ──unix socket──► PostgreSQL
                                │
                             Backend: login facts, wake, accounting of connections
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.gateway.backend import Backend, Login
from cluster_runtime.gateway.handshake import Policy
from cluster_runtime.gateway.iam import verify_token
from cluster_runtime.gateway.listener import Listener, bind_loopback
from cluster_runtime.gateway.protocol import fatal
from cluster_runtime.gateway.reactor import Reactor, new_reactor
from cluster_runtime.gateway.relay import BUFFER_BYTES
from cluster_runtime.gateway.session import TOO_MANY_CONNECTIONS, Session
from cluster_runtime.gateway.tls import LOOPBACK_HOSTS, CertificateAuthority, ServerCertificate
from cluster_runtime.logs import get_logger

AUTHENTICATION_TIMEOUT_SECONDS = 60.0
UNAUTHENTICATED_MAX = 256

Result = TypeVar("Result")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """What an endpoint is to be.

    cluster: resource id, for the log.
    names: host names under `.localhost`, in the certificate and in IAM tokens; the loopback
        addresses are always added to them.
    port: None for any that is free.
    max_connections: more are refused with 53300; keep it below PostgreSQL's own limit.
    """

    cluster: str
    names: tuple[str, ...]
    port: int | None = None
    require_tls: bool = True
    iam_enabled: bool = True
    max_connections: int = 100


class Gateway:
    """All endpoints of one runtime. Its methods are called on one event loop, uvloop for speed.

    access_keys: secret access keys by access key id, looked up at each login.
    region: that IAM tokens must be made for.
    authentication_timeout: seconds from accept to an established connection, waking included.
    unauthenticated_max: connections that may be in their startup at a time.
    now: aware; what certificates and tokens are measured by.
    """

    def __init__(
        self,
        *,
        certificates: CertificateAuthority,
        access_keys: Mapping[str, str],
        region: str,
        authentication_timeout: float = AUTHENTICATION_TIMEOUT_SECONDS,
        unauthenticated_max: int = UNAUTHENTICATED_MAX,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.certificates = certificates
        self.access_keys = access_keys
        self.region = region
        self.authentication_timeout = authentication_timeout
        self.unauthenticated_max = unauthenticated_max
        self.now = now
        self.unauthenticated = 0
        self.mock_secret = certificates.derive_secret("scram mock authentication")
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        self._endpoints: set[Endpoint] = set()
        self._reactor: Reactor | None = None

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
        await endpoint.disconnect()

    async def close(self) -> None:
        """Close every endpoint. The gateway may be used again afterwards."""
        for endpoint in list(self._endpoints):
            await self.close_endpoint(endpoint)
        if self._reactor is not None:
            self._reactor.close()
            self._reactor = None

    @property
    def reactor(self) -> Reactor:
        """What all relays run on; started with the first."""
        if self._reactor is None:
            self._reactor = new_reactor(asyncio.get_running_loop())
        return self._reactor


class Endpoint:
    """An open endpoint; `Gateway.open_endpoint` makes it."""

    def __init__(self, gateway: Gateway, spec: EndpointSpec, backend: Backend) -> None:
        self.spec = spec
        self.connections = 0
        self._gateway = gateway
        self._backend = backend
        self._certificate = gateway.certificates.server_certificate(spec.names, now=gateway.now())
        self._sessions: set[Session] = set()
        self._one_closed = asyncio.Event()
        self._waking: asyncio.Future[Path] | None = None
        self._loop = asyncio.get_running_loop()
        self._listener = Listener(self._loop, bind_loopback(spec.port), self._accept)
        self.port = self._listener.port
        self._log = log.bind(cluster=spec.cluster, port=self.port)
        self._log.info("endpoint opened", names=spec.names, require_tls=spec.require_tls)

    def update(self, spec: EndpointSpec) -> None:
        if spec.port not in (None, self.port):
            raise InvalidParameterError(
                f"the endpoint listens on port {self.port} and cannot move to {spec.port}; "
                "close it and open another one"
            )
        if spec.names != self.spec.names:
            self._certificate = self._gateway.certificates.server_certificate(
                spec.names, now=self.now()
            )
        self.spec = spec

    def stop_listening(self) -> None:
        self._listener.close()
        self._log.info("endpoint closed")

    async def disconnect(
        self, text: str = "terminating connection due to administrator command"
    ) -> None:
        """End every connection of now with a FATAL 57P01; returns when those are closed.

        Later ones are not waited for: during a failover they wait for the caller themselves.
        """
        ending = set(self._sessions)
        for session in ending:
            session.terminate(text)
        while ending & self._sessions:
            self._one_closed.clear()
            await self._one_closed.wait()

    # What a Session asks of its door:

    @property
    def policy(self) -> Policy:
        return Policy(require_tls=self.spec.require_tls, iam_enabled=self.spec.iam_enabled)

    @property
    def certificate(self) -> ServerCertificate:
        """The current one; renewed here when its time has come."""
        if self.now() >= self._certificate.renew_at:
            self._certificate = self._gateway.certificates.server_certificate(
                self.spec.names, now=self.now()
            )
            self._log.info("certificate renewed")
        return self._certificate

    @property
    def mock_secret(self) -> bytes:
        return self._gateway.mock_secret

    @property
    def reactor(self) -> Reactor:
        return self._gateway.reactor

    @property
    def buffer(self) -> memoryview:
        return self._gateway.buffer

    @property
    def authentication_timeout(self) -> float:
        return self._gateway.authentication_timeout

    @property
    def running(self) -> Path | None:
        return self._backend.running

    async def may_cancel(self, pid: int) -> bool:
        return await self._backend.may_cancel(pid)

    def now(self) -> datetime:
        return self._gateway.now()

    def admit(self) -> bool:
        """Count a user connection in, unless there are as many as may be."""
        if self.connections >= self.spec.max_connections:
            return False
        self.connections += 1
        self._backend.opened()
        return True

    def release(self) -> None:
        self.connections -= 1
        self._backend.closed()

    async def login(self, user: str) -> Login | None:
        return await _to_its_end(asyncio.ensure_future(self._backend.login(user)))

    async def wake(self) -> Path:
        """One wake for all who wait; it goes on when they leave."""
        if self._waking is None or self._waking.done():
            self._waking = asyncio.ensure_future(self._backend.wake())
        return await _to_its_end(self._waking)

    def token_fits(self, token: str, user: str) -> bool:
        return verify_token(
            token,
            user=user,
            hosts={*(name.lower() for name in self.spec.names), *LOOPBACK_HOSTS},
            port=self.port,
            region=self._gateway.region,
            access_keys=self._gateway.access_keys,
            now=self.now(),
        )

    def _accept(self, sock: socket.socket) -> None:
        gateway = self._gateway
        if gateway.unauthenticated >= gateway.unauthenticated_max:
            self._log.warning("connection refused", reason="too many unauthenticated connections")
            _turn_away(sock)
            return
        gateway.unauthenticated += 1
        in_startup = True

        def established() -> None:
            nonlocal in_startup
            if in_startup:
                in_startup = False
                gateway.unauthenticated -= 1

        def closed() -> None:
            established()
            self._sessions.discard(session)
            self._one_closed.set()

        session = Session(
            self._loop, sock, self, on_established=established, on_closed=closed, log=self._log
        )
        self._sessions.add(session)


async def _to_its_end(work: asyncio.Future[Result]) -> Result:
    """The result of work that goes on where the caller is cancelled.

    Then nobody hears of its failure, which asyncio would print to standard error.
    """
    work.add_done_callback(_heard)
    return await asyncio.shield(work)


def _heard(work: asyncio.Future[Result]) -> None:
    if not work.cancelled():
        work.exception()


def _turn_away(sock: socket.socket) -> None:
    with suppress(OSError):  # gone already
        sock.send(fatal(TOO_MANY_CONNECTIONS, "sorry, too many connections are being opened"))
    sock.close()
