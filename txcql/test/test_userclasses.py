"""Tests for codecs and classes of the user's, from the settings and options down to rows and parameters."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from txcql.errors import DecodeError, EncodeError
from txcql.settings import Settings
from txcql.test.scriptednode import Asked, ScriptedTestCase, columns
from txcql.wire.fieldtypes import UDTType
from txcql.wire.metadata import Column
from txcql.wire.scalars import INT

LIST = "SELECT k, v FROM t"
SELECT = "SELECT k, v FROM t WHERE k = ?"
INSERT = "INSERT"
COLUMNS = columns(k="int", v="text")
ROWS = [[1, "a"], [-1, "b"], [3, None]]
POINT = UDTType("ks", "point", [("x", INT), ("y", INT)])


class Upper:
    """Text in upper case."""

    def encode(self, value: str | None) -> bytes | None:
        return None if value is None else value.lower().encode()

    def decode(self, data: bytes | None) -> str | None:
        return None if data is None else data.decode().upper()


class Money:
    """Something that is written as an int."""


class MoneyCodec:
    cql_type = "int"

    def encode(self, value: Money) -> bytes:
        return b"\0\0\0\5"


@dataclasses.dataclass
class Pair:
    k: int
    v: str | None

    def __post_init__(self) -> None:
        if self.k < 0:
            raise ValueError("k is negative")


@dataclasses.dataclass
class Point:
    x: int
    y: int


class UserClassTestCase(ScriptedTestCase):
    """A node with three rows."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one = self.node()
        self.one.teach(LIST, columns=COLUMNS, rows=ROWS)
        self.one.teach(SELECT, parameters=columns(k="int"), columns=COLUMNS, rows=ROWS)


class IntoTests(UserClassTestCase):
    """Rows as instances."""

    def test_rows(self) -> None:
        """Prepared and as text; what the class raises fails its row only."""
        session = self.connect()
        prepared = self.answer(session.prepare(SELECT))
        for result in (
            self.answer(session.execute(LIST, into=Pair)),
            self.answer(session.execute(prepared, [1], into=Pair)),
            self.answer(session.execute(SELECT, [1], into=Pair)),
        ):
            self.assertEqual(result.one(), Pair(1, "a"))
            rows = iter(result)
            self.assertEqual(next(rows), Pair(1, "a"))
            error = self.assertRaises(DecodeError, next, rows)
            self.assertEqual(str(error), "row 2, Pair refused the row: ValueError('k is negative')")
            self.assertEqual(list(rows), [Pair(3, None)])
        self.assertEqual(self.answer(session.execute(LIST)).one(), (1, "a"))

    def test_any_callable(self) -> None:
        """Not only classes."""
        session = self.connect()
        result = self.answer(session.execute(LIST, into=lambda v, **others: (v, others)))
        self.assertEqual(result.one(), ("a", {"k": 1}))

    def test_does_not_fit(self) -> None:
        """Told at once; of a prepared statement nothing is sent."""
        session = self.connect()
        error = self.error(session.execute(LIST, into=Point), TypeError)
        self.assertEqual(
            str(error),
            'Point cannot be made of the columns "k", "v": it takes no column "k", "v"; '
            'there is no column "x", "y"',
        )
        prepared = self.answer(session.prepare(SELECT))
        asked = len(self.one.asked_for(10))
        self.error(session.execute(prepared, [1], into=Point), TypeError)
        self.assertEqual(len(self.one.asked_for(10)), asked)
        self.assertEqual(self.answer(session.execute(LIST)).one(), (1, "a"))

    def test_refused(self) -> None:
        """What is no class, and a row factory beside it."""
        session = self.connect()
        wrong: Any = 5
        self.assertIn("into must be", str(self.error(session.execute(LIST, into=wrong), TypeError)))
        error = self.error(session.execute(LIST, into=Pair, row_factory="dict"), TypeError)
        self.assertEqual(str(error), "give either row_factory or into, not both")

    def test_forgotten(self) -> None:
        """Classes that are made anew for each request are not kept."""
        session = self.connect()
        prepared = self.answer(session.prepare(SELECT))
        for _ in range(100):
            make = lambda k, v: (k, v)  # noqa: E731
            self.assertEqual(self.answer(session.execute(prepared, [1], into=make)).one(), (1, "a"))
        self.assertLessEqual(len(prepared.generation.handler._others), 16)


