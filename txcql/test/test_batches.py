"""Tests for :mod:`txcql.session.batches` and :mod:`txcql.session.batchrequest`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import txcql
from txcql.errors import EncodeError, InvalidRequest, RequestTimeout
from txcql.session.batches import EncodedBatch
from txcql.session.routing import first_routable
from txcql.test.scriptednode import columns
from txcql.test.scriptedrequests import INSERT, SELECT, InOrder, RequestTestCase
from txcql.wire import constants
from txcql.wire.responses import Prefixes

UPDATE = "UPDATE t SET v = ? WHERE k = ?"


class BatchTests(SynchronousTestCase):
    """A batch, before it is executed."""

    def test_it_never_changes(self) -> None:
        """What it was made of may change, and it does not."""
        values = [1, "x"]
        items = [(INSERT, values)]
        batch = txcql.Batch(items, timeout=5.0)
        values.append("y")
        items.clear()
        self.assertEqual(len(batch), 1)
        self.assertEqual(batch.items[0].parameters, (1, "x"))
        other = batch.with_options(timeout=None, consistency="ONE")
        self.assertEqual(dict(batch.options), {"timeout": 5.0})
        self.assertEqual(dict(other.options), {"consistency": "ONE"})
        self.assertEqual((other.items, other.kind), (batch.items, "logged"))
        self.assertRaises(AttributeError, setattr, batch, "kind", "counter")
        self.assertEqual(repr(other), "<Batch logged statements=1 consistency='ONE'>")

    def test_what_is_refused(self) -> None:
        """At once, where it is made."""
        wrong: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
            (([], "weekly"), {}, 'kind must be "logged", "unlogged" or "counter", got \'weekly\''),
            (([INSERT] * 65536,), {}, "at most 65535 statements, got 65536"),
            (([],), {"page_size": 5}, "a batch has no pages, and no option page_size"),
            (([],), {"paging_state": b""}, "no option paging_state"),
            (
                ([INSERT, txcql.SimpleStatement(INSERT, consistency="ONE", timeout=1)],),
                {},
                "statement 2 of the batch has the option consistency, timeout, which only the whole",
            ),
        ]
        for arguments, options, error in wrong:
            self.assertRaisesRegex(ValueError, error, txcql.Batch, *arguments, **options)
        wrong = [
            ((INSERT,), {}, "takes an iterable of statements, got 'INSERT"),
            (([5],), {}, "statement 1 of the batch must be text or prepared, got 5"),
            (([INSERT, (INSERT,)],), {}, r"statement 2 of the batch must be \(statement, parameters\)"),
            (([txcql.Batch([])],), {}, "statement 1 of the batch must be text or prepared, got <Batch"),
            (
                ([(txcql.SimpleStatement(INSERT, [1]), [2])],),
                {},
                "statement 1 of the batch: .* bound already",
            ),
            (([],), {"colour": 5}, "no option colour"),
        ]
        for arguments, options, error in wrong:
            self.assertRaisesRegex(TypeError, error, txcql.Batch, *arguments, **options)


class BatchRequestTests(RequestTestCase):
    """A batch on its way."""

    def setUp(self) -> None:
        RequestTestCase.setUp(self)
        for node in (self.one, self.two):
            node.teach(UPDATE, parameters=columns(v="text", k="int"))
            node.partition_keys = {INSERT: (0,), UPDATE: (1,)}

    def batches(self) -> list[Any]:
        nodes = (self.one, self.two)
        return [asked.request for node in nodes for asked in node.asked_for(constants.BATCH)]

    def test_every_kind_of_statement(self) -> None:
        """Text without parameters goes as it is; text with them is prepared before, once."""
        session = self.connect()
        update = self.answer(session.prepare(UPDATE))
        items = [
            (update, ["a", 1]),
            update("b", 2),
            (INSERT, {"v": "c", "k": 3}),
            "DELETE FROM t WHERE k = 1",
            txcql.SimpleStatement(INSERT, [4, "d"]),
            txcql.SimpleStatement("DELETE FROM t WHERE k = 2"),
        ]
        result = self.answer(session.execute(txcql.Batch(items, "unlogged", consistency="ONE"), timestamp=5))
        self.assertEqual(self.asked(), ["prepare 1", "prepare 1", "batch 1"])
        [batch] = self.batches()
        self.assertEqual((batch.kind, batch.options.timestamp), ("unlogged", 5))
        self.assertEqual((batch.options.consistency, batch.options.page_size), (1, None))
        kinds = [type(item.statement).__name__ for item in batch.items]
        self.assertEqual(kinds, ["bytes", "bytes", "bytes", "str", "bytes", "str"])
        self.assertEqual(list(batch.items[2].values), [b"\0\0\0\3", b"c"])
        self.assertEqual((len(result), list(result.columns), result.was_applied), (0, [], True))
        self.assertGreater(result.request_size, 100)

    def test_it_is_reused(self) -> None:
        """The second time nothing has to be prepared."""
        session = self.connect()
        batch = txcql.Batch([(INSERT, [1, "x"]), (UPDATE, ["y", 1])])
        for _ in range(2):
            self.answer(session.execute(batch))
        self.assertEqual(self.asked(), ["prepare 1", "prepare 1", "batch 1", "batch 1"])

    def test_empty(self) -> None:
        """The server is asked, and answers with nothing."""
        session = self.connect()
        self.assertEqual(len(self.answer(session.execute(txcql.Batch([])))), 0)
        self.assertEqual(self.asked(), ["batch 1"])

    def test_values_that_do_not_fit(self) -> None:
        """The error says which statement; nothing is sent."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        for items, error in (
            ([insert(1, "x"), insert("1", "x")], r'^statement 2 of the batch: parameter 1 "k" \(int\)'),
            ([(UPDATE, ["x"])], "^statement 1 of the batch: expected 2 parameters, got 1"),
        ):
            failure = self.error(session.execute(txcql.Batch(items)), EncodeError)
            self.assertRegex(str(failure), error)
        self.assertEqual(self.batches(), [])
        self.error(session.execute(txcql.Batch([]), [1]), TypeError)
        self.error(session.execute(txcql.Batch([]), page_size=5), ValueError)
        self.assertRaisesRegex(TypeError, "cannot be streamed", session.stream, txcql.Batch([]))
        self.assert_idle()

    def test_text_that_cannot_be_prepared(self) -> None:
        """It fails with the server's error."""
        session = self.connect()
        error = self.error(session.execute(txcql.Batch([(INSERT, [1, "x"]), ("bad ?", [1])])), InvalidRequest)
        self.assertIn("never heard of 'bad ?'", str(error))
        self.assertEqual(self.batches(), [])
        self.assert_idle()

    def test_it_is_cancelled_while_it_waits_for_its_statements(self) -> None:
        """Nothing is left; others who wait for the same statement are not concerned."""
        session = self.connect()
        self.hold()
        waiting = session.execute(txcql.Batch([(INSERT, [1, "x"])]))
        other = session.prepare(INSERT)
        self.reactor.settle()
        waiting.cancel()
        self.error(waiting, Exception)
        self.let_go()
        self.answer(other)
        self.assertEqual(self.batches(), [])
        self.assert_idle()

    def test_its_deadline_begins_with_preparing(self) -> None:
        """It covers all."""
        session = self.connect()
        self.hold()
        waiting = session.execute(txcql.Batch([(INSERT, [1, "x"])]), timeout=1.0)
        self.reactor.settle()
        self.reactor.advance(1.1)
        error = self.error(waiting, RequestTimeout)
        self.assertIn("not answered", str(error))
        self.let_go()
        self.reactor.settle()

    def test_what_the_node_has_forgotten(self) -> None:
        """Each statement is prepared again, once, and the same batch goes on."""
        session = self.connect()
        insert, update = self.answer(session.prepare(INSERT)), self.answer(session.prepare(UPDATE))
        self.one.prepared.clear()
        batch = txcql.Batch([insert(1, "a"), update("b", 2), insert(3, "c")])
        result = self.answer(session.execute(batch))
        self.assertEqual(self.asked()[2:], ["batch 1", "prepare 1", "batch 1", "prepare 1", "batch 1"])
        first, _, last = self.batches()
        self.assertEqual(first, last)
        self.assertEqual(
            [type(attempt.error).__name__ for attempt in result.attempts],
            ["Unprepared", "Unprepared", "NoneType"],
        )

    def test_a_node_that_keeps_forgetting(self) -> None:
        """It is told once; then its answer is the answer."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        refusal = txcql.errors.Unprepared("no", statement_id=insert.generation.statement_id)
        self.one.teach("BATCH", lambda asked: asked.error(refusal))
        self.error(session.execute(txcql.Batch([insert(1, "a")])), txcql.errors.Unprepared)
        self.assertEqual(self.asked(), ["prepare 1", "batch 1", "prepare 1", "batch 1"])
        self.assert_idle()

    def test_other_types_by_now(self) -> None:
        """What was encoded for the old types is encoded anew."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        self.one.prepared.clear()
        self.one.teach(INSERT, parameters=columns(k="bigint", v="text"))
        self.answer(session.execute(txcql.Batch([insert(1, "a")])))
        self.assertEqual(list(self.batches()[-1].items[0].values), [bytes(7) + b"\1", b"a"])

    def test_idempotence(self) -> None:
        """Only if it says so, or each of its statements does: then it goes on to the next node."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        sure = insert.with_options(idempotent=True)
        for batch, goes_on in (
            (txcql.Batch([insert(1, "a")], idempotent=True), True),
            (txcql.Batch([sure(1, "a"), sure(2, "b")]), True),
            (txcql.Batch([sure(1, "a"), insert(2, "b")]), False),
            (txcql.Batch([sure(1, "a")], idempotent=False), False),
        ):
            for node in (self.one, self.two):
                node.requests.clear()
            self.hold(self.one)
            waiting = session.execute(batch)
            self.reactor.settle()
            self.one.links[-1].drop()
            self.let_go(self.one)
            self.reactor.settle()
            self.assertEqual(bool(self.two.asked_for(constants.BATCH)), goes_on, batch)
            if goes_on:
                self.assertEqual(self.answer(waiting).coordinator, self.two.name)
            else:
                self.error(waiting, txcql.errors.ConnectionLost)
            self.reactor.advance(5)
            self.reactor.settle()

    def test_conditions(self) -> None:
        """A conditional batch answers with rows, of other columns each time."""
        applied: list[Any] = [columns(**{"[applied]": "boolean"}), [[True]]]
        row: list[Any] = [columns(**{"[applied]": "boolean", "k": "int"}), [[False, 5]]]
        answers = [applied, row, applied]
        self.one.teach("BATCH", lambda asked: asked.rows(*answers.pop(0)))
        session = self.connect()
        batch = txcql.Batch(["INSERT INTO t (k) VALUES (5) IF NOT EXISTS"])
        found = [self.answer(session.execute(batch)) for _ in range(3)]
        self.assertEqual([result.was_applied for result in found], [True, False, True])
        self.assertEqual(found[1].one().k, 5)

    def test_warnings_and_traces(self) -> None:
        """What comes with the answer; the flag of tracing and the payload go with the request."""
        warned = Prefixes(None, ["too large"], None)
        self.one.teach("BATCH", lambda asked: asked.send(constants.RESULT, b"\0\0\0\1", warned))
        session = self.connect()
        result = self.answer(session.execute(txcql.Batch([], tracing=True), payload={"a": b"b"}))
        self.assertEqual(list(result.warnings), ["too large"])
        flags = self.one.asked_for(constants.BATCH)[0].flags
        self.assertEqual(flags, constants.FLAG_TRACING | constants.FLAG_PAYLOAD)

    def test_consistency_that_a_retry_policy_changes(self) -> None:
        """The same batch with another level."""
        session = self.connect()
        request = session.request(
            EncodedBatch("logged", (), False), b"", session.options({"consistency": "QUORUM"})
        )
        request.change_consistency("ONE")
        self.assertEqual((request.consistency, request.body.hex()[6:10]), ("ONE", "0001"))
        request.cancel(request.deferred)

    def test_version_of_options(self) -> None:
        """A keyspace needs version 5."""
        session = self.connect(protocol_version=4)
        error = self.error(session.execute(txcql.Batch([], keyspace="ks")), ValueError)
        self.assertIn("keyspace needs protocol v5; this session speaks v4", str(error))

    def test_routing(self) -> None:
        """By its first statement whose partition key is known."""
        keys: list[Any] = []

        class Asking(InOrder):
            def plan(self, request: Any) -> Any:
                keys.append((request.routing_key, request.keyspace, request.consistency))
                return InOrder.plan(self, request)

        session = self.connect(load_balancing=Asking())
        insert, update = self.answer(session.prepare(INSERT)), self.answer(session.prepare(UPDATE))
        keys.clear()
        for items in (["DELETE FROM t WHERE k = 9", update("x", 7), insert(5, "y")], ["text"], []):
            self.answer(session.execute(txcql.Batch(items)))
        given = txcql.SimpleStatement("DELETE FROM t WHERE k = 9", routing_key=b"\0\0\0\x09")
        self.answer(session.execute(txcql.Batch([given, insert(5, "y")])))
        self.answer(session.execute(txcql.Batch([insert(5, "y")], routing_key=b"key")))
        self.assertEqual(
            keys,
            [
                (b"\0\0\0\7", "ks", "LOCAL_QUORUM"),
                (None, None, "LOCAL_QUORUM"),
                (None, None, "LOCAL_QUORUM"),
                (b"\0\0\0\x09", None, "LOCAL_QUORUM"),
                (b"key", "ks", "LOCAL_QUORUM"),
            ],
        )
        self.assertEqual(first_routable(session, EncodedBatch("logged", (), False)), (None, None))

    def test_not_prepared(self) -> None:
        """With ``prepare=False`` its texts take their values along."""
        session = self.connect()
        batch = txcql.Batch([("INSERT INTO t (v) VALUES (?)", ["x"])], prepare=False)
        self.answer(session.execute(batch))
        [request] = self.batches()
        self.assertEqual(request.items[0].statement, "INSERT INTO t (v) VALUES (?)")
        self.assertEqual(list(request.items[0].values), [b"x"])

    def test_a_statement_of_another_keyspace(self) -> None:
        """It is refused: it was prepared in its own."""
        session = self.connect(protocol_version=5)
        select = self.answer(session.prepare(SELECT))
        error = self.error(session.execute(txcql.Batch([(select, [1])], keyspace="other")), ValueError)
        self.assertIn("was prepared in the keyspace None", str(error))
