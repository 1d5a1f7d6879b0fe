"""Tests for :mod:`txcql.pool.requestqueue`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcql.connection.pendingrequest import DeferredRequest
from txcql.pool.requestqueue import RequestQueue
from txcql.wire import constants


def request(body: bytes = b"body") -> DeferredRequest:
    return DeferredRequest(constants.QUERY, body)


class RequestQueueTests(SynchronousTestCase):
    """First in, first out."""

    def setUp(self) -> None:
        self.queue = RequestQueue()
        self.requests = [request(b"x" * size) for size in (1, 2, 3)]
        for each in self.requests:
            self.queue.append(each)

    def test_order(self) -> None:
        """They leave as they came; while they are there, the queue holds them."""
        self.assertEqual([each.holder for each in self.requests], [self.queue] * 3)
        self.assertEqual([self.queue.popleft() for _ in range(3)], self.requests)
        self.assertEqual([each.holder for each in self.requests], [None] * 3)
        self.assertRaises(KeyError, self.queue.popleft)

    def test_counts(self) -> None:
        """Requests and their bytes."""
        self.assertEqual((len(self.queue), self.queue.request_bytes), (3, 6))
        self.assertEqual(repr(self.queue), "<RequestQueue queued=3 bytes=6>")
        self.queue.popleft()
        self.assertEqual((len(self.queue), self.queue.request_bytes), (2, 5))

    def test_withdraw(self) -> None:
        """One in the middle goes; the others keep their order."""
        self.requests[1].deferred.addErrback(lambda _: None)
        self.requests[1].deferred.cancel()
        self.assertEqual((len(self.queue), self.queue.request_bytes), (2, 4))
        self.assertEqual(self.queue.popleft(), self.requests[0])
        self.assertEqual(self.queue.popleft(), self.requests[2])

    def test_clear(self) -> None:
        """All of them, oldest first; nobody holds them then."""
        self.assertEqual(self.queue.clear(), self.requests)
        self.assertEqual((len(self.queue), self.queue.request_bytes), (0, 0))
        self.assertFalse(self.queue)
        self.assertEqual([each.holder for each in self.requests], [None] * 3)
        self.assertEqual(self.queue.clear(), [])
