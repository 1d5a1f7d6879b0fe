"""Tests for :mod:`txcql.pool.flowsignals`: what is full, and who is told."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from zope.interface import implementer

from txcql.errors import BusyConnectionError
from txcql.interfaces import IFlowObserver
from txcql.pool.flowsignals import FlowSignal
from txcql.test.scriptednode import columns
from txcql.test.test_nodepool import LIST, PoolTestCase


@implementer(IFlowObserver)
class Observer:
    """Remembers what it is told, shortly."""

    def __init__(self) -> None:
        self.signals: list[FlowSignal] = []

    def flow_signal(self, signal: FlowSignal) -> None:
        self.signals.append(signal)

    def told(self) -> list[str]:
        """Since it was asked last."""
        signals, self.signals = self.signals, []
        return [f"{signal.name} {'begins' if signal.begun else 'ends'}" for signal in signals]


@implementer(IFlowObserver)
class Broken:
    def flow_signal(self, signal: FlowSignal) -> None:
        raise ZeroDivisionError("an observer of yours")


class SignalTests(PoolTestCase):
    """One link of ten requests: eight may be sent, below five it opens again."""

    def begin(self, **settings: Any) -> None:
        self.observer = Observer()
        settings = {
            "max_requests_per_connection": 10,
            "max_connections_local": 1,
            "observers": [self.observer],
            **settings,
        }
        self.connect(**settings)

    def state(self) -> dict[str, tuple[bool, int]]:
        """As the snapshot shows it."""
        assert self.session is not None
        signals = self.session.snapshot()["nodes"]["10.0.0.1:9042"]["signals"]
        return {name: (signal["active"], signal["times"]) for name, signal in signals.items()}

    def test_seconds(self) -> None:
        """How long each has been on, while it is and afterwards."""
        self.begin()

        def seconds(name: str) -> float:
            assert self.session is not None
            found: float = self.session.snapshot()["nodes"]["10.0.0.1:9042"]["signals"][name]["seconds"]
            return found

        self.one.holds = lambda asked: True
        requests = [self.session.execute(LIST) for _ in range(8)]  # type: ignore[union-attr]
        self.reactor.settle()
        self.reactor.advance(1.5)
        self.assertEqual((seconds("high in-flight"), seconds("queue full")), (1.5, 0.0))
        self.one.release()
        self.reactor.settle()
        self.reactor.advance(1.5)
        self.assertEqual(seconds("high in-flight"), 1.5)
        for request in requests:
            self.successResultOf(request)

    def test_high_and_full(self) -> None:
        """At the high mark, and at the limit; both end when the link is open again."""
        self.begin()
        waiting = self.ask(7)
        self.assertEqual(self.observer.told(), [])
        waiting += self.ask(1)
        (signal,) = self.observer.signals
        self.assertEqual(signal, FlowSignal("high in-flight", True, "10.0.0.1:9042", 8, 0, 10, 1, 1))
        self.observer.told()
        waiting += self.ask(2)
        self.assertEqual(self.observer.told(), [])
        (refused,) = self.ask(1)
        self.failureResultOf(refused, BusyConnectionError)
        self.failureResultOf(self.ask(1)[0], BusyConnectionError)
        (signal,) = self.observer.signals
        self.assertEqual(signal, FlowSignal("queue full", True, "10.0.0.1:9042", 8, 2, 10, 1, 1))
        self.assertEqual(
            self.state(),
            {"queue full": (True, 1), "high in-flight": (True, 1), "read buffer full": (False, 0)},
        )
        self.observer.told()
        self.one.release(4)
        self.reactor.settle()
        self.assertEqual(self.observer.told(), ["high in-flight ends", "queue full ends"])
        self.let_go(waiting)
        self.assertEqual(
            self.state(),
            {"queue full": (False, 1), "high in-flight": (False, 1), "read buffer full": (False, 0)},
        )

    def test_withdrawn(self) -> None:
        """Room that comes from requests that are no longer wanted counts as well."""
        self.begin()
        waiting = self.ask(10)
        self.failureResultOf(self.ask(1)[0], BusyConnectionError)
        self.observer.told()
        waiting[-1].cancel()
        self.failureResultOf(waiting.pop(), CancelledError)
        self.assertEqual(self.observer.told(), ["queue full ends"])
        self.let_go(waiting)

    def test_bytes(self) -> None:
        """A queue can be full of bytes, too."""
        self.begin(max_request_bytes=200)
        waiting = self.ask(1, payload={"x": b"x" * 100})
        self.failureResultOf(self.ask(1, payload={"x": b"x" * 100})[0], BusyConnectionError)
        self.assertEqual(self.observer.told(), ["queue full begins"])
        self.one.release(1)
        self.reactor.settle()
        self.assertEqual(self.observer.told(), ["queue full ends"])
        self.let_go(waiting)

    def test_every_link(self) -> None:
        """A pool of two links is high when both are."""
        self.begin(core_connections=2, max_connections_local=2)
        waiting = self.ask(15)
        self.assertEqual(self.observer.told(), [])
        waiting += self.ask(1)
        self.assertEqual(self.observer.told(), ["high in-flight begins"])
        self.let_go(waiting)
        self.assertEqual(self.observer.told(), ["high in-flight ends"])

    def test_the_link_is_lost(self) -> None:
        """Each beginning has its end."""
        self.begin()
        waiting = self.ask(10)
        self.failureResultOf(self.ask(1)[0], BusyConnectionError)
        self.observer.told()
        self.one.links[-1].drop()
        self.reactor.settle()
        self.assertEqual(self.observer.told(), ["high in-flight ends", "queue full ends"])
        self.assertEqual(self.state()["queue full"], (False, 1))
        for deferred in waiting:
            deferred.addErrback(lambda failure: None)

    def test_read_buffer(self) -> None:
        """Answers that are held back beyond the response budget."""
        self.begin(response_budget=1000)
        self.one.teach(LIST, columns=columns(k="int", v="text"), rows=[[1, "x" * 2000]])
        (link,) = self.pool.links
        link.hold_responses()
        waiting = self.ask(1)
        self.one.release()
        self.reactor.settle()
        self.assertEqual(self.observer.told(), ["read buffer full begins"])
        link.release_responses()
        self.reactor.settle()
        self.assertEqual(self.observer.told(), ["read buffer full ends"])
        self.successResultOf(waiting[0])

    def test_a_broken_observer(self) -> None:
        """It is logged, and costs nobody anything."""
        self.begin(observers=[Broken(), observer := Observer()])
        waiting = self.ask(8)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(observer.told(), ["high in-flight begins"])
        self.let_go(waiting)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_repr(self) -> None:
        self.begin()
        self.assertEqual(repr(self.pool.signals), "<FlowSignals none>")
        waiting = self.ask(8)
        self.assertEqual(repr(self.pool.signals), "<FlowSignals high in-flight>")
        self.let_go(waiting)
