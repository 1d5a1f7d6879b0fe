"""Tests for :mod:`txcql.session.request`: a request goes on to its next node, or does not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from txcql.errors import (
    NOT_SENT,
    SENT,
    UNKNOWN,
    BusyConnectionError,
    ConnectionLost,
    EncodeError,
    InvalidRequest,
    IsBootstrapping,
    NoNodeAvailable,
    Overloaded,
    RequestTimeout,
    Unavailable,
    Unprepared,
)
from txcql.policies.loadbalancing import RoundRobinPolicy
from txcql.test.scriptednode import Asked, columns
from txcql.test.scriptedrequests import DELETE, INSERT, LIST, SELECT, InOrder, RequestTestCase
from txcql.wire import constants
from txcql.wire.primitives import INT


class LostLinkTests(RequestTestCase):
    """The link of a request is lost."""

    def test_idempotent(self) -> None:
        """It goes on to its next node."""
        session = self.connect()
        self.hold(self.one)
        waiting = [session.execute(LIST), session.execute(DELETE, idempotent=True)]
        self.reactor.settle()
        self.one.stop()
        for deferred in waiting:
            self.assertEqual(self.answer(deferred).coordinator, "10.0.0.2:9042")
        self.assert_idle()

    def test_not_idempotent(self) -> None:
        """It may have been carried out: the error says that nobody knows."""
        session = self.connect()
        self.hold(self.one)
        waiting = [session.execute(DELETE), session.execute(LIST, idempotent=False)]
        self.reactor.settle()
        self.one.stop()
        for deferred in waiting:
            error = self.error(deferred, ConnectionLost)
            self.assertEqual((error.delivery, error.node), (UNKNOWN, "10.0.0.1:9042"))
            self.assertRegex(str(error), r"10.0.0.1:9042: the link was lost.*\(the request: unknown\)")
        self.assertEqual(self.two.requests, [])

    def test_not_written(self) -> None:
        """What was still in the Write Buffer goes on, idempotent or not."""
        session = self.connect()
        (link,) = next(iter(session.pools.values())).links
        waiting = session.execute(DELETE)
        link.close()
        self.assertEqual(self.answer(waiting).coordinator, "10.0.0.2:9042")
        self.assertEqual(self.asked(), ["query 2"])

    def test_queued(self) -> None:
        """Neither was the queue sent: it goes on in its order."""
        session = self.connect(max_requests_per_connection=10)
        self.hold(self.one)
        order: list[int] = []
        waiting = [session.execute(DELETE) for _ in range(10)]
        for number, deferred in enumerate(waiting):
            deferred.addCallbacks(lambda _, number=number: order.append(number), lambda _: None)
        self.reactor.settle()
        self.one.stop()
        self.reactor.settle()
        self.assertEqual(order, [8, 9])
        self.assertEqual(len(self.two.requests), 2)

    def test_nowhere_to_go(self) -> None:
        """The queue fails as not sent, with the cause."""
        session = self.connect(max_requests_per_connection=10)
        self.two.stop()
        self.reactor.settle()
        self.hold(self.one)
        waiting = [session.execute(DELETE) for _ in range(10)]
        self.reactor.settle()
        self.one.stop()
        self.error(waiting[8], NoNodeAvailable)
        error = self.error(waiting[9], NoNodeAvailable)
        self.assertEqual(error.delivery, NOT_SENT)
        self.assertRegex(
            str(error),
            r"no node could take the request \(not sent\): 10.0.0.1:9042: the link was lost.*"
            r"\(the request: not sent\); 10.0.0.2:9042.* \(the request: not sent\)$",
        )
        self.assertNotIn("10.0.0.1:9042: 10.0.0.1:9042", str(error))
        self.assertEqual([self.error(deferred).delivery for deferred in waiting[:8]], [UNKNOWN] * 8)

    def test_one_node_only(self) -> None:
        """If nothing else was tried, the request fails with what that node said."""
        session = self.connect(load_balancing=RoundRobinPolicy(), max_requests_per_connection=10)
        self.two.stop()
        self.reactor.settle()
        self.hold(self.one)
        waiting = [session.execute(LIST) for _ in range(10)]
        self.reactor.settle()
        self.one.stop()
        errors = [self.error(deferred, ConnectionLost) for deferred in waiting]
        self.assertEqual([error.delivery for error in errors], [UNKNOWN] * 8 + [NOT_SENT] * 2)
        self.assertEqual(len(set(map(id, errors))), 10)

    def test_none_up(self) -> None:
        """When no node is up, the error says why each is not."""
        session = self.connect(load_balancing=RoundRobinPolicy())
        for node in (self.one, self.two):
            node.stop()
        self.reactor.advance(1.0)
        error = self.error(session.execute(LIST), NoNodeAvailable)
        self.assertEqual(
            str(error),
            "no node is up: 10.0.0.1:9042 refused the connection; 10.0.0.2:9042 refused the connection",
        )
        self.assertEqual((error.delivery, error.errors), (NOT_SENT, {}))

    def test_read_timeout(self) -> None:
        """It is like a lost link, but certainly sent."""
        session = self.connect()
        self.hold(self.one)
        read, write = session.execute(LIST), session.execute(DELETE)
        self.reactor.settle()
        self.reactor.advance(5.0)
        error = self.error(write, RequestTimeout)
        self.assertEqual((error.delivery, error.node), (SENT, "10.0.0.1:9042"))
        self.assertEqual(self.answer(read).coordinator, "10.0.0.2:9042")
        self.assert_idle(orphans=2)

    def test_unknown_is_remembered(self) -> None:
        """A read that was lost at one node and refused at the next may have been carried out."""
        session = self.connect()
        self.hold(self.one)
        self.two.teach(LIST, lambda asked: asked.error(Overloaded("too much")))
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.one.stop()
        error = self.error(deferred, NoNodeAvailable)
        self.assertEqual(error.delivery, UNKNOWN)
        self.assertRegex(str(error), r"no node could take the request \(unknown\): ")
        self.assertIn("; 10.0.0.2:9042: too much", str(error))


class RefusalTests(RequestTestCase):
    """The node answers, and refuses."""

    def test_not_carried_out(self) -> None:
        """OVERLOADED and IS_BOOTSTRAPPING go to the next node, idempotent or not."""
        session = self.connect()
        for kind in (Overloaded, IsBootstrapping):
            self.one.teach(DELETE, partial(Asked.error, error=kind("not now")))
            self.assertEqual(self.answer(session.execute(DELETE)).coordinator, "10.0.0.2:9042")
        self.assert_idle()

    def test_by_all(self) -> None:
        """The plan is exhausted: each node's sentence is there."""
        session = self.connect()
        for node in (self.one, self.two):
            node.teach(LIST, lambda asked: asked.error(Overloaded("not now")))
        error = self.error(session.execute(LIST), NoNodeAvailable)
        self.assertEqual(
            str(error),
            "no node could take the request (not sent): 10.0.0.1:9042: not now; 10.0.0.2:9042: not now",
        )
        self.assertEqual(
            {node: type(cause) for node, cause in error.errors.items()},
            {"10.0.0.1:9042": Overloaded, "10.0.0.2:9042": Overloaded},
        )

    def test_by_the_only_one(self) -> None:
        """One node's error is the error."""
        session = self.connect(load_balancing=RoundRobinPolicy())
        self.two.stop()
        self.reactor.settle()
        self.one.teach(LIST, lambda asked: asked.error(Overloaded("not now")))
        self.assertEqual(str(self.error(session.execute(LIST), Overloaded)), "not now")

    def test_final(self) -> None:
        """Other errors are raised as they are, and no other node is asked."""
        session = self.connect()
        self.one.teach(LIST, lambda asked: asked.error(InvalidRequest("no")))
        error = self.error(session.execute(LIST), InvalidRequest)
        self.assertEqual((str(error), error.delivery, error.node), ("no", SENT, "10.0.0.1:9042"))
        self.assertEqual(self.two.requests, [])

    def test_too_few_replicas(self) -> None:
        """Another node may know of more: it is asked once."""
        session = self.connect()
        for node in (self.one, self.two):
            error = Unavailable("no", consistency="QUORUM", required=2, alive=1)
            node.teach(DELETE, partial(Asked.error, error=error))
        error = self.error(session.execute(DELETE), Unavailable)
        self.assertEqual((error.consistency, error.required, error.alive), ("QUORUM", 2, 1))
        self.assertEqual(self.asked(), ["query 1", "query 2"])

    def test_busy(self) -> None:
        """Every node of the plan is full."""
        session = self.connect(max_requests_per_connection=2)
        self.hold()
        waiting = [session.execute(LIST) for _ in range(4)]
        error = self.error(session.execute(LIST), BusyConnectionError)
        self.assertEqual((error.node, error.delivery), ("10.0.0.2:9042", NOT_SENT))
        self.let_go()
        self.reactor.settle()
        for deferred in waiting:
            self.successResultOf(deferred)


