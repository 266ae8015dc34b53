"""The programs that `borealis init` knows: where each keeps its MCP servers, and in which form.

Sources: code.visualstudio.com/docs/copilot/reference/mcp-configuration, cursor.com/docs/mcp,
modelcontextprotocol.io/docs/develop/connect-local-servers (Claude Desktop),
code.claude.com/docs/en/mcp, docs.windsurf.com/windsurf/cascade/mcp, zed.dev/docs/ai/mcp.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Client:
    """One program. name: on the command line; key: the member that holds its servers.

    file: of this user's configuration. found_by: what is there where the program is installed.
    project_file: of a project's configuration, below its folder; None where it has none.
    extra: what an entry says beside command and arguments. afterwards: what the user does next.
    """

    name: str
    title: str
    key: str
    file: Path
    found_by: tuple[Path, ...]
    project_file: Path | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    afterwards: str = ""

    @property
    def installed(self) -> bool:
        """Whether this user has it, as far as its folders tell."""
        return any(path.exists() for path in self.found_by)

    def entry(self, command: str, arguments: list[str]) -> dict[str, Any]:
        """How the program is told to start a server over standard input and output."""
        return {**self.extra, "command": command, "args": arguments}


def known(
    home: Path, environment: Mapping[str, str], platform: str = sys.platform
) -> tuple[Client, ...]:
    """All of them, for the user whose home folder this is."""
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    applications = home / "Library" / "Application Support" if platform == "darwin" else config
    code = applications / "Code"
    desktop = applications / "Claude"
    # Zed keeps to ~/.config on macOS too.
    zed = (home / ".config" if platform == "darwin" else config) / "zed"
    windsurf = home / ".codeium" / "windsurf"
    stdio = {"type": "stdio"}
    return (
        Client(
            *("vscode", "VS Code", "servers", code / "User" / "mcp.json", (code,)),
            project_file=Path(".vscode/mcp.json"),
            extra=stdio,
            afterwards="run `MCP: List Servers` from its command palette and start borealis",
        ),
        Client(
            *("cursor", "Cursor", "mcpServers", home / ".cursor" / "mcp.json"),
            found_by=(home / ".cursor",),
            project_file=Path(".cursor/mcp.json"),
            afterwards="switch borealis on under Settings, Tools & MCP",
        ),
        Client(
            *("claude-desktop", "Claude Desktop", "mcpServers"),
            file=desktop / "claude_desktop_config.json",
            found_by=(desktop,),
            afterwards="quit and start it again",
        ),
        Client(
            *("claude-code", "Claude Code", "mcpServers", home / ".claude.json"),
            found_by=(home / ".claude.json", home / ".claude"),
            project_file=Path(".mcp.json"),
            extra=stdio,
            afterwards="start a new session; /mcp shows borealis",
        ),
        Client(
            *("windsurf", "Windsurf", "mcpServers", windsurf / "mcp_config.json", (windsurf,)),
            afterwards="press refresh in the MCP panel of Cascade",
        ),
        Client(
            *("zed", "Zed", "context_servers", zed / "settings.json", (zed,)),
            project_file=Path(".zed/settings.json"),
            afterwards="look for borealis in the settings of the Agent Panel",
        ),
    )
