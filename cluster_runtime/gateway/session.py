"""One client's connection from accept to close: does what the handshake says, then relays."""

import asyncio
import secrets
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from cluster_runtime.errors import BorealisError, InvalidClusterStateError
from cluster_runtime.gateway import handshake, protocol
from cluster_runtime.gateway.backend import Login
from cluster_runtime.gateway.handshake import Action, Handshake, Policy
from cluster_runtime.gateway.iam import looks_like_token
from cluster_runtime.gateway.protocol import ProtocolError
from cluster_runtime.gateway.reactor import Reactor
from cluster_runtime.gateway.relay import ADMIN_SHUTDOWN, Relay, close_client
from cluster_runtime.gateway.scram import Verifier, verify_password
from cluster_runtime.gateway.stream import ClientStream
from cluster_runtime.gateway.tls import ServerCertificate
from cluster_runtime.logs import EventLogger
from cluster_runtime.wording import DATABASE_CLIENT

CANNOT_CONNECT_NOW = "57P03"
TOO_MANY_CONNECTIONS = "53300"
INTERNAL_ERROR = "XX000"
CANCEL_SECONDS = 10.0
GREETING_BYTES = 8192
BACKLOG_FULL_RETRY_SECONDS = 0.02

Result = TypeVar("Result")


class ClientLeftError(Exception):
    """The client closed its connection before it was established. Seen by the session alone."""


class Door(Protocol):
    """What a session needs of its endpoint."""

    @property
    def policy(self) -> Policy: ...
    @property
    def certificate(self) -> ServerCertificate: ...
    @property
    def mock_secret(self) -> bytes: ...
    @property
    def reactor(self) -> Reactor: ...
    @property
    def buffer(self) -> memoryview: ...
    @property
    def authentication_timeout(self) -> float: ...
    @property
    def running(self) -> Path | None: ...
    async def may_cancel(self, pid: int) -> bool: ...
    def now(self) -> datetime: ...
    def admit(self) -> bool: ...
    def release(self) -> None: ...
    async def login(self, user: str) -> Login | None: ...
    async def wake(self) -> Path: ...
    def token_fits(self, token: str, user: str) -> bool: ...


