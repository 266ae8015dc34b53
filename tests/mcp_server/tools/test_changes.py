"""Writes that are tried first: previews, and migrations that are kept account of."""

import re

import pytest

from cluster_runtime import ClusterHandle, Runtime
from tests.mcp_server.conftest import Tools

STOCK = """
create table makers (id int primary key, name text not null);
create table parts (id int primary key, maker int not null references makers on delete cascade);
insert into makers values (1, 'Ann'), (2, 'Ben');
insert into parts select n, 1 + n % 2 from generate_series(1, 10) n;
"""


@pytest.fixture(scope="module")
def stock(runtime: Runtime) -> ClusterHandle:
    cluster = runtime.create_db_cluster("stock")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(STOCK)
    return cluster


def clusters(runtime: Runtime) -> set[str]:
    return {each.db_cluster_identifier for each in runtime.describe_db_clusters()}


async def test_a_preview_tells_what_a_write_would_do_and_does_nothing(
    careful: Tools, runtime: Runtime, stock: ClusterHandle
) -> None:
    before = clusters(runtime)
    seen = await careful(
        "preview_write",
        cluster="stock",
        sql="delete from makers where id = 2; insert into makers values (3, 'Cy')",
    )
    assert seen["rows_touched"] == [1, 1]
    tables = {each["name"]: each for each in seen["tables"]}
    assert tables["public.makers"]["rows"] == [
        ["removed", ["2", "Ben"], None],
        ["added", None, ["3", "Cy"]],
    ]
    assert tables["public.parts"]["removed"] == 5
    assert seen["changes_without_being_named"] == ["public.parts"]
    assert ["makers", "RowExclusiveLock"] in seen["locks"]
    assert seen["elapsed_ms"] > 0
    with stock.connect() as connection:
        assert connection.execute("select count(*) from makers").fetchone() == (2,)
        assert connection.execute("select count(*) from parts").fetchone() == (10,)
    assert clusters(runtime) == before


async def test_a_preview_that_fails_leaves_no_branch(
    tools: Tools, runtime: Runtime, stock: ClusterHandle
) -> None:
    before = clusters(runtime)
    call = {"cluster": "stock"}
    assert "22012" in await tools.fails("preview_write", sql="select 1/0", **call)
    assert "BEGIN and COMMIT" in await tools.fails(
        "preview_write", sql="begin; drop table parts; commit", **call
    )
    assert "timeout" in await tools.fails(
        "preview_write", sql="select pg_sleep(60)", timeout_seconds=0.5, **call
    )
    assert clusters(runtime) == before


async def test_a_migration_is_tried_applied_and_listed(
    careful: Tools, runtime: Runtime, stock: ClusterHandle
) -> None:
    assert (await careful("list_migrations", cluster="stock"))["rows"] == []
    before = clusters(runtime)
    add = {"cluster": "stock", "name": "001-weights", "sql": "alter table parts add weight int"}
    done = await careful("apply_migration", **add)
    assert done["text"].startswith("applied 001-weights")
    assert "parts" in done["text"]
    point = re.search(r"to='([\w-]+)'", done["notes"])[1]
    ((name, _, _),) = (await careful("list_migrations", cluster="stock"))["rows"]
    assert name == "001-weights"
    assert "applied already" in await careful.fails("apply_migration", **add)

    drop = {"cluster": "stock", "name": "002-no", "sql": "alter table parts drop column weight"}
    refusal = await careful.fails("apply_migration", **drop)
    token = re.search(r'confirmation="([\w-]+)"', refusal)[1]
    await careful("apply_migration", **drop, confirmation=token)
    assert len((await careful("list_migrations", cluster="stock"))["rows"]) == 2

    assert clusters(runtime) == before
    runtime.rewind("stock", point)
    assert (await careful("list_migrations", cluster="stock"))["rows"] == []
    assert "weight" not in (await careful("describe_tables", cluster="stock"))["text"]


async def test_the_account_of_a_migration_keeps_no_password(
    tools: Tools, stock: ClusterHandle
) -> None:
    sql = "create role guest login password 'hunter2-hunter2'"
    await tools("apply_migration", cluster="stock", name="003-guest", sql=sql)
    with stock.connect() as connection:
        kept = connection.execute("select m::text from borealis_migrations.applied m").fetchall()
    assert any("003-guest" in row for (row,) in kept)
    assert not any("hunter2" in row for (row,) in kept)


async def test_a_migration_that_fails_on_its_branch_touches_nothing(
    tools: Tools, runtime: Runtime, stock: ClusterHandle
) -> None:
    before, points = clusters(runtime), runtime.describe_restore_points("stock")
    refusal = await tools.fails(
        "apply_migration",
        cluster="stock",
        name="bad",
        sql="create table half (x int); alter table makers add constraint c check (id > 1)",
    )
    assert "on a branch it failed" in refusal
    assert "23514" in refusal
    assert runtime.describe_restore_points("stock") == points
    assert clusters(runtime) == before
    with stock.connect() as connection:
        assert connection.execute("select to_regclass('half')").fetchone() == (None,)


ANOTHERS = """
create role trapper;
grant trapper to current_user;
create table caught (who text);
grant insert on caught to trapper;
grant create on database postgres to trapper;
set role trapper;
create schema borealis_migrations;
create function borealis_migrations.trap() returns trigger language plpgsql as
    $$begin insert into public.caught values (current_user); return new; end$$;
create table borealis_migrations.applied (name text, sql text, digest text, applied timestamptz);
create trigger trap before insert on borealis_migrations.applied
    for each row execute function borealis_migrations.trap();
grant all on schema borealis_migrations to public;
grant all on borealis_migrations.applied to public;
"""


async def test_an_account_that_another_role_made_is_not_written_to(
    tools: Tools, runtime: Runtime
) -> None:
    cluster = runtime.create_db_cluster("trapped")
    with cluster.connect(autocommit=True) as connection:
        database = connection.info.dbname
        connection.execute(ANOTHERS.replace("database postgres", f'database "{database}"'))
    add = {"cluster": "trapped", "name": "001", "sql": "create table added (x int)"}
    assert "another role's" in await tools.fails("apply_migration", **add)
    with cluster.connect(autocommit=True) as connection:
        assert connection.execute("select * from caught").fetchall() == []
        assert connection.execute("select to_regclass('added')").fetchone() == (None,)


async def test_a_view_in_the_place_of_the_account_is_read_as_any_query_is(
    tools: Tools, runtime: Runtime
) -> None:
    cluster = runtime.create_db_cluster("viewed")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(
            "create schema borealis_migrations;"
            "grant usage on schema borealis_migrations to public;"
            "create function borealis_migrations.who() returns text language plpgsql as "
            "'begin return current_user; end';"
            "create view borealis_migrations.applied as select borealis_migrations.who() as name, "
            "now() as applied, '' as digest, '' as sql;"
            "grant select on borealis_migrations.applied to public"
        )
    assert "may not be called" in await tools.fails("list_migrations", cluster="viewed")
