"""Tests for :mod:`txcql.session.statements`."""

from __future__ import annotations

from time import process_time

from twisted.trial.unittest import SynchronousTestCase

from txcql.session.options import RequestOptions
from txcql.session.responsehandler import DecoderCache, ResponseHandler
from txcql.session.statements import PreparedStatement, is_ddl, is_select, used_keyspace
from txcql.settings import Settings
from txcql.test.scriptednode import columns
from txcql.wire.responses import Prepared
from txcql.wire.usercodecs import CodecRegistry


def prepared(**results: str) -> PreparedStatement:
    found = columns(**results)
    answer = Prepared(b"id", b"metadata", columns(k="int", v="text"), (0,), found)
    return PreparedStatement(
        "SELECT", "ks", answer, ResponseHandler(DecoderCache(CodecRegistry()), "named", found)
    )


class KindTests(SynchronousTestCase):
    """What a statement does, by its first word."""

    def test_use(self) -> None:
        """The name as the server has it."""
        for text, name in (
            ("USE ks", "ks"),
            ("use KS;", "ks"),
            ('/* a */ USE -- b\n "My ""Own"""', 'My "Own'.join(("", '"'))),
            ('USE"ks"', "ks"),
            ("SELECT 1", None),
            ("USER ks", None),
            ("USE", None),
            ("-- USE ks", None),
        ):
            self.assertEqual(used_keyspace(text), name, text)

    def test_select(self) -> None:
        """SELECT reads, whatever stands before it."""
        for text in (
            "SELECT 1",
            "select\n1",
            "  \n\t SELECT 1",
            "-- a comment\nSELECT 1",
            "// another\n  /* and * one ** more */SELECT 1",
            "/**/SELECT 1",
        ):
            self.assertTrue(is_select(text), text)
        for text in (
            "",
            "INSERT",
            "SELECTED",
            "-- SELECT",
            "/* SELECT */ UPDATE",
            "/* SELECT 1",
            "BEGIN BATCH",
        ):
            self.assertFalse(is_select(text), text)

    def test_ddl(self) -> None:
        """What changes the schema, and TRUNCATE."""
        for text in ("CREATE TABLE t", " alter table t", "DROP KEYSPACE ks", "/* x */ TRUNCATE t"):
            self.assertTrue(is_ddl(text), text)
        for text in ("SELECT 1", "created", "INSERT"):
            self.assertFalse(is_ddl(text), text)

    def test_time(self) -> None:
        """It takes no longer than the text is long: what is indented by forty spaces ends this century."""
        begin = process_time()
        for text in (
            " " * 100_000 + "INSERT",
            "\n" * 100_000,
            "/**/" * 20_000 + "INSERT",
            "/*" * 20_000,
            "--\n" * 20_000 + "INSERT",
            "/*" + "*" * 100_000,
            "-" * 100_000,
        ):
            self.assertFalse(is_select(text))
            self.assertFalse(is_ddl(text))
        self.assertLess(process_time() - begin, 2.0)


class PreparedStatementTests(SynchronousTestCase):
    """What PREPARE gave."""

    def test_what_is_known(self) -> None:
        """Parameters, columns, partition key."""
        statement = prepared(v="text")
        self.assertEqual([column.name for column in statement.parameters], ["k", "v"])
        self.assertEqual([column.name for column in statement.columns], ["v"])
        self.assertEqual(list(statement.partition_key), [0])
        self.assertTrue(statement.idempotent)
        self.assertEqual(repr(statement), "<PreparedStatement 'SELECT'>")

    def test_bind(self) -> None:
        """By position or by name, not both."""
        statement = prepared()
        bound = statement(1, "x")
        self.assertEqual((bound.statement, bound.values), (statement, (1, "x")))
        self.assertEqual(statement(v="x", k=1).values, {"k": 1, "v": "x"})
        self.assertEqual(statement().values, ())
        self.assertRaisesRegex(TypeError, "by position or by name, not both", statement, 1, v="x")

    def test_parts(self) -> None:
        """What stands around the values is made once for the options last used."""
        generation = prepared(v="text").generation
        default = RequestOptions.default(Settings())
        parts = generation.parts_for(5, default)
        self.assertIs(generation.parts_for(5, default), parts)
        other = default.changed(5, {"consistency": "ONE"})
        self.assertNotEqual(generation.parts_for(5, other), parts)
        self.assertEqual(generation.parts_for(5, default), parts)

    def test_changed(self) -> None:
        """The next generation has other columns and another id, and the same parameters."""
        statement = prepared(v="text")
        old = statement.generation
        new = old.changed(b"other", old.handler.with_columns(columns(w="int")))
        self.assertEqual([column.name for column in new.columns], ["w"])
        self.assertEqual([column.name for column in old.columns], ["v"])
        self.assertEqual(new.encoder.columns, old.encoder.columns)
        default = RequestOptions.default(Settings())
        self.assertIn(b"other", new.parts_for(5, default)[0])
        self.assertIn(b"metadata", old.parts_for(5, default)[0])
