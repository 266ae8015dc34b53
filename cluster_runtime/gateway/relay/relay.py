"""Bytes between a client and its PostgreSQL backend, both ways, until one of them is done.

No transport lies between the sockets and this: `recv_into` a shared buffer and `send` from it is at
least as fast as uvloop's own transports, and the same for TLS, where OpenSSL reads and writes the
socket itself. Only what a slow receiver does not take is copied; its
sender is then not read until that is gone.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from cluster_runtime.gateway.relay.reactor import Reactor
from cluster_runtime.gateway.relay.traffic import Tally, Traffic
from cluster_runtime.gateway.wire.frames import (
    ERROR_RESPONSE,
    READY_FOR_QUERY,
    TERMINATE,
    Frames,
)
from cluster_runtime.gateway.wire.protocol import fatal

BUFFER_BYTES = 256 * 1024

ADMIN_SHUTDOWN = "57P01"
QUERY_CANCELED = b"\0C57014\0"
OUTCOME_UNKNOWN = fatal(
    "08007",
    "the wait for this commit to become durable was canceled: whether it survives is unknown",
    hint="Look for its effects on a new connection before you repeat it.",
)
"""PostgreSQL would report success, with no more than a warning before it."""

NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Relay:
    """One established connection. It owns both sockets and closes them.

    Its methods run on the reactor's thread. buffer: BUFFER_BYTES or more (at least a TLS record),
    shared by the relays of one reactor. traffic: where what passes is counted. on_closed: called
    once, with the reason in a few words.
    """

    def __init__(
        self,
        reactor: Reactor,
        client: socket.socket,
        backend: socket.socket,
        *,
        buffer: memoryview,
        traffic: Traffic,
        on_closed: Callable[[str], None],
    ) -> None:
        self._client = client
        self._backend = backend
        self._traffic = traffic  # held: it is one for all that hold it
        self._on_closed = on_closed
        self._closed = False
        self._from_client = _Flow(
            reactor,
            client,
            backend,
            buffer,
            traffic.received,
            ended=self._client_ended,
            broken=self._backend_broken,
        )
        self._from_backend = _Flow(
            reactor,
            backend,
            client,
            buffer,
            traffic.sent,
            ended=self._backend_ended,
            broken=self._client_broken,
            last_words=self._commit_cancelled,
        )

    def start(self, *, to_client: bytes, to_backend: bytes) -> None:
        """Begin, with what was already read from either side."""
        self._from_backend.start(to_client)
        if not self._closed:
            self._from_client.start(to_backend)

    def terminate(self, text: str) -> None:
        """End the connection with a FATAL 57P01, or without words in the middle of a message."""
        if not self._closed:
            self._say_goodbye(text)
            self._close(text)

    def explain_cancel(self, answer: bytes) -> None:
        """Put an ErrorResponse in the place of the one that reports a cancel of what runs now."""
        self._from_backend.instead_of_cancel = answer

    def _client_ended(self) -> None:
        """The client sends no more. PostgreSQL finishes what it has, and then closes."""
        with suppress(OSError):  # if the backend is gone as well, its side reports that
            self._backend.shutdown(socket.SHUT_WR)

    def _backend_broken(self) -> None:
        """PostgreSQL takes no more: its last words, if any, are still to be read."""

    def _backend_ended(self) -> None:
        if self._from_client.at_end or self._from_client.frames.kind == TERMINATE:
            self._close("the client closed the connection")
        else:
            self._say_goodbye("terminating connection: the instance has gone away")
            self._close("the server closed the connection")

    def _commit_cancelled(self) -> None:
        self._close("the wait for a commit to become durable was canceled")

    def _client_broken(self) -> None:
        self._close("the connection to the client was lost")

    def _say_goodbye(self, text: str) -> None:
        """Only where a message begins, and where PostgreSQL itself has not said why it ends."""
        frames = self._from_backend.frames
        said = frames.kind == ERROR_RESPONSE
        if frames.at_boundary and not said and not self._from_backend.holds:
            with suppress(OSError):  # not now, or never: nobody waits for a goodbye
                self._client.send(fatal(ADMIN_SHUTDOWN, text))

    def _close(self, reason: str) -> None:
        if self._closed:
            return
        self._closed = True
        self._from_client.stop()
        self._from_backend.stop()
        close_client(self._client)
        self._backend.close()
        self._on_closed(reason)


def close_client(client: socket.socket) -> None:
    """Close, with TLS's close_notify if it can be sent without waiting."""
    if isinstance(client, ssl.SSLSocket):
        with suppress(OSError, ValueError):  # the peer's close_notify is not waited for
            client.unwrap()
    client.close()


