"""Serverless capacity on real PostgreSQL: scaled each second, held, shared, and told."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime, ServerlessScaling
from cluster_runtime.engine.installation import find_installation
from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.serverless.capacity import InstanceCapacity
from cluster_runtime.serverless.enforcement.machine import own_places, this_machine
from cluster_runtime.serverless.enforcement.parameters import parameters_of_range
from tests.waiting import has_ended, wait_until

BURN = "select count(*) from generate_series(1, 400000) as g(x) where sqrt(x) < 0"
"""CPU, some tenths of a second of it, and nothing else."""
PASSWORD = "a-password-of-this-test"


def _has_cgroup() -> bool:
    place = own_places().v1_cpu
    return place is not None and os.access(place, os.W_OK)


HELD = "cgroup" if _has_cgroup() else "auto"
needs_cgroup = pytest.mark.skipif(not _has_cgroup(), reason="no cgroup of CPU to be had here")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A host whose ACU is a tenth of a core: load that fills it leaves room for the others."""
    state = tmp_path_factory.mktemp("state")
    with Runtime.open(state, warm_pool_size=0, cores_per_acu=0.1, enforcement=HELD) as opened:
        yield opened


@contextmanager
def load(cluster: ClusterHandle, sessions: int = 2) -> Iterator[list[psycopg.Connection[Any]]]:
    """Sessions that use all the CPU that they get, until the block ends; none may break."""
    over, broken = threading.Event(), list[BaseException]()
    connections = [cluster.connect(autocommit=True) for _ in range(sessions)]

    def burn(conn: psycopg.Connection[Any]) -> None:
        try:
            while not over.is_set():
                conn.execute(BURN)
        except psycopg.Error as error:
            broken.append(error)

    threads = [threading.Thread(target=burn, args=(each,)) for each in connections]
    for each in threads:
        each.start()
    try:
        yield connections
    finally:
        over.set()
        for each in threads:
            each.join()
        for conn in connections:
            conn.close()
    assert not broken


def now(cluster: ClusterHandle) -> InstanceCapacity:
    """The capacity of the writer, once it was measured."""

    def measured() -> InstanceCapacity | None:
        found = cluster.describe().serverless_capacity
        return found if found is not None and found.reason != "not measured yet" else None

    found = wait_until(measured)
    assert found is not None
    return found


def shown(cluster: ClusterHandle, *names: str) -> tuple[str, ...]:
    with cluster.connect(autocommit=True) as conn:
        rows = [conn.execute("select current_setting(%s)", (name,)).fetchone() for name in names]
    return tuple(row[0] for row in rows if row is not None)


def processes_of(cluster: ClusterHandle) -> list[psutil.Process]:
    """Its servers, wherever this host keeps them."""
    found = [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if (process.info["name"] or "").startswith("postgres")
        and cluster.id in (process.info["cwd"] or "")
    ]
    assert found
    return found


