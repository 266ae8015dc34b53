"""`borealis init`: writes the server into the configuration of programs that speak MCP."""
