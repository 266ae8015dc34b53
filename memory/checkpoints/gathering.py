"""One commit for a super-step: which calls of a run are stored together, and who sends them.

LangGraph stores a step by several calls from several threads or tasks: `put` of the step's input,
`put_writes` of each task, `put` of its result; a `put` is only called when the one before it has
returned. Here they wait for each other for a moment, and go to the database as one transaction:

* The last call of a chain returns when all of it is committed. Those before it may return earlier,
  as soon as the next one waits in the same transaction: a `put` that nobody waits for, when writes
  on its checkpoint have come, and writes, when the put that follows them has. LangGraph waits for
  every call before a run returns, and gets the last one's error: what is refused ends the chain.
* Calls keep their order, and a thread has one transaction under way at a time. What stands on a
  checkpoint that was not stored is not stored either: none is ever there without its parent.
* They wait until nobody has come for LINGER_SECONDS: while a node works, its input is stored.
  Nobody waits for a call that has gone before: writes may be sent by a reader before their put
  comes, and threads may hand in a step's writes after the put that follows them.
* No chain goes on without end: with MOST_CHECKPOINTS a transaction is full. Nobody waits for more,
  and no call returns before it is committed: a run is ahead of what is stored by two of them at
  most, one under way and one that gathers.
* Whatever was brought is stored, or somebody is told: where a call ends that others count on, as
  one that was cancelled, it sends what nobody is left to send (`rest`), or fails it (`give_up`).
* Each call has a deadline of its own. Where that of the call that sends passes, its own fails, and
  another call sends the rest within its own (`late`).

Decisions only: no clock, no waiting, no statement. The caller asks `next` what to do, does it, and
asks again. Signals are what the callers wait on; a lock makes each decision one step.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP, Checkpoint, CheckpointMetadata

from memory.checkpoints.rows import Key
from memory.database.steps import Signal
from memory.errors import without_frames
from memory.forked import FreshLock, after_fork

T = TypeVar("T")

LINGER_SECONDS = 0.02
"""Longer than a node without work takes, shorter than one that calls a model."""
MOST_ROUNDS = 4
"""So often a call waits LINGER_SECONDS again, if others came in the meantime."""

MOST_CHECKPOINTS = 8
"""Of quick steps, in one transaction: more than a turn has, few enough to lose in a crash."""

REMEMBERED_DEPARTURES = 4096
"""Calls that their company may come after; what is forgotten costs LINGER_SECONDS."""

REMEMBERED_LOSSES = 1024
"""Checkpoints that were not stored; each is forgotten once it is seen in the database."""

_OF_A_RUN = "__pregel_"
_DURABILITY = "__pregel_durability"
_FOLLOWED = ("branch:to:", "__pregel_tasks")
"""Channels whose change starts a node: this checkpoint is not the last of its run."""


def of_a_run(config: RunnableConfig) -> bool:
    """Whether LangGraph's loop calls, which calls again or waits; and from threads enough for all.

    With `max_concurrency` a call that waits may keep the next one from its thread.
    """
    configurable = config.get("configurable") or {}
    return config.get("max_concurrency") is None and any(
        name.startswith(_OF_A_RUN) for name in configurable
    )


def put_has_company(
    config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata
) -> bool:
    """Whether writes on this checkpoint probably follow, and nobody waits for the put by itself.

    With `durability="sync"` the loop does, and with "exit" this is the run's last checkpoint.
    """
    if (config.get("configurable") or {}).get(_DURABILITY, "async") != "async":
        return False
    changed = checkpoint.get("updated_channels") or ()
    return metadata.get("source") == "input" or any(c.startswith(_FOLLOWED) for c in changed)


def delta_channels(metadata: CheckpointMetadata) -> frozenset[str]:
    """Channels whose writes LangGraph wants stored before it puts the next checkpoint."""
    return frozenset(metadata.get("counters_since_delta_snapshot") or ())


def writes_have_company(config: RunnableConfig, channels: Sequence[str]) -> bool:
    """Whether a put probably follows. After errors and interrupts (special channels) none does."""
    durability = (config.get("configurable") or {}).get(_DURABILITY, "async")
    return durability != "exit" and not any(channel in WRITES_IDX_MAP for channel in channels)


@dataclass(eq=False, slots=True)
class Entry(Generic[T]):
    """One call. content: what it stores; key: of the checkpoint that it puts or writes on.

    stands_on: checkpoints without which it must not be there. wake: done when there may be
    something new for this call. seen: how many there were when its present wait began; rounds: how
    many of its waits somebody came in. batch: None once it is in none. returned: its call may
    return, or has, before it is stored: a later one answers for it; withdrawn: its call is over.
    """

    key: Key
    content: T
    is_put: bool
    has_company: bool
    stands_on: tuple[Key, ...] = ()
    wake: Signal = field(default_factory=Signal)
    batch: "Batch[T] | None" = None
    seen: int = 0
    rounds: int = 0
    finished: bool = False
    returned: bool = False
    withdrawn: bool = False
    error: Exception | None = None

    @property
    def alone(self) -> bool:
        """Whether no call is left that would send it."""
        return self.returned or self.withdrawn

    def partners(self) -> list[tuple[Key, bool]]:
        """The calls that wait for this one, by checkpoint, and whether they put or write on it."""
        if not self.is_put:
            return [(self.key, True)]
        return [(key, False) for key in self.stands_on if self.follows(key)]

    def follows(self, key: Key) -> bool:
        """Whether this puts what comes after a checkpoint, in its own graph."""
        return key in self.stands_on and key.ns == self.key.ns


@dataclass(eq=False, slots=True)
class Batch(Generic[T]):
    """What one transaction stores. due: nobody waits for more; ended: done when it is over."""

    thread_id: str
    entries: list[Entry[T]] = field(default_factory=list)
    due: bool = False
    ended: Signal = field(default_factory=Signal)

    @property
    def owed(self) -> bool:
        """Whether it holds what a call that has returned brought."""
        return any(entry.returned for entry in self.entries)

    @property
    def full(self) -> bool:
        """Whether as many steps are in it as one crash may cost."""
        return sum(entry.is_put for entry in self.entries) >= MOST_CHECKPOINTS


@dataclass(frozen=True, slots=True)
class Send(Generic[T]):
    """Store this now, then tell `ended`, `abandoned` or `late`."""

    batch: Batch[T]


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for a signal; with seconds, tell `waited` if they passed. None: as long as one may."""

    signal: Signal
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Done:
    """The call may return, or raise."""

    error: Exception | None


