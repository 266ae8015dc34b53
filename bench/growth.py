"""How large a volume becomes under updates that never end, and what coalescing costs.

A cluster of the product, nothing switched on by hand: clients update rows of a table that does not
grow, at a steady rate: an hour of ten commits a second in three minutes. What must hold:

* settled, the volume takes at most 4 times the database (three page images and the coalescer's
  directory) and what is bounded by name:
  - the log bound, six times: max(16 MiB, a third of the database), what a segment prepares ahead,
    and the file that the bound lies in;
  - the backtrack window, as clusters have it by default: a day, in at most max(256 MiB, four
    databases) of older images and of log, which is counted in all six segments;
* its peak is at most 8 times the database and these two;
* a lost data directory is back as soon at the end as it was at the start, within 1.5 times;
* commits are not slowed by more than 15 % while an image is made, measured in the same run.

    python bench/growth.py [--seconds 180] [--rows 20000] [--row-bytes 1500] [--commits 200]
"""

import argparse
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from report import show, write_json

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.storage.core.policy.coalescing import log_bound
from cluster_runtime.storage.core.policy.past import Window
from cluster_runtime.storage.core.sizes import SIZES

SETTLED_MAX, PEAK_MAX, REBUILD_MAX, SLOWED_MAX = 4.0, 8.0, 1.5, 1.15
SEGMENTS = 6
FILES_AHEAD = 3
"""A segment's log: the file that the oldest kept byte lies in, the newest, and one made ahead."""
LOG_BEFORE_REBUILD_BYTES = 12 << 20
CLUSTER = "growth"
MB = 1 << 20


