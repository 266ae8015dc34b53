"""setup() from many processes at once, versions, partitions, and tenants."""

import multiprocessing
import uuid
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from psycopg import sql
from psycopg.conninfo import make_conninfo

from memory import BorealisChatMessageHistory, BorealisSaver, BorealisStore
from memory.database.tenancy import grant
from memory.errors import ConfigurationError, NewerSchemaError

PROCESSES = 8


def set_up_each_round(dsn: str, rounds: int, barrier: Any, errors: Any) -> None:
    """What one process does: each round a schema of its own, all processes at once."""
    for number in range(rounds):
        barrier.wait(60)
        try:
            saver = BorealisSaver(dsn, schema=f"round_{number}")
            saver.setup()
            saver.close()
            store = BorealisStore(dsn, schema=f"round_{number}", index={})
            store.setup()
            store.close()
        except Exception as error:  # noqa: BLE001 - reported to the test
            errors.put(f"round {number}: {error!r}")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.long)])
def test_eight_processes_set_up_an_empty_database_at_once_again_and_again(
    fresh_dsn: str, rounds: int
) -> None:
    context = multiprocessing.get_context("fork")
    barrier, errors = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=set_up_each_round, args=(fresh_dsn, rounds, barrier, errors))
        for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(150)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert errors.empty(), errors.get()
    with BorealisSaver(fresh_dsn, schema=f"round_{rounds - 1}") as saver:
        saver.put({"configurable": {"thread_id": "t"}}, empty_checkpoint(), {}, {})


def test_a_schema_of_a_newer_package_is_left_alone(fresh_dsn: str) -> None:
    with BorealisSaver(fresh_dsn) as saver:
        saver.setup()
        with psycopg.connect(fresh_dsn) as conn:
            conn.execute("insert into borealis.memory_migrations values ('checkpoints', 99)")
        with pytest.raises(NewerSchemaError, match="Upgrade the package"):
            saver.setup()
    with pytest.raises(ConfigurationError, match="partitions"):
        BorealisSaver(fresh_dsn, schema="other").setup(partitions=1)
    with pytest.raises(ConfigurationError, match="identifier"):
        BorealisSaver(fresh_dsn, schema="")


def test_the_big_tables_are_partitioned_where_asked(fresh_dsn: str) -> None:
    with BorealisSaver(fresh_dsn) as saver:
        saver.setup(partitions=4)
        saver.setup(partitions=4)
    with psycopg.connect(fresh_dsn) as conn:
        row = conn.execute(
            "select count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid"
            " where c.relkind = 'r' and c.relname like 'memory_%'"
        ).fetchone()
        assert row == (12,)


@pytest.fixture
def plain_role(fresh_dsn: str) -> Any:
    """Conninfo of a role that owns nothing."""
    role = f"app_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(fresh_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("create role {} login password 'app'").format(sql.Identifier(role)))
        yield role, make_conninfo(fresh_dsn, user=role, password="app")
        admin.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(role)))
        admin.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
        admin.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_a_tenant_sees_its_own_rows_only(fresh_dsn: str, plain_role: Any) -> None:
    role, app_dsn = plain_role
    with BorealisSaver(fresh_dsn) as owner:
        owner.setup()
    with BorealisStore(fresh_dsn, index={}) as owned:
        owned.setup()
    BorealisChatMessageHistory(fresh_dsn, "s").setup()
    grant(fresh_dsn, role)
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    with (
        BorealisSaver(app_dsn, tenant="a") as a,
        BorealisSaver(app_dsn, tenant="b") as b,
        BorealisStore(app_dsn, tenant="a", index={}) as store_a,
        BorealisStore(app_dsn, tenant="b", index={}) as store_b,
    ):
        value = {"v": "x" * 5000}
        checkpoint: Any = {
            **empty_checkpoint(),
            "channel_values": value,
            "channel_versions": {"v": 1},
        }
        a.put(config, checkpoint, {"run_id": "r"}, {"v": 1})
        assert b.get_tuple(config) is None
        assert list(b.list(None)) == []
        b.delete_for_runs(["r"])
        b.delete_thread("t")
        found = a.get_tuple(config)
        assert found is not None
        assert found.checkpoint["channel_values"] == value
        store_a.put(("ns",), "k", {"text": "secret"})
        assert store_b.get(("ns",), "k") is None
        assert store_b.search((), query="secret") == []
        assert store_b.list_namespaces() == []
        assert store_a.search((), query="secret")[0].key == "k"
        assert BorealisChatMessageHistory(app_dsn, "s", tenant="b").messages == []
    with psycopg.connect(app_dsn) as conn:
        # Without a tenant, and with another, even a bare select shows nothing.
        for tenant in ("", "b"):
            conn.execute("select set_config('borealis.tenant', %s, false)", (tenant,))
            for table in (
                *("threads", "checkpoints", "chunks", "writes"),
                *("namespaces", "items", "vectors", "messages"),
            ):
                name = sql.Identifier("borealis", f"memory_{table}")
                count = conn.execute(sql.SQL("select count(*) from {}").format(name)).fetchone()
                assert count == (0,), table
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("truncate borealis.memory_threads")


def test_a_schema_for_each_tenant_keeps_them_apart(fresh_dsn: str) -> None:
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    with (
        BorealisSaver(fresh_dsn, schema="one") as one,
        BorealisSaver(fresh_dsn, schema="two") as two,
    ):
        one.setup()
        two.setup()
        one.put(config, empty_checkpoint(), {}, {})
        assert two.get_tuple(config) is None
        assert one.get_tuple(config) is not None