class Session:
    """Runs one client's connection.

    on_established: called when the client is authenticated and its backend answers.
    on_closed: called once, at the very end.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        door: Door,
        *,
        on_established: Callable[[], None],
        on_closed: Callable[[], None],
        log: EventLogger,
    ) -> None:
        self._loop = loop
        self._door = door
        self._on_established = on_established
        self._on_closed = on_closed
        self._stream = ClientStream(loop, sock)
        self._handshake = Handshake(
            door.policy, nonce=secrets.token_urlsafe(18), mock_secret=door.mock_secret
        )
        self._log = log.bind(peer=_address(sock))
        self._admitted = False
        self._relay: Relay | None = None
        self._closing: list[Action] = []
        self._task = loop.create_task(self._start())
        self._task.add_done_callback(self._ended)

    def terminate(self, text: str) -> None:
        """End it now, with a FATAL 57P01 where the protocol allows one."""
        if self._relay is not None:
            self._door.reactor.call(partial(self._relay.terminate, text))
        else:
            self._task.cancel(text)

    async def _start(self) -> None:
        """The time from accept to the relay; what it says last is left for `_ended`."""
        try:
            async with asyncio.timeout(self._door.authentication_timeout):
                await self._shake_hands()
        except TimeoutError:
            self._closing = self._handshake.timed_out()
        except ClientLeftError:
            self._log.info("connection left", user=self._handshake.user)
        except asyncio.CancelledError:
            self._closing = self._shut_down()
        except OSError as error:
            self._log.info("connection lost", error=str(error), user=self._handshake.user)
        except Exception:
            self._closing = self._handshake.refuse(
                INTERNAL_ERROR, "the gateway failed; see its log"
            )
            raise

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Unless a relay goes on, nothing stays open, whatever happened."""
        if task.cancelled():  # before its first step, so that `_start` saw nothing of it
            self._closing = self._shut_down()
        elif (error := task.exception()) is not None:
            self._log.error("connection failed", exc_info=error)
        if self._relay is None:
            self._refuse_without_waiting(self._closing)
            self._stream.discard_unread()
            close_client(self._stream.sock)
            self._finish()

    def _shut_down(self) -> list[Action]:
        return self._handshake.refuse(
            ADMIN_SHUTDOWN, "terminating connection due to administrator command"
        )

    async def _shake_hands(self) -> None:
        first = await self._stream.peek()
        if first is None:
            return
        actions = deque(self._handshake.first_byte(first))
        while self._relay is None:
            if not actions:
                actions.extend(
                    self._handshake.receive(await self._stream.read(self._handshake.wants))
                )
                continue
            match actions.popleft():
                case handshake.Send(data):
                    await self._stream.write(data)
                case handshake.StartTls():
                    actions.extend(await self._start_tls())
                case handshake.LookUp(user):
                    actions.extend(await self._look_up(user))
                case handshake.CheckCredential(login, credential):
                    fits = await self._fits(login, credential)
                    actions.extend(self._handshake.credential_checked(fits))
                case handshake.Connect() as connect:
                    actions.extend(await self._connect(connect))
                case handshake.Cancel(packet):
                    await self._cancel(packet)
                    return
                case handshake.Close(reason):
                    self._log.info("connection refused", reason=reason, user=self._handshake.user)
                    return

    async def _start_tls(self) -> list[Action]:
        certificate = self._door.certificate
        tls = await self._stream.start_tls(certificate.context)
        return self._handshake.tls_established(
            alpn=tls.selected_alpn_protocol(), server_end_point=certificate.server_end_point
        )

    async def _look_up(self, user: str) -> list[Action]:
        if not self._door.admit():
            return self._handshake.refuse(
                TOO_MANY_CONNECTIONS, "sorry, too many clients already on this endpoint"
            )
        self._admitted = True
        try:
            login = await self._unless_client_leaves(self._door.login(user))
        except BorealisError as error:
            return self._not_now(error)
        return self._handshake.login_found(login, now=self._door.now())

    async def _fits(self, login: Login, credential: str) -> bool:
        """A token by its signature, anything else as a password, whose check takes its time."""
        if looks_like_token(credential):
            return self._door.token_fits(credential, login.name)
        verifier = Verifier.parse(login.verifier) if login.verifier else None
        return verifier is not None and await asyncio.to_thread(
            verify_password, credential, verifier
        )

    async def _connect(self, connect: handshake.Connect) -> list[Action]:
        """The backend's socket, its greeting, and the relay between the two."""
        try:
            path = await self._unless_client_leaves(self._door.wake())
        except BorealisError as error:
            return self._not_now(error)
        backend = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            backend.setblocking(False)
            await self._connect_socket(backend, path)
            await self._loop.sock_sendall(backend, connect.startup_message)
            greeting = await self._unless_client_leaves(_greeting(self._loop, backend))
        except ProtocolError as error:
            backend.close()
            self._log.error("backend misconfigured", error=str(error))
            return self._handshake.refuse(INTERNAL_ERROR, "the instance does not know its gateway")
        except OSError as error:
            backend.close()
            self._log.error("backend unreachable", error=str(error))
            return self._handshake.refuse(
                CANNOT_CONNECT_NOW, "the instance went away while connecting; try again"
            )
        except BaseException:
            backend.close()
            raise
        self._log = self._log.bind(user=connect.user, database=connect.database)
        self._log.info("connection opened", tls=self._handshake.in_tls)
        self._on_established()
        relay = self._relay = Relay(
            self._door.reactor,
            self._stream.sock,
            backend,
            buffer=self._door.buffer,
            on_closed=self._relay_closed,
        )
        early = self._stream.take_early()
        self._door.reactor.call(partial(relay.start, to_client=greeting, to_backend=early))
        return []

    async def _connect_socket(self, sock: socket.socket, path: Path) -> None:
        while True:
            try:
                sock.connect(str(path))
            except BlockingIOError:  # unix sockets: the server's backlog is full
                await asyncio.sleep(BACKLOG_FULL_RETRY_SECONDS)
            else:
                return

    async def _cancel(self, packet: bytes) -> None:
        """Hand a CancelRequest to PostgreSQL, which closes when it is done. None answers it."""
        path = self._door.running
        if path is None or not await self._door.may_cancel(protocol.cancelled_process(packet)):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as backend:
            backend.setblocking(False)
            async with asyncio.timeout(CANCEL_SECONDS):
                await self._connect_socket(backend, path)
                await self._loop.sock_sendall(backend, packet)
                await self._loop.sock_recv(backend, 1)

    def _not_now(self, error: BorealisError) -> list[Action]:
        """The instance does not wake. Only the cluster's status is told to strangers."""
        self._log.warning("wake failed", error=str(error), error_type=type(error).__name__)
        reason = "the instance could not be started; see the cluster's events"
        if isinstance(error, InvalidClusterStateError):
            reason = error.told(DATABASE_CLIENT)
        return self._handshake.refuse(CANNOT_CONNECT_NOW, reason)

    async def _unless_client_leaves(self, work: Awaitable[Result]) -> Result:
        """The result of `work`. Raises ClientLeftError when the client goes first."""
        task = asyncio.ensure_future(work)
        left = asyncio.ensure_future(self._stream.left())
        try:
            await asyncio.wait((task, left), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientLeftError
            return task.result()
        finally:
            for each in (task, left):
                each.cancel()
            # `left` reads from the socket: it must have ended before anyone else does.
            await asyncio.gather(task, left, return_exceptions=True)

    def _refuse_without_waiting(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case handshake.Send(data):
                    try:
                        self._stream.sock.send(data)
                    except (OSError, ssl.SSLError):  # gone, or too slow to hear it
                        return
                case handshake.Close(reason):
                    self._log.info("connection refused", reason=reason, user=self._handshake.user)

    def _relay_closed(self, reason: str) -> None:
        """Called by the reactor, on its thread."""
        self._loop.call_soon_threadsafe(self._relayed, reason)

    def _relayed(self, reason: str) -> None:
        self._log.info("connection closed", reason=reason)
        self._finish()

    def _finish(self) -> None:
        if self._admitted:
            self._door.release()
        self._on_closed()


async def _greeting(loop: asyncio.AbstractEventLoop, backend: socket.socket) -> bytes:
    """PostgreSQL's first bytes. Raises ProtocolError, or OSError when it closes first."""
    received = b""
    while True:
        data = await loop.sock_recv(backend, GREETING_BYTES)
        if not data:
            raise ConnectionError("the server closed the connection during startup")
        received += data
        greeting = protocol.server_greeting(received)
        if greeting is not None:
            return greeting


def _address(sock: socket.socket) -> str:
    try:
        host, port, *_ = sock.getpeername()
    except OSError:  # gone already
        return "unknown"
    return f"{host}:{port}"
