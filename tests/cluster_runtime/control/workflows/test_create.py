"""CreateDBCluster: milliseconds to a real cluster, and nothing half-made."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime import ClusterHandle, ClusterStatus, Runtime, ServerlessScaling
from cluster_runtime.control.records.identifiers import check_identifier
from cluster_runtime.errors import (
    ClusterAlreadyExistsError,
    ClusterNotFoundError,
    EngineNotFoundError,
    InsufficientStorageError,
    InvalidParameterError,
    PortInUseError,
)
from tests.cluster_runtime.conftest import connect_with_password


def test_an_express_cluster_takes_connections_and_has_pgvector(cluster: ClusterHandle) -> None:
    with cluster.connect() as conn:
        assert conn.execute("select '[1,2]'::vector <-> '[1,3]'::vector").fetchone() == (1.0,)


def test_the_defaults_are_those_of_express_configuration(cluster: ClusterHandle) -> None:
    facts = cluster.describe()
    assert facts.status is ClusterStatus.AVAILABLE
    assert facts.scaling == ServerlessScaling(0, 16, 300)
    assert facts.require_tls
    assert facts.iam_database_authentication_enabled
    assert facts.internet_access_gateway_enabled
    assert facts.express_configuration


def test_the_server_is_set_up_as_promised(cluster: ClusterHandle) -> None:
    wanted = {
        "data_checksums": "on",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "listen_addresses": "",
        "password_encryption": "scram-sha-256",
    }
    with cluster.connect() as conn:
        for name, value in wanted.items():
            assert conn.execute("select current_setting(%s)", [name]).fetchone() == (value,), name
        row = conn.execute(
            "select datlocprovider, datlocale from pg_database where datname = 'postgres'"
        ).fetchone()
        assert row == ("b", "C.UTF-8")


def test_every_cluster_has_a_system_identifier_of_its_own(runtime: Runtime) -> None:
    identifiers = set()
    for name in ("one", "two"):
        with runtime.create_db_cluster(name).connect() as conn:
            identifiers.add(
                conn.execute("select system_identifier from pg_control_system()").fetchone()
            )
    assert len(identifiers) == 2


def test_another_master_user_database_password_and_port(runtime: Runtime) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cluster = runtime.create_db_cluster(
        "custom",
        master_username="captain",
        database_name="ship",
        master_user_password="correct-horse",
        port=port,
    )
    assert cluster.describe().port == port
    with cluster.connect() as conn:
        assert conn.execute("select current_user, current_database()").fetchone() == (
            "captain",
            "ship",
        )
        conn.execute("select '[1]'::vector")
    with connect_with_password(cluster, "captain", "correct-horse", "ship") as conn:
        assert conn.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("identifier", "why"),
    [
        ("", "1 to 63 characters"),
        ("x" * 64, "1 to 63 characters"),
        ("1notes", "begin with a letter"),
        ("-notes", "begin with a letter"),
        ("notes-", "end with a hyphen"),
        ("my--notes", "two in a row"),
        ("my_notes", "letters, digits and hyphens"),
        ("nötes", "letters, digits and hyphens"),
        ("../notes", "letters, digits and hyphens"),
    ],
)
def test_a_wrong_identifier_is_refused_with_the_rule_it_breaks(
    shared_runtime: Runtime, identifier: str, why: str
) -> None:
    with pytest.raises(InvalidParameterError, match=why):
        shared_runtime.create_db_cluster(identifier)
    assert shared_runtime.describe_db_clusters() == []


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,20}(-[A-Za-z0-9]{1,20}){0,2}", fullmatch=True))
def test_identifiers_within_the_rules_are_stored_in_lower_case(identifier: str) -> None:
    assert check_identifier(identifier) == identifier.lower()


@pytest.mark.parametrize(
    "options",
    [
        {"master_username": "rdsadmin"},
        {"master_username": "pg_monitor"},
        {"master_username": "borealis_reader"},
        {"master_username": 'x"; drop role y; --'},
        {"database_name": "template1"},
        {"database_name": "a b"},
        {"master_user_password": "short"},
        {"master_user_password": "with space and more"},
        {"port": 80},
        {"port": 70000},
        {"storage_type": "floppy"},
        {"with_express_configuration": False},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_value_outside_its_rules_is_refused(
    shared_runtime: Runtime, options: dict[str, object]
) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        shared_runtime.create_db_cluster("refused", **options)  # type: ignore[arg-type]
    assert "short" not in str(caught.value)
    assert shared_runtime.describe_db_clusters() == []


@pytest.mark.parametrize(
    ("minimum", "maximum", "seconds"), [(-1, 16, 300), (0.3, 16, 300), (4, 2, 300), (0, 16, 0)]
)
def test_a_scaling_range_outside_the_rules_is_refused(
    minimum: float, maximum: float, seconds: int
) -> None:
    with pytest.raises(InvalidParameterError):
        ServerlessScaling(minimum, maximum, seconds)


def test_an_identifier_is_taken_in_any_case_of_letters(
    runtime: Runtime, cluster: ClusterHandle
) -> None:
    with pytest.raises(ClusterAlreadyExistsError, match="'notes' exists already"):
        runtime.create_db_cluster("Notes")
    assert len(runtime.describe_db_clusters()) == 1


def test_an_unknown_cluster_is_answered_with_the_nearest(
    runtime: Runtime, cluster: ClusterHandle
) -> None:
    with pytest.raises(ClusterNotFoundError, match="did you mean 'notes'"):
        runtime.describe_db_clusters("noets")


def directories(state_dir: Path) -> list[Path]:
    return list((state_dir / "engine" / "clusters").iterdir())


def test_a_taken_port_leaves_nothing_behind(runtime: Runtime, state_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=str(port)):
            runtime.create_db_cluster("late", port=port)
    assert runtime.describe_db_clusters() == []
    assert directories(state_dir) == []
    runtime.create_db_cluster("late", port=port)


def test_an_unknown_engine_version_leaves_nothing_behind(runtime: Runtime, state_dir: Path) -> None:
    with pytest.raises(EngineNotFoundError, match=r"there are: .*18\."):
        runtime.create_db_cluster("old", engine_version="9.6")
    assert directories(state_dir) == []


def test_a_full_disk_leaves_nothing_behind(
    runtime: Runtime, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from cluster_runtime.engine.system import files

    copied = []

    def full_after_a_while(self: object, source: int, target: int, size: int) -> None:
        copied.append(size)
        if len(copied) > 100:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files._Copier, "__call__", full_after_a_while)
    with pytest.raises(InsufficientStorageError, match="free some space and try again"):
        runtime.create_db_cluster("large")
    assert runtime.describe_db_clusters() == []
    assert directories(state_dir) == []


async def test_the_same_operations_can_be_awaited(state_dir: Path) -> None:
    async with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        cluster = await runtime.create_db_cluster("notes")
        async with await cluster.aconnect() as conn:
            cursor = await conn.execute("select 1")
            assert await cursor.fetchone() == (1,)
        (facts,) = await runtime.describe_db_clusters()
        assert facts.db_cluster_identifier == "notes"
        await runtime.delete_db_cluster("notes")
        assert await runtime.describe_db_clusters() == []


def test_another_engine_version_stands_beside_the_default_one(runtime: Runtime) -> None:
    old = runtime.create_db_cluster("old", engine_version="16")
    new = runtime.create_db_cluster("new")
    assert old.describe().engine_version.startswith("16.")
    assert new.describe().engine_version.startswith("18.")
    with old.connect() as conn:
        assert conn.execute("select '[1,2]'::vector <-> '[1,3]'::vector").fetchone() == (1.0,)


def test_a_cluster_that_exists_is_returned_where_that_is_asked_for(runtime: Runtime) -> None:
    first = runtime.create_db_cluster("twice", if_not_exists=True, deletion_protection=True)
    again = runtime.create_db_cluster("Twice", if_not_exists=True)
    assert again.id == first.id
    assert again.describe().deletion_protection is True
    with pytest.raises(ClusterAlreadyExistsError):
        runtime.create_db_cluster("twice")
    runtime.modify_db_cluster("twice", deletion_protection=False)
    runtime.delete_db_cluster("twice")
    assert runtime.create_db_cluster("twice", if_not_exists=True).id != first.id


def test_all_who_ask_for_a_cluster_at_once_get_the_same_one(runtime: Runtime) -> None:
    with ThreadPoolExecutor(6) as together:
        asked = [
            together.submit(runtime.create_db_cluster, "shared", if_not_exists=True)
            for _ in range(6)
        ]
    assert len({each.result().id for each in asked}) == 1
    assert len(runtime.describe_db_clusters()) == 1
