"""What a request costs the client in a simulated cluster, whose nodes answer without a wire.

A real session is opened on nodes in memory; then each pool is replaced by one that answers a request at once,
with the same frame. What is left is the driver's own work above the wire: encoding, routing, the plan, the
result. The partition is another one each time.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from typing import Any

from load import build_of_txcql, report

import txcql
from txcql.testing import FakeCluster, MemoryReactor
from txcql.wire import constants
from txcql.wire.frames import Frame

KEYS = 4096
BATCHES = 15
BATCH = 4000
ROW = "00000002 00000004 00000001 00000001 00000003 616263"
"""One row of one text; without metadata, as an EXECUTE asks for it."""


class AnsweringPool:
    """Stands in for a pool, and for its link."""

    received_at = 0.0
    up = True

    def __init__(self, name: str, version: int) -> None:
        self.name = name
        self.frame = Frame(version, 0, 0, constants.RESULT, bytes.fromhex(ROW))
        self.written = [0.0]

    def submit(self, request: Any) -> None:
        """Answer it."""
        request.holder = self
        request.written = self.written
        request.received(self.frame)


def open_session(nodes: int) -> tuple[MemoryReactor, Any]:
    """A session on so many nodes, half of which are of the other data center."""
    reactor = MemoryReactor()
    remote = nodes // 2 if nodes > 1 else 0
    datacenters = {"dc1": nodes - remote, **({"dc2": remote} if remote else {})}
    cluster = FakeCluster(reactor, datacenters=datacenters, record=False)
    reactor.run(cluster.listen())
    session = reactor.run(txcql.connect(reactor, cluster.contact_points[:1]))
    factors = ", ".join(f"'{name}': {min(3, count)}" for name, count in datacenters.items())
    replication = f"{{'class': 'NetworkTopologyStrategy', {factors}}}"
    reactor.run(session.execute(f"CREATE KEYSPACE bnc WITH replication = {replication}"))
    reactor.run(session.execute("CREATE TABLE bnc.itms (k int PRIMARY KEY, v text)"))
    reactor.advance(5)
    return reactor, session


def measure(nodes: int) -> list[float]:
    """Microseconds of CPU per request, batch by batch."""
    reactor, session = open_session(nodes)
    statement = reactor.run(session.prepare("SELECT v FROM bnc.itms WHERE k = ?"))
    for node, pool in session.pools.items():
        session.pools[node] = AnsweringPool(pool.name, session.version)
    execute, answered = session.execute, []
    execute(statement, [1]).addCallback(lambda result: answered.append(result.one().v))
    if answered != ["abc"]:
        raise RuntimeError(f"the row did not come back: {answered}")
    values = [[key] for key in range(KEYS)]
    for value in values:
        # Each part of the ring is looked at once.
        execute(statement, value)
    # What stands for the cluster is of no concern to the collector.
    gc.collect()
    gc.freeze()
    costs = []
    for batch in range(BATCHES):
        chosen = [values[(batch * BATCH + number) % KEYS] for number in range(BATCH)]
        start = time.process_time()
        for value in chosen:
            execute(statement, value)
        costs.append((time.process_time() - start) / BATCH * 1e6)
    return costs


if __name__ == "__main__":
    [nodes] = json.loads(sys.argv[1])
    report({"costs": measure(nodes)}, **build_of_txcql())
