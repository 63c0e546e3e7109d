"""A server that keeps notes in an SQLite database (argument: the file), with a journal beside it. Without an SDK, so that it starts at once."""

import json
import sqlite3
import sys

database = sqlite3.connect(sys.argv[1])
database.execute("PRAGMA journal_mode = WAL")
database.execute("CREATE TABLE IF NOT EXISTS notes (text TEXT)")

TOOL = {
    "name": "note",
    "description": "Keeps a note, and says all that there are",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}


def note(text):
    with database:
        database.execute("INSERT INTO notes VALUES (?)", (text,))
    return ", ".join(row[0] for row in database.execute("SELECT text FROM notes"))


def result(method, params):
    match method:
        case "initialize":
            server = {"name": "sqlite", "version": sqlite3.sqlite_version}
            return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": server}
        case "tools/list":
            return {"tools": [TOOL]}
        case "tools/call":
            return {"content": [{"type": "text", "text": note(params["arguments"]["text"])}]}
        case "ping":
            return {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        found = result(message["method"], message.get("params", {}))
        answer = {"error": {"code": -32601, "message": "no such method"}} if found is None else {"result": found}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
