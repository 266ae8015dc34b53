"""The MCP server: real PostgreSQL clusters as tools, and questions in English."""
