"""The command line, `borealis`: its commands, what it prints, its shell and its demo."""

from typing import TYPE_CHECKING

from cluster_runtime.moved import names_of

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__, "mcp_server.cli.commands")
