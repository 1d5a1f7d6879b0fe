"""Which nodes have links: a pool for each that is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from txcql.cluster.listeners import Listeners
from txcql.cluster.nodes import Node
from txcql.errors import CQLError, said_by
from txcql.interfaces import Distance
from txcql.pool.connectlimit import ConnectLimit
from txcql.pool.dedicatedpool import DedicatedPool
from txcql.pool.nodepool import NodePool, PoolOwner
from txcql.settings import Settings

__all__ = ["NodePolicies", "PoolManager"]

log = Logger(namespace="txcql.cluster")

_PROBE_INTERVAL = 10.0
"""Seconds between two probes of a node that others call down, at least."""


_NO_POOL: dict[str, Any] = {
    "in_flight": 0,
    "queued": 0,
    "limit": 0,
    "max_connections": 0,
    "request_bytes": 0,
    "suspect": False,
    "error": None,
    "failures": {},
}
"""The totals of a node that is given no links."""


class NodePolicies(Protocol):
    """What the load balancing policies of a session have to say of nodes."""

    def start(self, datacenter: str, rack: str | None) -> None:
        """The session begins."""

    def distance(self, node: Node) -> Distance:
        """How near a node is to the policy that it is nearest to."""

    def node_up(self, node: Node) -> None:
        """A link to the node is ready."""

    def node_down(self, node: Node) -> None:
        """No link to the node is ready any more."""

    def node_removed(self, node: Node) -> None:
        """The node has left the cluster."""


class PoolManager:
    """Gives each node the links that its distance asks for, and takes them away again.

    :param reactor: connects and waits.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param policies: tell how near a node is, and hear of it.
    :param listeners: hear of nodes that go up or down.
    :param delays: makes the schedule of a link's attempts, in seconds.
    :param keyspace: tells the keyspace that links shall be in.
    :ivar pools: node -> pool.
    :ivar told_down: nodes without links that other nodes call down.
    :ivar version: the protocol version that links speak; set before the first node comes.
    :ivar on_room: called when a pool may send again what it would not have sent.
    :ivar on_up: called with a pool whose first link is ready.
    :ivar on_attempt: called with a pool that has a link now, or whose attempt has failed.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        policies: NodePolicies,
        listeners: Listeners,
        delays: Callable[[], Iterator[float]],
        keyspace: Callable[[], str | None],
    ) -> None:
        self.pools: dict[Node, NodePool] = {}
        self.told_down: set[Node] = set()
        self.version = 0
        self.on_room: Callable[[], None] = lambda: None
        self.on_up: Callable[[NodePool], None] = lambda pool: None
        self.on_attempt: Callable[[NodePool], None] = lambda pool: None
        self._reactor = reactor
        self._settings = settings
        self._policies = policies
        self._listeners = listeners
        self._delays = delays
        self._keyspace = keyspace
        self._connects = ConnectLimit(reactor, settings.max_concurrent_connects, settings.connect_timeout)
        self._nodes: dict[Node, float] = {}  # when each was last probed
        self._node_of: dict[NodePool, Node] = {}
        self._leaving: dict[NodePool, Deferred[Any]] = {}
        self._looking: IDelayedCall | None = None
        self._closed = False

    # What membership tells.

    def add(self, node: Node) -> None:
        """A node has come: open links to it, unless it is to be ignored."""
        self._nodes[node] = float("-inf")
        self._look_at(node)
        self._look_soon()

    def remove(self, node: Node) -> None:
        """A node has left: close its links."""
        del self._nodes[node]
        self.told_down.discard(node)
        self._close_pool(node)
        self._policies.node_removed(node)
        self._look_soon()

    def move(self, node: Node) -> None:
        """A node is somewhere else now: its links are opened there.

        Those that there are get no more work, and are closed once nothing waits on them.
        """
        if node in self.pools:
            self._close_pool(node)
            self._open_pool(node)

    def relocate(self, node: Node) -> None:
        """A node is in another data center or rack now."""
        if node.up:
            self._policies.node_down(node)
            self._policies.node_up(node)
        self._look_soon()

    # What events tell: hints, nothing more.

    def hint_up(self, node: Node) -> None:
        """Another node sees it come back: there is no need to wait for the schedule."""
        pool = self.pools.get(node)
        self.told_down.discard(node)
        if pool is not None:
            pool.retry_now()

    def hint_down(self, node: Node) -> None:
        """Another node cannot see it any more: its links are asked whether it is there, not closed."""
        pool = self.pools.get(node)
        now = self._reactor.seconds()
        if pool is None:
            # Nothing else tells of it.
            self.told_down.add(node)
        elif now - self._nodes[node] >= _PROBE_INTERVAL:
            self._nodes[node] = now
            pool.probe()

    # What the session asks for.

    def close(self) -> Deferred[Any]:
        """Close every link.

        :returns: fires when none is left.
        """
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        # A pool that closes may have been the last use of another.
        closing = [pool.close() for pool in [*self.pools.values(), *self._leaving]]
        return gatherResults([*closing, *self._leaving.values()])

    def open_dedicated(self, node: Node, owner: PoolOwner) -> Node:
        """Begin to open a link that only requests of its own use.

        :param node: the node that it goes to.
        :param owner: hears of its pool.
        :returns: what stands for the node in plans of such requests.
        """
        alias = replace(node, up=True)
        settings = replace(self._settings, core_connections=1, max_connections_local=1)
        pool = self.pools[alias] = DedicatedPool(*self._about_pool(node, settings, owner))
        pool.connect()
        return alias

    def close_dedicated(self, alias: Node) -> None:
        """Close it; what it is asked fails.

        :param alias: what :meth:`open_dedicated` has returned.
        """
        pool = self.pools.pop(alias, None)
        if pool is not None:
            self._leave(pool, pool.close())

    def dedicated(self) -> list[dict[str, Any]]:
        """The state of each such link, as plain data."""
        pools = [pool for pool in self.pools.values() if isinstance(pool, DedicatedPool)]
        return [{"node": pool.name, **link} for pool in pools for link in pool.snapshot()]

    def why_down(self) -> str:
        """What each node's last attempt said."""
        said = [said_by(pool.name, pool.error) for pool in self.pools.values() if pool.error is not None]
        return "; ".join(said) or "no connection is ready yet"

    def snapshot(self, node: Node) -> dict[str, Any]:
        """The state of a node and its links, as plain data."""
        pool = self.pools.get(node)
        return {
            "state": "up" if node.up else "down",
            "distance": node.distance,
            "datacenter": node.datacenter,
            "rack": node.rack,
            "release_version": node.release_version,
            **(pool.totals() if pool is not None else _NO_POOL),
            "signals": pool.signals.snapshot() if pool is not None else {},
            "connections": pool.snapshot() if pool is not None else [],
        }

    # What the pools tell.

    def pool_up(self, pool: NodePool) -> None:
        node = self._node_of.get(pool)
        if node is not None:
            node.up = True
            log.info("{node} is up", node=node.name)
            self._policies.node_up(node)
            self._listeners.tell("node_up", node)
            self.on_up(pool)
        self.on_attempt(pool)

    def pool_down(self, pool: NodePool, error: CQLError) -> None:
        node = self._node_of.get(pool)
        if node is not None and node.up:
            log.info("{node} is down: {error}", node=node.name, error=error)
            self._down(node)
            # It may make room for another one.
            self._look_soon()
        self.on_attempt(pool)

    def pool_room(self, pool: NodePool) -> None:
        self.on_room()

    def pool_suspect(self, pool: NodePool) -> None:
        node = self._node_of.get(pool)
        if node is not None:
            node.suspect = pool.suspect

    # Inside.

    def _look_soon(self) -> None:
        if self._looking is None and not self._closed:
            self._looking = self._reactor.callLater(0, self._look_at_all)

    def _look_at_all(self) -> None:
        self._looking = None
        for node in list(self._nodes):
            self._look_at(node)

    def _look_at(self, node: Node) -> None:
        """Ask the policies whether the node is to have links."""
        if self._closed:
            return
        try:
            distance = self._policies.distance(node)
        except Exception:
            log.failure("the load balancing policy gives {node} no distance", node=node.name)
            return
        if distance != node.distance:
            self._close_pool(node)
            node.distance = distance
            if distance != "ignored":
                self._open_pool(node)

    def _open_pool(self, node: Node) -> None:
        pool = self.pools[node] = NodePool(*self._about_pool(node, self._settings, self))
        self._node_of[pool] = node
        self.told_down.discard(node)
        pool.connect()

    def _about_pool(self, node: Node, settings: Settings, owner: PoolOwner) -> tuple[Any, ...]:
        """What a pool of the node is made of."""
        return (
            node.name,
            node.endpoint,
            settings,
            self._reactor,
            self.version,
            self._delays,
            self._keyspace,
            owner,
            self._connects,
            node.distance == "remote",
        )

    def _close_pool(self, node: Node) -> None:
        pool = self.pools.pop(node, None)
        if pool is not None:
            del self._node_of[pool]
        node.suspect = False
        if node.up:
            self._down(node)
        if pool is not None:
            self._leave(pool, pool.retire())

    def _leave(self, pool: NodePool, gone: Deferred[Any]) -> None:
        """Wait for what is left of a pool."""
        self._leaving[pool] = gone

        def forget(_: object) -> None:
            self._leaving.pop(pool, None)

        gone.addCallback(forget)

    def _down(self, node: Node) -> None:
        node.up = False
        self._policies.node_down(node)
        self._listeners.tell("node_down", node)
