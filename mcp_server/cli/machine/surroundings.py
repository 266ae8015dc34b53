"""What `borealis doctor` says of programs around clusters: psql, extras, clients of the server."""

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from cluster_runtime.engine.diagnosis import Finding, Verdict
from mcp_server.cli import shell
from mcp_server.cli.clients import jsonc
from mcp_server.cli.clients.known import Client, known
from mcp_server.errors import DISTRIBUTION, MODULES, USES

NEEDS_MCP = "mcp"
MCP_MAJOR = 2


def examine() -> list[Finding]:
    """Look at everything around."""
    extras = [extra(name) for name in MODULES]
    clients = [found for one in known(Path.home(), os.environ) for found in client(one)]
    return [psql(), *extras, *clients]


def psql() -> Finding:
    """Whether a psql that can be used is on the search path."""
    there = shutil.which("psql")
    if there is None:
        return Finding(
            "psql",
            Verdict.OK,
            "none on the search path: borealis psql opens its own small shell",
            "install postgresql-client for the whole of it",
        )
    if shell.psql_with_tls() is None:
        return Finding(
            "psql",
            Verdict.WARNING,
            f"{there} is built without TLS, which clusters ask for",
            "install postgresql-client; until then borealis psql opens its own small shell",
        )
    return Finding("psql", Verdict.OK, f"{there}, with TLS")


def extra(name: str) -> Finding:
    """Whether the packages of an extra are installed, and new enough."""
    subject = f"extra: {name}"
    missing = sorted(module for module in MODULES[name] if importlib.util.find_spec(module) is None)
    install = f"pip install '{DISTRIBUTION}[{name}]'"
    if missing:
        says = f"not installed ({', '.join(missing)}): {USES[name]} is not available"
        return Finding(subject, Verdict.OK, says, install)
    if name == NEEDS_MCP and int((version := metadata.version("mcp")).split(".")[0]) < MCP_MAJOR:
        says = f"mcp {version} is installed; {USES[name]} needs {MCP_MAJOR} or newer"
        return Finding(subject, Verdict.WARNING, says, f"{install}, in an environment of its own")
    return Finding(subject, Verdict.OK, f"{USES[name]}: installed")


def client(one: Client) -> Iterator[Finding]:
    """Whether a client that starts borealis finds it where its configuration says."""
    try:
        servers = jsonc.parse(one.file.read_text(encoding="utf-8-sig")).data[one.key]
        starting = {
            name: str(entry["command"])
            for name, entry in servers.items()
            if "borealis" in json.dumps(entry) and "command" in entry
        }
    except (
        OSError,
        UnicodeDecodeError,
        jsonc.JsonTextError,
        LookupError,
        AttributeError,
        TypeError,
    ):
        return  # not configured, or in a way of its own
    for name, command in starting.items():
        subject = f"client: {one.title}"
        if shutil.which(command) is None:
            yield Finding(
                subject,
                Verdict.WARNING,
                f"its server {name!r} is to be started by {command}, which is not there",
                f"write where it is now: borealis init {one.name} --name {name}",
            )
        else:
            yield Finding(subject, Verdict.OK, f"starts {command} for its server {name!r}")
