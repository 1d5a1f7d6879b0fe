"""Tests for :mod:`txcql.cli.describe`."""

from __future__ import annotations

from txcql.test.clicase import CommandTestCase


class DescribeTests(CommandTestCase):
    """The CQL that makes what is there."""

    def test_names(self) -> None:
        """Without a name: every keyspace, in a line."""
        self.assertIn("keyspace shop (1 tables", self.run_command("describe"))

    def test_keyspace(self) -> None:
        """All of it, in an order in which it can be executed."""
        text = self.run_command("describe", "shop")
        places = [
            text.index(what) for what in ("CREATE KEYSPACE shop", "CREATE TABLE shop.shirts", "CREATE INDEX")
        ]
        self.assertEqual(places, sorted(places))

    def test_parts(self) -> None:
        """A table, an index."""
        self.assertTrue(
            self.run_command("describe", "shop.shirts").startswith("CREATE TABLE shop.shirts (\n")
        )
        self.assertTrue(self.run_command("describe", "shop.by_name").startswith("CREATE INDEX by_name"))

    def test_nothing_of_that_name(self) -> None:
        """The names that there are."""
        self.assertIn("there is no keyspace 'ship'; there are: ", self.fails("describe", "ship"))
        self.assertEqual(
            self.fails("describe", "shop.nope"),
            "there is no table, view, index or type in shop 'nope'; there are: by_name, shirts",
        )
