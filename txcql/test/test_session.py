"""Tests for :mod:`txcql.session.session`."""

from __future__ import annotations

import gc
import weakref
from threading import Thread
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from txcql.errors import (
    NOT_SENT,
    SENT,
    BusyConnectionError,
    CQLSyntaxError,
    DecodeError,
    EncodeError,
    InvalidRequest,
    ProtocolError,
    RequestTimeout,
    SessionClosed,
)
from txcql.test.scriptednode import columns
from txcql.test.scriptedsession import INSERT, LIST, SELECT, SessionTestCase, held
from txcql.wire import constants
from txcql.wire.primitives import INT


class ExecuteTests(SessionTestCase):
    """The four ways to say what shall be executed."""

    def test_text(self) -> None:
        """Text goes as it is."""
        session = self.connect()
        result = self.answer(session.execute(LIST))
        self.assertEqual(result.all(), [(1, "one"), (2, None)])
        self.assertEqual(result.coordinator, "10.0.0.1:9042")
        (asked,) = self.one.requests
        self.assertEqual((asked.opcode, asked.text), (constants.QUERY, LIST))
        self.assertEqual(asked.options.consistency, 6)
        self.assertEqual(asked.options.page_size, 5000)

    def test_every_version(self) -> None:
        """The same in 3, 4 and 5."""
        for version in (3, 4, 5):
            self.setUp()
            session = self.connect(protocol_version=version)
            self.assertEqual(self.answer(session.execute(LIST)).all(), [(1, "one"), (2, None)])
            self.assertEqual(self.answer(session.execute(SELECT, [1])).all(), [("one",)])
            self.assertIsNone(self.answer(session.execute(INSERT, [1, "x"])).one())
            self.tearDown()
            self.session = None

    def test_text_with_parameters(self) -> None:
        """It is prepared once, then executed."""
        session = self.connect()
        for key in (1, 2, 3):
            self.assertEqual(self.answer(session.execute(SELECT, [key])).one().v, "one")
        self.assertEqual(
            [asked.opcode for asked in self.one.requests],
            [constants.PREPARE, constants.EXECUTE, constants.EXECUTE, constants.EXECUTE],
        )
        self.assertEqual(
            [asked.request.values for asked in self.one.requests[1:]],
            [[INT.pack(1)], [INT.pack(2)], [INT.pack(3)]],
        )
        self.assertEqual(session.snapshot()["prepared"], 1)

    def test_parameters_by_name(self) -> None:
        """A mapping fills the parameters by their names."""
        session = self.connect()
        self.answer(session.execute(INSERT, {"v": "x", "k": 7}))
        self.assertEqual(self.one.requests[-1].request.values, [INT.pack(7), b"x"])

    def test_prepared(self) -> None:
        """A prepared statement, with values or bound to them."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        self.answer(session.execute(insert, [1, "a"]))
        self.answer(session.execute(insert(2, "b")))
        self.answer(session.execute(insert(v="c", k=3)))
        self.assertEqual(
            [asked.request.values for asked in self.one.asked_for(constants.EXECUTE)],
            [[INT.pack(1), b"a"], [INT.pack(2), b"b"], [INT.pack(3), b"c"]],
        )

    def test_prepared_twice(self) -> None:
        """The second time it is there already."""
        session = self.connect()
        self.assertIs(self.answer(session.prepare(INSERT)), self.answer(session.prepare(INSERT)))
        self.assertEqual(len(self.one.requests), 1)

    def test_no_statement(self) -> None:
        """What is none errbacks, as does a bound statement with parameters."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        for arguments, text in (
            ((5,), "a statement is text, simple, prepared, bound or a batch, got 5"),
            ((insert(1, "x"), [1]), "the statement has its values bound already"),
        ):
            self.assertRegex(str(self.error(session.execute(*arguments), TypeError)), text)
        self.error(session.prepare(5), TypeError)  # type: ignore[arg-type]
        self.error(session.prepare("SELECT 1", keyspace=5), Exception)  # type: ignore[arg-type]
        self.assertEqual(len(session.deadlines), 0)

    def test_wrong_values(self) -> None:
        """They errback, name the parameter, and nothing is sent."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        asked = len(self.one.requests)
        for statement in (insert, INSERT):
            error = self.error(session.execute(statement, ["x", "y"]), EncodeError)
            self.assertEqual(str(error), 'parameter 1 "k" (int): expected int, got str "x"')
            self.assertEqual(error.delivery, NOT_SENT)
            self.error(session.execute(statement, [1]), EncodeError)
            self.error(session.execute(statement, {"k": 1, "v": "x", "w": 2}), EncodeError)
        self.error(session.execute(insert), EncodeError)
        self.assertEqual(len(self.one.requests), asked)

    def test_wrong_values_of_new_text(self) -> None:
        """Where the types are known only after PREPARE, nothing but that is sent."""
        session = self.connect()
        self.error(session.execute(INSERT, ["x", "y"]), EncodeError)
        self.assertEqual([asked.opcode for asked in self.one.requests], [constants.PREPARE])

    def test_mapping_with_a_defect(self) -> None:
        """What a caller's mapping raises is that request's failure."""

        class Broken(dict):  # type: ignore[type-arg]
            def items(self) -> Any:
                raise RuntimeError("broken")

        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        self.error(session.execute(insert, Broken(k=1)), RuntimeError)

    def test_server_error(self) -> None:
        """The server's sentence, and nothing around it."""
        session = self.connect()
        self.one.teach("SELEC", lambda asked: asked.error(CQLSyntaxError("line 1:0 no viable")))
        error = self.error(session.execute("SELEC"), CQLSyntaxError)
        self.assertEqual(
            (str(error), error.node, error.delivery), ("line 1:0 no viable", "10.0.0.1:9042", SENT)
        )
        self.error(session.execute("SELECT nothing", [1]), InvalidRequest)

    def test_answer_that_cannot_be_read(self) -> None:
        """It fails one request, and says that it was sent; the link goes on."""
        session = self.connect()
        self.one.teach("short", lambda asked: asked.send(constants.RESULT, INT.pack(2) + b"\0"))
        self.one.teach("ready", lambda asked: asked.send(constants.READY, b""))
        self.one.teach("gone", lambda asked: asked.rows(columns(k="int"), [[1]], skip_metadata=True))
        for text, kind in (("short", ProtocolError), ("ready", ProtocolError), ("gone", DecodeError)):
            self.assertEqual(self.error(session.execute(text), kind).delivery, SENT)
        self.answer(session.execute(LIST))
        self.assertEqual(self.one.accepted, 2)

    def test_another_thread(self) -> None:
        """It is refused in its own traceback, which names the way to do it."""
        session = self.connect()
        self.one.teach("pages", lambda asked: asked.rows(columns(k="int"), [[1]], paging_state=b"more"))
        page = self.answer(session.execute("pages", page_size=1))
        caught: list[BaseException] = []

        def attempt() -> None:
            for call in (
                lambda: session.execute(LIST),
                lambda: session.prepare(LIST),
                lambda: session.set_keyspace("ks"),
                page.next_page,
                session.close,
            ):
                try:
                    call()
                except RuntimeError as error:
                    caught.append(error)

        thread = Thread(target=attempt)
        thread.start()
        thread.join()
        self.assertEqual(len(caught), 5)
        for error in caught:
            self.assertIn("blockingCallFromThread(reactor, session.execute", str(error))

    def test_repr(self) -> None:
        """One line, for tests and operators alike."""
        session = self.connect(keyspace="ks")
        self.one.holds = held
        waiting = session.execute(LIST)
        self.reactor.settle()
        self.assertEqual(repr(session), "<Session v5 nodes=1 keyspace=ks requests=1>")
        self.one.release()
        self.answer(waiting)
        self.answer(session.close())
        self.assertEqual(repr(session), "<Session closed keyspace=ks requests=0>")


