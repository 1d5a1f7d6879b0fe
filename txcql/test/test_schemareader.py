"""Tests for :mod:`txcql.cluster.schemareader`, and of what it makes: :mod:`txcql.cluster.schema`."""

from __future__ import annotations

import uuid
from typing import Any

from twisted.internet.defer import Deferred

from txcql.cluster.schema import KeyspaceMetadata
from txcql.cluster.schemareader import read_keyspaces
from txcql.errors import DecodeError, InvalidRequest, ProtocolError, ServerError
from txcql.test.scriptednode import ScriptedTestCase, columns

TABLE, VIEW = uuid.UUID(int=1), uuid.UUID(int=2)

ROWS: dict[str, list[dict[str, Any]]] = {
    "keyspaces": [
        {
            "keyspace_name": "app",
            "durable_writes": False,
            "replication": {"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1": "3"},
        },
        {"keyspace_name": "other", "durable_writes": True, "replication": {"class": "LocalStrategy"}},
    ],
    "tables": [
        {"table_name": "users", "id": TABLE, "flags": {"compound"}, "comment": "it's"},
        {"table_name": "old", "id": TABLE, "flags": {"dense"}, "comment": ""},
    ],
    "columns": [
        {"table_name": "users", "column_name": name, "kind": kind, "position": position, "type": type_}
        | {"clustering_order": order}
        for name, kind, position, type_, order in (
            ("zip", "regular", -1, "int", "none"),
            ("b", "partition_key", 1, "text", "none"),
            ("a", "partition_key", 0, "int", "none"),
            ("order", "clustering", 0, "timeuuid", "desc"),
            ("home", "regular", -1, "frozen<address>", "none"),
            ("odd", "regular", -1, "nosuch", "none"),
            ("all", "static", -1, "bigint", "none"),
        )
    ]
    + [
        {"table_name": table, "column_name": name, "kind": kind, "position": position, "type": type_}
        | {"clustering_order": order}
        for table, name, kind, position, type_, order in (
            ("old", "k", "partition_key", 0, "int", "none"),
            ("old", "value", "regular", -1, "empty", "none"),
            ("by_zip", "zip", "partition_key", 0, "int", "none"),
            ("by_zip", "a", "clustering", 0, "int", "asc"),
        )
    ],
    "indexes": [
        {"table_name": "users", "index_name": "zips", "kind": "COMPOSITES", "options": {"target": "zip"}},
        {
            "table_name": "users",
            "index_name": "homes",
            "kind": "CUSTOM",
            "options": {"target": "home", "class_name": "sai", "mode": "x"},
        },
    ],
    "views": [
        {
            "view_name": "by_zip",
            "base_table_name": "users",
            "where_clause": "zip IS NOT NULL",
            "include_all_columns": False,
            "id": VIEW,
            "comment": "v",
        }
    ],
    "types": [
        {"type_name": "address", "field_names": ["Street", "in"], "field_types": ["text", "frozen<city>"]},
        {"type_name": "city", "field_names": ["name"], "field_types": ["text"]},
    ],
    "functions": [
        {
            "function_name": "plus",
            "argument_types": ["int", "int"],
            "argument_names": ["x", "y"],
            "body": "return x + y;",
            "language": "java",
            "return_type": "int",
            "called_on_null_input": False,
        }
    ],
    "aggregates": [
        {
            "aggregate_name": "total",
            "argument_types": ["int", "frozen<list<int>>"],
            "final_func": None,
            "initcond": "0",
            "return_type": "int",
            "state_func": "plus",
            "state_type": "frozen<list<int>>",
        }
    ],
    "column_masks": [
        {
            "table_name": "users",
            "column_name": "zip",
            "function_keyspace": "system",
            "function_name": "mask_inner",
            "function_argument_types": ["int", "int", "text"],
            "function_argument_values": ["1", "", "#"],
            "function_argument_nulls": [False, True, False],
        }
    ],
}

USERS = """\
CREATE TABLE app.users (
    a int,
    b text,
    "order" timeuuid,
    all bigint static,
    home frozen<address>,
    odd nosuch,
    zip int MASKED WITH system.mask_inner(1, null, '#'),
    PRIMARY KEY ((a, b), "order")
) WITH CLUSTERING ORDER BY ("order" DESC)
    AND comment = 'it''s';"""


