"""The host process of `test_survival`: opens the volume, runs the writer, commits and says so.

Prints one JSON object a line. Reads the names of disasters from standard input.
"""

import errno
import json
import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.home import shared_directory
from cluster_runtime.engine.installation import find_installation
from cluster_runtime.engine.postmaster import Postmaster, superuser_connection
from cluster_runtime.engine.sandbox.os_user import engine_user
from cluster_runtime.engine.template import ensure_template
from cluster_runtime.storage.core.types import SegmentId, SegmentState
from cluster_runtime.storage.disk.filesystem import HOST_DISK
from cluster_runtime.storage.volume import WRITER_SETTINGS, StorageVolume

CLIENTS = 3
ROWS_OF_A_MEGABYTE = 1000
WHOLE_WITHIN_S = 60
REFUSALS = {"full": errno.ENOSPC, "read-only": errno.EROFS, "failing": errno.EIO}


class RefusingDisk:
    """Has the host's disk refuse the files of one segment: writes, and where it fails reads too."""

    CHANGES = ("replace", "create", "write", "open_writer", "remove", "sync", "sync_directory")
    READS = ("read", "open_reader", "names")

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}
        for name in (*self.CHANGES, *self.READS):
            setattr(HOST_DISK, name, self._wrapped(name, getattr(HOST_DISK, name)))

    def _wrapped(self, name: str, original: Callable[..., object]) -> Callable[..., object]:
        def call(path: Path, *given: object, **named: object) -> object:
            for place, code in list(self.refused.items()):
                if place in str(path) and (name in self.CHANGES or code == errno.EIO):
                    raise OSError(code, os.strerror(code), str(path))
            return original(path, *given, **named)

        return call


