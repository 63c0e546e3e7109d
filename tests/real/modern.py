"""The 2.x line of the Python SDK as a client of one URL, which it has found to be of 2026-07-28. Same script and same output as
client.mjs:

    python modern.py [--timeout MS] URL  < script.json
"""

import argparse
import asyncio
import json
import sys

from mcp import Client, MCPError, types


def plain(value):
    """A model of the SDK as the JSON it came from."""
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


async def pages(fetch, key):
    items, cursor = [], None
    while True:
        page = plain(await fetch(cursor=cursor))
        items += page[key]
        cursor = page.get("nextCursor")
        if cursor is None:
            return {key: items}


async def run(client, step, report):
    async def on_progress(progress, total, message):
        report.append({"progress": progress, "total": total, "message": message})

    match step["op"]:
        case "info":
            return {
                "server": plain(client.server_info),
                "capabilities": plain(client.server_capabilities),
                "instructions": client.instructions,
                "protocolVersion": client.protocol_version,
            }
        case "listTools":
            return await pages(client.list_tools, "tools")
        case "listResources":
            return await pages(client.list_resources, "resources")
        case "listTemplates":
            return await pages(client.list_resource_templates, "resourceTemplates")
        case "listPrompts":
            return await pages(client.list_prompts, "prompts")
        case "read":
            return plain(await client.read_resource(step["uri"]))
        case "prompt":
            return plain(await client.get_prompt(step["name"], step.get("args")))
        case "complete":
            kind = types.PromptReference if step["ref"]["type"] == "ref/prompt" else types.ResourceTemplateReference
            return plain(await client.complete(kind(**step["ref"]), step["argument"]))
        case "call":
            progress = on_progress if step.get("progress") else None
            return plain(await client.call_tool(step["name"], step.get("args", {}), progress_callback=progress))
        case unknown:
            raise ValueError(f"unknown step: {unknown}")


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", choices=["modern"], default="modern")
    parser.add_argument("--timeout", type=int, default=60_000)
    parser.add_argument("url")
    args = parser.parse_args()
    script = json.load(sys.stdin)
    async with Client(args.url, read_timeout_seconds=args.timeout / 1000) as client:
        for step in script:
            line, report = {"op": step["op"]}, []
            try:
                line["ok"] = await run(client, step, report)
            except MCPError as error:
                line["error"] = plain(error.error)
            except Exception as error:  # a test wants to see it, whatever it is
                line["error"] = {"code": None, "message": f"{type(error).__name__}: {error}"}
            if step.get("progress"):
                line["progress"] = report
            print(json.dumps(line), flush=True)


asyncio.run(main())
