"""`borealis simulate`: the table, JSON and a plot of what scaling would do with a load."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mcp_server.cli.commands import app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *arguments], env={"COLUMNS": "100"})


def test_a_known_load_is_compared_on_the_versions_that_it_is_known_for() -> None:
    done = run("scaling", "--trace", "sysbench-ramp")
    assert done.exit_code == 0, done.output
    assert "2+fast" in done.output
    assert "(3.6x)" in done.output
    assert "(-9%)" in done.output


def test_what_a_recording_would_have_cost_on_another_version(tmp_path: Path) -> None:
    path = tmp_path / "recorded.jsonl"
    path.write_text(
        "".join(
            json.dumps(
                {"at": at, "cpu_cores": 3.9 if 60 <= at < 120 else 0.1, "capacity_acu": 16.0}
            )
            + "\n"
            for at in range(600)
        )
    )
    done = run("scaling", "--trace", str(path), "--version", "3", "--version", "4", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["recorded_acu_hours"] == pytest.approx(16 * 600 / 3600)
    assert found["recorded_cost_usd"] == pytest.approx(16 * 600 / 3600 * 0.12)
    assert found["full_samples"] == 60
    assert [each["name"] for each in found["runs"]] == ["3", "4"]
    for each in found["runs"]:
        assert 0 < each["acu_hours"] < found["recorded_acu_hours"]
        assert each["cost_usd"] == pytest.approx(each["acu_hours"] * 0.12)

    told = run("scaling", "--trace", str(path))
    assert "recorded: 2.67 ACU-hours, 0.32 USD" in told.output
    assert "used up in 60 of 600 samples" in " ".join(told.output.split())


def test_a_load_can_be_printed_changed_and_simulated(tmp_path: Path) -> None:
    printed = run("trace", "sysbench-ramp")
    path = tmp_path / "mine.jsonl"
    path.write_text(
        printed.output.replace('"work_core_seconds": 9000.0', '"work_core_seconds": 900')
    )
    whole, part = (
        json.loads(run("scaling", "--trace", trace, "--version", "3", "--json").stdout)["runs"][0]
        for trace in ("sysbench-ramp", str(path))
    )
    assert part["finished_seconds"] < whole["finished_seconds"] / 2


def test_the_range_and_the_price_count() -> None:
    done = run(
        *("scaling", "--trace", "sysbench-ramp", "--version", "2", "--json"),
        *("--minimum", "8", "--maximum", "16", "--price", "0.2", "--cores-per-acu", "0.5"),
    )
    told = json.loads(done.stdout)
    assert told["max_connections"] == 3360
    assert told["shared_buffers_bytes"]["minimum"] < told["effective_cache_bytes"]
    (found,) = told["runs"]
    assert found["peak_acu"] == 16
    assert found["cost_usd"] == pytest.approx(found["acu_hours"] * 0.2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--trace", "sysbench"], "there are sysbench-ramp, sysbench-heavy"),
        (["--trace", "sysbench-ramp", "--version", "9"], "no platform version"),
        (["--trace", "sysbench-ramp", "--minimum", "3", "--maximum", "2"], "maximum is 2 ACU"),
        (["--trace", "sysbench-ramp", "--minimum", "0.3"], "in steps of 0.5"),
        (["--trace", "sysbench-ramp", "--cores-per-acu", "0"], "more than 0"),
        (["--trace", "sysbench-ramp", "--cores-per-acu", "nan"], "more than 0"),
        (["--trace", "sysbench-ramp", "--auto-pause", "300"], "only with 0 does it pause"),
        (["--trace", "sysbench-ramp", "--price", "-1"], "--price"),
    ],
)
def test_wrong_usage_says_what_is_right(arguments: list[str], says: str) -> None:
    done = run("scaling", *arguments)
    assert done.exit_code == 2
    assert says in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize("kind", [".svg", ".png"])
def test_a_plot_shows_the_versions_side_by_side(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra plots is not installed")
    path = tmp_path / f"out{kind}"
    done = run("scaling", "--trace", "sysbench-ramp", "--plot", str(path))
    assert done.exit_code == 0, done.output
    assert path.stat().st_size < 100_000
    if kind == ".svg":
        drawn = path.read_bytes()
        text = "".join(ElementTree.fromstring(drawn).itertext())
        for said in ("version 2\n", "version 2+fast", "ACU-hours", "capacity", "asked for"):
            assert said.strip() in text
        run("scaling", "--trace", "sysbench-ramp", "--plot", str(path))
        assert path.read_bytes() == drawn


@pytest.mark.parametrize("name", ["out.gif", "out", "missing/out.svg"])
def test_a_plot_that_cannot_be_drawn_is_refused(name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra plots is not installed")
    done = run("scaling", "--trace", "sysbench-ramp", "--plot", str(tmp_path / name))
    assert done.exit_code == 1
    assert "a plot" in str(done.exception)
