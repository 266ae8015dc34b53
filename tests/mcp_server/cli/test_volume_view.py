"""The volume as `borealis storage show` draws it, healthy and with a segment lost."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from cluster_runtime import Runtime
from cluster_runtime.storage.core.policy.retention import HolderKind
from mcp_server.cli.volume_view import draw, size


def drawn(volume: Any) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(draw(volume))
    return console.file.getvalue()


def test_three_zones_with_two_segments_each_are_drawn(runtime: Runtime) -> None:
    runtime.create_db_cluster("drawn")
    picture = drawn(runtime.describe_volume("drawn"))
    for part in ("AZ a", "AZ b", "AZ c", "a1  full", "a2  tail", "Durable LSN", "Writable", "yes"):
        assert part in picture
    assert picture.count("▣") == 6
    for part in ("1 GiB for", "protection groups: 1", "writes,", "reads", "Last scrub"):
        assert part in picture
    for part in ("Next pages", "after 16.0 MiB of log", "Kept for", "recovery", "writer", "pages"):
        assert part in picture


def test_why_log_is_kept_is_drawn(runtime: Runtime) -> None:
    cluster = runtime.create_db_cluster("held")
    with cluster.connect() as conn:
        conn.execute("create table t as select repeat('x', 500) from generate_series(1, 4000)")
    volume = runtime._home.service.find("held").instances.storage.open_for("a test")
    hold = volume.hold(HolderKind.CLONE, "copy-of-held", volume.describe().vdl)
    with cluster.connect() as conn:
        conn.execute("insert into t select * from t")
    picture = drawn(runtime.describe_volume("held"))
    (line,) = [each for each in picture.splitlines() if "copy-of-held" in each]
    assert "clone" in line
    assert "MiB" in line
    assert re.search(r"\d+ s\b", line)
    hold.release()
    assert "copy-of-held" not in drawn(runtime.describe_volume("held"))


def test_a_lost_segment_is_drawn_as_lost(runtime: Runtime) -> None:
    runtime.create_db_cluster("wounded")
    runtime.inject_fault("wounded", "segment:b2", "crash")
    picture = drawn(runtime.describe_volume("wounded"))
    assert picture.count("▣") == 5
    assert "▢ b2" in picture
    assert "fault: crash" in picture
    runtime.heal_fault("wounded")


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 2**40, "5120.0 GiB")]
)
def test_sizes_have_units(count: int, text: str) -> None:
    assert size(count) == text
