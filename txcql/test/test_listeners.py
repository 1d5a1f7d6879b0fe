"""Tests for :mod:`txcql.cluster.listeners` and of what listeners are told."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from txcql.cluster.clustermetadata import ClusterMetadata
from txcql.cluster.schema import ColumnMetadata, KeyspaceMetadata, TableMetadata, TypeMetadata
from txcql.interfaces import INodeListener, ISchemaListener
from txcql.test.diary import Diary
from txcql.test.scriptednode import ScriptedTestCase
from txcql.wire.events import TopologyChange


@implementer(INodeListener)
class NodeDiary(Diary):
    pass


@implementer(ISchemaListener)
class SchemaDiary(Diary):
    pass


@implementer(INodeListener, ISchemaListener)
class WholeDiary(Diary):
    pass


@implementer(INodeListener, ISchemaListener)
class Broken:
    """Fails at everything."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("node_", "schema_")):
            raise RuntimeError(name)
        raise AttributeError(name)


class NodeTests(ScriptedTestCase):
    """What is told of nodes."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one, self.two = self.node("10.0.0.1"), self.node("10.0.0.2")
        self.diary = NodeDiary()
        self.connect().cluster.add_listener(self.diary)
        self.reactor.advance(10.0)

    def told(self) -> list[str]:
        told, self.diary.told = self.diary.told, []
        return told

    def test_up_and_down(self) -> None:
        """Each change once."""
        self.two.stop()
        self.reactor.settle()
        self.assertEqual(self.told(), ["down 10.0.0.2:9042"])
        self.two.refusing = False
        self.reactor.pump([1.0] * 2)
        self.assertEqual(self.told(), ["up 10.0.0.2:9042"])

    def test_come_move_and_go(self) -> None:
        """Nodes that join, change their address and leave."""
        three = self.node("10.0.0.3")
        self.one.tell(TopologyChange("NEW_NODE", ip_address("10.0.0.3"), 9042))
        self.reactor.settle()
        self.assertEqual(self.told(), ["added 10.0.0.3:9042", "up 10.0.0.3:9042"])
        three.identity, three.address = three.host_id, "10.0.0.4"
        self.reactor.nodes["10.0.0.4", 9042] = three
        self.one.tell(TopologyChange("MOVED_NODE", ip_address("10.0.0.4"), 9042))
        self.reactor.pump([1.0])
        self.assertEqual(
            self.told(), ["down 10.0.0.4:9042", "moved 10.0.0.3:9042 to 10.0.0.4:9042", "up 10.0.0.4:9042"]
        )
        self.one.peers.remove(three)
        self.one.tell(TopologyChange("REMOVED_NODE", ip_address("10.0.0.4"), 9042))
        self.reactor.pump([1.0])
        self.assertEqual(self.told(), ["down 10.0.0.4:9042", "removed 10.0.0.4:9042"])

    def test_defects(self) -> None:
        """What a listener raises is logged; the others are told, and the session goes on."""
        assert self.session is not None
        cluster = self.session.cluster
        later = NodeDiary()
        cluster.add_listener(Broken())
        cluster.add_listener(later)
        self.two.stop()
        self.reactor.settle()
        self.assertEqual((self.told(), later.told), (["down 10.0.0.2:9042"],) * 2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.two.refusing = False
        self.reactor.pump([1.0] * 2)
        self.assertTrue(self.session.nodes[1].up)
        self.flushLoggedErrors(RuntimeError)
        self.answer(self.session.close())
        self.flushLoggedErrors(RuntimeError)

    def test_no_more(self) -> None:
        """One that is removed is told nothing any more, also if it is removed while it is told."""
        assert self.session is not None
        cluster = self.session.cluster
        cluster.remove_listener(self.diary)
        self.two.stop()
        self.reactor.settle()
        self.assertEqual(self.told(), [])
        error = self.assertRaises(ValueError, cluster.remove_listener, self.diary)
        self.assertIn("is no listener of this cluster", str(error))


class AddingTests(SynchronousTestCase):
    """Who may listen."""

    def test_kinds(self) -> None:
        """A listener of one kind, or of both; each once."""
        cluster = ClusterMetadata()
        whole, schema = WholeDiary(), SchemaDiary()
        for diary in (whole, schema, whole):
            cluster.add_listener(diary)
        cluster.listeners.tell("schema_added", "x")
        cluster.listeners.tell("node_up", type("Node", (), {"name": "n"}))
        self.assertEqual((whole.told, schema.told), (["added x", "up n"], ["added x"]))
        cluster.remove_listener(whole)
        cluster.listeners.tell("schema_added", "y")
        self.assertEqual((len(whole.told), len(schema.told)), (2, 2))

    def test_neither(self) -> None:
        """Anything else is refused."""
        error = self.assertRaises(TypeError, ClusterMetadata().add_listener, print)
        self.assertIn("a listener provides INodeListener or ISchemaListener, got <built-in", str(error))


def table(name: str, identity: int, *names: str) -> TableMetadata:
    columns = {column: ColumnMetadata(column, "int", "regular") for column in names}
    return TableMetadata("ks", name, identity, columns, {})


class SchemaTests(SynchronousTestCase):
    """What is told of the schema."""

    def setUp(self) -> None:
        self.cluster = ClusterMetadata()
        self.diary = SchemaDiary()
        self.cluster.add_listener(self.diary)
        self.address = TypeMetadata("ks", "address", {"street": "text"})
        self.keyspace = KeyspaceMetadata(
            "ks",
            {"class": "LocalStrategy"},
            complete=True,
            tables={"one": table("one", 1, "a"), "two": table("two", 2, "a")},
            types={"address": self.address},
        )

    def read(self, *found: KeyspaceMetadata, names: Any = None) -> list[str]:
        self.diary.told.clear()
        self.cluster.keyspaces_read({keyspace.name: keyspace for keyspace in found}, names)
        return self.diary.told

    def test_keyspace(self) -> None:
        """A keyspace comes before what is in it, and goes behind it."""
        self.assertEqual(
            self.read(self.keyspace),
            [
                "added keyspace ks (2 tables, 1 types)",
                "added type ks.address (1 fields)",
                "added table ks.one (1 columns)",
                "added table ks.two (1 columns)",
            ],
        )
        self.assertEqual(self.read(self.keyspace), [])
        self.assertEqual(
            self.read(),
            [
                "removed table ks.one (1 columns)",
                "removed table ks.two (1 columns)",
                "removed type ks.address (1 fields)",
                "removed keyspace ks (2 tables, 1 types)",
            ],
        )
        self.assertEqual(dict(self.cluster.keyspaces), {})

    def test_tables(self) -> None:
        """Altered, dropped, created, and dropped and created again under the same name."""
        self.read(self.keyspace)
        tables = {"one": table("one", 1, "a", "b"), "two": table("two", 22, "a"), "three": table("three", 3)}
        self.assertEqual(
            self.read(replace(self.keyspace, tables=tables)),
            [
                "removed table ks.two (1 columns)",
                "changed table ks.one (2 columns)",
                "added table ks.two (1 columns)",
                "added table ks.three (0 columns)",
            ],
        )

    def test_replication(self) -> None:
        """A keyspace whose options change is changed; what is in it is not."""
        self.read(self.keyspace)
        told = self.read(replace(self.keyspace, durable_writes=False))
        self.assertEqual(told, ["changed keyspace ks (2 tables, 1 types)"])

    def test_only_those_that_were_read(self) -> None:
        """The others stay as they are."""
        self.read(self.keyspace)
        other = KeyspaceMetadata("other", {})
        self.assertEqual(self.read(other, names={"other", "nobody"}), ["added keyspace other (not read)"])
        self.assertEqual(list(self.cluster.keyspaces), ["ks", "other"])
        self.assertEqual(self.read(names={"other"}), ["removed keyspace other (not read)"])

    def test_partition_key(self) -> None:
        """What protocol 3 has to know of tables."""
        key = {name: ColumnMetadata(name, "int", "partition_key") for name in ("b", "a")}
        tables = {
            "one": replace(table("one", 1), columns={**key, "c": ColumnMetadata("c", "int", "regular")})
        }
        self.read(replace(self.keyspace, tables=tables))
        self.assertEqual(self.cluster.partition_key_of("ks", "one"), ("b", "a"))
        self.assertEqual(self.cluster.partition_key_of("ks", "none"), ())
        self.assertEqual(self.cluster.partition_key_of("none", "one"), ())
