"""From what the system tables list to nodes that come, go and move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, maybeDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcql.cluster.clustermetadata import ClusterMetadata
from txcql.cluster.contactpoints import ResolvedPoint, node_endpoint, node_name
from txcql.cluster.nodes import Node
from txcql.cluster.partitioners import partitioner
from txcql.cluster.poolmanager import PoolManager
from txcql.cluster.together import together
from txcql.cluster.tokenmap import build_token_map
from txcql.cluster.topology import PeerRow, Topology
from txcql.settings import Settings

__all__ = ["Membership"]

log = Logger(namespace="txcql.cluster")

_NODES_A_TURN = 32
_TRANSLATIONS = 16  # at the same time
_MOST_REMEMBERED = 1000  # lines of the log that are not repeated


class Membership:
    """Keeps the nodes of the metadata, and the pools, as the system tables have them.

    :param reactor: connects and waits.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param cluster: holds the nodes and the ring.
    :param pools: hears of the nodes.
    :param port: the port of nodes that tell none.
    :ivar settled: whether every node of the last topology has its place.
    :ivar on_settled: called when that is so.
    """

    def __init__(
        self, reactor: Any, settings: Settings, cluster: ClusterMetadata, pools: PoolManager, port: int
    ) -> None:
        self.settled = False
        self.on_settled: Callable[[], None] = lambda: None
        self._reactor = reactor
        self._settings = settings
        self._timeout = settings.connect_timeout
        self._translator = settings.address_translator
        self._cluster = cluster
        self._pools = pools
        self._port = port
        self._by_address: dict[tuple[str, int], Node] = {}
        self._work: Deferred[None] | None = None
        self._mapped: dict[UUID, object] = {}
        self._told: dict[str, None] = {}

    def apply(self, point: ResolvedPoint, topology: Topology) -> None:
        """Take in what a node lists. A large cluster takes several turns of the reactor.

        :param point: where the node that was asked was reached.
        """
        self.stop()
        self.settled = False
        self._cluster.name = topology.cluster_name
        self._tell_incomplete(topology)
        rows = {row.host_id: row for row in (topology.local, *topology.peers)}
        nodes = self._cluster.nodes
        for host_id in [host_id for host_id in nodes if host_id not in rows]:
            self._remove(nodes[host_id])
        # The node that answered is where it answered, whatever it believes its address to be.
        self._place(topology.local, point)
        self._work = work = Deferred.fromCoroutine(self._settle(topology))

        def done(_: object) -> None:
            if self._work is work:
                self._work = None

        def failed(failure: Failure) -> None:
            if not isinstance(failure.value, CancelledError):
                log.failure("a defect in taking in the nodes", failure)

        work.addErrback(failed).addCallback(done)
        if work.called:
            self._work = None

    def find(self, host: str, port: int) -> Node | None:
        """The node with an address, as events name it."""
        return self._by_address.get((host, port))

    def stop(self) -> None:
        """Go on with nothing that is under way."""
        if self._work is not None:
            self._work.cancel()
            self._work = None

    # Inside.

    async def _settle(self, topology: Topology) -> None:
        doubtful = []
        for number, row in enumerate(topology.peers, 1):
            node = self._cluster.nodes.get(row.host_id)
            if self._translator is not None and (node is None or not node.up or self._has_moved(node, row)):
                doubtful.append(row)
            else:
                self._place(row, None)
            if number % _NODES_A_TURN == 0:
                await deferLater(self._reactor, 0)
        if doubtful:
            await self._translate_all(doubtful)
        self.settled = True
        self.on_settled()
        await self._map_tokens(topology)

    async def _translate_all(self, rows: Sequence[PeerRow]) -> None:
        turns = DeferredSemaphore(_TRANSLATIONS)

        async def translate(row: PeerRow) -> None:
            await turns.acquire()
            try:
                where = await self._translate(*self._address(row))
            finally:
                turns.release()
            self._place(row, self._point(row, *where))

        await together([Deferred.fromCoroutine(translate(row)) for row in rows])

    async def _translate(self, host: str, port: int) -> tuple[str, int]:
        translating = maybeDeferred(self._translator.translate, host, port)
        translating.addTimeout(self._timeout, self._reactor)
        try:
            where = await translating
            return str(where[0]), int(where[1])
        except CancelledError:
            raise
        except Exception as error:
            log.warn(
                "{node} keeps its own address, which cannot be translated: {error}",
                node=node_name(host, port),
                error=error if str(error) else repr(error),
            )
            return host, port

    def _address(self, row: PeerRow) -> tuple[str, int]:
        return str(row.host), row.port or self._port

    def _point(self, row: PeerRow, host: str, port: int) -> ResolvedPoint:
        endpoint = node_endpoint(
            self._reactor, host, port, self._settings, host_id=row.host_id, datacenter=row.datacenter
        )
        return ResolvedPoint(node_name(host, port), endpoint)

    def _has_moved(self, node: Node, row: PeerRow) -> bool:
        return row.host is not None and node.address != self._address(row)

    def _place(self, row: PeerRow, point: ResolvedPoint | None) -> None:
        """A node is there: make it known, or see whether it has changed.

        :param point: where it is; ``None`` if that is where it says it is.
        """
        node = self._cluster.nodes.get(row.host_id)
        address = self._address(row)
        if node is None:
            where = point or self._point(row, *address)
            about = (row.host_id, row.datacenter, row.rack, row.release_version)
            node = Node(where.name, *about, where.endpoint, address)
            self._by_address[address] = node
            self._cluster.node_added(node)
            self._pools.add(node)
            return
        node.release_version = row.release_version
        if (node.datacenter, node.rack) != (row.datacenter, row.rack):
            node.datacenter, node.rack = row.datacenter, row.rack
            self._pools.relocate(node)
        if self._has_moved(node, row):
            self._move(node, address, point or self._point(row, *address))
        elif self._translator is not None and point is not None and not node.up and point.name != node.name:
            self._move(node, address, point)

    def _move(self, node: Node, address: tuple[str, int], point: ResolvedPoint) -> None:
        name = node.name
        log.info("{node} is at {name} now", node=name, name=point.name)
        self._forget_address(node)
        self._by_address[address] = node
        node.address, node.name, node.endpoint = address, point.name, point.endpoint
        self._pools.move(node)
        self._cluster.listeners.tell("node_moved", node, name)

    def _remove(self, node: Node) -> None:
        log.info("{node} has left the cluster", node=node.name)
        self._forget_address(node)
        self._pools.remove(node)
        self._cluster.node_removed(node)

    def _forget_address(self, node: Node) -> None:
        # Two nodes may have changed places.
        if self._by_address.get(node.address) is node:
            del self._by_address[node.address]

    async def _map_tokens(self, topology: Topology) -> None:
        """Put the tokens on the ring, if that would change it."""
        nodes = self._cluster.nodes
        rows = [row for row in (topology.local, *topology.peers) if row.host_id in nodes]
        about: dict[UUID, object] = {row.host_id: _about(row) for row in rows}
        if about == self._mapped:
            return
        ring = await build_token_map(
            self._reactor,
            partitioner(topology.partitioner),
            [(nodes[row.host_id], tuple(row.tokens)) for row in rows],
        )
        self._mapped = about
        self._cluster.ring_changed(ring)

    def _tell_incomplete(self, topology: Topology) -> None:
        for text in topology.incomplete:
            if text not in self._told:
                log.info("a peer that is not complete is left out: {text}", text=text)
                self._told[text] = None
                if len(self._told) > _MOST_REMEMBERED:
                    self._told.pop(next(iter(self._told)))


def _about(row: PeerRow) -> object:
    """What the ring knows of a node."""
    return row.datacenter, row.rack, hash(frozenset(row.tokens))
