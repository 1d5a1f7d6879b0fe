"""Tests for :mod:`txcql.cluster.clusterwatch`: events, and what is read because of them."""

from __future__ import annotations

import uuid
from ipaddress import ip_address
from typing import Any

from txcql.cluster.clusterwatch import ClusterWatch
from txcql.errors import ConnectionLost, ServerError
from txcql.test.scriptednode import Asked, ScriptedNode, ScriptedTestCase
from txcql.wire.events import EVENT_TYPES, SchemaChange, StatusChange, TopologyChange


def status(change: str, node: ScriptedNode) -> StatusChange:
    return StatusChange(change, ip_address(node.address), node.port)


def topology(change: str, node: ScriptedNode) -> TopologyChange:
    return TopologyChange(change, ip_address(node.address), node.port)


class WatchTestCase(ScriptedTestCase):
    """Three nodes; the control connection is at the first."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.cluster = [self.node(f"10.0.0.{digit}") for digit in (1, 2, 3)]
        self.one, self.two, self.three = self.cluster
        self.keyspaces = {"app": 1, "other": 1}
        self.one.schema["keyspaces"] = self.rows()

    def rows(self) -> list[dict[str, Any]]:
        """Keyspaces and their replication factors, as rows."""
        return [
            {
                "keyspace_name": name,
                "durable_writes": True,
                "replication": {
                    "class": "org.apache.cassandra.locator.SimpleStrategy",
                    "replication_factor": str(factor),
                },
            }
            for name, factor in self.keyspaces.items()
        ]

    @property
    def watch(self) -> ClusterWatch:
        assert self.session is not None
        return self.session._view._watch

    def quiet(self) -> None:
        """Forget what was read so far, after a window in which nothing happened."""
        self.reactor.advance(6.0)
        self.reactor.settle()
        for node in self.cluster:
            node.looked_up.clear()

    def tell(self, change: Any) -> None:
        self.one.tell(change)
        self.reactor.settle()

    def read(self, table: str) -> int:
        """How often the first node was asked for a table."""
        return sum(f" {table}" in text for text in self.one.looked_up)

    def names(self) -> list[str]:
        assert self.session is not None
        return [node.name for node in self.session.nodes]


class EventTests(WatchTestCase):
    """What events bring about."""

    def test_registered(self) -> None:
        """The control link asks for every kind of event, the other links for none."""
        self.connect()
        registered = [link.events for node in self.cluster for link in node.links]
        self.assertEqual(sorted(registered), [(), (), (), EVENT_TYPES])
        self.one.links[0].drop()
        self.reactor.settle()
        self.assertIn(EVENT_TYPES, [link.events for link in self.two.links])

    def test_new_node(self) -> None:
        """It is read at once, and its links are opened; and again, because the tables may be late."""
        self.connect()
        self.quiet()
        four = self.node("10.0.0.4")
        self.tell(topology("NEW_NODE", four))
        self.assertEqual(self.names()[3], "10.0.0.4:9042")
        self.assertEqual((len(four.links), self.read("system.peers_v2")), (1, 1))
        self.reactor.advance(5.0)
        self.reactor.settle()
        self.assertEqual(self.read("system.peers_v2"), 2)
        self.reactor.advance(50.0)
        self.assertEqual(self.read("system.peers_v2"), 2)

    def test_removed_node(self) -> None:
        """Its links are closed; that it is down as well may be told later."""
        self.connect()
        self.quiet()
        self.one.peers.remove(self.three)
        self.tell(topology("REMOVED_NODE", self.three))
        self.assertEqual((self.names(), self.three.links), (["10.0.0.1:9042", "10.0.0.2:9042"], []))
        self.reactor.advance(21)
        self.tell(status("DOWN", self.three))
        self.assertEqual(self.names(), ["10.0.0.1:9042", "10.0.0.2:9042"])

    def test_listed_too_late(self) -> None:
        """A node that is not in the tables when its event comes is found a little later."""
        self.connect()
        self.quiet()
        four = self.node("10.0.0.4")
        self.one.peers.remove(four)
        self.tell(topology("NEW_NODE", four))
        self.assertEqual(len(self.names()), 3)
        self.one.peers.append(four)
        self.reactor.advance(5.0)
        self.reactor.settle()
        self.assertEqual(len(self.names()), 4)

    def test_not_complete_yet(self) -> None:
        """A node whose row is not complete is looked for again; not for ever."""
        self.one.odd_peers = [{"peer": ip_address("10.0.0.9"), "host_id": uuid.UUID(int=9)}]
        self.connect()
        self.one.looked_up.clear()
        for _ in range(200):
            self.reactor.advance(1.0)
        self.assertEqual(self.read("system.peers_v2"), 6)
        self.one.looked_up.clear()
        self.tell(status("UP", self.node("10.0.0.4")))
        self.reactor.advance(100.0)
        self.assertGreater(self.read("system.peers_v2"), 1)

    def test_up(self) -> None:
        """The links of the node are opened without waiting for the schedule; nothing is read."""
        self.connect()
        self.two.stop()
        self.reactor.pump([1.0] * 40)
        self.quiet()
        self.two.refusing = False
        self.tell(status("UP", self.two))
        self.assertEqual(len(self.two.links), 1)
        self.assertEqual(self.one.looked_up, [])

    def test_down(self) -> None:
        """A healthy node keeps its link: it is asked whether it is there, once in ten seconds."""
        self.connect()
        self.quiet()
        link = self.two.links[0]
        opcodes: list[int] = []

        def says_nothing(asked: Asked) -> bool:
            opcodes.append(asked.opcode)
            return True

        self.two._own = says_nothing  # type: ignore[method-assign]
        for _ in range(50):
            self.one.tell(status("DOWN", self.two))
        self.reactor.settle()
        self.assertEqual(opcodes, [5])
        self.assertIs(self.two.links[0], link)
        # It says nothing: now it is gone.
        self.reactor.advance(5.0)
        self.reactor.settle()
        self.assertTrue(link.closed)

    def test_down_and_there(self) -> None:
        """It answers: nothing happens."""
        self.connect()
        link = self.two.links[0]
        for _ in range(30):
            self.tell(status("DOWN", self.two))
            self.reactor.advance(1.0)
        self.assertIs(self.two.links[0], link)

    def test_unknown_node(self) -> None:
        """Who is that? The tables tell."""
        self.connect()
        self.quiet()
        four = self.node("10.0.0.4")
        self.tell(status("UP", four))
        self.assertEqual((len(four.links), self.read("system.peers_v2")), (1, 1))

    def test_nonsense(self) -> None:
        """An event that cannot be read costs nothing; the next one is read."""
        self.connect()
        self.quiet()
        link = next(link for link in self.one.links if link.events)
        for body in (b"\0\3WHY", b"\0\x0dSCHEMA_CHANGE\0", b""):
            link.send(-1, 0x0C, body)
        self.tell(SchemaChange("UPDATED", "KEYSPACE", "app"))
        self.assertFalse(link.closed)
        self.assertEqual(self.read("system_schema.keyspaces"), 1)


class MoveTests(WatchTestCase):
    """A node is its host_id, not its address."""

    def move(self, node: ScriptedNode, address: str) -> None:
        """The node is started again at another address."""
        host_id = node.host_id
        node.stop()
        del self.reactor.nodes[node.address, node.port]
        node.address, node.refusing = address, False
        node.identity = host_id
        self.reactor.nodes[address, node.port] = node

    def test_address(self) -> None:
        """Its pool goes along; it is the same node."""
        session = self.connect()
        self.quiet()
        nodes = session.nodes
        self.move(self.two, "10.0.7.7")
        self.reactor.settle()
        self.tell(topology("NEW_NODE", self.two))
        self.assertEqual(session.nodes, nodes)
        self.assertEqual(nodes[1].name, "10.0.7.7:9042")
        self.assertTrue(nodes[1].up)
        self.assertEqual(len(self.two.links), 1)
        self.assertEqual(session.pools[nodes[1]].name, "10.0.7.7:9042")
        # Events know it by its new address.
        self.assertIs(self.watch.membership.find("10.0.7.7", 9042), nodes[1])
        self.assertIsNone(self.watch.membership.find("10.0.0.2", 9042))

    def test_changed_places(self) -> None:
        """Two nodes that change addresses are found at each other's."""
        session = self.connect()
        self.quiet()
        nodes = session.nodes
        self.move(self.two, "10.0.8.8")
        self.move(self.three, "10.0.0.2")
        self.move(self.two, "10.0.0.3")
        self.reactor.settle()
        self.tell(topology("NEW_NODE", self.two))
        self.reactor.pump([1.0] * 3)
        self.assertEqual([node.name for node in nodes[1:]], ["10.0.0.3:9042", "10.0.0.2:9042"])
        self.assertEqual([node.up for node in nodes], [True] * 3)
        self.assertIs(self.watch.membership.find("10.0.0.3", 9042), nodes[1])
        self.assertIs(self.watch.membership.find("10.0.0.2", 9042), nodes[2])

    def test_rack(self) -> None:
        """A node in another rack is found by those who ask for it there."""
        session = self.connect()
        self.quiet()
        self.two.rack = "r9"
        self.tell(topology("MOVED_NODE", self.two))
        self.assertEqual(session.nodes[1].rack, "r9")
        self.assertIn("r9", session.cluster.token_map.datacenters["dc1"].racks)