@dataclass
class Samples:
    """sizes: bytes of the volume on the disk. busy, idle: seconds of each commit, while an image
    was being made and while none was.
    """

    sizes: list[int] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--row-bytes", type=int, default=1500)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--commits", type=float, default=200, help="of all clients, a second")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        with Runtime.open(folder / "state", warm_pool_size=0) as runtime:
            cluster = runtime.create_db_cluster(CLUSTER)
            figures = measure(runtime, cluster, folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = [
        ("database", f"{figures['database'] / MB:.0f} MB", ""),
        ("log written", f"{figures['log'] / MB:.0f} MB", ""),
        ("log bound, six times", f"{figures['bounded_log'] / MB:.0f} MB", ""),
        ("backtrack window, at most", f"{figures['window'] / MB:.0f} MB", ""),
        ("images made", f"{figures['images']:.0f}", ""),
        ("settled", ratio(figures["settled"]), f"{SETTLED_MAX:g}"),
        ("peak", ratio(figures["peak"]), f"{PEAK_MAX:g}"),
        ("rebuild, start", f"{figures['rebuild_start']:.2f} s", ""),
        ("rebuild, end", f"{figures['rebuild_end']:.2f} s", ""),
        ("rebuild", ratio(figures["rebuild"]), f"{REBUILD_MAX:g}"),
        ("commits", f"{figures['commits']:.0f}", ""),
        ("median commit, idle", f"{figures['commit_ms_idle']:.2f} ms", ""),
        ("median commit, coalescing", f"{figures['commit_ms_busy']:.2f} ms", ""),
        ("commits slowed", ratio(figures["slowed"]), f"{SLOWED_MAX:g}"),
    ]
    show("Growth under updates", ("what", "figure", "at most"), rows)
    held = (
        figures["settled"] <= SETTLED_MAX
        and figures["peak"] <= PEAK_MAX
        and figures["rebuild"] <= REBUILD_MAX
        and figures["slowed"] <= SLOWED_MAX
    )
    print("held" if held else "NOT held")
    write_json("growth", {**vars(options), **figures, "held": held})
    raise SystemExit(not held)


def measure(
    runtime: Runtime, cluster: ClusterHandle, folder: Path, options: argparse.Namespace
) -> dict[str, float]:
    volume = next(folder.glob("state/engine/clusters/*/volume"), None) or next(
        Path("/var/lib/borealis").glob(f"*/clusters/{cluster.id}/volume")
    )
    filler = "x" * (options.row_bytes - 40)
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create table rows (id int primary key, n int, filler text)")
        conn.execute("alter table rows alter filler set storage plain")
        conn.execute(
            "insert into rows select i, 0, %s from generate_series(1, %s) i",
            (filler, options.rows),
        )
    # Until the table has the dead rows that updates leave it with, and the volume has its images.
    load(runtime, cluster, volume, options, Samples(), options.seconds / 2)
    wait_until_settled(runtime)
    before = runtime.describe_volume(CLUSTER)
    rebuild_start = rebuilds(runtime, cluster)
    samples = Samples()
    load(runtime, cluster, volume, options, samples, options.seconds)
    wait_until_settled(runtime)
    settled = disk_bytes(volume)
    after = runtime.describe_volume(CLUSTER)
    rebuild_end = rebuilds(runtime, cluster)
    with cluster.connect() as conn:
        size = conn.execute("select sum(pg_database_size(oid)) from pg_database").fetchone()
    database = float(size[0])
    # Files are removed whole, so a file more may stay than the bound has.
    bounded_log = SEGMENTS * (log_bound(int(database)) + FILES_AHEAD * SIZES.file)
    window = Window().bytes_for(int(database))
    named = bounded_log + window
    idle, busy = statistics.median(samples.idle), statistics.median(samples.busy)
    return {
        "database": database,
        "log": float(after.vdl - before.vdl),
        "bounded_log": float(bounded_log),
        "window": float(window),
        "images": float(after.coalescing.images),
        "settled_bytes": float(settled),
        "peak_bytes": float(max(samples.sizes)),
        "settled": (settled - named) / database,
        "peak": (max(samples.sizes) - named) / database,
        "rebuild_start": rebuild_start,
        "rebuild_end": rebuild_end,
        "rebuild": rebuild_end / rebuild_start,
        "commits": float(len(samples.idle) + len(samples.busy)),
        "commit_ms_idle": idle * 1000,
        "commit_ms_busy": busy * 1000,
        "slowed": busy / idle,
    }


def load(
    runtime: Runtime,
    cluster: ClusterHandle,
    volume: Path,
    options: argparse.Namespace,
    samples: Samples,
    seconds: float,
) -> None:
    """Commits at a steady rate, so that a slower one does not make for fewer; each is timed."""
    ended = threading.Event()
    making = threading.Event()
    every_s = options.clients / options.commits

    def client(number: int) -> None:
        with cluster.connect(autocommit=True) as conn:
            due, count = time.monotonic(), 0
            while not ended.is_set():
                low = (count * 131 + number * 7919) % options.rows
                before, began = making.is_set(), time.perf_counter()
                conn.execute(
                    "update rows set n = n + 1 where id between %s and %s", (low, low + 19)
                )
                took = time.perf_counter() - began
                if making.is_set() is before:
                    (samples.busy if before else samples.idle).append(took)
                count += 1
                due = max(due + every_s, time.monotonic() - 1)
                ended.wait(max(0.0, due - time.monotonic()))

    clients = [threading.Thread(target=client, args=(each,)) for each in range(options.clients)]
    for each in clients:
        each.start()
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if runtime.describe_volume(CLUSTER).coalescing.running:
                making.set()
            else:
                making.clear()
            samples.sizes.append(disk_bytes(volume))
            time.sleep(0.3)
    finally:
        ended.set()
        for each in clients:
            each.join()


def rebuilds(runtime: Runtime, cluster: ClusterHandle) -> float:
    """The median of three rebuilds, each with the same log behind a new image."""
    took = []
    for _ in range(3):
        facts = runtime.describe_volume(CLUSTER)
        while (
            now := runtime.describe_volume(CLUSTER)
        ).coalescing.images == facts.coalescing.images:
            if (
                now.coalescing.running
                or now.log_bytes_since_image > facts.coalescing.log_bound_bytes
            ):
                time.sleep(0.05)  # so that little lies behind the image when it is made
            else:
                write_log(cluster, 4)
        wait_until_settled(runtime)
        while runtime.describe_volume(CLUSTER).log_bytes_since_image < LOG_BEFORE_REBUILD_BYTES:
            write_log(cluster, 2)
        took.append(rebuild(runtime, cluster))
    return statistics.median(took)


def write_log(cluster: ClusterHandle, megabytes: int) -> None:
    """Log that leaves the database as large as it was."""
    with cluster.connect(autocommit=True) as conn:
        conn.execute(
            "create table scratch as select repeat('x', 500) from generate_series(1, %s)",
            (megabytes * MB // 580,),
        )
        conn.execute("drop table scratch")


def rebuild(runtime: Runtime, cluster: ClusterHandle) -> float:
    """Seconds from the loss of the writer and its directory to the first commit after it."""
    runtime.lose_compute(CLUSTER)
    began = time.monotonic()
    with cluster.connect(autocommit=True) as conn:
        conn.execute("update rows set n = n + 1 where id = 1")
    return time.monotonic() - began


def wait_until_settled(runtime: Runtime) -> None:
    """Until the log since the last image is within its bound, and no image is being made."""
    while True:
        facts = runtime.describe_volume(CLUSTER)
        within = facts.log_bytes_since_image <= facts.coalescing.log_bound_bytes
        if within and not facts.coalescing.running:
            return
        time.sleep(0.2)


def disk_bytes(folder: Path) -> int:
    """What a folder takes on the disk; of several links to a file, one."""
    seen: dict[tuple[int, int], int] = {}
    for path in walk(folder):
        try:
            facts = os.lstat(path)
        except FileNotFoundError:
            continue
        seen[facts.st_dev, facts.st_ino] = facts.st_blocks * 512
    return sum(seen.values())


def walk(folder: Path) -> Iterator[str]:
    for root, _, names in os.walk(folder):
        for name in names:
            yield os.path.join(root, name)


def ratio(value: float) -> str:
    return f"{value:.2f}"


if __name__ == "__main__":
    try:
        main()
    except psycopg.Error as error:
        raise SystemExit(f"the load failed: {error}") from error
