"""Many paused clusters in one directory: what they cost their host, and how soon it answers.

The host runs in the background, as `borealis` starts it; calls come from a process attached to it.
What must hold: a list within 200 ms, a describe within 10 ms and any small call within 5 ms (p50);
a start of the host within 2 s; 20 kB of memory, no thread and no descriptor a paused cluster
beside the sockets that it is woken at: those of the writer, of the reader and of its one instance,
each on 127.0.0.1 and on ::1; `borealis list` and the completion of a name within 0.3 s; 45 MB of
disk a cluster.

    python bench/control.py [--clusters 200]
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from report import console, show, write_json

from cluster_runtime import Runtime, Tag

COMMAND = Path(sys.executable).with_name("borealis")
CALLS = 200
LISTS = 20
STARTS = 3
COMMANDS = 10
END_SECONDS_MAX = 60

LIST_MS_MAX = 200
DESCRIBE_MS_MAX = 10
CALL_MS_MAX = 5
START_SECONDS_MAX = 2
MEMORY_KB_MAX = 20
LISTENING_MAX = 0
"""Missed on purpose: users connect by port, so each endpoint keeps two (docs/control.md)."""
DISK_MB_MAX = 45
AT_ONCE = 32
"""Calls at a time, more than a host has threads for them."""
BURSTS_WITHOUT_A_NEW_THREAD = 5
COMMAND_SECONDS_MAX = 0.3


@dataclass(frozen=True, slots=True)
class Cost:
    """What the processes of a host use. memory: PSS, in bytes."""

    memory: int
    threads: int
    descriptors: int
    listening: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure, and the most that it may be."""

    what: str
    figure: float
    limit: float
    unit: str

    @property
    def holds(self) -> bool:
        """Whether it is within its limit."""
        return self.figure <= self.limit


def cost_of(pid: int) -> Cost:
    """What a host and its children use now."""
    host = psutil.Process(pid)
    processes = [host, *host.children(recursive=True)]
    return Cost(
        memory=sum(each.memory_full_info().pss for each in processes),
        threads=sum(each.num_threads() for each in processes),
        descriptors=sum(each.num_fds() for each in processes),
        listening=sum(each.status == psutil.CONN_LISTEN for each in host.net_connections("tcp")),
    )


def settled_cost_of(pid: int) -> Cost:
    """The same once threads that come and go with an operation are gone."""
    lowest = cost_of(pid)
    for _ in range(20):
        time.sleep(0.1)
        now = cost_of(pid)
        lowest = min(lowest, now, key=lambda each: (each.threads, each.memory))
    return lowest


def p50_ms(call: Callable[[int], object], times: int) -> float:
    """The median of so many calls, in milliseconds; each is told its number."""
    took = []
    for number in range(times):
        began = time.perf_counter()
        call(number)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def open_host(state: Path) -> Runtime:
    """Attached to the host of a directory, which is started where there is none."""
    return Runtime.open(state, host="daemon", warm_pool_size=0)


def host_pid(runtime: Runtime) -> int:
    """The process that hosts."""
    return runtime.describe_host().process_id


def end_host(pid: int) -> None:
    """End a host in good order, and wait for that."""
    host = psutil.Process(pid)
    host.terminate()
    host.wait(END_SECONDS_MAX)


def have_all_threads(runtime: Runtime, name: str) -> None:
    """Have the host start the threads that it keeps for itself, by many calls at a time.

    Again and again until it starts none: it starts one only where all of them are busy.
    name: of a cluster whose events are asked for. Those of all clusters would take as much more
    memory for each cluster as there are answers under way, which is none of what a cluster costs.
    """
    host = psutil.Process(host_pid(runtime))
    most, since = 0, 0
    with ThreadPoolExecutor(AT_ONCE) as callers:
        while since < BURSTS_WITHOUT_A_NEW_THREAD:
            calls = [callers.submit(runtime.describe_events, name) for _ in range(4 * AT_ONCE)]
            for done in calls:
                done.result()
            threads = host.num_threads()
            most, since = max(most, threads), 0 if threads > most else since + 1


