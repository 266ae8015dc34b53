"""cgroup version 2, on a fake tree: no machine of ours has its controllers. Not the real kernel."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_runtime.serverless.enforcement.cgroup_v2 import HOSTS, CgroupV2
from cluster_runtime.serverless.enforcement.means import Share, UnavailableError
from tests.cluster_runtime.serverless.enforcement.fake_tree import FakeTree

GIB = 1 << 30
NAME = "borealis-0123"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTree:
    made = FakeTree(tmp_path / "cgroup")
    made.install(monkeypatch)
    return made


@pytest.fixture
def server() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a child, as a postmaster has backends."""
    code = "import subprocess, sys; subprocess.run(['sleep', '60'])"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    while not Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        assert process.poll() is None
    yield process
    os.killpg(process.pid, 9)
    process.wait()


def test_a_server_is_held_to_cpu_and_memory(
    tree: FakeTree, server: subprocess.Popen[bytes]
) -> None:
    means = CgroupV2(tree.root, NAME, 8.0, os.getpid())
    means.admit("c.writer", server.pid)
    group = tree.root / NAME / "c.writer"
    (child,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    assert (group / "cgroup.procs").read_text().split() == [str(server.pid), child]
    assert (group / "cpu.max").read_text() == "max 100000\n"

    found = means.hold("c.writer", server.pid, Share(0.25, 2 * GIB))
    assert (group / "cpu.max").read_text() == "25000 100000\n"
    assert (group / "memory.high").read_text() == f"{2 * GIB}\n"
    # Against others all servers count as the machine, and among them each by its share.
    assert (group / "cpu.weight").read_text() == "25\n"
    assert (group.parent / "cpu.weight").read_text() == "800\n"
    assert (found.cores, found.memory_high_bytes, found.gaps) == (0.25, 2 * GIB, ())
    assert means.hold("c.writer", server.pid, Share(8.0, 64 * GIB)).cores is None


def test_a_server_that_begins_again_has_all_until_it_is_held(
    tree: FakeTree, server: subprocess.Popen[bytes]
) -> None:
    means = CgroupV2(tree.root, NAME, 8.0, os.getpid())
    means.admit("c.writer", server.pid)
    means.hold("c.writer", server.pid, Share(0.125, GIB))
    means.admit("c.writer", server.pid)
    group = tree.root / NAME / "c.writer"
    assert (group / "cpu.max").read_text() == "max 100000\n"
    assert (group / "memory.high").read_text() == "max\n"


def test_a_host_alone_in_its_group_makes_room_for_groups_below(tree: FakeTree) -> None:
    own = tree.root / "app.service"
    tree.write(tree.root / "cgroup.subtree_control", "+cpu +memory")
    own.mkdir()
    tree.put(os.getpid(), own)
    CgroupV2(own, NAME, 2.0, os.getpid())
    assert (own / HOSTS / "cgroup.procs").read_text().split() == [str(os.getpid())]
    # The next one, of another state directory, is in that group already.
    CgroupV2(own / HOSTS, "borealis-4567", 2.0, os.getpid())
    assert (own / "borealis-4567").is_dir()


def test_processes_of_others_are_left_where_they_are(tree: FakeTree) -> None:
    tree.put(os.getpid(), tree.root)
    tree.put(1, tree.root)
    with pytest.raises(UnavailableError, match="other processes are in"):
        CgroupV2(tree.root, NAME, 2.0, os.getpid())
    assert set((tree.root / "cgroup.procs").read_text().split()) == {str(os.getpid()), "1"}
    assert not (tree.root / NAME).exists()


def test_without_the_controller_there_is_no_such_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = FakeTree(tmp_path / "bare", "hugetlb")
    tree.install(monkeypatch)
    with pytest.raises(UnavailableError, match="cpu is not handed down"):
        CgroupV2(tree.root, NAME, 2.0, os.getpid())
    with pytest.raises(UnavailableError, match="cannot be read"):
        CgroupV2(tmp_path / "nowhere", NAME, 2.0, os.getpid())


def test_without_the_controller_of_memory_that_is_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: subprocess.Popen[bytes]
) -> None:
    tree = FakeTree(tmp_path / "cpu", "cpu")
    tree.install(monkeypatch)
    means = CgroupV2(tree.root, NAME, 8.0, os.getpid())
    means.admit("c.writer", server.pid)
    found = means.hold("c.writer", server.pid, Share(0.5, GIB))
    assert (found.cores, found.memory_high_bytes) == (0.5, None)
    assert "memory" in found.gaps[0]


def test_groups_go_when_nobody_is_in_them(tree: FakeTree, server: subprocess.Popen[bytes]) -> None:
    means = CgroupV2(tree.root, NAME, 8.0, os.getpid())
    means.admit("c.writer", server.pid)
    assert not means.release("c.writer")
    means.close()
    assert means.known() == {"c.writer"}  # it runs
    tree.put(server.pid, tree.root)
    for child in (tree.root / NAME / "c.writer" / "cgroup.procs").read_text().split():
        tree.put(int(child), tree.root)
    means.close()
    assert not (tree.root / NAME).exists()
    assert means.release("c.writer")  # gone is gone
