"""The suite of the guestbook: on the fake, and with TXCQL_TEST_CASSANDRA set on a real cluster."""

from __future__ import annotations

from typing import Any

from guestbook import AlreadyTaken, Guestbooks, NoSuchBook, Response, Service
from twisted.trial.unittest import SynchronousTestCase

from txcql.testing.trialmixin import CassandraMixin


class GuestbookTestCase(CassandraMixin, SynchronousTestCase):
    """A repository with its tables, in a keyspace of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.books = Guestbooks(self.session)
        self.service = Service(self.books)
        self.wait(self.books.create_schema())
        self.wait(self.books.open_book("inn", "Ada"))

    def wait(self, result: Any) -> Any:
        return self.run_until_done(result)

    def ask(self, method: str, book: str, **data: Any) -> Response:
        response: Response = self.wait(self.service.handle(method, book, data))
        return response


class RepositoryTests(GuestbookTestCase):
    """What is stored is there again."""

    def test_one_book_of_a_name(self) -> None:
        self.assertRaises(AlreadyTaken, self.wait, self.books.open_book("inn", "Bob"))
        self.assertEqual(self.wait(self.books.owner("inn")), "Ada")

    def test_no_such_book(self) -> None:
        self.assertRaises(NoSuchBook, self.wait, self.books.owner("nowhere"))

    def test_entries_come_newest_first_page_by_page(self) -> None:
        for number in range(7):
            self.wait(self.books.sign("inn", "Cy", f"text {number}", [], None))
        texts: list[str] = []
        pages = 0
        page = None
        while True:
            rows, page = self.wait(self.books.entries("inn", page))
            texts += [row.text for row in rows]
            pages += 1
            if page is None:
                break
        self.assertEqual(texts, [f"text {number}" for number in reversed(range(7))])
        self.assertEqual(pages, 3)

    def test_tags_and_places(self) -> None:
        self.wait(self.books.sign("inn", "Cy", "nice", ["food", "view"], "Ulm"))
        self.wait(self.books.sign("inn", "Di", "cold", ["bed"], None))
        [cold, nice], _ = self.wait(self.books.entries("inn"))
        self.assertEqual((nice.tags, nice.place.city, nice.place.country), ({"food", "view"}, "Ulm", None))
        self.assertIsNone(cold.place)
        self.assertEqual(self.wait(self.books.tagged("inn", "food")), ["nice"])

    def test_corrections(self) -> None:
        entry = self.wait(self.books.sign("inn", "Cy", "nise", [], None))
        self.assertTrue(self.wait(self.books.correct("inn", entry, "nice")))
        [row], _ = self.wait(self.books.entries("inn"))
        self.assertEqual(row.text, "nice")
        self.wait(self.books.tear_out("inn", entry))
        self.assertFalse(self.wait(self.books.correct("inn", entry, "gone")))
        self.assertEqual(self.wait(self.books.entries("inn")), ([], None))

    def test_a_burnt_book_is_gone(self) -> None:
        self.wait(self.books.sign("inn", "Cy", "nice", [], None))
        self.wait(self.books.burn("inn"))
        self.assertRaises(NoSuchBook, self.wait, self.books.owner("inn"))
        self.assertEqual(self.wait(self.books.entries("inn")), ([], None))

    def test_visits_are_counted(self) -> None:
        self.assertEqual([self.wait(self.books.visited("inn")) for _ in range(3)], [1, 2, 3])


class ServiceTests(GuestbookTestCase):
    """What the web sees."""

    def test_a_visit(self) -> None:
        self.assertEqual(self.ask("PUT", "hut", owner="Eve"), Response(201, {"book": "hut"}))
        self.assertEqual(self.ask("POST", "hut", author="Cy", text="high", tags=["b", "a"]).status, 201)
        self.assertEqual(
            self.ask("GET", "hut"),
            Response(
                200,
                {
                    "owner": "Eve",
                    "visits": 1,
                    "entries": [{"author": "Cy", "text": "high", "tags": ["a", "b"]}],
                    "next": None,
                },
            ),
        )
        self.assertEqual(self.ask("DELETE", "hut").status, 204)
        self.assertEqual(self.ask("GET", "hut").status, 404)

    def test_pages(self) -> None:
        for number in range(4):
            self.ask("POST", "inn", author="Cy", text=str(number))
        first = self.ask("GET", "inn").body
        second = self.ask("GET", "inn", page=first["next"]).body
        self.assertEqual([entry["text"] for entry in first["entries"]], ["3", "2", "1"])
        self.assertEqual([entry["text"] for entry in second["entries"]], ["0"])

    def test_mistakes(self) -> None:
        self.assertEqual(self.ask("PUT", "inn", owner="Bob").status, 409)
        self.assertEqual(self.ask("PUT", "hut").body, {"error": "owner is missing"})
        self.assertEqual(self.ask("POST", "nowhere", author="Cy", text="x").status, 404)
        self.assertEqual(self.ask("PATCH", "inn").status, 405)