class _Flow:
    """One direction.

    tally: of its bytes. frames: where its messages begin and end. last_words: makes this the
    direction from a server, whose answer to a commit that no longer waits to become durable is not
    relayed; called when the client has been told so instead.
    """

    def __init__(
        self,
        reactor: Reactor,
        source: socket.socket,
        sink: socket.socket,
        buffer: memoryview,
        tally: Tally,
        *,
        ended: Callable[[], None],
        broken: Callable[[], None],
        last_words: Callable[[], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._last_words = last_words
        self._ending = False
        self._source_fd = source.fileno()
        self._sink_fd = sink.fileno()
        self._send = sink.send
        self._ended = ended
        self._broken = broken
        self.frames = Frames()
        self.instead_of_cancel: bytes | None = None
        self._tally = tally
        self._readable = self._reader(source.recv_into, sink.send, buffer)
        self._held = memoryview(b"")
        self._reading = False
        self._writing = False
        self.at_end = False

    @property
    def holds(self) -> bool:
        return len(self._held) > 0

    def start(self, data: bytes) -> None:
        self._resume()
        if data:
            self._tally.bytes += len(data)
            self.frames.advance(data, len(data))
            self._forward(memoryview(data))
        if self._reading:
            self._readable()  # TLS may have bytes that the socket no longer shows

    def stop(self) -> None:
        self._pause()
        if self._writing:
            self._writing = False
            self._reactor.remove_writer(self._sink_fd)

    def _reader(
        self,
        recv_into: Callable[[memoryview], int],
        send: Callable[[memoryview], int],
        buffer: memoryview,
    ) -> Callable[[], None]:
        """What the reactor calls for each arrival: a closure, since it runs for every message.

        One read a call: TLS reads one record, and OpenSSL leaves the next one in the socket, so
        that the loop calls again.
        """

        received = buffer.obj
        assert isinstance(received, bytearray)
        assert len(received) == len(buffer)
        advance = self.frames.advance
        from_server = self._last_words is not None
        tally = self._tally

        def readable() -> None:
            try:
                size = recv_into(buffer)
            except NOT_NOW:
                return
            except OSError:  # reset by the peer, or broken TLS: the same as the end
                size = 0
            if not size:
                self.at_end = True
                self._pause()
                self._ended()
                return
            tally.bytes += size
            data, came = buffer[:size], received
            if self.instead_of_cancel is not None:
                came = self._explained(received, size)
                data, size = memoryview(came), len(came)
            cancelled_commit = advance(came, size)
            if cancelled_commit is not None and from_server:
                self._end_with(bytes(data[:cancelled_commit]) + OUTCOME_UNKNOWN)
                return
            try:
                sent = send(data)
            except NOT_NOW:
                sent = 0
            except OSError:
                self._pause()
                self._broken()
                return
            if sent != size:
                self._forward(data[sent:])

        return readable

    def _explained(self, received: bytearray, size: int) -> bytearray:
        """What came, with the explanation of a cancel in place of its report.

        The statement that it is about may have ended by itself: the next one is none of its.
        """
        found = self.frames.find(bytes((ERROR_RESPONSE, READY_FOR_QUERY)), received, size)
        if found is None:
            return received[:size]
        kind, start, end = found
        answer, self.instead_of_cancel = self.instead_of_cancel, None
        if kind == READY_FOR_QUERY or QUERY_CANCELED not in received[start:end]:
            return received[:size]
        assert answer is not None
        return received[:start] + answer + received[end:size]

    def _end_with(self, data: bytes) -> None:
        """Send what is left to say, however long the sink takes for it, and nothing after that."""
        self._ending = True
        self._forward(memoryview(data))
        self._pause()
        if not self._writing:
            self._finish()

    def _finish(self) -> None:
        assert self._last_words is not None
        self._last_words()

    def _forward(self, data: memoryview) -> None:
        """Send what is taken, hold a copy of the rest and do not read on before that is gone."""
        rest = self._send_some(data)
        if not rest:
            return
        self._held = memoryview(bytes(rest))
        self._pause()
        self._writing = True
        self._reactor.add_writer(self._sink_fd, self._writable)

    def _writable(self) -> None:
        rest = self._send_some(self._held)
        if rest is None:
            return
        self._held = rest
        if not rest:
            self._writing = False
            self._reactor.remove_writer(self._sink_fd)
            if self._ending:
                self._finish()
            else:
                self._resume()

    def _send_some(self, data: memoryview) -> memoryview | None:
        """What the sink does not take now; None: it takes nothing any more, the flow is over."""
        try:
            while data:  # TLS takes one record at a time
                data = data[self._send(data) :]
        except NOT_NOW:
            return data
        except OSError:
            self.stop()
            self._broken()
            return None
        return data

    def _resume(self) -> None:
        self._reading = True
        self._reactor.add_reader(self._source_fd, self._readable)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._reactor.remove_reader(self._source_fd)
