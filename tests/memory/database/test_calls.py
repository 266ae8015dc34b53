"""Hot statements past psycopg's cursors: on any connection, prepared or not."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from psycopg_pool import ConnectionPool

from memory import BorealisSaver
from memory.database.arrays import (
    BoolArray,
    ByteaArray,
    Int4Array,
    TextArray,
    binary,
    bytea_elements,
    int4_elements,
)
from memory.database.dialing import PREPARED_AT
from memory.database.steps import Execute, Plan, attempt, fetch_all

CONFIG: Any = {"configurable": {"thread_id": "größer, 猫", "checkpoint_ns": "é"}}


@pytest.fixture
def saver(fresh_dsn: str) -> Iterator[BorealisSaver]:
    with BorealisSaver(fresh_dsn, pool_size=1) as saver:
        saver.setup()
        yield saver


def put(saver: BorealisSaver, **metadata: Any) -> Any:
    checkpoint: Any = {
        **empty_checkpoint(),
        "channel_values": {"x": "ä猫" * 2000},
        "channel_versions": {"x": 1},
    }
    return saver.put(CONFIG, checkpoint, {"source": "loop", "run_id": "ü", **metadata}, {"x": 1})


def names(saver: BorealisSaver) -> list[str]:
    statement = b"select name from pg_prepared_statements order by 1"
    return [row[0] for row in saver._driver.run(attempt(lambda: fetch_all(statement)))]


def forget() -> Plan[None]:
    def steps() -> Any:
        yield Execute("deallocate all")

    yield from attempt(steps)


def test_a_call_is_prepared_when_its_connection_has_made_it_often(saver: BorealisSaver) -> None:
    for _ in range(PREPARED_AT):
        saver.get_tuple(CONFIG)
    assert names(saver) == []
    saver.get_tuple(CONFIG)
    (name,) = names(saver)
    assert name.startswith("memory_get_")
    for _ in range(PREPARED_AT + 1):
        put(saver)
    assert len(names(saver)) == 2
    assert saver.get_tuple(CONFIG).checkpoint["channel_values"] == {"x": "ä猫" * 2000}  # type: ignore[union-attr]


@pytest.mark.parametrize("lost", ["all", "taken by another"])
def test_where_prepared_statements_get_lost_calls_are_made_without(
    saver: BorealisSaver, lost: str
) -> None:
    for _ in range(PREPARED_AT + 1):
        saver.get_tuple(CONFIG)
    if lost == "all":
        saver._driver.run(forget())
        assert saver.get_tuple(CONFIG) is None
    else:
        assert len(names(saver)) == 1
        (connection,) = [each for _, each in saver._driver._sources._pool._idle[False]]
        vars(connection)["_borealis_prepared"].names.clear()
        assert saver.get_tuple(CONFIG) is None
        saver._driver.run(forget())
    for _ in range(PREPARED_AT + 2):
        put(saver)
        assert saver.get_tuple(CONFIG) is not None
    assert names(saver) == []


async def test_the_asynchronous_side_does_the_same(fresh_dsn: str) -> None:
    async with BorealisSaver(fresh_dsn, pool_size=1) as saver:
        await saver.asetup()
        for _ in range(PREPARED_AT + 2):
            assert await saver.aget_tuple(CONFIG) is None
        await saver._driver.arun(forget())
        assert await asyncio.gather(*[saver.aget_tuple(CONFIG) for _ in range(3)]) == [None] * 3


def latin(dsn: str) -> psycopg.Connection[Any]:
    connection = psycopg.connect(dsn, autocommit=True)
    connection.execute("set client_encoding to latin1")
    return connection


@pytest.mark.parametrize("threshold", [None, 0, 5])
def test_a_callers_pool_is_prepared_as_it_says(fresh_dsn: str, threshold: int | None) -> None:
    kwargs = {"autocommit": True, "prepare_threshold": threshold}
    with ConnectionPool(fresh_dsn, min_size=1, max_size=1, kwargs=kwargs) as pool:
        saver = BorealisSaver(pool)
        saver.setup()
        for number in range(7):
            saver.get_tuple(CONFIG)
            with pool.connection() as connection:
                found = connection.execute(
                    "select count(*) from pg_prepared_statements where name like 'memory_get_%'",
                    prepare=False,
                ).fetchone()
            assert found == (int(threshold is not None and number >= threshold),)


@pytest.mark.parametrize("connect", [latin, lambda dsn: psycopg.connect(dsn, autocommit=True)])
@pytest.mark.parametrize("pipeline", [False, True])
def test_a_callers_connection_in_another_encoding_or_in_a_pipeline(
    fresh_dsn: str, connect: Callable[[str], psycopg.Connection[Any]], pipeline: bool
) -> None:
    # psycopg itself reads JSON in UTF-8 alone, so there is nothing else in the metadata.
    config: Any = {"configurable": {"thread_id": "größer", "checkpoint_ns": "é"}}
    with connect(fresh_dsn) as connection:
        saver = BorealisSaver(connection, ttl=timedelta(days=3, seconds=1))
        saver.setup()
        checkpoint: Any = {
            **empty_checkpoint(),
            "channel_values": {"x": "猫" * 2000},
            "channel_versions": {"x": 1},
        }

        def turn() -> Any:
            stored = saver.put(config, checkpoint, {"run_id": "u"}, {"x": 1})  # type: ignore[typeddict-item]
            saver.put_writes(stored, [("y", "ß")], "task")
            return saver.get_tuple(config)

        if pipeline:
            with connection.pipeline():
                found = turn()
        else:
            found = turn()
        assert found.checkpoint["channel_values"] == {"x": "猫" * 2000}
        assert found.pending_writes == [("task", "y", "ß")]


@pytest.mark.parametrize(
    ("value", "kind", "read"),
    [
        ("ä猫", "text", "ä猫"),
        (b"\x00\xff", "bytea", b"\x00\xff"),
        (None, "text", None),
        (ByteaArray([b"", None, b"x"]), "bytea[]", [b"", None, b"x"]),
        (ByteaArray([]), "bytea[]", []),
        (TextArray(["a", None, ""]), "text[]", ["a", None, ""]),
        (BoolArray([True, False]), "boolean[]", [True, False]),
        (Int4Array([-(2**31), 0, 7]), "integer[]", [-(2**31), 0, 7]),
        (timedelta(days=-2, seconds=86_399, microseconds=5), "interval", None),
    ],
)
def test_parameters_are_those_that_postgresql_reads(
    fresh_dsn: str, value: Any, kind: str, read: Any
) -> None:
    if isinstance(value, timedelta):
        read = value
    with psycopg.connect(fresh_dsn) as connection:
        result = connection.pgconn.exec_params(
            f"select $1::{kind}".encode(), [binary(value)], param_formats=[1], result_format=1
        )
        field = result.get_value(0, 0)
        if isinstance(read, bytes):
            assert field == read
        elif kind == "bytea[]":
            assert bytea_elements(field) == read
        elif kind == "integer[]":
            assert list(int4_elements(field)) == read
        parameter = value if hasattr(value, "data") or value is None else read
        row = connection.execute(f"select %b::{kind}".encode(), (parameter,)).fetchone()
        assert row == (read,)


def test_no_array_has_no_elements() -> None:
    assert bytea_elements(None) == []
    assert int4_elements(None) == ()
