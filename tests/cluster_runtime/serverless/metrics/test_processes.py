"""What processes use, read of real ones."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from cluster_runtime.serverless.metrics import processes
from cluster_runtime.serverless.metrics.processes import ProcessMeter
from tests.waiting import wait_until

BUSY = "import time\nend=time.process_time()+{cpu}\nwhile time.process_time()<end: pass\n"
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
child.wait()
print("ended", flush=True)
sys.stdin.read()
"""
MIB = 1 << 20


@contextmanager
def running(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(params=["proc", "psutil"])
def meter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ProcessMeter:
    if request.param == "proc" and sys.platform != "linux":
        pytest.skip("no /proc")
    if request.param == "psutil":
        monkeypatch.setattr(processes.sys, "platform", "darwin")
    return ProcessMeter()


def test_cpu_of_children_counts_while_they_run_and_after_they_ended(meter: ProcessMeter) -> None:
    busy = BUSY.format(cpu=0.3)
    with running(PARENT, busy) as parent:
        seen = [0.0]

        def grows() -> bool:
            seen.append(meter.read([parent.pid])[parent.pid].cpu_seconds)
            return seen[-1] > 0.15

        wait_until(grows)
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ended\n"
        usage = meter.read([parent.pid])[parent.pid]
        assert usage.cpu_seconds >= 0.28
        assert usage.memory_bytes > MIB
        assert seen == sorted(seen)


def test_who_has_ended_has_no_usage(meter: ProcessMeter) -> None:
    with running("pass") as process:
        process.wait()
        gone = process.pid
    assert meter.read([gone]) == {}
    assert meter.read([]) == {}


ALLOCATES = """
import sys
print("begun", flush=True)
for line in sys.stdin:
    kept = bytearray(int(line))
    kept[::4096] = b"x" * len(kept[::4096])
    print("done", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_memory_that_is_taken_shows_at_once_though_pages_were_summed_before() -> None:
    meter = ProcessMeter()
    with running(ALLOCATES) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        before = meter.read([process.pid])[process.pid]
        assert before.shared_bytes is not None, "the pages were summed"
        process.stdin.write(f"{64 * MIB}\n")
        process.stdin.flush()
        process.stdout.readline()
        after = meter.read([process.pid])[process.pid]
        assert after.memory_bytes - before.memory_bytes == pytest.approx(64 * MIB, rel=0.05)
        exact = psutil.Process(process.pid).memory_full_info().pss
        assert after.memory_bytes == pytest.approx(exact, rel=0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_pages_are_summed_within_a_budget_and_who_waited_longest_is_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, cost, summed = [1000.0], [0.0], list[int]()

    def pages(family: tuple[int, ...]) -> tuple[int, int]:
        summed.append(family[0])
        cost[0] += 0.1
        return 10 * MIB, MIB

    monkeypatch.setattr(processes, "_pages", pages)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "thread_time", lambda: cost[0])
    meter = ProcessMeter()
    with running("input()") as one, running("input()") as two, running("input()") as three:
        every = [one.pid, two.pid, three.pid]
        for _ in range(60):
            meter.read(every)
            clock[0] += 1.0
    assert summed == every * 2, "0.1 s each, a hundredth of a core: one in ten seconds"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_who_has_ended_and_is_not_waited_for_yet_has_no_pages() -> None:
    """The kernel says that there is no such process, and not that there is no such file."""
    with running("pass") as process:
        found = psutil.Process(process.pid)
        wait_until(lambda: found.status() == psutil.STATUS_ZOMBIE)
        assert processes._pages([process.pid]) == (0, 0)
        ProcessMeter().read([process.pid])


def test_a_file_that_the_host_may_not_read_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: str, flags: int) -> int:
        raise PermissionError(path)

    monkeypatch.setattr(processes.os, "open", forbidden)
    assert processes._content("/proc/1/smaps_rollup") == b""
