"""The storage node: one thread between the writer's log and the segments' disks.

It waits for the writer's connection, for the ends of durable writes and for what other threads ask,
and turns the commit path.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from cluster_runtime.errors import StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.durability import Volume
from cluster_runtime.storage.core.types import SegmentId, StorageType
from cluster_runtime.storage.disk.device import open_device
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live.commit.commit_path import CommitPath
from cluster_runtime.storage.live.commit.lanes import IoCounts
from cluster_runtime.storage.live.commit.writer_link import Attachment
from cluster_runtime.storage.streaming.replication import ReplicationClient

_log = get_logger(__name__)
_Result = TypeVar("_Result")


class StorageNode(CommitPath):
    """Runs on a thread of its own from `start` to `close`."""

    def __init__(
        self,
        volume: Volume,
        stores: list[SegmentStore],
        *,
        position: int,
        wal_segment_bytes: int,
        storage_type: StorageType,
        counts: IoCounts,
        prepare: Callable[[int], None],
        fell_behind: Callable[[SegmentId], None],
        writer_lost: Callable[[Attachment, StorageError], None],
    ) -> None:
        """See `CommitPath`; what is asked of other threads is asked on the node's own."""
        super().__init__(
            volume,
            stores,
            position=position,
            wal_segment_bytes=wal_segment_bytes,
            storage_type=storage_type,
            counts=counts,
            prepare=prepare,
            fell_behind=fell_behind,
            writer_lost=writer_lost,
            open_device=open_device,
        )
        self._waking = threading.Lock()
        self._wake, self._waker = os.pipe()
        for end in (self._wake, self._waker):
            os.set_blocking(end, False)
        self._commands: deque[Callable[[], None]] = deque()
        self._closing = self._closed = False
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._poll.register(self._device.fileno(), select.POLLIN)
        self._polled: ReplicationClient | None = None
        self._thread = threading.Thread(target=self._run, name="borealis-storage", daemon=True)

    def start(self) -> None:
        """Start the thread of the commit path."""
        self._thread.start()

    def close(self) -> None:
        """End the writer's connection and wait for writes under way. Segments stay open.

        A second call does nothing.
        """
        if self._closed:
            return
        self._closed = True
        if self._thread.is_alive():
            self.call(self._stop)
            self._thread.join()
        self._device.close()
        with self._waking:
            os.close(self._wake)
            os.close(self._waker)
            self._waker = -1

    @property
    def ended(self) -> bool:
        """Whether it was closed: nothing runs on its thread any more."""
        return self._closed

    def call(self, action: Callable[[], _Result]) -> _Result:
        """Run something on the node's thread; return or raise what it does.

        Raises StorageError once the node is closed.
        """
        done: Future[_Result] = Future()

        def run() -> None:
            try:
                done.set_result(action())
            except BaseException as error:  # noqa: BLE001 - handed to the caller as it is
                done.set_exception(error)

        self.post(run)
        while True:
            try:
                return done.result(timeout=1)
            except TimeoutError:
                if not self._thread.is_alive() and not done.done():
                    raise StorageError("the storage node has ended") from None

    def post(self, action: Callable[[], None]) -> None:
        """Have something run on the node's thread, soon."""
        self._commands.append(action)
        # A descriptor that was closed may be another file's by now.
        with self._waking, suppress(BlockingIOError):
            if self._waker >= 0:
                os.write(self._waker, b"x")

    def watch(self, fd: int) -> None:
        """Write to `fd` (non-blocking) whenever the VDL moves."""
        self.head.watch(fd)

    def unwatch(self, fd: int) -> None:
        """Tell a file descriptor no more that the log has grown."""
        self.head.unwatch(fd)

    def _run(self) -> None:
        try:
            while not self._closing:
                self._step()
        except BaseException as error:
            _log.error("the storage node failed", error=repr(error))
            self._writer.lose(StorageError(f"the storage node failed: {error!r}"))
            raise

    def _step(self) -> None:
        self._listen_to_writer()
        client = self._polled
        arrived = client is not None and client.has_more
        for fd, _ in self._poll.poll(0 if arrived else self._patience_ms()):
            if fd == self._wake:
                with suppress(BlockingIOError):
                    os.read(self._wake, 4096)
            elif client is not None and fd == client.fileno():
                arrived = True
        self.turn(client if arrived else None)

    def _listen_to_writer(self) -> None:
        """Poll the writer's connection unless a fault or the backlog speaks against it."""
        client = self.source
        if client is not self._polled:
            self._ignore_writer()
            if client is not None:
                self._poll.register(client.fileno(), select.POLLIN)
                self._polled = client

    def _ignore_writer(self) -> None:
        if self._polled is not None:
            with suppress(KeyError, ValueError):
                self._poll.unregister(self._polled.fileno())
            self._polled = None

    def _patience_ms(self) -> float | None:
        due = self._timers.due
        return None if due is None else max(0.0, (due - self.clock()) * 1000)

    def _stop(self) -> None:
        self.detach()
        self._closing = True

    def _do_what_was_asked(self) -> None:
        while self._commands:
            self._commands.popleft()()