def test_pgbench_drives_a_small_cluster_up_and_it_comes_down_again_with_all_sessions(
    runtime: Runtime, tmp_path: Path
) -> None:
    cluster = runtime.create_db_cluster(
        "driven",
        serverless_v2_scaling_configuration=ServerlessScaling(0.5, 4),
        master_user_password=PASSWORD,
    )
    # The engine's own pgbench speaks no TLS.
    facts = runtime.modify_db_cluster("driven", require_tls=False)
    assert now(cluster).granted == 0.5
    script = tmp_path / "burn.sql"
    script.write_text("select sum(sqrt(x)) from generate_series(1, 20000) as g(x);\n")
    pgbench = find_installation().program("pgbench")
    with cluster.connect(autocommit=True) as kept:
        began = kept.execute("select pg_backend_pid()").fetchone()
        bench = subprocess.Popen(
            [
                *(pgbench, "-n", "-f", script, "-c", "2", "-T", "8"),
                *(
                    "-h",
                    "127.0.0.1",
                    "-p",
                    str(facts.port),
                    "-U",
                    facts.master_username,
                    "postgres",
                ),
            ],
            env=os.environ | {"PGPASSWORD": PASSWORD, "PGSSLMODE": "disable"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        began_at = time.monotonic()
        wait_until(lambda: cluster.describe().capacity > 0.5, 30)
        rose_after = time.monotonic() - began_at
        highest = wait_until(lambda: (found := now(cluster)).granted >= 2 and found.granted, 30)
        output, _ = bench.communicate(timeout=60)
        assert bench.returncode == 0, output
        wait_until(lambda: cluster.describe().capacity < highest, 60)
        assert kept.execute("select pg_backend_pid()").fetchone() == began
    # A tick is a second; the first second of the load is no whole one, and a client has to begin.
    assert rose_after < 4, rose_after
    messages = [each.message for each in runtime.describe_events("driven")]
    assert any("scaled from 0.5 to" in each for each in messages), messages


def test_what_a_cluster_has_is_told_with_what_holds_it(runtime: Runtime) -> None:
    cluster = runtime.create_db_cluster(
        "told", serverless_v2_scaling_configuration=ServerlessScaling(2, 2)
    )
    found = now(cluster)
    assert (found.granted, found.wanted) == (2, 2)
    facts = cluster.describe()
    assert facts.capacity == 2
    assert facts.serverless_v2_platform_version == "4"
    (instance,) = runtime.describe_db_instances(db_cluster_identifier="told")
    assert instance.serverless_capacity is not None
    assert instance.serverless_capacity.granted == 2
    machine = runtime.describe_host().machine_capacity
    assert machine is not None
    assert machine.granted >= 2
    assert machine.enforcement in ("cgroup v1", "cgroup v2") or machine.gaps
    if _has_cgroup():
        assert found.in_force.cores == pytest.approx(0.2)
    assert "work_mem=16384kB" in found.in_force.settings


def test_a_running_server_takes_its_parameters_and_a_tenants_own_prevail(
    runtime: Runtime,
) -> None:
    cluster = runtime.create_db_cluster(
        "tuned", serverless_v2_scaling_configuration=ServerlessScaling(0.5, 0.5 + 0.5)
    )
    now(cluster)
    names = ("work_mem", "io_workers", "max_parallel_workers_per_gather")
    wait_until(lambda: shown(cluster, *names) == ("4MB", "1", "0"))
    with cluster.connect(autocommit=True) as conn:
        conn.execute("alter role current_user set work_mem = '7MB'")
        conn.execute("alter database postgres set effective_cache_size = '3GB'")
        before = conn.execute("select pg_backend_pid()").fetchone()
        runtime.modify_db_cluster(
            "tuned", serverless_v2_scaling_configuration=ServerlessScaling(4, 4)
        )
        wait_until(lambda: now(cluster).granted == 4)
        assert conn.execute("select pg_backend_pid()").fetchone() == before
    wait_until(lambda: "work_mem=32768kB" in now(cluster).in_force.settings)
    assert shown(cluster, "work_mem", "effective_cache_size") == ("7MB", "3GB")


@needs_cgroup
def test_utilization_is_of_what_an_acu_brings_here(runtime: Runtime) -> None:
    cluster = runtime.create_db_cluster(
        "utilized", serverless_v2_scaling_configuration=ServerlessScaling(2, 2)
    )

    def used() -> float:
        (series,) = runtime.describe_metrics("utilized", metric_names=("CPUUtilization",), period=1)
        return max((each.maximum for each in series.datapoints), default=0.0)

    now(cluster)
    with load(cluster):
        assert wait_until(lambda: used() > 60, 90), "0.2 of a core are all that it has"


def test_another_range_takes_effect_while_it_runs(runtime: Runtime) -> None:
    cluster = runtime.create_db_cluster(
        "ranged", serverless_v2_scaling_configuration=ServerlessScaling(0.5, 4)
    )
    assert now(cluster).granted == 0.5
    for low, high, expected in ((3, 4, 3), (0.5, 1, 1)):
        runtime.modify_db_cluster(
            "ranged", serverless_v2_scaling_configuration=ServerlessScaling(low, high)
        )
        wait_until(lambda want=expected: cluster.describe().capacity == want)


def test_static_parameters_follow_the_maximum_from_the_next_start_on(runtime: Runtime) -> None:
    cluster = runtime.create_db_cluster(
        "static", serverless_v2_scaling_configuration=ServerlessScaling(1, 1)
    )
    expected = parameters_of_range(1, 1, this_machine().memory_bytes)
    assert shown(cluster, "max_connections") == ("100",)
    runtime.pause_db_cluster("static")
    assert shown(cluster, "max_connections") == (expected["max_connections"],)
    (instance,) = runtime.describe_db_instances(db_cluster_identifier="static")
    assert instance.db_cluster_parameter_group_status == "in-sync"


def test_two_busy_clusters_share_the_machine_by_their_minimums(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """An ACU is so little CPU that all of them together are to be had on a busy machine too."""
    state = tmp_path_factory.mktemp("shared")
    with Runtime.open(state, warm_pool_size=0, cores_per_acu=0.04, enforcement=HELD) as runtime:
        machine = runtime.describe_host().machine_capacity
        assert machine is not None
        total = machine.total
        scaling = ServerlessScaling(0.5, 256), ServerlessScaling(1.5, 256)
        small = runtime.create_db_cluster("small", serverless_v2_scaling_configuration=scaling[0])
        large = runtime.create_db_cluster("large", serverless_v2_scaling_configuration=scaling[1])

        def both() -> tuple[float, float]:
            found = now(small).granted, now(large).granted
            assert sum(found) <= total
            return found

        def by_the_rule() -> bool:
            one, other = both()
            return one + other == total and abs(other - 3 * one) <= 1.5

        assert both() == (0.5, 1.5)
        with load(small):
            wait_until(lambda: both()[0] > 0.5)
            with load(large):
                wait_until(by_the_rule, 90)
                assert "all clusters together have" in now(small).reason
        described = runtime.describe_host().machine_capacity
        assert described is not None
        assert described.granted <= described.total


@needs_cgroup
def test_groups_come_with_a_server_and_go_with_it(runtime: Runtime) -> None:
    cluster = runtime.create_db_cluster("grouped")
    now(cluster)
    group = _group_of(cluster)
    with cluster.connect(autocommit=True) as conn:
        row = conn.execute("select pg_backend_pid()").fetchone()
        assert row is not None
        assert str(row[0]) in (group / "cgroup.procs").read_text().split()
    runtime.pause_db_cluster("grouped")
    wait_until(lambda: not group.exists())
    with cluster.connect(autocommit=True) as conn:
        row = conn.execute("select pg_backend_pid()").fetchone()
        assert row is not None
        assert str(row[0]) in (group / "cgroup.procs").read_text().split()
    runtime.delete_db_cluster("grouped")
    wait_until(lambda: not group.exists())


@needs_cgroup
def test_a_host_that_ends_leaves_no_group(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Runtime.open(tmp_path_factory.mktemp("left"), warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("left")
        now(cluster)
        folder = _group_of(cluster).parent
        assert folder.is_dir()
    assert not folder.exists()


@needs_cgroup
def test_what_a_host_that_is_killed_leaves_goes_at_the_next_start(state_dir: Path) -> None:
    with Runtime.open(state_dir, host="daemon", warm_pool_size=0) as attached:
        cluster = attached.create_db_cluster("killed")
        wait_until(lambda: now(cluster).in_force.means.startswith("cgroup"))  # told by another
        group = _group_of(cluster)
        wait_until(group.is_dir)
        host = psutil.Process(attached.describe_host().process_id)
        servers = processes_of(cluster)
        host.kill()
        wait_until(lambda: has_ended(host))
    # From now on any host of the machine takes it away at its start.
    wait_until(lambda: all(has_ended(each) for each in servers))
    with Runtime.open(state_dir, host="process", warm_pool_size=0) as successor:
        wait_until(lambda: not group.exists())
        with successor.cluster("killed").connect() as conn:
            assert conn.execute("select 1").fetchone() == (1,)
        assert group.is_dir()
    assert not group.parent.exists()


@needs_cgroup
def test_by_default_what_lies_idle_is_taken_from_nobody(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with Runtime.open(tmp_path_factory.mktemp("idle"), warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("idle")
        held = now(cluster).in_force
        assert held.means.startswith("cgroup")
        assert held.cores is None
        assert any("while nobody else wants it" in gap for gap in held.gaps)
        group = _group_of(cluster)
        assert (group / "cpu.cfs_quota_us").read_text().strip() == "-1"
        assert (group / "cpu.shares").read_text().strip() == "128"
        with load(cluster):
            wait_until(lambda: now(cluster).wanted > 0.5)


def test_settings_hold_by_affinity_and_say_what_they_do_not(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    state = tmp_path_factory.mktemp("settings")
    with Runtime.open(state, warm_pool_size=0, enforcement="settings") as runtime:
        cluster = runtime.create_db_cluster("small")
        held = now(cluster).in_force
        assert held.cores is None
        assert (held.cpus, bool(held.settings)) == (1, True)
        assert any("only a cgroup bounds it" in gap for gap in held.gaps)
        for process in processes_of(cluster):
            with suppress(psutil.NoSuchProcess):  # a worker of its own that ended just now
                assert len(process.cpu_affinity()) == 1


def test_no_enforcement_leaves_servers_alone_and_says_so(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    state = tmp_path_factory.mktemp("none")
    with Runtime.open(state, warm_pool_size=0, enforcement="none") as runtime:
        cluster = runtime.create_db_cluster("free")
        held = now(cluster).in_force
        assert (held.means, held.cores, held.cpus, held.settings) == ("", None, None, ())
        assert held.gaps
        assert shown(cluster, "io_workers") == ("3",)


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("enforcement", "cgruop", "auto, cgroup, settings or none"),
        ("overcommit", 0.5, "from 1"),
        ("overcommit", float("nan"), "from 1"),
        ("cores_per_acu", 0.0, "more than 0"),
    ],
)
def test_options_that_are_none_are_refused(
    tmp_path: Path, option: str, value: Any, says: str
) -> None:
    with pytest.raises(InvalidParameterError, match=says):
        Runtime.open(tmp_path / "state", **{option: value})
    assert not (tmp_path / "state").exists()


@pytest.mark.long
def test_an_endpoint_takes_as_many_sessions_as_its_instance_does(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    state = tmp_path_factory.mktemp("many")
    with Runtime.open(state, warm_pool_size=0, enforcement="settings") as runtime:
        cluster = runtime.create_db_cluster(
            "many", serverless_v2_scaling_configuration=ServerlessScaling(1, 1)
        )
        runtime.pause_db_cluster("many")
        most = int(shown(cluster, "max_connections")[0]) - 10
        sessions = [cluster.connect(autocommit=True) for _ in range(most)]
        with pytest.raises(psycopg.OperationalError, match="too many"):
            cluster.connect()
        for each in sessions:
            each.close()


@needs_cgroup
@pytest.mark.long
def test_the_measured_share_of_cpu_follows_the_acu(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    state = tmp_path_factory.mktemp("measured")
    with Runtime.open(state, warm_pool_size=0, enforcement="cgroup") as runtime:
        cluster = runtime.create_db_cluster(
            "measured", serverless_v2_scaling_configuration=ServerlessScaling(1, 1)
        )
        found: list[tuple[float, float]] = []
        with load(cluster):
            # What others do on this machine is not what is measured.
            (_group_of(cluster).parent / "cpu.shares").write_text("262144")
            for acu in (1.0, 2.0, 4.0, 1.0):
                runtime.modify_db_cluster(
                    "measured", serverless_v2_scaling_configuration=ServerlessScaling(acu, acu)
                )
                wait_until(lambda want=acu: now(cluster).in_force.cores == want * 0.25)
                share = _measured(
                    cluster, lambda share, want=acu: abs(share / want - 0.25) < 0.0375
                )
                found.append((acu, share))
        for acu, share in found:
            assert share == pytest.approx(acu * 0.25, rel=0.15), found


def _measured(
    cluster: ClusterHandle, enough: Callable[[float], bool], seconds: float = 5.0
) -> float:
    """Cores that the servers used in some seconds; again, a few times, on a busy machine."""
    share = 0.0
    for _ in range(6):
        family = processes_of(cluster)
        before, began = _cpu(family), time.monotonic()
        wait_until(lambda since=began: time.monotonic() - since > seconds)
        share = (_cpu(family) - before) / (time.monotonic() - began)
        if enough(share):
            break
    return share


def _cpu(family: list[psutil.Process]) -> float:
    total = 0.0
    for each in family:
        if each.is_running():
            times = each.cpu_times()
            total += times.user + times.system
    return total


def _group_of(cluster: ClusterHandle) -> Path:
    place = own_places().v1_cpu
    assert place is not None
    found = list(place.glob(f"borealis-*/{cluster.id}.writer"))
    assert len(found) == 1
    return found[0]
