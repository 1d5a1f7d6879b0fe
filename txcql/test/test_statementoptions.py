"""Tests for :mod:`txcql.session.statementoptions`: options of statements, and of calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

import txcql
from txcql.session.statementoptions import NO_OPTIONS, StatementOptions
from txcql.test.scriptedrequests import INSERT, LIST, SELECT, RequestTestCase


@dataclass
class Row:
    """What rows are made into."""

    v: str


class StatementOptionsTests(SynchronousTestCase):
    """Options that belong to a statement."""

    def test_they_are_a_mapping(self) -> None:
        """Of those that are given; ``None`` stands for nothing."""
        options = StatementOptions({"timeout": 5, "consistency": None, "tracing": False})
        self.assertEqual(dict(options), {"timeout": 5, "tracing": False})
        self.assertEqual((len(options), "consistency" in options), (2, False))
        self.assertEqual(repr(options), "timeout=5, tracing=False")
        self.assertEqual(repr(StatementOptions({"payload": {"token": b"secret"}})), "payload=…")

    def test_what_is_refused(self) -> None:
        """Where the statement is made."""
        for options, kind, error in (
            ({"colour": 1}, TypeError, r"no option colour; there are: consistency, "),
            ({"timeout": "1"}, TypeError, "timeout must be int or float, got '1'"),
            ({"consistency": "MANY"}, ValueError, "consistency must be one of ANY, ONE"),
            ({"row_factory": "list"}, ValueError, "row_factory must be"),
            ({"row_factory": "dict", "into": Row}, TypeError, "either row_factory or into"),
            ({"page_size": 0}, ValueError, "page_size must be in 1"),
            ({"node": 5}, TypeError, "node must be a node of session.nodes, or its name"),
            ({"prepare": 1}, TypeError, "prepare must be bool"),
        ):
            self.assertRaisesRegex(kind, error, txcql.SimpleStatement, LIST, **options)
            self.assertRaisesRegex(kind, error, txcql.SimpleStatement(LIST).with_options, **options)
        self.assertRaisesRegex(TypeError, "a simple statement is CQL text, got 5", txcql.SimpleStatement, 5)


class MergeTests(RequestTestCase):
    """The call wins over the statement, that over the profile, that over the settings."""

    def sent(self, *about: Any, **options: Any) -> Any:
        """The options of the request that a call makes."""
        assert self.session is not None
        self.answer(self.session.execute(*about, **options))
        return self.one.requests[-1].options

    def test_each_wins_over_the_next(self) -> None:
        """Whatever it says; what it does not say comes from behind it."""
        slow = txcql.Profile(consistency="TWO", serial_consistency="SERIAL", page_size=20)
        self.connect(consistency="ALL", page_size=10, profiles={"slow": slow})
        simple = txcql.SimpleStatement(LIST)
        levels = [self.sent(simple).consistency, self.sent(simple, profile="slow").consistency]
        own = simple.with_options(consistency="THREE", page_size=30, profile="slow")
        found = self.sent(own)
        levels += [found.consistency, self.sent(own, consistency="ONE").consistency]
        self.assertEqual(levels, [5, 2, 3, 1])
        self.assertEqual((found.page_size, found.serial_consistency), (30, 8))
        self.assertEqual(self.sent(own.with_options(page_size=None)).page_size, 20)
        self.assertEqual(self.sent(own, consistency=None).consistency, 3)

    def test_every_kind(self) -> None:
        """Simple, prepared and bound statements bring theirs along; what they are made of has none."""
        session = self.connect()
        select = self.answer(session.prepare(SELECT))
        fast = select.with_options(consistency="ONE", timeout=1.0)
        for about in (
            (txcql.SimpleStatement(SELECT, [1], consistency="ONE"),),
            (txcql.SimpleStatement(SELECT, consistency="ONE"), [1]),
            (fast, [1]),
            (fast(1),),
            (fast(k=1),),
            (select(1).with_options(consistency="ONE"),),
        ):
            self.assertEqual(self.sent(*about).consistency, 1, about)
        self.assertEqual(self.sent(select(1)).consistency, 6)
        self.assertEqual(self.sent(fast.with_options(consistency=None)(1)).consistency, 6)
        self.assertEqual(repr(fast), f"<PreparedStatement {SELECT!r} consistency='ONE', timeout=1.0>")
        self.assertEqual(repr(fast(1)), f"<BoundStatement {SELECT!r} consistency='ONE', timeout=1.0>")
        self.assertEqual(repr(txcql.SimpleStatement("x", tracing=True)), "<SimpleStatement 'x' tracing=True>")

    def test_what_is_prepared_again_is_shared(self) -> None:
        """A statement with options is the same statement for the nodes."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        other = insert.with_options(idempotent=True).with_options(timeout=3.0)
        self.one.prepared.clear()
        self.answer(session.execute(other, [1, "x"]))
        self.assertIs(other.generation, insert.generation)
        self.assertEqual((other.parameters, other.columns), (insert.parameters, insert.columns))
        self.assertEqual(self.asked(), ["prepare 1", "execute 1", "prepare 1", "execute 1"])

    def test_rows(self) -> None:
        """A way to make rows in the call takes the place of the statement's, of either kind."""
        session = self.connect()
        statement = txcql.SimpleStatement(SELECT, [1], row_factory="dict")
        self.assertEqual(self.answer(session.execute(statement)).one(), {"v": "one"})
        self.assertEqual(self.answer(session.execute(statement, into=Row)).one(), Row("one"))
        statement = statement.with_options(into=Row)
        self.assertEqual(dict(statement.options), {"into": Row})
        self.assertEqual(self.answer(session.execute(statement, row_factory="tuple")).one(), ("one",))

    def test_parameters_twice(self) -> None:
        """A statement with values takes no others."""
        session = self.connect()
        for statement in (txcql.SimpleStatement(SELECT, [1]), self.answer(session.prepare(SELECT))(1)):
            error = self.error(session.execute(statement, [2]), TypeError)
            self.assertIn("the statement has its values bound already", str(error))

    def test_parameters_that_change_later(self) -> None:
        """The statement keeps those that it was given."""
        session = self.connect()
        values = [1]
        statement = txcql.SimpleStatement(SELECT, values)
        values.append(2)
        self.answer(session.execute(statement))
        self.assertEqual((statement.text, statement.parameters), (SELECT, (1,)))
        self.assertRaises(AttributeError, setattr, statement, "text", "x")

    def test_options_that_are_used_again(self) -> None:
        """They are checked once for a session, and found again."""
        session = self.connect()
        own = StatementOptions({"consistency": "ONE"})
        chosen = own.chosen(session._default, 5, {})
        self.assertIs(own.chosen(session._default, 5, {}), chosen)
        self.assertIs(NO_OPTIONS.chosen(session._default, 5, {}), session._default)
        other = session._default._replace(timeout=3.0)
        self.assertEqual(own.chosen(other, 5, {}).timeout, 3.0)

    def test_bulk(self) -> None:
        """Sinks and many executions heed them; what is for single requests is refused."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT)).with_options(consistency="ONE")
        self.answer(session.execute_many(insert, [[1, "x"]]))
        self.answer(session.execute_many(txcql.SimpleStatement(INSERT, consistency="TWO"), [[1, "x"]]))
        sink = session.sink()
        for statement in (insert(1, "x"), self.answer(session.prepare(INSERT))(1, "x")):
            sink.write(statement)
        sink.write(txcql.SimpleStatement(INSERT, [1, "x"], consistency="ALL"))
        sink.finish()
        self.answer(sink.finished)
        levels = [
            asked.options.consistency for asked in self.one.requests if hasattr(asked.request, "options")
        ]
        self.assertEqual(levels, [1, 2, 1, 6, 5])
        sink = session.sink(consistency="THREE")
        sink.write(insert(1, "x"))
        sink.finish()
        self.answer(sink.finished)
        self.assertEqual(self.one.requests[-1].options.consistency, 3)
        for statement, error in (
            (insert.with_options(decode_in="reactor"), "decode_in is for execute"),
            (txcql.SimpleStatement(INSERT, [1, "x"]), "values bound already, and got rows of them"),
            (insert(1, "x"), "values bound already, and got rows of them"),
            (txcql.Batch([]), "takes a statement without values"),
        ):
            failed = self.error(session.execute_many(statement, [[1, "x"]]), TypeError)
            self.assertRegex(str(failed), error)

    def test_dedicated_stream(self) -> None:
        """A stream with a link of its own heeds them, too."""
        session = self.connect()
        rows: list[Any] = []

        async def read() -> None:
            statement = txcql.SimpleStatement(SELECT, [1], consistency="ONE", row_factory="dict")
            rows.extend([row async for row in session.stream(statement, dedicated=True)])

        self.answer(Deferred.fromCoroutine(read()))
        self.assertEqual(rows, [{"v": "one"}])
        self.assertEqual(self.one.requests[-1].options.consistency, 1)


class NodeTests(RequestTestCase):
    """A request for one node."""

    def test_that_node_only(self) -> None:
        """By name or itself; text, prepared, batch, stream; the policy is not asked."""
        session = self.connect()
        two = next(node for node in session.nodes if node.name == self.two.name)
        select = self.answer(session.prepare(SELECT))
        for about, options in (
            ((LIST,), {"node": two}),
            ((LIST,), {"node": self.two.name}),
            ((select, [1]), {"node": two}),
            ((select.with_options(node=two), [1]), {}),
            ((txcql.Batch([], node=two),), {}),
        ):
            result = self.answer(session.execute(*about, **options))
            self.assertEqual(result.coordinator, self.two.name)

    def test_it_is_down(self) -> None:
        """The request goes nowhere else, and says what became of that node."""
        session = self.connect()
        self.two.stop()
        self.reactor.settle()
        error = self.error(session.execute(LIST, node=self.two.name), txcql.errors.CQLError)
        self.assertIn(self.two.name, str(error))
        self.assertEqual(self.asked(), [])

    def test_it_fails_the_request(self) -> None:
        """An idempotent request that the node has lost goes nowhere else."""
        session = self.connect()
        self.hold()
        waiting = session.execute(LIST, node=self.two.name)
        self.reactor.settle()
        self.two.stop()
        self.error(waiting, txcql.errors.ConnectionLost)
        self.assertEqual(self.asked(), ["query 2"])

    def test_no_such_node(self) -> None:
        """The error lists those that there are."""
        session = self.connect()
        error = self.error(session.execute(LIST, node="10.0.0.9:9042"), ValueError)
        self.assertEqual(
            str(error),
            'node "10.0.0.9:9042" is not in the cluster; there are: 10.0.0.1:9042, 10.0.0.2:9042',
        )

    def test_a_node_that_is_ignored(self) -> None:
        """There is no link to it, and the error says why."""
        self.node("10.0.0.3", datacenter="dc2")
        session = self.connect(load_balancing=txcql.policies.DCAwarePolicy())
        error = self.error(session.execute(LIST, node="10.0.0.3:9042"), txcql.errors.NoNodeAvailable)
        self.assertIn("10.0.0.3:9042 is ignored by the load balancing policies", str(error))
