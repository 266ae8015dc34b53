"""The MCP server: real PostgreSQL clusters as tools, and questions in English."""

import sys

from cluster_runtime.moved import MovedModules
from mcp_server.moved import MOVED

sys.meta_path.insert(0, MovedModules(MOVED))
