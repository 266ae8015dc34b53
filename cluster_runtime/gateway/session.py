"""One client's connection from accept to close: does what the handshake says, then relays."""

import asyncio
import secrets
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from cluster_runtime.errors import BorealisError
from cluster_runtime.gateway.authentication import actions
from cluster_runtime.gateway.authentication.actions import Action, Refusal
from cluster_runtime.gateway.authentication.handshake import Handshake
from cluster_runtime.gateway.authentication.tls import CalledSocket
from cluster_runtime.gateway.description import SessionDescription, address_of, tls_of
from cluster_runtime.gateway.doors import Door, Entrance
from cluster_runtime.gateway.not_now import CANNOT_CONNECT_NOW, why_not
from cluster_runtime.gateway.relay.relay import ADMIN_SHUTDOWN, Relay, close_client
from cluster_runtime.gateway.relay.server import Server, open_server, send_cancel
from cluster_runtime.gateway.relay.stream import ClientStream
from cluster_runtime.gateway.waiting_room import Progress
from cluster_runtime.gateway.wire.cancel_keys import (
    CANCELS_WAITING_MAX,
    BackendKey,
    CancelTarget,
)
from cluster_runtime.gateway.wire.protocol import ProtocolError
from cluster_runtime.logs import EventLogger

TOO_MANY_CONNECTIONS = "53300"
INTERNAL_ERROR = "XX000"
RETRY_SECONDS_FIRST, RETRY_SECONDS_MAX = 0.02, 0.5
WENT_AWAY = Refusal(CANNOT_CONNECT_NOW, "the instance went away while connecting; try again")

Result = TypeVar("Result")


class ClientLeftError(Exception):
    """The client closed its connection before it was established. Seen by the session alone."""


