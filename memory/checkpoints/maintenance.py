"""Copying, deleting, pruning and expiring threads, always in bounded batches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import LiteralString

from memory.checkpoints.reading import walk
from memory.checkpoints.rows import Key
from memory.database.scope import Scope
from memory.database.steps import FetchAll, FetchOne, Plan, Steps, attempt
from memory.encoding.codec import Codec
from memory.encoding.ids import original, pack_id, storable, unpack_id
from memory.errors import ConfigurationError

BATCH_CHECKPOINTS = 500
BATCH_ROWS = 2000
STRATEGIES = ("keep_latest", "delete")

COPY: LiteralString = "select {schema}.memory_copy(%s, %s, %s)"
DELETE: LiteralString = "select {schema}.memory_delete(%s, %s)"
DRAIN: LiteralString = "select {schema}.memory_drain(%s, %s)"
EXPIRE: LiteralString = "select {schema}.memory_expire(%s, %s)"
DELETED: LiteralString = (
    "select thread_key from {schema}.memory_threads where deleted_at is not null and tenant = %s"
    " order by thread_key limit %s"
)
CUT_OFF: LiteralString = (
    "select thread_key from {schema}.memory_threads"
    " where deleted_at is not null and tenant = %s and thread_id = %s"
)
REMOVE: LiteralString = "select {schema}.memory_remove(%s, %s, %s::text[], %b::bytea[])"
COLLECT: LiteralString = "select {schema}.memory_collect(%s, %s, %b, %s)"
OF_RUNS: LiteralString = """select t.thread_id, c.ns, c.checkpoint_id
    from {schema}.memory_checkpoints c join {schema}.memory_threads t using (thread_key)
    where c.run_id = any(%s) and t.tenant = %s and t.deleted_at is null
    order by t.thread_id limit %s"""
OUTLINE: LiteralString = """select ns, checkpoint_id, parent_id, exact,
        metadata -> 'counters_since_delta_snapshot' is not null, metadata -> 'parents' ->> ''
    from {schema}.memory_checkpoints where thread_key = {thread}
    order by ns, checkpoint_id desc"""


def copy(scope: Scope, source: str, target: str) -> Plan[None]:
    """Copy a thread; copying again adds only what is new."""

    def steps() -> Steps[None]:
        parameters = (scope.tenant, storable(str(source)), storable(str(target)))
        yield FetchOne(scope.render(COPY), parameters)

    yield from attempt(steps)


def delete(scope: Scope, thread_id: str) -> Plan[None]:
    """Cut a thread off, then remove its rows batch by batch."""

    def cut_off() -> Steps[list[int]]:
        named = (scope.tenant, storable(str(thread_id)))
        yield FetchOne(scope.render(DELETE), named)
        # Not its answer: it may have been lost, or a process died before it had removed the rows.
        rows = yield FetchAll(scope.render(CUT_OFF), named)
        return [key for (key,) in rows]

    for key in (yield from attempt(cut_off)):
        yield from drain(scope, key)


def drain(scope: Scope, key: int) -> Plan[None]:
    """Remove the rows of a thread that is cut off."""

    def batch() -> Steps[bool]:
        row = yield FetchOne(scope.render(DRAIN), (key, BATCH_ROWS))
        return row[0]  # type: ignore[no-any-return]

    while not (yield from attempt(batch)):
        pass


def sweep(scope: Scope, limit: int) -> Plan[int]:
    """Cut off what has expired, then remove what was cut off, here or by a process that died."""

    def expire() -> Steps[int]:
        row = yield FetchOne(scope.render(EXPIRE), (scope.tenant, limit))
        return row[0]  # type: ignore[no-any-return]

    def deleted() -> Steps[list[int]]:
        rows = yield FetchAll(scope.render(DELETED), (scope.tenant, max(limit, 1)))
        return [key for (key,) in rows]

    expired = yield from attempt(expire)
    for key in (yield from attempt(deleted)):
        yield from drain(scope, key)
    return expired


def delete_runs(scope: Scope, run_ids: Sequence[str]) -> Plan[None]:
    """Remove the checkpoints of runs, thread by thread."""
    if isinstance(run_ids, str):
        raise ConfigurationError("run_ids must be a sequence of run ids, not one string")
    if not run_ids:
        return
    wanted = [storable(str(run_id)) for run_id in run_ids]

    def find() -> Steps[list[tuple[str, str, bytes]]]:
        rows: list[tuple[str, str, bytes]] = yield FetchAll(
            scope.render(OF_RUNS), (wanted, scope.tenant, BATCH_CHECKPOINTS)
        )
        return rows

    touched: dict[str, None] = {}
    while found := (yield from attempt(find)):
        for thread in dict.fromkeys(row[0] for row in found):
            touched[thread] = None
            doomed = [(ns, checkpoint) for owner, ns, checkpoint in found if owner == thread]
            yield from remove(scope, thread, doomed)
    for thread in touched:
        yield from collect(scope, thread)


def prune(
    scope: Scope, codec: Codec, thread_ids: Sequence[str], *, strategy: str, keep: int
) -> Plan[None]:
    """Remove old checkpoints of threads, or the threads."""
    if isinstance(thread_ids, str):
        raise ConfigurationError("thread_ids must be a sequence of thread ids, not one string")
    if strategy not in STRATEGIES:
        raise ConfigurationError(
            f"unknown strategy {strategy!r}; it must be one of {', '.join(STRATEGIES)}"
        )
    if keep < 1:
        raise ConfigurationError(f"keep is {keep}; it must be at least 1")
    for thread_id in thread_ids:
        if strategy == "delete":
            yield from delete(scope, thread_id)
        else:
            yield from _keep_latest(scope, codec, storable(str(thread_id)), keep)


@dataclass(frozen=True, slots=True)
class Outline:
    """What pruning must know of a checkpoint; ids are as stored.

    delta: the metadata says, or may say, that channels need ancestors to be rebuilt.
    root: the checkpoint of the root graph that a subgraph's call started from.
    """

    ns: str
    checkpoint_id: bytes
    delta: bool
    root: bytes | None


def latest(rows: Iterable[Outline], keep: int) -> list[Outline]:
    """The checkpoints to keep, of rows that are newest first within each namespace.

    A call of a subgraph (a namespace with a task id behind a colon) goes with the root's checkpoint
    that it started from, once that one is there and is not kept.
    """
    by_ns: dict[str, list[Outline]] = {}
    for row in rows:
        by_ns.setdefault(row.ns, []).append(row)
    root_ids = {row.checkpoint_id for row in by_ns.get("", ())}
    kept_roots = {row.checkpoint_id for row in by_ns.get("", ())[:keep]}
    kept: list[Outline] = []
    for ns, own in by_ns.items():
        root = own[0].root
        stale_call = ":" in ns and root in root_ids and root not in kept_roots
        if not stale_call:
            kept += own[:keep]
    return kept


def _keep_latest(scope: Scope, codec: Codec, thread: str, keep: int) -> Plan[None]:
    def outline() -> Steps[list[Outline]]:
        rows = yield FetchAll(scope.render(OUTLINE), (scope.tenant, thread))
        return [
            Outline(ns, checkpoint_id, delta or not exact, None if root is None else pack_id(root))
            for ns, checkpoint_id, _, exact, delta, root in rows
        ]

    rows = yield from attempt(outline)
    kept = latest(rows, keep)
    keys = {(row.ns, row.checkpoint_id) for row in kept}
    for row in kept:
        if row.delta:
            key = Key(original(thread), original(row.ns), unpack_id(row.checkpoint_id))
            needed = yield from attempt(lambda key=key: _needed(scope, codec, key))  # type: ignore[misc]
            keys |= {(row.ns, ancestor) for ancestor in needed}
    doomed = [
        (row.ns, row.checkpoint_id) for row in rows if (row.ns, row.checkpoint_id) not in keys
    ]
    if doomed:
        yield from remove(scope, thread, doomed)
        yield from collect(scope, thread)


def _needed(scope: Scope, codec: Codec, key: Key) -> Steps[list[bytes]]:
    """The ancestors without which a DeltaChannel of this checkpoint could not be rebuilt."""
    _, chain = yield from walk(scope, codec, key, {""})
    if not chain:
        return []
    head = chain[0].head
    counted = set(head.metadata.get("counters_since_delta_snapshot") or ())
    missing = counted - head.recipes.keys()
    if not missing:
        return []
    _, chain = yield from walk(scope, codec, key, missing)
    return [ancestor.checkpoint_id for ancestor in chain]


def remove(scope: Scope, thread: str, doomed: Sequence[tuple[str, bytes]]) -> Plan[None]:
    """Remove checkpoints, given as (namespace, id), with their writes."""
    for start in range(0, len(doomed), BATCH_CHECKPOINTS):
        batch = doomed[start : start + BATCH_CHECKPOINTS]
        parameters = (scope.tenant, thread, [ns for ns, _ in batch], [i for _, i in batch])

        def steps(parameters: tuple[object, ...] = parameters) -> Steps[None]:
            yield FetchOne(scope.render(REMOVE), parameters)

        yield from attempt(steps)


def collect(scope: Scope, thread: str) -> Plan[None]:
    """Remove the chunks that no checkpoint of the thread refers to any more."""
    position: bytes | None = b""
    while position is not None:

        def steps(after: bytes = position) -> Steps[bytes | None]:
            row = yield FetchOne(scope.render(COLLECT), (scope.tenant, thread, after, BATCH_ROWS))
            return row[0]  # type: ignore[no-any-return]

        position = yield from attempt(steps)
