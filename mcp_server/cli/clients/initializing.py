"""What `borealis init` does: which clients, which file of each, and what it says afterwards."""

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mcp_server.cli import console
from mcp_server.cli.clients import jsonc
from mcp_server.cli.clients.known import Client, known
from mcp_server.cli.clients.writing import (
    ClientConfigurationError,
    Written,
    is_fleeting,
    server_command,
    write,
)
from mcp_server.errors import DISTRIBUTION

Entry = tuple[Client, Path, dict[str, Any]]


def run(
    names: Sequence[str],
    server: str,
    arguments: list[str],
    *,
    project: bool,
    only_print: bool,
    as_json: bool,
) -> None:
    """Write, or only print, the entry `server` for the clients that are named, or are installed.

    Raises ClientConfigurationError for an unknown name, and for a file that cannot be changed.
    """
    found = chosen(names, project=project)
    command = server_command()
    entries = [
        (client, _file(client, project), client.entry(command, arguments)) for client in found
    ]
    if not entries:
        _show_to_paste({"mcpServers": {server: {"command": command, "args": arguments}}}, as_json)
    elif only_print:
        _print(entries, server, as_json=as_json)
    else:
        written = [write(client, file, server, entry) for client, file, entry in entries]
        _say(found, written, as_json=as_json)
    _warn(command)


def chosen(names: Sequence[str], *, project: bool) -> list[Client]:
    """The clients of these names; without any, those that this user has."""
    every = known(Path.home(), os.environ)
    by_name = {client.name: client for client in every}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise ClientConfigurationError(
            f"no client is called {unknown[0]!r}; borealis init knows {', '.join(by_name)}"
        )
    found = [by_name[name] for name in names] or [one for one in every if one.installed]
    if not project:
        return found
    without = [client for client in found if client.project_file is None]
    if names and without:
        raise ClientConfigurationError(
            f"{without[0].title} has no configuration of a project; leave out --project"
        )
    return [client for client in found if client.project_file is not None]


def _file(client: Client, project: bool) -> Path:
    if project and client.project_file is not None:
        return Path.cwd() / client.project_file
    return client.file


def _show_to_paste(content: dict[str, Any], as_json: bool) -> None:
    """For whoever has none of the clients, or none that is known here."""
    if as_json:
        console.json_of({"clients": [], "content": content})
        return
    names = ", ".join(client.name for client in known(Path.home(), os.environ))
    console.note(
        f"found none of the clients that this knows ({names}); name one to have its file made, or "
        "paste this into the configuration of yours:"
    )
    console.plain(jsonc.rendered(content))


def _print(entries: list[Entry], server: str, *, as_json: bool) -> None:
    if as_json:
        console.json_of(
            {
                "clients": [
                    {
                        "client": client.name,
                        "file": str(file),
                        "content": {client.key: {server: entry}},
                    }
                    for client, file, entry in entries
                ]
            }
        )
        return
    for client, file, entry in entries:
        console.note(f"{client.title}, in {file}:")
        console.plain(jsonc.rendered({client.key: {server: entry}}))


def _say(found: list[Client], written: list[Written], *, as_json: bool) -> None:
    if as_json:
        console.json_of({"clients": [asdict(one) for one in written]})
        return
    for client, one in zip(found, written, strict=True):
        if not one.changed:
            console.plain(f"{client.title}: {one.file} has it already")
            continue
        kept = f" (as it was before: {one.backup})" if one.backup else ""
        console.plain(f"{client.title}: wrote {one.file}{kept}")
        console.note(f"  {client.afterwards}")


def _warn(command: str) -> None:
    """What would keep the client from starting the server."""
    if importlib.util.find_spec("mcp") is None:
        console.note(f"the MCP server is not installed here yet: pip install '{DISTRIBUTION}[mcp]'")
    if is_fleeting(command):
        console.note(
            f"{command} is in the cache of uvx, which is emptied now and then; install it for good "
            "with: uv tool install"
        )
