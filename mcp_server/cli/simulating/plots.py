"""Runs of one load as a picture, side by side. Needs the extra `plots`."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.serverless.simulator.simulation import Point, Run

KINDS = frozenset({".svg", ".png", ".pdf"})
POINTS_MAX = 200
"""Of a line: what a screen shows, and a file of some ten kilobytes."""

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
        points = _thinned(run.points)
        top, middle, bottom = (row[column] for row in rows)
        _capacity(top, run, points)
        _line(middle, points, [each.work for each in points], WORK)
        _line(bottom, points, [each.credits for each in points], CREDITS)
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


def _capacity(axes: Axes, run: Run, points: Sequence[Point]) -> None:
    cores = run.setting.unit.cores
    _line(axes, points, [each.offered_cores / cores for each in points], WANTED, "asked for", "--")
    _line(axes, points, [each.capacity for each in points], CAPACITY, "capacity")
    done = "" if run.finished is None else f", done in {run.finished:.0f} s"
    axes.set_title(f"version {run.setting.version.name}\n{run.acu_hours:.2f} ACU-hours{done}")
    axes.legend(loc="upper right", frameon=False)


def _line(
    axes: Axes,
    points: Sequence[Point],
    values: Sequence[float],
    colour: str,
    label: str | None = None,
    style: str = "-",
) -> None:
    axes.plot(
        [each.at for each in points],
        values,
        style,
        color=colour,
        label=label,
        drawstyle="steps-post",
    )


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    """At most so many of them, each its neighbours' highest capacity, and the last one."""
    step = -(-len(points) // POINTS_MAX)
    groups = (points[start : start + step] for start in range(0, len(points), step))
    return [*(max(group, key=lambda each: each.capacity) for group in groups), points[-1]]
