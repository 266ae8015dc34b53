"""Commands that watch: what they see is so, and they wake nobody."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.errors import ClusterNotFoundError
from cluster_runtime.host.log_file import logging_to_file
from cluster_runtime.host.log_limits import LogLimits
from cluster_runtime.logs import get_logger
from mcp_server.cli.commands import app
from mcp_server.cli.watching import logs, top
from mcp_server.cli.watching.following import new_ones
from mcp_server.cli.watching.samples import Sample, Segment, rows
from tests.waiting import wait_until


@pytest.fixture
def watched(runtime: Runtime) -> ClusterHandle:
    return runtime.create_db_cluster("watched", if_not_exists=True)


def picture(shown: list[top.Row]) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(top.draw(shown))
    return captured.get()


def test_top_shows_connections_commits_and_six_segments(
    runtime: Runtime, watched: ClusterHandle
) -> None:
    with watched.connect(autocommit=True) as conn:
        conn.execute("create table if not exists load (x int)")
        before = top.take(runtime, [watched.id])

        def busy() -> list[top.Row]:
            for _ in range(10):
                conn.execute("insert into load values (1)")
            shown = rows(before, top.take(runtime, [watched.id]))
            return shown if shown[0].commits_per_second else []

        (row,) = shown = wait_until(busy)
    assert row.sample.connections == 1
    assert row.log_bytes_per_second
    assert [one.id for one in row.sample.segments] == ["a1", "a2", "b1", "b2", "c1", "c2"]
    assert row.lag_bytes is not None
    assert "▣▣ ▣▣ ▣▣" in picture(shown)


def test_top_shows_a_zone_that_is_lost(runtime: Runtime, watched: ClusterHandle) -> None:
    watched.connect().close()
    runtime.inject_fault("watched", "az:b", "crash")
    try:
        assert "▣▣ ▢▢ ▣▣" in picture(rows((), top.take(runtime, [watched.id])))
    finally:
        runtime.heal_fault("watched")


def test_top_leaves_a_paused_cluster_asleep(
    runtime: Runtime, watched: ClusterHandle, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.pause_db_cluster("watched")
    top.watch(runtime, [watched.id], 0.05, once=True, as_json=True)
    (shown,) = json.loads(capsys.readouterr().out)["clusters"]
    assert (shown["cluster"], shown["status"], shown["capacity_acu"]) == ("watched", "paused", 0)
    assert (shown["commits_per_second"], shown["segments"]) == (None, {})
    assert watched.describe().paused
    with pytest.raises(ClusterNotFoundError):
        top.watch(runtime, ["nothing"], 0.05, once=True, as_json=True)


def sample(at: float, commits: int | None, vdl: int | None = None, **more: object) -> Sample:
    return Sample(at, "c", "available", 0.5, 0, commits, vdl=vdl, **more)  # type: ignore[arg-type]


def test_a_rate_is_what_came_between_two_looks() -> None:
    (row,) = rows([sample(10, 100, 1000)], [sample(12, 150, 5096)])
    assert (row.commits_per_second, row.log_bytes_per_second) == (25, 2048)
    for before in ([], [sample(12, 100)], [sample(10, None)], [sample(10, 200)]):
        assert rows(before, [sample(12, 150)])[0].commits_per_second is None


@given(st.lists(st.none() | st.integers(0, 10**9), max_size=6), st.none() | st.integers(0, 10**9))
def test_the_lag_is_that_of_the_slowest_who_answers(
    lags: list[int | None], replica: int | None
) -> None:
    segments = tuple(Segment(str(at), "healthy", lag) for at, lag in enumerate(lags))
    (row,) = rows((), [sample(0, 0, segments=segments, replica_lag_bytes=replica)])
    known = [each for each in (*lags, replica) if each is not None]
    assert row.lag_bytes == (max(known) if known else None)


def test_events_that_come_are_told_once(runtime: Runtime, watched: ClusterHandle) -> None:
    every = new_ones(lambda: runtime.describe_events("watched"), every=0)
    told = (each for each in every if "configuration change" in each.event_categories)
    runtime.modify_db_cluster("watched", reset_settings=True)
    first = next(told)
    assert "were reset" in first.message
    runtime.modify_db_cluster("watched", reset_settings=True)
    second = next(told)
    assert second.date > first.date


def test_the_log_of_a_server_is_shown_from_its_end(
    runtime: Runtime, watched: ClusterHandle, capsys: pytest.CaptureFixture[str]
) -> None:
    with watched.connect(autocommit=True) as conn:
        conn.execute("do $$ begin raise log 'first'; raise log 'second'; end $$")
    logs.show(runtime, "watched", None, 40, follow=False, as_json=True)
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    lines = [one["line"] for one in said]
    assert {one["instance"] for one in said} == {"watched-instance-1"}
    (at,) = [at for at, line in enumerate(lines) if line.endswith("LOG:  first")]
    assert any(line.endswith("LOG:  second") for line in lines[at:])
    logs.show(runtime, "watched", "watched-instance-1", 1, follow=False, as_json=False)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_the_segments_are_six_whatever_their_order() -> None:
    shown = tuple(Segment(name, "healthy", 0) for name in ("c2", "a1", "b1", "c1", "a2", "b2"))
    assert "▣▣ ▣▣ ▣▣" in picture(rows((), [sample(0, 0, segments=shown)]))


def test_the_log_of_the_host_is_read_with_or_without_a_host(tmp_path: Path) -> None:
    with logging_to_file(tmp_path, LogLimits()):
        get_logger("cluster_runtime.x").warning("no room", cluster="notes", free_bytes=3)
    where = ["--state-dir", str(tmp_path)]
    shown = CliRunner().invoke(app, ["logs", "--host", *where])
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.endswith(
        ' WARNING no room cluster="notes" free_bytes=3 (cluster_runtime.x)\n'
    )
    told = json.loads(CliRunner().invoke(app, ["logs", "--host", "--json", *where]).stdout)
    assert (told["event"], told["cluster"]) == ("no room", "notes")
    for wrong in (["logs"], ["logs", "notes", "--host"]):
        assert CliRunner().invoke(app, [*wrong, *where]).exit_code == 2
