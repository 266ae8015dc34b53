"""One segment on disk: its log files, its durable state, and the pure `Segment` over them.

az-a/a1/segment.json      promise, history, membership, the volume's metadata, a checksum over them
                          (replaced atomically)
az-a/a1/promised          the promised epoch in 8 bytes, read by every process that has the
                          volume open: how a stale writer hears at once that it was replaced
az-a/a1/end.json          where the log ended when somebody looked last; may be missing
az-a/a1/log/*.log         the hot log
az-a/a1/pages/<lsn>/      page images (full segments)
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from cluster_runtime.engine.system.resources import used_up
from cluster_runtime.errors import StaleEpochError, StorageError
from cluster_runtime.storage.core.metadata import VolumeMetadata
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.segment import (
    Action,
    CutLog,
    History,
    Persist,
    Segment,
    SegmentStatus,
)
from cluster_runtime.storage.core.types import Epoch, Lsn, SegmentId, az_of
from cluster_runtime.storage.disk.end_note import EndNote, EndNotes
from cluster_runtime.storage.disk.filesystem import HOST_DISK, Disk
from cluster_runtime.storage.disk.log_files import Mark, SegmentLog
from cluster_runtime.storage.disk.log_frames import Frame, LogFrames
from cluster_runtime.storage.disk.page_images import PageImage, images
from cluster_runtime.storage.disk.state_file import (
    STATE_FILE,
    SegmentStateFile,
    StateDamagedError,
)

PROMISED_FILE = "promised"
LOG, PAGES = "log", "pages"


class SegmentUnreadableError(StorageError):
    """A segment's files are missing or damaged. It is replaced from its peers."""


class SegmentAwayError(SegmentUnreadableError):
    """The disk below a segment refuses to be read or written. It may come back as it was."""


