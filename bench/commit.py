"""Commits on a volume, against PostgreSQL with local fsync and with six `pg_receivewal`.

Four servers over copies of one database take turns, round by round; the figure is the median.

    local       vanilla PostgreSQL, fsync on the local disk
    receivewal  vanilla, "ANY 4" of six `pg_receivewal --synchronous`
    aurora      a writer on a volume: four of six segments in three zones
    iopt1       the same with I/O-Optimized storage

What must hold: aurora / receivewal at least 1.0 at every client count; aurora / local at least 0.7
at 8 and 32 clients; iopt1 / aurora at least 1.15 where the flush dominates; COPY of 500 MB at least
half as fast as local. Bytes and flushes are those that the block device counted during the run, the
same way for every server. Whether the flush dominates depends on the disk: aurora and iopt1 also
run on a model of one whose flush takes --flush-ms (slow_flush.py).

    python bench/commit.py [--scale 100] [--seconds 10] [--rounds 3] [--clients 1 8 32]
"""

import argparse
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
from report import show, write_json
from slow_flush import slow_flushes

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.control_file import new_system_identifier
from cluster_runtime.engine.home import shared_directory
from cluster_runtime.engine.installation import Installation, find_installation
from cluster_runtime.engine.postmaster import Postmaster, Shutdown, superuser_connection
from cluster_runtime.engine.sandbox.os_user import OsUser, engine_user
from cluster_runtime.engine.system.files import copy_tree
from cluster_runtime.engine.template import Template, ensure_template
from cluster_runtime.storage.disk.page_images import MANIFEST
from cluster_runtime.storage.upkeep.images import pages
from cluster_runtime.storage.volume import WRITER_SETTINGS, StorageVolume

RATIO_TO_RECEIVEWAL_MIN = 1.0
RATIO_TO_LOCAL_MIN = 0.7
RATIO_OF_COPY_MIN = 0.5
SETTINGS = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_connections": 100,
}
RECEIVERS = 6
FULL_SEGMENTS = 3
VOLUMES = ("aurora", "iopt1")
SECTOR_BYTES = 512


Medians = dict[str, dict[int, dict[str, float]]]


@dataclass
class Run:
    """One pgbench run: transactions per second, and what the device did per transaction."""

    tps: float
    device_bytes: float
    device_flushes: float
    wal_bytes: float


@dataclass
class Server:
    """A running server under test, and what was measured of it."""

    name: str
    postmaster: Postmaster
    runs: dict[int, list[Run]] = field(default_factory=dict)
    copy_s: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--copy-mb", type=int, default=500, help="0 leaves COPY out")
    parser.add_argument("--servers", nargs="+", default=["local", "receivewal", "aurora", "iopt1"])
    parser.add_argument("--flush-ms", type=float, default=5, help="0 leaves that disk out")
    parser.add_argument("--keep", type=Path, help="keep the initialised database here, for reuse")
    options = parser.parse_args()
    user = engine_user()
    installation = find_installation().reachable_by(user, shared_directory(user))
    template = ensure_template(installation, user, shared_directory(user))
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True, mode=0o755)
        base = (options.keep or folder) / f"base-{options.scale}"
        if not base.exists():
            initialise(template, base, folder, options.scale)
        starters = {
            "local": local,
            "receivewal": receivewal,
            "aurora": on_volume,
            "iopt1": on_volume,
        }
        servers = [
            stack.enter_context(starters[name](name, base, folder, installation, user))
            for name in options.servers
        ]
        in_turns(servers, options)
        if options.copy_mb:
            rows = make_rows(folder, options.copy_mb)
            for _ in range(min(options.rounds, 2)):
                for server in servers:
                    server.copy_s.append(copy_rows(server, rows))
        slow: list[Server] = []
        if options.flush_ms:
            with slow_flushes(options.flush_ms / 1000):
                slow = [
                    stack.enter_context(on_volume(name, base, folder / "slow", installation, user))
                    for name in VOLUMES
                ]
            in_turns(slow, options)
        report(servers, slow, options)


def in_turns(servers: list[Server], options: argparse.Namespace) -> None:
    """Every server with every number of clients, round by round, after a run to warm up."""
    for server in servers:
        pgbench(server, 32, min(options.seconds, 5))
    for _ in range(options.rounds):
        for clients in options.clients:
            for server in servers:
                run = pgbench(server, clients, options.seconds)
                server.runs.setdefault(clients, []).append(run)


def medians_of(servers: list[Server]) -> Medians:
    return {
        server.name: {
            clients: {
                "tps": statistics.median(run.tps for run in runs),
                "device_bytes_per_transaction": statistics.median(r.device_bytes for r in runs),
                "device_flushes_per_transaction": statistics.median(r.device_flushes for r in runs),
                "wal_bytes_per_transaction": statistics.median(r.wal_bytes for r in runs),
            }
            for clients, runs in server.runs.items()
        }
        for server in servers
    }


