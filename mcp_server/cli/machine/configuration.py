"""The command `config`: which settings are in force here, where each comes from, which files."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import typer
from rich.table import Table
from rich.text import Text
from typer.main import get_command

from mcp_server.cli import console
from mcp_server.cli.options import STATE_DIR, STATE_DIR_VARIABLE, AsJson, StateDir
from mcp_server.errors import DISTRIBUTION

FILES = {
    "catalog": "catalog.sqlite",
    "access_keys": "credentials",
    "certificate_authority": "tls/ca.crt",
}
"""What lies in a state directory and users have a use for."""


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that commands read. value: None where it is not set."""

    name: str
    value: str | None
    meaning: str
    commands: tuple[str, ...]


def add_commands(app: typer.Typer, whole: Callable[[], typer.Typer]) -> None:
    """Add it. whole: the application with the options whose variables it shows."""

    @app.command()
    def config(
        ctx: typer.Context, state_dir: StateDir = STATE_DIR, as_json: AsJson = False
    ) -> None:
        """Show the settings in force: state directory, files, environment variables."""
        from importlib.metadata import version

        source = ctx.get_parameter_source("state_dir")
        where = _where(source.name if source is not None else "")
        found = [
            *_variables(get_command(whole()))
        ]  # all of it: that of `ctx` has this command alone
        directory = state_dir.expanduser().absolute()
        files = {name: directory / path for name, path in FILES.items()}
        if as_json:
            console.json_of(
                {
                    "version": version(DISTRIBUTION),
                    "state_dir": str(directory),
                    "state_dir_from": where,
                    "files": {
                        name: str(path) if path.exists() else None for name, path in files.items()
                    },
                    "variables": [asdict(one) for one in found],
                }
            )
            return
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row("Version", version(DISTRIBUTION))
        table.add_row("State directory", Text(f"{directory}  ({where})"))
        for name, path in files.items():
            said = str(path) if path.exists() else "not there yet; the first create makes it"
            table.add_row(name.replace("_", " ").capitalize(), Text(said))
        for one in found:
            table.add_row(one.name, Text(one.value if one.value is not None else "not set"))
            table.add_row("", Text(f"{one.meaning} ({', '.join(one.commands)})", "dim"))
        console.out.print(table)


def _where(source: str) -> str:
    if source == "COMMANDLINE":
        return "named with --state-dir"
    return f"from {STATE_DIR_VARIABLE}" if source == "ENVIRONMENT" else "the default"


def _variables(command: Any) -> Iterator[Variable]:
    """What the options of all commands read, each once."""
    meanings: dict[str, str] = {}
    readers: dict[str, list[str]] = {}
    for path, one in _commands(command, ()):
        for parameter in one.params:
            names = parameter.envvar or ()
            for name in (names,) if isinstance(names, str) else names:
                meanings.setdefault(name, getattr(parameter, "help", None) or "")
                readers.setdefault(name, []).append(" ".join(path))
    every = sum(1 for _ in _commands(command, ()))
    for name, meaning in meanings.items():
        of = readers[name]
        used = ("most commands",) if len(of) > every // 2 else tuple(of)
        yield Variable(name, os.environ.get(name), meaning, used)


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
    for name, each in (inner or {}).items():
        yield from _commands(each, (*path, name))
