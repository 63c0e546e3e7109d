"""The conformance server on the 2.x line of the Python SDK: both eras, on stdio."""

import asyncio
import re

import mcp_types as types
from conformance_tools import PNG, PROMPTS, STATIC_TEXT, TOOLS, Io, completions, template_data
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server


async def list_tools(ctx, params):
    tools = [types.Tool(name=name, description=name, input_schema=schema) for name, (_, schema) in TOOLS.items()]
    return types.ListToolsResult(tools=tools)


async def call_tool(ctx, params):
    tool, _ = TOOLS[params.name]
    try:
        content = await tool(Io(ctx.session, ctx.request_id), **(params.arguments or {}))
    except RuntimeError as error:
        failed = types.TextContent(type="text", text=str(error))
        return types.CallToolResult(content=[failed], is_error=True)
    return types.CallToolResult(content=content)


async def list_prompts(ctx, params):
    def prompt(name, arguments):
        arguments = [types.PromptArgument(name=a, description=a, required=True) for a in arguments]
        return types.Prompt(name=name, description=name, arguments=arguments)

    return types.ListPromptsResult(prompts=[prompt(name, arguments) for name, (arguments, _) in PROMPTS.items()])


async def get_prompt(ctx, params):
    contents = PROMPTS[params.name][1](**(params.arguments or {}))
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=content) for content in contents])


async def list_resources(ctx, params):
    known = [("static-text", "text/plain"), ("static-binary", "image/png"), ("watched-resource", "text/plain")]
    resources = [types.Resource(uri=f"test://{name}", name=name, mime_type=mime) for name, mime in known]
    return types.ListResourcesResult(resources=resources)


async def list_templates(ctx, params):
    template = types.ResourceTemplate(
        uri_template="test://template/{id}/data", name="data", mime_type="application/json"
    )
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(ctx, params):
    uri = str(params.uri)
    template = re.fullmatch(r"test://template/(.+)/data", uri)
    if uri == "test://static-binary":
        contents = types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)
    elif template:
        contents = types.TextResourceContents(uri=uri, mime_type="application/json", text=template_data(template[1]))
    else:
        contents = types.TextResourceContents(uri=uri, mime_type="text/plain", text=STATIC_TEXT)
    return types.ReadResourceResult(contents=[contents])


async def complete(ctx, params):
    values = completions(params.argument.value)
    return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))


async def done(ctx, params):
    return types.EmptyResult()


server = Server(
    "conformance-mcp",
    version="1.0.0",
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    on_list_prompts=list_prompts,
    on_get_prompt=get_prompt,
    on_list_resources=list_resources,
    on_list_resource_templates=list_templates,
    on_read_resource=read_resource,
    on_completion=complete,
    on_subscribe_resource=done,
    on_unsubscribe_resource=done,
    on_set_logging_level=done,
)


async def main():
    options = server.create_initialization_options(NotificationOptions(tools_changed=True, prompts_changed=True))
    async with stdio_server() as (reads, writes):
        await server.run(reads, writes, options)


asyncio.run(main())
