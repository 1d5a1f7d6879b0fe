"""Tests for :mod:`txcql.wire.bindmarkers`."""

from __future__ import annotations

from time import process_time

from twisted.trial.unittest import SynchronousTestCase

from txcql.wire.bindmarkers import bind_markers


class BindMarkerTests(SynchronousTestCase):
    """The markers of a text."""

    def test_names(self) -> None:
        """As the server has them."""
        for text, names in (
            ("SELECT * FROM t", []),
            ("SELECT * FROM t WHERE a = ? AND b IN ? LIMIT ?", ["?", "?", "?"]),
            ('UPDATE t USING TTL :Ttl SET v=:v WHERE k = :"K k" IF v = :v', ["ttl", "v", "K k", "v"]),
            ("SELECT :a, :b_2 FROM t WHERE (a,b) IN (:c,:d)", ["a", "b_2", "c", "d"]),
            ("INSERT INTO t (m) VALUES ({'a': :x, :y : ?, 'z':?})", ["x", "y", "?", "?"]),
            ("INSERT INTO t (u) VALUES ({street:'x', zip:now(), deep:{a:b}, n:null})", []),
            ("INSERT INTO t (u) VALUES ({street::x, zip : :y})", ["x", "y"]),
        ):
            self.assertEqual(list(bind_markers(text)), names, text)

    def test_what_is_none(self) -> None:
        """In strings, quoted names and comments."""
        for text in (
            "SELECT ':a' FROM t WHERE v = 'it''s ? :b'",
            'SELECT "a?:b" FROM t',
            "SELECT $$ ? :a $$ FROM t",
            "SELECT a -- ? :a\nFROM t // ?\n/* ? :b */",
        ):
            self.assertEqual(list(bind_markers(text)), [], text)

    def test_time(self) -> None:
        """It takes no longer than the text is long."""
        begin = process_time()
        for text in (
            "'" * 50_001,
            "{" * 50_000,
            "/*" * 50_000,
            '"' + "x" * 50_000,
            " " * 50_000,
            "$$" + "$" * 50_000,
        ):
            bind_markers(text)
        self.assertLess(process_time() - begin, 5.0)
