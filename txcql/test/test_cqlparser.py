"""The parser of the fake: what it knows, what is no CQL, and what it refuses."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import CQLSyntaxError, InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.cqlparser import parse
from txcql.testing.refusals import NOT_SUPPORTED

ONE = cql.Constant("INTEGER", "1")
T = cql.TableName(None, "t")


class StatementTests(SynchronousTestCase):
    """What is understood."""

    def check(self, text: str, expected: cql.Statement) -> None:
        for ending in ("", ";", " ; "):
            self.assertEqual(parse(text + ending).statement, expected)

    def test_select(self) -> None:
        """Columns, relations, LIMIT, count."""

        def column(name: str) -> cql.Selection:
            return cql.Selection(cql.Selector("column", name), None)

        self.check("SELECT * FROM ks.t", cql.Select(cql.TableName("ks", "t"), None, ()))
        self.check(
            'select A, "B c" from T where "K" = 1 and c = \'x\' limit 1',
            cql.Select(
                T,
                (column("a"), column("B c")),
                (
                    cql.Relation(("K",), "column", "=", (ONE,), text='"K" = 1'),
                    cql.Relation(("c",), "column", "=", (cql.Constant("STRING", "x"),), text="c = 'x'"),
                ),
                ONE,
            ),
        )
        count = (cql.Selection(cql.Selector("count"), None),)
        for text in ("SELECT count(*) FROM t", "SELECT COUNT ( 1 ) FROM t"):
            self.check(text, cql.Select(T, count, ()))
        for name in ("count", "json", "distinct", "ttl", "token_", "writetime"):
            self.check(f"SELECT {name} FROM t", cql.Select(T, (column(name),), ()))

    def test_insert(self) -> None:
        """Columns and values."""
        self.check("INSERT INTO t (a, b) VALUES (1, null)", cql.Insert(T, ("a", "b"), (ONE, cql.Null())))

    def test_delete(self) -> None:
        """Rows."""
        self.check(
            "DELETE FROM t WHERE a = 1",
            cql.Delete(T, (cql.Relation(("a",), "column", "=", (ONE,), text="a = 1"),)),
        )

    def test_schema(self) -> None:
        """Keyspaces and tables."""
        options = (
            (
                "replication",
                cql.MapLiteral(((cql.Constant("STRING", "class"), cql.Constant("STRING", "X")),)),
            ),
            ("durable_writes", cql.Constant("BOOLEAN", "true")),
        )
        self.check(
            "CREATE KEYSPACE IF NOT EXISTS ks WITH replication = {'class': 'X'} AND durable_writes = true",
            cql.CreateKeyspace("ks", True, options),
        )
        self.check("DROP KEYSPACE IF EXISTS ks", cql.DropKeyspace("ks", True))
        self.check("DROP KEYSPACE ks", cql.DropKeyspace("ks", False))
        self.check('USE "Ks"', cql.Use("Ks"))
        self.check("DROP TABLE IF EXISTS t", cql.DropTable(T, True))
        self.check("TRUNCATE t", cql.Truncate(T))
        self.check("TRUNCATE TABLE t", cql.Truncate(T))

    def test_create_table(self) -> None:
        """Types stay text; primary keys in both forms."""
        self.check(
            "CREATE TABLE t (k int PRIMARY KEY, m map<text, frozen<list<int>>>)",
            cql.CreateTable(
                T,
                False,
                (cql.ColumnSpec("k", "int"), cql.ColumnSpec("m", "map<text,frozen<list<int>>>")),
                ((("k",), ()),),
                (),
            ),
        )
        self.check(
            "CREATE TABLE IF NOT EXISTS t (a int, b int, c int, PRIMARY KEY ((a, b), c)) "
            "WITH CLUSTERING ORDER BY (c DESC)",
            cql.CreateTable(
                T,
                True,
                tuple(cql.ColumnSpec(name, "int") for name in "abc"),
                ((("a", "b"), ("c",)),),
                (("c", True),),
            ),
        )

    def test_terms(self) -> None:
        """Constants of every kind, and collections of them."""
        for text, expected in (
            ("'it''s'", cql.Constant("STRING", "it's")),
            ("$$it's$$", cql.Constant("STRING", "it's")),
            ("-12", cql.Constant("INTEGER", "-12")),
            ("1.5", cql.Constant("FLOAT", "1.5")),
            ("-1e10", cql.Constant("FLOAT", "-1e10")),
            ("TRUE", cql.Constant("BOOLEAN", "true")),
            ("0xCafe", cql.Constant("HEX", "0xCafe")),
            (
                "550e8400-e29b-41d4-a716-446655440000",
                cql.Constant("UUID", "550e8400-e29b-41d4-a716-446655440000"),
            ),
            ("NULL", cql.Null()),
            ("[]", cql.ListLiteral(())),
            ("[1, 1]", cql.ListLiteral((ONE, ONE))),
            ("{}", cql.SetLiteral(())),
            ("{1}", cql.SetLiteral((ONE,))),
            ("{1: 1, 1: 1}", cql.MapLiteral(((ONE, ONE), (ONE, ONE)))),
            ("{[1]: {1}}", cql.MapLiteral(((cql.ListLiteral((ONE,)), cql.SetLiteral((ONE,))),))),
        ):
            statement = parse(f"INSERT INTO t (a) VALUES ({text})").statement
            assert isinstance(statement, cql.Insert)
            self.assertEqual(statement.terms, (expected,), text)

    def test_markers(self) -> None:
        """In the order of the text; names in lower case unless quoted."""
        parsed = parse('SELECT * FROM t WHERE a = ? AND b = :Name AND c = :"Name" LIMIT ?')
        self.assertEqual(
            parsed.markers,
            (cql.Marker(0, None), cql.Marker(1, "name"), cql.Marker(2, "Name"), cql.Marker(3, None)),
        )
        parsed = parse("INSERT INTO t (a, b) VALUES ({?: ?}, ?)")
        self.assertEqual([marker.index for marker in parsed.markers], [0, 1, 2])

    def test_comments(self) -> None:
        """Three kinds of them."""
        self.check("SELECT -- x\n* // y\nFROM /* z\n */ t", cql.Select(T, None, ()))


class SyntaxErrorTests(SynchronousTestCase):
    """What is no CQL; the sentences are Cassandra's."""

    def check(self, text: str, sentence: str) -> None:
        self.assertEqual(str(self.assertRaises(CQLSyntaxError, parse, text)), sentence)

    def test_sentences(self) -> None:
        """As a real node says it."""
        end = "line 0:-1 no viable alternative at input '<EOF>'"
        for text, sentence in (
            ("", end),
            (" -- nothing\n", end),
            ("SELECT * FROM t -- x", "line 1:20 mismatched character '<EOF>' expecting set null"),
            ("SELECT", end),
            ("SELECT * FROM", end),
            ("SELECT a", "line 0:-1 mismatched input '<EOF>' expecting K_FROM"),
            ("SELEC", "line 1:0 no viable alternative at input 'SELEC' ([SELEC])"),
            ("\n SELEC x", "line 2:1 no viable alternative at input 'SELEC' ([SELEC]...)"),
            (";", "line 1:0 no viable alternative at input ';' ([;])"),
            ("SELECT 'abc", "line 1:11 mismatched character '<EOF>' expecting '''"),
            ("SELECT ^", "line 1:7 no viable alternative at character '^'"),
        ):
            self.check(text, sentence)


