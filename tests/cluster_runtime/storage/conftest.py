"""A volume, and a writer on it, for the tests that need real PostgreSQL."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.control_file import new_system_identifier
from cluster_runtime.engine.home import shared_directory
from cluster_runtime.engine.installation import find_installation
from cluster_runtime.engine.postmaster import Postmaster, Shutdown, superuser_connection
from cluster_runtime.engine.sandbox.os_user import engine_user
from cluster_runtime.engine.template import Template, ensure_template
from cluster_runtime.storage.core.types import SegmentState
from cluster_runtime.storage.volume import WRITER_SETTINGS, StorageVolume
from tests.waiting import wait_until

WAL_SEGMENT_BYTES = 1 << 20


class Writer:
    """PostgreSQL that writes to a volume; `kill` and `start` are what a crash and a restart are."""

    def __init__(self, volume: StorageVolume, template: Template, folder: Path) -> None:
        self.volume = volume
        self.data = folder / "data"
        self.postmaster = Postmaster(
            template.installation, template.user, self.data, folder / "s", folder / "log"
        )

    def start(self) -> None:
        if not self.volume.trusts(self.data):
            self.volume.rebuild(self.data)
        self.volume.claim(self.data)
        self.postmaster.start(WRITER_SETTINGS)
        self.volume.attach_writer(self.postmaster.socket_directory, SUPERUSER)

    def stop(self) -> None:
        clean = self.postmaster.stop(Shutdown.FAST)
        self.volume.detach_writer()
        if clean:
            self.volume.release(self.data)

    def lose(self) -> None:
        """Kill it with -9 and delete its data directory."""
        self.postmaster.kill()
        shutil.rmtree(self.data)

    def connect(self) -> psycopg.Connection[TupleRow]:
        return superuser_connection(self.postmaster)


@pytest.fixture(autouse=True)
def _impolite(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("impolite_coalescing")


@pytest.fixture(scope="session")
def template() -> Template:
    user = engine_user()
    cache = shared_directory(user)
    return ensure_template(find_installation().reachable_by(user, cache), user, cache)


@pytest.fixture
def volume(engine_dir: Path, template: Template) -> Iterator[StorageVolume]:
    made = StorageVolume.create(
        engine_dir / "volume",
        uuid.uuid4(),
        template.directory,
        user=template.user,
        system_identifier=new_system_identifier(),
        server_version=template.installation.version,
        wal_segment_bytes=WAL_SEGMENT_BYTES,
    )
    yield made
    made.close()


@pytest.fixture
def writer(volume: StorageVolume, template: Template, engine_dir: Path) -> Iterator[Writer]:
    made = Writer(volume, template, engine_dir)
    made.start()
    yield made
    made.postmaster.kill()


def insert(writer: Writer, *values: int) -> None:
    with writer.connect() as conn:
        conn.execute("create table if not exists t (x int)")
        for value in values:
            conn.execute("insert into t values (%s)", (value,))


def stored(conn: psycopg.Connection[tuple[object, ...]]) -> list[object]:
    return [row[0] for row in conn.execute("select x from t order by x")]


def wait_until_healthy(volume: StorageVolume) -> None:
    """Every segment holds everything that is durable."""

    def healthy() -> bool:
        described = volume.describe()
        return all(
            s.state is SegmentState.HEALTHY and s.scl >= described.vdl for s in described.segments
        )

    wait_until(healthy)


def wait_until_members(volume: StorageVolume, *segments: str) -> None:
    """Exactly these segments belong to the volume, and hold everything."""
    wait_until(lambda: tuple(each.id for each in volume.describe().segments) == segments, 30)
    wait_until_healthy(volume)
