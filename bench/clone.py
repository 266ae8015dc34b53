"""How soon a branch answers, and what its source notices of it.

An express cluster's branch, create to first row, beside a cold create in the same rounds. Then a
database of pgbench's size under writes: branches one after the other and ten at once, the commits
of the source before and meanwhile, and beside it what a copy of the newest page image takes, with
the log since at 18 MB/s; at last the same with a warm branch kept ready. What must hold: the
durable part 50 ms; an express branch 100 ms; the large one no longer than its peer, and 400 ms with
a warm branch; the source's p99 not more than doubled: of all commits of the windows in which a
branch was made, and of as many as long just before each of them.

    python bench/clone.py [--scale 68] [--rounds 9] [--clones 9]
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from report import show, write_json

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.storage.upkeep.branches import Branches

DURABLE_MS_MAX = 50
EXPRESS_MS_MAX = 100
WARM_MS_MAX = 400
P99_TIMES_MAX = 2.0
REPLAY_MB_S = 18
MB = 1 << 20
ROWS_OF_SCALE_ONE = 100_000
CLIENTS = 4

LOAD = """
import json, os, random, sys, threading, time
import psycopg

rows, clients = int(sys.argv[1]), int(sys.argv[2])
say = threading.Lock()

def client():
    with psycopg.connect(os.environ["BENCH_DSN"], autocommit=True) as conn:
        while True:
            began = time.time()
            conn.execute("update accounts set balance = balance + 1 where id = %s",
                         (random.randint(1, rows),))
            with say:
                print(json.dumps([began, time.time() - began]), flush=True)

for _ in range(clients):
    threading.Thread(target=client, daemon=True).start()
