"""The storage volume of a cluster, drawn: three availability zones with two segments each."""

from collections.abc import Sequence
from datetime import datetime

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cluster_runtime.storage.core.policy.scrub import ScrubReport
from cluster_runtime.storage.core.types import AZS, SegmentState
from cluster_runtime.storage.core.wal_records import format_lsn
from cluster_runtime.storage.description import SegmentDescription, VolumeDescription

STYLES = {
    SegmentState.HEALTHY: "green",
    SegmentState.SUSPECT: "red",
    SegmentState.REPAIRING: "yellow",
    SegmentState.GONE: "red",
}
KIB = 1024


def draw(volume: VolumeDescription) -> RenderableType:
    """The volume as something that rich prints."""
    zones = Columns([_zone(volume, az) for az in AZS], equal=True)
    return Group(_facts(volume), zones, _holders(volume))


def _facts(volume: VolumeDescription) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    for name, value in (
        ("Volume", volume.volume_id),
        ("Storage", volume.storage_type),
        ("Epoch", str(volume.epoch)),
        ("Durable LSN (VDL)", format_lsn(volume.vdl)),
        ("Complete LSN (VCL)", format_lsn(volume.vcl)),
        (
            "Pages at LSN",
            f"{format_lsn(volume.image_lsn)}, {size(volume.log_bytes_since_image)} behind",
        ),
        ("Next pages", _next_pages(volume)),
        (
            "Allocated",
            f"{volume.allocated_storage_gib} GiB for {size(volume.bytes_used)}, "
            f"protection groups: {volume.protection_groups}",
        ),
        ("I/O operations", f"{volume.io.write_ios} writes, {volume.io.read_ios} reads"),
        ("Last scrub", _scrub(volume.scrub)),
    ):
        table.add_row(name, Text(value))
    writable = (
        Text("yes", "green") if volume.writable else Text("no: the write quorum is lost", "red")
    )
    table.add_row("Writable", writable)
    if volume.throttled:
        table.add_row("Throttled", Text("yes: a segment that is far behind catches up", "yellow"))
    return table


def _next_pages(volume: VolumeDescription) -> str:
    """When pages are made again: the bound of the log, and whether that is under way."""
    coalescing = volume.coalescing
    words = [f"after {size(coalescing.log_bound_bytes)} of log"]
    if coalescing.running:
        words.append("being made now")
    if coalescing.last_seconds is not None:
        words.append(f"the last took {coalescing.last_seconds:.1f} s")
    if coalescing.problem:
        words.append(f"the last try failed: {coalescing.problem}")
    return ", ".join(words)


def _holders(volume: VolumeDescription) -> Table:
    """Why log is kept: whose it is, since when, from where on, and how much."""
    table = Table("Kept for", "Name", "Since", "From LSN", "Log", box=None, pad_edge=False)
    for one in volume.holders:
        log = size(one.log_bytes) + (", and pages" if one.with_pages else "")
        table.add_row(
            one.kind.value, one.name, _age(one.age_seconds), format_lsn(one.lsn), Text(log)
        )
    return table


def _age(seconds: float) -> str:
    """`12 s`, `3 min`, `5 h`, `2 d`."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _scrub(report: ScrubReport) -> str:
    last = report.completed_at
    when = f"{datetime.fromtimestamp(last):%Y-%m-%d %H:%M}" if last is not None else "none yet"
    now = f", {report.under_way:.0%} of the next" if report.under_way is not None else ""
    return f"{when}{now}, damage found: {report.damaged}"


def _zone(volume: VolumeDescription, az: str) -> Panel:
    segments = [segment for segment in volume.segments if segment.az == az]
    return Panel(_segments(segments, volume.vdl), title=f"AZ {az}", expand=False)


def _segments(segments: Sequence[SegmentDescription], vdl: int) -> Table:
    table = Table("", "", "LSN", "Lag", "Size", box=None, pad_edge=False)
    for one in segments:
        style = STYLES[one.state]
        reachable = one.state in (SegmentState.HEALTHY, SegmentState.REPAIRING)
        table.add_row(
            Text("▣ " if reachable else "▢ ", style) + Text(one.id, style),
            Text(one.kind.value, style="dim"),
            format_lsn(one.scl) if reachable else Text(one.state.value, style),
            size(max(0, vdl - one.scl)) if reachable else "",
            size(one.bytes),
        )
        for trouble in (one.problem, one.fault and f"fault: {one.fault}"):
            if trouble:
                table.add_row("", "", Text(trouble, style="red"), "", "")
    return table


def size(count: int) -> str:
    """Bytes with a unit: `512 B`, `3.2 MiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < KIB or unit == "GiB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= KIB
    raise AssertionError("the loop returns")
