"""The meter of a host: gathers what its clusters do, and brings it into the ledger.

What was gathered since the last time is lost with a host that is killed: it is never counted twice,
and a cluster is charged for what was seen.
"""

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from cluster_runtime.serverless.metering.ledger import Entry, Ledger
from cluster_runtime.serverless.metering.usage import (
    Account,
    Metered,
    Reading,
    Usage,
    advance,
)


class Volume(Protocol):
    """What is asked of an open volume."""

    @property
    def billed_ios(self) -> tuple[int, int]:
        """Writes and reads since it was opened."""

    @property
    def bytes_used(self) -> int:
        """What it holds, counted once."""

    @property
    def before_close(self) -> Callable[[Callable[[], None]], None]:
        """Takes what is to be called before it is closed."""


@dataclass(frozen=True, slots=True)
class Known:
    """A cluster of the host: its resource id, name, tags, and type of storage."""

    resource_id: str
    name: str
    tags: tuple[tuple[str, str], ...]
    storage_type: str


@dataclass(slots=True)
class _Open:
    """A volume, and how much of its I/O was gathered. lock: it is not closed while it is read."""

    volume: Volume
    writes: int = 0
    reads: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False


class Meter:
    """From any thread; `flush` one call at a time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._entries = ledger.entries()
        self._gathering = threading.Lock()
        self._flushing = threading.Lock()
        self._done: dict[str, Usage] = {}
        self._held: dict[str, int] = {}
        self._backed_up: dict[str, int] = {}
        self._volumes: dict[str, _Open] = {}
        self._ended: dict[str, Known] = {}
        self._read_at: dict[str, tuple[int, float]] = {}
        """By the clock that is set now and then, and by the one that is not."""

    def ran(self, resource_id: str, acu: float, nanoseconds: int) -> None:
        """An instance of a cluster had a capacity for a time."""
        self._add(resource_id, Usage(acu_ns=int(Decimal(str(acu)) * nanoseconds)))

    def backed_up(self, resource_id: str, size_bytes: int) -> None:
        """The backup of a cluster takes that much from now on."""
        self._backed_up[resource_id] = size_bytes

    def attach(self, resource_id: str, volume: Volume) -> None:
        """A volume was opened: count its I/O until it is closed."""
        opened = _Open(volume)
        self._volumes[resource_id] = opened

        def ended() -> None:
            self._read(resource_id, opened)
            with opened.lock:
                opened.closed = True
            if self._volumes.get(resource_id) is opened:
                del self._volumes[resource_id]

        volume.before_close(ended)

    def flush(
        self,
        clusters: Iterable[Known],
        now: int,
        *,
        all_of_them: bool = False,
        clock: float | None = None,
    ) -> None:
        """Bring what was gathered into the ledger. now: whole seconds since 1970.

        clock: now, in seconds by a clock that nobody sets. clusters: all of the host; one that is
        in the ledger and not among them is gone, and holds nothing any more. all_of_them: bring
        those up to now too of which there is nothing new.
        Raises InsufficientStorageError; then the next call has what was gathered.
        """
        with self._flushing:
            for resource_id, opened in list(self._volumes.items()):
                self._read(resource_id, opened)
            with self._gathering:
                done, self._done = self._done, {}
                held, self._held = self._held, {}
                backed_up, self._backed_up = self._backed_up, {}
                ended, self._ended = self._ended, {}
            there = {each.resource_id: each for each in clusters}
            known = {**ended, **there}
            new = done.keys() | held.keys() | backed_up.keys()
            read: dict[str, tuple[Entry, tuple[Metered, ...]]] = {}
            for resource_id, cluster in known.items():
                before = self._entries.get(resource_id)
                same = before is not None and _as_it_is(before, cluster)
                if same and not all_of_them and resource_id not in new:
                    continue
                stays = resource_id in there  # one that goes holds nothing from now on
                reading = Reading(
                    now,
                    done.get(resource_id, Usage()),
                    held.get(resource_id) if stays else 0,
                    backed_up.get(resource_id) if stays else 0,
                    cluster.storage_type,
                    self._passed(resource_id, now, clock),
                )
                account = before.account if before else Account(now, 0, 0, cluster.storage_type)
                account, shares = advance(account, reading)
                read[resource_id] = Entry(cluster.name, cluster.tags, account), shares
            read |= self._gone(known, now, clock)
            try:
                self._ledger.record(read)
            except BaseException:
                self._give_back(done, held, backed_up)
                self._ended = {**ended, **self._ended}
                raise
            self._entries |= {name: entry for name, (entry, _) in read.items()}
            if clock is not None:
                self._read_at |= dict.fromkeys(read, (now, clock))
            self._forget_gone(known)
            # A cluster without a name yet gets one, or goes; what it did is kept for it until then.
            self._give_back(
                {name: used for name, used in done.items() if name not in known}, {}, {}
            )

    def used(self, since_hour: int) -> dict[str, tuple[Entry, list[tuple[str, Usage]]]]:
        """What each cluster used from an hour on, as the ledger has it."""
        with self._flushing:
            found, entries = self._ledger.used(since_hour), self._entries
            if not found.keys() <= entries.keys():  # some are gone: only the ledger knows them
                entries = self._ledger.entries() | entries
        return {name: (entries[name], used) for name, used in found.items()}

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def end(self, cluster: Known) -> None:
        """A cluster is being deleted: the next flush charges it for what it did until now."""
        with self._gathering:
            self._ended[cluster.resource_id] = cluster

    def forget(self, resource_id: str) -> None:
        """A cluster that never got a name is gone: nobody is charged for it."""
        with self._gathering:
            for each in (self._done, self._held, self._backed_up):
                each.pop(resource_id, None)

    def _gone(
        self, known: dict[str, Known], now: int, clock: float | None
    ) -> dict[str, tuple[Entry, tuple[Metered, ...]]]:
        """Those that were deleted: charged for what they held until now, and then for nothing."""
        found = {}
        for resource_id, entry in self._entries.items():
            holds = entry.account.storage_bytes or entry.account.backup_bytes
            if resource_id not in known and holds:
                passed = self._passed(resource_id, now, clock)
                reading = Reading(now, Usage(), 0, 0, entry.account.storage_type, passed)
                account, shares = advance(entry.account, reading)
                found[resource_id] = Entry(entry.name, entry.tags, account), shares
        return found

    def _forget_gone(self, known: dict[str, Known]) -> None:
        """Branches come and go: those that are gone, and hold nothing, are in the ledger alone."""
        self._entries = {
            name: entry
            for name, entry in self._entries.items()
            if name in known or entry.account.storage_bytes or entry.account.backup_bytes
        }
        self._read_at = {name: at for name, at in self._read_at.items() if name in self._entries}

    def _passed(self, resource_id: str, now: int, clock: float | None) -> int | None:
        """Seconds since a cluster was read last, where this host did that.

        Whole seconds of the time of day add up to what passed; where it was set the other clock,
        rounded up, has to do.
        """
        before = self._read_at.get(resource_id)
        if before is None or clock is None:
            return None
        by_day, passed = now - before[0], math.ceil(clock - before[1])
        return passed if by_day < 0 else min(by_day, passed)

    def _read(self, resource_id: str, opened: _Open) -> None:
        """Gather what a volume did since it was read last."""
        with opened.lock:
            if opened.closed:
                return
            writes, reads = opened.volume.billed_ios
            held = opened.volume.bytes_used
            done = Usage(write_ios=writes - opened.writes, read_ios=reads - opened.reads)
            opened.writes, opened.reads = writes, reads
        with self._gathering:
            self._held[resource_id] = held
        self._add(resource_id, done)

    def _add(self, resource_id: str, usage: Usage) -> None:
        if usage == Usage():
            return
        with self._gathering:
            self._done[resource_id] = self._done.get(resource_id, Usage()) + usage

    def _give_back(
        self, done: dict[str, Usage], held: dict[str, int], backed_up: dict[str, int]
    ) -> None:
        """What was not noted is noted the next time; what was seen later counts."""
        with self._gathering:
            for resource_id, usage in done.items():
                self._done[resource_id] = self._done.get(resource_id, Usage()) + usage
            self._held = {**held, **self._held}
            self._backed_up = {**backed_up, **self._backed_up}


def _as_it_is(entry: Entry, cluster: Known) -> bool:
    return (entry.name, entry.tags, entry.account.storage_type) == (
        cluster.name,
        cluster.tags,
        cluster.storage_type,
    )
