"""Clusters made, shown and deleted through the tools."""

import os
from typing import Any

import psycopg
import pytest

from cluster_runtime import Runtime
from cluster_runtime.errors import ClusterNotFoundError
from mcp_server.server import build_server
from mcp_server.tools import ServerScope


async def test_an_agent_creates_uses_and_deletes_a_cluster(tools: Any) -> None:
    created = await tools("create_cluster", cluster="first-one", database="app")
    assert created["status"] == "available"
    assert created["database"] == "app"
    assert [endpoint["kind"] for endpoint in created["endpoints"]] == ["writer", "reader"]

    answer = await tools("run_query", cluster="first-one", sql="select current_database()")
    assert answer["rows"] == [["app"]]

    listed = await tools("list_clusters")
    assert "first-one" in [one["cluster"] for one in listed["clusters"]]

    deleted = await tools("delete_cluster", cluster="first-one")
    assert deleted == {"cluster": "first-one", "resource_id": created["resource_id"]}
    assert "first-one" in await tools.fails("describe_cluster", cluster="first-one")


async def test_settings_of_a_create_reach_the_cluster(tools: Any) -> None:
    created = await tools(
        "create_cluster",
        cluster="settings",
        min_capacity=0.5,
        max_capacity=2,
        seconds_until_auto_pause=600,
        deletion_protection=True,
    )
    assert created["min_capacity"] == 0.5
    assert created["max_capacity"] == 2
    assert created["seconds_until_auto_pause"] == 600
    assert "protect" in await tools.fails("delete_cluster", cluster="settings")


async def test_a_cluster_that_runs_says_which_walls_stand_around_it(tools: Any, shop: Any) -> None:
    await tools("run_query", cluster="shop", sql="select 1")
    described = await tools("describe_cluster", cluster="shop")
    assert "files" in described["walls"] or "Landlock" in described["wall_gaps"][0]
    assert ("own user" in described["walls"]) == (os.geteuid() == 0)


async def test_a_wrong_name_is_met_with_the_nearest_right_one(tools: Any, shop: Any) -> None:
    assert "'shop'" in await tools.fails("describe_cluster", cluster="shopp")


async def test_a_taken_name_and_a_malformed_one_are_refused(tools: Any, shop: Any) -> None:
    assert "exists" in await tools.fails("create_cluster", cluster="shop")
    assert "hyphen" in await tools.fails("create_cluster", cluster="two--hyphens")
    assert "capacity" in await tools.fails("create_cluster", cluster="steps", max_capacity=1.3)


async def test_no_connection_string_is_given_unless_asked_for(tools: Any, shop: Any) -> None:
    assert "connection_string" not in await tools("describe_cluster", cluster="shop")


async def test_a_connection_string_opens_a_connection_as_the_master_user(
    tools: Any, shop: Any
) -> None:
    facts = await tools("describe_cluster", cluster="shop", include_connection_string=True)
    with psycopg.connect(facts["connection_string"]) as connection:
        assert connection.execute("select current_user").fetchone() == (facts["master_username"],)
        assert connection.pgconn.ssl_in_use


async def test_the_connection_string_of_a_read_only_server_cannot_write(shop_reader: Any) -> None:
    facts = await shop_reader("describe_cluster", include_connection_string=True)
    with psycopg.connect(facts["connection_string"], autocommit=True) as connection:
        assert connection.execute("select count(*) from customers").fetchone() == (3,)
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("delete from customers")


async def test_a_server_for_one_cluster_needs_and_takes_no_cluster(shop_reader: Any) -> None:
    answer = await shop_reader("run_query", sql="select count(*) from customers")
    assert answer["rows"] == [[3]]
    refusal = await shop_reader.fails("run_query", cluster="other", sql="select 1")
    assert "no argument 'cluster'" in refusal


def test_a_server_for_a_cluster_that_is_not_there_does_not_start(runtime: Runtime) -> None:
    with pytest.raises(ClusterNotFoundError, match="missing"):
        build_server(runtime, ServerScope(cluster="missing"))
