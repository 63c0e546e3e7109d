"""A server on the official Python SDK 2, which speaks both eras. On stdio, or over `streamable-http` or `sse` at a port:
on_mcp.py [TRANSPORT PORT]"""

import sys

from mcp.server import MCPServer

server = MCPServer("python")


@server.tool()
def echo(text: str) -> str:
    """Returns the text"""
    return text


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers"""
    return a + b


match sys.argv[1:]:
    case [transport, port]:
        server.run(transport, host="127.0.0.1", port=int(port))
    case _:
        server.run()
