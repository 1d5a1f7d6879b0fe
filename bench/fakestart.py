"""What a fake cluster costs to start: time and memory, of one that listens on loopback.

``python bench/fakestart.py [NODES]``; each figure is of a process of its own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

PROGRAM = """
import json, resource, sys, time
from twisted.internet.selectreactor import SelectReactor
import txcql.testing
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
reactor = SelectReactor()
before, start = resident(), time.perf_counter()
cluster = txcql.testing.FakeCluster(reactor, int(sys.argv[1]))
cluster.listen()
took = time.perf_counter() - start
tables = time.perf_counter()
for keyspace in cluster.database.keyspaces.values():
    keyspace.tables
print(json.dumps([took, time.perf_counter() - tables, resident() - before]))
"""
"""The second figure is the system tables, which are made when they are first asked for."""

RUNS = 9


def main(nodes: str = "3") -> None:
    """Measure, and print the medians."""
    found = []
    for _ in range(RUNS):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, nodes], capture_output=True, check=True, encoding="utf-8"
        )
        found.append(json.loads(done.stdout))
    start, tables, memory = (statistics.median(column) for column in zip(*found, strict=True))
    print(f"{nodes} nodes: start {start * 1000:.1f} ms, {memory / 2**20:.1f} MiB with all system tables,")
    print(f"which are made when they are first asked for, in {tables * 1000:.1f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
