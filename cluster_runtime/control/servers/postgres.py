"""The instances of a cluster on its volume: a writer and readers, which change places.

Blocking; `HostedInstance` calls them in worker threads, one call at a time for each.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cluster_runtime.control.availability.health import Process
from cluster_runtime.control.servers.on_volume import OnVolume, Parameters
from cluster_runtime.control.servers.storage import ClusterStorage
from cluster_runtime.engine.access.instance_facts import InstanceFacts
from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.parameters import STANDBY_PARAMETERS, with_decoding
from cluster_runtime.engine.postmaster import Postmaster, Shutdown
from cluster_runtime.engine.sandbox.walls import Walls
from cluster_runtime.engine.settings import Settings
from cluster_runtime.engine.system.files import remove_tree
from cluster_runtime.engine.system.resources import says_no_space
from cluster_runtime.errors import (
    EngineError,
    EngineNotFoundError,
    QuorumLostError,
    StaleEpochError,
    StorageError,
)
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.disk.data_directory import Claim
from cluster_runtime.storage.streaming.replication import SLOT_NAME
from cluster_runtime.storage.volume import WRITER_SETTINGS, StorageVolume

_log = get_logger(__name__)

DAMAGED = "The data directory of the writer was damaged: it is made again from the volume"
"""An event."""
NOT_THE_DIRECTORY_S = (EngineNotFoundError, QuorumLostError, StaleEpochError)
"""Errors of a start that another data directory would have too."""


class Instance(Protocol):
    """A PostgreSQL of a cluster."""

    @property
    def running(self) -> bool:
        """Whether its postmaster runs."""

    @property
    def outdated(self) -> bool:
        """Whether it runs and must be started again before it lets anybody in."""

    @property
    def pid(self) -> int | None:
        """The process id of its postmaster; None while it does not run."""

    @property
    def process(self) -> Process:
        """What the operating system says of its postmaster."""

    @property
    def walls(self) -> Walls | None:
        """What stands around it since its last start."""

    @property
    def socket_directory(self) -> Path:
        """The folder of its socket, which only the host may enter."""

    def start(self) -> None:
        """Start it. Raises EngineError, StorageError."""

    def stop(self, mode: Shutdown) -> None:
        """Stop it in one of PostgreSQL's three ways."""

    def kill(self) -> None:
        """End it as a crash would."""

    def end_backend(self, pid: int) -> None:
        """End one of its server processes; one that is not its own is left alone."""

    @property
    def extensions(self) -> tuple[str, ...]:
        """The extensions that its master user may create."""

    def tell(self, facts: InstanceFacts) -> None:
        """Have it tell its clients this of itself, while it runs."""


@dataclass(frozen=True, slots=True)
class EarlyStart:
    """A start that is under way before its volume is open.

    claimed: what its directory said. started: false where it must not be started at all.
    """

    claimed: Claim
    started: Future[bool]


