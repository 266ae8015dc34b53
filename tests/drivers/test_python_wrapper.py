"""The AWS Advanced Python Wrapper, unchanged, on a cluster: it knows it as Aurora's."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from aws_advanced_python_wrapper import AwsWrapperConnection, release_resources
from aws_advanced_python_wrapper.errors import (
    FailoverSuccessError,
    TransactionResolutionUnknownError,
)
from aws_advanced_python_wrapper.utils.rds_utils import RdsUtils

from tests.drivers.conftest import PASSWORD, Aurora, of
from tests.waiting import wait_until

IDENTIFIER = "select pg_catalog.aurora_db_instance_identifier()"


@pytest.fixture(autouse=True)
def hosts_are_known(aurora: Aurora, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As docs/drivers.md says: the wrapper goes by the domain of RDS. No other credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in aurora.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    RdsUtils.set_prepare_host_func(
        lambda host: host and host.replace(".localhost", ".rds.amazonaws.com")
    )
    yield
    release_resources()
    RdsUtils.reset_prepare_host_func()
    RdsUtils.clear_cache()


def connect(aurora: Aurora, plugins: str, **more: Any) -> Any:
    return AwsWrapperConnection.connect(
        psycopg.Connection.connect,
        **of(
            aurora,
            cluster_instance_host_pattern=f"?.{aurora.domain}",
            plugins=plugins,
            autocommit=True,
            cluster_topology_high_refresh_rate_ms=100,
            failover_timeout_sec=60,
            **more,
        ),
    )


def hosts(connection: Any) -> dict[str, str]:
    """What the wrapper knows of the instances: host names and roles."""
    connection._plugin_service.refresh_host_list()
    found = connection._plugin_service.all_hosts
    return {host.host: host.role.name for host in found}


@pytest.mark.parametrize("dialect", [None, "aurora-pg"])
def test_it_knows_the_cluster_as_auroras_and_reads_its_topology(
    aurora: Aurora, dialect: str | None
) -> None:
    more = {"wrapper_dialect": dialect} if dialect else {}
    roles = {aurora.instance(aurora.writer): "WRITER", aurora.instance(aurora.reader): "READER"}
    with connect(aurora, "failover_v2", password=PASSWORD, **more) as connection:
        assert connection.cursor().execute(IDENTIFIER).fetchone() == (aurora.writer,)
        assert type(connection._plugin_service.database_dialect).__name__ == "AuroraPgDialect"
        wait_until(lambda: hosts(connection) == roles)


def test_tokens_that_it_signs_open_endpoints_and_instances_by_the_shared_port(
    aurora: Aurora,
) -> None:
    for host, instance in (
        (aurora.host, aurora.writer),
        (aurora.instance(aurora.writer), aurora.writer),
        (aurora.instance(aurora.reader), aurora.reader),
    ):
        with connect(
            aurora, "iam", host=host, iam_region="us-east-1", wrapper_dialect="aurora-pg"
        ) as connection:
            assert connection.cursor().execute(IDENTIFIER).fetchone() == (instance,)
            (by,) = {each.authentication for each in aurora.runtime.describe_sessions("notes")}
            assert by == "IAM token"


def test_what_only_reads_goes_to_a_reader(aurora: Aurora) -> None:
    with connect(
        aurora,
        "read_write_splitting,failover_v2,iam",
        iam_region="us-east-1",
        wrapper_dialect="aurora-pg",
    ) as connection:
        wait_until(lambda: len(hosts(connection)) == 2)
        for read_only, instance in (
            (True, aurora.reader),
            (False, aurora.writer),
            (True, aurora.reader),
        ):
            connection.read_only = read_only
            assert connection.cursor().execute(IDENTIFIER).fetchone() == (instance,)


@pytest.mark.long
def test_a_failover_leads_to_the_reader_that_is_the_writer_now(aurora: Aurora) -> None:
    before, after = aurora.writer, aurora.reader
    with connect(
        aurora, "failover_v2,iam", iam_region="us-east-1", wrapper_dialect="aurora-pg"
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("create table survived (x int)")
        cursor.execute("insert into survived values (1)")
        wait_until(lambda: len(hosts(connection)) == 2)
        aurora.runtime.failover_db_cluster("notes")
        with pytest.raises(FailoverSuccessError):
            cursor.execute("select 1")
        cursor = connection.cursor()
        assert cursor.execute(IDENTIFIER).fetchone() == (after,)
        assert cursor.execute("select count(*) from survived").fetchone() == (1,)
        cursor.execute("drop table survived")
        roles = {aurora.instance(after): "WRITER", aurora.instance(before): "READER"}
        wait_until(lambda: hosts(connection) == roles, timeout_s=60)


@pytest.mark.long
def test_a_writer_that_is_killed_in_a_transaction_leaves_its_outcome_open(aurora: Aurora) -> None:
    after = aurora.reader
    with connect(
        aurora, "failover_v2,iam", iam_region="us-east-1", wrapper_dialect="aurora-pg"
    ) as connection:
        connection.autocommit = False
        cursor = connection.cursor()
        wait_until(lambda: len(hosts(connection)) == 2)
        cursor.execute("create table lost (x int)")
        aurora.runtime.inject_fault("notes", "writer", "crash")
        with pytest.raises(TransactionResolutionUnknownError):
            cursor.execute("insert into lost values (1)")
        cursor = connection.cursor()
        assert cursor.execute(IDENTIFIER).fetchone() == (after,)
        assert cursor.execute("select to_regclass('lost')").fetchone() == (None,)
        connection.rollback()
