"""The commands `url`, `psql` and `exec`."""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcp_server.cli import console
from mcp_server.cli.connecting import address
from mcp_server.cli.options import (
    STATE_DIR,
    AsJson,
    Database,
    Name,
    Reader,
    StablePassword,
    StateDir,
)
from mcp_server.errors import McpServerError

if TYPE_CHECKING:
    from cluster_runtime import ClusterHandle, Runtime

Opened = Callable[[Path], "AbstractContextManager[Runtime]"]


class ProgramNotFoundError(McpServerError):
    """There is no such program on the search path."""


class NoSharedPortError(McpServerError):
    """The host has no port that all endpoints share."""


def add_commands(app: typer.Typer, opened: Opened) -> None:
    """Add them. opened: gives the runtime of a state directory."""

    @app.command()
    def url(
        name: Name,
        state_dir: StateDir = STATE_DIR,
        reader: Reader = False,
        database: Database = None,
        password: StablePassword = False,
        shared: Annotated[
            bool,
            typer.Option(
                "--shared", help="By the port that all endpoints share, told apart by name."
            ),
        ] = False,
        env: Annotated[
            bool, typer.Option("--env", help="Print PG* variables and DATABASE_URL, one a line.")
        ] = False,
        as_json: AsJson = False,
    ) -> None:
        """Print the libpq URI of a cluster, for psql and programs; as secret as a password."""
        with opened(state_dir) as runtime:
            dsn = _dsn(runtime, name, reader, database, password, shared=shared)
        if as_json:
            console.json_of(address.parts_of(dsn))
        elif env:
            print(address.lines(address.variables(dsn)))
        else:
            print(dsn)

    @app.command()
    def psql(
        name: Name,
        arguments: Annotated[
            list[str] | None,
            typer.Argument(help="Behind --: more arguments of psql.", metavar="[-- ARGUMENTS]"),
        ] = None,
        state_dir: StateDir = STATE_DIR,
        reader: Reader = False,
        database: Database = None,
        command: Annotated[
            list[str] | None,
            typer.Option("--command", "-c", help="Run this SQL and exit; may be repeated."),
        ] = None,
        file: Annotated[
            list[str] | None,
            typer.Option(
                "--file",
                "-f",
                help="Run this file, after commands; - is standard input.",
                metavar="FILE",
            ),
        ] = None,
        builtin: Annotated[
            bool, typer.Option("--builtin", help="Use the built-in shell even if psql is there.")
        ] = False,
    ) -> None:
        """Open a SQL shell on a cluster: psql if it is installed, else a small one of ours."""
        from mcp_server.cli import shell

        script = shell.Script(tuple(command or ()), tuple(file or ()), tuple(arguments or ()))
        with opened(state_dir) as runtime:
            dsn = _dsn(runtime, name, reader, database)
            status = shell.run(dsn, script, builtin=builtin)
        raise typer.Exit(status)

    @app.command("exec")
    def execute(
        name: Name,
        command: Annotated[
            list[str],
            typer.Argument(help="Behind --: a program and its arguments.", metavar="-- COMMAND..."),
        ],
        state_dir: StateDir = STATE_DIR,
        reader: Reader = False,
        database: Database = None,
        password: StablePassword = False,
    ) -> None:
        """Run a program that finds the cluster in its environment: PG* and DATABASE_URL."""
        from mcp_server.cli import foreground

        if shutil.which(command[0]) is None:
            raise ProgramNotFoundError(f"there is no program {command[0]!r} on the search path")
        with opened(state_dir) as runtime:
            dsn = _dsn(runtime, name, reader, database, password)
            status = foreground.run(command, os.environ | address.variables(dsn))
        raise typer.Exit(status)


def _dsn(
    runtime: "Runtime",
    name: str,
    reader: bool,
    database: str | None,
    password: bool = False,
    *,
    shared: bool = False,
) -> str:
    cluster = runtime.cluster(name)
    port = _shared_port(runtime) if shared else None
    dsn = cluster.dsn("reader" if reader else "writer", dbname=database, port=port)
    if not password:
        return dsn
    return address.with_password(dsn, _master_password(runtime, cluster))


def _shared_port(runtime: "Runtime") -> int:
    port = runtime.describe_host().gateway_port
    if port is None:
        raise NoSharedPortError(
            "the host was opened without the port that endpoints share; leave out --shared"
        )
    return port


def _master_password(runtime: "Runtime", cluster: "ClusterHandle") -> str:
    """The one that the runtime manages; from now on, where it did not before."""
    facts = cluster.describe()
    name = facts.db_cluster_identifier
    if facts.master_user_secret is None:
        runtime.modify_db_cluster(name, manage_master_user_password=True)
    return runtime.get_master_user_secret(name).password
