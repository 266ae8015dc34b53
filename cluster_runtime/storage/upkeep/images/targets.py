"""Up to where the coalescer replays: what is durable, then the checkpoint that its writer makes.

Replay over an image begins with the last checkpoint that was replayed. So the writer makes one when
the rest has caught up: what commits write while that takes its time is replayed once.
"""

import select
import time
from collections.abc import Generator, Iterator
from contextlib import closing

import psycopg
from psycopg import pq

from cluster_runtime.engine.access.admin_session import admin_conninfo
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.live.mount import Mount

POLL_S = 0.02
CHECKPOINT_TIMEOUT_S = 120.0
"""What a writer may take for it, and its log to be durable. What was replayed by then is an image
all the same.
"""

CHECKPOINT = (
    b"checkpoint; select pg_catalog.pg_wal_lsn_diff("
    b"pg_catalog.pg_current_wal_flush_lsn(), '0/0')::pg_catalog.int8"
)
_EVENTS: dict[int, int] = {
    pq.PollingStatus.READING: select.POLLIN,
    pq.PollingStatus.WRITING: select.POLLOUT,
}
_log = get_logger(__name__)


def targets(mount: Mount) -> Iterator[int]:
    """LSNs that are durable, one after the other, to be asked for again and again.

    None is ever one that only a writer knows: it may end, and the log of the next one go another
    way. Who stops asking waits for nothing.
    """

    def durable() -> int:
        return int(mount.node.volume.vdl)

    yield durable()
    attachment = mount.node.attachment
    if attachment is None:
        return
    until = time.monotonic() + CHECKPOINT_TIMEOUT_S

    def goes_on() -> bool:
        return mount.node.attachment is attachment and time.monotonic() < until

    major = int(mount.metadata.server_version.partition(".")[0])
    written = 0
    try:
        with closing(_checkpoint(admin_conninfo(attachment.sockets, major))) as asked:
            for now in asked:
                if not goes_on():
                    return
                written = now
                yield durable()
    except psycopg.Error as error:
        _log.info("the writer made no checkpoint for the image", error=str(error))
        return
    while durable() < written and goes_on():
        yield durable()
        time.sleep(POLL_S)
    yield durable()


def _checkpoint(conninfo: str) -> Generator[int, None, None]:
    """Have a writer make one, a little at a time; the LSN that it wrote up to is the last value.

    0 before that. Raises psycopg.OperationalError.
    """
    server = pq.PGconn.connect_start(conninfo.encode())
    try:
        while (status := server.connect_poll()) != pq.PollingStatus.OK:
            if status not in _EVENTS:
                raise psycopg.OperationalError(server.get_error_message())
            _ready(server, _EVENTS[status])
            yield 0
        server.send_query(CHECKPOINT)
        written = 0
        while True:
            server.consume_input()
            while not server.is_busy():
                result = server.get_result()
                if result is None:
                    yield written
                    return
                if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
                    raise psycopg.OperationalError(result.get_error_message())
                written = int(result.get_value(0, 0) or 0) if result.ntuples else 0
            yield 0
            _ready(server, select.POLLIN)
    finally:
        server.finish()


def _ready(server: pq.abc.PGconn, event: int) -> None:
    """Wait until it can go on, but no longer than a moment."""
    socket = select.poll()  # select takes no descriptor above 1023
    socket.register(server.socket, event)
    socket.poll(POLL_S * 1000)