class ShareTests(SessionTestCase):
    """One PREPARE for all who want it."""

    def test_one_for_many(self) -> None:
        """A thousand requests for one text prepare it once."""
        session = self.connect()
        waiting = [session.execute(SELECT, [key]) for key in range(500)]
        waiting += [session.execute(SELECT, [key], consistency="ONE") for key in range(300)]
        preparing = session.prepare(SELECT)
        self.reactor.settle()
        self.assertEqual(len(self.one.asked_for(constants.PREPARE)), 1)
        self.assertEqual(len(self.one.asked_for(constants.EXECUTE)), 800)
        for deferred in waiting:
            self.assertEqual(self.successResultOf(deferred).one(), ("one",))
        self.successResultOf(preparing)

    def test_cancelled_waiter(self) -> None:
        """It leaves the others, and the PREPARE, alone."""
        session = self.connect()
        self.one.holds = held
        first, second = session.execute(SELECT, [1]), session.execute(SELECT, [2])
        third = session.prepare(SELECT)
        self.reactor.settle()
        first.cancel()
        third.cancel()
        self.failureResultOf(first, CancelledError)
        self.failureResultOf(third, CancelledError)
        self.one.holds = lambda asked: False
        self.one.release()
        self.answer(second)
        self.assertEqual(
            [asked.opcode for asked in self.one.requests], [constants.PREPARE, constants.EXECUTE]
        )
        self.assertEqual(len(session.deadlines), 0)

    def test_failure(self) -> None:
        """All of them fail with what PREPARE failed with; the next one asks again."""
        session = self.connect()
        waiting: list[Deferred[Any]] = [
            session.execute("SELECT nothing", [1]),
            session.prepare("SELECT nothing"),
        ]
        self.reactor.settle()
        for deferred in waiting:
            self.assertIn("never heard of", str(self.error(deferred, InvalidRequest)))
        self.error(session.prepare("SELECT nothing"), InvalidRequest)
        self.assertEqual(len(self.one.requests), 2)

    def test_each_keyspace(self) -> None:
        """The same text in another keyspace is another statement."""
        session = self.connect(keyspace="ks")
        first = self.answer(session.prepare(SELECT))
        self.answer(session.set_keyspace("other"))
        second = self.answer(session.prepare(SELECT))
        third = self.answer(session.prepare(SELECT, keyspace="ks"))
        self.assertIsNot(first, second)
        self.assertIs(first, third)
        self.assertEqual([first.keyspace, second.keyspace], ["ks", "other"])


