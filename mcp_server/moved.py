"""Modules by their paths of the release before: see `cluster_runtime.moved`."""

MOVED = {
    "mcp_server.agent_memory": "mcp_server.cli.agent_memory",
    "mcp_server.console": "mcp_server.cli.console",
    "mcp_server.demo": "mcp_server.cli.demo",
    "mcp_server.demo.agent": "mcp_server.cli.demo.agent",
    "mcp_server.demo.script": "mcp_server.cli.demo.script",
    "mcp_server.demo.shop": "mcp_server.cli.demo.shop",
    "mcp_server.foreground": "mcp_server.cli.foreground",
    "mcp_server.log_dump": "mcp_server.cli.log_dump",
    "mcp_server.progress": "mcp_server.tools.progress",
    "mcp_server.shell": "mcp_server.cli.shell",
    "mcp_server.volume_view": "mcp_server.cli.volume_view",
}
