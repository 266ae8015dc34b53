"""What the environment says to libpq is for the programs of whoever set it, not for the runtime."""

from pathlib import Path

import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from cluster_runtime import Runtime
from cluster_runtime.engine.access.private_socket import LEFT, private_conninfo

SET = {
    "PGHOST": "/nowhere",
    "PGHOSTADDR": "127.0.0.1",
    "PGPORT": "1",
    "PGUSER": "nobody",
    "PGDATABASE": "none",
    "PGPASSFILE": "/nowhere",
    "PGOPTIONS": "-c statement_timeout=1 -c default_transaction_read_only=on",
    "PGAPPNAME": "mine",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGCHANNELBINDING": "require",
    "PGSSLMODE": "require",
    "PGSSLNEGOTIATION": "direct",
    "PGGSSENCMODE": "require",
    "PGTARGETSESSIONATTRS": "read-only",
    "PGLOADBALANCEHOSTS": "random",
    "PGCLIENTENCODING": "LATIN1",
    "PGDATESTYLE": "SQL, DMY",
    "PGTZ": "Asia/Tokyo",
    "PGGEQO": "off",
    "PGREQUIREPEER": "of-nobody",
    "PGSSLROOTCERT": "system",
    "PGSSLCERT": "/nowhere",
    "PGSSLCERTMODE": "require",
    "PGMINPROTOCOLVERSION": "3.2",
    "PGMAXPROTOCOLVERSION": "3.0",
}
SHOWN = (
    "select pg_catalog.current_setting('datestyle'), pg_catalog.current_setting('timezone'), "
    "pg_catalog.current_setting('client_encoding'), pg_catalog.current_setting('geqo')"
)


@pytest.mark.parametrize("names", [[each] for each in SET] + [list(SET)], ids=lambda each: each[-1])
def test_clusters_come_and_go_whatever_it_says(
    shared_runtime: Runtime, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    with monkeypatch.context() as patch:
        for name in names:
            patch.setenv(name, SET[name])
        cluster = shared_runtime.create_db_cluster("anywhere")
        shared_runtime.failover_db_cluster("anywhere")
        shared_runtime.create_restore_point("anywhere", "here")
        home = shared_runtime._home
        writer = home.service.find("anywhere").writer
        (shown,) = home.thread.call(writer.execute(SHOWN))
        assert shown == ("ISO, MDY", "UTC", "UTF8", "on")
        shared_runtime.pause_db_cluster("anywhere")
    with cluster.connect() as conn:
        assert conn.execute("show statement_timeout").fetchone() == ("0",)
    shared_runtime.delete_db_cluster("anywhere", skip_final_snapshot=True)


def test_a_background_host_is_told_nothing_of_it(
    engine_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSERVICE", "of-nobody")
    with Runtime.open(engine_dir / "state", host="daemon", warm_pool_size=0) as runtime:
        runtime.create_db_cluster("served")
        runtime.pause_db_cluster("served")


def test_nothing_that_libpq_reads_there_is_left_out() -> None:
    said = conninfo_to_dict(private_conninfo("/run/here", "me", "all", "ours"))
    read = {each.keyword.decode() for each in pq.Conninfo.get_defaults() if each.envvar}
    assert len(read) > 20
    assert read - said.keys() == LEFT.keys()
