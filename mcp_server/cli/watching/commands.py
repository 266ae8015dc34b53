"""The commands `logs` and `top`. `events` is an operation, and has --follow too."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcp_server.cli.options import STATE_DIR, AsJson, StateDir, clusters

if TYPE_CHECKING:
    from cluster_runtime import Runtime

Opened = Callable[[Path], "AbstractContextManager[Runtime]"]
LINES_MAX = 10_000


def add_commands(app: typer.Typer, opened: Opened) -> None:
    """Add them. opened: gives the runtime of a state directory."""

    @app.command()
    def logs(
        name: Annotated[
            str | None,
            typer.Argument(
                help="Identifier of the cluster; none with --host.",
                metavar="[CLUSTER]",
                autocompletion=clusters,
            ),
        ] = None,
        state_dir: StateDir = STATE_DIR,
        host: Annotated[
            bool, typer.Option("--host", help="The log of the host, whether it runs or not.")
        ] = False,
        follow: Annotated[
            bool, typer.Option("--follow", "-f", help="Go on with what comes, until interrupted.")
        ] = False,
        lines: Annotated[
            int, typer.Option("--lines", "-n", min=1, max=LINES_MAX, help="How many lines back.")
        ] = 100,
        instance: Annotated[
            str | None, typer.Option(help="The instance whose log it is; default: the writer.")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Show the log of a cluster's PostgreSQL, or of the host."""
        if (name is None) is not host or (host and instance is not None):
            raise typer.BadParameter("name a cluster, or say --host alone", param_hint="CLUSTER")
        from mcp_server.cli.watching import logs as reading

        if name is None:
            reading.show_host(state_dir.expanduser(), lines, follow=follow, as_json=as_json)
            return
        with opened(state_dir) as runtime:
            reading.show(runtime, name, instance, lines, follow=follow, as_json=as_json)

    @app.command()
    def top(
        names: Annotated[
            list[str] | None,
            typer.Argument(
                help="Clusters to watch; default: all.",
                metavar="[CLUSTER]...",
                autocompletion=clusters,
            ),
        ] = None,
        state_dir: StateDir = STATE_DIR,
        interval: Annotated[
            float, typer.Option("--interval", "-d", min=0.1, help="Seconds between two looks.")
        ] = 1.0,
        once: Annotated[bool, typer.Option("--once", help="Look once, print, end.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Watch all clusters: ACU, CPU, connections, commits, log, lag, and the six segments."""
        from mcp_server.cli.watching import top as watching

        with opened(state_dir) as runtime:
            watching.watch(runtime, names or (), interval, once=once, as_json=as_json)
