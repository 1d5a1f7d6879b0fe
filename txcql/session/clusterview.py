"""What a session knows of its cluster: nodes, their pools, the control connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.logger import Logger

from txcql.cluster.contactpoints import ContactPoint, ResolvedPoint, node_name, tcp_endpoint
from txcql.cluster.control import ControlConnection
from txcql.cluster.nodes import Node
from txcql.cluster.topology import PeerRow, Topology, read_schema_versions
from txcql.errors import AuthenticationFailed, CQLError, InvalidRequest, NoNodeAvailable, said_by
from txcql.policies.loadbalancing import RoundRobinPolicy
from txcql.policies.reconnection import ExponentialReconnectionPolicy
from txcql.pool.connectlimit import ConnectLimit
from txcql.pool.nodepool import NodePool
from txcql.settings import Settings

__all__ = ["GATHER_AFTER_FIRST", "ClusterView"]

log = Logger(namespace="txcql.session")

GATHER_AFTER_FIRST = 2.0
"""Seconds that ``connect`` waits for further nodes once one has a ready link."""

_AGREEMENT_INTERVAL = 0.2

DEFAULT_PORT = 9042


class ClusterView:
    """The nodes of the cluster and a pool for each that is used: those of the local data center.

    :param reactor: connects, resolves and waits.
    :param points: the contact points.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param keyspace: tells the keyspace that links shall be in.
    :ivar pools: node -> pool.
    :ivar on_room: called when a pool may send again what it would not have sent.
    """

    def __init__(
        self, reactor: Any, points: Sequence[ContactPoint], settings: Settings, keyspace: Any
    ) -> None:
        self.pools: dict[Node, NodePool] = {}
        self.on_room: Callable[[], None] = lambda: None
        self._reactor = reactor
        self._settings = settings
        self._keyspace = keyspace
        self._policy: Any = settings.load_balancing or RoundRobinPolicy()
        self._delays = (settings.reconnection or ExponentialReconnectionPolicy()).delays
        self._port = next((point.port for point in points if point.port), DEFAULT_PORT)
        self._nodes: dict[Any, Node] = {}
        self._datacenter = settings.local_datacenter
        self._first_attempts: set[NodePool] | None = set()
        self._on_attempt: Deferred[None] | None = None
        self._leaving: set[Deferred[Any]] = set()
        self._connects = ConnectLimit(reactor, settings.max_concurrent_connects, settings.connect_timeout)
        self._control = ControlConnection(
            reactor, points, settings, self._delays, self._known_points, self._topology_changed
        )
        self.plan = self._policy.plan

    @property
    def version(self) -> int:
        """The protocol version that was negotiated."""
        version = self._control.version
        assert version is not None, "asked for before connect()"
        return version

    @property
    def nodes(self) -> list[Node]:
        """Every node that is known."""
        return list(self._nodes.values())

    async def connect(self) -> None:
        """Open the control connection, and a pool to each node of the local data center.

        :raises CQLError: no node can be used; it says why.
        """
        await self._control.connect()
        if not self.pools:
            known = ", ".join(sorted({node.datacenter for node in self._nodes.values()}))
            raise NoNodeAvailable(
                f'no node is in the data center "{self._datacenter}" (local_datacenter); there are: {known}'
            )
        await self._pools_tried()
        if not any(pool.up for pool in self.pools.values()):
            errors = {pool.name: pool.error for pool in self.pools.values() if pool.error is not None}
            for error in errors.values():
                if isinstance(error, InvalidRequest | AuthenticationFailed):
                    raise error
            raise NoNodeAvailable("cannot connect: " + self.why_down(), errors)

    async def agree(self, timeout: float) -> bool:
        """Wait until all nodes have the same schema; whether they did in time.

        :param timeout: seconds to wait.
        """
        if len(self._nodes) < 2:
            return True
        end = self._reactor.seconds() + timeout
        while True:
            link = self._control.link
            down = {node.host_id for node in self.pools if not node.up}
            try:
                if link is not None and len(await read_schema_versions(link, down)) < 2:
                    return True
            except CQLError as error:
                log.info("schema versions cannot be read: {error}", error=error)
            if self._reactor.seconds() >= end:
                log.warn("the nodes do not agree on a schema after {timeout} s", timeout=timeout)
                return False
            await deferLater(self._reactor, _AGREEMENT_INTERVAL)

    def stop(self) -> None:
        """Let no further attempt follow the one under way: :meth:`connect` is about to be cancelled."""
        self._control.stop()

    def close(self) -> Deferred[Any]:
        """Close every connection.

        :returns: fires when none is left.
        """
        pools = [pool.close() for pool in self.pools.values()]
        return gatherResults([self._control.close(), *pools, *self._leaving])

    def why_down(self) -> str:
        """What each node's last attempt said."""
        said = [said_by(pool.name, pool.error) for pool in self.pools.values() if pool.error is not None]
        return "; ".join(said) or "no connection is ready yet"

    def snapshot(self) -> dict[str, Any]:
        """The state of every node, as plain data, by its name."""
        return {node.name: self._snapshot(node) for node in self._nodes.values()}

    # What the pools tell.

    def pool_up(self, pool: NodePool) -> None:
        for node, other in self.pools.items():
            if other is pool:
                node.up = True
                self._tell(self._policy.node_up, node)
                log.info("{node} is up", node=node.name)
        self._attempted(pool)

    def pool_down(self, pool: NodePool, error: CQLError) -> None:
        for node, other in self.pools.items():
            if other is pool and node.up:
                node.up = False
                self._tell(self._policy.node_down, node)
                log.info("{node} is down: {error}", node=node.name, error=error)
        self._attempted(pool)

    def pool_room(self, pool: NodePool) -> None:
        self.on_room()

    # Inside.

    @staticmethod
    def _tell(tell: Callable[[Node], None], node: Node) -> None:
        try:
            tell(node)
        except Exception:
            # A defect of the policy must not stop a pool half-way.
            log.failure("the load balancing policy failed to take in {node}", node=node.name)

    def _attempted(self, pool: NodePool) -> None:
        if self._first_attempts is not None:
            self._first_attempts.add(pool)
            if self._on_attempt is not None:
                waiting, self._on_attempt = self._on_attempt, None
                waiting.callback(None)

    async def _pools_tried(self) -> None:
        """Wait until each pool has a link or has failed, at most some seconds after the first link."""
        timer = None
        tried = self._first_attempts
        try:
            while tried is not None and len(tried) < len(self.pools):
                if timer is None and any(pool.up for pool in self.pools.values()):
                    timer = self._reactor.callLater(GATHER_AFTER_FIRST, self._stop_gathering)
                self._on_attempt = Deferred()
                await self._on_attempt
                tried = self._first_attempts
        finally:
            self._first_attempts = self._on_attempt = None
            if timer is not None and timer.active():
                timer.cancel()

    def _stop_gathering(self) -> None:
        self._first_attempts = None
        if self._on_attempt is not None:
            waiting, self._on_attempt = self._on_attempt, None
            waiting.callback(None)

    def _topology_changed(self, point: ResolvedPoint, topology: Topology) -> None:
        if self._datacenter is None:
            self._datacenter = topology.local.datacenter
            log.info(
                "the local data center is {name}, that of {node}", name=self._datacenter, node=point.name
            )
        # The node that answered is where it answered, whatever it believes its address to be.
        found = {topology.local.host_id: self._node(topology.local, point)}
        for peer in topology.peers:
            port = peer.port or self._port
            host = str(peer.host)
            endpoint = tcp_endpoint(self._reactor, host, port, self._settings.connect_timeout)
            found[peer.host_id] = self._node(peer, ResolvedPoint(node_name(host, port), endpoint))
        for host_id in set(self._nodes) - set(found):
            self._remove(self._nodes.pop(host_id))
        for host_id, node in found.items():
            if host_id not in self._nodes:
                self._nodes[host_id] = node
                self._add(node)

    @staticmethod
    def _node(row: PeerRow, point: ResolvedPoint) -> Node:
        return Node(point.name, row.host_id, row.datacenter, row.rack, row.release_version, point.endpoint)

    def _add(self, node: Node) -> None:
        if node.datacenter != self._datacenter:
            return
        pool = self.pools[node] = NodePool(
            node.name,
            node.endpoint,
            self._settings,
            self._reactor,
            self.version,
            self._delays,
            self._keyspace,
            self,
            self._connects,
        )
        pool.connect()

    def _remove(self, node: Node) -> None:
        log.info("{node} has left the cluster", node=node.name)
        pool = self.pools.pop(node, None)
        if node.up:
            node.up = False
            self._tell(self._policy.node_down, node)
        if pool is not None:
            leaving = pool.close()
            self._leaving.add(leaving)
            leaving.addCallback(lambda _: self._leaving.discard(leaving))

    def _known_points(self) -> list[ResolvedPoint]:
        nodes = sorted(
            self._nodes.values(), key=lambda node: (not node.up, node.datacenter != self._datacenter)
        )
        return [ResolvedPoint(node.name, node.endpoint) for node in nodes]

    def _snapshot(self, node: Node) -> dict[str, Any]:
        pool = self.pools.get(node)
        return {
            "state": "up" if node.up else "down",
            "distance": "local" if pool is not None else "ignored",
            "datacenter": node.datacenter,
            "rack": node.rack,
            "in_flight": pool.sent if pool is not None else 0,
            "queued": len(pool.queue) if pool is not None else 0,
            "connections": pool.snapshot() if pool is not None else [],
        }
