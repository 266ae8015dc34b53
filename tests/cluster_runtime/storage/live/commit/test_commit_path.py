"""The commit path: a write quorum acknowledges, and log that comes meanwhile shares a write."""

import errno
import os
import shutil
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.policy.feedback import Feedback
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.sizes import Sizes
from cluster_runtime.storage.core.types import SEGMENT_IDS, Lsn, StorageType
from cluster_runtime.storage.disk.device import PAGE_BYTES, Arena, Vector
from cluster_runtime.storage.disk.filesystem import HOST_DISK, HostDisk
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live import node as module
from cluster_runtime.storage.live.commit.lanes import DEPTH, IoCounts
from cluster_runtime.storage.live.commit.writer_link import Attachment
from cluster_runtime.storage.live.node import StorageNode
from cluster_runtime.storage.live.opening import open_volume
from cluster_runtime.storage.streaming.replication import ReplicationClient, WalMessage
from tests.waiting import wait_until

VOLUME = UUID(int=12)
START = Lsn(8192)
RECORD_BYTES = 64


class ToldDevice:
    """A `LogDevice` whose writes end when the test says so."""

    direct = False

    def __init__(self, arena: Arena, lanes: int) -> None:
        self.under_way: dict[int, tuple[int, int]] = {}
        self._ended: deque[tuple[int, int]] = deque()
        self._told, self._tell = os.pipe()

    def fileno(self) -> int:
        return self._told

    def start(
        self, lane: int, fd: int, vectors: Sequence[Vector], offset: int, *, durable: bool
    ) -> None:
        self.under_way[lane // DEPTH] = lane, sum(length for _, length in vectors)

    def shares_a_disk(self, fds: Sequence[int]) -> bool:
        return False

    def flush(self, lane: int, fd: int) -> None:
        raise AssertionError("standard storage shares no flush")

    def submit(self) -> None: ...

    def end(self, *segments: int) -> None:
        for segment in segments:
            self._ended.append(self.under_way.pop(segment))
        os.write(self._tell, b"x")

    def completed(self) -> list[tuple[int, int]]:
        if self._ended:
            os.read(self._told, 100)
        return [self._ended.popleft() for _ in range(len(self._ended))]

    def close(self) -> None:
        os.close(self._told)
        os.close(self._tell)


class Writer(ReplicationClient):
    """A writer's stream that the test feeds with whole records."""

    def __init__(self, lsn: int) -> None:
        self._near, self._far = socket.socketpair()
        self._lsn = lsn
        self._sent: deque[WalMessage] = deque()
        self.acknowledged: list[int] = []
        self.relayed: list[Feedback] = []
        self.has_more = False

    def commit(self) -> int:
        record = RECORD_BYTES.to_bytes(4, "little").ljust(RECORD_BYTES, b"r")
        self._sent.append(WalMessage(self._lsn, memoryview(record)))
        self._lsn += RECORD_BYTES
        self._far.send(b"x")
        return self._lsn

    def fileno(self) -> int:
        return self._near.fileno()

    def receive(self, limit_bytes: int) -> list[WalMessage]:
        self._near.recv(100)
        return [self._sent.popleft() for _ in range(len(self._sent))]

    def acknowledge(self, lsn: int) -> None:
        self.acknowledged.append(lsn)

    def relay(self, feedback: Feedback) -> None:
        self.relayed.append(feedback)

    def close(self) -> None:
        self._near.close()
        self._far.close()


class Rig:
    """A node whose steps the test takes one by one, on the test's own thread."""

    def __init__(
        self, root: Path, disk: HostDisk = HOST_DISK, storage_type: StorageType = "aurora"
    ) -> None:
        self.behind: list[str] = []
        self.losses: list[tuple[Attachment, StorageError]] = []
        for segment in SEGMENT_IDS:
            mark = Mark(0, START, START, 0, 1)
            SegmentStore.create(
                root, VOLUME, segment, mark, Membership(), direct=False, disk=disk
            ).close()
        self.opened = open_volume(
            root, VOLUME, timeline=1, unreachable=frozenset(), direct=False, disk=disk
        )
        self.node = StorageNode(
            self.opened.volume,
            list(self.opened.stores.values()),
            position=self.opened.position,
            wal_segment_bytes=1 << 20,
            storage_type=storage_type,
            counts=IoCounts(),
            prepare=lambda position: None,
            fell_behind=self.behind.append,
            writer_lost=lambda attachment, error: self.losses.append((attachment, error)),
        )
        device = self.node._device
        assert isinstance(device, ToldDevice)
        self.device = device
        self.writer = Writer(START)
        self.attachment = self.attach(self.writer)

    def attach(self, writer: Writer) -> Attachment:
        """Attach a writer, as one of its own."""
        attachment = Attachment(self.opened.volume.epoch, 1, Path(), lambda error: None)
        self.node.attach(writer, attachment)
        return attachment

    def commit(self) -> int:
        end = self.writer.commit()
        self.node._step()
        return end

    def end(self, *segments: int) -> None:
        self.device.end(*segments)
        self.node._step()

    def close(self) -> None:
        self.node.detach()
        self.node.close()
        for store in self.opened.stores.values():
            store.close()


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(module, "open_device", ToldDevice)
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def test_a_commit_is_acknowledged_at_the_fourth_write(rig: Rig) -> None:
    end = rig.commit()
    assert set(rig.device.under_way) == {0, 1, 2, 3, 4, 5}
    rig.end(0, 1, 2)
    assert end not in rig.writer.acknowledged
    rig.end(5)
    assert rig.writer.acknowledged[-1] == end


def test_commits_that_come_meanwhile_share_the_next_write(rig: Rig) -> None:
    rig.commit()
    for _ in range(3):
        last = rig.commit()
    assert rig.node.counts.segment_writes == 6
    rig.end(0, 1, 2, 3)
    assert set(rig.device.under_way) == {0, 1, 2, 3, 4, 5}
    rig.end(0, 1, 2, 3)
    assert rig.writer.acknowledged[-1] == last
    assert rig.node.counts.segment_writes == 6 + 4


def test_a_late_segment_is_waited_for_by_nobody_and_takes_all_it_missed(rig: Rig) -> None:
    rig.commit()
    rig.end(0, 1, 2, 3, 4)
    for _ in range(200):
        last = rig.commit()
        rig.end(0, 1, 2, 3, 4)
        assert rig.writer.acknowledged[-1] == last
    rig.end(5)
    _, length = rig.device.under_way[5]
    assert length > 200 * RECORD_BYTES > PAGE_BYTES
    rig.end(5)
    assert rig.opened.stores[SEGMENT_IDS[5]].core.scl == last


def test_a_write_that_the_ring_overtook_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "open_device", ToldDevice)
    disk = HostDisk()
    disk.sizes = Sizes(ring=4 * PAGE_BYTES)
    rig = Rig(tmp_path, disk)
    late = rig.node.lanes[5]
    rig.commit()
    rig.end(0, 1, 2, 3, 4)
    held = late.store.end, late.store.core.scl
    while rig.node.staging.oldest <= late.store.end:
        rig.commit()
        rig.end(0, 1, 2, 3, 4)
    rig.end(5)

    assert not late.live
    assert (late.store.end, late.store.core.scl) == held
    rig.close()