class SnapshotTests(SessionTestCase):
    """What can be seen from outside."""

    def test_keys(self) -> None:
        """Plain data for every node, ignored ones too."""
        self.node("10.1.0.1", datacenter="dc2", rack="r7")
        session = self.connect()
        self.one.holds = held
        waiting = session.execute(LIST)
        self.reactor.settle()
        size = session.body_size(LIST, b"", session.options({}))
        self.assertEqual(
            session.snapshot(),
            {
                "protocol_version": 5,
                "cluster": "scripted",
                "keyspace": None,
                "closed": False,
                "requests": 1,
                "prepared": 0,
                "memory_budget": session.memory_budget(),
                "dedicated": [],
                "nodes": {
                    "10.0.0.1:9042": {
                        "state": "up",
                        "distance": "local",
                        "datacenter": "dc1",
                        "rack": "r1",
                        "release_version": "5.0.5",
                        "in_flight": 1,
                        "queued": 0,
                        "limit": 1024,
                        "max_connections": 1,
                        "request_bytes": size,
                        "suspect": False,
                        "error": None,
                        "failures": {},
                        "signals": {
                            "queue full": {"active": False, "times": 0, "seconds": 0.0},
                            "high in-flight": {"active": False, "times": 0, "seconds": 0.0},
                            "read buffer full": {"active": False, "times": 0, "seconds": 0.0},
                        },
                        "connections": [
                            {
                                "state": "open",
                                "sent": 1,
                                "orphans": 0,
                                "paused": False,
                                "paused_writing": False,
                                "paused_reading": False,
                                "high": 819,
                                "low": 512,
                                "request_bytes": size,
                                "attempts": 0,
                                "next_reconnect": None,
                            }
                        ],
                    },
                    "10.1.0.1:9042": {
                        "state": "down",
                        "distance": "ignored",
                        "datacenter": "dc2",
                        "rack": "r7",
                        "release_version": "5.0.5",
                        "in_flight": 0,
                        "queued": 0,
                        "limit": 0,
                        "max_connections": 0,
                        "request_bytes": 0,
                        "suspect": False,
                        "error": None,
                        "failures": {},
                        "signals": {},
                        "connections": [],
                    },
                },
            },
        )
        self.one.release()
        self.answer(waiting)

    def test_reconnecting(self) -> None:
        """A link that waits says for how long."""
        session = self.connect()
        self.one.stop()
        self.reactor.settle()
        (link,) = session.snapshot()["nodes"]["10.0.0.1:9042"]["connections"]
        self.assertEqual((link["state"], link["next_reconnect"]), ("connecting", 1.0))


