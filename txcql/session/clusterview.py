"""What a session knows of its cluster: nodes, their pools, the control connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from txcql.cluster.clustermetadata import ClusterMetadata
from txcql.cluster.clusterwatch import DEFAULT_PORT, ClusterWatch
from txcql.cluster.contactpoints import ContactPoint
from txcql.cluster.nodes import Node
from txcql.cluster.poolmanager import PoolManager
from txcql.cluster.schemaagreement import agree_on_schema
from txcql.connection.protocol import CQLProtocol
from txcql.errors import AuthenticationFailed, InvalidRequest, NoNodeAvailable
from txcql.policies.reconnection import ExponentialReconnectionPolicy
from txcql.pool.nodepool import NodePool, PoolOwner
from txcql.session.gathering import Gathering
from txcql.session.profiles import Profiles
from txcql.settings import Settings

__all__ = ["DEFAULT_PORT", "ClusterView"]

log = Logger(namespace="txcql.session")


class ClusterView:
    """The cluster, watched, and a pool for each node that the load balancing policy does not ignore.

    :param reactor: connects, resolves and waits.
    :param points: the contact points.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param keyspace: tells the keyspace that links shall be in.
    :ivar cluster: what is known of the cluster.
    :ivar profiles: the policies of the session.
    :ivar pools: node -> pool.
    """

    def __init__(
        self, reactor: Any, points: Sequence[ContactPoint], settings: Settings, keyspace: Any
    ) -> None:
        self.profiles = profiles = Profiles(settings)
        delays = (settings.reconnection or ExponentialReconnectionPolicy()).delays
        self.cluster = ClusterMetadata()
        self._reactor = reactor
        self._manager = PoolManager(reactor, settings, profiles, self.cluster.listeners, delays, keyspace)
        self._watch = ClusterWatch(reactor, points, settings, delays, self.cluster, self._manager, profiles)
        self._control = self._watch.control
        self._tried: set[NodePool] | None = set()
        self._schema_over = False
        self._on_up: Callable[[NodePool], None] = lambda pool: None
        self._gathering = Gathering(reactor, self._all_there, self._some_there)
        self._manager.on_attempt = self._attempted
        self._manager.on_up = self._pool_up
        self._watch.membership.on_settled = self._gathering.look
        self.pools = self._manager.pools

    @property
    def version(self) -> int:
        """The protocol version that was negotiated."""
        version = self._control.version
        assert version is not None, "asked for before connect()"
        return version

    @property
    def nodes(self) -> list[Node]:
        """Every node that is known."""
        return list(self.cluster.nodes.values())

    def set_on_room(self, on_room: Callable[[], None]) -> None:
        """Call this when a pool may send again what it would not have sent."""
        self._manager.on_room = on_room

    def set_on_up(self, on_up: Callable[[NodePool], None]) -> None:
        """Call this with the pool of a node that has come up."""
        self._on_up = on_up

    async def connect(self) -> None:
        """Open the control connection, and a pool to each node that is used.

        :raises CQLError: no node can be used; it says why.
        """
        await self._control.connect()
        reading = self._watch.read_schema()
        reading.addBoth(self._schema_done)
        try:
            await self._gathering.wait()
        finally:
            self._tried = None
        if not self._schema_over:
            log.info("the schema is not read yet: it follows")
        datacenters = {node.datacenter for node in self.nodes}
        if self._watch.datacenter not in datacenters:
            raise NoNodeAvailable(
                f'no node is in the data center "{self._watch.datacenter}" (local_datacenter); '
                f"there are: {', '.join(sorted(datacenters))}"
            )
        if not self.pools:
            nodes = ", ".join(map(str, self.nodes))
            raise NoNodeAvailable(f"the load balancing policy ignores every node: {self.profiles}; {nodes}")
        if not any(pool.up for pool in self.pools.values()):
            errors = {pool.name: pool.error for pool in self.pools.values() if pool.error is not None}
            for error in errors.values():
                if isinstance(error, InvalidRequest | AuthenticationFailed):
                    raise error
            raise NoNodeAvailable("cannot connect: " + self.why_down(), errors)

    async def agree(self, timeout: float, coordinator: str) -> bool:
        """Wait until all nodes have the same schema; whether they did in time.

        :param timeout: seconds to wait.
        :param coordinator: the name of the node that has changed it.
        """
        if len(self.cluster.nodes) < 2:
            return True

        def link() -> CQLProtocol | None:
            # Any other node may not have heard of the change: to it, all have the old schema.
            pools = (pool for pool in self.pools.values() if pool.name == coordinator)
            links = (link for pool in pools for link in pool.links if not link.retiring)
            return next(links, self._control.link)

        return await agree_on_schema(self._reactor, link, self._down, timeout)

    def stop(self) -> None:
        """Let no further attempt follow the one under way: :meth:`connect` is about to be cancelled."""
        self._control.stop()

    def close(self) -> Deferred[Any]:
        """Close every connection.

        :returns: fires when none is left.
        """
        return gatherResults([self._watch.close(), self._manager.close()])

    def open_dedicated(self, node: Node, owner: PoolOwner) -> Node:
        """See :meth:`~txcql.cluster.poolmanager.PoolManager.open_dedicated`."""
        return self._manager.open_dedicated(node, owner)

    def close_dedicated(self, alias: Node) -> None:
        """See :meth:`~txcql.cluster.poolmanager.PoolManager.close_dedicated`."""
        self._manager.close_dedicated(alias)

    def dedicated(self) -> list[dict[str, Any]]:
        """The state of each dedicated link, as plain data."""
        return self._manager.dedicated()

    def why_down(self) -> str:
        """What each node's last attempt said."""
        return self._manager.why_down()

    def snapshot(self) -> dict[str, Any]:
        """The state of every node, as plain data, by its name; and host id, if others have that name."""
        found: dict[str, Any] = {}
        for node in self.nodes:
            name = node.name if node.name not in found else f"{node.name} {node.host_id}"
            found[name] = self._manager.snapshot(node)
        return found

    # Inside.

    def _down(self) -> set[Any]:
        nodes = [node for node in self.pools if not node.up]
        return {node.host_id for node in (*nodes, *self._manager.told_down)}

    def _pool_up(self, pool: NodePool) -> None:
        self._control.retry_now()
        self._on_up(pool)

    def _attempted(self, pool: NodePool) -> None:
        if self._tried is not None:
            self._tried.add(pool)
            self._gathering.look()

    def _schema_done(self, _: object) -> None:
        # If it failed, the log says so, and it is tried again.
        self._schema_over = True
        self._gathering.look()

    def _all_there(self) -> bool:
        tried = self._tried
        if tried is None or not self._watch.membership.settled:
            return False
        if any(pool not in tried for pool in self.pools.values()):
            return False
        # Without a node that can be used, nobody waits for the schema.
        return self._schema_over or not self._some_there()

    def _some_there(self) -> bool:
        return any(pool.up for pool in self.pools.values())
