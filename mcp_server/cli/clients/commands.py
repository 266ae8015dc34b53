"""The command `init`: its options, and the names of clients that a shell completes."""

import os
from pathlib import Path
from typing import Annotated

import typer

from mcp_server.cli.options import STATE_DIR, AsJson, StateDir, clusters

SERVER = "borealis"


def add_commands(app: typer.Typer) -> None:
    """Add it."""

    @app.command()
    def init(
        names: Annotated[
            list[str] | None,
            typer.Argument(
                help="Clients to configure: vscode, cursor, claude-desktop, claude-code, windsurf, "
                "zed; default: those that you have.",
                metavar="[CLIENT]...",
                autocompletion=_completed,
            ),
        ] = None,
        state_dir: StateDir = STATE_DIR,
        project: Annotated[
            bool, typer.Option("--project", help="Configure the project in this folder alone.")
        ] = False,
        cluster: Annotated[
            str | None,
            typer.Option(help="Let the tools see this cluster only.", autocompletion=clusters),
        ] = None,
        read_only: Annotated[
            bool, typer.Option("--read-only", help="Leave out the tools that write.")
        ] = False,
        server: Annotated[
            str, typer.Option("--name", help="What the client calls the server.")
        ] = SERVER,
        only_print: Annotated[
            bool, typer.Option("--print", help="Show what belongs where; write nothing.")
        ] = False,
        as_json: AsJson = False,
    ) -> None:
        """Write the MCP server into the configuration of your editors and assistants."""
        arguments = ["mcp"]
        if state_dir != STATE_DIR:
            arguments += ["--state-dir", str(state_dir.expanduser().absolute())]
        if cluster is not None:
            arguments += ["--cluster", cluster]
        if read_only:
            arguments.append("--read-only")
        from mcp_server.cli.clients.initializing import run

        run(
            names or (),
            server,
            arguments,
            project=project,
            only_print=only_print,
            as_json=as_json,
        )


def _completed(incomplete: str) -> list[str]:
    from mcp_server.cli.clients.known import known

    names = (client.name for client in known(Path.home(), os.environ))
    return [name for name in names if name.startswith(incomplete)]
