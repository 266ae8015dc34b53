"""How far a reader is behind: from the return of a commit on the writer to its row on the reader.

The peer is PostgreSQL's own streaming standby, asynchronous, over a primary with a local fsync.
Both take turns, round by round, with the same load: some clients that together commit at a given
rate, each into a table of its own, and one session on the reader that looks at all of them again
and again. Load and watch run in processes of their own, on unix sockets, without a gateway.

What must hold at 500 transactions a second: p50 at most 10 ms, p99 at most 50 ms.

    python bench/replica_lag.py [--tps 500] [--seconds 10] [--rounds 3]
"""

import argparse
import multiprocessing
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from report import show, write_json

from cluster_runtime import Runtime
from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.control_file import new_system_identifier
from cluster_runtime.engine.home import shared_directory
from cluster_runtime.engine.installation import find_installation
from cluster_runtime.engine.postmaster import Postmaster, Shutdown, superuser_connection
from cluster_runtime.engine.sandbox.os_user import engine_user
from cluster_runtime.engine.system.files import copy_tree
from cluster_runtime.engine.template import ensure_template

P50_MS_MAX, P99_MS_MAX = 10.0, 50.0
CLIENTS = 4
SETTLE_S = 30.0
TRUSTED = "local all all trust\nlocal replication all trust\n"


@dataclass(frozen=True)
class Pair:
    """A writer and its reader, by conninfo."""

    writer: str
    reader: str


def conninfo(sockets: Path) -> str:
    return f"host={sockets} user={SUPERUSER} dbname=postgres"


