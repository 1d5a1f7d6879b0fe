"""One node of a fake cluster."""

from __future__ import annotations

import inspect
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory

from txcql.consistency import CONSISTENCY_NAMES
from txcql.errors import CQLError, InvalidRequest
from txcql.testing.database import Database
from txcql.testing.faketopology import NodeInfo, check_consistency
from txcql.testing.nodeprotocol import Change, NodeProtocol
from txcql.testing.reactions import Reaction, Rows, Rules, Void
from txcql.testing.receivedrequests import Received, RequestLog, decoded
from txcql.testing.requestrunner import PreparedPlan
from txcql.testing.systemtables import CQL_VERSION
from txcql.wire.constants import OPCODE_NAMES
from txcql.wire.events import SchemaChange, StatusChange
from txcql.wire.requestreader import BatchRequest, Execute, Prepare, Query, Request

__all__ = ["FakeNode", "NodeFactory", "NodeOptions", "Surroundings"]

_SERIAL = 8


class NodeOptions:
    """What all nodes of a cluster have in common.

    :param credentials: user names and passwords; ``None`` if nobody has to log in.
    :param versions: the protocol versions that they speak.
    :param compressions: the compressions that they offer.
    :param tls: the context of TLS; ``None`` for plain TCP.
    """

    def __init__(
        self,
        cluster_name: str,
        credentials: Mapping[str, str] | None,
        versions: Sequence[int],
        compressions: Sequence[str],
        tls: Any = None,
    ) -> None:
        self.cluster_name = cluster_name
        self.credentials = credentials
        self.versions = tuple(versions)
        self.compressions = tuple(compressions)
        self.tls = tls


class Surroundings(Protocol):
    """The cluster, as its nodes know it.

    :ivar reactor: listens.
    :ivar infos: what all nodes tell of themselves.
    :ivar rules: what is done with requests instead of answering them as usual.
    :ivar log: notes what was received; ``None`` if nothing does.
    """

    reactor: Any
    infos: list[NodeInfo]
    database: Database
    options: NodeOptions
    rules: Rules
    log: RequestLog | None

    def timestamp(self) -> int:
        """A timestamp in microseconds, later than the one before."""

    def seconds(self) -> float:
        """The time, in seconds since 1970."""

    def broadcast(self, changes: Sequence[Change], besides: FakeNode | None = None) -> None:
        """Tell the clients of all nodes but one of changes."""


