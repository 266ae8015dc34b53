"""Which blocks a stretch of log changes, held against what PostgreSQL itself reads in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.storage.core.changed_blocks import (
    ChangedBlocks,
    RelationFile,
    precedes,
)
from cluster_runtime.storage.core.wal_records import RecordReader, parse_lsn, wal_file_name
from tests.conftest import database

Stretch = tuple[int, bytes, int, set[tuple[RelationFile, int]], set[int]]

CHANGES = """
create table t (id int primary key, v text, big text);
insert into t select n, 'row ' || n, null from generate_series(1, 5000) n;
update t set v = v || '!' where id % 7 = 0;
delete from t where id % 11 = 0;
update t set big = repeat(md5(id::text), 1000) where id < 20;
vacuum t;
create index on t (v);
create table other as select * from t;
truncate other;
insert into other select * from t where id < 100;
begin; insert into t values (100001); rollback;
begin; savepoint a; insert into t values (100002); release a; commit;
select pg_switch_wal();
insert into t values (100003);
checkpoint;
alter table t alter v type varchar(300);
cluster t using t_pkey;
"""
INFO = """
select reldatabase::int8, relfilenode::int8, relblocknumber
  from pg_get_wal_block_info(%s, %s) where relforknumber = 0
"""
COMMITS = """
select xid::text::int8 from pg_get_wal_records_info(%s, %s)
 where resource_manager = 'Transaction' and record_type = 'COMMIT'
"""


@pytest.fixture(scope="session")
def stretch(server_dsn: str) -> Iterator[Stretch]:
    """LSN, WAL from there on, size of its files, blocks and commits as PostgreSQL reads them."""
    with database(server_dsn) as dsn:
        with psycopg.connect(dsn, user=SUPERUSER, autocommit=True) as conn:
            found = changed(conn)
        yield found


def changed(conn: psycopg.Connection[Any]) -> Stretch:
    conn.execute("create extension pg_walinspect")
    conn.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    conn.execute("select pg_create_physical_replication_slot('kept', true)")
    conn.execute("select pg_switch_wal()")
    (start,) = conn.execute("select pg_current_wal_insert_lsn()").fetchone() or ("",)
    for statement in CHANGES.strip().split("\n"):
        for each in statement.split("; ") if statement.startswith("begin") else [statement]:
            conn.execute(sql.SQL(each))  # type: ignore[arg-type]
    conn.execute("select pg_switch_wal()")
    (end,) = conn.execute("select pg_current_wal_insert_lsn()").fetchone() or ("",)
    ((size, directory),) = conn.execute(
        "select setting::int8, current_setting('data_directory')"
        " from pg_settings where name = 'wal_segment_size'"
    )
    blocks = {
        (RelationFile(db, number), block) for db, number, block in conn.execute(INFO, (start, end))
    }
    commits = {xid for (xid,) in conn.execute(COMMITS, (start, end))}
    lsn, last = parse_lsn(start), parse_lsn(end)
    # The last file has a header at most, and may not be there yet.
    last -= last % size
    files = range(lsn - lsn % size, last, size)
    wal = b"".join(
        (Path(directory) / "pg_wal" / wal_file_name(1, at, size)).read_bytes() for at in files
    )
    conn.execute("select pg_drop_replication_slot('kept')")
    return lsn, wal[lsn % size : last - files[0]], size, blocks, commits


def read(lsn: int, wal: bytes, size: int, piece: int) -> ChangedBlocks:
    found, reader = ChangedBlocks(), RecordReader(lsn, size)
    for at in range(0, len(wal), piece):
        for record in reader.feed(wal[at : at + piece]):
            found.note(record.content)
    return found


@settings(max_examples=8, deadline=None)
@given(piece=st.integers(1000, 1 << 21))
def test_every_block_that_postgresql_finds_and_no_other(
    piece: int,
    stretch: Stretch,
) -> None:
    lsn, wal, size, blocks, commits = stretch
    assert blocks
    assert commits
    found = read(lsn, wal, size, piece)
    named = {(relation, block) for relation, each in found.blocks.items() for block in each}
    assert named == blocks
    assert found.committed == min(commits)
    assert found.next_xid is not None
    assert found.next_xid > min(commits)
    assert not found.prepared


def test_one_byte_at_a_time(
    stretch: Stretch,
) -> None:
    lsn, wal, size, _, _ = stretch
    some = wal[:20_000]
    assert read(lsn, some, size, 1) == read(lsn, some, size, len(some))


def test_transactions_are_counted_round_and_round() -> None:
    assert precedes(3, 4)
    assert not precedes(4, 3)
    assert not precedes(4, 4)
    assert precedes(0xFFFF_FFF0, 5)
