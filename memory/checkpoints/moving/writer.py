"""Writing a thread that comes from elsewhere: whole, or not at all.

It is written under a name of its own, in bounded batches, and takes its real one in a single step
at the end. What a process left behind that died meanwhile expires.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, LiteralString
from uuid import uuid4

from memory.checkpoints import maintenance
from memory.checkpoints.moving.pages import CheckpointRow, ChunkRow, Page, WriteRow
from memory.checkpoints.reading import split
from memory.checkpoints.rows import unencrypted
from memory.database.arrays import ByteaArray, Int4Array
from memory.database.scope import Scope
from memory.database.steps import FetchOne, Plan, Steps, attempt, fetch_all
from memory.encoding.codec import Address, Codec
from memory.encoding.ids import storable
from memory.encoding.jsonsafe import to_jsonb
from memory.errors import ThreadTransferError

UNFINISHED = "borealis-unfinished:"
"""Begins the id of a thread that is being written."""
UNFINISHED_FOR = timedelta(hours=1)
"""After the last page."""

BEGIN: LiteralString = "select {schema}.memory_thread_key(%s, %s)"
RENEW: LiteralString = (
    "update {schema}.memory_threads set expires_at = now() + %b::interval"
    " where thread_key = %s and deleted_at is null returning 1"
)
CHUNKS: LiteralString = (
    "insert into {schema}.memory_chunks (thread_key, address, data)"
    " select %s, n.address, n.data from unnest(%b::bytea[], %b::bytea[]) as n (address, data)"
    " on conflict do nothing"
)
CHECKPOINTS: LiteralString = """insert into {schema}.memory_checkpoints
    (thread_key, ns, checkpoint_id, parent_id, run_id, metadata, exact, head, refs)
    select %s, n.ns, n.id, n.parent_id, n.run_id, n.metadata, n.exact, n.head, n.refs
    from unnest(%s::text[], %b::bytea[], %s::bytea[], %s::text[], %s::jsonb[], %s::boolean[],
                %b::bytea[], %b::bytea[])
        as n (ns, id, parent_id, run_id, metadata, exact, head, refs)
    on conflict do nothing"""
WRITES: LiteralString = """insert into {schema}.memory_writes
    (thread_key, ns, checkpoint_id, task_id, idx, data)
    select %s, n.ns, n.id, n.task_id, n.idx, n.data
    from unnest(%s::text[], %b::bytea[], %b::bytea[], %b::int4[], %b::bytea[])
        as n (ns, id, task_id, idx, data)
    on conflict do nothing"""
LOCK: LiteralString = "select {schema}.memory_lock_thread(%s, %s)"
END_EXPIRED: LiteralString = (
    "update {schema}.memory_threads set deleted_at = now()"
    " where thread_key = %s and expires_at <= now() returning 1"
)
INCOMPLETE: LiteralString = """select exists (
    select from {schema}.memory_checkpoints c, generate_series(0, length(c.refs) - 1, 16) g
    where c.thread_key = %s and not exists (
        select from {schema}.memory_chunks b
        where b.thread_key = c.thread_key and b.address = substring(c.refs, g + 1, 16)))"""
PUBLISH: LiteralString = (
    "update {schema}.memory_threads set thread_id = %s, expires_at = now() + %b::interval"
    " where thread_key = %s and deleted_at is null and expires_at > now() returning 1"
)


class ThreadWriter:
    """One thread to be written, as plans. ttl: as of what is put; None: it never expires.

    Raises ThreadTransferError where a thread of that id is there already.
    """

    def __init__(self, scope: Scope, codec: Codec, thread_id: str, ttl: timedelta | None) -> None:
        self._scope, self._codec, self._thread_id, self._ttl = scope, codec, thread_id, ttl
        self._unfinished = f"{UNFINISHED}{uuid4()}"
        self._key: int | None = None
        self._new: dict[Address, Address] = {}
        """Addresses of the source that are others here, as where there is encryption."""

    def begin(self) -> Plan[None]:
        """Make the unfinished thread."""

        def steps() -> Steps[int]:
            yield from self._require_room()
            row = yield FetchOne(self._scope.render(BEGIN), (self._scope.tenant, self._unfinished))
            yield FetchOne(self._scope.render(RENEW), (UNFINISHED_FOR, row[0]))
            return row[0]  # type: ignore[no-any-return]

        self._key = yield from attempt(steps, transaction=True)

    def add(self, page: Page) -> Plan[None]:
        """Write a page; again is fine."""
        statement, parameters = self._statement(page)

        def steps() -> Steps[None]:
            kept = yield FetchOne(self._scope.render(RENEW), (UNFINISHED_FOR, self._key))
            if kept is None:
                raise self._lost()
            yield from fetch_all(self._scope.render(statement) + b" returning 1", parameters)

        yield from attempt(steps, transaction=True)

    def publish(self) -> Plan[None]:
        """Give the thread its id, once all of it is there."""

        def steps() -> Steps[None]:
            there = yield from self._require_room()
            if there:
                return  # an earlier attempt did it, whose answer was lost
            gap = yield FetchOne(self._scope.render(INCOMPLETE), (self._key,))
            if gap[0]:
                raise ThreadTransferError(
                    f"parts of the values of thread {self._thread_id!r} are missing"
                )
            parameters = (storable(self._thread_id), self._ttl, self._key)
            if (yield FetchOne(self._scope.render(PUBLISH), parameters)) is None:
                raise self._lost()

        yield from attempt(steps, transaction=True)

    def abandon(self) -> Plan[None]:
        """Remove what was written."""
        yield from maintenance.delete(self._scope, self._unfinished)

    def _require_room(self) -> Steps[bool]:
        """Raise where another thread has that id; whether this one has it already."""
        parameters = (self._scope.tenant, storable(self._thread_id))
        row = yield FetchOne(self._scope.render(LOCK), parameters)
        if row[0] is None:
            return False
        if row[0] == self._key:
            return True
        if (yield FetchOne(self._scope.render(END_EXPIRED), (row[0],))) is None:
            raise ThreadTransferError(
                f"there is a thread {self._thread_id!r} already; delete it, or choose another id"
            )
        return False

    def _statement(self, page: Page) -> tuple[LiteralString, tuple[Any, ...]]:
        match page[0]:
            case ChunkRow():
                return CHUNKS, self._chunks([row for row in page if isinstance(row, ChunkRow)])
            case CheckpointRow():
                checkpoints = [row for row in page if isinstance(row, CheckpointRow)]
                return CHECKPOINTS, self._checkpoints(checkpoints)
            case WriteRow():
                return WRITES, self._writes([row for row in page if isinstance(row, WriteRow)])

    def _chunks(self, rows: Sequence[ChunkRow]) -> tuple[Any, ...]:
        found: dict[Address, bytes] = {}
        for row in rows:
            address = self._codec.address(row.piece)
            if address != row.address:
                self._new[row.address] = address
            found[address] = self._codec.seal_chunk(row.piece)
        return self._key, ByteaArray(found), ByteaArray(found.values())

    def _checkpoints(self, rows: Sequence[CheckpointRow]) -> tuple[Any, ...]:
        rows = [self._encrypted(row) if self._codec.cipher is not None else row for row in rows]
        return (
            self._key,
            [row.ns for row in rows],
            ByteaArray(row.checkpoint_id for row in rows),
            [row.parent_id for row in rows],
            [row.run_id for row in rows],
            [row.metadata for row in rows],
            [row.exact for row in rows],
            ByteaArray(self._codec.seal(row.head) for row in rows),
            ByteaArray(b"".join(self._new.get(a, a) for a in split(row.refs)) for row in rows),
        )

    def _encrypted(self, row: CheckpointRow) -> CheckpointRow:
        """A checkpoint as it is kept where it is encrypted: most of its metadata is in its head."""
        metadata = json.loads(row.metadata)
        rest, own, entries = row.head
        if own is None:
            own = self._codec.serde.dumps_typed(metadata)
        return CheckpointRow(
            row.ns,
            row.checkpoint_id,
            row.parent_id,
            row.run_id,
            to_jsonb(unencrypted(metadata))[0],
            False,
            [rest, own, entries],
            row.refs,
        )

    def _writes(self, rows: Sequence[WriteRow]) -> tuple[Any, ...]:
        return (
            self._key,
            [row.ns for row in rows],
            ByteaArray(row.checkpoint_id for row in rows),
            ByteaArray(row.task_id for row in rows),
            Int4Array(row.index for row in rows),
            ByteaArray(self._codec.seal(row.content) for row in rows),
        )

    def _lost(self) -> ThreadTransferError:
        return ThreadTransferError(
            f"thread {self._thread_id!r} was not written within {UNFINISHED_FOR} of its last page, "
            "and has expired; try again"
        )
