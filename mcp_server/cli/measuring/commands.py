"""The command `metrics`."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mcp_server.cli import console
from mcp_server.cli.options import STATE_DIR, TIME, AsJson, Name, StateDir, moment

if TYPE_CHECKING:
    from cluster_runtime import Runtime

Opened = Callable[[Path], "AbstractContextManager[Runtime]"]


def add_commands(app: typer.Typer, opened: Opened) -> None:
    """Add it. opened: gives the runtime of a state directory."""

    @app.command()
    def metrics(
        name: Name,
        state_dir: StateDir = STATE_DIR,
        metric: Annotated[
            list[str] | None,
            typer.Option(
                help="As CloudWatch has it, such as CPUUtilization; may be given several times. "
                "Default: all."
            ),
        ] = None,
        since: Annotated[
            str,
            typer.Option(
                "--since",
                "--start-time",
                help=f"From when on. {TIME}, at most 1d before the end.",
                metavar="TIME",
            ),
        ] = "1h",
        end_time: Annotated[
            str | None, typer.Option(help=f"Until when; default: now. {TIME}.", metavar="TIME")
        ] = None,
        period: Annotated[
            int | None,
            typer.Option(
                help="Seconds of each point: 1, 5, 10, 20, 30 or a multiple of 60. "
                "Default: as the time and the width allow."
            ),
        ] = None,
        instance: Annotated[
            str | None,
            typer.Option(
                "--db-instance-identifier",
                "--instance",
                help="Of this instance alone; default: all together.",
            ),
        ] = None,
        role: Annotated[
            Literal["WRITER", "READER"] | None,
            typer.Option(help="Of instances while they were this.", case_sensitive=False),
        ] = None,
        plot: Annotated[bool, typer.Option("--plot", help="Draw each over time.")] = False,
        record: Annotated[
            Path | None,
            typer.Option(
                help="Write what the writer did into this file, as a trace for a simulation.",
                metavar="FILE",
            ),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Show what was measured of a cluster: CPU, memory, sessions, commits, I/O."""
        from mcp_server.cli.measuring import recording, view
        from mcp_server.cli.measuring.spans import LONGEST_S

        end = moment(end_time, "--end-time") if end_time is not None else datetime.now(UTC)
        start = moment(since, "--since", end)
        seconds = math.ceil((end - start).total_seconds())
        if not 0 < seconds <= LONGEST_S:
            raise typer.BadParameter(
                f"it is {start:%Y-%m-%d %H:%M:%S %Z}; it must be before the end, and at most 1d",
                param_hint="--since",
            )
        chosen = (metric, end_time, period, instance, role, plot)
        if record is not None and any(chosen):
            raise typer.BadParameter(
                "it writes a fixed set of facts about the writer, up to now: of the other options "
                "it takes --since alone",
                param_hint="--record",
            )
        with opened(state_dir) as runtime:
            if record is not None:
                lines = recording.record(runtime, name, seconds, record)
                if as_json:
                    console.json_of({"file": str(record), "samples": lines})
                else:
                    samples = console.counted(lines, "sample")
                    console.note(f"{record} has {samples} of cluster {name!r}")
                return
            view.show(
                runtime,
                name,
                view.Wanted(
                    tuple(metric or ()),
                    start,
                    end,
                    period,
                    instance,
                    role,
                ),
                plot=plot,
                as_json=as_json,
            )
