"""A standby that is kept ready for the next branch of a cluster: cut off, it is the branch."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from cluster_runtime import ClusterHandle, Runtime, Tag
from cluster_runtime.control.servers.ahead import ReaderAhead
from cluster_runtime.control.servers.postgres import Reader
from cluster_runtime.errors import EngineError, InvalidParameterError
from cluster_runtime.storage.disk.filesystem import HOST_DISK, Disk
from tests.numbers import branch, rows, write
from tests.waiting import wait_until


def status(cluster: ClusterHandle) -> str:
    return cluster.describe().warm_branch_status


def until_ready(cluster: ClusterHandle) -> None:
    wait_until(lambda: status(cluster) == "ready")


def directories(runtime: Runtime) -> dict[str, Path]:
    """Of all clusters, those without a name among them."""
    state = Path(runtime.describe_host().state_directory)
    known = runtime.describe_db_clusters()[0].db_cluster_resource_id
    places = [state / "engine" / "clusters", *Path("/var/lib/borealis").glob("*/clusters")]
    place = next(each for each in places if (each / known).exists())
    return {each.name: each for each in place.iterdir()}


def ahead_of(runtime: Runtime) -> Path:
    """The directory of the only cluster without a name."""
    named = {each.db_cluster_resource_id for each in runtime.describe_db_clusters()}
    (found,) = (path for name, path in directories(runtime).items() if name not in named)
    return found


def ahead_among(runtime: Runtime, before: set[str]) -> Path:
    """The directory that was made since."""
    (found,) = (path for name, path in directories(runtime).items() if name not in before)
    return found


def postmaster_over(directory: Path) -> psutil.Process:
    pid = (directory / "data" / "postmaster.pid").read_text().splitlines()[0]
    return psutil.Process(int(pid))


@pytest.fixture(scope="module")
def notes(shared_runtime: Runtime) -> ClusterHandle:
    made = shared_runtime.create_db_cluster("notes", warm_branch=True)
    write(made, 1, 2)
    return made


@pytest.fixture
def ready(notes: ClusterHandle) -> ClusterHandle:
    until_ready(notes)
    return notes


@pytest.fixture
def no_other_way(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A branch is cut off, or there is none."""

    def lay_out(*_: object) -> None:
        raise AssertionError("a data directory was laid out")

    with monkeypatch.context() as patch:
        patch.setattr("cluster_runtime.storage.upkeep.branches.Branches.lay_out", lay_out)
        yield


@pytest.mark.usefixtures("no_other_way")
def test_the_standby_becomes_the_branch_and_another_one_is_kept(
    shared_runtime: Runtime, ready: ClusterHandle
) -> None:
    standby = ahead_of(shared_runtime)
    before = rows(ready)
    made = branch(shared_runtime, "notes", "try")
    assert made.id == standby.name
    write(ready, 3)
    write(made, 4)
    assert rows(made) == [*before, 4]
    assert rows(ready) == [*before, 3]
    facts = made.describe()
    assert facts.branch_of == ready.id
    assert (facts.warm_branch, facts.warm_branch_status) == (False, "off")
    until_ready(ready)
    second = branch(shared_runtime, "notes", "try-again")
    assert rows(second) == [*before, 3]
    for each in ("try", "try-again"):
        shared_runtime.delete_db_cluster(each)


def test_it_is_independent_of_its_source_and_comes_back_from_its_own_volume(
    shared_runtime: Runtime,
) -> None:
    source = shared_runtime.create_db_cluster("short-lived", warm_branch=True)
    write(source, 1)
    until_ready(source)
    made = branch(shared_runtime, "short-lived", "heir")
    shared_runtime.delete_db_cluster("short-lived")
    write(made, 2)
    shared_runtime.lose_compute("heir")
    assert rows(made) == [1, 2]
    shared_runtime.create_db_instance("heir-2", db_cluster_identifier="heir")
    shared_runtime.failover_db_cluster("heir", "heir-2")
    write(made, 3)
    twig = branch(shared_runtime, "heir", "twig")
    shared_runtime.pause_db_cluster("heir")
    assert rows(made) == rows(twig) == [1, 2, 3]
    for each in ("heir", "twig"):
        shared_runtime.delete_db_cluster(each)


