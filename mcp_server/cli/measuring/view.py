"""Metrics in the terminal: a table with a line for each, or one drawn after the other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from cluster_runtime.serverless.metrics.names import METRICS, Role
from cluster_runtime.serverless.metrics.periods import begin
from cluster_runtime.serverless.metrics.results import MetricSeries
from mcp_server.cli import console
from mcp_server.cli.measuring.spans import period_of

if TYPE_CHECKING:
    from cluster_runtime import Runtime

LINE_PARTS = 20
"""Of the line that a table has of each."""
PLOT_ROWS = 8
AXIS_WIDTH = 12
LEVELS = " ▁▂▃▄▅▆▇█"

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is shown. metrics: none for all.

    period: None for one that suits the time and the width.
    """

    metrics: tuple[str, ...]
    start: datetime
    end: datetime
    period: int | None
    instance: str | None
    role: Role | None


def show(runtime: "Runtime", name: str, wanted: Wanted, *, plot: bool, as_json: bool) -> None:
    """Print them. Raises what `describe_metrics` raises."""
    parts = max(LINE_PARTS, console.out.width - AXIS_WIDTH - 1) if plot else LINE_PARTS
    start, end = wanted.start, wanted.end
    age = math.ceil((max(end, datetime.now(UTC)) - start).total_seconds())
    period = wanted.period or period_of(max(1, age), parts)
    found = runtime.describe_metrics(
        name,
        metric_names=wanted.metrics,
        db_instance_identifier=wanted.instance,
        role=wanted.role,
        start_time=start,
        end_time=end,
        period=period,
    )
    if as_json:
        console.result(list(found), as_json=True)
        return
    known = [each for each in found if each.datapoints]
    if not known:
        console.note(f"nothing was measured of cluster {name!r} in that time")
        return
    if plot:
        for each in known:
            console.out.print(draw(each, values_of(each, start, end), start, end))
        return
    console.out.print(table(known, start, end))


def values_of(series: MetricSeries, start: datetime, end: datetime) -> list[float | None]:
    """The average of each period from start to end; None where nothing was measured."""
    first = begin(start.timestamp(), series.period)
    known = {int(one.timestamp.timestamp()): one.average for one in series.datapoints}
    return [known.get(at) for at in range(first, math.ceil(end.timestamp()), series.period)]


def table(known: Sequence[MetricSeries], start: datetime, end: datetime) -> Table:
    """A row for each: the newest value, the average, the most, and a line. It fits 80 columns."""
    shown = Table(
        Column("Metric", overflow="fold"),
        *(Column(title, justify="right") for title in ("Newest", "Average", "Most")),
        "Over time",
        box=None,
        pad_edge=False,
    )
    for each in known:
        points = each.datapoints
        average = sum(one.sum for one in points) / sum(one.sample_count for one in points)
        numbers = (points[-1].average, average, max(one.maximum for one in points))
        shown.add_row(
            Text(each.metric_name),
            *(said(number, each.unit) for number in numbers),
            Text(line(values_of(each, start, end)), "cyan"),
        )
    return shown


def draw(series: MetricSeries, values: Values, start: datetime, end: datetime) -> RenderableType:
    """One over time, with its scale and its times."""
    known = [value for value in values if value is not None]
    top = max(known, default=0.0)
    rows = bars(values, PLOT_ROWS)
    scale = {0: said(top, series.unit), PLOT_ROWS - 1: said(0.0, series.unit)}
    width = len(values)
    first = f"{start.astimezone():%H:%M:%S}"
    last = f"{end.astimezone():%H:%M:%S}"
    gap = " " * max(1, width - len(first) - len(last))
    return Group(
        Text(f"{series.metric_name}  ({METRICS[series.metric_name].words})", "bold"),
        *(
            Text.assemble((f"{scale.get(at, ''):>{AXIS_WIDTH - 1}} ", "dim"), (row, "cyan"))
            for at, row in enumerate(rows)
        ),
        Text(f"{' ' * AXIS_WIDTH}{first}{gap}{last}\n", "dim"),
    )


def line(values: Values) -> str:
    """One row of blocks, from 0 to the most of them."""
    return bars(values, 1)[0]


def bars(values: Values, rows: int) -> list[str]:
    """A column of blocks for each value, the highest row first; nothing where none is known.

    A value that is not 0 has a block at least an eighth high.
    """
    top = max((value for value in values if value is not None), default=0.0)
    steps = len(LEVELS) - 1
    heights = [
        0 if value is None or top <= 0 or value <= 0 else max(1, round(value / top * rows * steps))
        for value in values
    ]
    return [
        "".join(LEVELS[min(steps, max(0, height - below * steps))] for height in heights)
        for below in reversed(range(rows))
    ]


def said(value: float, unit: str) -> str:
    """A value with its unit, short."""
    from mcp_server.cli.volume_view import size

    match unit:
        case "Bytes":
            return size(int(value))
        case "Bytes/Second":
            return f"{size(int(value))}/s"
        case "Percent":
            return f"{value:.1f} %"
        case "Milliseconds":
            return f"{value:.1f} ms"
        case "Count/Second":
            return f"{value:,.1f}/s"
        case _:
            return f"{value:,.2f}".rstrip("0").rstrip(".")