def with_one_cluster(folder: Path) -> Cost:
    """What a host that has just started uses with one paused cluster."""
    state = folder / "one"
    with open_host(state) as runtime:
        runtime.create_db_cluster("one")
        runtime.pause_db_cluster("one")
        pid = host_pid(runtime)
    end_host(pid)
    with open_host(state) as runtime:
        have_all_threads(runtime, "one")
        pid = host_pid(runtime)
        cost = settled_cost_of(pid)
    end_host(pid)
    return cost


def fill(state: Path, names: list[str]) -> tuple[Cost, Cost]:
    """Create and pause the clusters. What the host used before, and uses then.

    Before means: after a first cluster was created, paused and deleted, for the host itself loads
    what it needs for that.
    """
    with open_host(state) as runtime:
        pid = host_pid(runtime)
        runtime.create_db_cluster("first")
        runtime.pause_db_cluster("first")
        have_all_threads(runtime, "first")
        runtime.delete_db_cluster("first")
        before = settled_cost_of(pid)
        began = time.perf_counter()
        for number, name in enumerate(names, 1):
            runtime.create_db_cluster(name)
            runtime.pause_db_cluster(name)
            if number % 50 == 0:
                console.print(f"{number} clusters in {time.perf_counter() - began:.0f} s")
        after = settled_cost_of(pid)
    end_host(pid)
    return before, after


def starts(state: Path, name: str) -> tuple[float, Cost]:
    """Seconds that the start of the host takes a program that attaches; and what it then uses."""
    took = []
    for _ in range(STARTS):
        began = time.perf_counter()
        with open_host(state) as runtime:
            took.append(time.perf_counter() - began)
            pid = host_pid(runtime)
            have_all_threads(runtime, name)
            cost = settled_cost_of(pid)
        end_host(pid)
    return statistics.median(took), cost


def calls(state: Path, names: list[str]) -> dict[str, float]:
    """The p50 of each kind of call in milliseconds, from a process attached to the host."""
    with open_host(state) as runtime:
        arns = [each.db_cluster_arn for each in runtime.describe_db_clusters()]

        def name(number: int) -> str:
            return names[number % len(names)]

        def resource(number: int) -> str:
            return arns[number % len(arns)]

        return {
            "list": p50_ms(lambda _: runtime.describe_db_clusters(), LISTS),
            "describe": p50_ms(lambda at: runtime.describe_db_clusters(name(at)), CALLS),
            "call: instances of a cluster": p50_ms(
                lambda at: runtime.describe_db_instances(db_cluster_identifier=name(at)), CALLS
            ),
            "call: parameter groups": p50_ms(
                lambda _: runtime.describe_db_cluster_parameter_groups(), CALLS
            ),
            "call: events of a cluster": p50_ms(
                lambda at: runtime.describe_events(name(at)), CALLS
            ),
            "call: add a tag": p50_ms(
                lambda at: runtime.add_tags_to_resource(resource(at), [Tag("round", str(at))]),
                CALLS,
            ),
            "call: tags": p50_ms(lambda at: runtime.list_tags_for_resource(resource(at)), CALLS),
        }


def commands(state: Path, names: list[str]) -> dict[str, float]:
    """The median wall time of commands in seconds, with a host running."""
    environment = os.environ | {"BOREALIS_STATE_DIR": str(state), "COLUMNS": "120"}
    completing = environment | {
        "_BOREALIS_COMPLETE": "complete_bash",
        "COMP_WORDS": f"borealis describe {names[-1][:-1]}",
        "COMP_CWORD": "2",
    }

    def run(arguments: list[str], env: dict[str, str], expected: str) -> float:
        took = []
        for _ in range(COMMANDS):
            began = time.perf_counter()
            done = subprocess.run(
                [COMMAND, *arguments], env=env, check=True, capture_output=True, text=True
            )
            took.append(time.perf_counter() - began)
            assert expected in done.stdout, done.stdout + done.stderr
        return statistics.median(took)

    with open_host(state):
        return {
            "borealis list": run(["list"], environment, names[-1]),
            "TAB behind borealis describe": run([], completing, names[-1]),
        }


