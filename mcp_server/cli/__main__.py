"""`python -m mcp_server.cli` is `borealis`, for tests and for who has no script of that name."""

from mcp_server.cli.commands import main

if __name__ == "__main__":
    main()
