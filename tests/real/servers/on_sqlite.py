"""A server that keeps notes in an SQLite database (argument: the file), with a journal beside it."""
import sqlite3
import sys

from fastmcp import FastMCP

mcp = FastMCP("sqlite")
database = sqlite3.connect(sys.argv[1], check_same_thread=False)
database.execute("PRAGMA journal_mode = WAL")
database.execute("CREATE TABLE IF NOT EXISTS notes (text TEXT)")


@mcp.tool
def note(text: str) -> str:
    """Keeps a note, and says all that there are."""
    with database:
        database.execute("INSERT INTO notes VALUES (?)", (text,))
    return ", ".join(row[0] for row in database.execute("SELECT text FROM notes"))


mcp.run(show_banner=False)