@dataclass(slots=True)
class _Lane(Generic[T]):
    """A thread of the graph: what gathers, and what is on its way."""

    open: Batch[T] | None = None
    flying: Batch[T] | None = None


class Gathering(Generic[T]):
    """The calls of all threads that wait for each other."""

    def __init__(self, linger: float = LINGER_SECONDS) -> None:
        self._linger = linger
        self._lock = FreshLock()
        self._reset()
        after_fork(self, Gathering._reset)

    def _reset(self) -> None:
        """As if new: what waited here when the process was forked is the parent's."""
        self._lanes: dict[str, _Lane[T]] = {}
        self._lost: OrderedDict[Key, Exception] = OrderedDict()
        self._departed: OrderedDict[tuple[Key, bool], None] = OrderedDict()

    def add(self, entry: Entry[T]) -> None:
        """A call has come: it joins what gathers for its thread."""
        with self._lock:
            if self._fail_if_lost(entry):
                return
            lane = self._lanes.setdefault(entry.key.thread_id, _Lane())
            if lane.open is None:
                lane.open = Batch(entry.key.thread_id)
            batch = lane.open
            for other in () if batch.full else batch.entries:
                if other.key == entry.key and other.is_put != entry.is_put:
                    # The call that writes waits for both, whichever of them came first.
                    _relieve(other if other.is_put else entry)
                elif entry.is_put and not other.is_put and entry.follows(other.key):
                    # The put is stored after the writes, and not if they are refused.
                    _relieve(other)
            entry.batch = batch
            batch.entries.append(entry)
            alone = not entry.has_company or self._came_late(entry)
            batch.due = batch.due or alone or batch.full

    def next(self, entry: Entry[T]) -> Send[T] | Wait | Done:
        """What the call of this entry is to do now."""
        with self._lock:
            if entry.finished or entry.returned:
                return Done(entry.error)
            batch = entry.batch
            lane = self._lanes.get(entry.key.thread_id)
            if batch is None or lane is None:
                return Done(None)  # of the process that this one was forked from
            if lane.flying is batch:
                return Wait(entry.wake, None)
            if not batch.due and not self._follows(lane, entry):
                entry.seen = len(batch.entries)
                return Wait(entry.wake, self._linger)
            return self._departure(lane, batch)

    def waited(self, entry: Entry[T]) -> None:
        """The time that a call waits for company has passed."""
        with self._lock:
            batch = entry.batch
            if batch is None:
                return
            if len(batch.entries) > entry.seen and entry.rounds < MOST_ROUNDS:
                entry.rounds += 1
            else:
                batch.due = True

    def handed_in(self, thread_id: str | None, ns: str | None) -> list[Entry[T]]:
        """What a reader who comes now is to see. thread_id, ns: None for all."""
        with self._lock:
            names = list(self._lanes) if thread_id is None else [thread_id]
            return [
                entry
                for lane in (self._lanes[name] for name in names if name in self._lanes)
                for batch in (lane.flying, lane.open)
                if batch is not None
                for entry in batch.entries
                if entry.returned or ns is None or entry.key.ns == ns
            ]

    def before_reading(self, entry: Entry[T]) -> Send[T] | Wait | None:
        """What a reader is to do until this is stored, or will not be; then None."""
        with self._lock:
            batch = entry.batch
            lane = self._lanes.get(entry.key.thread_id)
            if entry.finished or batch is None or lane is None:
                return None
            if lane.flying is batch:
                return Wait(batch.ended, None)
            batch.due = True
            return self._departure(lane, batch)

    def ahead_of(self, entry: Entry[T]) -> list[Entry[T]]:
        """What is to be stored before this: all that came to its thread earlier."""
        with self._lock:
            lane = self._lanes.get(entry.key.thread_id, _Lane[T]())
            waiting = [e for batch in (lane.flying, lane.open) if batch for e in batch.entries]
            return waiting[: waiting.index(entry)] if entry in waiting else waiting

    def ended(self, batch: Batch[T], errors: Sequence[Exception | None]) -> None:
        """A batch is stored, or not, entry by entry."""
        with self._lock:
            for entry, error in zip(batch.entries, errors, strict=True):
                self._finish(entry, error)
            self._over(batch)

    def late(
        self,
        batch: Batch[T],
        errors: Sequence[Exception | None],
        sender: Entry[T] | None,
        error: Exception,
    ) -> None:
        """The time of the call that sends a batch has passed; errors: of the first, which it sent.

        sender: what it brought, which fails; None: of a reader. The rest is sent by another call of
        it, or fails too if there is none.
        """
        with self._lock:
            for entry, answer in zip(batch.entries, errors, strict=False):
                self._finish(entry, answer)
            if sender is not None and not sender.finished:
                self._finish(sender, error)
            left = [e for e in batch.entries if not e.finished and not self._fail_if_lost(e)]
            if sender is not None and all(entry.alone for entry in left):
                for entry in left:
                    self._finish(entry, error)
                left = []
            batch.entries = left
            if left:
                self._hand_back(batch)
            else:
                self._over(batch)

    def abandoned(self, batch: Batch[T]) -> None:
        """Who sent a batch was stopped: another call of it sends it, or `rest` tells who does."""
        with self._lock:
            self._hand_back(batch)

    def withdraw(self, entry: Entry[T]) -> None:
        """The call of this entry is over, however it ended; what it brought goes if it may."""
        with self._lock:
            entry.withdrawn = True
            batch, lane = entry.batch, self._lanes.get(entry.key.thread_id)
            if entry.finished or entry.returned or batch is None or lane is None:
                return
            if lane.open is batch:
                _keep(batch, [e for e in batch.entries if e is not entry])
                batch.due = batch.due or batch.owed
                self._tidy(batch.thread_id)

    def rest(self, thread_id: str) -> Send[T] | None:
        """What waits for a thread, if no call is left that would send it; once one has ended."""
        with self._lock:
            lane = self._lanes.get(thread_id)
            batch = None if lane is None else lane.open
            if lane is None or batch is None or lane.flying is not None:
                return None
            if not all(entry.alone for entry in batch.entries):
                return None
            return self._send(lane, batch)

    def give_up(self, thread_id: str, error: Exception) -> None:
        """Fail what `rest` would have sent: it cannot be sent any more."""
        send = self.rest(thread_id)
        if send is not None:
            self.ended(send.batch, [error] * len(send.batch.entries))

    def loss(self, key: Key) -> Exception | None:
        """Why a checkpoint was not stored, as far as is known."""
        with self._lock:
            return self._lost_with(key)

    def found(self, key: Key) -> None:
        """A checkpoint was seen in the database."""
        with self._lock:
            self._lost.pop(key, None)

    def _over(self, batch: Batch[T]) -> None:
        """Nothing of a batch is on its way any more."""
        lane = self._lanes.get(batch.thread_id)
        if lane is not None and lane.flying is batch:
            lane.flying = None
            if lane.open is not None:
                # What came meanwhile and stands on a checkpoint that is not there now.
                _keep(lane.open, [e for e in lane.open.entries if not self._fail_if_lost(e)])
            self._tidy(batch.thread_id)
        batch.ended.give()

    def _hand_back(self, batch: Batch[T]) -> None:
        """What is on its way waits again, with what came since."""
        lane = self._lanes.get(batch.thread_id)
        if lane is None or lane.flying is not batch:
            return
        lane.flying = None
        later, batch.due = lane.open, True
        if later is not None:
            for entry in later.entries:
                entry.batch = batch
            batch.entries += later.entries
        lane.open = batch
        ended, batch.ended = batch.ended, Signal()
        kept = [e for e in batch.entries if e.returned or not e.withdrawn]
        _keep(batch, [e for e in kept if not self._fail_if_lost(e)])
        for entry in batch.entries:
            _wake(entry)
            entry.wake = Signal()
        self._tidy(batch.thread_id)
        ended.give()

    def _lost_with(self, key: Key) -> Exception | None:
        # Each call raises one of its own: one that was raised holds its frames, and their values.
        error = self._lost.get(key)
        return None if error is None else without_frames(error)

    def _fail_if_lost(self, entry: Entry[T]) -> bool:
        lost = next((key for key in entry.stands_on if key in self._lost), None)
        error = None if lost is None else self._lost_with(lost)
        if error is not None:
            self._finish(entry, error)
        return error is not None

    def _finish(self, entry: Entry[T], error: Exception | None) -> None:
        entry.finished, entry.error, entry.batch = True, error, None
        if entry.is_put and error is None:
            self._lost.pop(entry.key, None)
        elif entry.is_put and error is not None:
            self._lost[entry.key] = without_frames(error)
            if len(self._lost) > REMEMBERED_LOSSES:
                self._lost.popitem(last=False)
        _wake(entry)

    def _came_late(self, entry: Entry[T]) -> bool:
        """Whether what it would wait for has gone: a put's writes, or the put that follows them."""
        return (entry.key, entry.is_put) in self._departed

    def _follows(self, lane: _Lane[T], entry: Entry[T]) -> bool:
        """Whether these are writes on a checkpoint on its way: the next put comes after that."""
        return (
            lane.flying is not None
            and not entry.is_put
            and any(other.is_put and other.key == entry.key for other in lane.flying.entries)
        )

    def _departure(self, lane: _Lane[T], batch: Batch[T]) -> Send[T] | Wait:
        if lane.flying is not None:
            return Wait(lane.flying.ended, None)
        return self._send(lane, batch)

    def _send(self, lane: _Lane[T], batch: Batch[T]) -> Send[T]:
        lane.open, lane.flying = None, batch
        for entry in batch.entries:
            self._departed.update(dict.fromkeys(entry.partners()))
        while len(self._departed) > REMEMBERED_DEPARTURES:
            self._departed.popitem(last=False)
        return Send(batch)

    def _tidy(self, thread_id: str) -> None:
        lane = self._lanes[thread_id]
        if lane.open is not None and not lane.open.entries:
            lane.open = None
        if lane.open is None and lane.flying is None:
            del self._lanes[thread_id]


def _keep(batch: Batch[T], entries: list[Entry[T]]) -> None:
    for entry in set(batch.entries).difference(entries):
        entry.batch = None
    batch.entries = entries


def _relieve(entry: Entry[Any]) -> None:
    """Let a call return, unless it is waited for: another one of its batch answers for it."""
    if entry.has_company:
        entry.returned = True
        _wake(entry)


def _wake(entry: Entry[Any]) -> None:
    if not entry.wake.done():
        entry.wake.give()
