"""Numbers of clusters: one each, for the whole machine, given back when the cluster is gone."""

import os
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.system import os_users as module
from cluster_runtime.engine.system.os_users import (
    DEFAULT_RANGE,
    NUMBER_FILE,
    RANGE_VARIABLE,
    IdRange,
    OsUsers,
    end_processes_of,
    is_mapped,
)
from cluster_runtime.errors import EngineError

only_as_root = pytest.mark.skipif(os.geteuid() != 0, reason="users of their own need root")


def test_a_range_is_users_and_then_groups() -> None:
    ids = IdRange.parse("200000-200009")
    assert list(ids.users) == [200000, 200001, 200002, 200003, 200004]
    assert [ids.standby_group(uid) for uid in ids.users] == list(range(200005, 200010))
    assert IdRange.parse(str(DEFAULT_RANGE)) == DEFAULT_RANGE


@pytest.mark.parametrize(
    "text", ["", "5", "a-b", "200009-200000", "0-99", "999-2000", "-5", "2000-99999999999"]
)
def test_a_range_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(EngineError, match=RANGE_VARIABLE):
        IdRange.parse(text)


@pytest.mark.parametrize(
    ("id_map", "mapped"),
    [
        ("         0          0 4294967295\n", True),
        ("         0     100000      65536\n", False),
        ("0 1000 1\n1 100000 65536\n", False),
        ("0 1000 1\n1900000000 100000 131072\n", True),
        ("0 1000 1\n1900000000 100000 131071\n", False),
        ("", False),
    ],
)
def test_a_range_has_to_be_in_the_namespace(id_map: str, mapped: bool) -> None:
    assert is_mapped(DEFAULT_RANGE, id_map) == mapped


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RANGE_VARIABLE, "1900200000-1900200005")


@pytest.fixture
def users(engine_dir: Path, user: OsUser) -> OsUsers:
    return OsUsers.open(engine_dir, user)


