"""Moving a database of `PostgresSaver` and `PostgresStore` into the tables of this package.

In place: the same database, thread by thread and namespace by namespace. The old tables keep their
rows (and are brought to LangGraph's latest version first). It may be stopped and started again:
moving something twice changes nothing, and an item that was put since stays. What was deleted since
comes back. Point the application at `BorealisSaver` and `BorealisStore` when it is done, and drop
the old tables when you are sure.

Values are read with LangGraph's own code and its old rules (pending sends of checkpoints before
version 4 included) but with the strict serializer: name your classes in `allow`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.store.base import PutOp
from langgraph.store.postgres import PostgresStore
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from memory.checkpoints.saver import BorealisSaver
from memory.database.connections import Dialer, HasDsn
from memory.database.schema import DEFAULT_SCHEMA
from memory.encoding.classes import TypeKey
from memory.encoding.serde import BorealisSerializer
from memory.errors import AgentMemoryError
from memory.store.index import BorealisIndexConfig
from memory.store.store import BorealisStore

PAGE = 200

THREADS = """
select distinct thread_id from checkpoints where thread_id > %s order by thread_id limit %s
"""
NAMESPACES = "select distinct checkpoint_ns from checkpoints where thread_id = %s"
CHECKPOINT_IDS = """
select checkpoint_id from checkpoints where thread_id = %s and checkpoint_ns = %s
order by checkpoint_id
"""
WRITES = """
select checkpoint_id, task_id, task_path, idx, channel, type, blob from checkpoint_writes
where thread_id = %s and checkpoint_ns = %s order by checkpoint_id, task_id, idx
"""
# The lifetime that reading renews; that of an item with less than a minute was stored as 0.
ITEMS = """
select prefix, key, value, case when expires_at is not null then coalesce(
    nullif(ttl_minutes, 0), extract(epoch from expires_at - now()) / 60) end as minutes
from store o where (prefix, key) > (%s, %s) and (expires_at is null or expires_at > now())
and not exists (
    select from {schema}.memory_items i join {schema}.memory_namespaces n using (ns_key)
    where n.tenant = '' and n.path = string_to_array(o.prefix, '.') and i.key = o.key
    and i.updated_at >= o.updated_at)
