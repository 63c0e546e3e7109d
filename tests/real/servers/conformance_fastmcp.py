"""The conformance server on FastMCP 4: both eras, on stdio."""

import base64

import mcp_types as types
from conformance_tools import PNG, PROMPTS, STATIC_TEXT, TOOLS, Io, completions, template_data
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.prompts import Message
from fastmcp.tools import Tool, ToolResult

# The suite looks for the schema as it was written.
server = FastMCP("conformance-fastmcp", dereference_schemas=False)


class OfTheSuite(Tool):
    """A tool whose schema is given."""

    async def run(self, arguments):
        from fastmcp.server.dependencies import get_context

        ctx: Context = get_context()
        try:
            content = await TOOLS[self.name][0](Io(ctx.session, ctx.request_id), **arguments)
        except RuntimeError as error:
            raise ToolError(str(error)) from error
        return ToolResult(content=content)


for name, (_, schema) in TOOLS.items():
    server.add_tool(OfTheSuite(name=name, description=name, parameters=schema))


def messages(name, **arguments):
    return [Message(content) for content in PROMPTS[name][1](**arguments)]


@server.prompt
def test_simple_prompt():
    """A prompt without arguments"""
    return messages("test_simple_prompt")


@server.prompt
def test_prompt_with_arguments(arg1: str, arg2: str):
    """A prompt with two arguments"""
    return messages("test_prompt_with_arguments", arg1=arg1, arg2=arg2)


@server.prompt
def test_prompt_with_embedded_resource(resourceUri: str):
    """A prompt with a resource in it"""
    return messages("test_prompt_with_embedded_resource", resourceUri=resourceUri)


@server.prompt
def test_prompt_with_image():
    """A prompt with an image"""
    return messages("test_prompt_with_image")


@server.resource("test://static-text", name="static-text", mime_type="text/plain")
def static_text() -> str:
    return STATIC_TEXT


@server.resource("test://static-binary", name="static-binary", mime_type="image/png")
def static_binary() -> bytes:
    return base64.b64decode(PNG)


@server.resource("test://watched-resource", name="watched-resource", mime_type="text/plain")
def watched() -> str:
    return "Watched"


@server.resource("test://template/{id}/data", name="data", mime_type="application/json")
def data(id: str) -> str:
    return template_data(id)


@server.completion
async def complete(ref, argument, context):
    return completions(argument.value)


async def done(ctx, params):
    return types.EmptyResult()


# FastMCP has no words for subscriptions.
server._mcp_server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, done)
server._mcp_server.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, done)

server.run(show_banner=False)
