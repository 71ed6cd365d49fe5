"""MCP: tools of a real server that speaks the Model Context Protocol."""
