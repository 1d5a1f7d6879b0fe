"""Tests for :mod:`txcql.session.results`."""

from __future__ import annotations

import uuid
from typing import Any

from twisted.internet.defer import Deferred

from txcql.errors import DecodeError, IncompleteResult, InvalidRequest
from txcql.session.pagingstate import PagingState
from txcql.test.scriptednode import Asked, ScriptedTestCase, columns
from txcql.wire import constants
from txcql.wire.responses import Prefixes

LIST = "SELECT k, v FROM t"
SELECT = "SELECT k, v FROM t WHERE k = ?"
COLUMNS = columns(k="int", v="text")


class ResultTestCase(ScriptedTestCase):
    """A node with ten rows."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one = self.node()
        self.one.teach(LIST, self.page)
        self.one.teach(SELECT, self.page, parameters=columns(k="int"), columns=COLUMNS)

    @staticmethod
    def page(asked: Asked) -> None:
        """Rows are numbered; the paging state is the number of the next."""
        begin = int(asked.options.paging_state or 0)
        size = asked.options.page_size or 10
        rows = [[number, str(number)] for number in range(begin, min(10, begin + size))]
        end = begin + len(rows)
        asked.rows(COLUMNS, rows, str(end).encode() if end < 10 else None)


class PageTests(ResultTestCase):
    """One page after the other."""

    def test_all_in_one(self) -> None:
        """The usual result: everything is there."""
        session = self.connect()
        result = self.answer(session.execute(LIST))
        self.assertFalse(result.has_more_pages)
        self.assertIsNone(result.paging_state)
        self.assertEqual(len(result.all()), 10)
        self.assertEqual(repr(result), "<Result rows=10 from 10.0.0.1:9042>")

    def test_next_page(self) -> None:
        """Page by page, text and prepared, with the options of the first page."""
        session = self.connect()
        for arguments in ((LIST,), (SELECT, [7])):
            for version in (4, 5):
                del version
                found: list[Any] = []
                result = self.answer(session.execute(*arguments, page_size=4, consistency="ONE"))
                found += result.all()
                self.assertEqual(repr(result), "<Result rows=4 from 10.0.0.1:9042 has_more_pages>")
                while result.has_more_pages:
                    result = self.answer(result.next_page())
                    found += result
                self.assertEqual(found, [(number, str(number)) for number in range(10)])
                asked = self.one.requests[-1]
                self.assertEqual((asked.options.consistency, asked.options.page_size), (1, 4))
                self.assertEqual(asked.options.paging_state, b"8")
        self.assertEqual(self.one.requests[-1].request.values, [b"\0\0\0\7"])

    def test_a_state_that_left_the_process(self) -> None:
        """It goes on in another session; with other values, or as part of another statement, it does not."""
        cases: list[tuple[Any, list[Any]]] = [
            ((LIST,), [(SELECT, [7])]),
            ((SELECT, [7]), [(SELECT, [8]), (LIST,)]),
        ]
        for arguments, others in cases:
            session = self.connect(keyspace="ks")
            result = self.answer(session.execute(*arguments, page_size=4))
            token = str(result.paging_state)
            self.answer(session.close())
            session = self.connect(keyspace="ks")
            state = PagingState.parse(token)
            for chosen in (state, bytes(state)):
                page = self.answer(session.execute(*arguments, page_size=4, paging_state=chosen))
                self.assertEqual([row.k for row in page], [4, 5, 6, 7])
            # The page behind it is asked for as ever, once the statement is prepared, too.
            self.assertEqual(
                len(
                    self.answer(
                        self.answer(session.execute(*arguments, page_size=4, paging_state=state)).next_page()
                    )
                ),
                2,
            )
            before = len(self.one.requests)
            for other in others:
                error = self.error(session.execute(*other, paging_state=state), ValueError)
                self.assertIn("of another statement, of other values", str(error))
            asked = [asked.opcode for asked in self.one.requests[before:]]
            self.assertLessEqual(set(asked), {constants.PREPARE})
            error = self.error(
                session.execute(arguments[0], *arguments[1:], keyspace="other", paging_state=state),
                ValueError,
            )
            self.assertIn("another keyspace", str(error))
            self.answer(session.close())

    def test_a_state_in_a_stream(self) -> None:
        """A stream may begin in the middle, and goes on to the end."""
        session = self.connect()
        state = self.answer(session.execute(LIST, page_size=4)).paging_state
        self.one.requests.clear()
        found: list[Any] = []
        for dedicated in (False, True):

            async def read(dedicated: bool) -> None:
                stream = session.stream(LIST, page_size=2, paging_state=state, dedicated=dedicated)
                found.extend([row.k async for row in stream])

            self.answer(Deferred.fromCoroutine(read(dedicated)))
        self.assertEqual(found, [4, 5, 6, 7, 8, 9] * 2)

    def test_from_a_paging_state(self) -> None:
        """A state may be kept, and read on from elsewhere."""
        session = self.connect()
        result = self.answer(session.execute(LIST, page_size=4))
        result = self.answer(session.execute(LIST, paging_state=result.paging_state))
        self.assertEqual([row.k for row in result], [4, 5, 6, 7, 8, 9])

    def test_incomplete(self) -> None:
        """Who did not ask for pages is not given a part for the whole."""
        session = self.connect(page_size=4)
        result = self.answer(session.execute(LIST))
        for read in (result.all, lambda: list(result), lambda: iter(result)):
            with self.assertRaisesRegex(
                IncompleteResult, r"the first page, of 4 rows.*stream\(\).*next_page\(\)"
            ):
                read()
        self.assertEqual(len(list(result.rows())), 4)
        self.assertEqual(result.one(), (0, "0"))
        self.assertEqual(result.column("k"), [0, 1, 2, 3])
        self.assertEqual(self.answer(result.next_page()).all()[0], (4, "4"))

    def test_after_the_last(self) -> None:
        """There is no page behind the last one: an error that coroutines can bear."""
        session = self.connect()
        result = self.answer(session.execute(LIST))
        error = self.error(result.next_page(), LookupError)
        self.assertEqual(str(error), "this is the last page: see has_more_pages")

    def test_twice(self) -> None:
        """The same page may be asked for again."""
        session = self.connect()
        result = self.answer(session.execute(SELECT, [1], page_size=6))
        for _ in range(2):
            self.assertEqual(len(self.answer(result.next_page()).all()), 4)

    def test_after_an_alter(self) -> None:
        """The statement was prepared again meanwhile: the next page is asked for in the new generation."""
        session = self.connect()
        result = self.answer(session.execute(SELECT, [1], page_size=6))
        self.one.prepared.clear()
        self.assertEqual(len(self.answer(result.next_page()).all()), 4)


class ReadTests(ResultTestCase):
    """What a result can be asked for."""

    def test_rows(self) -> None:
        """Named tuples by default; they can be read again and again."""
        session = self.connect()
        result = self.answer(session.execute(LIST))
        for _ in range(2):
            row = next(iter(result))
            self.assertEqual((row.k, row.v, row[1]), (0, "0", "0"))
        self.assertEqual(
            [(column.name, column.type.name) for column in result.columns], [("k", "int"), ("v", "text")]
        )

    def test_column(self) -> None:
        """One column, by its name; a name that there is not lists those there are."""
        session = self.connect()
        result = self.answer(session.execute(LIST))
        self.assertEqual(result.column("v")[:3], ["0", "1", "2"])
        with self.assertRaisesRegex(KeyError, "no column 'w'; there are: k, v"):
            result.column("w")

    def test_void(self) -> None:
        """No rows, no columns."""
        session = self.connect()
        self.one.teach("INSERT")
        result = self.answer(session.execute("INSERT"))
        self.assertEqual((result.all(), list(result), result.one(), len(result)), ([], [], None, 0))
        self.assertEqual((result.columns, result.paging_state, result.was_applied), ((), None, True))
        with self.assertRaisesRegex(KeyError, "no column 'v'; there are: none"):
            result.column("v")

    def test_no_rows(self) -> None:
        """Columns, and nothing below them."""
        session = self.connect()
        self.one.teach("SELECT", columns=COLUMNS)
        result = self.answer(session.execute("SELECT"))
        self.assertEqual((result.all(), result.one(), len(result.columns)), ([], None, 2))

    def test_bad_value(self) -> None:
        """It fails at its row; the rows behind it can be read."""
        session = self.connect()

        def reply(asked: Asked) -> None:
            asked.rows(columns(k="blob"), [[b"\0\0\0\1"], [b"\0"], [b"\0\0\0\3"]])

        self.one.teach("SELECT", reply)
        result = self.answer(session.execute("SELECT"))
        result._decoder = type(result._decoder)(columns(k="int"))
        rows = iter(result)
        self.assertEqual(next(rows), (1,))
        with self.assertRaisesRegex(DecodeError, "row 2.*k"):
            next(rows)
        self.assertEqual(next(rows), (3,))
        self.assertRaises(DecodeError, result.all)

    def test_prefixes(self) -> None:
        """Warnings, tracing and payload, with rows, without, and with an error."""
        session = self.connect()
        tracing = uuid.UUID(int=5)
        prefixes = Prefixes(tracing, ["careful"], {"key": b"value"})
        self.one.teach("rows", lambda asked: asked.rows(COLUMNS, [[1, "x"]], prefixes=prefixes))
        self.one.teach("void", lambda asked: asked.send(constants.RESULT, b"\0\0\0\1", prefixes))
        self.one.teach("error", lambda asked: asked.error(InvalidRequest("no"), prefixes))
        for result in (
            self.answer(session.execute("rows", tracing=True)),
            self.answer(session.execute("void")),
            self.error(session.execute("error"), InvalidRequest),
        ):
            self.assertEqual(list(result.warnings), ["careful"])
            self.assertEqual((result.tracing_id, result.payload), (tracing, {"key": b"value"}))
        self.assertEqual(self.answer(session.execute("rows")).all(), [(1, "x")])
        plain = self.answer(session.execute(LIST))
        self.assertEqual((list(plain.warnings), plain.tracing_id, plain.payload), ([], None, None))

    def test_was_applied(self) -> None:
        """The first column of a conditional statement's answer."""
        session = self.connect()
        for applied in (True, False):
            self.one.teach(
                "IF", columns=columns(**{"[applied]": "boolean", "v": "text"}), rows=[[applied, "x"]]
            )
            self.assertEqual(self.answer(session.execute("IF")).was_applied, applied)
        self.assertTrue(self.answer(session.execute(LIST)).was_applied)