class MemoryTests(SessionTestCase):
    """What is finished is gone, without the garbage collector."""

    def setUp(self) -> None:
        SessionTestCase.setUp(self)
        self.connect()
        assert self.session is not None
        self.select = self.answer(self.session.prepare(SELECT))
        self.one.requests.clear()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    def collected(self) -> list[Any]:
        """What the collector finds."""
        self.one.requests.clear()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            gc.collect()
            return [thing for thing in gc.garbage if "trial" not in type(thing).__module__]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()

    def test_answers(self) -> None:
        """A thousand requests leave no reference cycles behind."""
        assert self.session is not None
        for key in range(1000):
            deferred = self.session.execute(self.select, [key])
            self.reactor.settle()
            self.successResultOf(deferred).all()
        del deferred
        self.assertEqual(self.collected(), [])

    def test_errors(self) -> None:
        """Nor do errors, cancelled requests, and timeouts."""
        assert self.session is not None
        self.one.teach("bad", lambda asked: asked.error(InvalidRequest("no")))
        for _ in range(10):
            self.error(self.session.execute("bad"), InvalidRequest)
            self.error(self.session.execute(self.select, ["x"]), EncodeError)
            deferred = self.session.execute(LIST)
            deferred.cancel()
            self.failureResultOf(deferred, CancelledError)
            self.reactor.settle()
        self.one.holds = held
        deferred = self.session.execute(LIST, timeout=1.0)
        self.reactor.advance(1.05)
        self.failureResultOf(deferred)
        self.one.release()
        self.reactor.settle()
        del deferred
        self.assertEqual(self.collected(), [])

    def test_kept_by_nobody(self) -> None:
        """A request whose answer was delivered is not kept until its deadline."""
        assert self.session is not None
        deferred = self.session.execute(LIST)
        (request,) = self.session.deadlines.requests()
        gone = weakref.ref(deferred)
        del request
        self.reactor.settle()
        self.one.requests.clear()
        del deferred
        self.assertIsNone(gone())