class FakeNode:
    """A node: its connections, its prepared statements, and its view of the cluster.

    :class:`~txcql.testing.FakeCluster` makes them.

    :param info: what it tells of itself.
    :ivar connections: the connections that are open.
    :ivar prepared: its prepared statements, by their ids.
    :ivar factory: makes the protocol of a new connection.
    :ivar reading_paused: whether it takes no bytes, as a node that hangs.
    """

    def __init__(self, info: NodeInfo, cluster: Surroundings) -> None:
        self.info = info
        self.database = cluster.database
        options = cluster.options
        self.cluster_name = options.cluster_name
        self.credentials = options.credentials
        self.versions: Sequence[int] = options.versions
        self.compressions: Sequence[str] = options.compressions
        self.connections: set[NodeProtocol] = set()
        self.prepared: dict[bytes, PreparedPlan] = {}
        self.factory = NodeFactory(self)
        self.timestamp = cluster.timestamp
        self.seconds = cluster.seconds
        self.reading_paused = False
        self._cluster = cluster
        self._port: IListeningPort | None = None
        self.database.executor.changed.append(self._forget)

    def __repr__(self) -> str:
        down = "" if self.info.up else " down"
        return (
            f"<FakeNode {self.contact_point} {self.info.datacenter}{down} "
            f"connections={len(self.connections)} prepared={len(self.prepared)}>"
        )

    @property
    def contact_point(self) -> str:
        """Its ``host:port``."""
        return f"{self.info.address}:{self.info.port}"

    @property
    def peers(self) -> list[NodeInfo]:
        """What the other nodes tell of themselves."""
        return [other for other in self._cluster.infos if other is not self.info]

    def supported(self) -> Mapping[str, Sequence[str]]:
        """What OPTIONS is answered with."""
        versions = [f"{version}/v{version}" for version in self.versions]
        if 5 in self.versions:
            versions.append("6/v6-beta")
        return {
            "PROTOCOL_VERSIONS": versions,
            "COMPRESSION": self.compressions,
            "CQL_VERSION": [CQL_VERSION],
        }

    # Listening.

    def listen(self, port: int = 0) -> tuple[str, int]:
        """Listen; on the port that it had before if there was one.

        :param port: 0 for one of the system's choosing.
        :returns: host and port.
        """
        if self._port is None:
            wanted = port or self.info.port
            port_made = self._cluster.reactor.listenTCP(wanted, self._served(), interface=self.info.address)
            self._port = port_made
            self.info.port = port_made.getHost().port
        return self.info.address, self.info.port

    def _served(self) -> Any:
        tls = self._cluster.options.tls
        if tls is None:
            return self.factory
        from twisted.protocols.tls import TLSMemoryBIOFactory

        # Twisted 22.10 has no clock there, and needs none.
        named = {}
        if "clock" in inspect.signature(TLSMemoryBIOFactory.__init__).parameters:
            named["clock"] = self._cluster.reactor
        return TLSMemoryBIOFactory(tls, False, self.factory, **named)

    def refuse_connections(self) -> Deferred[None]:
        """Listen no longer; the connections that are there stay. Fires when it is so."""
        port, self._port = self._port, None
        done = maybeDeferred(port.stopListening) if port is not None else maybeDeferred(lambda: None)
        return done.addCallback(lambda _: None)

    def accept_connections(self) -> None:
        """Listen again, on the same port."""
        self.listen()

    def stop(self) -> Deferred[None]:
        """Go down: refuse connections, reset those that are there; the other nodes tell their clients.

        What it had prepared is forgotten. Fires when its connections are gone.
        """
        self.info.up = False
        self.prepared.clear()
        refused = self.refuse_connections()
        gone = self.close_connections()
        self._cluster.broadcast([self._status("DOWN")], besides=self)
        return gatherResults([refused, gone]).addCallback(lambda _: None)

    def start(self) -> None:
        """Come up again, on the same port; the other nodes tell their clients."""
        self.info.up = True
        self.listen()
        self._cluster.broadcast([self._status("UP")], besides=self)

    def _status(self, change: str) -> StatusChange:
        return StatusChange(change, ipaddress.ip_address(self.info.address), self.info.port)

    def pause_reading(self) -> None:
        """Take no bytes on any connection, as a node that hangs: clients see silence."""
        self.reading_paused = True
        for connection in list(self.connections):
            connection.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        self.reading_paused = False
        for connection in list(self.connections):
            connection.resume_reading()

    def forget_prepared(self) -> None:
        """Forget all prepared statements, as a restart does."""
        self.prepared.clear()

    def close_connections(self) -> Deferred[None]:
        """Reset all connections; fires when the last one is gone."""
        gone = [connection.lost for connection in self.connections]
        for connection in list(self.connections):
            connection.abort()
        return gatherResults(gone).addCallback(lambda _: None)

    # What its connections and its statements ask.

    def call_later(self, seconds: float, function: Callable[[], None]) -> Any:
        """Call a function later."""
        return self._cluster.reactor.callLater(seconds, function)

    def schema_changed(self, changes: Sequence[SchemaChange]) -> None:
        """Tell the clients of all nodes."""
        self._cluster.broadcast(changes)

    def received(
        self, request: Request, opcode: int, stream: int, keyspace: str | None
    ) -> list[Reaction] | None:
        """Note a request; what to do with it, ``None`` for the usual."""
        log, rules = self._cluster.log, self._cluster.rules
        if log is None and not len(rules):
            return None
        found = self._described(request, opcode, stream, keyspace)
        if log is not None:
            log.add(found)
        return rules.take(found) if len(rules) else None

    def primed(self, text: str, keyspace: str | None) -> Rows | Void | None:
        """The primed answer of a statement that is prepared."""
        return self._cluster.rules.primed(
            Received(self.contact_point, "PREPARE", text, keyspace=keyspace, at=self.seconds())
        )

    def _described(self, request: Request, opcode: int, stream: int, keyspace: str | None) -> Received:
        node, now, kind = self.contact_point, self.seconds(), OPCODE_NAMES[opcode]
        if isinstance(request, Prepare):
            keyspace = request.keyspace or keyspace
            return Received(node, kind, request.text, keyspace=keyspace, at=now, stream=stream)
        if not isinstance(request, (Query, Execute, BatchRequest)):
            return Received(node, kind, keyspace=keyspace, at=now, stream=stream)
        options = request.options
        keyspace = options.keyspace or keyspace
        text = ""
        values: list[Any] = []
        statements: list[tuple[str, list[Any]]] = []
        if isinstance(request, BatchRequest):
            statements = [self._statement(one.statement, one.values, keyspace) for one in request.items]
            if statements:
                text, values = statements[0]
        else:
            statement = request.text if isinstance(request, Query) else request.statement_id
            text, values = self._statement(statement, request.values, keyspace)
        return Received(
            node,
            kind,
            text,
            values,
            statements,
            CONSISTENCY_NAMES[options.consistency],
            keyspace,
            options.page_size,
            options.timestamp,
            now,
            stream,
        )

    def _statement(self, statement: bytes | str, values: Any, keyspace: str | None) -> tuple[str, list[Any]]:
        if isinstance(statement, bytes):
            prepared = self.prepared.get(statement)
            if prepared is None:
                return "", list(values)
            text, plan = prepared.text, prepared.plan
        else:
            text = statement
            if not values:
                return text, []
            try:
                plan = self.database.plan(text, keyspace)
            except CQLError:
                return text, list(values.values() if isinstance(values, Mapping) else values)
        if isinstance(values, Mapping):
            values = [values.get(column.name) for column in plan.parameters]
        return text, decoded(values, plan.parameters)

    def check_consistency(
        self, keyspace: str, level: int, write: bool, tokens: Callable[[], Sequence[int]] | None = None
    ) -> None:
        """Refuse a consistency level that the nodes cannot meet.

        :param tokens: gives the tokens of the partitions concerned; without it, all are.
        :raises Unavailable: there are too few replicas.
        """
        replication = self.database.keyspaces[keyspace].definition.replication
        check_consistency(replication, level, self._cluster.infos, self.info.datacenter, write, tokens)

    def check_serial(
        self, keyspace: str, level: int | None, tokens: Callable[[], Sequence[int]] | None = None
    ) -> None:
        """Refuse a serial level that the nodes cannot meet.

        :raises InvalidRequest: it is none.
        :raises Unavailable: there are too few replicas.
        """
        found = _SERIAL if level is None else level
        if CONSISTENCY_NAMES[found] not in ("SERIAL", "LOCAL_SERIAL"):
            raise InvalidRequest(
                "Invalid consistency for conditional update. Must be one of SERIAL or LOCAL_SERIAL"
            )
        self.check_consistency(keyspace, found, False, tokens)

    def send_event(self, change: Change) -> None:
        """Tell those who have registered for such changes."""
        kind = "TOPOLOGY_CHANGE"
        if isinstance(change, SchemaChange):
            kind = "SCHEMA_CHANGE"
        elif isinstance(change, StatusChange):
            kind = "STATUS_CHANGE"
        for connection in list(self.connections):
            if kind in connection.events:
                connection.send_event(change)

    def _forget(self, change: SchemaChange) -> None:
        """Forget the prepared statements of what was changed, as real nodes do."""
        if change.change == "CREATED" or (change.target == "KEYSPACE" and change.change == "UPDATED"):
            return
        for statement_id, prepared in list(self.prepared.items()):
            found = prepared.plan.table
            if found is None or found.definition.keyspace != change.keyspace:
                continue
            if change.target != "TABLE" or found.definition.name == change.name:
                del self.prepared[statement_id]


class NodeFactory(Factory):
    """Makes the protocols of a node's connections."""

    noisy = False

    def __init__(self, node: FakeNode) -> None:
        self.node = node

    def buildProtocol(self, addr: IAddress | None) -> NodeProtocol:
        return NodeProtocol(self.node)
