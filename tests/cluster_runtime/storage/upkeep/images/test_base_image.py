"""The pages that a volume began with: known by a checksum, and not in one place alone."""

import shutil
from pathlib import Path

import pytest

from cluster_runtime.engine.template import Template
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.disk.page_images import fingerprint
from cluster_runtime.storage.upkeep import upkeep as upkeep_module
from cluster_runtime.storage.upkeep.images import pages
from cluster_runtime.storage.volume import StorageVolume
from tests.cluster_runtime.storage.conftest import Writer, insert, stored
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_module, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(pages, "KEEP_BASE_AFTER_S", 0.1)


def test_a_volume_whose_template_is_gone_goes_on_from_its_own_copies(
    volume: StorageVolume, writer: Writer, template: Template, engine_dir: Path
) -> None:
    insert(writer, 1, 2, 3)
    full = [volume.directory / f"az-{az}/{az}1/pages" for az in "abc"]
    wait_until(lambda: all(len(list(each.glob("*/manifest.json"))) == 1 for each in full), 60)
    writer.lose()
    volume.close()
    again = StorageVolume.open(volume.directory, engine_dir / "gone", user=template.user)
    try:
        revived = Writer(again, template, engine_dir)
        revived.start()
        with revived.connect() as conn:
            assert stored(conn) == [1, 2, 3]
        revived.postmaster.kill()
    finally:
        again.close()


def test_a_template_made_anew_is_not_taken_for_the_one_before(
    volume: StorageVolume,
    template: Template,
    engine_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages, "KEEP_BASE_AFTER_S", 1000.0)
    volume.close()
    for az in "abc":
        shutil.rmtree(volume.directory / f"az-{az}/{az}1/pages", ignore_errors=True)
    remade = engine_dir / "remade"
    shutil.copytree(template.directory, remade)
    assert fingerprint(remade) == fingerprint(template.directory) == volume.metadata.base
    victim = next(path for path in (remade / "base").rglob("*") if path.is_file())
    victim.write_bytes(victim.read_bytes()[::-1] + b"x")
    (remade / "global/pg_control").touch()
    again = StorageVolume.open(volume.directory, remade, user=template.user)
    with pytest.raises(StorageError, match="other pages"):
        again.rebuild(engine_dir / "data")
    again.close()
    whole = StorageVolume.open(volume.directory, template.directory, user=template.user)
    whole.rebuild(engine_dir / "data")
    whole.close()


def test_the_volume_file_is_written_anew_when_it_is_gone(
    volume: StorageVolume, writer: Writer, template: Template, engine_dir: Path
) -> None:
    insert(writer, 7)
    writer.lose()
    volume.close()
    (volume.directory / "volume.json").write_bytes(b"")
    again = StorageVolume.open(volume.directory, template.directory, user=template.user)
    try:
        assert again.metadata == volume.metadata
        assert (volume.directory / "volume.json").read_bytes()
        revived = Writer(again, template, engine_dir)
        revived.start()
        with revived.connect() as conn:
            assert stored(conn) == [7]
        revived.postmaster.kill()
    finally:
        again.close()