@pytest.mark.usefixtures("no_other_way")
def test_a_branch_of_a_busy_cluster_has_what_was_acknowledged_and_nothing_else(
    shared_runtime: Runtime, ready: ClusterHandle
) -> None:
    acknowledged = [0]
    done = threading.Event()

    def go_on() -> None:
        with ready.connect(autocommit=True) as conn:
            conn.execute("create table count (x int)")
            while not done.is_set():
                conn.execute("insert into count values (%s)", (acknowledged[0] + 1,))
                acknowledged[0] += 1

    writing = threading.Thread(target=go_on)
    writing.start()
    try:
        for number in range(2):
            wait_until(lambda: acknowledged[0] > 20)
            until_ready(ready)
            before = acknowledged[0]
            made = branch(shared_runtime, "notes", f"busy-{number}")
            after = acknowledged[0] + 1
            with made.connect() as conn:
                found = [x for (x,) in conn.execute("select x from count order by x")]
            assert found == list(range(1, len(found) + 1))
            assert before <= len(found) <= after
            shared_runtime.delete_db_cluster(f"busy-{number}")
    finally:
        done.set()
        writing.join()


def test_it_runs_as_the_branchs_user_and_passes_to_nothing_of_its_sources(
    shared_runtime: Runtime, ready: ClusterHandle
) -> None:
    directory = ahead_of(shared_runtime)
    standby = postmaster_over(directory)
    writer = postmaster_over(directories(shared_runtime)[ready.id])
    if writer.uids().real != psutil.Process().uids().real:
        assert standby.uids() != writer.uids()
        assert standby.gids() != writer.gids()
    conninfo = (directory / "data" / "runtime.conf").read_text()
    (socket,) = (line for line in conninfo.splitlines() if line.startswith("primary_conninfo"))
    folder = Path(socket.partition("host=")[2].split()[0])
    assert (folder / ".s.PGSQL.5432").exists()
    made = branch(shared_runtime, "notes", "walled")
    assert not (folder / ".s.PGSQL.5432").exists()
    assert postmaster_over(directories(shared_runtime)[made.id]).uids() == standby.uids()
    with made.connect() as conn:
        assert conn.execute("show hot_standby_feedback").fetchone() == ("off",)
    shared_runtime.delete_db_cluster("walled")


def test_a_paused_cluster_has_no_process_and_keeps_one_again_once_it_is_awake(
    shared_runtime: Runtime, ready: ClusterHandle
) -> None:
    directory = ahead_of(shared_runtime)
    standby = postmaster_over(directory)
    holders = {each.name for each in shared_runtime.describe_volume("notes").holders}
    assert any(name.startswith("warm-branch") for name in holders)
    shared_runtime.pause_db_cluster("notes")
    assert status(ready) == "paused"
    assert not standby.is_running()
    assert not directory.exists()
    assert rows(ready)
    until_ready(ready)
    assert ahead_of(shared_runtime) != directory


@pytest.mark.parametrize("how", ["failover", "reboot", "rewind"])
def test_another_writer_has_another_standby(
    shared_runtime: Runtime, ready: ClusterHandle, how: str
) -> None:
    before, directory = rows(ready), ahead_of(shared_runtime)
    if how == "failover":
        shared_runtime.failover_db_cluster("notes")
    elif how == "reboot":
        shared_runtime.reboot_db_instance(ready.describe().writer_identifier)
    else:
        shared_runtime.create_restore_point("notes", "now")
        write(ready, 1000)
        shared_runtime.rewind("notes", "now")
    assert rows(ready) == before
    wait_until(lambda: not directory.exists())
    until_ready(ready)
    made = branch(shared_runtime, "notes", f"after-{how}")
    assert rows(made) == before
    shared_runtime.delete_db_cluster(f"after-{how}")


