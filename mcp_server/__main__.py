"""`python -m mcp_server` is `borealis mcp`, for clients that start a module."""

import sys

from mcp_server.cli.commands import main

if __name__ == "__main__":
    main(["mcp", *sys.argv[1:]])
