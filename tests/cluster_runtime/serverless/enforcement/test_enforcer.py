"""What holds servers on this machine: the kernel's own cgroups of version 1, affinity, niceness."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.serverless.enforcement import affinity, enforcer
from cluster_runtime.serverless.enforcement.affinity import Affinity, cpus_for, niceness
from cluster_runtime.serverless.enforcement.cgroup_v1 import NO_QUOTA, CgroupV1, quota_us
from cluster_runtime.serverless.enforcement.enforcer import (
    NOTHING_HOLDS,
    Enforcer,
    cgroup_of,
    open_enforcer,
)
from cluster_runtime.serverless.enforcement.machine import Machine, own_places, this_machine
from cluster_runtime.serverless.enforcement.means import (
    InForce,
    Share,
    UnavailableError,
    describe,
)
from cluster_runtime.serverless.enforcement.places import CgroupPlaces
from tests.waiting import has_ended, wait_until

GIB = 1 << 30
BUSY = "import os\nos.fork()\nwhile True: pass"


def _v1() -> Path | None:
    place = own_places().v1_cpu
    return place if place is not None and os.access(place, os.W_OK) else None


needs_v1 = pytest.mark.skipif(_v1() is None, reason="no cgroup v1 of CPU that this user may write")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may lower niceness again")


@pytest.fixture
def busy() -> Iterator[psutil.Process]:
    """Two processes that would take two CPUs."""
    process = subprocess.Popen([sys.executable, "-c", BUSY], start_new_session=True)
    found = psutil.Process(process.pid)
    wait_until(found.children)
    yield found
    os.killpg(process.pid, 9)
    process.wait()


@pytest.fixture
def v1(tmp_path: Path) -> Iterator[CgroupV1]:
    place = _v1()
    assert place is not None
    means = CgroupV1(place, f"borealis-test-{tmp_path.name}-{os.getpid()}", 64.0)
    yield means
    wait_until(lambda: all(means.release(name) for name in means.known()))
    means.close()
    assert not (place / f"borealis-test-{tmp_path.name}-{os.getpid()}").exists()


@needs_v1
def test_a_running_server_and_its_children_get_their_share_of_cpu(
    v1: CgroupV1, busy: psutil.Process
) -> None:
    v1.admit("c.writer", busy.pid)
    found = v1.hold("c.writer", busy.pid, Share(0.2, GIB))
    assert found.cores == 0.2
    assert (v1.group_of("c.writer") / "cpu.shares").read_text() == "205\n"
    assert found.memory_high_bytes is None
    assert "memory" in found.gaps[0]
    counted = v1.stopped("c.writer")
    # A quota is the most: however busy the machine is, they never get more.
    before, began = _cpu_seconds(busy), time.monotonic()
    wait_until(lambda: _cpu_seconds(busy) - before > 0.3)
    assert (_cpu_seconds(busy) - before) / (time.monotonic() - began) < 0.26
    assert v1.stopped("c.writer").mostly_since(counted)
    assert v1.hold("c.writer", busy.pid, Share(64.0, GIB)).cores is None
    before, began = _cpu_seconds(busy), time.monotonic()
    wait_until(lambda: time.monotonic() - began > 1)
    assert (_cpu_seconds(busy) - before) / (time.monotonic() - began) > 0.26


@needs_v1
def test_a_server_that_starts_has_all_of_the_machine(v1: CgroupV1, busy: psutil.Process) -> None:
    v1.admit("c.writer", busy.pid)
    v1.hold("c.writer", busy.pid, Share(0.1, GIB))
    v1.admit("c.writer", busy.pid)
    group = v1.group_of("c.writer")
    assert (group / "cpu.cfs_quota_us").read_text().strip() == str(NO_QUOTA)
    assert set((group / "cgroup.procs").read_text().split()) == {
        str(busy.pid),
        *(str(child.pid) for child in busy.children()),
    }
    assert not v1.release("c.writer")


def test_who_bounds_nothing_has_nobody_waiting_to_be_looked_for() -> None:
    assert not Enforcer(None).bounds
    assert not Enforcer(Affinity((0, 1), privileged=True)).bounds


@needs_v1
@pytest.mark.parametrize("bounded", [True, False])
def test_groups_by_weight_alone_bound_nothing(tmp_path: Path, bounded: bool) -> None:
    place = _v1()
    assert place is not None
    means = CgroupV1(place, f"borealis-test-{os.getpid()}-{bounded}", 64.0, bounded=bounded)
    held = Enforcer(means)
    assert held.bounds is bounded
    held.close()


def test_a_quota_is_never_too_small_and_none_where_the_machine_has_no_more() -> None:
    assert quota_us(0.125, 2.0) == 12_500
    assert quota_us(0.0001, 2.0) == 1000
    assert quota_us(2.0, 2.0) == quota_us(9.0, 2.0) == NO_QUOTA


@needs_root
def test_a_smaller_share_is_nicer_and_has_fewer_cpus(busy: psutil.Process) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    means = Affinity(cpus, privileged=True)
    means.admit("c.writer", busy.pid)
    found = means.hold("c.writer", busy.pid, Share(0.125, GIB))
    everyone = [busy, *busy.children()]
    assert found.cpus == 1
    assert found.cores is None
    assert {each.nice() for each in everyone} == {found.nice} != {0}
    assert all(len(each.cpu_affinity()) == 1 for each in everyone)
    assert "only a cgroup bounds it" in found.gaps[0]
    again = means.hold("c.writer", busy.pid, Share(float(len(cpus)), GIB))
    assert (again.cpus, again.nice) == (len(cpus), 0)
    assert {each.nice() for each in everyone} == {0}


def test_who_may_not_take_niceness_back_never_gives_it(busy: psutil.Process) -> None:
    means = Affinity(sorted(os.sched_getaffinity(0)), privileged=False)
    means.admit("c.writer", busy.pid)
    found = means.hold("c.writer", busy.pid, Share(0.125, GIB))
    assert found.nice is None
    assert busy.nice() == psutil.Process().nice()
    assert any("niceness" in gap for gap in found.gaps)
    assert means.known() == {"c.writer"}
    assert means.release("c.writer")


def test_a_server_that_has_ended_is_not_said_to_be_held() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    means = Affinity([0], privileged=False)
    with pytest.raises(ProcessLookupError):
        means.admit("c.writer", process.pid)
    held = Enforcer(means).hold("c.writer", process.pid, Share(1.0, GIB))
    assert (held.cpus, held.means) == (None, "")
    assert "ended" in held.gaps[0]
    Enforcer(means).admit("c.writer", process.pid)  # a start goes on


def test_small_servers_are_spread_over_the_cpus() -> None:
    chosen = {cpus_for(f"c{number}.writer", 0.5, (0, 1, 2, 3)) for number in range(40)}
    assert chosen == {(0,), (1,), (2,), (3,)}
    assert cpus_for("c.writer", 2.5, (0, 1, 2, 3, 4))[2:] != ()
    assert len(cpus_for("c.writer", 2.5, (0, 1, 2, 3, 4))) == 3
    assert cpus_for("c.writer", 99.0, (4, 7)) == (4, 7)


def test_niceness_has_the_kernels_weights() -> None:
    assert niceness(4.0, 4) == 0
    assert niceness(2.0, 4) == 3  # 1.25 ** 3 is 1.95
    assert niceness(0.001, 64) == affinity.NICE_MAX
    assert niceness(8.0, 4) == 0


def test_nothing_is_pretended_where_nothing_holds(tmp_path: Path, busy: psutil.Process) -> None:
    off = open_enforcer("none", tmp_path, this_machine())
    off.admit("c.writer", busy.pid)
    assert off.hold("c.writer", busy.pid, Share(0.1, GIB)) == InForce(gaps=(NOTHING_HOLDS,))
    assert (off.name, off.sets_parameters) == ("none", False)
    assert len(busy.cpu_affinity()) == len(os.sched_getaffinity(0))
    off.keep_only(())
    off.close()


def test_asking_for_cgroups_where_there_are_none_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enforcer, "own_places", CgroupPlaces)
    with pytest.raises(InvalidParameterError, match="no cgroup can be had: this system has none"):
        open_enforcer("cgroup", tmp_path, Machine(2.0, GIB, 2))
    auto = open_enforcer("auto", tmp_path, Machine(2.0, GIB, 2))
    assert "affinity" in auto.name
    assert auto.gaps[0] == "cgroup: this system has none"


def test_a_folder_without_quota_is_no_means(tmp_path: Path) -> None:
    places = CgroupPlaces(v1_cpu=tmp_path, v2=tmp_path / "two")
    with pytest.raises(UnavailableError, match=r"version 2: .*; version 1: this kernel"):
        cgroup_of(tmp_path, Machine(2.0, GIB, 2), places)
    assert list(tmp_path.iterdir()) == []


@needs_v1
def test_what_a_killed_host_left_goes_at_the_next_start(tmp_path: Path) -> None:
    place, machine = _v1(), this_machine()
    assert place is not None
    killed = cgroup_of(tmp_path, machine, own_places())
    idle = subprocess.Popen(["sleep", "60"])
    killed.admit("lost.writer", idle.pid)
    idle.kill()
    idle.wait()
    other = cgroup_of(tmp_path / "other", machine, own_places())
    runs = subprocess.Popen(["sleep", "60"])
    other.admit("of-another.writer", runs.pid)

    successor = open_enforcer("cgroup", tmp_path, machine)
    wait_until(lambda: successor.keep_only(()) or killed.known() == frozenset())
    assert other.known() == {"of-another.writer"}
    successor.close()
    runs.kill()
    runs.wait()
    wait_until(lambda: other.release("of-another.writer"))
    other.close()


@needs_v1
def test_two_threads_that_hold_and_forget_agree(tmp_path: Path, busy: psutil.Process) -> None:
    held = open_enforcer("cgroup", tmp_path, Machine(64.0, GIB, 64))
    for cores in (0.5, 0.25, 0.25, 1.0):
        assert held.hold("c.writer", busy.pid, Share(cores, GIB)).cores == cores
        held.keep_only(("c.writer",))
        assert held.holds("c.writer", busy.pid)
    held.hold("c.writer", busy.pid, Share(0.1, GIB))
    held.waiting()
    wait_until(lambda: held.waiting() == {"c.writer"})
    held.let_go("c.writer", busy.pid)
    assert not held.holds("c.writer", busy.pid)
    held.let_go("c.writer", busy.pid)
    held.keep_only(())  # it runs: its group stays, for it would be free otherwise
    assert held.hold("c.writer", busy.pid, Share(0.5, GIB)).cores == 0.5
    busy.children()[0].kill()
    busy.kill()
    wait_until(lambda: has_ended(busy))
    wait_until(lambda: held.keep_only(()) or held.close() or _groups_of(tmp_path) == [])


def _groups_of(state_directory: Path) -> list[Path]:
    place = _v1()
    assert place is not None
    name = cgroup_of(state_directory, this_machine(), own_places())
    found = sorted(name.known())
    name.close()
    return [place / each for each in found]


def test_what_is_in_force_is_said_in_a_line() -> None:
    full = InForce("cgroup v2", 0.25, None, None, 2 * GIB, ("work_mem=4MB",))
    assert describe(full) == (
        "cgroup v2: at most 0.25 cores; memory.high 2 GiB; settings: work_mem=4MB"
    )
    assert describe(InForce("affinity and nice", cpus=1, nice=10)) == (
        "affinity and nice: on 1 CPU; nice 10"
    )
    assert describe(InForce()) == "nothing"


def _cpu_seconds(process: psutil.Process) -> float:
    times = [each.cpu_times() for each in (process, *process.children())]
    return sum(each.user + each.system for each in times)