@contextmanager
def borealis(folder: Path) -> Iterator[Pair]:
    with Runtime.open(folder / "state", warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("lag")
        runtime.create_db_instance("lag-r", db_cluster_identifier="lag")
        instances = runtime._home.service.find(cluster.id).instances
        yield Pair(
            conninfo(instances.writer.path.parent),
            conninfo(instances.readers["lag-r"].path.parent),
        )


@contextmanager
def streaming(folder: Path) -> Iterator[Pair]:
    """A plain primary with its own streaming standby."""
    user = engine_user()
    shared = shared_directory(user)
    template = ensure_template(find_installation().reachable_by(user, shared), user, shared)
    servers = []
    template.copy_to(folder / "primary", new_system_identifier())
    copy_tree(folder / "primary", folder / "standby", user)
    for name in ("primary", "standby"):
        hba = folder / name / "pg_hba.conf"
        hba.write_text(TRUSTED)
        user.own(hba)
        servers.append(
            Postmaster(
                template.installation,
                user,
                folder / name,
                folder / f"{name}-s",
                folder / f"{name}.log",
            )
        )
    primary, standby = servers
    signal = folder / "standby" / "standby.signal"
    signal.touch(0o600)
    user.own(signal)
    try:
        primary.start({"wal_level": "replica"})
        with superuser_connection(primary) as conn:
            conn.execute("select pg_create_physical_replication_slot('standby', true)")
        standby.start(
            {
                "primary_conninfo": f"host={primary.socket_directory} user={SUPERUSER}",
                "primary_slot_name": "standby",
                "hot_standby": True,
                "hot_standby_feedback": True,
            }
        )
        yield Pair(conninfo(primary.socket_directory), conninfo(standby.socket_directory))
    finally:
        for each in (standby, primary):
            each.stop(Shutdown.IMMEDIATE)


def prepare(pair: Pair) -> None:
    with psycopg.connect(pair.writer, autocommit=True) as conn:
        for client in range(CLIENTS):
            conn.execute(f"drop table if exists lag{client}")
            conn.execute(f"create table lag{client} (n int primary key)")
    deadline = time.monotonic() + SETTLE_S
    with psycopg.connect(pair.reader, autocommit=True) as conn:
        while time.monotonic() < deadline:
            try:
                conn.execute(newest())
            except psycopg.errors.UndefinedTable:
                time.sleep(0.01)
            else:
                return
    raise TimeoutError("the reader does not show the tables")


def newest() -> str:
    return "select " + ", ".join(f"(select max(n) from lag{each})" for each in range(CLIENTS))


def load(
    writer: str, tps: float, seconds: float, out: "multiprocessing.Queue[list[float]]"
) -> None:
    """In a process of its own: when the commit of each row returned, client after client."""
    returned: list[list[float]] = [[] for _ in range(CLIENTS)]

    def client(number: int) -> None:
        with psycopg.connect(writer, autocommit=True) as conn:
            began = time.monotonic()
            while (now := time.monotonic()) < began + seconds:
                due = began + len(returned[number]) * CLIENTS / tps
                if now < due:
                    time.sleep(due - now)
                conn.execute(f"insert into lag{number} values (%s)", (len(returned[number]),))
                returned[number].append(time.monotonic())

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for times in returned:
        out.put(times)


def watch(
    reader: str, until: "multiprocessing.Queue[int]", out: "multiprocessing.Queue[list[float]]"
) -> None:
    """In a process of its own: when each row was seen, client after client."""
    seen: list[list[float]] = [[] for _ in range(CLIENTS)]
    wanted: list[int] | None = None
    statement = newest()
    with psycopg.connect(reader, autocommit=True) as conn:
        while wanted is None or any(
            len(times) < count for times, count in zip(seen, wanted, strict=True)
        ):
            row = conn.execute(statement).fetchone() or ()
            now = time.monotonic()
            for times, highest in zip(seen, row, strict=True):
                if highest is not None:
                    times += [now] * (highest + 1 - len(times))
            if wanted is None and not until.empty():
                wanted = [until.get() for _ in range(CLIENTS)]
    for times in seen:
        out.put(times)


def lags_ms(pair: Pair, tps: float, seconds: float) -> tuple[list[float], float]:
    """The lag of each commit, and how many there were a second."""
    prepare(pair)
    spawn = multiprocessing.get_context("spawn")
    counts, commits, sights = spawn.Queue(), spawn.Queue(), spawn.Queue()
    watcher = spawn.Process(target=watch, args=(pair.reader, counts, sights))
    loader = spawn.Process(target=load, args=(pair.writer, tps, seconds, commits))
    watcher.start()
    loader.start()
    returned = [commits.get() for _ in range(CLIENTS)]
    for times in returned:
        counts.put(len(times))
    seen = [sights.get() for _ in range(CLIENTS)]
    loader.join()
    watcher.join()
    lags = [
        max(0.0, (sight - commit) * 1000)
        for committed, sighted in zip(returned, seen, strict=True)
        for commit, sight in zip(committed, sighted, strict=True)
    ]
    return lags, len(lags) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tps", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="borealis-bench-", dir="/tmp"))
    folder.chmod(0o711)
    lags: dict[str, list[float]] = {"borealis": [], "postgresql": []}
    rates: dict[str, list[float]] = {"borealis": [], "postgresql": []}
    try:
        with borealis(folder) as ours, streaming(folder) as theirs:
            for _ in range(options.rounds):
                for name, pair in (("borealis", ours), ("postgresql", theirs)):
                    found, rate = lags_ms(pair, options.tps, options.seconds)
                    lags[name] += found
                    rates[name].append(rate)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    p50 = {name: statistics.median(values) for name, values in lags.items()}
    p99 = {name: sorted(values)[int(len(values) * 0.99)] for name, values in lags.items()}
    show(
        "commit on the writer to its row on the reader, milliseconds",
        ["reader", "commits/s", "p50", "p99", "max", "p50 / PostgreSQL's"],
        [
            (
                name,
                statistics.mean(rates[name]),
                p50[name],
                p99[name],
                max(values),
                p50[name] / p50["postgresql"] if p50["postgresql"] else "-",
            )
            for name, values in lags.items()
        ],
    )
    write_json("replica_lag", {**vars(options), "p50_ms": p50, "p99_ms": p99, "tps": rates})
    held = p50["borealis"] <= P50_MS_MAX and p99["borealis"] <= P99_MS_MAX
    print("holds" if held else "DOES NOT HOLD")


if __name__ == "__main__":
    main()
