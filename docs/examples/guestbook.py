"""A small web service with its own repository: a guestbook."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

import txcql

SCHEMA = [
    "CREATE TYPE IF NOT EXISTS place (city text, country text)",
    """CREATE TABLE IF NOT EXISTS messages (
           book text, id timeuuid, author text, text text, tags set<text>, place frozen<place>,
           PRIMARY KEY (book, id)) WITH CLUSTERING ORDER BY (id DESC)""",
    "CREATE TABLE IF NOT EXISTS books (name text PRIMARY KEY, owner text)",
    "CREATE TABLE IF NOT EXISTS visits (book text PRIMARY KEY, count counter)",
]


class AlreadyTaken(Exception):
    """There is a book of this name."""


class NoSuchBook(Exception):
    """There is no book of this name."""


class Guestbooks:
    """The repository: it knows CQL, and nothing of the web."""

    def __init__(self, session: txcql.Session) -> None:
        self.session = session

    async def create_schema(self) -> None:
        for statement in SCHEMA:
            await self.session.execute(statement)

    async def open_book(self, name: str, owner: str) -> None:
        result = await self.session.execute(
            "INSERT INTO books (name, owner) VALUES (?, ?) IF NOT EXISTS", [name, owner]
        )
        if not result.was_applied:
            raise AlreadyTaken(name)

    async def owner(self, name: str) -> str:
        row = (await self.session.execute("SELECT owner FROM books WHERE name = ?", [name])).one()
        if row is None:
            raise NoSuchBook(name)
        return str(row.owner)

    async def sign(self, book: str, author: str, text: str, tags: list[str], city: str | None) -> UUID:
        await self.owner(book)
        entry = txcql.uuid_from_time(time.time_ns() // 100 * 100)
        await self.session.execute(
            "INSERT INTO messages (book, id, author, text, tags, place) VALUES (?, ?, ?, ?, ?, ?)",
            [book, entry, author, text, set(tags), None if city is None else {"city": city}],
        )
        return entry

    async def entries(self, book: str, page: bytes | None = None) -> tuple[list[Any], bytes | None]:
        """A page of entries, the newest first, and where the next one begins."""
        result = await self.session.execute(
            "SELECT id, author, text, tags, place FROM messages WHERE book = ?",
            [book],
            page_size=3,
            paging_state=page,
        )
        return result.all(), result.paging_state

    async def tagged(self, book: str, tag: str) -> list[str]:
        result = await self.session.execute(
            "SELECT text FROM messages WHERE book = ? AND tags CONTAINS ? ALLOW FILTERING", [book, tag]
        )
        return [row.text for row in result]

    async def correct(self, book: str, entry: UUID, text: str) -> bool:
        result = await self.session.execute(
            "UPDATE messages SET text = ? WHERE book = ? AND id = ? IF EXISTS", [text, book, entry]
        )
        return bool(result.was_applied)

    async def tear_out(self, book: str, entry: UUID) -> None:
        await self.session.execute("DELETE FROM messages WHERE book = ? AND id = ?", [book, entry])

    async def burn(self, book: str) -> None:
        await self.session.execute(
            "BEGIN BATCH DELETE FROM messages WHERE book = ?; DELETE FROM books WHERE name = ?; APPLY BATCH",
            [book, book],
        )

    async def visited(self, book: str) -> int:
        await self.session.execute("UPDATE visits SET count = count + 1 WHERE book = ?", [book])
        row = (await self.session.execute("SELECT count FROM visits WHERE book = ?", [book])).one()
        return int(row.count)


@dataclass(frozen=True)
class Response:
    """What a handler gives: a status and an object for JSON."""

    status: int
    body: Any = None


Handler = Callable[["Service", dict[str, Any], str], Awaitable[Response]]


class Service:
    """The routes: they know the web, and nothing of CQL."""

    def __init__(self, books: Guestbooks) -> None:
        self.books = books

    async def open_book(self, data: dict[str, Any], book: str) -> Response:
        await self.books.open_book(book, data["owner"])
        return Response(201, {"book": book})

    async def sign(self, data: dict[str, Any], book: str) -> Response:
        entry = await self.books.sign(
            book, data["author"], data["text"], data.get("tags", []), data.get("city")
        )
        return Response(201, {"id": str(entry)})

    async def read(self, data: dict[str, Any], book: str) -> Response:
        visits = await self.books.visited(book)
        page = bytes.fromhex(data["page"]) if "page" in data else None
        rows, following = await self.books.entries(book, page)
        return Response(
            200,
            {
                "owner": await self.books.owner(book),
                "visits": visits,
                "entries": [
                    {"author": row.author, "text": row.text, "tags": sorted(row.tags or ())} for row in rows
                ],
                "next": None if following is None else following.hex(),
            },
        )

    async def burn(self, data: dict[str, Any], book: str) -> Response:
        await self.books.burn(book)
        return Response(204)

    ROUTES: ClassVar[dict[str, Handler]] = {"PUT": open_book, "POST": sign, "GET": read, "DELETE": burn}

    async def handle(self, method: str, book: str, data: dict[str, Any]) -> Response:
        """Answer a request; what can go wrong has a status of its own."""
        handler = self.ROUTES.get(method)
        if handler is None:
            return Response(405, {"error": f"{method} is not allowed"})
        try:
            return await handler(self, data, book)
        except KeyError as error:
            return Response(400, {"error": f"{error.args[0]} is missing"})
        except AlreadyTaken:
            return Response(409, {"error": "the name is taken"})
        except NoSuchBook:
            return Response(404, {"error": "no such book"})
        except (txcql.errors.BusyConnectionError, txcql.errors.NoNodeAvailable, txcql.errors.Unavailable):
            return Response(503, {"error": "try again later"})
        except txcql.errors.RequestTimeout:
            return Response(504, {"error": "the database is slow"})


class Web(Resource):
    """The service as a resource of twisted.web."""

    isLeaf = True

    def __init__(self, service: Service) -> None:
        super().__init__()
        self.service = service

    def render(self, request: Any) -> Any:
        Deferred.fromCoroutine(self._answer(request)).addErrback(request.processingFailed)
        return NOT_DONE_YET

    async def _answer(self, request: Any) -> None:
        data = {name.decode(): values[0].decode() for name, values in request.args.items()}
        if request.method in (b"PUT", b"POST"):
            data = json.loads(request.content.read() or b"{}")
        book = request.path.decode().strip("/")
        response = await self.service.handle(request.method.decode(), book, data)
        request.setResponseCode(response.status)
        request.setHeader("Content-Type", "application/json")
        request.write(json.dumps(response.body).encode())
        request.finish()


async def main(reactor: Any, contact_point: str, port: str = "8080") -> None:
    session = await txcql.connect(reactor, [contact_point], keyspace="guestbook")
    books = Guestbooks(session)
    await books.create_schema()
    reactor.listenTCP(int(port), Site(Web(Service(books))), interface="127.0.0.1")
    await Deferred()


if __name__ == "__main__":
    react(lambda reactor, *arguments: Deferred.fromCoroutine(main(reactor, *arguments)), sys.argv[1:])
