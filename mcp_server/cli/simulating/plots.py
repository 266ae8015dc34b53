"""Runs of one load as a picture, side by side. Needs the extra `plots`."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.serverless.simulator.simulation import Point, Run

KINDS = frozenset({".svg", ".png", ".pdf"})
POINTS_MAX = 150
"""Of a line: what a screen shows, in a file of less than 100 kB."""

WIDTH_INCHES, HEIGHT_INCHES = 4.2, 6.4
CAPACITY, WANTED, WORK, CREDITS = "#1f6fb4", "#c9541c", "#2c7a4b", "#7a5195"
"""Colours that also differ in grey."""


def check_kind(path: Path) -> None:
    """Raises InvalidParameterError unless a file of this name can be drawn."""
    if path.suffix.lower() not in KINDS:
        raise InvalidParameterError(
            f"a plot in {path}: its name must end in {', '.join(sorted(KINDS))}"
        )


def draw(runs: Sequence[Run], path: Path) -> None:
    """Draw them into a file. Raises InvalidParameterError if it cannot be written."""
    check_kind(path)
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
    # Text stays text, and the same runs are the same file.
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "borealis", "font.size": 9}
    ):
        try:
            _figure(runs).savefig(path, metadata=metadata)
        except OSError as error:
            raise InvalidParameterError(f"a plot cannot be written: {error}") from error


def _figure(runs: Sequence[Run]) -> Figure:
    figure = Figure(figsize=(WIDTH_INCHES * len(runs), HEIGHT_INCHES), layout="constrained")
    rows = figure.subplots(3, len(runs), sharex="all", sharey="row", squeeze=False)
    for column, run in enumerate(runs):
        times, points = _thinned(run)
        top, middle, bottom = (row[column] for row in rows)
        _capacity(top, run, times, points)
        _line(middle, times, [each.work for each in points], WORK)
        _line(bottom, times, [each.credits for each in points], CREDITS)
        bottom.set_xlabel("seconds")
        for axes in (top, middle, bottom):
            axes.grid(alpha=0.25)
    for row in rows:  # all lines are there, so that the columns of a row have the same height
        row[0].set_ylim(bottom=0)
    rows[0][0].set_ylabel("ACU")
    rows[1][0].set_ylabel("work per second\n(cores of version 2)")
    rows[2][0].set_ylabel("credits (ACU)")
    figure.suptitle(runs[0].trace.name)
    return figure


def _capacity(axes: Axes, run: Run, times: Sequence[float], points: Sequence[Point]) -> None:
    cores = run.setting.unit.cores
    _line(axes, times, [each.offered_cores / cores for each in points], WANTED, "asked for", "--")
    _line(axes, times, [each.capacity for each in points], CAPACITY, "capacity")
    done = "" if run.finished is None else f", done in {run.finished:.0f} s"
    axes.set_title(f"version {run.setting.version.name}\n{run.acu_hours:.2f} ACU-hours{done}")
    axes.legend(loc="upper right", frameon=False)


def _line(
    axes: Axes,
    times: Sequence[float],
    values: Sequence[float],
    colour: str,
    label: str | None = None,
    style: str = "-",
) -> None:
    axes.plot(times, values, style, color=colour, label=label, drawstyle="steps-post")


def _thinned(run: Run) -> tuple[Sequence[float], Sequence[Point]]:
    """Times at equal distances, and of what was so until the next one that of most capacity."""
    step = run.trace.seconds / POINTS_MAX
    starts = [number * step for number in range(POINTS_MAX)]
    ends = [each.at + each.seconds for each in run.points]
    begins = [each.at for each in run.points]
    found = []
    for start in starts:
        first = min(bisect_right(ends, start), len(run.points) - 1)
        after = max(bisect_left(begins, start + step), first + 1)
        found.append(max(run.points[first:after], key=lambda each: each.capacity))
    return [*starts, run.trace.seconds], [*found, run.points[-1]]
