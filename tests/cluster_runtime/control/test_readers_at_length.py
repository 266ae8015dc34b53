"""Fifteen readers under load, and workflows that end with their host at each step. Long."""

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.errors import InstanceQuotaError
from tests.cluster_runtime.control.readers_host import CLUSTER, ENDED, READER
from tests.waiting import wait_until

SCRIPT = Path(__file__).with_name("readers_host.py")

pytestmark = pytest.mark.long


def where(cluster: ClusterHandle, endpoint: str) -> tuple[str, bool]:
    with cluster.connect(endpoint) as conn:
        row = conn.execute(
            "select pg_postmaster_start_time()::text, pg_is_in_recovery()"
        ).fetchone()
        assert row is not None
        return row


def all_available(cluster: ClusterHandle) -> bool:
    return all(each.db_instance_status == "available" for each in cluster.instances)


def endpoints_are_right(cluster: ClusterHandle) -> None:
    """The cluster endpoint leads to the writer, each instance's own to it, the reader endpoint to
    all readers, and to each as often as to any other.
    """
    writer, *readers = (each.db_instance_identifier for each in cluster.instances)
    assert where(cluster, "writer") == where(cluster, writer)
    assert not where(cluster, writer)[1]
    own = {where(cluster, name) for name in readers}
    assert len(own) == len(readers)
    assert all(in_recovery for _, in_recovery in own)
    conns = [cluster.connect("reader") for _ in range(2 * len(readers))]
    found = Counter(
        conn.execute("select pg_postmaster_start_time()::text, pg_is_in_recovery()").fetchone()
        for conn in conns
    )
    for conn in conns:
        conn.close()
    assert found == Counter(dict.fromkeys(own, 2))


def test_fifteen_readers_start_one_dies_one_is_deleted_and_the_writer_fails_over_under_load(
    runtime: Runtime, cluster: ClusterHandle
) -> None:
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create table t (client int, x int)")
    acknowledged: list[tuple[int, int]] = []
    stop = threading.Event()

    def client(number: int) -> None:
        x = 0
        while not stop.is_set():
            try:
                with cluster.connect(autocommit=True) as conn:
                    while not stop.is_set():
                        x += 1
                        conn.execute("insert into t values (%s, %s)", (number, x))
                        acknowledged.append((number, x))
            except psycopg.OperationalError:
                continue

    clients = [threading.Thread(target=client, args=(number,)) for number in range(2)]
    for each in clients:
        each.start()
    try:
        for number in range(15):
            runtime.create_db_instance(f"r{number}", db_cluster_identifier="notes")
        with pytest.raises(InstanceQuotaError, match="15 readers"):
            runtime.create_db_instance("r15", db_cluster_identifier="notes")
        zones = Counter(each.availability_zone for each in cluster.instances)
        assert sorted(zones.values()) == [5, 5, 6]
        wait_until(lambda: all_available(cluster), 120)
        endpoints_are_right(cluster)

        hosted = runtime._home.service.find(cluster.id)
        hosted.instances.readers["r3"].server._postmaster._process.kill()
        wait_until(lambda: not hosted.instances.readers["r3"].ready, 60)
        wait_until(lambda: all_available(cluster), 120)
        endpoints_are_right(cluster)

        runtime.delete_db_instance("r7")
        assert len(cluster.instances) == 15
        endpoints_are_right(cluster)

        runtime.modify_db_instance("r11", promotion_tier=0)
        hosted.instances.writer_server._postmaster._process.kill()
        wait_until(lambda: cluster.instances[0].db_instance_identifier == "r11", 60)
        wait_until(lambda: all_available(cluster), 180)
        endpoints_are_right(cluster)
    finally:
        stop.set()
        for each in clients:
            each.join()
    with cluster.connect() as conn:
        there = set(conn.execute("select client, x from t").fetchall())
    assert set(acknowledged) <= there


STEPS = [
    *(
        ("create", step)
        for step in ("Catalog.put_instance", "Reader.start", "lifecycle.open_instance_endpoint")
    ),
    *(
        ("delete", step)
        for step in (
            "Catalog.put_instance",
            "Reader.stop",
            "lifecycle.remove_files",
            "Catalog.remove_instance",
        )
    ),
    *(
        ("failover", step)
        for step in (
            "Writer.kill",
            "StorageVolume.fence",
            "Reader.promote",
            "Writer.take_over",
            "Catalog.put",
            "Writer.retire",
        )
    ),
]


@pytest.mark.parametrize(("workflow", "step"), STEPS)
def test_a_workflow_that_ends_with_its_host_is_finished_or_undone_by_the_next_start(
    state_dir: Path, workflow: str, step: str
) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(state_dir), workflow, step],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=SCRIPT.parents[3],
    )
    assert done.returncode == ENDED, done.stderr
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        cluster = runtime.cluster(CLUSTER)
        with cluster.connect(autocommit=True) as conn:
            assert conn.execute("select count(*) from t").fetchone() == (100,)
            conn.execute("insert into t values (101)")
        wait_until(lambda: all_available(cluster), 60)
        names = [each.db_instance_identifier for each in cluster.instances]
        hosted = runtime._home.service.find(cluster.id)
        places = {each.place for each in hosted.records.values()}
        left = {each.name for each in hosted.directory.iterdir() if each.name.startswith("db-")}
        if workflow == "failover":
            assert sorted(names) == [f"{CLUSTER}-instance-1", READER]
        else:
            assert names in ([f"{CLUSTER}-instance-1"], [f"{CLUSTER}-instance-1", READER])
        assert {name.removesuffix(".log") for name in left} <= places
        if READER not in names:
            runtime.create_db_instance(READER, db_cluster_identifier=CLUSTER)
        wait_until(lambda: all_available(cluster), 60)
        runtime.failover_db_cluster(CLUSTER)
        with cluster.connect() as conn:
            assert conn.execute("select count(*) from t").fetchone() == (101,)
