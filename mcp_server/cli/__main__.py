"""Where `borealis` begins, which is `python -m mcp_server.cli` as well."""

import gc


def main() -> None:
    """The console script. The garbage collector rests while everything is loaded that stays."""
    gc.disable()
    from mcp_server.cli import commands

    gc.freeze()
    gc.enable()
    commands.main()


if __name__ == "__main__":
    main()
