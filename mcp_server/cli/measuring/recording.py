"""Writes what the writer of a cluster did, in the finest resolution that is kept of each stretch.

The lines are those of a trace (docs/serverless.md): `borealis simulate scaling --trace FILE` plays
them again. A stretch without samples, such as a pause, is one of no demand.
"""

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_runtime.serverless.metrics.names import CPU_CORES, MEMORY_USED, Role
from cluster_runtime.serverless.metrics.ring import RESOLUTIONS
from mcp_server.errors import McpServerError

if TYPE_CHECKING:
    from cluster_runtime import Runtime

OF_THE_WRITER = {
    CPU_CORES: "cpu_cores",
    MEMORY_USED: "memory_bytes",
    "NetworkReceiveThroughput": "network_bytes_per_second",
    "NetworkTransmitThroughput": "network_bytes_per_second",
    "DatabaseConnections": "connections",
    "ServerlessDatabaseCapacity": "capacity_acu",
}
OF_THE_VOLUME = {"VolumeReadIOPs": "read_iops", "VolumeWriteIOPs": "write_iops"}
NOTHING = dict.fromkeys((*OF_THE_WRITER.values(), *OF_THE_VOLUME.values()), 0.0)

Rows = dict[int, dict[str, float]]
"""What is known of the stretches that begin at a second."""


def record(runtime: "Runtime", name: str, seconds: int, file: Path) -> int:
    """Write a trace of the last seconds; how many lines it has.

    A file that is there is replaced once all of it is written. Raises McpServerError where it
    cannot be, and what `describe_metrics` raises.
    """
    now = datetime.now(UTC)
    lines = list(trace(_stretches(runtime, name, now, seconds)))
    partial = file.with_name(f"{file.name}.new")
    try:
        with partial.open("w", encoding="utf-8") as out:
            out.writelines(f"{json.dumps(line)}\n" for line in lines)
        os.replace(partial, file)
    except OSError as error:
        raise McpServerError(f"{file} cannot be written: {error.strerror}") from error
    return len(lines)


def trace(stretches: Mapping[int, tuple[int, Mapping[str, float]]]) -> Iterator[dict[str, float]]:
    """The lines of a trace, from stretches by when they begin, with their length in seconds."""
    first = min(stretches, default=0)
    ended = first
    for at, (length, facts) in sorted(stretches.items()):
        if at > ended:
            yield {"at": ended - first, **NOTHING}
        yield {"at": at - first, **facts}
        ended = at + length


def _stretches(
    runtime: "Runtime", name: str, now: datetime, seconds: int
) -> dict[int, tuple[int, Mapping[str, float]]]:
    found: dict[int, tuple[int, Mapping[str, float]]] = {}
    until = now
    for resolution in RESOLUTIONS:
        is_last = seconds <= resolution.seconds
        reach = seconds if is_last else resolution.seconds
        # Where a coarser one follows, it must go on where this one begins.
        step = resolution.step if is_last else RESOLUTIONS[-1].step
        start = _aligned(now - timedelta(seconds=reach), step)
        rows = _rows(runtime, name, start, until, resolution.step)
        found |= {at: (resolution.step, facts) for at, facts in rows.items()}
        if is_last:
            break
        until = start
    return found


def _aligned(moment: datetime, step: int) -> datetime:
    """The next moment where a slot of so many seconds begins."""
    return datetime.fromtimestamp(-(-moment.timestamp() // step) * step, UTC)


def _rows(runtime: "Runtime", name: str, start: datetime, until: datetime, step: int) -> Rows:
    rows: Rows = {}

    def take(wanted: Mapping[str, str], role: Role | None) -> None:
        for each in runtime.describe_metrics(
            name,
            metric_names=tuple(wanted),
            role=role,
            start_time=start,
            end_time=until,
            period=step,
        ):
            for point in each.datapoints:
                facts = rows.setdefault(int(point.timestamp.timestamp()), {})
                field = wanted[each.metric_name]
                facts[field] = facts.get(field, 0.0) + point.average

    take(OF_THE_WRITER, "WRITER")
    take(OF_THE_VOLUME, None)  # a sample is what came in its second
    return rows