class ReadyTests(SessionTestCase):
    """when_ready()."""

    def fill(self, count: int, **settings: Any) -> list[Deferred[Any]]:
        """A session with so many requests that are not answered."""
        session = self.connect(**settings)
        self.one.holds = held
        waiting = [session.execute(LIST) for _ in range(count)]
        self.reactor.settle()
        return waiting

    def release(self, count: int | None = None) -> None:
        self.one.release(count)
        self.reactor.settle()

    def test_at_once(self) -> None:
        """There is room: nobody waits."""
        self.successResultOf(self.connect().when_ready())

    def test_woken_in_order(self) -> None:
        """As many as there is room for, and each makes its request at once."""
        self.fill(10, max_requests_per_connection=10)
        session = self.session
        assert session is not None
        woken: list[int] = []
        more: list[Deferred[Any]] = []

        def ready(_: None, number: int) -> None:
            woken.append(number)
            more.append(session.execute(LIST))

        for number in range(10):
            session.when_ready().addCallback(ready, number)
        self.release(3)
        self.assertEqual(woken, [])
        # 4 are sent, the queue of 2 moves, and there is room for 2 more.
        self.release(1)
        self.assertEqual(woken, [0, 1])
        self.release(4)
        self.assertEqual(woken, [0, 1, 2, 3, 4, 5])
        self.one.holds = lambda asked: False
        self.release()
        self.assertEqual(woken, list(range(10)))
        self.assertEqual(len([self.answer(deferred) for deferred in more]), 10)

    def test_room_that_is_not_used(self) -> None:
        """Those who are woken and make no request hold up nobody, and nobody is woken in vain."""
        self.fill(8, max_requests_per_connection=10)
        assert self.session is not None
        woken: list[Deferred[None]] = []
        seen: set[int] = set()

        def ready(_: None, waiter: Deferred[None]) -> None:
            woken.append(waiter)
            self.reactor.callLater(0, lambda: seen.add(len(woken)))

        waiting = [self.session.when_ready() for _ in range(20)]
        for waiter in waiting:
            waiter.addCallback(ready, waiter)
        self.release(4)
        self.assertEqual(woken, waiting)
        self.assertEqual(seen, {4, 8, 12, 16, 20})
        self.release()

    def test_behind_those_who_wait(self) -> None:
        """Who comes later is later, though there is room by then."""
        self.fill(8, max_requests_per_connection=10)
        assert self.session is not None
        order: list[str] = []
        for name in "ab":
            self.session.when_ready().addCallback(lambda _, name: order.append(name), name)
        self.release()
        self.session.when_ready().addCallback(lambda _: order.append("c"))
        self.assertEqual(order, ["a", "b", "c"])

    def test_bytes(self) -> None:
        """After a refusal for its size, it is room for as much that is waited for."""
        text = "SELECT k, v FROM t WHERE " + "x" * 1000
        self.one.teach(text, columns=columns(k="int"), rows=[])
        session = self.connect(max_request_bytes=10_000)
        self.one.holds = held
        for _ in range(9):
            session.execute(text)
        small = session.execute(LIST)
        self.reactor.settle()
        self.error(session.execute(text), BusyConnectionError)
        ready = session.when_ready()
        self.assertNoResult(ready)
        self.one.held.pop().reply()
        self.answer(small)
        self.assertNoResult(ready)
        self.release(1)
        self.successResultOf(ready)
        large = session.execute(text)
        self.assertNoResult(large)
        self.one.holds = lambda asked: False
        self.release()
        self.answer(large)

    def test_bytes_that_are_withdrawn(self) -> None:
        """A request that is cancelled, or gives up, makes room without an answer."""
        text = "SELECT k, v FROM t WHERE " + "x" * 1000
        self.one.teach(text, columns=columns(k="int"), rows=[])
        session = self.connect(max_request_bytes=2500, read_timeout=3.0)
        self.one.holds = held
        first = session.execute(text, idempotent=False)
        second = session.execute(text, timeout=2.0)
        self.error(session.execute(text), BusyConnectionError)
        ready = session.when_ready()
        self.reactor.settle()
        self.assertNoResult(ready)
        self.reactor.advance(2.05)
        self.failureResultOf(second, RequestTimeout)
        self.successResultOf(ready)
        third = session.execute(text)
        self.error(session.execute(text), BusyConnectionError)
        ready = session.when_ready()
        third.cancel()
        self.failureResultOf(third, CancelledError)
        self.successResultOf(ready)
        self.release()
        self.successResultOf(first)

    def test_never_ready_for_what_is_refused(self) -> None:
        """A loop of "refused, wait, again" waits for an answer each time round."""
        text = "SELECT k, v FROM t WHERE " + "x" * 1000
        self.one.teach(text, columns=columns(k="int"), rows=[])
        session = self.connect(max_request_bytes=1500)
        self.one.holds = held
        first, tries = session.execute(LIST), 0

        async def persist() -> None:
            nonlocal tries
            while True:
                tries += 1
                try:
                    await session.execute(text)
                    return
                except BusyConnectionError:
                    await session.when_ready()

        session.execute("SELECT k, v FROM t WHERE " + "x" * 800).addErrback(lambda _: None)
        done = Deferred.fromCoroutine(persist())
        self.reactor.settle()
        self.assertEqual(tries, 1)
        self.one.holds = lambda asked: False
        self.release()
        self.successResultOf(done)
        self.successResultOf(first)
        self.assertEqual(tries, 2)

    def test_no_node(self) -> None:
        """It waits until one is up."""
        session = self.connect()
        self.one.stop()
        self.reactor.settle()
        ready = session.when_ready()
        self.assertNoResult(ready)
        self.one.refusing = False
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.successResultOf(ready)

    def test_cancel(self) -> None:
        """It waits no more, and takes nobody's place."""
        self.fill(8, max_requests_per_connection=10)
        assert self.session is not None
        first, second = self.session.when_ready(), self.session.when_ready()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.release()
        self.successResultOf(second)

    def test_closed(self) -> None:
        """It fails, for those who wait and for those who come."""
        waiting = self.fill(8, max_requests_per_connection=10)
        session = self.session
        assert session is not None
        readies = [session.when_ready() for _ in range(3)]

        def cancel_another(failure: Failure) -> Failure:
            readies[1].cancel()
            return failure

        readies[0].addErrback(cancel_another)
        session.close()
        self.failureResultOf(readies[0], SessionClosed)
        self.failureResultOf(readies[1], CancelledError)
        self.failureResultOf(readies[2], SessionClosed)
        self.failureResultOf(session.when_ready(), SessionClosed)
        for deferred in waiting:
            self.failureResultOf(deferred, SessionClosed)
        self.one.held.clear()


class MemoryBudgetTests(SessionTestCase):
    """memory_budget()."""

    def test_links_and_requests(self) -> None:
        """128 KiB a link, the control connection's too; 2 KiB a request, and its body."""
        session = self.connect(core_connections=2)
        self.assertEqual(session.memory_budget(), 3 * 131_072)
        self.one.holds = held
        waiting = [session.execute(LIST) for _ in range(10)]
        (pool,) = session.pools.values()
        bodies = pool.request_bytes
        self.assertGreater(bodies, 10 * len(LIST))
        self.assertEqual(session.memory_budget(), 3 * 131_072 + 10 * 2048 + bodies)
        self.reactor.settle()
        self.one.release()
        for deferred in waiting:
            self.answer(deferred)
        self.assertEqual(session.memory_budget(), 3 * 131_072)