class StormTests(WatchTestCase):
    """More events than anybody could follow."""

    def storm(self, seconds: int, change: Any) -> list[int]:
        """A thousand events a second.

        :param change: makes an event of its number.
        :returns: how often the keyspaces or peers were read in each second.
        """
        counts = []
        number = 0
        for _ in range(seconds):
            self.one.looked_up.clear()
            for _ in range(100):
                for _ in range(10):
                    self.one.tell(change(number))
                    number += 1
                self.reactor.advance(0.01)
            counts.append(self.read("system.peers_v2") + self.read("system_schema.keyspaces"))
        return counts

    def test_status(self) -> None:
        """Of known nodes: nothing is read. Of unknown ones: once a second. Nothing piles up."""
        self.connect()
        self.quiet()
        calls = len(self.reactor.getDelayedCalls())
        known = self.storm(2, lambda number: status(("UP", "DOWN")[number % 2], self.cluster[number % 3]))
        self.assertEqual(known, [0, 0])
        unknown = self.storm(10, lambda number: StatusChange("UP", ip_address(0x0B000000 + number), 9042))
        self.assertEqual(unknown, [1] * 10)
        self.reactor.advance(6.0)
        self.reactor.settle()
        self.assertLessEqual(len(self.reactor.getDelayedCalls()), calls + 2)
        self.assertEqual([len(node.links) for node in self.cluster], [2, 1, 1])

    def test_schema(self) -> None:
        """Each of a thousand keyspaces changes a second: the schema is read once a second."""
        session = self.connect()
        self.quiet()
        counts = self.storm(
            10, lambda number: SchemaChange("UPDATED", "TABLE", f"ks{number % 1000}", f"t{number}")
        )
        self.assertEqual(counts, [1] * 10)
        self.keyspaces["new"] = 2
        self.one.schema["keyspaces"] = self.rows()
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.assertIn("new", session.cluster.keyspaces)
        self.one.looked_up.clear()
        self.reactor.advance(60.0)
        self.assertEqual(self.read("system_schema.keyspaces"), 0)

    def test_a_node_that_flaps(self) -> None:
        """A node that is said to be up a thousand times a second, and refuses, is tried once a second."""
        self.connect()
        self.two.stop()
        self.reactor.settle()
        self.reactor.dialled.clear()
        self.storm(10, lambda number: status("UP", self.two))
        self.assertLessEqual(len(self.reactor.dialled), 11)