class Writer(OnVolume):
    """PostgreSQL that writes to the volume. Its data directory is a cache of it."""

    def __init__(
        self, postmaster: Postmaster, storage: ClusterStorage, parameters: Parameters
    ) -> None:
        super().__init__(postmaster, storage, parameters)
        self._run: object | None = None
        self._tell_lost: Callable[[], None] = _nobody

    def on_lost(self, tell: Callable[[], None]) -> None:
        """Have `tell` called, on another thread, once it has ended without having been told to."""
        self._tell_lost = tell

    def start(self) -> None:
        """Start over the data directory where it can be trusted, else over a new one.

        One that was trusted and over which no server starts is damaged: it is made again, for the
        volume has all that was in it. Raises EngineError, StorageError, InsufficientStorageError.
        """
        with self._life, ThreadPoolExecutor(1, "borealis-early") as beside:
            early = self._start_early(beside)
            try:
                volume = self._storage.open_for(self)
                self._start(volume, early)
            except BaseException:
                if early is not None:
                    wait([early.started])
                    self._postmaster.kill()
                self._storage.rest(self)  # the next try opens it again
                raise

    def _start_early(self, beside: Executor) -> "EarlyStart | None":
        """Start over a directory that may be trusted while the volume is opened, which says so.

        Until the volume follows the server no commit returns, so one that started in vain did no
        harm but to the directory, which is made again. Not where that has what the volume has not:
        slots of logical replication.
        """
        data = self._postmaster.data_directory
        claimed = Claim.read(data) if self._storage.opened is None else None
        if claimed is None or not claimed.may_be_trusted or has_slots(data):
            return None

        def start() -> bool:
            if not self._postmaster.adopt():
                return False
            claimed.in_use().write(data)
            self._start_server()
            return True

        return EarlyStart(claimed, beside.submit(start))

    def _start(self, volume: StorageVolume, early: "EarlyStart | None") -> None:
        data = self._postmaster.data_directory
        trusted = volume.trusts(data, early.claimed if early is not None else None)
        try:
            if early is not None:
                if early.started.result() and trusted:
                    self._attach(volume)
                    return
                self._postmaster.kill()
            elif trusted and self._postmaster.adopt():
                self._launch(volume)
                return
        except (EngineError, StorageError, OSError) as error:
            if says_no_space(error) or isinstance(error, NOT_THE_DIRECTORY_S):
                raise
            if trusted:
                _log.warning("data directory is damaged", directory=str(data), error=str(error))
                self._storage.tell(DAMAGED, "failure")
        self._postmaster.clear_leftovers()
        try:
            volume.rebuild(data)
        except OSError:
            remove_tree(data)  # of a directory that is not whole, nothing can be used
            raise
        self._launch(volume)

    def _launch(self, volume: StorageVolume) -> None:
        volume.claim(self._postmaster.data_directory)
        self._start_server()
        self._attach(volume)

    def _start_server(self) -> None:
        self._begin()
        self._postmaster.start(self._settings())

    def start_laid_out(self) -> None:
        """Start over a directory that was laid out for it just now, while its volume is opened.

        Raises StorageError where the volume does not end where the directory does; it is killed
        then.
        """
        data = self._postmaster.data_directory
        with self._life, ThreadPoolExecutor(1) as beside:
            opening = beside.submit(self._storage.open_for, self)
            try:
                self._start_server()
                volume = opening.result()
                if not volume.trusts(data):
                    raise StorageError(f"{data} was not laid out for the volume beside it")
                volume.claim(data)
                self._attach(volume)
            except BaseException:
                self._postmaster.kill()
                raise

    def take_over(self) -> None:
        """Go on with what was a reader and has been promoted where the volume's log ends.

        What only a start can change is a standby's still: that of its connections. Raises
        StorageError where it is not this volume's next writer; it is killed then.
        """
        with self._life:
            volume = self._storage.open_for(self)
            wanted = dict(self._parameters.set())
            fixed = {name: value for name, value in STANDBY_PARAMETERS.items() if name in wanted}
            self.parameters = {**wanted, **fixed}
            self._of_range = {**self._parameters.of_range(), **STANDBY_PARAMETERS}
            self._scaled = {}
            volume.claim(self._postmaster.data_directory)
            self._postmaster.write_settings(self._settings())
            self._postmaster.reload()
            self._attach(volume)

    def _attach(self, volume: StorageVolume) -> None:
        run = self._run = object()
        try:
            volume.attach_writer(
                self.socket_directory, SUPERUSER, lost=lambda error: self._lost(run, error)
            )
        except BaseException:
            self._run = None
            self._postmaster.kill()
            raise

    def take(self, parameters: Settings) -> None:
        """Have the running server take other parameters, as far as it can without a restart."""
        with self._life:
            if self.running:
                self.parameters = dict(parameters)
                self._postmaster.write_settings(self._settings())
                self._postmaster.reload()

    def _settings(self) -> Settings:
        """The tenant's parameters, and the runtime's own, which prevail."""
        return {
            **self._sized,
            **with_decoding(self.parameters),
            **self._told,
            **WRITER_SETTINGS,
            **self.preloads,
        }

    def stop(self, mode: Shutdown) -> None:
        """Stop; after a clean end the data directory is trusted by the next start."""
        with self._life:
            self._run = None
            volume = self._storage.opened
            if volume is not None and mode is Shutdown.FAST:
                volume.rest()
            running = self._postmaster.running
            clean = self._postmaster.stop(mode)
            if running and volume is not None:
                volume.detach_writer()
                if clean and mode is Shutdown.FAST:
                    volume.release(self._postmaster.data_directory)
            if mode is Shutdown.FAST:  # a pause; after any other end a new writer follows
                self._storage.rest(self)

    def retire(self) -> None:
        """Another instance writes from now on: this one needs the volume no more."""
        self._storage.rest(self)

    def kill(self) -> None:
        """End it as a crash would; its directory is not used again as it is."""
        with self._life:
            self._run = None
            self._postmaster.kill()
            volume = self._storage.opened
            if volume is not None:
                volume.detach_writer()

    def lose_data_directory(self) -> None:
        """Kill it and delete its directory, as the loss of a machine would."""
        self.kill()
        remove_tree(self._postmaster.data_directory)

    def _lost(self, run: object, error: StorageError) -> None:
        """The stream of one run has ended. By now it may be over, and another one under way."""

        def end() -> None:
            with self._life:
                if self._run is not run:
                    return
                _log.error(
                    "writer lost its volume", socket=str(self.socket_directory), error=str(error)
                )
                # Nothing that it does can become durable any more: its clients must know at once.
                self._run = None
                self._postmaster.kill()
            self._tell_lost()

        # Whoever holds its life may wait for the thread that says this.
        threading.Thread(target=end, name="borealis-lost-writer").start()


