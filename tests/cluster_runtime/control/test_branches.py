"""Branches: clones of a cluster that is busy, paused or a clone itself, and their way back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest

from cluster_runtime import ClusterHandle, ClusterStatus, Runtime
from cluster_runtime.errors import (
    ClusterAlreadyExistsError,
    ClusterNotFoundError,
    InvalidParameterError,
    InvalidRestoreError,
)
from tests.cluster_runtime.conftest import connect_with_password
from tests.numbers import branch, read_at, rows, write
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("nothing_runs_on")


@pytest.fixture(scope="module")
def notes(shared_runtime: Runtime) -> ClusterHandle:
    made = shared_runtime.create_db_cluster("notes")
    write(made, 1, 2)
    return made


def test_a_branch_is_a_cluster_of_its_own_with_what_the_other_one_holds(
    shared_runtime: Runtime, notes: ClusterHandle
) -> None:
    made = branch(shared_runtime, "notes", "try")
    write(made, 3)
    assert rows(made) == [*rows(notes), 3]
    facts = made.describe()
    assert facts.status is ClusterStatus.AVAILABLE
    assert facts.branch_of == facts.clone_group_id == notes.id
    assert facts.port != notes.describe().port
    assert shared_runtime.describe_volume("try").volume_id != (
        shared_runtime.describe_volume("notes").volume_id
    )
    second = branch(shared_runtime, "try", "try-again")
    shared_runtime.delete_db_cluster("try")
    shared_runtime.lose_compute("try-again")
    assert rows(second) == [*rows(notes), 3]
    assert second.describe().clone_group_id == notes.id


def test_a_paused_cluster_is_cloned_and_stays_paused(
    shared_runtime: Runtime, notes: ClusterHandle
) -> None:
    expected = rows(notes)
    shared_runtime.pause_db_cluster("notes")
    made = branch(shared_runtime, "notes", "of-the-sleeping")
    assert notes.describe().paused
    assert rows(made) == expected
    write(notes, 50)
    assert rows(made) == expected


def test_a_stopped_cluster_is_cloned_too(shared_runtime: Runtime) -> None:
    source = shared_runtime.create_db_cluster("stopped")
    write(source, 7)
    shared_runtime.stop_db_cluster("stopped")
    assert rows(branch(shared_runtime, "stopped", "of-the-stopped")) == [7]


def test_ten_branches_at_once(shared_runtime: Runtime, notes: ClusterHandle) -> None:
    expected = rows(notes)
    with ThreadPoolExecutor(10) as pool:
        made = list(pool.map(lambda n: branch(shared_runtime, "notes", f"ten-{n}"), range(10)))
    for number, each in enumerate(made):
        write(each, 1000 + number)
    assert [rows(each) for each in made] == [[*expected, 1000 + n] for n in range(10)]
    assert rows(notes) == expected
    for each in made:
        shared_runtime.delete_db_cluster(each.identifier)


def test_a_branch_is_reset_to_the_present_of_its_source(
    shared_runtime: Runtime, notes: ClusterHandle
) -> None:
    made = branch(shared_runtime, "notes", "to-reset")
    port = made.describe().port
    write(made, 77)
    write(notes, 88)
    with made.connect(autocommit=True) as conn:
        shared_runtime.reset_branch("to-reset")
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    assert made.describe().port == port
    assert rows(made) == rows(notes)
    assert 88 in rows(made)
    write(made, 99)
    shared_runtime.reset_branch("to-reset")
    assert rows(made) == rows(notes)
    said = [each.message for each in shared_runtime.describe_events("to-reset")]
    assert said.count("Branch reset to the present of notes") == 2


def test_what_has_no_source_any_more_is_not_reset(shared_runtime: Runtime) -> None:
    source = shared_runtime.create_db_cluster("short-lived")
    write(source, 1)
    made = branch(shared_runtime, "short-lived", "orphan")
    with pytest.raises(InvalidRestoreError, match="is no branch of another one"):
        shared_runtime.reset_branch("short-lived")
    shared_runtime.delete_db_cluster("short-lived")
    with pytest.raises(InvalidRestoreError, match="was deleted"):
        shared_runtime.reset_branch("orphan")
    assert rows(made) == [1]


def test_settings_are_the_sources_unless_given(shared_runtime: Runtime) -> None:
    shared_runtime.create_db_cluster(
        "managed", master_username="boss", database_name="shop", manage_master_user_password=True
    )
    made = branch(shared_runtime, "managed", "managed-too", deletion_protection=True)
    facts = made.describe()
    assert (facts.master_username, facts.database_name) == ("boss", "shop")
    assert facts.deletion_protection
    theirs = shared_runtime.get_master_user_secret("managed").password
    own = shared_runtime.get_master_user_secret("managed-too").password
    assert own != theirs
    with connect_with_password(made, "boss", own, "shop") as conn:
        assert conn.execute("select current_user").fetchone() == ("boss",)
    shared_runtime.modify_db_cluster("managed-too", deletion_protection=False)


def test_what_cannot_be_made_is_refused_and_leaves_nothing(
    shared_runtime: Runtime, notes: ClusterHandle
) -> None:
    before = {each.db_cluster_identifier for each in shared_runtime.describe_db_clusters()}
    with pytest.raises(ClusterAlreadyExistsError):
        branch(shared_runtime, "notes", "notes")
    with pytest.raises(ClusterNotFoundError):
        branch(shared_runtime, "no-such", "new")
    with pytest.raises(InvalidParameterError, match="says which cluster to begin from"):
        shared_runtime.restore_db_cluster_to_point_in_time("new", use_latest_restorable_time=True)
    with pytest.raises(InvalidParameterError, match="give one of restore_to_time"):
        shared_runtime.restore_db_cluster_to_point_in_time("new", "notes")
    with pytest.raises(InvalidParameterError, match="is of the present"):
        shared_runtime.restore_db_cluster_to_point_in_time(
            "new", "notes", restore_type="copy-on-write", restore_to_time=datetime.now(UTC)
        )
    with pytest.raises(InvalidParameterError, match="names no time zone"):
        shared_runtime.restore_db_cluster_to_point_in_time(
            "new", "notes", restore_to_time=datetime(2026, 1, 1)
        )
    found = {each.db_cluster_identifier for each in shared_runtime.describe_db_clusters()}
    assert found == before


def test_a_clone_that_fails_on_its_way_leaves_neither_row_nor_directory(
    shared_runtime: Runtime, notes: ClusterHandle
) -> None:
    shared_runtime.inject_fault("notes", "az:a", "crash")
    shared_runtime.inject_fault("notes", "segment:b1", "crash")
    try:
        with pytest.raises(Exception, match="it takes 4 of every six"):
            branch(shared_runtime, "notes", "half")
    finally:
        shared_runtime.heal_fault("notes")
    with pytest.raises(ClusterNotFoundError):
        shared_runtime.cluster("half")
    # At once, and not only when somebody has had the volume opened again.
    made = branch(shared_runtime, "notes", "whole")
    shown = wait_until(lambda: read_at(notes, "writer"))  # who connects has the writer replaced
    assert rows(made) == shown
