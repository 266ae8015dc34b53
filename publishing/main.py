"""What the desktop bundle starts: the MCP server over standard input and output."""

from mcp_server.cli.commands import main

main(["mcp"])
