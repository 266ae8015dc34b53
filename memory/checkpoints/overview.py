"""The threads that are there, for people to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import LiteralString
from uuid import UUID

from memory.checkpoints.moving.writer import UNFINISHED
from memory.database.scope import Scope
from memory.database.steps import FetchAll, Steps
from memory.encoding.ids import original, storable, unpack_id

THREADS: LiteralString = """select t.thread_id, t.expires_at, c.checkpoints, c.first, c.last,
        c.bytes + coalesce((select sum(octet_length(b.data))
                            from {schema}.memory_chunks b where b.thread_key = t.thread_key), 0)
                + coalesce((select sum(octet_length(w.data))
                            from {schema}.memory_writes w where w.thread_key = t.thread_key), 0),
        c.runs
    from {schema}.memory_threads t cross join lateral (
        select count(*) as checkpoints, min(checkpoint_id) as first, max(checkpoint_id) as last,
               coalesce(sum(octet_length(head) + octet_length(refs)), 0) as bytes,
               count(distinct run_id) as runs
        from {schema}.memory_checkpoints where thread_key = t.thread_key) c
    where t.tenant = %s and t.thread_id > %s and t.deleted_at is null
      and not starts_with(t.thread_id, %s)
      and (t.expires_at is null or t.expires_at > now())
    order by t.thread_id limit %s"""
GREGORIAN = datetime(1582, 10, 15, tzinfo=UTC)
"""From which the time of a UUID counts. Source: RFC 9562, section 5.6 (UUIDv6)."""


@dataclass(frozen=True, slots=True)
class ThreadSummary:
    """A thread. first_at, last_at: of its checkpoints, as their ids tell; None where they do not.

    bytes: of its rows, compressed. runs: how many runs its checkpoints name.
    """

    thread_id: str
    checkpoints: int
    runs: int
    bytes: int
    first_at: datetime | None
    last_at: datetime | None
    expires_at: datetime | None


def threads(scope: Scope, after: str, limit: int) -> Steps[Sequence[ThreadSummary]]:
    """Threads in order of their ids, behind one; without those that are being copied."""
    rows = yield FetchAll(scope.render(THREADS), (scope.tenant, storable(after), UNFINISHED, limit))
    return [
        ThreadSummary(
            original(thread),
            checkpoints,
            runs,
            int(size),
            None if first is None else time_of(unpack_id(first)),
            None if last is None else time_of(unpack_id(last)),
            expires_at,
        )
        for thread, expires_at, checkpoints, first, last, size, runs in rows
    ]


def time_of(checkpoint_id: str) -> datetime | None:
    """When an id was made, where it is a UUIDv6, as LangGraph's are."""
    try:
        found = UUID(checkpoint_id)
    except ValueError:
        return None
    if found.version != 6:
        return None
    high, middle, low = found.int >> 96, found.int >> 80 & 0xFFFF, found.int >> 64 & 0x0FFF
    ticks = high << 28 | middle << 12 | low
    return GREGORIAN + timedelta(microseconds=ticks // 10)
