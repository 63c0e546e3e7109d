#!/usr/bin/env python3
"""A client of MCP for `deploy/test`: one call, or calls for as long as it takes, with a count of what its user would have noticed.

    client.py call URL TOOL ARGUMENTS          prints the answer; the URL ends in /mcp or /sse
    client.py load URL TOOL ARGUMENTS SECONDS  calls from four clients until then; prints `begun` to standard
                                               error when each has its first answer, and one JSON object at the end

Python's standard library only. The token, if there is one, is in $MCPROXY_TOKEN.
"""

import collections
import http.client
import json
import os
import queue
import select
import sys
import threading
import time
import urllib.parse

VERSION = "2025-06-18"
# No call of these tests takes longer unless something is wrong.
PATIENCE = 15.0
# How many clients a load has.
CLIENTS = 4


class Lost(Exception):
    """The request did not get its answer; the text is the kind."""


class SessionGone(Exception):
    """404: the session is not known any more. The specification has clients begin another one."""


def events(response):
    """The data of each event of a stream, with the event's name."""
    name, data = "message", []
    while line := response.readline():
        line = line.decode().rstrip("\r\n")
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield name, "\n".join(data)
            name, data = "message", []


def headers(more):
    """The headers of every request."""
    token = os.environ.get("MCPROXY_TOKEN")
    return {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {}), **more}


