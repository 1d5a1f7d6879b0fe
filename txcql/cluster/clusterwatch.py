"""Keeps the metadata as the cluster is, over the control connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txcql.cluster.clustermetadata import ClusterMetadata
from txcql.cluster.contactpoints import ContactPoint, ResolvedPoint
from txcql.cluster.control import ControlConnection
from txcql.cluster.membership import Membership
from txcql.cluster.nodes import Node
from txcql.cluster.poolmanager import NodePolicies, PoolManager
from txcql.cluster.refreshes import Refreshes, Wanted
from txcql.cluster.schemareader import read_keyspaces
from txcql.cluster.topology import Topology, read_topology
from txcql.connection.protocol import CQLProtocol
from txcql.errors import ConnectionLost
from txcql.settings import Settings
from txcql.wire.events import SchemaChange, StatusChange, TopologyChange

__all__ = ["DEFAULT_PORT", "ClusterWatch"]

log = Logger(namespace="txcql.cluster")

DEFAULT_PORT = 9042

_OTHERS = 16
"""Nodes that are down of which a round of the control connection tries the address."""

_AGAIN_AFTER = 5.0
"""Seconds after which nodes are read again that were coming or going."""

_INCOMPLETE_TIMES = 6


class ClusterWatch:
    """Holds the control connection, and acts on what comes over it.

    Events are hints. That a node is up lets its links be opened without a wait, that it is down lets
    them be asked whether it is there, and no link is closed for what an event says. Nodes and schema
    are read again from the system tables.

    :param reactor: connects, resolves and waits.
    :param points: the contact points.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param delays: makes the schedule of the control connection, in seconds.
    :param cluster: is kept up to date.
    :param pools: hear of the nodes.
    :param policies: are told which data center is the local one.
    :ivar control: the control connection.
    :ivar datacenter: the local data center; ``None`` until it is known.
    :ivar membership: the nodes.
    """

    def __init__(
        self,
        reactor: Any,
        points: Sequence[ContactPoint],
        settings: Settings,
        delays: Callable[[], Iterator[float]],
        cluster: ClusterMetadata,
        pools: PoolManager,
        policies: NodePolicies,
    ) -> None:
        port = next((point.port for point in points if point.port), DEFAULT_PORT)
        self.datacenter = settings.local_datacenter
        self.membership = Membership(reactor, settings, cluster, pools, port)
        self.control = ControlConnection(reactor, points, settings, delays, self)
        self._reactor = reactor
        self._cluster = cluster
        self._pools = pools
        self._policies = policies
        self._rack = settings.local_rack
        self._covered = settings.schema_metadata
        self._refreshes = Refreshes(reactor, self._read)
        self._others = 0
        self._incomplete = 0
        cluster.on_refresh = lambda: self._refreshes.now(Wanted(topology=True, schema=True))

    def read_schema(self) -> Deferred[None]:
        """Read the whole schema.

        :returns: fires when it is read; cancelling it lets the reading go on.
        """
        return self._refreshes.now(Wanted(schema=True))

    def close(self) -> Deferred[None]:
        """Close the control connection, and read nothing any more.

        :returns: fires when no connection is left.
        """
        self._refreshes.close()
        self.membership.stop()
        return self.control.close()

    # What the control connection tells and asks.

    def best_points(self) -> list[ResolvedPoint]:
        nodes = [node for node in self._cluster.nodes.values() if node.up]
        nodes.sort(key=lambda node: node.datacenter != self.datacenter)
        return [_point(node) for node in nodes]

    def other_points(self) -> list[ResolvedPoint]:
        # Ignored nodes are never up: no link tells of them.
        nodes = [node for node in self._cluster.nodes.values() if not node.up]
        if len(nodes) > _OTHERS:
            # Others each time: with a thousand of them a round would never end.
            start = self._others = (self._others + _OTHERS) % len(nodes)
            nodes = list(islice((*nodes[start:], *nodes[:start]), _OTHERS))
        nodes.sort(key=lambda node: node.datacenter != self.datacenter)
        return [_point(node) for node in nodes]

    def link_opened(self, point: ResolvedPoint, topology: Topology) -> None:
        if self.datacenter is None:
            self.datacenter = topology.local.datacenter
            log.info("the local data center is {name}, that of {node}", name=self.datacenter, node=point.name)
        if not self._cluster.nodes:
            assert self.control.version is not None
            self._pools.version = self.control.version
            self._policies.start(self.datacenter, self._rack)
        else:
            # The first reading is what connect() waits for.
            self._refreshes.want(Wanted(schema=True))
        self._take_in(point, topology)

    def event(self, change: TopologyChange | StatusChange | SchemaChange) -> None:
        if isinstance(change, SchemaChange):
            if change.target == "KEYSPACE" or self._covers(change.keyspace):
                self._refreshes.want(Wanted(keyspaces={change.keyspace}))
            return
        self._incomplete = 0
        node = self.membership.find(str(change.address), change.port)
        if isinstance(change, TopologyChange) or node is None:
            self._refreshes.want(Wanted(topology=True))
            # It may be told before the system tables have it.
            self._refreshes.want_later(Wanted(topology=True), _AGAIN_AFTER)
        elif change.change == "UP":
            self._pools.hint_up(node)
        else:
            self._pools.hint_down(node)

    # Inside.

    def _covers(self, keyspace: str) -> bool:
        covered = self._covered
        return covered if isinstance(covered, bool) else keyspace in covered

    def _take_in(self, point: ResolvedPoint, topology: Topology) -> None:
        self.membership.apply(point, topology)
        if topology.incomplete and self._incomplete < _INCOMPLETE_TIMES:
            # A node that is just coming; no event tells when its row is complete.
            self._incomplete += 1
            self._refreshes.want_later(Wanted(topology=True), _AGAIN_AFTER)

    def _read(self, wanted: Wanted) -> Deferred[None]:
        return Deferred.fromCoroutine(self._read_over(self.control.link, self.control.point, wanted))

    async def _read_over(self, link: CQLProtocol | None, point: ResolvedPoint | None, wanted: Wanted) -> None:
        if link is None or point is None:
            raise ConnectionLost("there is no control connection at the moment")
        if wanted.topology:
            self._take_in(point, await read_topology(link))
        if wanted.schema or wanted.keyspaces:
            names = None if wanted.schema else frozenset(wanted.keyspaces)
            found = await read_keyspaces(link, self._reactor, self._covered, names)
            self._cluster.keyspaces_read(found, names)


def _point(node: Node) -> ResolvedPoint:
    return ResolvedPoint(node.name, node.endpoint)