class SchemaReaderTests(ScriptedTestCase):
    """Over the control link of a session."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one = self.node()
        self.one.schema = {
            table: [{"keyspace_name": "app", **row} for row in rows] for table, rows in ROWS.items()
        }
        self.connect(schema_metadata=False)
        self.one.looked_up.clear()

    def reading(self, covered: Any = True, names: Any = None) -> Deferred[dict[str, KeyspaceMetadata]]:
        assert self.session is not None
        link = self.session._view._watch.control.link
        assert link is not None
        return Deferred.fromCoroutine(read_keyspaces(link, self.reactor, covered, names))

    def app(self) -> KeyspaceMetadata:
        found: dict[str, KeyspaceMetadata] = self.answer(self.reading())
        return found["app"]

    def test_keyspaces(self) -> None:
        """Each with what is in it."""
        found = self.answer(self.reading())
        self.assertEqual(
            [str(keyspace) for keyspace in found.values()],
            [
                "keyspace app (2 tables, 1 views, 2 types, 1 functions, 1 aggregates)",
                "keyspace other (0 tables)",
            ],
        )
        self.assertEqual(
            found["app"].as_cql(),
            "CREATE KEYSPACE app WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': '3'}"
            " AND durable_writes = false;",
        )

    def test_table(self) -> None:
        """Its columns: the key in its order, then static ones and the others by name."""
        table = self.app().tables["users"]
        self.assertEqual(list(table.columns), ["a", "b", "order", "all", "home", "odd", "zip"])
        self.assertEqual([column.name for column in table.partition_key], ["a", "b"])
        self.assertEqual([column.name for column in table.primary_key], ["a", "b", "order"])
        self.assertTrue(table.clustering_key[0].descending)
        self.assertEqual((str(table), table.id), ("table app.users (7 columns)", TABLE))
        self.assertEqual(table.as_cql(), USERS)

    def test_types_of_columns(self) -> None:
        """They are made when they are asked for, with the types of the keyspace."""
        columns = self.app().tables["users"].columns
        self.assertEqual(columns["zip"].type.encode(7), b"\0\0\0\7")
        home = columns["home"].type
        value = home.decode(home.encode(("Long St", ("Oslo",))))
        self.assertEqual(value, ("Long St", ("Oslo",)))
        self.assertRaises(DecodeError, lambda: columns["odd"].type)
        self.assertEqual(str(columns["all"]), "all bigint (static)")

    def test_compact(self) -> None:
        """A table from before CQL."""
        table = self.app().tables["old"]
        self.assertTrue(table.is_compact)
        self.assertEqual(
            table.as_cql(),
            "CREATE TABLE app.old (\n    k int PRIMARY KEY\n) WITH COMPACT STORAGE\n    AND comment = '';",
        )

    def test_indexes(self) -> None:
        """Of their table; custom ones have a class."""
        indexes = self.app().tables["users"].indexes
        self.assertEqual(indexes["zips"].as_cql(), "CREATE INDEX zips ON app.users (zip);")
        self.assertEqual(
            indexes["homes"].as_cql(),
            "CREATE CUSTOM INDEX homes ON app.users (home) USING 'sai' WITH OPTIONS = {'mode': 'x'};",
        )
        self.assertEqual(str(indexes["zips"]), "index app.zips on users (zip)")

    def test_view(self) -> None:
        """A view has columns as a table has."""
        view = self.app().views["by_zip"]
        self.assertEqual(str(view), "view app.by_zip of users (2 columns)")
        self.assertEqual(
            view.as_cql(),
            "CREATE MATERIALIZED VIEW app.by_zip AS\n    SELECT zip, a\n    FROM app.users\n"
            "    WHERE zip IS NOT NULL\n    PRIMARY KEY (zip, a)\n"
            " WITH CLUSTERING ORDER BY (a ASC)\n    AND comment = 'v';",
        )

    def test_functions_and_aggregates(self) -> None:
        """By signature."""
        app = self.app()
        function = app.functions["plus(int, int)"]
        self.assertEqual(str(function), "function app.plus(int, int)")
        self.assertEqual(
            function.as_cql(),
            "CREATE FUNCTION app.plus(x int, y int)\n    RETURNS NULL ON NULL INPUT\n    RETURNS int\n"
            "    LANGUAGE java\n    AS $$return x + y;$$;",
        )
        aggregate = app.aggregates["total(int, frozen<list<int>>)"]
        self.assertEqual(str(aggregate), "aggregate app.total(int, frozen<list<int>>)")
        self.assertEqual(
            aggregate.as_cql(),
            "CREATE AGGREGATE app.total(int, list<int>)\n    SFUNC plus\n    STYPE list<int>\n"
            "    INITCOND 0;",
        )

    def test_in_order(self) -> None:
        """What makes all of it, each thing behind those that it needs."""
        first_words = [" ".join(text.split()[:3]) for text in self.app().statements()]
        self.assertEqual(
            first_words,
            [
                "CREATE KEYSPACE app",
                "CREATE TYPE app.city",
                "CREATE TYPE app.address",
                "CREATE FUNCTION app.plus(x",
                "CREATE AGGREGATE app.total(int,",
                "CREATE TABLE app.users",
                "CREATE INDEX zips",
                "CREATE CUSTOM INDEX",
                "CREATE TABLE app.old",
                "CREATE MATERIALIZED VIEW",
            ],
        )

    def test_type(self) -> None:
        """Names are quoted where CQL needs it."""
        types = self.app().types
        self.assertEqual(str(types["address"]), "type app.address (2 fields)")
        self.assertEqual(
            types["address"].as_cql(),
            'CREATE TYPE app.address (\n    "Street" text,\n    "in" frozen<city>\n);',
        )

    def test_some(self) -> None:
        """Of those that were asked for, and of those that are covered."""
        found = self.answer(self.reading(covered=["app", "none"], names=["app", "none"]))
        self.assertEqual(list(found), ["app"])
        self.assertIn("SELECT * FROM system_schema.types WHERE keyspace_name = 'app'", self.one.looked_up)
        found = self.answer(self.reading(covered=["none"]))
        self.assertEqual([keyspace.complete for keyspace in found.values()], [False, False])
        self.assertEqual(str(found["app"]), "keyspace app (not read)")

    def test_before_5_0(self) -> None:
        """There are no masks, and no table of them."""
        schema = self.one._schema

        def without_masks(asked: Any, text: str) -> None:
            if "column_masks" in text:
                asked.error(InvalidRequest("unconfigured table column_masks"))
            else:
                schema(asked, text)

        self.one._schema = without_masks  # type: ignore[method-assign]
        self.assertIsNone(self.app().tables["users"].columns["zip"].mask)

    def test_refused(self) -> None:
        """Any table that cannot be read fails it all, once."""
        self.one._schema = lambda asked, text: asked.error(ServerError("no"))  # type: ignore[method-assign]
        self.assertEqual(str(self.error(self.reading(), ServerError)), "no")
        schema = type(self.one)._schema

        def one_refused(asked: Any, text: str) -> None:
            if "types" in text:
                asked.error(InvalidRequest("what types?"))
            else:
                schema(self.one, asked, text)

        self.one._schema = one_refused  # type: ignore[method-assign]
        self.assertEqual(str(self.error(self.reading(), InvalidRequest)), "what types?")

    def test_rows_that_make_no_sense(self) -> None:
        """Rows without their columns, or with others of another type, are an error of their node."""
        schema = self.one._schema
        for table, types in [
            ("tables", {"keyspace_name": "text"}),
            ("columns", {"keyspace_name": "text", "table_name": "text"}),
            (
                "types",
                {"keyspace_name": "text", "type_name": "text", "field_names": "text", "field_types": "int"},
            ),
            ("keyspaces", {"keyspace_name": "text", "durable_writes": "boolean", "replication": "int"}),
            ("functions", {"keyspace_name": "text"}),
        ]:

            def senseless(asked: Any, text: str, table: str = table, types: dict[str, str] = types) -> None:
                if text.partition(" system_schema.")[2].split()[0] != table:
                    schema(asked, text)
                    return
                row = {"keyspace_name": "app", "table_name": "users", "type_name": "city", "field_names": "a"}
                filler = {"int": 1, "boolean": True}
                cells = [row.get(name, filler.get(kind)) for name, kind in types.items()]
                asked.rows(columns(**types), [cells])

            with self.subTest(table=table):
                self.one._schema = senseless  # type: ignore[method-assign]
                error = self.error(self.reading(), ProtocolError)
                self.assertRegex(
                    str(error), "^10.0.0.1:9042 describes its schema in rows that make no sense: "
                )
        self.one._schema = schema  # type: ignore[method-assign]
        self.assertEqual(len(self.app().tables), 2)

    def test_many_tables(self) -> None:
        """A large schema is read in many turns."""
        many = [{"keyspace_name": "app", "table_name": f"t{n}", "id": TABLE} for n in range(300)]
        self.one.schema["tables"] = many
        self.assertEqual(len(self.app().tables), 300)
