"""A Cassandra cluster in the process of a test."""

from __future__ import annotations

import importlib.util
import ipaddress
import time
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, execute, gatherResults
from twisted.internet.task import Clock

from txcql.testing.database import Database
from txcql.testing.fakenode import FakeNode, NodeOptions
from txcql.testing.faketopology import added_node, make_nodes
from txcql.testing.nodeprotocol import Change
from txcql.testing.reactions import Reaction, Rule, Rules
from txcql.testing.receivedrequests import Match, RequestLog
from txcql.testing.systemtables import add_system_keyspaces
from txcql.wire.constants import NATIVE_VERSIONS
from txcql.wire.events import StatusChange, TopologyChange

__all__ = ["FakeCluster"]


class FakeCluster:
    """Nodes that answer as Cassandra 5.0 does, with tables in memory.

    What they do not know of CQL they refuse with an ``InvalidRequest`` that says
    "not supported by txcql.testing". All nodes share their tables.

    :param reactor: listens, and tells the time: the one that the driver is given, or a
        :class:`~txcql.testing.MemoryReactor`, with which nothing needs a socket and nothing waits.
    :param nodes: the number of nodes, in one datacenter.
    :param datacenters: the number of nodes of each datacenter, instead of ``nodes``.
    :param credentials: user names and passwords; without them nobody has to log in.
    :param versions: the protocol versions that the nodes speak.
    :param compressions: the compressions that they offer; those that are installed if not given.
    :param tls: a Twisted context for servers (``IOpenSSLServerConnectionCreator``, or a context factory); the
        nodes speak TLS then.
    :param record: whether what is received is noted in ``requests``.
    :ivar nodes: the nodes.
    :ivar requests: what they have received.
    """

    def __init__(
        self,
        reactor: Any,
        nodes: int = 1,
        *,
        datacenters: Mapping[str, int] | None = None,
        credentials: Mapping[str, str] | None = None,
        versions: Sequence[int] = NATIVE_VERSIONS,
        compressions: Sequence[str] | None = None,
        cluster_name: str = "txcql.testing",
        tls: Any = None,
        record: bool = True,
    ) -> None:
        self.reactor = reactor
        self.infos = make_nodes({"dc1": nodes} if datacenters is None else datacenters)
        self.database = Database(self.infos, cluster_name)
        add_system_keyspaces(self.database)
        self.options = NodeOptions(
            cluster_name,
            credentials,
            _checked_versions(versions),
            _installed_compressions() if compressions is None else compressions,
            tls,
        )
        self.requests = RequestLog()
        self.rules = Rules()
        self.log = self.requests if record else None
        self._last_timestamp = 0
        # A reactor's seconds may count from anywhere; a Clock's are the test's own.
        self._offset = 0.0 if isinstance(reactor, Clock) else time.time() - reactor.seconds()
        self.nodes = [FakeNode(info, self) for info in self.infos]

    def __repr__(self) -> str:
        return f"<FakeCluster {' '.join(self.contact_points)}>"

    @property
    def contact_points(self) -> list[str]:
        """``host:port`` of every node."""
        return [node.contact_point for node in self.nodes]

    def listen(self, port: int = 0) -> Deferred[list[tuple[str, int]]]:
        """Listen on loopback addresses.

        :param port: that of the first node, the others take those that follow; 0 for ports of the system's
            choosing.
        :returns: fires with the host and port of every node.
        """
        return execute(self._listen, port)

    def _listen(self, port: int) -> list[tuple[str, int]]:
        return [node.listen(port + place if port else 0) for place, node in enumerate(self.nodes)]

    def close(self) -> Deferred[None]:
        """Stop listening and reset all connections; fires when they are gone."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        for node in self.nodes:
            await node.refuse_connections()
        await gatherResults([node.close_connections() for node in self.nodes])

    # Answers and faults.

    def prime(
        self,
        match: Match,
        *reactions: Reaction | Sequence[Reaction],
        node: FakeNode | None = None,
        times: int | None = None,
    ) -> Rule:
        """Answer certain requests in a way of one's own.

        :param match: the text of a statement, a compiled pattern, or a function that takes a
            :class:`~txcql.testing.Received`.
        :param reactions: answers, errors and faults, or lists of them that belong together; every request
            takes the next, and the last is repeated.
        :param node: the only node that does so.
        :param times: for how many requests.
        :returns: the rule, which knows what it was applied to, and can be removed.
        """
        made = Rule(match, reactions, node=None if node is None else node.contact_point, times=times)
        return self.rules.add(made)

    def inject(
        self,
        *reactions: Reaction | Sequence[Reaction],
        match: Match = None,
        node: FakeNode | None = None,
        times: int | None = None,
        probability: float = 1.0,
        seed: int = 0,
    ) -> Rule:
        """Let something go wrong.

        :param reactions: as in :meth:`prime`.
        :param match: as in :meth:`prime`; if it is not given, every statement but those on the server's own
            tables.
        :param probability: of each request that matches, to be met.
        :param seed: of the random numbers: the same ones every time.
        """
        return self.rules.add(
            Rule(
                match,
                reactions,
                node=None if node is None else node.contact_point,
                times=times,
                probability=probability,
                random=Random(seed),
            )
        )

    def clear(self) -> None:
        """Remove all rules, and forget what was received."""
        self.rules.clear()
        self.requests.clear()

    # Nodes that come and go.

    def add_node(self, datacenter: str = "dc1") -> FakeNode:
        """A further node, which listens; the other nodes tell their clients."""
        info = added_node(self.infos, datacenter)
        self.infos.append(info)
        node = FakeNode(info, self)
        self.nodes.append(node)
        node.listen()
        address = ipaddress.ip_address(info.address)
        came = TopologyChange("NEW_NODE", address, info.port)
        self.broadcast([came, StatusChange("UP", address, info.port)], besides=node)
        return node

    def remove_node(self, node: FakeNode) -> Deferred[None]:
        """A node leaves for good; the others tell their clients. Fires when its connections are gone."""
        self.nodes.remove(node)
        self.infos.remove(node.info)
        address = ipaddress.ip_address(node.info.address)
        self.broadcast([TopologyChange("REMOVED_NODE", address, node.info.port)])
        return node.stop()

    # What the nodes ask.

    def timestamp(self) -> int:
        """A timestamp in microseconds, later than the one before."""
        now = max(int(self.seconds() * 1_000_000), self._last_timestamp + 1)
        self._last_timestamp = now
        return now

    def seconds(self) -> float:
        """The time, in seconds since 1970."""
        return float(self.reactor.seconds()) + self._offset

    def broadcast(self, changes: Sequence[Change], besides: FakeNode | None = None) -> None:
        """Tell the clients of all nodes but one of changes."""
        for change in changes:
            for node in self.nodes:
                if node is not besides:
                    node.send_event(change)


def _checked_versions(versions: Sequence[int]) -> Sequence[int]:
    unknown = set(versions) - set(NATIVE_VERSIONS)
    if unknown or not versions:
        raise ValueError(f"versions must be some of {NATIVE_VERSIONS}, got {tuple(versions)}")
    return versions


def _installed_compressions() -> Sequence[str]:
    return ("snappy", "lz4") if importlib.util.find_spec("cramjam") is not None else ("lz4",)
