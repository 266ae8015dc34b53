"""Performs `borealis simulate`: from what was asked to a table, JSON and a plot."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typer
from rich.table import Table

from cluster_runtime.serverless.scaling.limits import (
    effective_cache_bytes,
    max_connections,
    shared_buffers_bytes,
)
from cluster_runtime.serverless.scaling.units import CapacityUnit
from cluster_runtime.serverless.scaling.versions import PlatformVersion, version_named
from cluster_runtime.serverless.simulator.comparison import (
    Against,
    Outcome,
    against,
    compared,
    outcomes,
)
from cluster_runtime.serverless.simulator.scenarios import SCENARIOS, known
from cluster_runtime.serverless.simulator.simulation import Run, Setting
from cluster_runtime.serverless.simulator.traces import Trace, read_trace, write_trace
from mcp_server.cli import console

UNCHANGED = Against(None, None, None, None)
VERSIONS_OF_A_FILE = ("2+fast", "3", "4")
TITLES = ("Version", "Peak ACU", "Done in s", "At peak s", "Down in s", "ACU-hours", "USD")
"""In brackets: against the first version."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of the command. price: of an ACU-hour, in USD."""

    trace: str
    versions: tuple[str, ...]
    minimum: float
    maximum: float
    auto_pause: float | None
    cores_per_acu: float
    price: float


def scaling(asked: Asked, plot: Path | None, *, as_json: bool) -> None:
    """Run it, print it, draw it. Raises InvalidParameterError for a trace that is none."""
    trace = _trace(asked.trace)
    versions = _versions(asked)
    draw = None if plot is None else _drawing(plot)
    try:
        unit = CapacityUnit(cores=asked.cores_per_acu)
        setting = Setting(versions[0], asked.minimum, asked.maximum, asked.auto_pause, unit)
        runs = compared(trace, versions, setting)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    found = outcomes(runs, asked.price)
    if draw is not None:
        draw(runs)
    if as_json:
        console.json_of(_as_json(asked, trace, found))
        return
    console.out.print(_table(found))
    if trace.recorded_acu_hours is not None:
        console.note(
            f"recorded: {trace.recorded_acu_hours:.2f} ACU-hours, "
            f"{trace.recorded_acu_hours * asked.price:.2f} USD"
        )
    if trace.full_samples:
        console.note(
            f"the recorded capacity was used up in {trace.full_samples} of {len(trace.samples)} "
            "samples: how much more was wanted, nobody knows"
        )
    if plot is not None:
        console.note(f"drawn in {plot}")


def show_trace(name: str) -> None:
    """Print it. Raises InvalidParameterError for one that is none."""
    typer.echo(write_trace(_trace(name)), nl=False)


def _trace(name: str) -> Trace:
    scenario = known(name)
    if scenario is not None:
        return scenario.load()
    if not Path(name).exists():
        raise typer.BadParameter(
            f"{name!r} is no file and no known load; there are {', '.join(SCENARIOS)}",
            param_hint="--trace",
        )
    return read_trace(Path(name))


def _versions(asked: Asked) -> list[PlatformVersion]:
    scenario = known(asked.trace)
    usual = VERSIONS_OF_A_FILE if scenario is None else scenario.versions
    try:
        return [version_named(each) for each in asked.versions or usual]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--version") from error


def _as_json(asked: Asked, trace: Trace, found: list[Outcome]) -> dict[str, object]:
    recorded = trace.recorded_acu_hours
    return {
        "trace": trace.name,
        "recorded_acu_hours": recorded,
        "recorded_cost_usd": None if recorded is None else recorded * asked.price,
        "full_samples": trace.full_samples,
        "max_connections": max_connections(asked.minimum, asked.maximum),
        "effective_cache_bytes": effective_cache_bytes(asked.maximum),
        "shared_buffers_bytes": {
            "minimum": shared_buffers_bytes(asked.minimum),
            "maximum": shared_buffers_bytes(asked.maximum),
        },
        "runs": [
            {**asdict(each), "against_first": asdict(against(each, found[0]))} for each in found
        ],
    }


def _drawing(path: Path) -> Callable[[Sequence[Run]], None]:
    """What draws runs there. Raises MissingExtraError, or that the file has no known kind."""
    from mcp_server.cli.simulating import plots

    plots.check_kind(path)
    return lambda runs: plots.draw(runs, path)


def _table(found: list[Outcome]) -> Table:
    table = Table(*TITLES)
    for each in found:
        change = against(each, found[0]) if each is not found[0] else UNCHANGED
        times = "" if change.held_times is None else f" ({change.held_times:.1f}x)"
        table.add_row(
            each.name,
            f"{each.peak_acu:g}",
            _seconds(each.finished_seconds) + _change(change.less_time),
            _seconds(each.held_seconds) + times,
            _seconds(each.scale_down_seconds) + _change(change.less_scale_down),
            f"{each.acu_hours:.2f}" + _change(change.less_acu_hours),
            f"{each.cost_usd:.2f}",
        )
    return table


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.0f}"


def _change(less: float | None) -> str:
    return "" if less is None else f" ({round(-100 * less):+d}%)"
