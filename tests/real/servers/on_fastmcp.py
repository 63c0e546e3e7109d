"""A server on FastMCP: the first era with FastMCP 2, both with FastMCP 4. On stdio, or over `http` or `sse` at a port:
on_fastmcp.py [TRANSPORT PORT]"""

import sys

import fastmcp
from fastmcp import Context, FastMCP

server = FastMCP("fastmcp")


@server.tool
def echo(text: str) -> str:
    """Returns the text"""
    return text


@server.tool
def add(a: int, b: int) -> int:
    """Adds two numbers"""
    return a + b


@server.resource("note://one", name="note", mime_type="text/plain")
def note() -> str:
    """A note"""
    return "A note of the Python server"


@server.prompt
def greet(name: str) -> str:
    """Greets somebody"""
    return f"Greet {name}"


if fastmcp.__version__.startswith("2."):

    @server.tool
    async def ask(ctx: Context) -> str:
        """Asks for a name"""
        answer = await ctx.elicit("What is your name?", response_type=str)
        return f"Hello, {answer.data}" if answer.action == "accept" else answer.action

else:
    from mcp import types

    SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}

    @server.tool
    async def ask(ctx: Context) -> str | types.InputRequiredResult:
        """Asks for a name"""
        answer = (ctx.input_responses or {}).get("name")
        if answer is None:
            params = types.ElicitRequestFormParams(message="What is your name?", requested_schema=SCHEMA)
            return types.InputRequiredResult(input_requests={"name": types.ElicitRequest(params=params)})
        return f"Hello, {answer.content['name']}" if answer.action == "accept" else answer.action


match sys.argv[1:]:
    case [transport, port]:
        server.run(transport=transport, host="127.0.0.1", port=int(port), show_banner=False)
    case _:
        server.run(show_banner=False)
