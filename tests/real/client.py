"""The Python SDK as a client of one URL, driven by a test. Same script and same output as client.mjs:

    python client.py --transport http|sse [--timeout MS] URL  < script.json
"""

import argparse
import asyncio
import json
import sys
from datetime import timedelta

from mcp import ClientSession, McpError, types
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client


def plain(value):
    """A model of the SDK as the JSON it came from."""
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


async def pages(fetch, key):
    items, cursor = [], None
    while True:
        params = types.PaginatedRequestParams(cursor=cursor) if cursor is not None else None
        page = plain(await fetch(params=params))
        items += page[key]
        cursor = page.get("nextCursor")
        if cursor is None:
            return {key: items}


async def run(session, hello, step, report, timeout):
    async def on_progress(progress, total, message):
        report.append({"progress": progress, "total": total, "message": message})

    match step["op"]:
        case "info":
            hello = plain(hello)
            return {
                "server": hello["serverInfo"],
                "capabilities": hello["capabilities"],
                "instructions": hello.get("instructions"),
                "protocolVersion": hello["protocolVersion"],
            }
        case "ping":
            return plain(await session.send_ping())
        case "listTools":
            return await pages(session.list_tools, "tools")
        case "listResources":
            return await pages(session.list_resources, "resources")
        case "listTemplates":
            return await pages(session.list_resource_templates, "resourceTemplates")
        case "listPrompts":
            return await pages(session.list_prompts, "prompts")
        case "read":
            return plain(await session.read_resource(step["uri"]))
        case "prompt":
            return plain(await session.get_prompt(step["name"], step.get("args")))
        case "complete":
            kind = types.PromptReference if step["ref"]["type"] == "ref/prompt" else types.ResourceTemplateReference
            return plain(await session.complete(kind(**step["ref"]), step["argument"]))
        case "setLevel":
            return plain(await session.set_logging_level(step["level"]))
        case "call":
            progress = on_progress if step.get("progress") else None
            return plain(
                await session.call_tool(
                    step["name"],
                    step.get("args", {}),
                    read_timeout_seconds=timeout,
                    progress_callback=progress,
                )
            )
        case unknown:
            raise ValueError(f"unknown step: {unknown}")


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", choices=["http", "sse"], default="http")
    parser.add_argument("--timeout", type=int, default=60_000)
    parser.add_argument("url")
    args = parser.parse_args()
    script = json.load(sys.stdin)
    timeout = timedelta(milliseconds=args.timeout)
    connect = sse_client if args.transport == "sse" else streamable_http_client
    async with connect(args.url) as streams:
        async with ClientSession(streams[0], streams[1], read_timeout_seconds=timeout) as session:
            hello = await session.initialize()
            for step in script:
                line, report = {"op": step["op"]}, []
                try:
                    line["ok"] = await run(session, hello, step, report, timeout)
                except McpError as error:
                    line["error"] = plain(error.error)
                except Exception as error:  # a test wants to see it, whatever it is
                    line["error"] = {"code": None, "message": f"{type(error).__name__}: {error}"}
                if step.get("progress"):
                    line["progress"] = report
                print(json.dumps(line), flush=True)


asyncio.run(main())
