"""What happens to one writer is said about that one, however late it is heard.

Between an event and its handler stands a thread, a queue or a timer, and by then another writer, a
successor of a segment, or a later fault may be there.
"""

import errno
import threading
from pathlib import Path

import pytest

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.errors import InvalidParameterError, StorageError
from cluster_runtime.storage.core.faults import Fault
from cluster_runtime.storage.core.policy.feedback import NONE, Feedback, least
from cluster_runtime.storage.core.types import Epoch, Lsn
from cluster_runtime.storage.live.commit.writer_link import Attachment, WriterLink
from cluster_runtime.storage.streaming.replication import (
    ReplicationClient,
    ReplicationEndedError,
    WalMessage,
)
from cluster_runtime.storage.volume import WRITER_SETTINGS, StorageVolume
from tests.cluster_runtime.storage.conftest import Writer, insert
from tests.waiting import wait_until


class Client(ReplicationClient):
    """A writer's connection that only notes what it is told."""

    def __init__(self, *messages: WalMessage) -> None:
        self.said: list[object] = []
        self.broken = False
        self.closed = False
        self.messages = list(messages)

    def receive(self, limit_bytes: int) -> list[WalMessage]:
        if self.broken:
            raise ReplicationEndedError("broken")
        taken, self.messages = self.messages, []
        return taken

    def acknowledge(self, lsn: int) -> None:
        if self.broken:
            raise ReplicationEndedError("broken")
        self.said.append(lsn)

    def report(self) -> None:
        self.said.append("here")

    def relay(self, feedback: Feedback) -> None:
        self.said.append(feedback)

    def close(self) -> None:
        self.closed = True


