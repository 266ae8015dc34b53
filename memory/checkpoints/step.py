"""A super-step as one statement: what `memory_step` is given."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, LiteralString

from memory.checkpoints.rows import CheckpointRow, Key, TaskWrites
from memory.database.arrays import (
    BOOL_ARRAY_OID,
    BYTEA_ARRAY_OID,
    BYTEA_OID,
    INT4_ARRAY_OID,
    INTERVAL_OID,
    TEXT_ARRAY_OID,
    TEXT_OID,
    BoolArray,
    ByteaArray,
    Int4Array,
    TextArray,
)
from memory.encoding.codec import Address
from memory.encoding.ids import pack_id, storable

STEP: LiteralString = (
    "select {schema}.memory_step($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,"
    " $16, $17, $18, $19)"
)
_CHECKPOINTS = (
    TEXT_ARRAY_OID,
    BYTEA_ARRAY_OID,
    BYTEA_ARRAY_OID,
    TEXT_ARRAY_OID,
    TEXT_ARRAY_OID,
    BOOL_ARRAY_OID,
    BYTEA_ARRAY_OID,
    BYTEA_ARRAY_OID,
)
_CHUNKS = (BYTEA_ARRAY_OID, BYTEA_ARRAY_OID, BYTEA_OID)
_WRITES = (TEXT_ARRAY_OID, BYTEA_ARRAY_OID, BYTEA_ARRAY_OID, INT4_ARRAY_OID, BYTEA_ARRAY_OID)
STEP_TYPES = (TEXT_OID, TEXT_OID, *_CHECKPOINTS, *_CHUNKS, *_WRITES, INTERVAL_OID)


def step_values(
    tenant: str, parts: Sequence[CheckpointRow | TaskWrites], ttl: timedelta | None
) -> list[Any]:
    """The arguments of `memory_step`, for parts of one thread in the order of their calls.

    Of what two calls say of the same row, that counts which would if they had come one by one: the
    last checkpoint, the first of a task's ordinary writes, the last of its special ones.
    """
    puts: dict[Key, CheckpointRow] = {}
    writes: dict[tuple[str, bytes | None, bytes, int], bytes] = {}
    for part in parts:
        if isinstance(part, CheckpointRow):
            puts[part.key] = part
            continue
        _, ns, checkpoint_id = part.key.stored()
        task_id = pack_id(part.task_id)
        for index, frame in part.frames.items():
            place = (ns, checkpoint_id, task_id, index)
            if index < 0 or place not in writes:
                writes[place] = frame
    rows = list(puts.values())
    chunks: dict[Address, bytes] = {}
    for row in rows:
        chunks |= row.chunks
    refs = [row.addresses() for row in rows]
    counted_on = {address for each in refs for address in each if address not in chunks}
    keys = [row.key.stored() for row in rows]
    return [
        tenant,
        storable(parts[0].key.thread_id),
        TextArray(ns for _, ns, _ in keys),
        ByteaArray(checkpoint_id for _, _, checkpoint_id in keys),
        ByteaArray(None if row.parent_id is None else pack_id(row.parent_id) for row in rows),
        TextArray(None if row.run_id is None else storable(row.run_id) for row in rows),
        TextArray(row.metadata for row in rows),
        BoolArray(row.exact for row in rows),
        ByteaArray(row.head for row in rows),
        ByteaArray(b"".join(each) for each in refs),
        ByteaArray(chunks),
        ByteaArray(chunks.values()),
        b"".join(counted_on),
        TextArray(ns for ns, *_ in writes),
        ByteaArray(checkpoint_id for _, checkpoint_id, _, _ in writes),
        ByteaArray(task_id for _, _, task_id, _ in writes),
        Int4Array(index for *_, index in writes),
        ByteaArray(writes.values()),
        ttl,
    ]
