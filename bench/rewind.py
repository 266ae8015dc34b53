"""How soon a cluster is back at what it was, and what keeping its past costs.

A database of pgbench's size takes transactions (100,000 by default) from several clients, with page
images made as they are due, in a window that has room for all of it; a restore point is made after
the first tenth of them. Then: rewind to it and to a time, to the first row behind; undo. Beside it,
in the same run: a rebuild of the same data directory from the volume. What must hold: 5 s for a
rewind, 2 s for an undo, commits' p99 not more than doubled while images are made. Printed too: disk
for each hour of window at this rate.

    python bench/rewind.py [--scale 68] [--transactions 100000]
"""

import argparse
import math
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from clone import ROWS_OF_SCALE_ONE, Load
from report import show, write_json

from cluster_runtime import ClusterHandle, Runtime

REWIND_S_MAX = 5.0
UNDO_S_MAX = 2.0
P99_TIMES_MAX = 2.0
MB = 1 << 20
WINDOW_BYTES = 64 << 30
"""Of the window: so that nothing falls out of it before it is asked for."""
NAME = "ledger"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=int, default=68)
    parser.add_argument("--transactions", type=int, default=100_000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        with Runtime.open(folder / "state", warm_pool_size=0) as runtime:
            figures = measure(runtime, folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = [
        ("rewind to a restore point, s", figures["rewind_s"], REWIND_S_MAX),
        ("rewind to a time, s", figures["by_time_s"], REWIND_S_MAX),
        ("undo, s", figures["undo_s"], UNDO_S_MAX),
        ("rebuild of the same, s", figures["rebuild_s"], ""),
        ("commits that went", figures["commits"], ""),
        ("commits' p99 without images, ms", figures["p99_quiet_ms"], ""),
        ("commits' p99 while images are made, ms", figures["p99_busy_ms"], ""),
        ("commits' p99, times", figures["p99_times"], P99_TIMES_MAX),
        ("disk for each hour of window, GB", figures["gb_an_hour"], ""),
        ("images made", figures["images"], ""),
        ("log behind the newest of them, MB", figures["log_mb"], ""),
    ]
    show("Rewind", ("what", "figure", "at most"), rows)
    held = (
        max(figures["rewind_s"], figures["by_time_s"]) <= REWIND_S_MAX
        and figures["undo_s"] <= UNDO_S_MAX
        and figures["p99_times"] <= P99_TIMES_MAX
    )
    print("held" if held else "NOT held")
    write_json("rewind", {**vars(options), **figures, "held": held})
    raise SystemExit(not held)


def measure(runtime: Runtime, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    cluster = runtime.create_db_cluster(NAME)
    runtime.modify_db_cluster(NAME, backtrack_bytes_max=WINDOW_BYTES)
    rows = options.scale * ROWS_OF_SCALE_ONE
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create table accounts (id int primary key, balance int, filler char(84))")
        for first in range(1, rows + 1, ROWS_OF_SCALE_ONE):
            conn.execute(
                "insert into accounts select i, 0, '' from generate_series(%s, %s) i",
                (first, min(rows, first + ROWS_OF_SCALE_ONE - 1)),
            )
    while runtime.describe_volume(NAME).coalescing.running:  # so that the load begins without it
        time.sleep(0.2)
    began, disk = time.time(), disk_bytes(folder)
    load = Load(cluster, rows)
    quiet: list[float] = []
    busy: list[float] = []
    made_point = False
    moment = 0.0
    try:
        while len(load.commits) < options.transactions:
            since, running = time.time(), runtime.describe_volume(NAME).coalescing.running
            time.sleep(0.5)
            still = runtime.describe_volume(NAME).coalescing.running
            if running == still:
                (busy if running else quiet).append(load.p99_ms(since, time.time()))
            if not made_point and len(load.commits) > options.transactions // 10:
                runtime.create_restore_point(NAME, "before")
                made_point, moment = True, time.time()
    finally:
        load.close()
    hours = (time.time() - began) / 3600
    grown = disk_bytes(folder) - disk
    volume = runtime.describe_volume(NAME)
    found = runtime.rewind(NAME, "before", dry_run=True)
    rewind_s = until_first_row(cluster, lambda: runtime.rewind(NAME, "before"))
    undo_s = until_first_row(cluster, lambda: runtime.undo_rewind(NAME))
    at = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(moment))
    by_time_s = until_first_row(cluster, lambda: runtime.rewind(NAME, at))
    runtime.undo_rewind(NAME)
    rebuild_s = until_first_row(cluster, lambda: runtime.lose_compute(NAME))
    # Without samples of both there is no ratio, and the bench says that it does not hold.
    p99_quiet, p99_busy = (statistics.median(each) if each else math.nan for each in (quiet, busy))
    return {
        "rewind_s": rewind_s,
        "by_time_s": by_time_s,
        "undo_s": undo_s,
        "rebuild_s": rebuild_s,
        "commits": float(found.commits),
        "p99_quiet_ms": p99_quiet,
        "p99_busy_ms": p99_busy,
        "p99_times": p99_busy / p99_quiet,
        "gb_an_hour": grown / (1 << 30) / hours,
        "images": float(volume.coalescing.images),
        "log_mb": volume.log_bytes_since_image / MB,
    }


def until_first_row(cluster: ClusterHandle, change: object) -> float:
    assert callable(change)
    began = time.perf_counter()
    change()
    with cluster.connect() as conn:
        conn.execute("select id from accounts limit 1").fetchone()
    return time.perf_counter() - began


def disk_bytes(folder: Path) -> int:
    """What the clusters take on the disk; a file with several names counts once."""
    seen: dict[int, int] = {}
    for root in (folder, *Path("/var/lib/borealis").glob("*/clusters")):
        for path in root.rglob("*"):
            try:
                status = path.lstat()
            except OSError:
                continue  # it went meanwhile
            seen[status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


if __name__ == "__main__":
    main()