def report(servers: list[Server], slow: list[Server], options: argparse.Namespace) -> None:
    """Print and keep the medians and the ratios."""
    medians, slow_medians = medians_of(servers), medians_of(slow)
    copies = {each.name: statistics.median(each.copy_s) for each in servers if each.copy_s}
    rows = []
    for clients in options.clients:
        for server in servers:
            found = medians[server.name][clients]
            rows.append(
                (
                    clients,
                    server.name,
                    f"{found['tps']:.0f}",
                    *(
                        ratio(medians, server.name, peer, clients)
                        for peer in ("local", "receivewal")
                    ),
                    f"{found['device_bytes_per_transaction']:.0f}",
                    f"{found['device_flushes_per_transaction']:.2f}",
                    f"{found['wal_bytes_per_transaction']:.0f}",
                )
            )
    columns = (
        "clients",
        "server",
        "tps",
        "/ local",
        "/ receivewal",
        "B/txn",
        "flush/txn",
        "WAL/txn",
    )
    show(f"pgbench TPC-B, scale {options.scale}, prepared", columns, rows)
    if slow:
        show(
            f"the same on a disk whose flush takes {options.flush_ms:g} ms (modelled)",
            ("clients", *VOLUMES, "iopt1 / aurora"),
            [
                (
                    clients,
                    *(f"{slow_medians[name][clients]['tps']:.0f}" for name in VOLUMES),
                    ratio(slow_medians, "iopt1", "aurora", clients),
                )
                for clients in options.clients
            ],
        )
    if copies:
        local_s = copies.get("local")
        show(
            f"COPY of {options.copy_mb} MB",
            ("server", "seconds", "/ local"),
            [(n, f"{s:.2f}", f"{local_s / s:.2f}" if local_s else "") for n, s in copies.items()],
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"host process: {memory:.0f} MB at most")
    write_json(
        "commit",
        {
            "scale": options.scale,
            "seconds": options.seconds,
            "rounds": options.rounds,
            "medians": medians,
            "flush_ms": options.flush_ms,
            "slow_flush_medians": slow_medians,
            "copy_mb": options.copy_mb,
            "copy_seconds": copies,
            "host_memory_mb_max": memory,
        },
    )


def ratio(medians: Medians, name: str, peer: str, n: int) -> str:
    """Transactions per second over a peer's, as text."""
    if peer not in medians or name == peer:
        return ""
    return f"{medians[name][n]['tps'] / medians[peer][n]['tps']:.2f}"


def initialise(template: Template, base: Path, folder: Path, scale: int) -> None:
    """A cleanly stopped data directory with pgbench's tables."""
    template.copy_to(base, new_system_identifier())
    server = Postmaster(
        template.installation, template.user, base, folder / "i", folder / "initialise.log"
    )
    server.start({**SETTINGS, "fsync": False})
    program = template.installation.program("pgbench")
    command = [
        program,
        "-h",
        folder / "i",
        "-U",
        SUPERUSER,
        "-i",
        "-q",
        "-s",
        str(scale),
        "postgres",
    ]
    subprocess.run(command, check=True, capture_output=True)
    with superuser_connection(server) as conn:
        conn.execute("checkpoint")
    server.stop(Shutdown.FAST)


@contextmanager
def local(
    name: str, base: Path, folder: Path, installation: Installation, user: OsUser
) -> Iterator[Server]:
    """Vanilla PostgreSQL that syncs its own log."""
    copy_tree(base, folder / name, user)
    server = Postmaster(
        installation, user, folder / name, folder / name[:1], folder / f"{name}.log"
    )
    server.start({**SETTINGS, "fsync": True})
    try:
        yield Server(name, server)
    finally:
        server.stop(Shutdown.IMMEDIATE)


@contextmanager
def receivewal(
    name: str, base: Path, folder: Path, installation: Installation, user: OsUser
) -> Iterator[Server]:
    """Vanilla PostgreSQL, and six receivers of which four must have synced."""
    with local(name, base, folder, installation, user) as server:
        names = [f"s{number}" for number in range(RECEIVERS)]
        programs = []
        with superuser_connection(server.postmaster) as conn:
            for each in names:
                conn.execute("select pg_create_physical_replication_slot(%s)", (each,))
                (folder / each).mkdir()
                programs.append(
                    subprocess.Popen(
                        [
                            installation.program("pg_receivewal"),
                            "-d",
                            f"host={folder / name[:1]} user={SUPERUSER} application_name={each}",
                            *("-D", folder / each, "-S", each, "--synchronous", "--no-loop"),
                        ],
                        stderr=subprocess.DEVNULL,
                    )
                )
            settings = {**SETTINGS, "fsync": True}
            settings["synchronous_standby_names"] = f"ANY 4 ({', '.join(names)})"
            server.postmaster.write_settings(settings)
            server.postmaster.reload()
            while conn.execute(
                "select count(*) from pg_stat_replication where sync_state = 'quorum'"
            ).fetchone() != (RECEIVERS,):
                time.sleep(0.05)
        try:
            yield server
        finally:
            for program in programs:
                program.terminate()
                program.wait()


