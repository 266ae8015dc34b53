"""What keeps an idle cluster awake, and readers that pause and resume alone."""

import pytest

from cluster_runtime import ClusterHandle, Runtime, ServerlessScaling
from cluster_runtime.control.endpoints import _is_kept_awake
from cluster_runtime.control.monitoring.reader_pauses import ReaderPauses
from cluster_runtime.serverless.auto_pause import Activity
from tests.waiting import wait_until

SOON = ServerlessScaling(0, 8, 1)
NEVER_MIND = ServerlessScaling(0, 8, 86_400)


def events(runtime: Runtime, name: str) -> list[str]:
    return [each.message for each in runtime.describe_events(name)]


def is_kept_awake(runtime: Runtime, cluster: ClusterHandle) -> bool:
    """What the watch asks when the idle time is over."""
    service = runtime._home.service
    hosted = service.find(cluster.id)
    return runtime._home.thread.call(_is_kept_awake(service._runtime, hosted))


@pytest.fixture(scope="module")
def sub(shared_runtime: Runtime) -> ClusterHandle:
    """A cluster that nobody pauses meanwhile."""
    return shared_runtime.create_db_cluster(
        "subscriber", serverless_v2_scaling_configuration=NEVER_MIND
    )


def admin(runtime: Runtime, cluster: ClusterHandle, statement: str) -> None:
    """What the master user may not do himself."""
    hosted = runtime._home.service.find(cluster.id)
    runtime._home.thread.call(hosted.writer.execute(statement))  # type: ignore[arg-type]


def test_a_subscription_keeps_it_awake_until_it_is_disabled(
    shared_runtime: Runtime, sub: ClusterHandle
) -> None:
    assert not is_kept_awake(shared_runtime, sub)
    create = "create subscription s connection 'dbname=none' publication p with (connect=false"
    admin(shared_runtime, sub, f"{create}, enabled=false, slot_name=none)")
    assert not is_kept_awake(shared_runtime, sub), "it is not enabled"
    admin(shared_runtime, sub, "alter subscription s set (slot_name = 's')")
    admin(shared_runtime, sub, "alter subscription s enable")
    try:
        assert is_kept_awake(shared_runtime, sub)

        def told() -> list[str]:
            return [each for each in events(shared_runtime, "subscriber") if said in each]

        said = "does not pause: it has 1 subscriptions to logical replication"
        assert wait_until(told)
        assert is_kept_awake(shared_runtime, sub)
        # Its worker may be in a transaction at one of the looks, which is another reason.
        assert len(told()) == len(set(told()))
    finally:
        admin(shared_runtime, sub, "alter subscription s disable")
        admin(shared_runtime, sub, "alter subscription s set (slot_name = none)")
        admin(shared_runtime, sub, "drop subscription s")
    assert not is_kept_awake(shared_runtime, sub)


def test_vacuum_and_the_runtime_s_own_sessions_do_not(
    shared_runtime: Runtime, sub: ClusterHandle
) -> None:
    with sub.connect(autocommit=True) as conn:
        conn.execute("create table if not exists v as select generate_series(1, 1000) as x")
        conn.execute("vacuum (parallel 2) v")
        assert not is_kept_awake(shared_runtime, sub)


@pytest.mark.parametrize(
    ("activity", "said"),
    [
        (Activity(), ""),
        (Activity(logical_slots=1), "1 logical replication slots"),
        (
            Activity(2, 1, 3),
            "2 logical replication slots, 1 subscriptions to logical replication, "
            "3 background workers with a transaction",
        ),
    ],
)
def test_what_keeps_it_awake_is_said(activity: Activity, said: str) -> None:
    assert activity.keeps_awake == said


def status_of(runtime: Runtime, name: str) -> str:
    (found,) = runtime.describe_db_instances(db_instance_identifier=name)
    return found.db_instance_status.value


def test_a_reader_of_tier_2_pauses_alone_and_wakes_by_its_own_endpoint_and_the_readers(
    shared_runtime: Runtime,
) -> None:
    cluster = shared_runtime.create_db_cluster("alone", serverless_v2_scaling_configuration=SOON)
    reader = shared_runtime.create_db_instance(
        "alone-r", db_cluster_identifier="alone", promotion_tier=2
    )
    hosted = shared_runtime._home.service.find(cluster.id)
    name = reader.db_instance_identifier

    def sleeps() -> bool:
        return name in hosted.asleep and hosted.instances.readers[name].socket is None

    with cluster.connect() as conn:
        assert wait_until(sleeps)
        assert wait_until(
            lambda: f"The DB instance is paused: {name}" in events(shared_runtime, "alone")
        )
        assert hosted.writer.socket is not None
        assert status_of(shared_runtime, name) == "available"
        for endpoint in (name, "reader"):
            wait_until(sleeps)
            with cluster.connect(endpoint) as read:
                assert read.execute("select pg_is_in_recovery()").fetchone() == (True,)
                assert conn.execute("select 1").fetchone() == (1,)
            assert wait_until(lambda: name not in hosted.asleep)
    assert wait_until(lambda: hosted.writer.socket is None), "the cluster pauses as ever"
    with cluster.connect() as conn:
        assert conn.execute("select 1").fetchone() == (1,)
        assert name in hosted.asleep, "it does not wake with the writer"
        assert hosted.instances.readers[name].socket is None
    with cluster.connect(name) as read:
        assert read.execute("select pg_is_in_recovery()").fetchone() == (True,)


def test_a_reader_that_sleeps_wakes_once_its_tier_says_that_it_stays_with_the_writer(
    shared_runtime: Runtime,
) -> None:
    cluster = shared_runtime.create_db_cluster("moved", serverless_v2_scaling_configuration=SOON)
    name = shared_runtime.create_db_instance(
        "moved-r", db_cluster_identifier="moved", promotion_tier=2
    ).db_instance_identifier
    hosted = shared_runtime._home.service.find(cluster.id)
    with cluster.connect():
        assert wait_until(lambda: name in hosted.asleep)
        shared_runtime.modify_db_instance(name, promotion_tier=1)
        assert wait_until(lambda: hosted.instances.readers[name].ready)
        assert name not in hosted.asleep


def test_a_reader_of_tier_1_stays_with_the_writer(shared_runtime: Runtime) -> None:
    cluster = shared_runtime.create_db_cluster("with", serverless_v2_scaling_configuration=SOON)
    name = shared_runtime.create_db_instance(
        "with-r", db_cluster_identifier="with"
    ).db_instance_identifier
    hosted = shared_runtime._home.service.find(cluster.id)
    reader = hosted.instances.readers[name]
    with cluster.connect():
        assert wait_until(lambda: reader.ready)
        assert not ReaderPauses().are_due(hosted, name, reader, now=0)
        assert not ReaderPauses().are_due(hosted, name, reader, now=1e12)
    assert wait_until(lambda: hosted.writer.socket is None)
    with cluster.connect():
        assert wait_until(lambda: reader.ready), "it wakes with the writer"