class CodecsTests(UserClassTestCase):
    """The setting."""

    def test_columns(self) -> None:
        """Prepared and as text, on every page; the columns keep their types' names."""
        session = self.connect(codecs={"text": Upper()})
        for result in (
            self.answer(session.execute(LIST)),
            self.answer(session.execute(SELECT, [1])),
        ):
            self.assertEqual(result.all(), [(1, "A"), (-1, "B"), (3, None)])
            self.assertEqual(result.column("v"), ["A", "B", None])
            self.assertEqual([column.type.name for column in result.columns], ["int", "text"])

    def test_parameters(self) -> None:
        """Codecs for types and for classes, by position and by name."""
        session = self.connect(codecs={"text": Upper(), Money: MoneyCodec()})
        self.one.teach(INSERT, parameters=columns(k="int", v="text"))
        for values in ([Money(), "ABC"], {"v": "ABC", "k": Money()}):
            self.answer(session.execute(INSERT, values))
            sent = self.one.asked_for(10)[-1].request.values
            self.assertEqual(list(sent), [b"\0\0\0\5", b"abc"])
        error = self.error(session.execute(INSERT, [5, Money()]), EncodeError)
        self.assertIn('parameter 2 "v" (text): ', str(error))

    def test_udts(self) -> None:
        """A registered class; one that does not fit fails every request that meets it, and says why."""
        kinds = (Column("ks", "t", "p", POINT),)
        session = self.connect(codecs={"ks.point": Point})
        self.one.teach(INSERT, parameters=kinds, columns=kinds, rows=[[(1, 2)]])
        self.assertEqual(self.answer(session.execute(INSERT, [Point(1, 2)])).one(), (Point(1, 2),))
        self.answer(session.close())
        session = self.connect(codecs={"ks.point": Pair})
        for deferred in (session.execute(INSERT, [(1, 2)]), session.prepare(INSERT)):
            self.assertIn("Pair cannot be made of the fields", str(self.error(deferred, TypeError)))

    def test_refused(self) -> None:
        """At once, when the session is made."""
        self.assertRaises(TypeError, Settings, codecs=5)
        self.assertRaises(TypeError, self.connecting, codecs={"text": 5})
        self.assertRaises(ValueError, self.connecting, codecs={"txet": Upper()})


class ColumnsTests(UserClassTestCase):
    """Columns of a page."""

    def test_lists(self) -> None:
        """With the codecs; of a result without rows, nothing."""
        session = self.connect(codecs={"text": Upper()})
        result = self.answer(session.execute(LIST))
        self.assertEqual(result.columns_data(), {"k": [1, -1, 3], "v": ["A", "B", None]})
        self.assertEqual(result.columns_data("v"), {"v": ["A", "B", None]})
        with self.assertRaisesRegex(KeyError, "no column 'w'; there are: k, v"):
            result.columns_data("w")
        self.one.teach("VOID")
        self.assertEqual(self.answer(session.execute("VOID")).columns_data(), {})

    def test_libraries(self) -> None:
        """Without the codecs."""
        session = self.connect(codecs={"text": Upper()})
        result = self.answer(session.execute(LIST))
        self.assertEqual(result.to_numpy("k")["k"].tolist(), [1, -1, 3])
        self.assertEqual(result.to_pandas()["k"].sum(), 3)
        self.assertEqual(result.to_arrow("v").to_pydict(), {"v": ["a", "b", None]})

    def test_missing(self) -> None:
        """The extra is named."""
        session = self.connect()
        result = self.answer(session.execute(LIST))
        self.patch(sys, "modules", {**sys.modules, "pyarrow": None})
        with self.assertRaisesRegex(ImportError, r"txcql\[arrow\]"):
            result.to_arrow()

    def test_bad_value(self) -> None:
        """The first row names itself too."""
        session = self.connect(codecs={"blob": Upper()})

        def reply(asked: Asked) -> None:
            asked.rows(columns(k="blob"), [[b"\xff"], [b"a"]])

        self.one.teach("SELECT", reply)
        result = self.answer(session.execute("SELECT"))
        for ask in (result.one, result.all, result.columns_data):
            error: Any = self.assertRaises(DecodeError, ask)
            self.assertIn(
                'row 1, column "k" (blob): the codec of blob failed: UnicodeDecodeError', str(error)
            )
            self.assertIn("0xff", str(error))
            self.assertIsInstance(error.__cause__, DecodeError)