class Rig:
    """A link to writers whose timers the test fires."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, object]] = []
        self.losses: list[tuple[Attachment, str]] = []
        self.ignored = 0
        self.link = WriterLink(
            lambda seconds, action: self.timers.append((seconds, action)),
            self._ignore,
            lambda attachment, error: self.losses.append((attachment, str(error))),
        )

    def _ignore(self) -> None:
        self.ignored += 1

    def attach(self, client: Client, vdl: int = 10) -> Attachment:
        made = Attachment(Epoch(1), 1, Path(), lambda error: None, 3.0)
        self.link.attach(client, made, Lsn(vdl))
        return made

    def fire(self) -> None:
        due, self.timers = self.timers, []
        for _, action in due:
            assert callable(action)
            action()


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_loss_names_the_attachment_that_it_is_about(rig: Rig) -> None:
    first, second = Client(), Client()
    lost = rig.attach(first)
    rig.link.lose(StorageError("gone"))
    rig.attach(second)
    assert rig.losses == [(lost, "gone")]
    assert first.closed
    assert not second.closed


def test_a_detach_of_an_attachment_says_nothing_and_a_second_loss_neither(rig: Rig) -> None:
    rig.attach(Client())
    rig.link.detach()
    rig.link.lose(StorageError("late"))
    assert rig.losses == []


def test_a_slow_acknowledgement_of_one_writer_never_reaches_the_next(rig: Rig) -> None:
    first, second = Client(), Client()
    rig.attach(first)
    rig.link.fault = Fault.parse("slow:50")
    rig.link.acknowledge(Lsn(20))
    rig.attach(second, 30)
    rig.fire()
    assert 20 not in second.said
    assert 20 not in first.said


def test_a_reminder_of_one_writer_is_not_said_to_the_next(rig: Rig) -> None:
    first, second = Client(), Client()
    rig.attach(first)
    rig.link.detach()
    rig.fire()
    assert "here" not in first.said
    rig.attach(second)
    rig.fire()
    assert second.said.count("here") == 1


def test_what_was_held_back_of_one_writer_is_not_put_before_the_next(rig: Rig) -> None:
    second = Client(WalMessage(100, memoryview(b"new")))
    rig.attach(Client())
    rig.link.held = WalMessage(50, memoryview(b"old"))
    rig.attach(second)
    assert [each.start for each in rig.link.receive(second, 1000)] == [100]


def test_a_connection_that_became_readable_before_it_was_let_go_is_not_read(rig: Rig) -> None:
    first = Client(WalMessage(1, memoryview(b"x")))
    rig.attach(first)
    rig.attach(Client())
    assert rig.link.receive(first, 1000) == []


def test_an_attach_that_fails_leaves_nothing_attached(rig: Rig) -> None:
    client = Client()
    client.broken = True
    with pytest.raises(ReplicationEndedError):
        rig.attach(client)
    assert rig.link.attachment is None
    assert rig.losses == []


def test_a_writer_that_hears_of_nothing_new_still_hears_that_its_standby_is_there(
    rig: Rig,
) -> None:
    client = Client()
    rig.attach(client)
    for _ in range(20):  # a minute of a backlog that is not read
        assert [seconds for seconds, _ in rig.timers] == [3.0]
        rig.fire()
    assert client.said.count("here") == 20
    rig.link.fault = Fault.parse("partition")
    rig.fire()
    assert client.said.count("here") == 20, "a cut is a cut"
    rig.link.fault = None
    rig.fire()
    assert client.said.count("here") == 21


def test_each_writer_that_comes_is_told_what_readers_need(rig: Rig) -> None:
    first, second = Client(), Client()
    rig.attach(first)
    wanted = Feedback((7, 0), (5, 0))
    rig.link.relay(wanted)
    rig.attach(second)
    assert wanted in first.said
    assert wanted in second.said


def test_the_oldest_need_of_all_readers_counts_across_a_wrap_of_the_ids() -> None:
    old, young = (4_294_967_290, 0), (10, 1)
    assert least([Feedback(young, young), Feedback(old, NONE)]) == Feedback(old, young)
    assert least([Feedback(), Feedback(NONE, young)]) == Feedback(NONE, young)
    assert least([]) == Feedback()


# on a volume -----------------------------------------------------------------------------------


def test_the_end_of_an_earlier_attachment_does_not_reach_the_callback_of_the_next(
    writer: Writer, volume: StorageVolume
) -> None:
    """The event waits in a queue while the next writer is attached."""
    first: list[StorageError] = []
    second: list[StorageError] = []
    insert(writer, 1)
    volume.detach_writer()
    volume.attach_writer(writer.postmaster.socket_directory, SUPERUSER, first.append)
    queue_is_free = threading.Event()
    volume._upkeep._quick.put(lambda: queue_is_free.wait(20) and None)
    writer.postmaster.kill()
    wait_until(lambda: not volume.attached)
    volume.rebuild(writer.data)
    volume.claim(writer.data)
    writer.postmaster.start(WRITER_SETTINGS)
    attachment = volume.attach_writer(writer.postmaster.socket_directory, SUPERUSER, second.append)
    queue_is_free.set()
    wait_until(lambda: first)
    assert second == []
    insert(writer, 2)
    volume.detach_writer(attachment)


def test_a_late_detach_of_an_earlier_writer_leaves_the_next_one_alone(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, 1)
    volume.detach_writer()
    sockets = writer.postmaster.socket_directory
    first = volume.attach_writer(sockets, SUPERUSER)
    volume.detach_writer(first)
    second = volume.attach_writer(sockets, SUPERUSER)
    volume.detach_writer(first)
    assert volume.attached
    insert(writer, 2)
    volume.detach_writer(second)
    assert not volume.attached


def test_a_fault_whose_time_is_over_does_not_heal_a_later_one_of_another_target(
    volume: StorageVolume,
) -> None:
    volume.inject_fault("az:a", "crash", duration=0.05)
    volume.inject_fault("segment:a1", "crash")

    def faults() -> dict[str, str]:
        return {each.id: each.fault for each in volume.describe().segments if each.fault}

    wait_until(lambda: "a2" not in faults())
    assert faults() == {"a1": "crash"}
    volume.heal()


def test_a_fault_of_the_writers_connection_whose_time_is_over_leaves_a_later_one(
    writer: Writer, volume: StorageVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(writer, 0)
    heal, begun = volume._upkeep.faults._heal, threading.Event()

    def begin(*args: object, **kwargs: object) -> None:
        begun.set()
        heal(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(volume._upkeep.faults, "_heal", begin)
    with volume._mount.changing:
        volume.inject_fault("writer", "partition", duration=0.01)
        timer = volume._upkeep.faults._timers["writer"]
        assert begun.wait(60)  # it waits for the lock now, and cannot be stopped
        volume.inject_fault("writer", "slow:1")
    timer.join(60)
    assert volume._upkeep.faults._of_writer == Fault.parse("slow:1")
    insert(writer, 1)
    volume.heal("writer")


def test_an_error_of_a_disk_that_was_replaced_is_not_blamed_on_its_successor(
    writer: Writer, volume: StorageVolume
) -> None:
    insert(writer, 1)
    node = volume._mount.node
    lane = volume._mount.lane(node.lanes[0].store.id)
    assert lane is not None
    another = node.lanes[1].store
    node.call(lambda: node.fail(lane, OSError(errno.EIO, "late"), another))
    assert lane.problem == ""
    assert lane.live
    node.call(lambda: node.fail(lane, OSError(errno.EIO, "now"), lane.store))
    assert "now" in lane.problem


def test_a_crash_is_nothing_that_a_volume_can_do_to_a_writer(volume: StorageVolume) -> None:
    with pytest.raises(InvalidParameterError, match="runs no server that could crash"):
        volume.inject_fault("writer", "crash")
