"""Tests for :mod:`txcql.session.routing`, and of the timestamps of writes."""

from __future__ import annotations

import struct
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.interfaces import IRequest
from txcql.policies.timestamps import MonotonicTimestampGenerator, ServerSideTimestampGenerator
from txcql.session.routing import RoutedStatement, SuspectsLast, routing_key
from txcql.test.policynodes import PolicyNode, names
from txcql.test.scriptednode import columns
from txcql.test.scriptedrequests import DELETE, INSERT, LIST, SELECT, InOrder, RequestTestCase
from txcql.wire import constants


def encoded(*values: bytes | None) -> bytes:
    """Values as EXECUTE has them; None is null, and UNSET is b"unset"."""
    pieces = [struct.pack(">H", len(values))]
    for value in values:
        if value is None or value == b"unset":
            pieces.append(struct.pack(">i", -1 if value is None else -2))
        else:
            pieces.append(struct.pack(">i", len(value)) + value)
    return b"".join(pieces)


class RoutingKeyTests(SynchronousTestCase):
    """The partition key among encoded values."""

    def test_single(self) -> None:
        """A key of one component is bare, wherever it stands."""
        values = encoded(b"a", b"", None, b"dd")
        self.assertEqual(routing_key(values, 0, (0,)), b"a")
        self.assertEqual(routing_key(values, 0, (1,)), b"")
        self.assertEqual(routing_key(values, 0, (3,)), b"dd")
        self.assertEqual(routing_key(b"head" + values + b"tail", 4, (3,)), b"dd")

    def test_composite(self) -> None:
        """Sizes, and a zero byte behind each component; in the order of the key."""
        values = encoded(b"ab", b"x", b"\0\0\0\1")
        self.assertEqual(routing_key(values, 0, (2, 0)), bytes.fromhex("0004 00000001 00 0002 6162 00"))

    def test_none(self) -> None:
        """Null, not set, not bound, nothing there, too long."""
        values = encoded(b"a", None, b"unset", bytes(0x10000))
        for positions in ((1,), (2,), (0, 1), (0, 3), ()):
            self.assertIsNone(routing_key(values, 0, positions))
        self.assertIsNone(routing_key(b"", 0, (0,)))


class SuspectsLastTests(SynchronousTestCase):
    """A plan some of whose nodes are suspect."""

    def test_order(self) -> None:
        """The others first; then the suspects, in their order."""
        a, b, c, d = (PolicyNode(name, suspect=name in "bd") for name in "abcd")
        self.assertEqual(names(SuspectsLast(b, iter((a, d, c)))), "acbd")
        self.assertEqual(names(SuspectsLast(b, iter(()))), "b")


class RequestTests(RequestTestCase):
    """What a policy is told of a request."""

    def connect(self, *points: Any, **settings: Any) -> Any:
        self.policy = InOrder()
        self.asked_of: list[Any] = []
        plan = self.policy.plan

        def note(request: Any) -> Any:
            verifyObject(IRequest, request)
            about = (request.keyspace, request.routing_key, request.consistency, request.idempotent)
            self.asked_of.append((*about, list(request.replicas())))
            return plan(request)

        self.policy.plan = note  # type: ignore[method-assign]
        return RequestTestCase.connect(self, *points, load_balancing=self.policy, **settings)

    def last(self) -> Any:
        return self.asked_of[-1][:4]

    def test_text(self) -> None:
        """Text has a key if the call gives one."""
        session = self.connect(keyspace="ks")
        self.answer(session.execute(LIST))
        self.assertEqual(self.last(), ("ks", None, "LOCAL_QUORUM", True))
        self.answer(session.execute(DELETE, routing_key=b"key", keyspace="other", consistency="ONE"))
        self.assertEqual(self.last(), ("other", b"key", "ONE", False))

    def test_prepared(self) -> None:
        """A prepared statement has one of its own, in the keyspace of its table."""
        for node in (self.one, self.two):
            node.partition_keys[INSERT] = (0,)
            node.partition_keys[SELECT] = (0,)
        session = self.connect()
        self.answer(session.execute(SELECT, [7]))
        # The first plan is that of PREPARE.
        self.assertEqual(self.asked_of[0][:2], (None, None))
        self.assertEqual(self.last(), ("ks", b"\0\0\0\7", "LOCAL_QUORUM", True))
        insert = self.answer(session.prepare(INSERT))
        self.answer(session.execute(insert, [8, "x"]))
        self.assertEqual(self.last(), ("ks", b"\0\0\0\x08", "LOCAL_QUORUM", False))
        self.answer(session.execute(insert, [8, "x"], routing_key=b"given", idempotent=True))
        self.assertEqual(self.last(), ("ks", b"given", "LOCAL_QUORUM", True))

    def test_bulk_work(self) -> None:
        """The same, before there is a request."""
        for node in (self.one, self.two):
            node.partition_keys[INSERT] = (0,)
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        self.answer(session.execute_many(insert, [[1, "x"]], consistency="ONE"))
        self.assertEqual(self.last(), ("ks", b"\0\0\0\1", "ONE", False))
        options = session.options({"idempotent": True, "routing_key": b"k"})
        verifyObject(IRequest, RoutedStatement(session, LIST, b"", options))
        self.assertEqual(RoutedStatement(session, LIST, b"", options).routing_key, b"k")
        self.assertTrue(RoutedStatement(session, insert, b"", options).idempotent)

    def test_schema_below_4(self) -> None:
        """v3 tells no positions: the schema does, once it is known."""
        session = self.connect(protocol_version=3, keyspace="ks")
        known: dict[Any, Any] = {}
        session.partition_key_of = lambda keyspace, table: known.get((keyspace, table), ())
        insert = self.answer(session.prepare(INSERT))
        self.answer(session.execute(insert, [1, "x"]))
        self.assertIsNone(self.last()[1])
        known["ks", "t"] = ("k", "not bound")
        self.answer(session.execute(insert, [1, "x"]))
        self.assertIsNone(self.last()[1])
        known["ks", "t"] = ("k", "v")
        self.answer(session.execute(insert, [1, "x"]))
        self.assertEqual(self.last()[1], bytes.fromhex("0004 00000001 00 0001 78 00"))
        self.assertEqual(insert.partition_key, (0, 1))

    def test_replicas(self) -> None:
        """Those that the cluster's metadata tells."""
        session = self.connect(keyspace="ks")
        asked = []

        def replicas(keyspace: str | None, key: bytes) -> list[str]:
            asked.append((keyspace, key))
            return ["node"]

        session.replicas = replicas
        self.answer(session.execute(DELETE, routing_key=b"key"))
        self.assertEqual(self.asked_of[-1][4], ["node"])
        self.assertEqual(asked, [("ks", b"key")])


