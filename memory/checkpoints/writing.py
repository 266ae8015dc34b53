"""Storing checkpoints and writes: calls of a run that gather are one statement, and one commit."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata

from memory.checkpoints import reading
from memory.checkpoints.gathering import (
    Done,
    Entry,
    Gathering,
    Send,
    Wait,
    delta_channels,
    of_a_run,
    put_has_company,
    writes_have_company,
)
from memory.checkpoints.rows import (
    CheckpointRow,
    Key,
    Recipes,
    TaskWrites,
    build_row,
    build_writes,
    key_of,
)
from memory.checkpoints.step import STEP, STEP_TYPES, step_values
from memory.database.scope import Scope
from memory.database.steps import Call, Pause, Plan, Steps, Typed, attempt
from memory.encoding.codec import Address, Codec
from memory.errors import ConfigurationError, CorruptedCheckpointError, OperationTimeoutError
from memory.forked import FreshLock

log = structlog.get_logger(__name__)

T = TypeVar("T")

REMEMBERED_CHECKPOINTS = 1024

LAST_SECONDS = 5.0
"""So long a call that was stopped may be held up by what others count on it to send."""

ALL_LOOKS, THREAD_LOOKS = 1, 2
"""So often a reader looks for what was put. A run hands in its next checkpoint as soon as the one
before has returned: a node that reads sees it at its second look. There is no third."""

MOST_TOGETHER = 256
"""Calls in one statement."""
MOST_BYTES_TOGETHER = 32 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """What one call stores. whole: how to send every value where the parent's are gone."""

    content: CheckpointRow | TaskWrites
    size: int
    whole: partial[CheckpointRow] | None = None


