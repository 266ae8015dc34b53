"""A thousand paused clusters: what they cost their host, beside a host with one.

One cluster is made and paused; the others are rows of the catalog as its own, under other names, so
that a thousand take seconds and no space. The host runs in the background, as `borealis` starts it,
and has just begun. What must hold: 20 MB of memory (PSS) for all of them, no process, no thread,
and no descriptor beside the sockets that they are woken at.

    python bench/paused.py [--clusters 1000]
"""

import argparse
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from control import (
    Cost,
    end_host,
    end_hosts,
    have_all_threads,
    host_pid,
    open_host,
    settled_cost_of,
)
from report import show, write_json

MEMORY_MB_MAX = 20
NAME = "solo"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clusters", type=int, default=1000)
    count = parser.parse_args().clusters
    folder = Path(tempfile.mkdtemp(prefix="borealis-bench-", dir="/tmp"))
    folder.chmod(0o711)
    state = folder / "state"
    try:
        with open_host(state) as runtime:
            resource_id = runtime.create_db_cluster(NAME).id
            runtime.pause_db_cluster(NAME)
            pid = host_pid(runtime)
        end_host(pid)
        one, _ = begun(state)
        with closing(sqlite3.connect(state / "catalog.sqlite", isolation_level=None)) as catalog:
            add_copies(catalog, resource_id, count - 1)
        all_of_them, known = begun(state)
    finally:
        end_hosts(folder)
        shutil.rmtree(folder, ignore_errors=True)
    memory = (all_of_them.memory - one.memory) * count / (count - 1) / 1e6
    threads = all_of_them.threads - one.threads
    listening = all_of_them.listening - one.listening
    others = all_of_them.descriptors - one.descriptors - listening
    rows = [
        ("clusters", known, ""),
        ("memory of all, MB", memory, MEMORY_MB_MAX),
        ("memory of each, kB", memory * 1000 / count, MEMORY_MB_MAX),
        ("threads", threads, 0),
        ("descriptors beside listening sockets", others, 0),
        ("listening sockets", listening, ""),
    ]
    show("Paused clusters", ("what", "figure", "at most"), rows)
    held = known == count and memory <= MEMORY_MB_MAX and max(threads, others) <= 0
    print("held" if held else "NOT held")
    figures = {"memory_mb": memory, "threads": threads, "descriptors": others}
    write_json("paused", {"clusters": count, **figures, "listening": listening, "held": held})
    raise SystemExit(not held)


def begun(state: Path) -> tuple[Cost, int]:
    """What a host that has just begun uses, and how many clusters it has."""
    with open_host(state) as runtime:
        have_all_threads(runtime, NAME)
        pid = host_pid(runtime)
        cost = settled_cost_of(pid)
        known = len(runtime.describe_db_clusters())  # for which it takes memory of its own
    end_host(pid)
    return cost, known


def add_copies(catalog: sqlite3.Connection, resource_id: str, count: int) -> None:
    """Rows as a cluster's, under other names and with ports of their own."""
    for table, key in (("db_cluster", "resource_id"), ("db_instance", "cluster")):
        (row,) = catalog.execute(
            f"select * from {table} where {key} = ?", (resource_id,)
        ).fetchall()
        text = re.sub(r'port": *\d+', 'port": 0', "\x1f".join(map(str, row)))
        slots = ",".join("?" * len(row))
        for number in range(count):
            new = f"{resource_id[:-4]}{number:04}"
            made = text.replace(resource_id, new).replace(resource_id.lower(), new.lower())
            made = made.replace(NAME, f"{NAME}-{number}").replace('"db-', f'"db-{number:04}')
            catalog.execute(f"insert into {table} values ({slots})", made.split("\x1f"))


if __name__ == "__main__":
    main()
