"""Who writes to an open volume: servers whose log it follows, one after the other."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from cluster_runtime.errors import StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.types import Lsn
from cluster_runtime.storage.core.wal_records import format_lsn
from cluster_runtime.storage.disk.data_directory import Claim
from cluster_runtime.storage.live.commit.writer_link import Attachment
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.streaming.replication import ReplicationClient, SystemIdentification

_log = get_logger(__name__)


class Writers:
    """The synchronous standby of a volume's writer, of whichever it is now."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount

    @property
    def attached(self) -> bool:
        """Whether a writer sends its log."""
        return self._mount.node.attachment is not None

    def attach(
        self,
        socket_directory: Path,
        superuser: str,
        lost: Callable[[StorageError], None] | None,
    ) -> Attachment:
        """Follow a running server from the volume's end on; see `StorageVolume.attach_writer`."""
        mount = self._mount
        with mount.changing:
            mount.require_writable()
            node = mount.node
            client = ReplicationClient(str(socket_directory), superuser)
            try:
                system = client.identify()
                self._require_ours(system, socket_directory)
                self._require_our_directory(client.data_directory())
                self._follow_timeline(client, system.timeline)
                start = node.end_lsn
                _require_log_up_to(start, system)
                attachment = Attachment(
                    node.volume.epoch,
                    system.timeline,
                    socket_directory,
                    lost or _log_loss,
                    client.status_interval_s(),
                )
                client.hold_log()
                client.start(start, system.timeline)
                node.call(lambda: node.attach(client, attachment))
                if mount.service is not None:
                    # Said while the volume was open before: it is not said again.
                    feedback = mount.service.feedback
                    node.post(lambda: node.relay(feedback))
            except BaseException:
                client.close()
                raise
            return attachment

    def detach(self, attachment: Attachment | None) -> None:
        """Follow the writer no more, or a certain one if it is that."""
        node = self._mount.node
        with suppress(StorageError):  # one that has ended follows nobody
            node.call(lambda: node.detach(attachment))

    def _require_ours(self, system: SystemIdentification, socket_directory: Path) -> None:
        ours = self._mount.metadata.system_identifier
        if system.system_identifier != ours:
            raise StorageError(
                f"the server in {socket_directory} has system identifier "
                f"{system.system_identifier}, not this volume's {ours}; it belongs to another "
                "cluster"
            )

    def _require_our_directory(self, data_directory: Path) -> None:
        """A volume that was cut from this one has its system identifier."""
        ours, claim = self._mount.metadata.identity, Claim.read(data_directory)
        if claim is not None and claim.volume_id != ours:
            raise StorageError(
                f"the server over {data_directory} belongs to volume {claim.volume_id}, not to "
                f"this one, {ours}: it is of another cluster that was made from the same one"
            )

    def _follow_timeline(self, client: ReplicationClient, timeline: int) -> None:
        """Learn of a timeline that a promoted reader began."""
        mount = self._mount
        known = mount.metadata.timelines
        if timeline == known.current:
            return
        history = client.timeline_history(timeline).decode()
        timelines = known.promoted(timeline, history, mount.node.end_lsn)
        mount.change_metadata(replace(mount.metadata, timelines=timelines))
        if mount.service is not None:
            # Their streams know nothing of an end of the timeline that they began on.
            mount.service.disconnect_all()


def _require_log_up_to(end: Lsn, system: SystemIdentification) -> None:
    if system.flushed < end:
        raise StorageError(
            f"the server's log ends at {format_lsn(system.flushed)}, the volume's at "
            f"{format_lsn(end)}; rebuild its data directory"
        )


def _log_loss(error: StorageError) -> None:
    _log.warning("the writer's log stream ended", error=str(error))