class Session:
    """Runs one client's connection.

    on_established: called when the client is authenticated and its backend answers, or when the
        key of its CancelRequest is known.
    on_closed: called once, at the very end.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        entrance: Entrance,
        *,
        on_established: Callable[[], None],
        on_closed: Callable[[], None],
        log: EventLogger,
    ) -> None:
        self._loop = loop
        self._entrance = entrance
        self._routed: Door | None = None
        self._server_name: str | None = None
        self._on_established = on_established
        self._on_closed = on_closed
        self._stream = ClientStream(loop, sock)
        door = entrance.door
        self._handshake = Handshake(
            door.policy if door is not None else None,
            nonce=secrets.token_urlsafe(18),
            mock_secret=entrance.mock_secret,
        )
        self.address, self._port = address_of(sock)
        self._log = log.bind(peer=f"{self.address}:{self._port}")
        self._opened = self._admitted = False
        self._interrupted = False
        self._ending = Refusal(
            ADMIN_SHUTDOWN, "terminating connection due to administrator command"
        )
        self.description: SessionDescription | None = None
        self._server: Server | None = None
        self._relay: Relay | None = None
        self._cancel_target: CancelTarget | None = None
        self._closing: list[Action] = []
        if door is not None:
            self._join(door)
        self._task = loop.create_task(self._start())
        self._task.add_done_callback(self._ended)

    @property
    def endpoint(self) -> object:
        """The entrance that it came in by, where it waits with others."""
        return self._entrance

    @property
    def at_its_endpoint(self) -> bool:
        """Whether it is known which endpoint the client means."""
        return self._routed is not None

    @property
    def established(self) -> bool:
        """Whether the client is authenticated and joined to a server."""
        return self._relay is not None

    @property
    def server(self) -> Path | None:
        """The socket of the server that it is joined to; None before that."""
        return self._server.path if self._relay is not None and self._server is not None else None

    @property
    def progress(self) -> Progress:
        """How far the client is in its startup."""
        return self._handshake.progress

    @property
    def keeps_us_waiting(self) -> bool:
        """Whether the client has the next word."""
        return self._handshake.keeps_us_waiting

    def turn_away(self, refusal: Refusal) -> None:
        """Let the client speak (and begin TLS), only to hear that it does not get in."""
        self._handshake.refusal = refusal

    def explain_cancel(self, answer: bytes) -> asyncio.Future[None]:
        """See `Relay.explain_cancel`; done once that holds."""
        done: asyncio.Future[None] = self._loop.create_future()
        relay = self._relay
        if relay is None:
            done.set_result(None)
            return done

        def explain() -> None:
            relay.explain_cancel(answer)
            self._loop.call_soon_threadsafe(done.set_result, None)

        self._door.reactor.call(explain)
        return done

    def terminate(self, text: str, sqlstate: str = ADMIN_SHUTDOWN) -> None:
        """End it now, with a FATAL where the protocol allows one (57P01 once established)."""
        if self._relay is not None:
            self._door.reactor.call(partial(self._relay.terminate, text))
        else:
            self._ending = Refusal(sqlstate, text)
            self._task.cancel(text)

    async def _start(self) -> None:
        """The time from accept to the relay; what it says last is left for `_ended`."""
        try:
            async with asyncio.timeout(self._entrance.authentication_timeout):
                await self._shake_hands()
        except TimeoutError:
            if self._interrupted:
                self._closing = self._refuse(WENT_AWAY)
            else:
                self._closing = self._handshake.timed_out()
        except ClientLeftError:
            self._log.info("connection left", user=self._handshake.user)
        except asyncio.CancelledError:
            self._closing = self._refuse(self._ending)
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
            self._closing = self._refuse(self._ending)
        elif (error := task.exception()) is not None:
            self._log.error("connection failed", exc_info=error)
        if self._relay is None:
            for action in self._closing:
                if isinstance(action, actions.Close):
                    reason, user = action.reason, self._handshake.user
                    self._log.info("connection refused", reason=reason, user=user)
                elif isinstance(action, actions.Send):
                    self._stream.send_last(action.data)
            self._stream.discard_unread()
            close_client(self._stream.sock)
            if self._server is not None:
                self._server.sock.close()
            self._finish()

    def _refuse(self, refusal: Refusal) -> list[Action]:
        return self._handshake.refuse(refusal.sqlstate, refusal.text)

    async def _shake_hands(self) -> None:
        first = await self._stream.peek()
        if first is None:
            return
        pending = deque(self._handshake.first_byte(first))
        while self._relay is None:
            if not pending:
                pending.extend(
                    self._handshake.receive(await self._stream.read(self._handshake.wants))
                )
                continue
            match pending.popleft():
                case actions.Send(data):
                    await self._stream.write(data)
                case actions.StartTls():
                    pending.extend(await self._start_tls())
                case actions.FindEndpoint(option):
                    pending.extend(self._find_endpoint(option))
                case actions.LookUp(user):
                    pending.extend(await self._look_up(user))
                case actions.CheckToken(user, token):
                    pending.extend(self._handshake.token_checked(self._fits(token, user)))
                case actions.Connect() as connect:
                    pending.extend(await self._connect(connect))
                case actions.Cancel(key, packet):
                    await self._cancel(key, packet)
                    return
                case actions.Close(reason):
                    self._log.info("connection refused", reason=reason, user=self._handshake.user)
                    return

    async def _start_tls(self) -> list[Action]:
        certificate = self._entrance.certificate
        tls = await self._stream.start_tls(certificate.context)
        if isinstance(tls, CalledSocket):
            self._server_name = tls.server_name
            certificate = tls.certificate or certificate
        return self._handshake.tls_established(
            alpn=tls.selected_alpn_protocol(), server_end_point=certificate.server_end_point
        )

    def _find_endpoint(self, option: str | None) -> list[Action]:
        found = self._entrance.find(self._server_name, option)
        if isinstance(found, Refusal):
            return self._refuse(found)
        if self._routed is None:
            self._join(found)
        return self._handshake.endpoint_found(found.policy)

    def _join(self, door: Door) -> None:
        self._routed = door
        self._log = self._log.bind(cluster=door.cluster)
        door.joined(self)

    @property
    def _door(self) -> Door:
        assert self._routed is not None, "a client is at its endpoint before that is asked anything"
        return self._routed

    async def _look_up(self, user: str) -> list[Action]:
        self._opened = True
        self._door.opened()
        try:
            login = await self._until_it_answers(partial(self._door.login, user))
        except BorealisError as error:
            return self._not_now(error)
        return self._handshake.login_found(login, now=self._door.now())

    def _fits(self, token: str, user: str) -> bool:
        refusal = self._door.check_token(token, user, self._entrance.port)
        if refusal is not None:
            self._log.info("token refused", reason=str(refusal), user=user)
        return refusal is None

    async def _connect(self, connect: actions.Connect) -> list[Action]:
        """The backend's socket, its greeting, and the relay between the two."""
        if not self._door.admit():
            return self._handshake.refuse(
                TOO_MANY_CONNECTIONS, "sorry, too many clients already on this endpoint"
            )
        self._admitted = True

        async def open_it() -> Server:
            path = await self._door.waking.wake()
            async with self._door.waking.turn(path, connect.database):
                # Kept at once: whoever is cancelled just now does not hear of it any more.
                self._server = await open_server(self._loop, path, connect.startup_message)
            return self._server

        try:
            server = await self._until_it_answers(open_it)
        except BorealisError as error:
            return self._not_now(error)
        except ProtocolError as error:
            self._log.error("backend misconfigured", error=str(error))
            return self._handshake.refuse(INTERNAL_ERROR, "the instance does not know its gateway")
        self._log = self._log.bind(user=connect.user, database=connect.database)
        self._log.info("connection opened", tls=self._handshake.in_tls, by=connect.authentication)
        sock = self._stream.sock
        if server.greeting.key is not None:
            client = (self.address, self._port)
            self.description = _described(connect, server.greeting.key, self._door, client, sock)
            self._cancel_target = CancelTarget(server.greeting.key, server.path)
            self._door.cancel_keys.add(self._cancel_target)
        self._on_established()
        relay = self._relay = Relay(
            self._door.reactor,
            sock,
            server.sock,
            buffer=self._door.buffer,
            traffic=self._door.traffic_of(server.path),
            on_closed=self._relay_closed,
        )
        early = self._stream.take_early()
        greeting = server.greeting.for_client(connect.notice)
        self._door.reactor.call(partial(relay.start, to_client=greeting, to_backend=early))
        return []

    async def _cancel(self, key: BackendKey, packet: bytes) -> None:
        """Without the key of a session of ours it goes nowhere, and costs nothing."""
        found = self._entrance.cancel_target(key)
        if found is None or found[1].waiting >= CANCELS_WAITING_MAX:
            return
        door, target = found
        target.waiting += 1
        self._on_established()  # its key proves it: it needs no place among strangers
        try:
            async with target.turn:
                if await door.may_cancel(key.pid):
                    await send_cancel(self._loop, target.path, packet)
        finally:
            target.waiting -= 1

    def _not_now(self, error: BorealisError) -> list[Action]:
        """The instance does not wake. Strangers hear the kind of the trouble alone."""
        self._log.warning("wake failed", error=str(error), error_type=type(error).__name__)
        said = why_not(error)
        return self._handshake.refuse(CANNOT_CONNECT_NOW, said.text, hint=said.hint)

    async def _until_it_answers(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """What the instance answers: where it goes away meanwhile (a failover, a pause), that of
        the next one. The time for authentication bounds it. Raises ClientLeftError.
        """
        pause = RETRY_SECONDS_FIRST
        while True:
            try:
                answer = await self._unless_client_leaves(ask())
            except OSError as error:
                self._interrupted = True
                self._log.info("instance went away: asked again", error=str(error))
            else:
                self._interrupted = False
                return answer
            await self._unless_client_leaves(asyncio.sleep(pause))
            pause = min(2 * pause, RETRY_SECONDS_MAX)

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

    def _relay_closed(self, reason: str) -> None:
        """Called by the reactor, on its thread."""
        self._loop.call_soon_threadsafe(self._relayed, reason)

    def _relayed(self, reason: str) -> None:
        self._log.info("connection closed", reason=reason)
        self._finish()

    def _finish(self) -> None:
        if self._cancel_target is not None:
            self._door.cancel_keys.discard(self._cancel_target)
        if self._admitted:
            self._door.release()
        if self._opened:
            self._door.closed()
        self._on_closed()
        if self._routed is not None:
            self._routed.left(self)


def _described(
    connect: actions.Connect,
    key: BackendKey,
    door: Door,
    client: tuple[str, int],
    sock: socket.socket,
) -> SessionDescription:
    version, cipher = tls_of(sock)
    return SessionDescription(
        pid=key.pid,
        usename=connect.user,
        datname=connect.database,
        application_name=connect.application_name,
        endpoint=door.name,
        client_addr=client[0],
        client_port=client[1],
        ssl_version=version,
        ssl_cipher=cipher,
        authentication=connect.authentication,
        backend_start=door.now(),
    )
