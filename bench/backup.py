"""What continuous backup costs a busy cluster, and how long a restore takes.

Two clusters of the product in one host, one that is backed up and one that is not (its first image
is put off for good), take turns: clients update rows for some seconds each. What is compared is
commits per second and the CPU seconds of the host for each commit, as a ratio; the lag of
`LatestRestorableTime` is looked at meanwhile. At the end it is restored to a time between.

    python bench/backup.py [--rounds 5] [--seconds 6] [--clients 4]
"""

import argparse
import shutil
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from report import show, write_json

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.backup.core import pacing

ROWS = 10_000
ROW_BYTES = 400
COMMITS_MIN, LAG_MAX_S = 0.9, 5.0
NEVER_S = 10**9
AT_ONCE_S = pacing.FIRST_AFTER_S


@dataclass
class Round:
    """One cluster's turn. cpu: seconds of the host's own process for a thousand commits."""

    commits_per_s: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        with Runtime.open(folder / "state", warm_pool_size=0) as runtime:
            figures = measure(runtime, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = [
        ("commits a second, with backup", f"{figures['with']:.0f}", ""),
        ("commits a second, without", f"{figures['without']:.0f}", ""),
        ("ratio", f"{figures['ratio']:.2f}", f">= {COMMITS_MIN:g}"),
        ("host CPU for 1000 commits, with", f"{figures['cpu_with']:.2f} s", ""),
        ("host CPU for 1000 commits, without", f"{figures['cpu_without']:.2f} s", ""),
        ("lag of LatestRestorableTime, most", f"{figures['lag']:.1f} s", f"<= {LAG_MAX_S:g} s"),
        ("objects of log for a minute", f"{figures['objects_per_min']:.0f}", ""),
        ("log uploaded, of log written", f"{figures['uploaded']:.2f}", ""),
        ("restore to a time", f"{figures['restore']:.1f} s", ""),
    ]
    show("continuous backup", ("what", "measured", "bound"), rows)
    print(write_json("backup", figures))
    held = figures["ratio"] >= COMMITS_MIN and figures["lag"] <= LAG_MAX_S
    raise SystemExit(0 if held else 1)


def measure(runtime: Runtime, options: argparse.Namespace) -> dict[str, float]:
    pacing.FIRST_AFTER_S = NEVER_S
    without = filled(runtime.create_db_cluster("without"))
    pacing.FIRST_AFTER_S = AT_ONCE_S
    backed = filled(runtime.create_db_cluster("with"))
    while backed.describe().latest_restorable_time is None:
        time.sleep(0.1)
    pacing.FIRST_AFTER_S = NEVER_S  # and so it stays for the other one
    runs: dict[str, list[Round]] = {"with": [], "without": []}
    lags: list[float] = []
    middle = datetime.now(UTC)
    began = time.monotonic()
    before = runtime.describe_volume("with").vdl
    for number in range(options.rounds):
        turns = [("with", backed), ("without", without)]
        for name, cluster in turns if number % 2 else reversed(turns):
            looked = lags if name == "with" else []
            runs[name].append(turn(cluster, options.seconds, options.clients, looked))
        if number == options.rounds // 2:
            middle = datetime.now(UTC)
    minutes = (time.monotonic() - began) / 60
    time.sleep(pacing.UPLOAD_EVERY_S)
    log = runtime.describe_volume("with").vdl - before
    bucket = Path(runtime.describe_backup_store().location)
    pieces = list((bucket / "clusters" / backed.id).glob("*/log/*"))
    restored = time.monotonic()
    runtime.restore_db_cluster_to_point_in_time("restored", "with", restore_to_time=middle)
    restore_s = time.monotonic() - restored

    def median(name: str, figure: str) -> float:
        return statistics.median(getattr(each, figure) for each in runs[name])

    return {
        "with": median("with", "commits_per_s"),
        "without": median("without", "commits_per_s"),
        "ratio": median("with", "commits_per_s") / median("without", "commits_per_s"),
        "cpu_with": median("with", "cpu"),
        "cpu_without": median("without", "cpu"),
        "lag": max(lags),
        "objects_per_min": len(pieces) / minutes,
        "uploaded": sum(path.stat().st_size for path in pieces) / log,
        "restore": restore_s,
    }


def filled(cluster: ClusterHandle) -> ClusterHandle:
    with cluster.connect() as conn:
        conn.execute("create table t (id int primary key, n int, pad text)")
        conn.execute(
            "insert into t select i, 0, repeat(md5(i::text), %s) from generate_series(1, %s) i",
            (ROW_BYTES // 32, ROWS),
        )
    return cluster


def turn(cluster: ClusterHandle, seconds: float, clients: int, lags: list[float]) -> Round:
    """Update rows for some seconds with several clients; commits a second and CPU for them."""
    ends = time.monotonic() + seconds
    done = [0] * clients

    def update(number: int) -> None:
        with cluster.connect(autocommit=True) as conn:
            row = number
            while time.monotonic() < ends:
                row = (row * 48271 + 1) % ROWS
                conn.execute("update t set n = n + 1 where id = %s", (row + 1,))
                done[number] += 1

    host = psutil.Process()
    cpu = sum(host.cpu_times()[:2])
    threads = [threading.Thread(target=update, args=(number,)) for number in range(clients)]
    for each in threads:
        each.start()
    while time.monotonic() < ends:
        latest = cluster.describe().latest_restorable_time
        if latest is not None:
            lags.append((datetime.now(UTC) - latest).total_seconds())
        time.sleep(0.2)
    for each in threads:
        each.join()
    spent = sum(host.cpu_times()[:2]) - cpu
    return Round(sum(done) / seconds, 1000 * spent / max(1, sum(done)))


if __name__ == "__main__":
    main()