class TimestampTests(RequestTestCase):
    """Writes have a timestamp of the client's."""

    def setUp(self) -> None:
        RequestTestCase.setUp(self)
        self.now = 5.0
        self.clock = MonotonicTimestampGenerator(lambda: self.now)

    def timestamps(self) -> list[int | None]:
        return [
            asked.options.timestamp
            for asked in (*self.one.requests, *self.two.requests)
            if asked.opcode in (constants.QUERY, constants.EXECUTE)
        ]

    def test_writes(self) -> None:
        """Of text and prepared, each its own; reads have none."""
        for version in (3, 4, 5):
            self.setUp()
            session = self.connect(timestamps=self.clock, protocol_version=version)
            insert, select = self.answer(session.prepare(INSERT)), self.answer(session.prepare(SELECT))
            for statement, values in ((DELETE, None), (insert, [1, "x"]), (LIST, None), (select, [1])):
                self.answer(session.execute(statement, values))
            self.answer(session.execute(INSERT, [1, "x"]))
            self.assertEqual(self.timestamps(), [5_000_000, 5_000_001, None, None, 5_000_002])
            self.assertEqual(self.one.requests[-1].request.values, [b"\0\0\0\1", b"x"])
            self.tearDown()
            self.session = None

    def test_first_use(self) -> None:
        """Text with parameters has one when it has been prepared."""
        session = self.connect(timestamps=self.clock)
        self.answer(session.execute(INSERT, [1, "x"]))
        self.assertEqual(self.timestamps(), [5_000_000])

    def test_bulk_work(self) -> None:
        """Each row has its own."""
        session = self.connect(timestamps=self.clock)
        self.answer(session.execute_many(INSERT, [[1, "x"], [2, "y"]]))
        self.assertEqual(self.timestamps(), [5_000_000, 5_000_001])

    def test_given(self) -> None:
        """One that the call gives wins."""
        session = self.connect(timestamps=self.clock)
        self.answer(session.execute(DELETE, timestamp=7))
        self.answer(session.execute(INSERT, [1, "x"], timestamp=8))
        self.assertEqual(self.timestamps(), [7, 8])

    def test_with_now_in_seconds(self) -> None:
        """Which stands behind it."""
        session = self.connect(timestamps=self.clock)
        self.answer(session.execute(INSERT, [1, "x"], now_in_seconds=99))
        asked = self.one.requests[-1].options
        self.assertEqual((asked.timestamp, asked.now_in_seconds), (5_000_000, 99))

    def test_prepared_again(self) -> None:
        """It is kept when the values are encoded anew."""
        session = self.connect(timestamps=self.clock)
        insert = self.answer(session.prepare(INSERT))
        self.one.prepared.clear()
        self.one.teach(INSERT, parameters=columns(k="bigint", v="text"))
        for options in ({}, {"now_in_seconds": 1}):
            self.one.prepared.clear()
            self.answer(session.execute(insert, [1, "x"], **options))
            first, second = self.timestamps()[-2:]
            self.assertEqual(first, second)
            self.now += 1

    def test_server_side(self) -> None:
        """The driver gives none: by a generator that never does, and by one that does not now."""
        for generator in (ServerSideTimestampGenerator(), _Sometimes()):
            self.setUp()
            session = self.connect(timestamps=generator)
            insert = self.answer(session.prepare(INSERT))
            self.one.prepared.clear()
            self.answer(session.execute(insert, [1, "x"]))
            self.answer(session.execute(DELETE))
            self.assertEqual(self.timestamps(), [None, None, None])
            self.tearDown()
            self.session = None

    def test_retry(self) -> None:
        """It is sent again as it was."""
        session = self.connect(timestamps=self.clock)
        self.hold(self.one)
        deferred = session.execute(DELETE, idempotent=True)
        self.reactor.settle()
        self.now += 1
        self.one.stop()
        self.answer(deferred)
        self.assertEqual(self.timestamps(), [5_000_000, 5_000_000])


class _Sometimes(MonotonicTimestampGenerator):
    """Has none to give."""

    def next(self) -> int | None:
        return None


class PartitionKeysTests(RequestTestCase):
    """What the scripted node says of partition keys."""

    def test_v4(self) -> None:
        """PREPARE tells them from v4 on."""
        self.one.partition_keys[INSERT] = (0,)
        for version, expected in ((3, ()), (4, (0,)), (5, (0,))):
            session = self.connect(protocol_version=version)
            self.assertEqual(self.answer(session.prepare(INSERT)).partition_key, expected)
            self.answer(session.close())
            self.session = None