class Streamable:
    """Streamable HTTP with a session; one kept connection, opened anew when it is closed."""

    def __init__(self, url):
        self.url = urllib.parse.urlsplit(url)
        self.connection = None
        self.session = None
        self.number = 0

    def begin(self):
        """Begins a session."""
        self.session = None
        info = {"name": "lab", "version": "1"}
        self.request("initialize", {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": info})
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}).read()

    def post(self, message):
        more = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": VERSION}
        if self.session:
            more["Mcp-Session-Id"] = self.session
        if self.connection and self.connection.sock and select.select([self.connection.sock], [], [], 0)[0]:
            # The server has closed it meanwhile; every HTTP library looks before it uses a kept connection again.
            self.close()
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=PATIENCE)
        self.connection.request("POST", self.url.path, json.dumps(message), headers(more))
        response = self.connection.getresponse()
        self.session = response.getheader("Mcp-Session-Id") or self.session
        return response

    def request(self, method, params):
        """The result of a request."""
        self.number += 1
        try:
            response = self.post({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
            if response.status == 404 and self.session:
                response.read()
                raise SessionGone
            if response.status != 200:
                raise Lost(f"HTTP {response.status}: {response.read()[:200].decode(errors='replace')}")
            kind = response.getheader("Content-Type", "")
            texts = (data for _, data in events(response)) if "event-stream" in kind else [response.read().decode()]
            for answer in map(json.loads, texts):
                if answer.get("id") == self.number:
                    if "event-stream" in kind:
                        response.read()
                    return result_of(answer)
            raise Lost("the stream ended without an answer")
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Lost(type(error).__name__) from error
        except Lost:
            self.close()
            raise

    def close(self):
        """Closes the connection; the session stays."""
        if self.connection:
            self.connection.close()
        self.connection = None


class LegacySse:
    """HTTP+SSE: answers come on one stream, requests go to the address that its first event names."""

    def __init__(self, url):
        self.url = urllib.parse.urlsplit(url)
        self.answers = queue.Queue(maxsize=1000)
        self.number = 0

    def begin(self):
        """Opens the stream, and begins the session."""
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=PATIENCE)
        connection.request("GET", self.url.path, headers=headers({"Accept": "text/event-stream"}))
        response = connection.getresponse()
        if response.status != 200:
            raise Lost(f"HTTP {response.status}")
        stream = events(response)
        name, data = next(stream)
        if name != "endpoint":
            raise Lost(f"the first event is {name}")
        self.endpoint = urllib.parse.urlsplit(urllib.parse.urljoin(self.url.geturl(), data))
        threading.Thread(target=self.listen, args=(stream,), daemon=True).start()
        info = {"name": "lab", "version": "1"}
        self.request("initialize", {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": info})
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def listen(self, stream):
        """Queues what the stream brings."""
        for name, data in stream:
            if name == "message":
                self.answers.put(json.loads(data))

    def post(self, message):
        """Sends one message."""
        connection = http.client.HTTPConnection(self.endpoint.hostname, self.endpoint.port, timeout=PATIENCE)
        target = self.endpoint.path + ("?" + self.endpoint.query if self.endpoint.query else "")
        connection.request("POST", target, json.dumps(message), headers({}))
        response = connection.getresponse()
        if response.status not in (200, 202):
            raise Lost(f"HTTP {response.status}")
        connection.close()

    def request(self, method, params):
        """The result of a request."""
        self.number += 1
        self.post({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self.answers.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise Lost("no answer") from None
            if answer.get("id") == self.number:
                return result_of(answer)


def result_of(answer):
    """The result, or the error as an exception."""
    if "error" in answer:
        raise Lost(f"error {answer['error'].get('code')}: {answer['error'].get('message', '')[:160]}")
    if answer["result"].get("isError"):
        raise Lost("the tool failed: " + json.dumps(answer["result"])[:200])
    return answer["result"]


def call(url, tool, arguments):
    """One call; its texts."""
    client = (LegacySse if url.rstrip("/").endswith("sse") else Streamable)(url)
    client.begin()
    result = client.request("tools/call", {"name": tool, "arguments": arguments})
    return "\n".join(part.get("text", "") for part in result.get("content", []))


class Tally:
    """What all clients of a load noticed."""

    def __init__(self):
        self.lock = threading.Lock()
        self.calls = 0
        self.all_begun = False
        self.new_sessions = 0
        self.failed = collections.Counter()
        self.last_good = {}
        self.pauses = []

    def good(self, client):
        """An answer came."""
        with self.lock:
            self.calls += 1
            now = time.monotonic()
            self.pauses.append(now - self.last_good.get(client, now))
            self.last_good[client] = now
            if len(self.last_good) == CLIENTS and not self.all_begun:
                self.all_begun = True
                print("begun", file=sys.stderr, flush=True)

    def bad(self, kind):
        """No answer came."""
        with self.lock:
            self.calls += 1
            self.failed[kind] += 1


def one_client(number, url, tool, arguments, until, tally):
    """Calls one after another, as a client that begins anew where it was told to."""
    client = Streamable(url)
    begun = False
    while time.monotonic() < until:
        try:
            if not begun:
                client.begin()
                begun = True
            client.request("tools/call", {"name": tool, "arguments": arguments})
            tally.good(number)
        except SessionGone:
            # The call was not made; the client makes it in its next session, and its user notices nothing.
            begun = False
            with tally.lock:
                tally.new_sessions += 1
            continue
        except Lost as lost:
            tally.bad(str(lost))
            begun = begun and "HTTP 404" not in str(lost)
        time.sleep(0.02)


def load(url, tool, arguments, seconds):
    """Calls until the time is over, and says what came of it."""
    tally = Tally()
    until = time.monotonic() + seconds
    clients = [
        threading.Thread(target=one_client, args=(n, url, tool, arguments, until, tally), daemon=True) for n in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join(seconds + 2 * PATIENCE)
    return {
        "calls": tally.calls,
        "failed": sum(tally.failed.values()),
        "kinds": dict(tally.failed),
        "newSessions": tally.new_sessions,
        "longestPauseMs": round(max(tally.pauses, default=0) * 1000),
    }


def main(words):
    """The command line."""
    if words[:1] == ["call"] and len(words) == 4:
        print(call(words[1], words[2], json.loads(words[3])))
    elif words[:1] == ["load"] and len(words) == 5:
        print(json.dumps(load(words[1], words[2], json.loads(words[3]), float(words[4]))))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Lost, SessionGone, OSError) as error:
        sys.exit(f"client.py: {type(error).__name__} {error}")
