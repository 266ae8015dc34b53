"""How long clients wait for a writer that is killed: kill to the first commit through the gateway.

Clients write numbered rows through the cluster endpoint and try again where a connection ends; the
writer's processes are killed with SIGKILL round after round. Once with a reader, which takes over,
and once without, where the writer begins again from the volume. Every row whose commit returned
must be there at the end.

What must hold: p50 at most 1.0 s with a reader and 1.5 s without; no acknowledged row lost.

    python bench/failover.py [--rounds 100] [--clients 4] [--readers 1]
"""

import argparse
import math
import os
import shutil
import signal
import statistics
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
from report import show, write_json

from cluster_runtime import ClusterHandle, Runtime

WITH_READER_S_MAX, ALONE_S_MAX = 1.0, 1.5
SETTLED_S = 120.0


@dataclass
class Load:
    """Clients that write until they are told to stop, and what was acknowledged to them."""

    cluster: ClusterHandle
    clients: int
    dead_at: float = math.inf
    acknowledged: list[tuple[int, int]] = field(default_factory=list)
    first_commit_at: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self.threads = [
            threading.Thread(target=self._write, args=(number,)) for number in range(self.clients)
        ]
        for each in self.threads:
            each.start()

    def end(self) -> None:
        self.stop.set()
        for each in self.threads:
            each.join()

    def first_commit_after(self, moment: float) -> float:
        """When the first commit that began after a moment returned."""
        while self.first_commit_at < moment:
            time.sleep(0.001)
        return self.first_commit_at

    def _write(self, client: int) -> None:
        number = 0
        while not self.stop.is_set():
            try:
                with psycopg.connect(self.cluster.dsn(), autocommit=True) as conn:
                    while not self.stop.is_set():
                        began = time.monotonic()
                        number += 1
                        conn.execute("insert into written values (%s, %s)", (client, number))
                        self.acknowledged.append((client, number))
                        if began > self.dead_at > self.first_commit_at:
                            self.first_commit_at = time.monotonic()
            except psycopg.OperationalError:
                continue


def rounds_of(runtime: Runtime, name: str, readers: int, rounds: int, clients: int) -> list[float]:
    """Kill the writer that often; the seconds of each. Raises AssertionError for a lost row."""
    cluster = runtime.create_db_cluster(name)
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create table written (client int, number int)")
    for number in range(readers):
        runtime.create_db_instance(f"{name}-r{number}", db_cluster_identifier=name)
    load = Load(cluster, clients)
    load.start()
    took = []
    try:
        for _ in range(rounds):
            settle(runtime, cluster)
            pid = writer_pid(runtime, cluster)
            time.sleep(0.3)  # some commits between two kills
            load.dead_at = math.inf
            began = time.monotonic()
            kill_all_of(pid)
            load.dead_at = time.monotonic()
            took.append(load.first_commit_after(load.dead_at) - began)
    finally:
        load.end()
    with cluster.connect() as conn:
        there = set(conn.execute("select client, number from written").fetchall())
    lost = set(load.acknowledged) - there
    print(f"{name}: {len(load.acknowledged)} rows acknowledged, {len(lost)} lost")
    assert not lost, sorted(lost)[:10]
    runtime.delete_db_cluster(name)
    return took


def settle(runtime: Runtime, cluster: ClusterHandle) -> None:
    """Until every instance serves again."""
    instances = runtime._home.service.find(cluster.id).instances
    deadline = time.monotonic() + SETTLED_S
    while not all(each.ready for each in (instances.writer, *instances.readers.values())):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not settled: {cluster.instances}")
        time.sleep(0.02)


def kill_all_of(pid: int) -> None:
    """As the loss of its machine would: server processes that go on for a moment commit nothing."""
    children = psutil.Process(pid).children(recursive=True)
    for each in (pid, *(child.pid for child in children)):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def writer_pid(runtime: Runtime, cluster: ClusterHandle) -> int:
    """The process of the writer now."""
    hosted = runtime._home.service.find(cluster.id)
    while True:
        pid = hosted.instances.writer_server._postmaster.pid
        if pid is not None:
            return int(pid)
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--readers", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="borealis-bench-", dir="/tmp"))
    folder.chmod(0o711)
    took: dict[str, list[float]] = {}
    try:
        with Runtime.open(folder / "state", warm_pool_size=0) as runtime:
            for name, readers in (("reader", options.readers), ("alone", 0)):
                took[name] = rounds_of(runtime, name, readers, options.rounds, options.clients)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    p50 = {name: statistics.median(values) for name, values in took.items()}
    p99 = {name: sorted(values)[int(len(values) * 0.99)] for name, values in took.items()}
    show(
        "kill of the writer to the first commit, seconds",
        ["cluster", "rounds", "p50", "p99", "max"],
        [(name, len(values), p50[name], p99[name], max(values)) for name, values in took.items()],
    )
    write_json("failover", {**vars(options), "p50_s": p50, "p99_s": p99, "all_s": took, "lost": 0})
    held = p50["reader"] <= WITH_READER_S_MAX and p50["alone"] <= ALONE_S_MAX
    print("holds" if held else "DOES NOT HOLD")


if __name__ == "__main__":
    main()
