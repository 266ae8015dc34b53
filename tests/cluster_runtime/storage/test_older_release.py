"""A volume of the release before this one goes on, and that release leaves ours alone."""

import json
import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from cluster_runtime.engine.template import Template
from cluster_runtime.storage.core.types import SegmentState
from cluster_runtime.storage.disk.state_file import STATE_FILE, SegmentStateFile
from cluster_runtime.storage.live.volume_file import COMPLETE, FORMAT_FIELD, VOLUME_FILE
from cluster_runtime.storage.volume import StorageVolume
from tests.cluster_runtime.storage.conftest import Writer, stored, wait_until_healthy

RELEASE = "73a0f4c"
"""The last commit with volumes of format 1."""

MAKE = """
import sys, uuid
from pathlib import Path
from cluster_runtime.engine.control_file import new_system_identifier
from cluster_runtime.engine.postmaster import Postmaster, superuser_connection
from cluster_runtime.engine.roles import SUPERUSER
from cluster_runtime.engine.home import shared_directory
from cluster_runtime.engine.installation import find_installation
from cluster_runtime.engine.os_user import engine_user
from cluster_runtime.engine.template import ensure_template
from cluster_runtime.storage.host import WRITER_SETTINGS, StorageVolume

folder = Path(sys.argv[1])
user = engine_user()
cache = shared_directory(user)
template = ensure_template(find_installation().reachable_by(user, cache), user, cache)
volume = StorageVolume.create(
    folder / "volume", uuid.uuid4(), template.directory, user=user,
    system_identifier=new_system_identifier(), server_version=template.installation.version,
    wal_segment_bytes=1 << 20,
)
data = folder / "data"
server = Postmaster(template.installation, user, data, folder / "s", folder / "log")
volume.serve_wal(folder / "w")
volume.start_coalescing(template.installation, folder / "c", SUPERUSER, automatic=False)
def start():
    volume.rebuild(data)
    volume.claim(data)
    server.start(WRITER_SETTINGS)
    volume.attach_writer(server.socket_directory, SUPERUSER)
start()
with superuser_connection(server) as conn:
    conn.execute("create table t (x int)")
    conn.execute("insert into t select generate_series(1, 1000)")
if "image" in sys.argv[2]:
    volume.coalesce()
server.kill()
start()
with superuser_connection(server) as conn:
    conn.execute("insert into t select generate_series(1001, 1200)")
server.kill()
volume.close()
print(template.directory)
"""

OPEN = """
import sys
from pathlib import Path
from cluster_runtime.engine.os_user import engine_user
from cluster_runtime.storage.host import StorageVolume
StorageVolume.open(Path(sys.argv[1]) / "volume", Path("/"), user=engine_user())
"""


@pytest.fixture(scope="module")
def older_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("git") is None:
        pytest.skip("the older release is taken from git, which is not installed here")
    root = Path(__file__).parents[3]
    found = subprocess.run(
        ["git", "archive", RELEASE, "cluster_runtime"], cwd=root, capture_output=True
    )
    if found.returncode:
        pytest.skip(f"not a git checkout that has {RELEASE}, the older release to compare with")
    code = tmp_path_factory.mktemp("older")
    with tarfile.open(fileobj=BytesIO(found.stdout)) as archive:
        archive.extractall(code, filter="data")
    return code


def run_older(code: Path, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=code,
        env={"PYTHONPATH": str(code), "PATH": "/usr/bin:/bin", "HOME": str(code)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def states(volume: Path) -> list[Path]:
    return sorted(volume.glob(f"az-*/*/{STATE_FILE}"))


@pytest.mark.parametrize(
    "what", [pytest.param("log alone", marks=pytest.mark.long), "log and image"]
)
def test_a_volume_of_format_1_goes_on_and_has_format_2_from_then_on(
    older_release: Path, engine_dir: Path, template: Template, what: str
) -> None:
    made = run_older(older_release, MAKE, str(engine_dir), what)
    assert made.returncode == 0, made.stderr
    base = Path(made.stdout.strip().splitlines()[-1])
    assert all(json.loads(each.read_text()) for each in states(engine_dir / "volume"))
    volume = StorageVolume.open(engine_dir / "volume", base, user=template.user)
    try:
        assert all(each.state is SegmentState.HEALTHY for each in volume.describe().segments)
        assert volume.metadata.base
        writer = Writer(volume, template, engine_dir)
        try:
            writer.start()
            with writer.connect() as conn:
                assert stored(conn) == list(range(1, 1201))
                conn.execute("insert into t values (1201)")
            assert (volume.newest_image() is not None) == ("image" in what)
            wait_until_healthy(volume)
        finally:
            writer.postmaster.kill()
    finally:
        volume.close()

    for each in states(engine_dir / "volume"):
        found = SegmentStateFile.decode(each.read_bytes(), accept_format_1=False)
        assert found.metadata is not None
    assert json.loads((engine_dir / "volume" / VOLUME_FILE).read_text())[FORMAT_FIELD] == COMPLETE
    refused = run_older(older_release, OPEN, str(engine_dir))
    assert refused.returncode
    assert FORMAT_FIELD in refused.stderr
    again = StorageVolume.open(engine_dir / "volume", base, user=template.user)
    assert all(each.state is SegmentState.HEALTHY for each in again.describe().segments)
    again.close()
