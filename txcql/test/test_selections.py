"""Tests for :mod:`txcql.pool.selections`."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.connection.pendingrequest import DeferredRequest
from txcql.connection.protocol import CQLProtocol
from txcql.pool.selections import selection
from txcql.settings import Settings
from txcql.wire import constants


class SelectionTests(SynchronousTestCase):
    """Which of several links."""

    def links(self, *sent: int) -> list[CQLProtocol]:
        """Links with so many requests in flight."""
        links = []
        for count in sent:
            link = CQLProtocol("10.0.0.1:9042", Settings(), Clock(), 5)
            for _ in range(count):
                link.streams.register(DeferredRequest(constants.QUERY, b""))
            links.append(link)
        return links

    def chosen(self, name: str, links: Any, times: int) -> list[int]:
        choose = selection(name)
        return [links.index(choose(links)) for _ in range(times)]

    def test_least_loaded(self) -> None:
        """The one with the fewest requests; the first of equals, which is the oldest."""
        self.assertEqual(self.chosen("least-loaded", self.links(2, 1, 3), 2), [1, 1])
        self.assertEqual(self.chosen("least-loaded", self.links(2, 1, 1), 2), [1, 1])

    def test_round_robin(self) -> None:
        """One after another, however loaded."""
        self.assertEqual(self.chosen("round-robin", self.links(9, 0, 0), 5), [0, 1, 2, 0, 1])

    def test_round_robin_of_fewer(self) -> None:
        """Links that are not open any more are none to choose."""
        choose = selection("round-robin")
        links = self.links(0, 0, 0)
        for _ in range(3):
            choose(links)
        self.assertIs(choose(links[:1]), links[0])
        self.assertIs(choose(links), links[1])

    def test_random(self) -> None:
        """Each has its share."""
        chosen = self.chosen("random", self.links(9, 0, 0), 300)
        for number in range(3):
            self.assertGreater(chosen.count(number), 50)
