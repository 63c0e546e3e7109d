"""What the public conformance suite calls by name, for conformance_mcp.py and conformance_fastmcp.py.

Tools ask their client in the middle of a call, by a request of their own, as servers did before 2026-07-28. A tool gets `io`:
ask(message, properties, required) and complete(prompt) answer with what the client said; log(text) and progress(done, total)
tell it something.
"""

import asyncio
import json

import mcp_types as types

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
PAUSE = 0.05


def text(words):
    return types.TextContent(type="text", text=words)


def image():
    return types.ImageContent(type="image", data=PNG, mime_type="image/png")


def embedded(uri, mime_type, words):
    contents = types.TextResourceContents(uri=uri, mime_type=mime_type, text=words)
    return types.EmbeddedResource(type="resource", resource=contents)


def schema(properties, required):
    return {"type": "object", "properties": properties, "required": required}


STRING = {"type": "string"}


async def simple_text(io):
    return [text("This is a simple text response for testing.")]


async def image_content(io):
    return [image()]


async def audio_content(io):
    return [types.AudioContent(type="audio", data=WAV, mime_type="audio/wav")]


async def embedded_resource(io):
    return [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


async def multiple_content_types(io):
    mixed = embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
    return [text("Multiple content types test:"), image(), mixed]


async def error_handling(io):
    raise RuntimeError("This tool intentionally returns an error for testing")


async def with_logging(io):
    for line in ["Tool execution started", "Tool processing data", "Tool execution completed"]:
        await io.log(line)
        await asyncio.sleep(PAUSE)
    return [text("Logged three times")]


async def with_progress(io):
    for done in [0, 50, 100]:
        await io.progress(done, 100)
        await asyncio.sleep(PAUSE)
    return [text("Reported three times")]


async def reconnection(io):
    await asyncio.sleep(10 * PAUSE)
    return [text("The call outlived its stream")]


async def sampling(io, prompt: str):
    return [text(f"LLM response: {await io.complete(prompt)}")]


async def elicitation(io, message: str):
    properties = {
        "username": STRING | {"description": "User's response"},
        "email": STRING | {"description": "User's email address"},
    }
    answer = await io.ask(message, properties, list(properties))
    return [text(f"User response: action: {answer.action}, content: {json.dumps(answer.content)}")]


async def completed(io, message, properties):
    answer = await io.ask(message, properties, [])
    return [text(f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}")]


async def elicitation_defaults(io):
    properties = {
        "name": STRING | {"default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": STRING | {"enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await completed(io, "Please fill in", properties)


async def elicitation_enums(io):
    options = ["option1", "option2", "option3"]

    def titled(noun):
        return [{"const": f"value{n}", "title": f"{nth} {noun}"} for n, nth in enumerate(["First", "Second", "Third"], 1)]

    properties = {
        "untitledSingle": STRING | {"enum": options},
        "titledSingle": STRING | {"oneOf": titled("Option")},
        "legacyEnum": STRING
        | {"enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array", "items": STRING | {"enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
    }
    return await completed(io, "Please choose", properties)


async def json_schema(io, **arguments):
    return [text(json.dumps(arguments))]


JSON_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {"$anchor": "addressDef", "type": "object", "properties": {"street": STRING, "city": STRING}}
    },
    "properties": {
        "name": STRING,
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": STRING | {"enum": ["phone", "email"]},
        "phone": STRING,
        "email": STRING,
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
NOTHING = schema({}, [])

# By name: the function and its input schema.
TOOLS = {
    "test_simple_text": (simple_text, NOTHING),
    "test_image_content": (image_content, NOTHING),
    "test_audio_content": (audio_content, NOTHING),
    "test_embedded_resource": (embedded_resource, NOTHING),
    "test_multiple_content_types": (multiple_content_types, NOTHING),
    "test_error_handling": (error_handling, NOTHING),
    "test_tool_with_logging": (with_logging, NOTHING),
    "test_tool_with_progress": (with_progress, NOTHING),
    "test_reconnection": (reconnection, NOTHING),
    "test_sampling": (sampling, schema({"prompt": STRING}, ["prompt"])),
    "test_elicitation": (elicitation, schema({"message": STRING}, ["message"])),
    "test_elicitation_sep1034_defaults": (elicitation_defaults, NOTHING),
    "test_elicitation_sep1330_enums": (elicitation_enums, NOTHING),
    "json_schema_2020_12_tool": (json_schema, JSON_SCHEMA),
}

# By name: the arguments, and what makes the contents of the messages.
PROMPTS = {
    "test_simple_prompt": ([], lambda: [text("This is a simple prompt for testing.")]),
    "test_prompt_with_arguments": (
        ["arg1", "arg2"],
        lambda arg1, arg2: [text(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")],
    ),
    "test_prompt_with_embedded_resource": (
        ["resourceUri"],
        lambda resourceUri: [
            embedded(resourceUri, "text/plain", "Embedded resource content for testing."),
            text("Please process the embedded resource above."),
        ],
    ),
    "test_prompt_with_image": ([], lambda: [image(), text("Please analyze the image above.")]),
}

STATIC_TEXT = "This is the content of the static text resource."


def template_data(id):
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def completions(prefix):
    return [known for known in ["testing", "testValue1", "tested"] if known.startswith(prefix)]


class Io:
    """A tool's way to its client. `session` is the SDK's."""

    def __init__(self, session, request_id):
        self.session, self.request_id = session, request_id

    async def ask(self, message, properties, required):
        wanted = schema(properties, required)
        return await self.session.elicit_form(message, wanted, related_request_id=self.request_id)

    async def complete(self, prompt):
        message = types.SamplingMessage(role="user", content=text(prompt))
        answer = await self.session.create_message([message], max_tokens=100, related_request_id=self.request_id)
        return answer.content.text

    async def log(self, words):
        await self.session.send_log_message("info", words, related_request_id=self.request_id)

    async def progress(self, done, total):
        await self.session.report_progress(done, total)
