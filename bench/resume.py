"""How long a paused cluster lets its first client wait: connect to first row.

The peer is a connect to the same cluster while it runs. What must hold: 250 ms.

    python bench/resume.py [--rounds 15]
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from report import show, write_json

from cluster_runtime import ClusterHandle, Runtime

RESUME_MS_MAX = 250


def connect_and_ask(cluster: ClusterHandle) -> float:
    """Milliseconds from the connect to the first row."""
    began = time.perf_counter()
    with cluster.connect() as conn:
        conn.execute("select count(*) from t").fetchone()
        return (time.perf_counter() - began) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    folder = Path(tempfile.mkdtemp(prefix="borealis-bench-", dir="/tmp"))
    folder.chmod(0o711)
    took: dict[str, list[float]] = {"paused": [], "running": []}
    try:
        with Runtime.open(folder / "state", warm_pool_size=0) as runtime:
            cluster = runtime.create_db_cluster("bench")
            with cluster.connect() as conn:
                conn.execute("create table t as select generate_series(1, 10000) as x")
            for _ in range(rounds):
                runtime.pause_db_cluster("bench")
                took["paused"].append(connect_and_ask(cluster))
                took["running"].append(connect_and_ask(cluster))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    median = {state: statistics.median(values) for state, values in took.items()}
    show(
        "connect to first row, milliseconds",
        ["cluster", "median", "min", "max"],
        [(state, median[state], min(values), max(values)) for state, values in took.items()],
    )
    write_json("resume", {"rounds": rounds, "median_ms": median, "all_ms": took})
    print("holds" if median["paused"] <= RESUME_MS_MAX else "DOES NOT HOLD")


if __name__ == "__main__":
    main()
