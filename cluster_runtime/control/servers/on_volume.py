"""What a writer and a reader have in common."""

import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from cluster_runtime.control.availability.health import Process
from cluster_runtime.control.servers.storage import ClusterStorage
from cluster_runtime.engine.access.instance_facts import InstanceFacts, told_at_first
from cluster_runtime.engine.extensions import installable, preload_settings
from cluster_runtime.engine.postmaster import Postmaster
from cluster_runtime.engine.sandbox.walls import Walls
from cluster_runtime.engine.settings import TEMPLATE_SETTINGS, Settings

_STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


class ParametersOfAll(Protocol):
    """Who knows the parameters of all clusters."""

    def parameters_of(self, resource_id: str, place: str = "") -> Settings:
        """What is set for a cluster, and by the class of the instance at a place."""

    def parameters_of_range(self, resource_id: str) -> Settings:
        """What follows the most capacity of a cluster."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What an instance runs with beside the runtime's own, asked for at each start."""

    known: ParametersOfAll
    resource_id: str
    place: str = ""

    def set(self) -> Settings:
        """Those that the tenant sets, and its class; they prevail."""
        return self.known.parameters_of(self.resource_id, self.place)

    def of_range(self) -> Settings:
        """What only a start can change and follows the most capacity that it may have."""
        return self.known.parameters_of_range(self.resource_id)


class OnVolume:
    """A PostgreSQL over a data directory that the volume fills."""

    def __init__(
        self, postmaster: Postmaster, storage: ClusterStorage, parameters: Parameters
    ) -> None:
        self._postmaster = postmaster
        self._storage = storage
        self._life = threading.RLock()  # starts, stops and ends, one at a time
        self._told: Settings = told_at_first(self.extensions)
        self._of_range: Settings = {}
        self._scaled: Settings = {}

        self._parameters = parameters
        self.parameters: Settings = {}
        """Those that it runs with."""

    @property
    def extensions(self) -> tuple[str, ...]:
        """The extensions that its master user may create."""
        return installable(self._postmaster.installation)

    def tell(self, facts: InstanceFacts) -> None:
        """Have it tell its clients this of itself, while it runs."""
        self._postmaster.write_facts(facts.text())
        if facts.settings != self._told:
            # SHOW reads what the server runs with.
            with self._life:
                self._told = facts.settings
                if self.running:
                    self._postmaster.write_settings(self._settings())
                    self._postmaster.reload()

    def scale(self, settings: Settings) -> Settings:
        """Have the running server take what follows its capacity; what the tenant set prevails.

        Not while it starts or stops, for which nobody waits here: it is told by the next call then.
        Returns those that it was told. Raises OSError where they cannot be written.
        """
        if settings != self._scaled and self._life.acquire(blocking=False):
            try:
                if self.running:
                    before, self._scaled = self._scaled, dict(settings)
                    try:
                        self._postmaster.write_settings(self._settings())
                    except BaseException:
                        self._scaled = before
                        raise
                    self._postmaster.reload()
            finally:
                self._life.release()
        prevails = self._settings()
        return {name: value for name, value in self._scaled.items() if prevails[name] == value}

    @property
    def connections_max(self) -> int:
        """How many sessions it takes since its last start."""
        return int({**TEMPLATE_SETTINGS, **self._settings()}["max_connections"])

    @property
    def _sized(self) -> Settings:
        """What its capacity makes it run with, which everything else prevails over."""
        return {**self._of_range, **self._scaled}

    def _begin(self) -> None:
        """Ask what the next start is to be with; its capacity is not known yet."""
        self._of_range, self._scaled = dict(self._parameters.of_range()), {}
        self.parameters = dict(self._parameters.set())

    def _settings(self) -> Settings:
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether its postmaster runs."""
        return self._postmaster.running

    @property
    def outdated(self) -> bool:
        """Whether it runs and must be started again before it lets anybody in."""
        return self._postmaster.outdated

    @property
    def pid(self) -> int | None:
        """The process id of its postmaster; None while it does not run."""
        return self._postmaster.pid

    @property
    def process(self) -> Process:
        """What the operating system says of its postmaster."""
        pid = self._postmaster.pid
        if pid is None:
            return Process.GONE
        try:
            stopped = psutil.Process(pid).status() in _STOPPED
        except psutil.NoSuchProcess:
            return Process.GONE
        return Process.STOPPED if stopped else Process.RUNS

    @property
    def walls(self) -> Walls | None:
        """What stands around it since its last start."""
        return self._postmaster.walls

    @property
    def socket_directory(self) -> Path:
        """The folder of its socket, which only the host may enter."""
        return self._postmaster.socket_directory

    def end_backend(self, pid: int) -> None:
        """End one of its server processes; one that is not its own is left alone."""
        with suppress(psutil.NoSuchProcess):
            backend = psutil.Process(pid)
            if backend.ppid() == self._postmaster.pid:
                backend.terminate()

    @property
    def preloads(self) -> Settings:
        """The libraries that its extensions need from its start on."""
        return preload_settings(self._postmaster.installation)

    @property
    def parameters_wait(self) -> bool:
        """Whether it runs with others than the tenant has set."""
        return self.running and dict(self._parameters.set()) != self.parameters