class SchemaTests(WatchTestCase):
    """When the schema is read."""

    def test_at_first(self) -> None:
        """It is there when connect() fires."""
        session = self.connect()
        self.assertEqual(sorted(session.cluster.keyspaces), ["app", "other"])

    def test_one_keyspace(self) -> None:
        """A change is read for its keyspace only, at once if it has been quiet."""
        session = self.connect()
        self.quiet()
        self.keyspaces["app"] = 3
        self.one.schema["keyspaces"] = self.rows()
        self.tell(SchemaChange("UPDATED", "KEYSPACE", "app"))
        self.assertEqual(session.cluster.keyspaces["app"].replication["replication_factor"], "3")
        self.assertEqual(
            [text for text in self.one.looked_up if "keyspaces" in text],
            ["SELECT * FROM system_schema.keyspaces WHERE keyspace_name = 'app'"],
        )
        self.tell(SchemaChange("CREATED", "TABLE", "app", "t"))
        self.tell(SchemaChange("CREATED", "TABLE", "it's", "t"))
        self.assertEqual(self.read("system_schema.tables"), 1)
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.assertEqual(self.read("system_schema.tables"), 2)
        self.assertIn(
            "SELECT * FROM system_schema.keyspaces WHERE keyspace_name IN ('app', 'it''s')",
            self.one.looked_up,
        )

    def test_dropped(self) -> None:
        """A keyspace that is not found any more is gone; the others stay."""
        session = self.connect()
        self.quiet()
        del self.keyspaces["app"]
        self.one.schema["keyspaces"] = self.rows()
        self.tell(SchemaChange("DROPPED", "KEYSPACE", "app"))
        self.assertEqual(sorted(session.cluster.keyspaces), ["other"])

    def test_filter(self) -> None:
        """Only what the setting covers is read; replication is known of all."""
        session = self.connect(schema_metadata=["app"])
        found = session.cluster.keyspaces
        self.assertEqual((found["app"].complete, found["other"].complete), (True, False))
        self.assertIn("SELECT * FROM system_schema.tables WHERE keyspace_name = 'app'", self.one.looked_up)
        self.quiet()
        self.tell(SchemaChange("CREATED", "TABLE", "other", "t"))
        self.assertEqual(self.one.looked_up, [])
        self.tell(SchemaChange("UPDATED", "KEYSPACE", "other"))
        self.assertEqual((self.read("system_schema.keyspaces"), self.read("system_schema.tables")), (1, 0))

    def test_left_out(self) -> None:
        """Without schema metadata the replication is still known: requests are routed by it."""
        session = self.connect(schema_metadata=False)
        self.assertEqual(self.read("system_schema.tables"), 0)
        self.assertFalse(session.cluster.keyspaces["app"].complete)
        self.assertEqual(len(session.cluster.replicas("app", b"key")), 1)

    def test_another_control_node(self) -> None:
        """What has changed while there was no link is read over the next one."""
        session = self.connect()
        self.two.schema["keyspaces"] = self.rows()[:1]
        self.one.stop()
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.assertEqual(list(session.cluster.keyspaces), ["app"])

    def test_read_timeout(self) -> None:
        """A node that does not answer is asked again five seconds later."""
        session = self.connect()
        self.quiet()
        answer = self.one._schema
        self.one._schema = lambda asked, text: None  # type: ignore[method-assign]
        self.tell(SchemaChange("UPDATED", "KEYSPACE", "app"))
        self.one._schema = answer  # type: ignore[method-assign]
        self.keyspaces["app"] = 2
        self.one.schema["keyspaces"] = self.rows()
        self.reactor.advance(5.0)
        self.reactor.settle()
        self.assertEqual(session.cluster.keyspaces["app"].replication["replication_factor"], "1")
        self.reactor.advance(5.0)
        self.reactor.settle()
        self.assertEqual(session.cluster.keyspaces["app"].replication["replication_factor"], "2")

    def test_refresh(self) -> None:
        """An application that wants to be certain asks for it."""
        session = self.connect()
        self.quiet()
        self.keyspaces["new"] = 1
        self.one.schema["keyspaces"] = self.rows()
        for _ in range(3):
            self.answer(session.cluster.refresh())
        self.assertIn("new", session.cluster.keyspaces)
        self.assertEqual((self.read("system.peers_v2"), self.read("system_schema.keyspaces")), (3, 3))

    def test_refresh_without_a_link(self) -> None:
        """There is nobody to ask."""
        session = self.connect()
        for node in self.cluster:
            node.stop()
        self.reactor.settle()
        error = self.error(session.cluster.refresh(), ConnectionLost)
        self.assertEqual(str(error), "there is no control connection at the moment")

    def test_schema_that_cannot_be_read(self) -> None:
        """connect() does without, and it is tried again."""
        self.one._schema = lambda asked, text: asked.error(ServerError("no"))  # type: ignore[method-assign]
        session = self.connect()
        self.assertEqual(dict(session.cluster.keyspaces), {})
        del self.one._schema
        self.reactor.advance(5.0)
        self.reactor.settle()
        self.assertEqual(sorted(session.cluster.keyspaces), ["app", "other"])