class RefusalTests(SynchronousTestCase):
    """What may be CQL, and is beyond the fake."""

    def test_refused(self) -> None:
        """Each is an invalid request that says so."""
        for text in (
            "CREATE MATERIALIZED VIEW v AS SELECT * FROM t PRIMARY KEY (k)",
            "CREATE FUNCTION f (a int) RETURNS int LANGUAGE java AS 'x'",
            "CREATE CUSTOM INDEX ON t (a) USING 'x'",
            "CREATE INDEX ON t (a) USING 'sai'",
            "CREATE ROLE r",
            "GRANT ALL ON t TO r",
            "LIST ROLES",
            "CREATE TABLE t (k int PRIMARY KEY, s 'org.Custom')",
            "CREATE TABLE t (k int PRIMARY KEY) WITH COMPACT STORAGE",
            "SELECT a + 1 FROM t",
            "SELECT a -1 FROM t",
            "SELECT a FROM t GROUP BY a",
            "SELECT a FROM t WHERE a LIKE 'x%'",
            "SELECT m['a'..'b'] FROM t",
            "UPDATE t SET a = 1 + 2 WHERE k = 1",
            "ALTER TABLE t DROP a USING TIMESTAMP 5",
            "INSERT INTO t (a) VALUES (P1Y)",
            "DESCRIBE TABLE t WITH INTERNALS",
            "SELECT v FROM t ORDER BY v ANN OF [1]",
        ):
            error = self.assertRaises(InvalidRequest, parse, text)
            self.assertIn(NOT_SUPPORTED, str(error), text)

    def test_place(self) -> None:
        """The refusal names the place."""
        error = self.assertRaises(InvalidRequest, parse, "SELECT *\nFROM t GROUP BY a")
        self.assertIn("line 2:7, near 'GROUP'", str(error))

    @settings(deadline=None)
    @given(
        words=st.lists(
            st.sampled_from(
                [
                    "SELECT",
                    "*",
                    "FROM",
                    "t",
                    "WHERE",
                    "a",
                    "=",
                    "?",
                    "AND",
                    "(",
                    ")",
                    ",",
                    "{",
                    "}",
                    ":",
                    "1",
                    "'x'",
                    "LIMIT",
                    ";",
                ]
            )
        )
    )
    def test_anything(self, words: list[str]) -> None:
        """Whatever the text, it is a statement, a syntax error or a refusal."""
        try:
            parsed = parse(" ".join(words))
        except (CQLSyntaxError, InvalidRequest):
            return
        self.assertEqual([marker.index for marker in parsed.markers], list(range(len(parsed.markers))))