class UnpreparedTests(RequestTestCase):
    """A node does not know the statement."""

    def test_prepared_again(self) -> None:
        """It is told the statement, and asked again."""
        session = self.connect()
        select = self.answer(session.prepare(SELECT))
        self.one.prepared.clear()
        self.assertEqual(self.answer(session.execute(select, [1])).all(), [("one",)])
        self.assertEqual(self.asked(), ["prepare 1", "execute 1", "prepare 1", "execute 1"])

    def test_each_version(self) -> None:
        """In 3, 4 and 5, with rows and without."""
        for version in (3, 4, 5):
            self.setUp()
            session = self.connect(protocol_version=version, keyspace="ks")
            select, insert = self.answer(session.prepare(SELECT)), self.answer(session.prepare(INSERT))
            self.one.prepared.clear()
            self.assertEqual(self.answer(session.execute(select, [1])).all(), [("one",)])
            self.answer(session.execute(insert, [1, "x"]))
            self.tearDown()
            self.session = None

    def test_once(self) -> None:
        """If it still does not know it then, that is the error."""
        session = self.connect()
        select = self.answer(session.prepare(SELECT))

        def forget(asked: Asked) -> bool:
            if asked.opcode == constants.EXECUTE:
                self.one.prepared.clear()
            return False

        self.one.holds = forget
        error = self.error(session.execute(select, [1]), Unprepared)
        self.assertEqual(error.node, "10.0.0.1:9042")
        self.assertEqual(self.asked(), ["prepare 1", "execute 1", "prepare 1", "execute 1"])

    def test_once_for_all(self) -> None:
        """However many requests it refuses, it is told the statement once."""
        session = self.connect()
        select = self.answer(session.prepare(SELECT))
        self.one.prepared.clear()
        waiting = [session.execute(select, [key]) for key in range(300)]
        self.reactor.settle()
        for deferred in waiting:
            self.assertEqual(self.successResultOf(deferred).one(), ("one",))
        self.assertEqual(len(self.one.asked_for(constants.PREPARE)), 2)

    def test_at_each_node(self) -> None:
        """Each node is told once: the second one too, when the first one goes."""
        session = self.connect()
        select = self.answer(session.prepare(SELECT))
        self.one.prepared.clear()
        seen: list[Asked] = []

        def second_execute(asked: Asked) -> bool:
            seen.append(asked)
            return len(seen) == 3

        self.one.holds = second_execute
        deferred = session.execute(select, [1])
        self.reactor.settle()
        self.assertEqual(len(self.one.held), 1)
        self.one.stop()
        self.assertEqual(self.answer(deferred).coordinator, "10.0.0.2:9042")
        self.assertEqual(self.asked()[-3:], ["execute 2", "prepare 2", "execute 2"])

    def test_dropped(self) -> None:
        """The table is gone: PREPARE says so at two nodes, and that is the error."""
        session = self.connect()
        select = self.answer(session.prepare(SELECT))
        self.one.prepared.clear()
        for node in (self.one, self.two):
            del node.statements[SELECT]
        error = self.error(session.execute(select, [1]), InvalidRequest)
        self.assertEqual(error.node, "10.0.0.2:9042")
        self.assert_idle()

    def test_not_known_yet(self) -> None:
        """A node that has just joined does not know the table: the next one does, also for a write."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        self.one.prepared.clear()
        del self.one.statements[INSERT]
        result = self.answer(session.execute(insert, [1, "x"]))
        self.assertEqual(result.coordinator, "10.0.0.2:9042")
        self.assertEqual(self.asked()[-2:], ["prepare 2", "execute 2"])
        self.assert_idle()

    def test_link_lost_while_preparing(self) -> None:
        """The statement was not carried out: it goes on, though it is not idempotent."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        self.one.prepared.clear()
        self.one.holds = lambda asked: asked.opcode == constants.PREPARE
        deferred = session.execute(insert, [1, "x"])
        self.reactor.settle()
        self.one.stop()
        self.assertEqual(self.answer(deferred).coordinator, "10.0.0.2:9042")

    def test_full_meanwhile(self) -> None:
        """If the node is full by then, the next one has its turn."""
        session = self.connect(max_requests_per_connection=1)
        insert = self.answer(session.prepare(INSERT))
        self.one.prepared.clear()
        self.one.holds = lambda asked: asked.opcode == constants.PREPARE
        deferred = session.execute(insert, [1, "x"])
        self.reactor.settle()
        self.one.holds = lambda asked: True
        other = session.execute(DELETE)
        self.reactor.settle()
        prepare = self.one.held.pop(0)
        prepare.reply()
        self.let_go(self.one)
        self.reactor.settle()
        self.successResultOf(other)
        self.successResultOf(deferred)
        self.assert_idle()

    def test_parameters_of_other_types(self) -> None:
        """They have changed with the table: the values are encoded anew."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        self.one.prepared.clear()
        self.one.teach(INSERT, parameters=columns(k="bigint", v="text"))
        self.answer(session.execute(insert, [1, "x"]))
        self.assertEqual(self.one.requests[-1].request.values[0], b"\0" * 7 + b"\1")
        self.assertEqual(insert.parameters[0].type.name, "bigint")
        self.one.prepared.clear()
        self.one.teach(INSERT, parameters=columns(k="uuid", v="text"))
        self.error(session.execute(insert, [1, "x"]), EncodeError)
        self.assert_idle()


class PlanTests(RequestTestCase):
    """Policies are the application's: their defects are, too."""

    def policy(self, **attributes: Any) -> InOrder:
        policy = InOrder()
        vars(policy).update(attributes)
        return policy

    def test_round_robin(self) -> None:
        """Each request begins with the next node."""
        session = self.connect(load_balancing=RoundRobinPolicy())
        found = [self.answer(session.execute(LIST)).coordinator for _ in range(4)]
        self.assertEqual(found, ["10.0.0.2:9042", "10.0.0.1:9042"] * 2)

    def test_plan_that_raises(self) -> None:
        """The request errbacks; nothing is left of it."""

        def plan(request: Any) -> Iterator[Any]:
            raise LookupError("no plan")

        session = self.connect(load_balancing=self.policy(plan=plan))
        self.error(session.execute(LIST), LookupError)
        self.error(session.execute(SELECT, [1]), LookupError)
        self.error(session.prepare(SELECT), LookupError)
        self.error(session.prepare(SELECT), LookupError)
        self.assert_idle()

    def test_plan_that_breaks_off(self) -> None:
        """The same for one that raises at its second node, when a link is lost."""

        def plan(request: Any) -> Iterator[Any]:
            yield policy.nodes["10.0.0.1:9042"]
            raise LookupError("no more")

        policy = self.policy(plan=plan)
        session = self.connect(load_balancing=policy)
        self.hold(self.one)
        waiting = [session.execute(LIST) for _ in range(3)]
        self.reactor.settle()
        self.one.stop()
        for deferred in waiting:
            self.error(deferred, LookupError)
        self.assert_idle()

    def test_node_that_has_left(self) -> None:
        """What the policy yields and the session does not know is passed over."""

        def plan(request: Any) -> Iterator[Any]:
            yield object()
            yield policy.nodes["10.0.0.2:9042"]

        policy = self.policy(plan=plan)
        session = self.connect(load_balancing=policy)
        self.assertEqual(self.answer(session.execute(LIST)).coordinator, "10.0.0.2:9042")

    def test_node_without_a_link(self) -> None:
        """It says why it has none, anew for each request."""
        session = self.connect()
        self.one.stop()
        self.two.stop()
        self.reactor.settle()
        first, second = (self.error(session.execute(LIST), NoNodeAvailable) for _ in range(2))
        self.assertIsNot(first.errors["10.0.0.1:9042"], second.errors["10.0.0.1:9042"])
        self.assertEqual(first.errors["10.0.0.1:9042"].delivery, NOT_SENT)
        self.error(session.prepare(SELECT), NoNodeAvailable)

    def test_node_never_connected(self) -> None:
        """Also one whose first attempt is still under way, for PREPARE as for the rest."""
        self.two.silent = True
        connecting = self.connecting(load_balancing=InOrder())
        self.reactor.advance(2.0)
        session = self.session = self.successResultOf(connecting)
        policy = session.settings.load_balancing
        policy.nodes = {"10.0.0.2:9042": next(node for node in session.nodes if node.name == "10.0.0.2:9042")}
        for deferred in (session.execute(LIST), session.prepare(SELECT)):
            self.assertEqual(
                str(self.error(deferred, ConnectionLost)),
                "10.0.0.2:9042 is not connected yet (the request: not sent)",
            )

    def test_values_are_sent_as_they_were(self) -> None:
        """A retry sends the same bytes."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        self.two.prepared.update(self.one.prepared)
        self.one.teach(INSERT, lambda asked: asked.error(Overloaded("not now")))
        self.answer(session.execute(insert, [5, "x"], timestamp=7))
        first, second = self.one.requests[-1].request, self.two.requests[-1].request
        self.assertEqual(first, second)
        self.assertEqual((second.values, second.options.timestamp), ([INT.pack(5), b"x"], 7))