def each(cost: Cost, base: Cost, count: int) -> dict[str, float]:
    """What one of so many clusters adds to a cost."""
    return {
        "memory_kb": (cost.memory - base.memory) / count / 1000,
        "threads": (cost.threads - base.threads) / count,
        "descriptors": (cost.descriptors - base.descriptors) / count,
        "listening": (cost.listening - base.listening) / count,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clusters", type=int, default=200)
    count = parser.parse_args().clusters
    names = [f"paused-{number:04}" for number in range(count)]
    folder = Path(tempfile.mkdtemp(prefix="borealis-bench-", dir="/tmp"))
    folder.chmod(0o711)
    state = folder / "state"
    try:
        one = with_one_cluster(folder)
        before, after = fill(state, names)
        start_seconds, restarted = starts(state, names[0])
        with open_host(state) as runtime:
            pid = host_pid(runtime)
        p50 = calls(state, names)
        seconds = commands(state, names)
        end_host(pid)
        size = sum(
            file.lstat().st_blocks * 512 for file in folder.rglob("*") if not file.is_symlink()
        )
    finally:
        end_hosts(folder)
        shutil.rmtree(folder, ignore_errors=True)
    created, brought_back = each(after, before, count), each(restarted, one, count - 1)
    findings = [
        Finding("list", p50["list"], LIST_MS_MAX, "ms"),
        Finding("describe", p50["describe"], DESCRIBE_MS_MAX, "ms"),
        *(
            Finding(name, figure, CALL_MS_MAX, "ms")
            for name, figure in p50.items()
            if name.startswith("call")
        ),
        Finding("start of the host", start_seconds, START_SECONDS_MAX, "s"),
        *(Finding(name, figure, COMMAND_SECONDS_MAX, "s") for name, figure in seconds.items()),
    ]
    for when, cost in (("created, paused", created), ("host restarted", brought_back)):
        findings += [
            Finding(f"memory a cluster, {when}", cost["memory_kb"], MEMORY_KB_MAX, "kB"),
            Finding(f"threads a cluster, {when}", cost["threads"], 0, ""),
            Finding(
                f"descriptors a cluster beside its listening sockets, {when}",
                cost["descriptors"] - cost["listening"],
                0,
                "",
            ),
            Finding(f"listening sockets a cluster, {when}", cost["listening"], LISTENING_MAX, ""),
        ]
    findings.append(Finding("disk a cluster", size / count / 1e6, DISK_MB_MAX, "MB"))
    show(
        f"a host with {count} paused clusters, {size / 1e9:.1f} GB",
        ["what", "figure", "at most", "unit", "holds"],
        [
            (one.what, one.figure, one.limit, one.unit, "yes" if one.holds else "NO")
            for one in findings
        ],
    )
    write_json(
        "control",
        {
            "clusters": count,
            "disk_bytes": size,
            "p50_ms": p50,
            "start_seconds": start_seconds,
            "command_seconds": seconds,
            "each_created": created,
            "each_brought_back": brought_back,
            "host": {
                "with_one": asdict(one),
                "before": asdict(before),
                "after": asdict(after),
                "restarted": asdict(restarted),
            },
        },
    )
    missed = [one.what for one in findings if not one.holds]
    print("holds" if not missed else f"DOES NOT HOLD: {', '.join(missed)}")


def end_hosts(folder: Path) -> None:
    """End what hosts directories of this run, where something went wrong on the way."""
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "cluster_runtime.host" in line and any(str(folder) in part for part in line):
            end_host(process.pid)


if __name__ == "__main__":
    main()
