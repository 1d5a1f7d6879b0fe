"""The clusters that tests can ask for by name, described as data.

A new cluster is a new line of :data:`LAYOUTS`; nothing else has to change.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .problems import CassandraUnavailable

__all__ = ["LAYOUTS", "NEWEST", "USUAL", "Layout", "NodeLayout", "Release", "layout_named"]


@dataclass(frozen=True)
class Release:
    """One version of Cassandra, and what it needs beyond the newest one.

    :ivar version: The version of ``cassandra-all`` on Maven Central.
    :ivar agent: The file name of the Java agent among its jars, or an empty string.
    :ivar old_names: True if ``cassandra.yaml`` wants the names and plain numbers from before 4.1.
    """

    version: str
    agent: str = ""
    old_names: bool = False


@dataclass(frozen=True)
class NodeLayout:
    """Where one node stands in its cluster.

    :ivar datacenter: The name of its data center.
    :ivar rack: The name of its rack.
    :ivar token: Its only token; None lets the node choose ``num_tokens`` of them.
    """

    datacenter: str = "dc1"
    rack: str = "rack1"
    token: int | None = None


@dataclass(frozen=True)
class Layout:
    """One cluster as a test wants it.

    :ivar release: The version of Cassandra that all its nodes run.
    :ivar nodes: One entry per node.
    :ivar heap: The heap of each node, in MiB.
    :ivar yaml: Settings for ``cassandra.yaml``, under the names of 4.1 and later; they win over ours.
    :ivar jvm: Further flags for each node's JVM; the default compiles with C1 only, which starts faster
        and runs slower, so a layout for measuring speed leaves it out.
    :ivar nice: How much the nodes give way to the client on the same cores; see ``nice(1)``.
    :ivar in_memory: True if the nodes' files are in memory: where they share one disk, the flushes of one
        node stop the others.
    :ivar login: True if the nodes ask for a user name and a password.
    :ivar tls: True if the native port speaks TLS only.
    :ivar client_certificates: True if the nodes also ask the client for a certificate; needs ``tls``.
    """

    release: Release
    nodes: tuple[NodeLayout, ...] = (NodeLayout(),)
    heap: int = 512
    yaml: Mapping[str, object] = field(default_factory=dict)
    jvm: tuple[str, ...] = ("-XX:TieredStopAtLevel=1",)
    nice: int = 0
    in_memory: bool = False
    login: bool = False
    tls: bool = False
    client_certificates: bool = False

    def fingerprint(self) -> str:
        """Tell two descriptions apart.

        :returns: A short text that is equal for equal layouts, in every process.
        """
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


V50 = Release("5.0.5")
V41 = Release("4.1.9", agent="jamm-0.3.2.jar")
V40 = Release("4.0.17", agent="jamm-0.3.2.jar", old_names=True)

NEWEST = V50
RELEASES = {"5.0": V50, "4.1": V41, "4.0": V40}

#: What a layout runs that names no release: the variable has the live tests run against another one.
USUAL = RELEASES[os.environ.get("TXCQL_CASSANDRA", "5.0")]

SMALL = {"memtable_heap_space": "32MiB", "concurrent_reads": 4, "concurrent_writes": 4}

THREE_NODES = (
    NodeLayout("dc1", "rack1", -9223372036854775808),
    NodeLayout("dc1", "rack2", -3074457345618258603),
    NodeLayout("dc2", "rack1", 3074457345618258602),
)

#: A coordinator reads from itself if it has a copy: never from a node that a test has just killed, and that
#: the others do not yet know to be down.
CALM = {**SMALL, "dynamic_snitch": False}

#: Nodes that are to answer soon on the cores of one machine, which they share: few threads, few collections
#: of garbage, a commit log whose next segment, which a dropped table begins, is made in no time, and no flush
#: of the schema at each change.
SWIFT = {**CALM, "native_transport_max_threads": 6, "commitlog_segment_size": "4MiB"}
SWIFT_JVM = (
    "-Xmn1700M",
    "-Dio.netty.eventLoopThreads=1",
    "-Dcassandra.test.flush_local_schema_changes=false",
    "-Dcassandra.unsafesystem=true",
)

#: So many requests a second are too many; a driver needs some to learn the schema.
LIMITED = {
    **SMALL,
    "native_transport_rate_limiting_enabled": True,
    "native_transport_max_requests_per_second": 200,
}

#: MiB. A million rows of 1 KiB, and thousands of 64 KiB behind them, are too much for less.
HEAP_OF_ONE = 2048 if os.environ.get("TXCQL_FULL") else 512

LAYOUTS: dict[str, Layout] = {
    "one": Layout(USUAL, heap=HEAP_OF_ONE),
    "bench": Layout(USUAL, jvm=()),
    "three": Layout(USUAL, nodes=THREE_NODES, heap=384, yaml=CALM),
    "swift": Layout(USUAL, nodes=THREE_NODES, heap=2048, yaml=SWIFT, jvm=SWIFT_JVM, nice=10, in_memory=True),
    "secure": Layout(USUAL, heap=384, yaml=SMALL, login=True, tls=True),
    "login": Layout(USUAL, heap=384, yaml=SMALL, login=True),
    "mutual": Layout(USUAL, heap=384, yaml=SMALL, tls=True, client_certificates=True),
    "limited": Layout(USUAL, heap=384, yaml=LIMITED),
    "v41": Layout(V41, heap=384, yaml=SMALL),
    "v40": Layout(V40, heap=384, yaml=SMALL),
}

#: A cluster's name: a layout's, or that and a suffix for an exclusive one, as in ``three-4711-1``.
NAME = re.compile(r"([a-z][a-z0-9]*)(-[0-9]+)*")


def layout_named(name: str) -> Layout:
    """Find the layout of a cluster by the cluster's name.

    :param name: A layout's name, with or without the suffix of an exclusive cluster.
    :returns: The layout.
    :raises CassandraUnavailable: if there is no such layout.
    """
    found = NAME.fullmatch(name)
    if found is None or found[1] not in LAYOUTS:
        known = ", ".join(sorted(LAYOUTS))
        raise CassandraUnavailable(f"no cluster is called {name!r}: choose one of {known}")
    return LAYOUTS[found[1]]