def test_a_segment_that_would_be_overtaken_is_waited_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "open_device", ToldDevice)
    disk = HostDisk()
    disk.sizes = Sizes(ring=16 * PAGE_BYTES)
    rig = Rig(tmp_path, disk)
    late = rig.node.lanes[5]

    def fill() -> None:
        while rig.node.source is not None:
            rig.commit()
            rig.end(0, 1, 2, 3, 4)

    fill()
    assert late.live
    assert rig.node.staging.head - late.store.end > 12 * PAGE_BYTES
    rig.end(5)  # it got what was ready for it
    rig.end(5)
    assert rig.node.source is rig.writer
    fill()
    wait_until(lambda: rig.node.source is rig.writer)  # for nothing more than a moment
    assert late.live
    rig.close()


class SharedDevice(ToldDevice):
    """Six files on one disk: writes are durable once a flush of it has ended."""

    direct = True

    def __init__(self, arena: Arena, lanes: int) -> None:
        super().__init__(arena, lanes)
        self.flushes: list[tuple[int, int]] = []

    def shares_a_disk(self, fds: Sequence[int]) -> bool:
        return True

    def flush(self, lane: int, fd: int) -> None:
        self.flushes.append((lane, fd))

    def end_flush(self, result: int) -> None:
        self._ended.append((self.flushes.pop()[0], result))
        os.write(self._tell, b"x")


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(module, "open_device", SharedDevice)
    rig = Rig(tmp_path, storage_type="aurora-iopt1")
    yield rig
    rig.close()


def device_of(rig: Rig) -> SharedDevice:
    assert isinstance(rig.device, SharedDevice)
    return rig.device


def test_one_flush_makes_a_batch_durable_for_all(shared: Rig) -> None:
    end = shared.commit()
    shared.end(0, 1, 2, 3)
    assert end not in shared.writer.acknowledged
    device_of(shared).end_flush(0)
    shared.node._step()
    assert shared.writer.acknowledged[-1] == end


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EBADF])
def test_a_flush_that_fails_is_the_trouble_of_the_one_it_was_asked_of(
    shared: Rig, code: int
) -> None:
    """The others do not trust what they wrote, and write it again; the thread lives on."""
    end = shared.commit()
    shared.end(0, 1, 2, 3)
    device_of(shared).end_flush(-code)
    shared.node._step()
    assert end not in shared.writer.acknowledged
    assert [lane.problem != "" for lane in shared.node.lanes] == [True, *[False] * 5]
    assert set(shared.behind) == set(SEGMENT_IDS[1:4])
    for lane in shared.node.lanes[1:4]:
        assert shared.node.begin_catching_up(lane) is not None
        shared.node.caught_up(lane, lane.store.end, lane.store.core.scl)
    shared.end(4, 5)
    shared.node._step()
    shared.end(1, 2, 3)
    for _ in range(4):  # flushes of the first two, and of the three that came later
        if device_of(shared).flushes:
            device_of(shared).end_flush(0)
        if shared.writer.acknowledged[-1] != end:
            shared.node._step()
    assert shared.writer.acknowledged[-1] == end


@pytest.mark.parametrize("storage_type", ["aurora", "aurora-iopt1"])
@pytest.mark.parametrize("lost", [0, 3, 5])
def test_a_deleted_segment_does_not_end_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage_type: StorageType, lost: int
) -> None:
    """Its next log file was made, and not opened yet, when its directory went."""
    monkeypatch.setattr(module, "open_device", SharedDevice)
    rig = Rig(tmp_path, storage_type=storage_type)
    shutil.rmtree(rig.node.lanes[lost].store.directory)
    end = rig.commit()
    others = [each for each in range(6) if each != lost]
    rig.end(*others)
    if device_of(rig).flushes:
        device_of(rig).end_flush(0)
        rig.node._step()
    assert rig.writer.acknowledged[-1] == end
    assert rig.node.lanes[lost].problem
    rig.close()