def cluster_in(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    made.chmod(0o711)
    return made


@only_as_root
def test_a_cluster_keeps_its_number_and_a_second_host_knows_it(
    users: OsUsers, engine_dir: Path, user: OsUser
) -> None:
    cluster = cluster_in(engine_dir, "a")
    given = users.of(cluster)
    assert given.kind == "own"
    assert given.uid in DEFAULT_RANGE.users
    assert users.of(cluster) == given == OsUsers.open(engine_dir, user).of(cluster)
    assert users.of(cluster_in(engine_dir, "b")).uid != given.uid
    assert users.numbers_below(engine_dir) == {given.uid, users.of(engine_dir / "b").uid}


@only_as_root
def test_hosts_at_once_give_no_number_twice(engine_dir: Path, user: OsUser) -> None:
    clusters = [cluster_in(engine_dir, f"c{number}") for number in range(60)]
    registries = [OsUsers.open(engine_dir, user) for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        given = list(
            threads.map(lambda pair: registries[pair[0] % 4].of(pair[1]), enumerate(clusters))
        )
    assert len({each.uid for each in given}) == len(clusters)


@only_as_root
@pytest.mark.usefixtures("small")
def test_a_range_that_is_used_up_falls_back_and_says_so(engine_dir: Path, user: OsUser) -> None:
    users = OsUsers.open(engine_dir, user)
    clusters = [cluster_in(engine_dir, name) for name in "abc"]
    given = {users.of(cluster).uid for cluster in clusters}
    assert given == {1900200000, 1900200001, 1900200002}
    more = users.of(cluster_in(engine_dir, "d"))
    assert (more.kind, more.uid) == ("shared", user.uid)
    assert "1900200000-1900200005 are in use" in more.no_own

    uid = users.end_processes(clusters[1])
    shutil.rmtree(clusters[1])
    users.forget(clusters[1], uid)
    assert users.of(engine_dir / "d").uid == uid, "given back, and taken"


@only_as_root
@pytest.mark.usefixtures("small")
def test_the_number_of_a_cluster_that_other_hands_removed_is_found_again(
    engine_dir: Path, user: OsUser
) -> None:
    users = OsUsers.open(engine_dir, user)
    for name in "abc":
        users.of(cluster_in(engine_dir, name))
    shutil.rmtree(engine_dir / "b")
    assert users.of(cluster_in(engine_dir, "d")).kind == "own"


@only_as_root
@pytest.mark.usefixtures("small")
def test_a_user_that_the_machine_knows_is_never_taken(
    engine_dir: Path, user: OsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_is_somebody", lambda uid: uid != 1900200001)
    assert OsUsers.open(engine_dir, user).of(cluster_in(engine_dir, "a")).uid == 1900200001


@only_as_root
def test_a_range_outside_the_container_falls_back_and_says_so(
    engine_dir: Path, user: OsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_mapped", lambda ids, id_map: False)
    given = OsUsers.open(engine_dir, user).of(cluster_in(engine_dir, "a"))
    assert given.kind == "shared"
    assert "not mapped in this container" in given.no_own


@only_as_root
def test_the_range_is_recorded_and_a_named_one_takes_its_place(
    engine_dir: Path, user: OsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RANGE_VARIABLE, "300000-300099")
    assert OsUsers.open(engine_dir, user).ids == IdRange(300000, 300099)
    monkeypatch.delenv(RANGE_VARIABLE)
    users = OsUsers.open(engine_dir, user)
    assert users.ids == IdRange(300000, 300099)
    before = users.of(cluster_in(engine_dir, "a"))
    monkeypatch.setenv(RANGE_VARIABLE, "400000-400099")
    after = OsUsers.open(engine_dir, user).of(engine_dir / "a")
    assert (before.uid // 100000, after.uid // 100000) == (3, 4)


@only_as_root
@pytest.mark.parametrize("lost", ["link", "number", "link of another"])
def test_a_crash_or_a_copy_leaves_no_two_clusters_with_one_number(
    users: OsUsers, engine_dir: Path, lost: str
) -> None:
    first, second = cluster_in(engine_dir, "a"), cluster_in(engine_dir, "b")
    uid = users.of(first).uid
    match lost:
        case "link":
            (engine_dir / "os-users" / str(uid)).unlink()
            assert users.of(first).uid == uid
        case "number":
            (first / NUMBER_FILE).unlink()
        case "link of another":
            shutil.copyfile(first / NUMBER_FILE, second / NUMBER_FILE)
    assert users.of(first).uid != users.of(second).uid


@only_as_root
@pytest.mark.parametrize("text", ["0", "65534", "-1", "1900000000000", "x", "", "1000\n0"])
def test_a_number_that_was_tampered_with_is_not_believed(
    users: OsUsers, engine_dir: Path, text: str
) -> None:
    cluster = cluster_in(engine_dir, "a")
    (cluster / NUMBER_FILE).write_text(text)
    assert users.end_processes(cluster) is None
    assert users.of(cluster).uid in DEFAULT_RANGE.users


@only_as_root
def test_where_only_the_shared_user_comes_through_it_is_taken(
    users: OsUsers, engine_dir: Path, user: OsUser
) -> None:
    private = engine_dir / "private"
    private.mkdir(mode=0o700)
    user.own(private)
    given = users.of(cluster_in(private, "a"))
    assert given.kind == "shared"
    assert "can reach" in given.no_own


@only_as_root
def test_all_processes_of_a_number_are_ended_and_no_other(users: OsUsers, engine_dir: Path) -> None:
    mine, others = (users.of(cluster_in(engine_dir, name)) for name in "ab")
    ended, stays = (
        subprocess.Popen(["sleep", "60"], user=each.uid, group=each.uid, extra_groups=[])
        for each in (mine, others)
    )
    end_processes_of(mine.uid)
    assert ended.wait(60) == -signal.SIGKILL
    assert stays.poll() is None
    stays.kill()
    stays.wait()


@only_as_root
def test_what_a_copy_names_is_not_its_own(users: OsUsers, engine_dir: Path) -> None:
    """Nor is what a cluster's server wrote there: a host ends all processes of these numbers."""
    (engine_dir / "first").mkdir(mode=0o711)
    given = users.of(cluster_in(engine_dir / "first", "a"))
    shutil.copytree(engine_dir / "first", engine_dir / "second")
    lying = cluster_in(engine_dir / "second", "b")
    (lying / NUMBER_FILE).write_text("0\n")
    assert users.numbers_below(engine_dir / "first") == {given.uid}
    assert users.numbers_below(engine_dir / "second") == frozenset()


def test_a_host_that_is_not_root_gives_none(engine_dir: Path) -> None:
    me = OsUser("me", 1000, 1000, drops=False)
    given = OsUsers.open(engine_dir, me).of(engine_dir)
    assert given.kind == "host"
    assert not (engine_dir / "os-users").exists()
