"""Where this process is in the hierarchies of cgroups, on the machines that there are."""

from pathlib import Path

import pytest

from cluster_runtime.serverless.enforcement.machine import Machine, bounded, this_machine
from cluster_runtime.serverless.enforcement.places import (
    CgroupPlaces,
    places_in,
    up_to_the_top,
)

BARE = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
UNIFIED = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
CONTAINER = (
    "900 880 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
    "901 880 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
)
ODD = r"30 23 0:26 / /mnt/my\040groups rw - cgroup2 cgroup2 rw" + "\n"


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "expected"),
    [
        (
            "9:name=systemd:/\n4:memory:/process/1\n2:cpuacct:/\n1:cpu:/\n0::/\n",
            BARE,
            ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/memory/process/1"),
        ),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/borealis.service\n",
            UNIFIED,
            (
                "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/"
                "borealis.service",
                None,
                None,
            ),
        ),
        (
            "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n",
            CONTAINER,
            (None, "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory"),
        ),
        # of another namespace: the mount shows its own root, whatever the path is called outside
        ("1:cpu,cpuacct:/\n", CONTAINER, (None, "/sys/fs/cgroup/cpu,cpuacct", None)),
        ("0::/\n", ODD, ("/mnt/my groups", None, None)),
        ("0::/a\n", "", (None, None, None)),
        ("", UNIFIED, (None, None, None)),
    ],
)
def test_a_process_finds_its_groups(
    cgroup: str, mountinfo: str, expected: tuple[str | None, ...]
) -> None:
    found = places_in(cgroup, mountinfo)
    paths = (found.v2, found.v1_cpu, found.v1_memory)
    assert paths == tuple(Path(each) if each is not None else None for each in expected)


def test_a_group_is_followed_up_to_what_is_mounted() -> None:
    top = Path("/sys/fs/cgroup")
    assert list(up_to_the_top(top / "a" / "b", (top,))) == [top / "a" / "b", top / "a", top]
    assert list(up_to_the_top(top, (top,))) == [top]


def test_the_tightest_limit_of_all_groups_is_the_machine(tmp_path: Path) -> None:
    """A fake tree: this machine may have neither version of cgroups."""
    inner = tmp_path / "two" / "outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("max 100000\n")
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "cpu.max").write_text("150000 100000\n")
    (inner.parent / "memory.max").write_text(f"{3 << 30}\n")
    places = CgroupPlaces(v2=inner, tops=(tmp_path / "two",))
    assert bounded(Machine(8.0, 64 << 30, 8), places) == Machine(1.5, 3 << 30, 8)

    cpu, memory = tmp_path / "cpu" / "a", tmp_path / "memory" / "a"
    cpu.mkdir(parents=True)
    memory.mkdir(parents=True)
    (cpu / "cpu.cfs_quota_us").write_text("50000\n")
    (cpu / "cpu.cfs_period_us").write_text("100000\n")
    (memory / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    first = CgroupPlaces(v1_cpu=cpu, v1_memory=memory, tops=(cpu.parent, memory.parent))
    assert bounded(Machine(8.0, 64 << 30, 8), first) == Machine(0.5, 64 << 30, 8)


def test_no_group_leaves_the_machine_as_it_is() -> None:
    assert bounded(Machine(2.0, 1 << 30, 2), CgroupPlaces()) == Machine(2.0, 1 << 30, 2)


def test_this_machine_has_something() -> None:
    machine = this_machine()
    assert 0 < machine.cores <= machine.cpus
    assert machine.memory_bytes > 1 << 28