class SegmentStore:
    """A segment's files and state. One thread changes it; reading is free to all."""

    def __init__(
        self,
        directory: Path,
        volume: UUID,
        core: Segment,
        log: SegmentLog,
        metadata: VolumeMetadata | None = None,
    ) -> None:
        self.directory = directory
        self.volume = volume
        self.core = core
        self.log = log
        self.metadata = metadata
        self.end = log.start
        self.accepts_format_1 = False
        self.pages = directory / PAGES
        self._frames = LogFrames(volume, log, core)
        self._state_file = directory / STATE_FILE
        self._board = log.disk.board(directory / PROMISED_FILE)
        self._persisting = threading.Lock()
        self._marking = threading.Lock()
        self._notes = EndNotes(directory, log.disk)
        self._read_from = log.start

    @classmethod
    def create(
        cls,
        root: Path,
        volume: UUID,
        segment: SegmentId,
        start: Mark,
        membership: Membership,
        *,
        direct: bool,
        history: History = (),
        first_file_bytes: int = 0,
        metadata: VolumeMetadata | None = None,
        disk: Disk = HOST_DISK,
        sparse: bool = False,
    ) -> "SegmentStore":
        """Make an empty segment whose log begins at `start`.

        first_file_bytes: of the log, where not the usual; what is copied from a peer needs files
        like that peer's. sparse: the first opening of the volume makes the first file for use.
        """
        directory = segment_directory(root, segment)
        disk.make_directory(directory)
        size = first_file_bytes or disk.sizes.first_file
        log = SegmentLog.create(directory / LOG, start, size, disk, direct=direct, sparse=sparse)
        lsn = Lsn(start.lsn)
        epoch = history[-1].epoch if history else Epoch(start.epoch)
        core = Segment(segment, membership, epoch, history, lsn, lsn, lsn, floor=lsn)
        try:
            store = cls(directory, volume, core, log, metadata)
            store.persist()
            for each in (log.directory, directory.parent, root):
                disk.sync_directory(each)
        except BaseException:
            log.close()
            raise
        return store

    @classmethod
    def open(
        cls,
        root: Path,
        volume: UUID,
        segment: SegmentId,
        *,
        direct: bool,
        accept_format_1: bool = False,
        disk: Disk = HOST_DISK,
    ) -> "SegmentStore":
        """Open a segment and find the end of its log.

        accept_format_1: take a state without a checksum too; then the whole log is followed, for
        marks of that format could be ahead of it.
        Raises SegmentAwayError where its disk refuses, SegmentUnreadableError where it is missing,
        damaged, or not this volume's; InsufficientResourcesError where it may be well, and this
        process can open no more files.
        """
        directory = segment_directory(root, segment)
        log, store = None, None
        try:
            state = _read_state(disk, directory, accept_format_1)
            if state.volume != volume or state.segment != segment:
                raise SegmentUnreadableError(
                    f"{directory} holds segment {state.segment} of volume {state.volume}, not "
                    f"{segment} of {volume}"
                )
            floor = state.floor if state.metadata is not None or not accept_format_1 else None
            log = SegmentLog.open(directory / LOG, disk, direct=direct, floor=floor)
            if not log.files:
                raise SegmentUnreadableError(f"segment {segment} holds no log that begins")
            store = cls(directory, volume, Segment(segment), log)
            store.accepts_format_1 = accept_format_1
            with store._board.alone():
                store._reload()
                store._board.value = store.core.promised
            store.find_end(whole=state.metadata is None and accept_format_1)
        except (OSError, ValueError, LookupError, SegmentUnreadableError) as error:
            if store is not None:
                store.close()
            elif log is not None:
                log.close()
            if isinstance(error, SegmentUnreadableError):
                raise
            if (known := used_up(error)) is not None:
                raise known from error
            missing = isinstance(
                error, FileNotFoundError | NotADirectoryError | ValueError | LookupError
            )
            kind = SegmentUnreadableError if missing else SegmentAwayError
            raise kind(f"segment {segment} cannot be read: {error}") from error
        return store

    @property
    def id(self) -> SegmentId:
        """The name of the segment."""
        return self.core.id

    def images(self) -> list[PageImage]:
        """Its complete page images, oldest first."""
        return images(self.pages, self.log.disk)

    @property
    def promised_now(self) -> int:
        """The promise as it stands, also where another process made it."""
        return self._board.value

    def status(self) -> SegmentStatus:
        """What an opening of the volume asks a segment for."""
        return self.core.status()

    def promise(self, epoch: Epoch) -> SegmentStatus:
        """Promise an epoch, durably: what the writer before has changed until now is seen.

        Raises StaleEpochError where another process has promised as much or more.
        """
        with self._persisting, self._board.alone():
            self._reload()
            if Persist() not in self.core.promise(epoch):
                raise self._stale(epoch)
            self._persist()
        # A writer that was not fenced until now may have written since the segment was read.
        self.find_end()
        self.make_durable()
        return replace(self.status(), begins=Lsn(self.log.begins()))

    def make_durable(self) -> None:
        """Sync what was read since it was opened: its writer may not have. Raises OSError."""
        for file in self.log.files:
            if self._read_from < file.end and file.start <= self.end:
                self.log.disk.sync(file.path)

    def perform(self, actions: Iterable[Action]) -> None:
        """Do what the core asks of the disk while no device writes to this segment.

        Raises SegmentUnreadableError where it holds no log up to where it has to be cut.
        """
        for action in actions:
            match action:
                case CutLog(lsn):
                    try:
                        self.end = self.position_of(lsn)
                    except LookupError as error:
                        raise SegmentUnreadableError(
                            f"the log of segment {self.id} cannot be cut where it has to be: "
                            f"{error}"
                        ) from error
                    self._notes.forget()
                    self.drop_behind()
                    self.persist()
                case Persist():
                    self.persist()
                case _:
                    continue  # acknowledgements and refusals: the caller reads the core's state

    def persist(self) -> None:
        """Make promise, history, membership, floor and metadata durable.

        Raises StaleEpochError where another process has promised more: its state stays.
        """
        with self._persisting, self._board.alone():
            if self.promised_now > self.core.promised:
                raise self._stale(self.core.promised)
            self._persist()

    def _persist(self) -> None:
        core = self.core
        state = SegmentStateFile(
            self.volume,
            core.id,
            core.promised,
            core.history,
            core.membership,
            core.floor,
            self.metadata,
        )
        self.log.disk.replace(self._state_file, state.encode())
        self.log.epoch = core.promised
        self._board.value = core.promised

    def _reload(self) -> None:
        """Take promise, history, membership, floor and metadata from the disk."""
        state = _read_state(self.log.disk, self.directory, self.accepts_format_1)
        core = self.core
        core.promised, core.history = state.promised, state.history
        self.log.epoch = core.promised
        core.membership, core.floor, self.metadata = state.membership, state.floor, state.metadata

    def _stale(self, epoch: Epoch) -> StaleEpochError:
        return StaleEpochError(
            f"segment {self.id} was promised to epoch {self.promised_now}; the writer of epoch "
            f"{epoch} must stop"
        )

    @property
    def is_there(self) -> bool:
        """Whether the files are still under their names: an open file outlives its deletion."""
        exists = self.log.disk.exists
        missing = [file for file in self.log.files if not exists(file.path)]
        gone = any(file in self.log.files for file in missing)  # and not collected just now
        return self._board.is_there and exists(self._state_file) and not gone

    def state_is_whole(self) -> bool:
        """Whether the state on the disk can be read."""
        try:
            _read_state(self.log.disk, self.directory, self.accepts_format_1)
        except SegmentUnreadableError:
            return False
        return True

    def set_mark(self, mark: Mark, *, reached: int = 0) -> bool:
        """Write the mark of the file that begins at a position; whether the log reaches there.

        A mark says that every frame below it is here: it is never ahead of the chain.
        reached: where the log ends now, if that is not told to the segment yet.
        """
        with self._marking:
            if max(self.end, reached) < mark.position:
                return False
            file = self.log.file_at(mark.position)
            if file.start == mark.position and self.log.mark(file) is None:
                self.log.set_mark(file, mark)
            return True

    def damaged_behind(self, end: int) -> None:
        """The chain ends at a position, whatever lies behind it."""
        with self._marking:
            self.end = end
            self._notes.forget()

    def end_note(self) -> EndNote:
        """Where the log ends now; asked by whoever changes that, or while nobody does."""
        core = self.core
        return EndNote(self.end, core.scl, core.consistent, core.history)

    def note_end(self, note: EndNote) -> None:
        """Spare the next opening what lies before the end that was noted. Raises OSError."""
        with self._marking:
            if note.position <= self.end and note.history == self.core.history:
                self._notes.keep(note)

    def give_back(self) -> None:
        """Give back what was made ahead of need for its log, which nobody continues in this epoch.

        Not where another process has promised a newer one: it is at work there. Raises OSError.
        """
        with self._marking, self._persisting, self._board.alone():
            if self.promised_now == self.core.promised:
                self.log.trim(self.end)

    def drop_behind(self) -> None:
        """Remove the files that begin behind the end of the log, with all they claim.

        They belong to an opening that failed, or lie behind damage; they would split the
        frames that are to lie there.
        """
        with self._marking:
            self.log.remove_from(self.end + 1)

    def begin_epoch(self, position: int, timeline: int) -> None:
        """Seal the log at a position and begin the file of a new writer there."""
        tail = self.core.tail
        self.log.cut(position, Mark(position, tail, tail, self.core.promised, timeline))
        self.end = position

    def collect(self, position: int) -> None:
        """Remove log files that no read from `position` on needs.

        The oldest file that stays must have a mark: without one, nothing says where it begins.
        """
        if position > self.end:
            return
        for file in self.log.files:
            if file.start <= position < file.end and self.log.mark(file) is not None:
                self.log.remove_below(file.start)
                return

    def find_end(self, *, whole: bool = False) -> None:
        """Find the end of the log: read on from where it was noted, or from the newest mark.

        Everything before that was durable when a mark, or a note, said that it is there.
        whole: follow the chain from its first frame, and drop what is not in it.
        """
        log, history = self.log, self.core.history
        noted = None if whole else self._notes.fitting(log.start, log.end, history)
        if noted is not None:
            if not self._notes.is_remembered(noted):
                self._read_from = noted.position
            self._ends(*self._frames.follow(noted.position, noted.lsn, noted.consistent))
            return
        for file in self.log.files[:1] if whole else reversed(self.log.files):
            mark = self.log.mark(file)
            if mark is None:
                continue
            end, tail, consistent = self._frames.follow(file.start, Lsn(mark.lsn), None)
            if consistent is None and mark.lsn == mark.previous and _is_cut(self.core, tail):
                consistent = tail
            if consistent is not None or file is self.log.files[0]:
                self._read_from = file.start
                self._ends(end, tail, consistent)
                if whole:
                    self.drop_behind()
                return
        raise SegmentUnreadableError(f"segment {self.id} has no log file that says where it starts")

    def _ends(self, end: int, tail: Lsn, consistent: Lsn | None) -> None:
        self.end = end
        self.core.restart(tail, self.core.floor if consistent is None else consistent)
        self._notes.remember(self.end_note())

    def frames(
        self, position: int, *, previous: Lsn | None = None, end: int | None = None
    ) -> Iterator[Frame]:
        """The frames from a position on; see `LogFrames.read`."""
        return self._frames.read(position, previous=previous, end=end)

    def position_of(self, lsn: Lsn) -> int:
        """Where the batch that ends at an LSN ends. Raises LookupError where there is none."""
        return self._frames.position_of(lsn)

    def close(self) -> None:
        """A second call does nothing."""
        self.log.close()
        self._board.close()


def _is_cut(core: Segment, lsn: Lsn) -> bool:
    return any(cut.lsn == lsn for cut in core.history) or lsn == core.floor


def segment_directory(root: Path, segment: SegmentId) -> Path:
    """Where a segment of a volume lives: one folder per zone, one per segment in it."""
    return root / f"az-{az_of(segment)}/{segment}"


def _read_state(disk: Disk, directory: Path, accept_format_1: bool) -> SegmentStateFile:
    try:
        content = disk.read(directory / STATE_FILE)
        return SegmentStateFile.decode(content, accept_format_1=accept_format_1)
    except StateDamagedError as error:
        raise SegmentUnreadableError(f"{directory / STATE_FILE} is damaged: {error}") from error