class Host:
    def __init__(self, folder: Path, first: int, seed: int, bulk_mb: int) -> None:
        user = engine_user()
        cache = shared_directory(user)
        template = ensure_template(find_installation().reachable_by(user, cache), user, cache)
        self.rng = random.Random(seed)
        self.disk = RefusingDisk()
        self.data = folder / "data"
        self.volume = StorageVolume.open(folder / "volume", template.directory, user=user)
        self.server = Postmaster(
            template.installation, user, self.data, folder / "s", folder / "log"
        )
        # As the product does: pages are made, and log is collected, under the load.
        self.volume.start_coalescing(
            template.installation, folder / "c", SUPERUSER, wal_sockets=folder / "w"
        )
        self.bulk_mb = bulk_mb
        self.saying = threading.Lock()
        self.next_value = first
        self.numbering = threading.Lock()

    def say(self, **event: object) -> None:
        with self.saying:
            sys.stdout.write(json.dumps(event) + "\n")
            sys.stdout.flush()

    def start(self) -> None:
        if not self.volume.trusts(self.data):
            self.volume.rebuild(self.data)
        self.volume.claim(self.data)
        self.server.start(WRITER_SETTINGS)
        self.volume.attach_writer(self.server.socket_directory, SUPERUSER)

    def load(self) -> None:
        """Commit numbers, one after the other, and say each that was acknowledged."""
        while True:
            try:
                with superuser_connection(self.server) as conn:
                    while True:
                        with self.numbering:
                            value = self.next_value
                            self.next_value += 1
                        conn.execute("insert into t values (%s, repeat('x', 200))", (value,))
                        self.say(acknowledged=value)
            except psycopg.Error:
                threading.Event().wait(0.02)

    def load_bulk(self) -> None:
        """Replace a table's rows in one large transaction, again and again, and say each."""
        rows = self.bulk_mb * ROWS_OF_A_MEGABYTE
        while True:
            with self.numbering:
                number = self.next_value
                self.next_value += 1
            self.say(bulk_begun=number, rows=rows)
            try:
                with superuser_connection(self.server) as conn, conn.transaction():
                    conn.execute("truncate bulk")
                    conn.execute(
                        "insert into bulk select %s, repeat('b', 950) from generate_series(1, %s)",
                        (number, rows),
                    )
            except psycopg.Error:
                threading.Event().wait(0.02)
            else:
                self.say(bulk_acknowledged=number)

    def suffer(self, disaster: str) -> None:
        match disaster:
            case "kill the writer":
                self.server.kill()
                self.start()
            case "lose the directory":
                self.server.kill()
                shutil.rmtree(self.data)
                self.start()
            case "lose a zone":
                # Writing outlives the loss of a zone, where no segment is missing besides.
                self.wait_until_whole()
                self.volume.inject_fault(f"az:{self.rng.choice('abc')}", "crash")
                threading.Event().wait(0.2)
                self.server.kill()
                shutil.rmtree(self.data)
                self.start()  # with the zone away: four of six open the volume
                self.volume.heal()
            case "lose a zone and a segment":
                zone, other = self.rng.sample("abc", 2)
                self.volume.inject_fault(f"az:{zone}", self.rng.choice(["crash", "partition"]))
                self.volume.inject_fault(f"segment:{other}{self.rng.choice('12')}", "crash")
                threading.Event().wait(0.2)
                if self.rng.random() < 0.5:
                    self.server.kill()
                    shutil.rmtree(self.data)
                    self.volume.heal()
                    self.start()
                self.volume.heal()
            case "corrupt and lose segments":
                self.volume.inject_fault(f"segment:{self.rng.choice('abc')}1", "corrupt")
                self.volume.scrub()
            case "lose files under the writer":
                # The successor has come, or is on its way, or was not thought of when we end.
                victim = self.rng.choice(sorted(self.volume.directory.glob("az-*/*")))
                victim.rename(self.volume.directory / f"lost-{victim.name}")
                threading.Event().wait(self.rng.random() * 4)
            case "a disk refuses":
                self.refuse(self.rng.choice(list(REFUSALS.values())))
            case "be whole":
                self.be_whole()
            case _:
                raise AssertionError(disaster)

    def refuse(self, code: int) -> None:
        """One segment's disk refuses while the load goes on, and while the volume is opened."""
        place = f"/{self.rng.choice(sorted(self.volume.directory.glob('az-*/*'))).name}/"
        self.disk.refused[place] = code
        node = self.volume._mount.node
        lane = self.volume._mount.lane(SegmentId(place.strip("/")))
        if lane is not None:
            node.call(lambda: lane.store.log.close())
        threading.Event().wait(self.rng.random())
        if self.rng.random() < 0.7:
            self.server.kill()
            shutil.rmtree(self.data)
            self.start()
        if self.rng.random() < 0.5:
            self.disk.refused.clear()

    def be_whole(self) -> None:
        """What was damaged while nobody looked is found and mended before more befalls it.

        A scrub passes over segments that are not whole, and reads all of the others.
        """
        self.wait_until_whole()
        while self.volume.scrub():
            self.wait_until_whole()

    def wait_until_whole(self) -> None:
        deadline = time.monotonic() + WHOLE_WITHIN_S
        while not self.is_whole():
            assert time.monotonic() < deadline, self.volume.describe()
            threading.Event().wait(0.1)

    def is_whole(self) -> bool:
        segments = self.volume.describe().segments
        return len(segments) == 6 and all(s.state is SegmentState.HEALTHY for s in segments)


def main() -> None:
    host = Host(Path(sys.argv[1]), *(int(each) for each in sys.argv[2:5]))
    host.start()
    with superuser_connection(host.server) as conn:
        conn.execute("create table if not exists t (x int primary key, filler text)")
        conn.execute("create table if not exists bulk (number int, filler text)")
        rows = conn.execute("select x from t").fetchall()
        bulk = conn.execute("select number, count(*) from bulk group by number").fetchall()
    host.say(present=[row[0] for row in rows], bulk=bulk)
    for _ in range(CLIENTS):
        threading.Thread(target=host.load, daemon=True).start()
    threading.Thread(target=host.load_bulk, daemon=True).start()
    for line in sys.stdin:
        host.suffer(line.strip())
        host.say(event="survived")


if __name__ == "__main__":
    main()
