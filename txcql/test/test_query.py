"""Tests for :mod:`txcql.cli.query` and :mod:`txcql.cli.texttable`."""

from __future__ import annotations

import io
import sys

from twisted.trial.unittest import SynchronousTestCase

from txcql.cli.texttable import TextTable, cell_text
from txcql.errors import InvalidRequest
from txcql.test.clicase import CommandTestCase


class QueryTests(CommandTestCase):
    """One statement."""

    def setUp(self) -> None:
        CommandTestCase.setUp(self)
        self.execute(
            "INSERT INTO shop.shirts (id, name, sizes) VALUES (1, 'plain', {38})",
            "INSERT INTO shop.shirts (id, name) VALUES (2, 'with \"quotes\", and more')",
        )

    def test_table(self) -> None:
        self.assertEqual(
            self.run_command("query", "SELECT id, name, sizes FROM shop.shirts WHERE id IN (1, 2)"),
            "id | name                    | sizes\n"
            "---+-------------------------+------\n"
            "1  | plain                   | [38]\n"
            '2  | with "quotes", and more | null\n'
            "(2 rows)\n",
        )

    def test_csv(self) -> None:
        self.assertEqual(
            self.run_command(
                "query", "SELECT id, name, sizes FROM shop.shirts WHERE id IN (1, 2)", "--format", "csv"
            ),
            'id,name,sizes\n1,plain,[38]\n2,"with ""quotes"", and more",\\N\n',
        )

    def test_json_lines_page_by_page(self) -> None:
        """All pages, or as many rows as are asked for."""
        text = "SELECT id FROM shop.shirts WHERE id IN (1, 2)"
        arguments = ("query", text, "--format", "jsonl", "--page-size", "1")
        self.assertEqual(self.run_command(*arguments), '{"id":1}\n{"id":2}\n')
        self.assertEqual(self.run_command(*arguments, "--limit", "1"), '{"id":1}\n')

    def test_no_rows(self) -> None:
        """What returns none prints none; a keyspace may be given."""
        self.assertEqual(
            self.run_command("query", "DELETE FROM shirts WHERE id = 1", "--keyspace", "shop"), ""
        )
        self.assertIn("(1 row)\n", self.run_command("query", "SELECT id FROM shop.shirts"))

    def test_standard_input(self) -> None:
        self.patch(sys, "stdin", io.StringIO("SELECT id FROM shop.shirts WHERE id = 1"))
        self.assertIn("(1 row)\n", self.run_command("query", "-"))
        self.patch(sys, "stdin", io.StringIO(" \n"))
        self.assertEqual(self.fails("query", "-"), "there is no statement to execute")

    def test_refused(self) -> None:
        """The server's sentence."""
        self.assertRaises(InvalidRequest, self.run_command, "query", "SELECT * FROM shop.nothing")


class TextTableTests(SynchronousTestCase):
    """Rows as text."""

    def test_widths(self) -> None:
        """A later page may need more; what takes two columns counts as two."""
        output = io.StringIO()
        table = TextTable(["k", "value"], output)
        table.write([["1", "\u6f22\u5b57"], ["2", "e\u0301"]])
        table.write([["3", "longer than before"], ["4", "x"]])
        self.assertEqual(
            output.getvalue(),
            "k | value\n--+------\n1 | \u6f22\u5b57\n2 | e\u0301\n3 | longer than before\n4 | x\n",
        )

    def test_cells(self) -> None:
        """Text is itself, what has no shape is escaped, and all else is as JSON spells it."""
        self.assertEqual(
            [cell_text(value) for value in (None, "a\tb\x1b", 1.5, True, [1], b"\x01")],
            ["null", "a\\tb\\u001b", "1.5", "true", "[1]", "0x01"],
        )
