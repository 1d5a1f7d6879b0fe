"""Many requests, a fixed number in flight."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.cli.pump import RequestPump


class PumpTests(SynchronousTestCase):
    """:class:`RequestPump`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.sent: list[tuple[int, Deferred[Any]]] = []
        self.pump = RequestPump(self.clock, self.send)

    def send(self, number: int) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.sent.append((number, answer))
        return answer

    def test_in_flight(self) -> None:
        """Each answer lets the next request out, until all have been answered."""
        done = self.pump.run(5, 3)
        self.assertEqual([number for number, _ in self.sent], [0, 1, 2])
        for count in range(5):
            self.assertNoResult(done)
            self.clock.advance(1)
            self.sent[count][1].callback(None)
        self.successResultOf(done)
        self.assertEqual([number for number, _ in self.sent], [0, 1, 2, 3, 4])
        self.assertEqual((self.pump.peak, self.pump.in_flight), (3, 0))
        self.assertEqual(self.pump.latencies, [1, 2, 3, 3, 3])

    def test_fewer_than_fit(self) -> None:
        """No more than there are."""
        done = self.pump.run(2, 100)
        for _, answer in self.sent:
            answer.callback(None)
        self.successResultOf(done)
        self.assertEqual(self.pump.peak, 2)

    def test_failure(self) -> None:
        """The first failure ends it: nothing more is sent, later failures are not lost in the log."""
        done = self.pump.run(10, 3)
        self.sent[1][1].errback(ValueError("why"))
        self.assertEqual(str(self.failureResultOf(done, ValueError).value), "why")
        self.sent[0][1].callback(None)
        self.sent[2][1].errback(KeyError())
        self.assertEqual(len(self.sent), 3)
