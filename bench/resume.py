"""How long a paused cluster lets its clients wait: connect to first row.

The peer is the same connects to the same cluster while it runs, in the same round. Clients are
processes of their own, which have loaded their driver, hold a token and wait for the word. What
must hold: one client waits 120 ms in the median; of 50 at once, which one resume serves, the
slowest in a hundred waits no longer than 1.5 times the slowest in a hundred of those who meet it
running.

    python bench/resume.py [--rounds 15] [--clients 50] [--crowds 5] [--deep 5]
"""

import argparse
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg
from report import show, write_json

from cluster_runtime import ClusterHandle, Runtime

ONE_MS_MAX = 120
CROWD_RATIO_MAX = 1.5
RESUMED = "The DB cluster is resumed."
STATES = ("running", "paused")


def connect_and_ask(dsn: str) -> float:
    """Milliseconds from the connect to the first row."""
    began = time.perf_counter()
    with psycopg.connect(dsn) as conn:
        conn.execute("select count(*) from t").fetchone()
        return (time.perf_counter() - began) * 1000


def client(orders: Connection, word: "multiprocessing.synchronize.Barrier") -> None:
    """A process that connects whenever all of its crowd are ready to."""
    while (dsn := orders.recv()) is not None:
        word.wait()
        orders.send(connect_and_ask(dsn))


class Crowd:
    """Clients in processes of their own, who connect at the same moment."""

    def __init__(self, size: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._word = context.Barrier(size)
        self._orders, self._processes = [], []
        for _ in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=client, args=(theirs, self._word))
            process.start()
            self._orders.append(ours)
            self._processes.append(process)

    def connect(self, dsn: str) -> list[float]:
        """Milliseconds that each of them waited for its first row."""
        for each in self._orders:
            each.send(dsn)
        return [each.recv() for each in self._orders]

    def leave(self) -> None:
        """End them."""
        for each in self._orders:
            each.send(None)
        for process in self._processes:
            process.join()


@contextmanager
def crowd_of(size: int) -> Iterator[Crowd]:
    """Some clients for the time of a block."""
    crowd = Crowd(size)
    try:
        yield crowd
    finally:
        crowd.leave()


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them does not pass."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def in_turn(
    runtime: Runtime, cluster: ClusterHandle, crowd: Crowd, rounds: int, *, deep: bool = False
) -> dict[str, list[float]]:
    """Milliseconds of every client by what the cluster was, each round both."""
    took: dict[str, list[float]] = {state: [] for state in STATES}
    crowd.connect(cluster.dsn())  # their first connect loads what later ones have
    for _ in range(rounds):
        runtime.pause_db_cluster("bench", deep=deep)
        took["paused"] += crowd.connect(cluster.dsn())
        took["running"] += crowd.connect(cluster.dsn())
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--crowds", type=int, default=5)
    parser.add_argument("--deep", type=int, default=5)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="borealis-bench-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        with Runtime.open(folder / "state", warm_pool_size=0) as runtime:
            cluster = runtime.create_db_cluster("bench")
            with cluster.connect() as conn:
                conn.execute("create table t as select generate_series(1, 10000) as x")
            with crowd_of(1) as one:
                alone = in_turn(runtime, cluster, one, given.rounds)
                deep = in_turn(runtime, cluster, one, given.deep, deep=True)
            resumes = _resumes(runtime)
            with crowd_of(given.clients) as many:
                crowd = in_turn(runtime, cluster, many, given.crowds)
            resumes = _resumes(runtime) - resumes
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = [
        ("1 client, running", *_figures(alone["running"])),
        ("1 client, paused", *_figures(alone["paused"])),
        ("1 client, deep pause", *_figures(deep["paused"])),
        (f"{given.clients} clients, running", *_figures(crowd["running"])),
        (f"{given.clients} clients, paused", *_figures(crowd["paused"])),
    ]
    show("connect to first row, milliseconds", ["", "median", "p99", "max"], rows)
    ratio = percentile(crowd["paused"], 0.99) / percentile(crowd["running"], 0.99)
    median = statistics.median(alone["paused"])
    write_json(
        "resume",
        {
            "alone_ms": alone,
            "deep_ms": deep,
            "crowd_ms": crowd,
            "p99_ratio": ratio,
            "resumes": resumes,
            "crowds": given.crowds,
        },
    )
    print(f"p50 of one: {median:.0f} ms of {ONE_MS_MAX}: {_holds(median <= ONE_MS_MAX)}")
    print(f"p99 of {given.clients}: {ratio:.2f} of {CROWD_RATIO_MAX}: "
          f"{_holds(ratio <= CROWD_RATIO_MAX)}")  # fmt: skip
    print(f"resumes: {resumes} for {given.crowds} crowds: {_holds(resumes == given.crowds)}")


def _resumes(runtime: Runtime) -> int:
    return sum(each.message == RESUMED for each in runtime.describe_events("bench"))


def _figures(values: list[float]) -> tuple[float, float, float]:
    return statistics.median(values), percentile(values, 0.99), max(values)


def _holds(good: bool) -> str:
    return "holds" if good else "DOES NOT HOLD"


if __name__ == "__main__":
    main()