class Writing:
    """What stores; reads of the same saver ask `settled` first.

    ttl: of threads. recent: recipes of checkpoints that were seen.
    """

    def __init__(self, scope: Scope, ttl: timedelta | None) -> None:
        self._scope, self._ttl = scope, ttl
        self.recent = Recent(REMEMBERED_CHECKPOINTS)
        self._gathering: Gathering[Part] = Gathering()
        self._delta_channels: frozenset[str] = frozenset()
        self._lock = FreshLock()

    def put(
        self,
        codec: Codec,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Plan[RunnableConfig]:
        """Store a checkpoint; its configuration."""
        key = key_of(config)
        stands_on = _stands_on(key, metadata)
        yield from self._require(codec, stands_on)
        parent: Recipes | None = None
        if key.checkpoint_id is not None:
            parent = self.recent.get(key)
            if parent is None:
                yield from self.settled(key.thread_id)
                parent = yield from attempt(lambda: reading.recipes(self._scope, codec, key))
        build = partial(build_row, codec, config, checkpoint, metadata, new_versions)
        row = build(parent)
        # Before it is there: a child that is put with it takes over what this one has.
        self.recent[row.key] = row.recipes
        delta = delta_channels(metadata)
        with self._lock:
            self._delta_channels |= delta
        part = _put_part(row, partial(build, None))
        company = put_has_company(config, checkpoint, metadata)
        yield from self._store(config, Entry(row.key, part, True, company, stands_on))
        return row.key.config()

    def put_writes(
        self,
        codec: Codec,
        config: RunnableConfig,
        writes: Mapping[int, tuple[str, Any]],
        task_id: str,
        path: str,
    ) -> Plan[None]:
        """Store a task's writes. Raises ConfigurationError if config names no checkpoint."""
        key = key_of(config)
        if key.checkpoint_id is None:
            raise ConfigurationError("put_writes needs a config with a checkpoint_id")
        if not writes:
            return
        yield from self._require(codec, (key,))
        content = build_writes(codec, key, writes, task_id, path)
        part = Part(content, sum(map(len, content.frames.values())))
        channels = [channel for channel, _ in writes.values()]
        company = writes_have_company(config, channels) and not (
            self._delta_channels.intersection(channels)
        )
        yield from self._store(config, Entry(key, part, False, company, (key,)))

    def saw(self, key: Key, recipes: Recipes) -> None:
        """A checkpoint was read."""
        self.recent[key] = recipes
        self._gathering.found(key)

    def settled(self, thread_id: str | None, ns: str | None = None) -> Plan[bool]:
        """What was put before this is there, for whoever reads after it; None for all.

        False: it is under way in the event loop that this is called from, which cannot wait.
        """
        for _ in range(ALL_LOOKS if thread_id is None else THREAD_LOOKS):
            for entry in self._gathering.handed_in(thread_id, ns):
                while (step := self._gathering.before_reading(entry)) is not None:
                    if not (yield from self._leaving(entry.key.thread_id, self._do(step))):
                        return False
        return True

    def _require(self, codec: Codec, keys: Sequence[Key]) -> Plan[None]:
        """Raise why a checkpoint that is stood on was not stored, unless it is there after all."""
        for key in keys:
            error = self._gathering.loss(key)
            if error is None:
                continue
            recipes = yield from attempt(partial(reading.recipes, self._scope, codec, key))
            if recipes is None:
                raise error
            self.saw(key, recipes)

    def _store(self, config: RunnableConfig, entry: Entry[Part]) -> Plan[None]:
        """Store one call, together with others if it is one of a run."""
        if of_a_run(config):
            yield from self._leaving(entry.key.thread_id, self._in_company(entry))
        elif (yield from self.settled(entry.key.thread_id, entry.key.ns)):
            yield from self._together([entry])
        else:
            yield from self._at_once(entry)

    def _in_company(self, entry: Entry[Part]) -> Plan[None]:
        gathering = self._gathering
        gathering.add(entry)
        try:
            while not isinstance(step := gathering.next(entry), Done):
                if (yield from self._do(step, sender=entry)):
                    continue
                if isinstance(step, Wait) and step.seconds is None:
                    yield from self._at_once(entry)
                    return
                gathering.waited(entry)
            if step.error is not None:
                raise step.error
        finally:
            gathering.withdraw(entry)

    def _at_once(self, entry: Entry[Part]) -> Plan[None]:
        """Store in an event loop, which has to go on, what it has under way: twice is as once."""
        yield from self._together([*self._gathering.ahead_of(entry), entry])

    def _leaving(self, thread_id: str, plan: Plan[T]) -> Plan[T]:
        """A plan that leaves nothing of a thread behind that no call is left to send."""
        try:
            result = yield from plan
        except GeneratorExit:  # it is never run again, so it can send nothing
            self._gathering.give_up(thread_id, _stopped(thread_id))
            raise
        except BaseException:
            yield from self._send_rest(thread_id)
            raise
        yield from self._send_rest(thread_id)
        return result

    def _send_rest(self, thread_id: str) -> Plan[None]:
        while (send := self._gathering.rest(thread_id)) is not None:
            try:
                yield from self._do(send, LAST_SECONDS)
            except BaseException:
                self._gathering.give_up(thread_id, _stopped(thread_id))
                raise
            if (error := next((e.error for e in send.batch.entries if e.error), None)) is not None:
                log.warning("memory.not_stored", thread_id=thread_id, error=type(error).__name__)

    def _do(
        self,
        step: Send[Part] | Wait,
        seconds: float | None = None,
        sender: Entry[Part] | None = None,
    ) -> Plan[bool]:
        """Send, or wait; whether it happened in time.

        seconds: for sending what no other call sends, if this one's own do not count. sender: what
        the call brought that sends, if it brought some.
        """
        if isinstance(step, Wait):
            ended: bool = yield Pause(step.signal, step.seconds)
            return ended
        entries, answers = step.batch.entries, None
        try:
            answers = yield from self._delivered(entries, seconds)
        finally:
            if answers is None:
                self._gathering.abandoned(step.batch)
        errors, late = answers
        if late is None:
            self._gathering.ended(step.batch, errors)
        elif seconds is not None:
            rest = len(entries) - len(errors)
            self._gathering.ended(step.batch, [*errors, *[late] * rest])
        else:
            self._gathering.late(step.batch, errors, sender, late)
            if sender is None:
                raise late
        return True

    def _delivered(
        self, entries: Sequence[Entry[Part]], seconds: float | None
    ) -> Plan[tuple[list[Exception | None], OperationTimeoutError | None]]:
        """Send calls together; if the database refuses that, one by one.

        An error for each of the first ones, and why the rest was not sent: time was over.
        """
        try:
            yield from self._together(entries, seconds)
        except OperationTimeoutError as error:
            return [], error
        except Exception as error:  # noqa: BLE001 - each call raises its own
            if len(entries) == 1:
                return [error], None
        else:
            return [None] * len(entries), None
        errors: list[Exception | None] = []
        lost: Exception | None = None
        untold: Exception | None = None
        for entry in entries:
            if entry.is_put and lost is None:
                # Only the call of the put that follows can tell of writes whose call has returned.
                lost = untold
            if lost is not None:
                errors.append(lost)
                continue
            found, late = yield from self._delivered([entry], seconds)
            if late is not None:
                return errors, late
            errors += found
            if entry.is_put:
                # Nothing after a checkpoint that is not there, as LangGraph would have it.
                lost = found[0]
            elif entry.returned:
                untold = untold or found[0]
        return errors, None

    def _together(self, entries: Sequence[Entry[Part]], seconds: float | None = None) -> Plan[None]:
        """Send calls in their order, in as few statements as they fit in."""
        left = [entry.content for entry in entries]
        while left:
            count = _fitting(left)
            some, left = left[:count], left[count:]
            while gone := (yield from attempt(partial(self._send, some), deadline=seconds)):
                # A parent was pruned by somebody else since we saw it: send every value.
                _make_whole(some, gone)

    def _send(self, parts: Sequence[Part]) -> Steps[set[Address]]:
        """One statement; it did nothing if chunks that it counts on are gone, which it tells."""
        values = step_values(self._scope.tenant, [part.content for part in parts], self._ttl)
        row = yield Call(Typed(self._scope.render(STEP), STEP_TYPES), values)
        return set(reading.split(row[0] or b""))


def _make_whole(parts: list[Part], gone: set[Address]) -> None:
    """Have the first part that counts on what is gone bring it, to those after it too."""
    for place, part in enumerate(parts):
        if part.whole is None or not isinstance(part.content, CheckpointRow):
            continue
        if not gone.isdisjoint(part.content.addresses()):
            parts[place] = _put_part(part.whole(), None)
            return
    raise CorruptedCheckpointError(
        "the database misses values of a checkpoint that were sent with it"
    )


def _put_part(row: CheckpointRow, whole: partial[CheckpointRow] | None) -> Part:
    return Part(row, len(row.head) + sum(map(len, row.chunks.values())), whole)


def _stands_on(key: Key, metadata: CheckpointMetadata) -> tuple[Key, ...]:
    """The parent of a checkpoint, and those that its graph is called from."""
    parents: Any = metadata.get("parents")
    named = {**(parents if isinstance(parents, dict) else {}), key.ns: key.checkpoint_id}
    return tuple(Key(key.thread_id, str(ns), str(each)) for ns, each in named.items() if each)


def _stopped(thread_id: str) -> OperationTimeoutError:
    return OperationTimeoutError(
        f"what was put to thread {thread_id!r} was not stored: the call that was to send it was "
        "stopped for good"
    )


def _fitting(parts: Sequence[Part]) -> int:
    """How many of the first parts one statement takes; at least one."""
    size = 0
    for count, part in enumerate(parts):
        size += part.size
        if count == MOST_TOGETHER or (count and size > MOST_BYTES_TOGETHER):
            return count
    return len(parts)


class Recent:
    """Recipes of the checkpoints seen last, so that a put need not read its parent.

    They may be out of date when somebody else pruned the thread, or when a put failed; the
    database checks every chunk that a put counts on.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = FreshLock()
        self._recipes: OrderedDict[Key, Recipes] = OrderedDict()

    def get(self, key: Key) -> Recipes | None:
        """What is known of a checkpoint."""
        with self._lock:
            return self._recipes.get(key)

    def forget(self, thread_id: str) -> None:
        """A thread is deleted: it takes memory no longer."""
        with self._lock:
            for key in [key for key in self._recipes if key.thread_id == thread_id]:
                del self._recipes[key]

    def __setitem__(self, key: Key, recipes: Recipes) -> None:
        with self._lock:
            self._recipes[key] = recipes
            self._recipes.move_to_end(key)
            while len(self._recipes) > self._size:
                self._recipes.popitem(last=False)