order by prefix, key limit %s
"""
TIMES = """
update {schema}.memory_items i
set created_at = o.created_at, updated_at = o.updated_at, expires_at = o.expires_at
from unnest(%s::text[], %s::text[]) as moved (prefix, key) join store o using (prefix, key)
join {schema}.memory_namespaces n on n.path = string_to_array(o.prefix, '.')
where n.tenant = '' and i.ns_key = n.ns_key and i.key = o.key
"""


@dataclass(frozen=True, slots=True)
class Migrated:
    """How much was moved."""

    threads: int
    checkpoints: int
    items: int
    refused: Mapping[str, str] = field(default_factory=dict)
    """Threads that were not moved, and why; the others were."""


def migrate(
    dsn: HasDsn | str,
    *,
    schema: str = DEFAULT_SCHEMA,
    allow: Iterable[type | TypeKey] = (),
    index: BorealisIndexConfig | dict[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
    why: Callable[[Exception], str] = str,
) -> Migrated:
    """Copy every checkpoint, write and item of LangGraph's tables into this package's.

    dsn: a cluster or conninfo of the database. allow: classes of your states. index: the store's
        index; items are embedded again. progress: called with a line for each thread.
    why: says of an error why a thread was refused.
    Returns what was moved, zeros where LangGraph's tables do not exist, and which threads were
    refused, as for a class that is not in `allow`; run it again with that class.
    """
    report = progress or (lambda _: None)
    threads = checkpoints = items = 0
    refused: dict[str, str] = {}
    with _connect(dsn) as old:
        if _exists(old, "checkpoints"):
            with BorealisSaver(dsn, schema=schema, allow=allow) as saver:
                saver.setup()
                theirs = PostgresSaver(old, serde=BorealisSerializer(allow=allow))
                theirs.setup()
                for thread_id in _threads(old):
                    new = next(saver.list(_config(thread_id), limit=1), None) is None
                    try:
                        count = _move_thread(old, theirs, saver, thread_id)
                    except (AgentMemoryError, TypeError, ValueError) as error:
                        refused[thread_id] = why(error)
                        if new:  # half a thread would be taken for all of it
                            saver.delete_thread(thread_id)
                        report(f"thread {thread_id}: not moved")
                        continue
                    threads, checkpoints = threads + 1, checkpoints + count
                    report(f"thread {thread_id}: {count} checkpoints")
        if _exists(old, "store"):
            with BorealisStore(dsn, schema=schema, index=index) as store:
                store.setup()
                PostgresStore(old).setup()
                items = _move_items(old, store, sql.Identifier(schema))
                report(f"store: {items} items")
    return Migrated(threads, checkpoints, items, refused)


@contextmanager
def _connect(dsn: HasDsn | str) -> Iterator[psycopg.Connection[DictRow]]:
    dialer = Dialer(dsn, prepare=False, application_name="borealis-memory-migrate")
    with psycopg.connect(dialer.conninfo(30), row_factory=dict_row, autocommit=True) as connection:
        yield connection


def _exists(old: psycopg.Connection[DictRow], table: str) -> bool:
    row = old.execute("select to_regclass(%s) is not null as there", (table,)).fetchone()
    return bool(row and row["there"])


def _threads(old: psycopg.Connection[DictRow]) -> Iterator[str]:
    last = ""
    while rows := old.execute(THREADS, (last, PAGE)).fetchall():
        for row in rows:
            yield row["thread_id"]
        last = rows[-1]["thread_id"]


def _config(thread_id: str, **more: str) -> Any:
    return {"configurable": {"thread_id": thread_id, **more}}


def _move_thread(
    old: psycopg.Connection[DictRow], theirs: PostgresSaver, saver: BorealisSaver, thread_id: str
) -> int:
    """Oldest checkpoint first, so that each finds its parent's values in place."""
    count = 0
    for namespace in old.execute(NAMESPACES, (thread_id,)).fetchall():
        ns = namespace["checkpoint_ns"]
        for row in old.execute(CHECKPOINT_IDS, (thread_id, ns)).fetchall():
            config = _config(thread_id, checkpoint_ns=ns, checkpoint_id=row["checkpoint_id"])
            found = theirs.get_tuple(config)
            if found is not None:
                _put(saver, found, thread_id, ns)
                count += 1
        _move_writes(old, theirs, saver, thread_id, ns)
    return count


def _put(saver: BorealisSaver, found: CheckpointTuple, thread_id: str, ns: str) -> None:
    config = _config(thread_id, checkpoint_ns=ns)
    if found.parent_config is not None:
        config["configurable"]["checkpoint_id"] = found.parent_config["configurable"][
            "checkpoint_id"
        ]
    # No version is named as new: what the parent has at the same version is taken from it.
    saver.put(config, found.checkpoint, found.metadata, {})


def _move_writes(
    old: psycopg.Connection[DictRow],
    theirs: PostgresSaver,
    saver: BorealisSaver,
    thread_id: str,
    ns: str,
) -> None:
    groups: dict[tuple[str, str, str], dict[int, tuple[str, Any]]] = {}
    for row in old.execute(WRITES, (thread_id, ns)).fetchall():
        value = theirs.serde.loads_typed((row["type"], row["blob"]))
        key = (row["checkpoint_id"], row["task_id"], row["task_path"])
        groups.setdefault(key, {})[row["idx"]] = (row["channel"], value)
    for (checkpoint_id, task_id, task_path), writes in groups.items():
        config = _config(thread_id, checkpoint_ns=ns, checkpoint_id=checkpoint_id)
        saver.import_writes(config, writes, task_id, task_path)


def _move_items(
    old: psycopg.Connection[DictRow], store: BorealisStore, schema: sql.Identifier
) -> int:
    count, last = 0, ("", "")
    find, set_times = (sql.SQL(text).format(schema=schema) for text in (ITEMS, TIMES))
    while rows := old.execute(find, (*last, PAGE)).fetchall():
        store.batch(
            PutOp(
                namespace=tuple(row["prefix"].split(".")),
                key=row["key"],
                value=row["value"],
                ttl=None if row["minutes"] is None else float(row["minutes"]),
            )
            for row in rows
        )
        old.execute(set_times, ([row["prefix"] for row in rows], [row["key"] for row in rows]))
        count, last = count + len(rows), (rows[-1]["prefix"], rows[-1]["key"])
    return count