@contextmanager
def on_volume(
    name: str, base: Path, folder: Path, installation: Installation, user: OsUser
) -> Iterator[Server]:
    """A writer on a volume of its own, once that has its copies of the pages it began with."""
    pages.KEEP_BASE_AFTER_S = 0.0
    folder.mkdir(exist_ok=True, mode=0o755)
    volume = StorageVolume.create(
        folder / f"{name}-volume",
        uuid.uuid4(),
        base,
        user=user,
        system_identifier=new_system_identifier(),
        server_version=installation.version,
        wal_segment_bytes=1 << 20,
        storage_type="aurora-iopt1" if name == "iopt1" else "aurora",
    )
    server = Postmaster(
        installation, user, folder / name, folder / name[:1], folder / f"{name}.log"
    )
    volume.rebuild(folder / name)
    server.start({**SETTINGS, **WRITER_SETTINGS})
    volume.attach_writer(folder / name[:1], SUPERUSER)
    while len(list(volume.directory.glob(f"az-*/*/pages/*/{MANIFEST}"))) < FULL_SEGMENTS:
        time.sleep(0.2)
    try:
        yield Server(name, server)
    finally:
        volume.detach_writer()
        server.stop(Shutdown.IMMEDIATE)
        volume.close()


def pgbench(server: Server, clients: int, seconds: int) -> Run:
    """One run of TPC-B with prepared statements."""
    directory = server.postmaster.socket_directory
    command = [
        server.postmaster.installation.program("pgbench"),
        *("-h", directory, "-U", SUPERUSER, "-n", "-M", "prepared"),
        *("-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds), "postgres"),
    ]
    with superuser_connection(server.postmaster) as conn:
        wal = current_lsn(conn)
        sectors, flushes = device_counts(directory)
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        sectors_after, flushes_after = device_counts(directory)
        wal = current_lsn(conn) - wal
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    processed = re.search(r"actually processed: (\d+)", done.stdout)
    if found is None or processed is None:
        raise SystemExit(f"pgbench said: {done.stdout}{done.stderr}")
    count = int(processed[1])
    return Run(
        float(found[1]),
        (sectors_after - sectors) * SECTOR_BYTES / count,
        (flushes_after - flushes) / count,
        wal / count,
    )


def current_lsn(conn: psycopg.Connection[tuple[object, ...]]) -> int:
    """The insert position of the log, in bytes."""
    row = conn.execute("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
    assert row is not None
    return int(str(row[0]))


def device_counts(path: Path) -> tuple[int, int]:
    """Sectors written and flushes done by the block device below a folder, since boot."""
    device = path.stat().st_dev
    numbers = f"{device >> 8 & 0xFFF}:{device & 0xFF}"
    stat = Path("/sys/dev/block") / numbers / "stat"
    if not stat.exists():
        return psutil.disk_io_counters().write_bytes // SECTOR_BYTES, 0
    fields = stat.read_text().split()
    return int(fields[6]), int(fields[15])


def make_rows(folder: Path, megabytes: int) -> Path:
    """A file for COPY of about that many megabytes."""
    path = folder / "rows.txt"
    line = "{}\t" + "x" * 88 + "\n"
    with path.open("w") as file:
        written = 0
        while written < megabytes << 20:
            block = "".join(line.format(written + n) for n in range(1000))
            file.write(block)
            written += len(block)
    path.chmod(0o644)
    return path


def copy_rows(server: Server, rows: Path) -> float:
    """Seconds that COPY of the file into a new table takes, its commit included."""
    with superuser_connection(server.postmaster) as conn:
        conn.execute("drop table if exists copied")
        conn.execute("create table copied (id bigint, filler text)")
        conn.execute("checkpoint")
        began = time.perf_counter()
        # COPY takes no parameters; the path is one that this bench made.
        conn.execute(f"copy copied from '{rows}'")  # type: ignore[arg-type]
        took = time.perf_counter() - began
        conn.execute("drop table copied")
    return took


if __name__ == "__main__":
    main()
