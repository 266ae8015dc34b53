"""The command `metrics`: what it shows, draws and records."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner

from cluster_runtime import Runtime
from cluster_runtime.control.monitoring.metrics import watch
from cluster_runtime.serverless.metrics.periods import is_a_period
from cluster_runtime.serverless.metrics.results import Datapoint, MetricSeries
from cluster_runtime.serverless.metrics.ring import RESOLUTIONS
from cluster_runtime.serverless.scaling.demand import Demand
from mcp_server.cli.commands import app, whole
from mcp_server.cli.measuring import recording, view
from mcp_server.cli.measuring.spans import LONGEST_S, period_of
from mcp_server.cli.options import TIME, moment
from mcp_server.cli.watching import top
from tests.waiting import wait_until

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def often() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "rest", lambda now: 0.1)
        yield


@pytest.fixture
def measured(runtime: Runtime) -> Iterator[str]:
    """A cluster with one client, of which the latest measurement tells."""
    cluster = runtime.create_db_cluster("measured", if_not_exists=True)

    def told() -> bool:
        (found,) = runtime.describe_metrics(
            "measured", metric_names=("DatabaseConnections",), period=1
        )
        return bool(found.datapoints) and found.datapoints[-1].maximum == 1.0

    with cluster.connect():
        wait_until(told)
        yield "measured"


def run(runtime: Runtime, *arguments: str) -> Any:
    (directory,) = {runtime.describe_host().state_directory}
    return CliRunner().invoke(app, [*arguments, "--state-dir", directory])


def test_a_table_has_every_metric_within_80_columns(runtime: Runtime, measured: str) -> None:
    done = run(runtime, "metrics", measured, "--since", "5m")
    assert done.exit_code == 0, done.output
    for name in ("CPUUtilization", "ServerlessDatabaseCapacity", "VolumeBytesUsed"):
        assert name in done.output
    assert max(map(len, done.output.splitlines())) <= 80


def test_one_metric_is_drawn_and_told_as_json(runtime: Runtime, measured: str) -> None:
    chosen = ("metrics", measured, "--metric", "DatabaseConnections")
    drawn = run(runtime, *chosen, "--plot", "--since", "30s")
    assert drawn.exit_code == 0, drawn.output
    assert "DatabaseConnections" in drawn.output
    assert "█" in drawn.output
    (series,) = json.loads(run(runtime, *chosen, "--json", "--since", "30s").output)
    assert series["unit"] == "Count"
    assert series["datapoints"][-1]["maximum"] == 1.0


def test_a_recording_is_a_trace_of_demands(runtime: Runtime, measured: str, tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    file.write_text("of before")
    done = run(runtime, "metrics", measured, "--record", str(file), "--since", "10m")
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines[0]["at"] == 0
    assert [line["at"] for line in lines] == sorted({line["at"] for line in lines})
    assert any(line["connections"] for line in lines)
    for line in lines:
        facts = {name: value for name, value in line.items() if name not in ("at", "capacity_acu")}
        Demand(**{**facts, "connections": round(facts["connections"])})
    assert [each.name for each in tmp_path.iterdir()] == ["trace.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("metrics", "nobody"), 1, "no cluster 'nobody'"),
        (("metrics", "measured", "--metric", "CPU"), 1, "there is no metric 'CPU'"),
        (("metrics", "measured", "--since", "2d"), 2, "at most 1d"),
        (("metrics", "measured", "--since", "soon"), 2, "no duration such as 10m"),
        (("metrics", "measured", "--since", "0s"), 2, "before the end"),
        (("metrics", "measured", "--record", "x", "--plot"), 2, "fixed set of facts"),
    ],
)
def test_what_cannot_be_asked_for(
    runtime: Runtime, measured: str, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = run(runtime, *arguments)
    assert done.exit_code == status
    told = f"{done.output} {done.exception}".replace("│", " ")
    assert said in " ".join(told.split())


def test_a_recording_that_cannot_be_written_is_an_error_and_no_trace(
    runtime: Runtime, measured: str, tmp_path: Path
) -> None:
    done = run(runtime, "metrics", measured, "--record", str(tmp_path / "nowhere" / "x"))
    assert done.exit_code == 1
    assert "cannot be written: No such file or directory" in str(done.exception)


def test_top_shows_the_cpu_of_what_runs(runtime: Runtime, measured: str) -> None:
    (sample,) = [one for one in top.take(runtime) if one.cluster == measured]
    assert sample.cpu_cores is not None
    console = Console(width=200)
    with console.capture() as captured:
        console.print(top.draw(top.rows((), [sample])))
    assert f"{sample.cpu_cores:.2f}" in captured.get()


SPANS = st.integers(1, LONGEST_S)


@given(SPANS, st.integers(1, 200))
def test_a_period_is_allowed_kept_that_long_and_long_enough(seconds: int, parts: int) -> None:
    period = period_of(seconds, parts)
    assert is_a_period(period)
    assert seconds <= period * parts
    resolution = next(each for each in reversed(RESOLUTIONS) if period % each.step == 0)
    assert seconds <= resolution.seconds


@given(st.integers(0, 10**6 - 1), st.sampled_from("smhd"))
def test_a_duration_is_so_long_before(number: int, unit: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400}[unit] * number
    if seconds < START.timestamp():
        assert moment(f" {number}{unit.upper()}", "--since", START) == START - timedelta(
            seconds=seconds
        )


@pytest.mark.parametrize(
    "wrong", ["10x", "m", "1000000d", "-1h", "999999d", "10 minutes", "2026-13-01"]
)
def test_what_is_neither_a_time_nor_a_duration_is_refused(wrong: str) -> None:
    with pytest.raises(typer.BadParameter, match="no duration such as 10m"):
        moment(wrong, "--since", START)


def commands(of: Any, name: str = "borealis") -> Iterator[tuple[str, Any]]:
    yield name, of
    for each, command in getattr(of, "commands", {}).items():
        yield from commands(command, f"{name} {each}")


def test_every_option_that_takes_a_time_takes_a_duration_too() -> None:
    times = [
        (name, option)
        for name, command in commands(get_command(whole()))
        for option in command.params
        if option.metavar == "TIME"
    ]
    assert {f"{name} {option.opts[0]}" for name, option in times} >= {
        "borealis bill --since",
        "borealis metrics --since",
        "borealis metrics --end-time",
        "borealis restore --to",
    }
    assert all(TIME in option.help for _, option in times), times


VALUES = st.lists(st.none() | st.floats(0, 1e12), min_size=1, max_size=60)


@given(VALUES, st.integers(1, 10))
def test_bars_are_as_high_as_their_values(values: list[float | None], rows: int) -> None:
    drawn = view.bars(values, rows)
    assert [len(row) for row in drawn] == [len(values)] * rows
    heights = [sum(view.LEVELS.index(row[at]) for row in drawn) for at in range(len(values))]
    known = [(value or 0.0, height) for value, height in zip(values, heights, strict=True)]
    assert all((height > 0) is (value > 0) for value, height in known)
    most = max(value for value, _ in known)
    assert max(heights) == (rows * 8 if most else 0)
    ordered = [height for _, height in sorted(known)]
    assert ordered == sorted(ordered)


def test_gaps_are_left_empty_and_not_drawn_as_zero() -> None:
    points = tuple(
        Datapoint(START + timedelta(seconds=at), 1, value, value, value, value)
        for at, value in ((0, 1.0), (20, 4.0))
    )
    series = MetricSeries("AWS/RDS", "CPUUtilization", "Percent", 10, "one", None, None, points)
    end = START + timedelta(seconds=25)
    assert view.values_of(series, START + timedelta(seconds=3), end) == [1.0, None, 4.0]


def test_a_pause_in_a_trace_is_a_stretch_without_demand() -> None:
    busy = {"cpu_cores": 1.0, "connections": 2.0}
    found = list(recording.trace({100: (1, busy), 101: (1, busy), 160: (60, busy)}))
    assert [(line["at"], line["cpu_cores"]) for line in found] == [
        (0, 1.0),
        (1, 1.0),
        (2, 0.0),
        (60, 1.0),
    ]
    assert list(recording.trace({})) == []


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1536.0, "Bytes", "1.5 KiB"),
        (0.0, "Bytes/Second", "0 B/s"),
        (12.34, "Percent", "12.3 %"),
        (1.26, "Milliseconds", "1.3 ms"),
        (1234.0, "Count/Second", "1,234.0/s"),
        (0.5, "Count", "0.5"),
        (16.0, "Count", "16"),
    ],
)
def test_values_are_said_with_their_units(value: float, unit: str, text: str) -> None:
    assert view.said(value, unit) == text
