"""When which part of a volume is verified, and that damage is found and mended."""

from pathlib import Path

import pytest

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.template import Template
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.policy.scrub import Part, PartKind, ScrubSchedule
from cluster_runtime.storage.core.types import SegmentId
from cluster_runtime.storage.disk.page_images import images
from cluster_runtime.storage.live.commit.lanes import Lane
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.upkeep import repair
from cluster_runtime.storage.upkeep import scrub as upkeep_scrub
from cluster_runtime.storage.upkeep import upkeep as upkeep_module
from cluster_runtime.storage.volume import StorageVolume
from tests.cluster_runtime.storage.conftest import Writer, insert, stored, wait_until_healthy
from tests.waiting import wait_until

MIB = 1 << 20
PARTS = [Part(SegmentId("a1"), PartKind.LOG, position, 8 * MIB) for position in range(4)]


def schedule(completed_at: float | None = None) -> ScrubSchedule:
    return ScrubSchedule(
        1000.0, completed_at, period_s=600.0, first_after_s=60.0, rate_bytes_per_s=16 * MIB
    )


def test_a_volume_that_was_just_opened_is_left_alone() -> None:
    assert not schedule().wants_parts(1059.0)
    assert schedule().wants_parts(1060.0)


def test_a_pass_is_due_a_period_after_the_last_one() -> None:
    recent = schedule(completed_at=900.0)
    assert not recent.wants_parts(1499.0)
    assert recent.wants_parts(1500.0)


def test_parts_are_read_no_faster_than_the_rate() -> None:
    one = schedule()
    one.begin(PARTS)
    assert one.take(1060.0) == PARTS[0]
    assert one.take(1060.4) is None
    assert one.next_at == 1060.5
    assert one.take(1060.5) == PARTS[1]
    assert one.take(1070.0) == PARTS[2], "time that went by is not made up for"
    assert one.take(1070.1) is None


def test_every_part_is_read_once_and_then_there_is_peace_for_a_period() -> None:
    one = schedule()
    now, taken = 1060.0, []
    one.begin(PARTS)
    assert one.report().under_way == 0
    while one.report().under_way is not None:
        part = one.take(now)
        taken += [part] if part is not None else []
        now = one.next_at
    assert taken == PARTS
    assert one.report().completed_at == pytest.approx(1062.0)
    assert not one.wants_parts(1062.0 + 599)
    assert one.wants_parts(1062.0 + 600)


def test_damage_is_counted() -> None:
    one = schedule()
    one.found_damage()
    assert one.report().damaged == 1


@pytest.fixture
def pages(writer: Writer, volume: StorageVolume, template: Template, engine_dir: Path) -> Path:
    """The folder of page images of one full segment, with an image in it."""
    volume.serve_wal(engine_dir / "w")
    volume.start_coalescing(template.installation, engine_dir / "c", SUPERUSER, automatic=False)
    insert(writer, *range(10))
    volume.coalesce()
    return volume.directory / "az-b" / "b1" / "pages"


def rot(pages: Path) -> None:
    """Turn over a byte in the middle of the largest file of an image, whose size stays."""
    (image,) = images(pages)
    largest = max(image.files, key=lambda each: each.size)
    with (image.directory / "data" / largest.path).open("r+b") as file:
        file.seek(largest.size // 2)
        byte = file.read(1)[0]
        file.seek(largest.size // 2)
        file.write(bytes([byte ^ 0xFF]))
    assert image.damaged() == [largest.path]


def wait_until_whole(pages: Path) -> None:
    wait_until(lambda: (found := images(pages)) and not found[0].damaged())


def test_a_page_image_that_rots_is_found_by_the_scrub_and_taken_from_a_peer(
    pages: Path, volume: StorageVolume
) -> None:
    assert volume.scrub() == []
    rot(pages)
    assert volume.scrub() == ["b1"]
    wait_until_whole(pages)
    assert volume.scrub() == []
    assert volume.describe().scrub.damaged == 1


def test_a_full_segment_that_lost_its_pages_is_given_them(
    pages: Path, volume: StorageVolume
) -> None:
    pages.rename(volume.directory / "lost")
    assert volume.scrub() == []
    (image,) = images(pages)
    assert image.damaged() == []


def test_a_page_image_that_rots_is_not_rebuilt_from(
    pages: Path, writer: Writer, volume: StorageVolume
) -> None:
    for segment in ("a1", "b1"):
        rot(volume.directory / f"az-{segment[0]}" / segment / "pages")
    writer.lose()
    writer.start()
    with writer.connect() as conn:
        assert stored(conn) == list(range(10))
    wait_until_whole(pages)


def test_a_volume_without_any_whole_page_image_says_so(
    pages: Path, writer: Writer, volume: StorageVolume, template: Template
) -> None:
    with writer.connect() as conn:
        conn.execute("create table big as select repeat('x', 500) from generate_series(1, 6000)")
    volume.coalesce()
    for az in "abc":
        rot(volume.directory / f"az-{az}" / f"{az}1" / "pages")
    writer.lose()
    with pytest.raises(StorageError, match="none is whole"):
        volume.rebuild(writer.data)


def test_the_scrub_runs_by_itself_and_remembers_when_it_did(
    volume: StorageVolume, writer: Writer, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(writer, 1)
    writer.lose()
    volume.close()
    monkeypatch.setattr(
        upkeep_scrub,
        "ScrubSchedule",
        lambda opened, done: ScrubSchedule(opened, done, first_after_s=0),
    )
    monkeypatch.setattr(upkeep_module, "LOOK_EVERY_S", 0.01)
    again = StorageVolume.open(volume.directory, template.directory, user=template.user)
    try:
        completed = wait_until(lambda: again.describe().scrub.completed_at)
        wait_until_healthy(again)
    finally:
        again.close()
    last = StorageVolume.open(volume.directory, template.directory, user=template.user)
    try:
        remembered = last.describe().scrub
        assert remembered.completed_at == pytest.approx(completed, abs=5)
        assert remembered.under_way is None
    finally:
        last.close()


def test_a_pass_that_is_due_is_waited_for_where_nothing_could_be_repaired(
    volume: StorageVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be asked for again at once otherwise, while the volume cannot be written."""
    scrubbing = volume._upkeep.scrubbing
    monkeypatch.setattr(Mount, "is_writable", property(lambda mount: False))
    monkeypatch.setattr(scrubbing, "_schedule", ScrubSchedule(opened_at=0.0))
    assert scrubbing.step() > 0


def test_damage_is_mended_though_log_is_collected_while_it_is_looked_at(
    writer: Writer, volume: StorageVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(writer, 1)
    volume.inject_fault("segment:a1", "corrupt")
    is_whole, times = repair.is_whole, iter([True, True])

    def collected_at_first(lane: Lane) -> bool:
        if next(times, False):
            raise LookupError("the log begins later by now")
        return is_whole(lane)

    monkeypatch.setattr(repair, "is_whole", collected_at_first)
    assert volume.scrub() == ["a1"]
    assert next(times, None) is None
    wait_until(lambda: volume.scrub() == [])
