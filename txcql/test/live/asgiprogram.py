"""Serve requests to an ASGI application as a server would, without one: ``python asgiprogram.py FILE``.

Prints the status and the body of each answer.
"""

from __future__ import annotations

import asyncio
import runpy
import sys

REQUESTS = (("PUT", "/planets/Mars/2"), ("GET", "/planets/Mars"), ("GET", "/planets/Vulcan"))


async def answer(application, method, path):
    """Ask once.

    :returns: The status and the body.
    """
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await application(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent).decode()


async def main(application):
    """Begin the application, ask it, and end it."""
    arrived: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    sent: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
    lifespan = asyncio.ensure_future(application(scope, arrived.get, sent.put))
    for event in ("startup", "shutdown"):
        if event == "shutdown":
            for method, path in REQUESTS:
                print(*await answer(application, method, path))
        await arrived.put({"type": f"lifespan.{event}"})
        assert (await sent.get())["type"] == f"lifespan.{event}.complete"
    await lifespan


if __name__ == "__main__":
    asyncio.run(main(runpy.run_path(sys.argv[1])["app"]))
