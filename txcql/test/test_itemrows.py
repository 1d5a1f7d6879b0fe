"""Tests for :mod:`txcql.integrations.scrapy.itemrows`, against a cluster in memory."""

from __future__ import annotations

from typing import Any

from scrapy.settings import Settings
from twisted.internet.defer import Deferred

from txcql.errors import EncodeError
from txcql.integrations.scrapy.crawlsettings import ItemSettings
from txcql.integrations.scrapy.itemrows import ItemError, ItemRows, prepare_rows
from txcql.test.scriptednode import columns
from txcql.test.scriptedsession import SessionTestCase
from txcql.wire.values import UNSET

COLUMNS = (
    "SELECT column_name, kind, position FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?"
)
TABLE = [
    ["name", "regular", -1],
    ["Price", "regular", -1],
    ["day", "clustering", 0],
    ["shop", "partition_key", 0],
]


class ItemRowsTests(SessionTestCase):
    """The values of items."""

    def prepare(self, *parameters: str, text: str = "", version: int = 5, **given: Any) -> Deferred[ItemRows]:
        """Prepare, with a table of four columns."""
        self.one.teach(
            COLUMNS,
            parameters=columns(keyspace_name="text", table_name="text"),
            columns=columns(column_name="text", kind="text", position="int"),
            rows=TABLE if given.get("TABLE", "t").endswith("t") else [],
        )
        self.one.teach(text, parameters=columns(**dict.fromkeys(parameters, "text")))
        session = self.connect(keyspace="ks", protocol_version=version)
        settings = Settings({f"CASSANDRA_{name}": value for name, value in given.items()})
        found = Deferred.fromCoroutine(prepare_rows(session, ItemSettings.of(settings)))
        self.reactor.settle()
        return found

    def rows(self, *parameters: str, **given: Any) -> ItemRows:
        return self.successResultOf(self.prepare(*parameters, **given))

    def assert_refused(self, expected: str, *parameters: str, **given: Any) -> None:
        failure = self.failureResultOf(self.prepare(*parameters, **given), ValueError)
        self.assertIn(expected, str(failure.value))

    def test_a_table(self) -> None:
        """Every column that there is, the primary key first; names that need it are quoted."""
        text = 'INSERT INTO t (shop, day, name, "Price") VALUES (?, ?, ?, ?)'
        rows = self.rows("shop", "day", "name", "Price", TABLE="t", text=text)
        self.assertEqual(rows.values({"shop": "s", "day": "d", "Price": "p"}), ["s", "d", UNSET, "p"])
        error = self.assertRaises(ItemError, rows.values, {"shop": "s", "day": None})
        self.assertIn("no day", str(error))
        error = self.assertRaises(ItemError, rows.values, {"shop": "s", "day": "d", "colour": "red"})
        self.assertIn("no column for colour", str(error))

    def test_below_protocol_4(self) -> None:
        """There a field that an item does not have is null."""
        text = 'INSERT INTO t (shop, day, name, "Price") VALUES (?, ?, ?, ?)'
        rows = self.rows("shop", "day", "name", "Price", TABLE="t", text=text, version=3)
        self.assertEqual(rows.values({"shop": "s", "day": "d"}), ["s", "d", None, None])

    def test_fields(self) -> None:
        """Chosen ones, under other names; what else an item has is left out."""
        text = "INSERT INTO ks.t (shop, day) VALUES (?, ?) IF NOT EXISTS USING TTL 60"
        fields = {"shop": "store", "day": "date"}
        rows = self.rows("shop", "day", TABLE="ks.t", text=text, FIELDS=fields, TTL=60, IF_NOT_EXISTS=True)
        self.assertEqual(rows.values({"store": "s", "date": "d", "colour": "red"}), ["s", "d"])

    def test_wrong_fields(self) -> None:
        """Columns that do not exist, and a key that is not whole."""
        self.assert_refused("has no column colour; it has: shop, day", TABLE="t", FIELDS="shop,day,colour")

    def test_half_a_key(self) -> None:
        """No row can be without its key."""
        self.assert_refused("lacks day, of the primary key", TABLE="t", FIELDS="shop,name")

    def test_no_such_table(self) -> None:
        """It is named as it is looked for: in lower case, unless quoted."""
        self.assert_refused('no table "nothing" in the keyspace "ks"', TABLE="Nothing")

    def test_no_keyspace(self) -> None:
        """It has to come from somewhere."""
        settings = ItemSettings.of(Settings({"CASSANDRA_TABLE": "t"}))
        found = Deferred.fromCoroutine(prepare_rows(self.connect(), settings))
        self.assertIn("no CASSANDRA_KEYSPACE", str(self.failureResultOf(found, ValueError).value))

    def test_a_statement(self) -> None:
        """Fields by the names of its parameters, or as told."""
        text = "UPDATE t SET name = :name WHERE shop = :shop"
        rows = self.rows("name", "shop", text=text, STATEMENT=text, FIELDS={"shop": "store"})
        self.assertEqual(rows.values({"name": "n", "store": "s", "more": 1}), ["n", "s"])

    def test_wrong_parameters(self) -> None:
        """A parameter that the statement does not have."""
        text = "UPDATE t SET name = :name"
        self.assert_refused(
            "no parameter colour; it has: name", "name", text=text, STATEMENT=text, FIELDS="colour"
        )

    def test_values_are_checked_by_the_driver(self) -> None:
        """An item of the wrong type fails when it is encoded."""
        text = "UPDATE t SET name = :name"
        rows = self.rows("name", text=text, STATEMENT=text)
        assert self.session is not None
        self.assertRaises(EncodeError, self.session.encode, rows.statement, rows.values({"name": 5}))