def test_one_that_ended_is_made_again_and_no_branch_waits_for_it(
    shared_runtime: Runtime, ready: ClusterHandle
) -> None:
    directory = ahead_of(shared_runtime)
    postmaster_over(directory).kill()
    made = branch(shared_runtime, "notes", "without")
    assert made.id != directory.name
    assert rows(made) == rows(ready)
    until_ready(ready)
    wait_until(lambda: not directory.exists())
    shared_runtime.delete_db_cluster("without")


@pytest.mark.parametrize("where", ["hold_back", "give", "promote"])
def test_one_that_becomes_no_writer_is_no_reason_to_make_no_branch(
    shared_runtime: Runtime, ready: ClusterHandle, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise EngineError("it does not")

    directory = ahead_of(shared_runtime)
    monkeypatch.setattr(Reader if where == "promote" else ReaderAhead, where, fail)
    remove, removed = type(HOST_DISK).remove_tree, list[bool]()

    def looked_at(disk: Disk, path: Path) -> None:
        """Nobody has the volume open that is removed."""
        runtime = shared_runtime._home.service._runtime
        for each in list(runtime.clusters.values()):
            if each.directory == directory and path.is_relative_to(directory):
                removed.append(each.instances.storage.opened is None)
        remove(disk, path)

    monkeypatch.setattr(type(HOST_DISK), "remove_tree", looked_at)
    made = branch(shared_runtime, "notes", "anyway")
    monkeypatch.undo()
    assert all(removed)
    assert removed or where == "hold_back"
    assert made.id != directory.name
    assert not directory.exists()
    assert rows(made) == rows(ready)
    shared_runtime.delete_db_cluster("anyway")
    until_ready(ready)


def test_of_several_at_once_one_gets_it(shared_runtime: Runtime, ready: ClusterHandle) -> None:
    directory = ahead_of(shared_runtime)
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda n: branch(shared_runtime, "notes", f"at-once-{n}"), range(3)))
    assert [each.id for each in made].count(directory.name) == 1
    assert [rows(each) for each in made] == [rows(ready)] * 3
    for each in made:
        shared_runtime.delete_db_cluster(each.identifier)


def test_who_asks_for_what_it_has_not_gets_a_branch_in_the_other_way(
    shared_runtime: Runtime, ready: ClusterHandle
) -> None:
    directory = ahead_of(shared_runtime)
    made = branch(shared_runtime, "notes", "at-rest", with_writer=False)
    assert made.id != directory.name
    shared_runtime.delete_db_cluster("at-rest")
    assert status(ready) == "ready"


def test_a_branch_that_may_not_be_leaves_nothing_of_the_standby(
    shared_runtime: Runtime, ready: ClusterHandle
) -> None:
    """It was taken for it already."""
    taken = ahead_of(shared_runtime)
    with pytest.raises(InvalidParameterError, match="at most 50 tags"):
        branch(shared_runtime, "notes", "too-much", tags=[Tag(f"key{n}") for n in range(51)])
    wait_until(lambda: not taken.exists())
    until_ready(ready)
    assert rows(branch(shared_runtime, "notes", "after-all")) == rows(ready)
    until_ready(ready)


def test_it_goes_once_nobody_wants_it_and_with_its_cluster(shared_runtime: Runtime) -> None:
    source = shared_runtime.create_db_cluster("fickle")
    assert status(source) == "off"
    shared_runtime.modify_db_cluster("fickle", warm_branch=True)
    assert status(source) in ("preparing", "ready")
    until_ready(source)
    there = set(directories(shared_runtime))
    shared_runtime.modify_db_cluster("fickle", warm_branch=False)
    assert status(source) == "off"
    (gone,) = there - set(directories(shared_runtime))
    said = [each.message for each in shared_runtime.describe_events("fickle")]
    assert "Finished applying modification to warm branch: off" in said
    holders = {each.name for each in shared_runtime.describe_volume("fickle").holders}
    assert not any(name.startswith("warm-branch") for name in holders)
    shared_runtime.modify_db_cluster("fickle", warm_branch=True)
    until_ready(source)
    assert gone not in directories(shared_runtime)
    standby = ahead_among(shared_runtime, there)
    shared_runtime.delete_db_cluster("fickle")
    assert not standby.exists()