sys.stdin.read()
os._exit(0)
"""


class Load:
    """Commits of a source, by a process of its own: when each began, and how long it took."""

    def __init__(self, cluster: ClusterHandle, rows: int) -> None:
        self.commits: list[tuple[float, float]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", LOAD, str(rows), str(CLIENTS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "BENCH_DSN": cluster.dsn()},
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            began, took = json.loads(line)
            self.commits.append((began, took))

    def took(self, since: float, until: float) -> list[float]:
        return [took for began, took in self.commits if since <= began <= until]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=int, default=68)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--clones", type=int, default=9)
    options = parser.parse_args()
    durable = timed_cuts()
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        with Runtime.open(folder / "state", warm_pool_size=0) as runtime:
            express, cold = express_branches(runtime, options.rounds)
            small = statistics.median(durable)
            durable.clear()
            large = large_branches(runtime, options)
            large["durable_ms"] = statistics.median(durable)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = [
        ("express: branch to first row, ms", express, EXPRESS_MS_MAX),
        ("express: cold create to first row, ms", cold, ""),
        ("express: durable part, ms", small, DURABLE_MS_MAX),
        (f"{large['gb']:.2f} GB: branch to first row, ms", large["first_row_ms"], large["peer_ms"]),
        ("  durable part, ms", large["durable_ms"], DURABLE_MS_MAX),
        ("  cp of the image, and the log since, ms", large["peer_ms"], ""),
        ("  commits' p99 before, ms", large["p99_before_ms"], ""),
        ("  commits' p99 meanwhile, ms", large["p99_meanwhile_ms"], ""),
        ("  commits' p99, times", large["p99_times"], P99_TIMES_MAX),
        ("  ten at once, s", large["ten_s"], ""),
        ("  warm: branch to first row, ms", large["warm_ms"], WARM_MS_MAX),
        ("  warm: commits' p99 meanwhile, times", large["warm_p99_times"], P99_TIMES_MAX),
        ("  warm: commits' p99 while one is kept, times", large["kept_p99_times"], ""),
    ]
    show("Branches", ("what", "figure", "at most"), rows)
    held = (
        express <= EXPRESS_MS_MAX
        and max(small, large["durable_ms"]) <= DURABLE_MS_MAX
        and large["first_row_ms"] <= large["peer_ms"]
        and max(large["p99_times"], large["warm_p99_times"]) <= P99_TIMES_MAX
        and large["warm_ms"] <= WARM_MS_MAX
    )
    print("held" if held else "NOT held")
    figures = {"express_ms": express, "cold_create_ms": cold, "express_durable_ms": small}
    write_json("clone", {**vars(options), **figures, **large, "held": held})
    raise SystemExit(not held)


def timed_cuts() -> list[float]:
    """How long each durable part took, in milliseconds, from now on."""
    found: list[float] = []
    cut = Branches._cut

    def timed(*arguments: Any) -> Any:
        began = time.perf_counter()
        made = cut(*arguments)
        found.append((time.perf_counter() - began) * 1000)
        return made

    Branches._cut = timed  # type: ignore[method-assign]
    return found


def branch(runtime: Runtime, source: str, name: str, query: str) -> float:
    """Seconds from the call to the first row."""
    began = time.perf_counter()
    made = runtime.restore_db_cluster_to_point_in_time(
        name, source, restore_type="copy-on-write", use_latest_restorable_time=True
    )
    with made.connect() as conn:
        conn.execute(query).fetchone()
    return time.perf_counter() - began


def express_branches(runtime: Runtime, rounds: int) -> tuple[float, float]:
    """Medians in milliseconds: of a branch, and of a cold create."""
    source = runtime.create_db_cluster("young")
    with source.connect(autocommit=True) as conn:
        conn.execute("create table t as select 1 as x")
    branches, creates = [], []
    for number in range(rounds + 1):
        took = branch(runtime, "young", "twig", "select x from t")
        time.sleep(0.5)  # until the next copy of the template is made ahead
        began = time.perf_counter()
        with runtime.create_db_cluster("cold").connect() as conn:
            conn.execute("select 1").fetchone()
        if number:  # nothing is made ahead for the first one
            branches.append(took * 1000)
            creates.append((time.perf_counter() - began) * 1000)
        for name in ("twig", "cold"):
            runtime.delete_db_cluster(name)
    return statistics.median(branches), statistics.median(creates)


def large_branches(runtime: Runtime, options: argparse.Namespace) -> dict[str, float]:
    source = runtime.create_db_cluster("large")
    rows = options.scale * ROWS_OF_SCALE_ONE
    with source.connect(autocommit=True) as conn:
        conn.execute("create table accounts (id int primary key, balance int, filler char(84))")
        for first in range(1, rows + 1, ROWS_OF_SCALE_ONE):
            conn.execute(
                "insert into accounts select i, 0, '' from generate_series(%s, %s) i",
                (first, min(rows, first + ROWS_OF_SCALE_ONE - 1)),
            )
    settled(runtime, "large")
    load = Load(source, rows)
    try:
        time.sleep(3)
        took, log = [], []
        commits = Commits([], [])
        for number in range(options.clones):
            settled(runtime, "large")
            log.append(runtime.describe_volume("large").log_bytes_since_image)
            quiet = quiet_window(load, took)
            began = time.time()
            took.append(branch(runtime, "large", f"b{number}", "select id from accounts limit 1"))
            commits.add(quiet, load.took(began, time.time()))
            runtime.delete_db_cluster(f"b{number}")
        volume = runtime.describe_volume("large")
        began_ten = time.perf_counter()
        with ThreadPoolExecutor(10) as pool:
            query = "select id from accounts limit 1"
            list(pool.map(lambda n: branch(runtime, "large", f"ten{n}", query), range(10)))
        ten = time.perf_counter() - began_ten
        for number in range(10):
            runtime.delete_db_cluster(f"ten{number}")
        warm = warm_branches(runtime, load, options.clones)
    finally:
        load.close()
    size = volume.bytes_used - volume.log_bytes_since_image
    peer = copied_s(runtime, source) + statistics.median(log) / MB / REPLAY_MB_S
    return {
        "gb": size / (1 << 30),
        "first_row_ms": statistics.median(took) * 1000,
        "peer_ms": peer * 1000,
        "p99_before_ms": p99_ms(commits.before),
        "p99_meanwhile_ms": p99_ms(commits.meanwhile),
        "p99_times": commits.times,
        "commits_meanwhile": len(commits.meanwhile),
        "ten_s": ten,
        "warm_ms": warm["first_row_ms"],
        "warm_p99_times": warm["p99_times"],
        "kept_p99_times": warm["kept_p99_ms"] / p99_ms(commits.before),
    }


@dataclass
class Commits:
    """How long commits took, in seconds: in windows with a branch, and just before each of them."""

    before: list[float]
    meanwhile: list[float]

    def add(self, before: list[float], meanwhile: list[float]) -> None:
        self.before += before
        self.meanwhile += meanwhile

    @property
    def times(self) -> float:
        return p99_ms(self.meanwhile) / p99_ms(self.before)


def p99_ms(took: list[float]) -> float:
    return sorted(took)[int(len(took) * 0.99)] * 1000 if took else math.nan


def quiet_window(load: Load, took: list[float]) -> list[float]:
    """The commits of a while in which no branch is made, as long as the last one took."""
    began = time.time()
    time.sleep(took[-1] if took else 2.0)
    return load.took(began, time.time())


def warm_branches(runtime: Runtime, load: Load, clones: int) -> dict[str, float]:
    """Medians, of branches that find a standby ready; p99 also while one only follows."""
    runtime.modify_db_cluster("large", warm_branch=True)
    took: list[float] = []
    kept: list[float] = []
    commits = Commits([], [])
    for number in range(clones):
        while runtime.cluster("large").describe().warm_branch_status != "ready":
            time.sleep(0.05)
        settled(runtime, "large")
        quiet = quiet_window(load, took)
        kept += quiet
        began = time.time()
        took.append(branch(runtime, "large", f"w{number}", "select id from accounts limit 1"))
        commits.add(quiet, load.took(began, time.time()))
        runtime.delete_db_cluster(f"w{number}")
    return {
        "first_row_ms": statistics.median(took) * 1000,
        "p99_times": commits.times,
        "kept_p99_ms": p99_ms(kept),
    }


def settled(runtime: Runtime, name: str) -> None:
    """Wait until no image is being made, and there is one."""
    while True:
        volume = runtime.describe_volume(name)
        waiting = volume.log_bytes_since_image > volume.coalescing.log_bound_bytes
        if not volume.coalescing.running and not waiting and volume.coalescing.images:
            return
        time.sleep(0.2)


def copied_s(runtime: Runtime, source: ClusterHandle) -> float:
    """Seconds that `cp` of the newest page image takes."""
    state = Path(runtime.describe_host().state_directory)
    places = [state / "engine" / "clusters", *Path("/var/lib/borealis").glob("*/clusters")]
    pages = next(
        each / source.id / "volume/az-a/a1/pages" for each in places if (each / source.id).exists()
    )
    image = max(pages.iterdir(), key=lambda each: each.name)
    target = pages.parent / "copy"
    began = time.perf_counter()
    subprocess.run(["cp", "-r", image, target], check=True)
    took = time.perf_counter() - began
    shutil.rmtree(target)
    return took


if __name__ == "__main__":
    main()