class Reader(OnVolume):
    """A hot standby that follows the volume up to its durable LSN.

    wal_sockets: a private folder for the socket of the volume's WAL service. called: the name of
    its instance, which the log that is held for it goes by.
    """

    def __init__(
        self,
        postmaster: Postmaster,
        storage: ClusterStorage,
        parameters: Parameters,
        wal_sockets: Path,
        called: str = "",
    ) -> None:
        super().__init__(postmaster, storage, parameters)
        self._wal_sockets = wal_sockets
        self._called = called
        self._standby: Settings = {}

    def start(self) -> None:
        """Serve the log to a new standby and start it. Raises EngineError, StorageError."""
        volume = self._storage.open_for(self)
        data = self._postmaster.data_directory
        self._standby = self._lay_out(volume)
        self._begin()
        try:
            self._postmaster.start(self._settings())
            # PostgreSQL takes connections once its pages fit together, which may be long before it
            # shows what is durable.
            volume.await_standby(data, lambda: self._postmaster.running)
        except BaseException:
            self.kill()
            raise

    def _lay_out(self, volume: StorageVolume) -> Settings:
        """Make its data directory; the settings that a standby over it needs."""
        volume.serve_wal(self._wal_sockets)
        return volume.lay_out_standby(self._postmaster.data_directory, SUPERUSER, self._called)

    @property
    def replayed(self) -> int:
        """The LSN up to which it said that it shows the log; 0 where it said nothing yet."""
        volume = self._storage.opened
        if volume is None:
            return 0
        return volume.standbys.replayed_in(self._postmaster.data_directory)

    def take(self, parameters: Settings) -> None:
        """Have the running server take other parameters, as far as it can without a restart."""
        if self.running:
            self.parameters = dict(parameters)
            self._postmaster.write_settings(self._settings())
            self._postmaster.reload()

    def promote(self) -> None:
        """Ask it to become a primary, which it is a moment later. Nobody attaches it by this.

        A commit on it waits until the volume follows it: it has a writer's settings already.
        """
        self._postmaster.promote()

    def hand_over(self) -> None:
        """It is a reader no more: the log is not held for it."""
        self._forget()

    def _settings(self) -> Settings:
        """What a standby must have prevails; what a writer has does no harm before a promotion."""
        return {
            **self._sized,
            **with_decoding(self.parameters),
            **STANDBY_PARAMETERS,
            **WRITER_SETTINGS,
            **self._standby,
            **self.preloads,
        }

    def stop(self, mode: Shutdown) -> None:
        """Stop it, and remove its directory: the next one begins from the volume."""
        self._postmaster.stop(Shutdown.IMMEDIATE)
        self._forget()
        remove_tree(self._postmaster.data_directory)

    def kill(self) -> None:
        """End it as a crash would."""
        self._postmaster.kill()
        self._forget()

    def _forget(self) -> None:
        volume = self._storage.opened
        if volume is not None:
            volume.forget_standby(self._postmaster.data_directory)
        self._storage.rest(self)


def has_slots(data_directory: Path) -> bool:
    """Whether a data directory has replication slots beside the storage driver's."""
    try:
        return bool(set(os.listdir(data_directory / "pg_replslot")) - {SLOT_NAME})
    except FileNotFoundError:
        return False


def _nobody() -> None:
    """Who hears of an end where nobody asked to."""
