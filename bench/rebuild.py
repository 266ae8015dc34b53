"""How soon a lost data directory is back, and how much memory the host takes while log streams.

Rebuild: kill -9, delete the directory, time until the new writer takes connections and commits.
Three cases: 16 MB and 64 MB of log since the last page image, and 64 MB again after the database
has seen four times as much log (which an image holds by then). What must hold: 64 MB within 1.5 s,
whatever the age. Memory: under 200 MB while 1 GB of log streams through.

    python bench/rebuild.py [--rounds 3] [--stream-mb 1024]
"""

import argparse
import shutil
import statistics
import tempfile
import threading
import time
import uuid
from pathlib import Path

import psutil
import psycopg
from report import show, write_json

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.control_file import new_system_identifier
from cluster_runtime.engine.home import shared_directory
from cluster_runtime.engine.installation import find_installation
from cluster_runtime.engine.postmaster import Postmaster, Shutdown, superuser_connection
from cluster_runtime.engine.sandbox.os_user import engine_user
from cluster_runtime.engine.template import ensure_template
from cluster_runtime.storage.volume import WRITER_SETTINGS, StorageVolume

REBUILD_S_MAX = 1.5
MEMORY_MB_MAX = 200
MB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stream-mb", type=int, default=1024)
    options = parser.parse_args()
    user = engine_user()
    cache = shared_directory(user)
    template = ensure_template(find_installation().reachable_by(user, cache), user, cache)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    folder.chmod(0o755)
    volume = StorageVolume.create(
        folder / "volume",
        uuid.uuid4(),
        template.directory,
        user=user,
        system_identifier=new_system_identifier(),
        server_version=template.installation.version,
        wal_segment_bytes=MB,
    )
    data = folder / "data"
    server = Postmaster(template.installation, user, data, folder / "s", folder / "log")
    try:
        volume.serve_wal(folder / "w")
        volume.start_coalescing(template.installation, folder / "c", SUPERUSER, automatic=False)
        bring_up(volume, server)
        figures: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            for megabytes, age in ((16, "young"), (64, "young"), (64, "old")):
                with superuser_connection(server) as conn:
                    if age == "old":
                        write_log(conn, 256)
                volume.coalesce()
                with superuser_connection(server) as conn:
                    write_log(conn, megabytes)
                server.kill()
                shutil.rmtree(data)
                began = time.perf_counter()
                bring_up(volume, server)
                with superuser_connection(server) as conn:
                    conn.execute("insert into filled values ('x')")
                took = time.perf_counter() - began
                figures.setdefault(f"{megabytes} MB, {age} database", []).append(took)
        memory = peak_memory_mb(server, options.stream_mb)
    finally:
        server.stop(Shutdown.IMMEDIATE)
        volume.close()
        shutil.rmtree(folder)
    medians = {name: statistics.median(values) for name, values in figures.items()}
    rows = [(name, f"{seconds:.2f} s", f"{REBUILD_S_MAX} s") for name, seconds in medians.items()]
    rows.append(
        (f"memory, {options.stream_mb} MB of log", f"{memory:.0f} MB", f"{MEMORY_MB_MAX} MB")
    )
    show("Rebuild after loss of the data directory", ("log since the image", "median", "bar"), rows)
    write_json("rebuild", {"seconds": medians, "memory_mb": memory, **vars(options)})


def bring_up(volume: StorageVolume, server: Postmaster) -> None:
    """Rebuild the directory, start the writer over it, attach it."""
    volume.rebuild(server.data_directory)
    server.start(WRITER_SETTINGS)
    volume.attach_writer(server.socket_directory, SUPERUSER)


def write_log(conn: psycopg.Connection[tuple[object, ...]], megabytes: int) -> None:
    """Make about that much WAL, and keep the database small."""
    conn.execute("create table if not exists filled (x text)")
    conn.execute("truncate filled")
    rows = megabytes * MB // 580
    conn.execute("insert into filled select repeat('x', 500) from generate_series(1, %s)", (rows,))


def peak_memory_mb(server: Postmaster, megabytes: int) -> float:
    """The largest resident set of this process while that much log streams through it."""
    done = threading.Event()
    peak = 0
    process = psutil.Process()

    def stream() -> None:
        with superuser_connection(server) as conn:
            write_log(conn, megabytes)
        done.set()

    thread = threading.Thread(target=stream)
    thread.start()
    while not done.wait(0.05):
        peak = max(peak, process.memory_info().rss)
    thread.join()
    return peak / MB


if __name__ == "__main__":
    main()
