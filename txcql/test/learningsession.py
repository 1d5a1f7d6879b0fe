"""What the tests of policies that learn share: a session on a fake cluster, and its clock."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import txcql
from txcql.testing import FakeCluster, FakeNode, MemoryReactor

__all__ = ["LearningSessionTestCase"]

READ = "SELECT v FROM ks.t WHERE k = ?"
WRITE = "INSERT INTO ks.t (k, v) VALUES (?, ?)"


class LearningSessionTestCase(SynchronousTestCase):
    """Some nodes that have the same row; the session is opened by each test."""

    nodes = 2

    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.cluster = FakeCluster(self.reactor, self.nodes)
        self.run_(self.cluster.listen())

    def open(self, **settings: Any) -> Any:
        session = self.session = self.run_(
            txcql.connect(self.reactor, self.cluster.contact_points[:1], consistency="ONE", **settings)
        )
        self.addCleanup(lambda: self.run_(session.close()))
        replication = f"{{'class': 'SimpleStrategy', 'replication_factor': {self.nodes}}}"
        self.run_(session.execute(f"CREATE KEYSPACE ks WITH replication = {replication}"))
        self.run_(session.execute("CREATE TABLE ks.t (k int PRIMARY KEY, v text)"))
        self.run_(session.execute(WRITE, [1, "one"]))
        for _ in range(4 * self.nodes):
            self.run_(session.execute(READ, [1]))
        self.cluster.requests.clear()
        return session

    def run_(self, result: Any) -> Any:
        return self.reactor.run(result)

    def read(self, **options: Any) -> Any:
        """Read the row; its result, or the error."""
        result = self.session.execute(READ, [1], **options)
        return self.run_(result.addErrback(lambda failure: failure.value))

    def read_often(self, count: int) -> list[str]:
        """Read the row so many times, one after the other; the coordinators."""
        return [self.read().coordinator for _ in range(count)]

    def name(self, node: FakeNode) -> str:
        return node.contact_point
