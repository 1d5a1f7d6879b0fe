"""Cassandra nodes that do as a test says, in memory, on a reactor that the test moves on.

A :class:`ScriptedNode` shakes hands, describes its cluster and answers statements that it was
taught by :meth:`ScriptedNode.teach`. What :attr:`ScriptedNode.holds` says of a request decides
whether it is answered at once or kept in :attr:`ScriptedNode.held`.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

import txcql
from txcql.errors import BadCredentials, InvalidRequest, ServerError, ServerProtocolError, Unprepared
from txcql.session.session import Session
from txcql.test.scriptedreactor import ScriptedLink, ScriptedReactor
from txcql.wire import constants, requestreader, responsewriter
from txcql.wire.events import SchemaChange, StatusChange, TopologyChange
from txcql.wire.frames import FrameCodec
from txcql.wire.metadata import Column
from txcql.wire.primitives import Reader
from txcql.wire.responses import Prefixes, Prepared
from txcql.wire.typeparser import parse_type

__all__ = ["Asked", "ScriptedNode", "ScriptedTestCase", "Statement", "columns"]

SCHEMA = uuid.UUID(int=1)

SCHEMA_TABLES = {
    "keyspaces": {"keyspace_name": "text", "durable_writes": "boolean", "replication": "map<text, text>"},
    "tables": {
        "keyspace_name": "text",
        "table_name": "text",
        "id": "uuid",
        "flags": "set<text>",
        "comment": "text",
    },
    "columns": {
        "keyspace_name": "text",
        "table_name": "text",
        "column_name": "text",
        "clustering_order": "text",
        "kind": "text",
        "position": "int",
        "type": "text",
    },
    "types": {
        "keyspace_name": "text",
        "type_name": "text",
        "field_names": "list<text>",
        "field_types": "list<text>",
    },
    "indexes": {
        "keyspace_name": "text",
        "table_name": "text",
        "index_name": "text",
        "kind": "text",
        "options": "map<text, text>",
    },
    "views": {
        "keyspace_name": "text",
        "view_name": "text",
        "base_table_name": "text",
        "where_clause": "text",
        "include_all_columns": "boolean",
        "id": "uuid",
        "comment": "text",
    },
    "functions": {
        "keyspace_name": "text",
        "function_name": "text",
        "argument_types": "list<text>",
        "argument_names": "list<text>",
        "body": "text",
        "language": "text",
        "return_type": "text",
        "called_on_null_input": "boolean",
    },
    "aggregates": {
        "keyspace_name": "text",
        "aggregate_name": "text",
        "argument_types": "list<text>",
        "final_func": "text",
        "initcond": "text",
        "return_type": "text",
        "state_func": "text",
        "state_type": "text",
    },
    "column_masks": {
        "keyspace_name": "text",
        "table_name": "text",
        "column_name": "text",
        "function_keyspace": "text",
        "function_name": "text",
        "function_argument_types": "list<text>",
        "function_argument_values": "list<text>",
        "function_argument_nulls": "list<boolean>",
    },
}
"""Of each table of ``system_schema``, the columns that tests are about."""


def columns(**types: str) -> tuple[Column, ...]:
    """Columns, or parameters, of the table ``ks.t``."""
    return tuple(Column("ks", "t", name, parse_type(kind)) for name, kind in types.items())


@dataclass
class Statement:
    """What a node knows of a statement.

    :ivar reply: answers it; ``None`` answers its rows.
    """

    parameters: tuple[Column, ...] = ()
    columns: tuple[Column, ...] = ()
    rows: Sequence[Sequence[Any]] = ()
    reply: Callable[[Asked], None] | None = None

    @property
    def metadata_id(self) -> bytes:
        return md5(repr(self.columns).encode()).digest()


@dataclass(eq=False, repr=False)
class Asked:
    """One request that has reached a node."""

    node: ScriptedNode
    link: ScriptedLink
    stream: int
    opcode: int
    flags: int
    request: Any
    body: bytes = b""

    @property
    def payload(self) -> dict[str, bytes | None] | None:
        """Its custom payload."""
        return Reader(self.body).bytes_map() if self.flags & constants.FLAG_PAYLOAD else None

    @property
    def version(self) -> int:
        assert self.link.codec is not None
        return self.link.codec.version

    @property
    def text(self) -> str:
        """The text of the statement, or of that which was prepared."""
        if self.opcode == constants.BATCH:
            return "BATCH"
        if self.opcode == constants.EXECUTE:
            return self.node.prepared[self.request.statement_id]
        return str(self.request.text)

    @property
    def options(self) -> Any:
        return self.request.options

    def reply(self) -> None:
        """Answer as the node was taught."""
        self.node.reply(self)

    def send(self, opcode: int, body: bytes, prefixes: Prefixes | None = None) -> None:
        flags, prefix = responsewriter.prefixes(prefixes) if prefixes is not None else (0, b"")
        self.link.send(self.stream, opcode, prefix + body, flags)

    def void(self) -> None:
        self.send(constants.RESULT, responsewriter.VOID)

    def error(self, error: ServerError, prefixes: Prefixes | None = None) -> None:
        self.send(constants.ERROR, responsewriter.error(error, self.version), prefixes)

    def schema_changed(self, change: SchemaChange | None = None) -> None:
        change = change or SchemaChange("CREATED", "TABLE", "ks", "t")
        self.send(constants.RESULT, responsewriter.schema_change(change, self.version))

    def rows(
        self,
        found: tuple[Column, ...],
        rows: Sequence[Sequence[Any]],
        paging_state: bytes | None = None,
        new_metadata_id: bytes | None = None,
        skip_metadata: bool = False,
        prefixes: Prefixes | None = None,
    ) -> None:
        header = responsewriter.rows_header(
            responsewriter.column_specs(found, self.version), skip_metadata, paging_state, new_metadata_id
        )
        cells = [
            [column.type.encode(value) for column, value in zip(found, row, strict=True)] for row in rows
        ]
        self.send(constants.RESULT, responsewriter.rows(header, cells), prefixes)

    def statement_rows(self, statement: Statement, paging_state: bytes | None = None) -> None:
        """The rows of an EXECUTE or QUERY, with as much metadata as its version asks for."""
        changed = None
        executed = self.opcode == constants.EXECUTE and self.version >= 5
        if executed and self.request.result_metadata_id != statement.metadata_id:
            changed = statement.metadata_id
        self.rows(
            statement.columns, statement.rows, paging_state, changed, self.request.options.skip_metadata
        )


@dataclass(eq=False, repr=False)
class ScriptedNode:
    """One node.

    :ivar versions: the protocol versions that it speaks.
    :ivar peers: the nodes that it lists; ``odd_peers`` are further rows, by column name.
    :ivar statements: what it was taught, by text.
    :ivar partition_keys: positions of the partition key among a statement's parameters, by its text.
    :ivar prepared: statement id -> text; empty it, and the node has forgotten them.
    :ivar links: the connections that are open; ``accepted`` counts all there ever were.
    :ivar schema: rows of the tables of ``system_schema``, by table.
    :ivar requests: what it was asked after the handshake, the driver's own look-ups aside.
    :ivar looked_up: those look-ups.
    :ivar holds: whether a request is not answered before it is told to.
    :ivar held: those requests, oldest first.
    """

    reactor: ScriptedReactor
    address: str
    port: int = 9042
    datacenter: str = "dc1"
    rack: str = "r1"
    versions: tuple[int, ...] = (3, 4, 5)
    keyspaces: tuple[str, ...] = ("ks", "other", "Mixed Case")
    supported: dict[str, list[str]] = field(default_factory=lambda: {"CQL_VERSION": ["3.4.7"]})
    login: tuple[str, str] | None = None
    old: bool = False
    refusing: bool = False
    silent: bool = False
    frozen: bool = False
    never_closes: bool = False
    schema_version: uuid.UUID = SCHEMA
    peers: list[ScriptedNode] = field(default_factory=list)
    odd_peers: list[dict[str, Any]] = field(default_factory=list)
    statements: dict[str, Statement] = field(default_factory=dict)
    partition_keys: dict[str, tuple[int, ...]] = field(default_factory=dict)
    prepared: dict[bytes, str] = field(default_factory=dict)
    links: list[ScriptedLink] = field(default_factory=list)
    accepted: int = 0
    token: str = ""
    identity: uuid.UUID | None = None
    schema: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    looked_up: list[str] = field(default_factory=list)
    requests: list[Asked] = field(default_factory=list)
    holds: Callable[[Asked], bool] = lambda asked: False
    held: list[Asked] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def host_id(self) -> uuid.UUID:
        return self.identity or uuid.uuid5(uuid.NAMESPACE_DNS, self.name)

    def teach(self, text: str, reply: Callable[[Asked], None] | None = None, **about: Any) -> Statement:
        """Teach it a statement: ``parameters``, ``columns`` and ``rows``, or how to reply."""
        statement = self.statements[text] = Statement(reply=reply, **about)
        return statement

    def asked_for(self, opcode: int) -> list[Asked]:
        """The requests with an opcode."""
        return [asked for asked in self.requests if asked.opcode == opcode]

    def stop(self) -> None:
        """Drop every link, and refuse new ones."""
        self.refusing = True
        for link in list(self.links):
            link.drop()

    def tell(self, change: SchemaChange | StatusChange | TopologyChange) -> None:
        """Send an event to whoever has registered."""
        for link in self.links:
            if link.events and link.codec is not None:
                body = responsewriter.event(change, link.codec.version)
                link.send(constants.EVENT_STREAM, constants.EVENT, body)

    def receive(self, link: ScriptedLink, data: bytes) -> None:
        """Bytes have arrived."""
        if link.codec is None:
            if data[0] not in self.versions:
                self._refuse(link, data[0])
                return
            link.codec = FrameCodec(data[0])
        link.codec.receive(data)
        while not link.closed and (frame := link.codec.next_frame()) is not None:
            request = requestreader.read_request(frame.opcode, frame.body, frame.version, frame.flags)
            self.asked(Asked(self, link, frame.stream, frame.opcode, frame.flags, request, frame.body))

    def asked(self, asked: Asked) -> None:
        """A request has arrived."""
        if not self._own(asked):
            self.requests.append(asked)
            if self.holds(asked):
                self.held.append(asked)
            else:
                self.reply(asked)

    def release(self, count: int | None = None) -> None:
        """Answer those that are held, oldest first."""
        for asked in self.held[:count]:
            asked.reply()
        del self.held[:count]

    def reply(self, asked: Asked) -> None:
        if asked.opcode == constants.PREPARE:
            self._prepare(asked)
            return
        if asked.opcode == constants.EXECUTE and asked.request.statement_id not in self.prepared:
            asked.error(Unprepared("not prepared", statement_id=asked.request.statement_id))
            return
        if asked.opcode == constants.BATCH:
            self._batch(asked)
            return
        if asked.text.startswith("USE "):
            self._use(asked, asked.text[4:].strip('"'))
            return
        statement = self.statements.get(asked.text)
        if statement is None:
            asked.error(InvalidRequest(f"never heard of {asked.text!r}"))
        elif statement.reply is not None:
            statement.reply(asked)
        elif statement.columns:
            asked.statement_rows(statement)
        else:
            asked.void()

    def _batch(self, asked: Asked) -> None:
        """The first statement that it does not know is refused; else as it was taught ``"BATCH"``."""
        for item in asked.request.items:
            if isinstance(item.statement, bytes) and item.statement not in self.prepared:
                asked.error(Unprepared("not prepared", statement_id=item.statement))
                return
        taught = self.statements.get("BATCH")
        if taught is not None and taught.reply is not None:
            taught.reply(asked)
        else:
            asked.void()

    # What every node does.

    def _refuse(self, link: ScriptedLink, version: int) -> None:
        """A version that it does not speak is answered in its highest, on stream 0."""
        link.codec = FrameCodec(max(self.versions))
        known = ", ".join(f"{number}/v{number}" for number in self.versions)
        text = f"Invalid or unsupported protocol version ({version}); supported versions are ({known})"
        link.send(0, constants.ERROR, responsewriter.error(ServerProtocolError(text), 3))

    def _own(self, asked: Asked) -> bool:
        """Handshake and system tables."""
        request = asked.request
        if isinstance(request, requestreader.Options):
            asked.send(constants.SUPPORTED, responsewriter.supported(self.supported))
        elif isinstance(request, requestreader.Startup):
            asked.link.startup = dict(request.options)
            if self.login is None:
                asked.send(constants.READY, responsewriter.READY_BODY)
            else:
                asked.send(constants.AUTHENTICATE, responsewriter.authenticate("PasswordAuthenticator"))
            if asked.version == 5:
                assert asked.link.codec is not None
                asked.link.codec.start_segments()
        elif isinstance(request, requestreader.AuthResponse):
            self._log_in(asked, request.token)
        elif isinstance(request, requestreader.Register):
            asked.link.events = request.types
            asked.send(constants.READY, responsewriter.READY_BODY)
        elif isinstance(request, requestreader.Query) and " system." in request.text:
            self.looked_up.append(request.text)
            self._system(asked, request.text)
        elif isinstance(request, requestreader.Query) and " system_schema." in request.text:
            self.looked_up.append(request.text)
            self._schema(asked, request.text)
        else:
            return False
        return True

    def _log_in(self, asked: Asked, token: bytes | None) -> None:
        if token == b"\0" + b"\0".join(part.encode() for part in self.login or ()):
            asked.send(constants.AUTH_SUCCESS, responsewriter.token(None))
        else:
            asked.error(BadCredentials("Provided username and/or password are incorrect"))

    def _use(self, asked: Asked, keyspace: str) -> None:
        if keyspace in self.keyspaces:
            asked.link.keyspace = keyspace
            asked.send(constants.RESULT, responsewriter.set_keyspace(keyspace))
        else:
            asked.error(InvalidRequest(f"Keyspace '{keyspace}' does not exist"))

    def _prepare(self, asked: Asked) -> None:
        text = asked.request.text
        statement = self.statements.get(text)
        if statement is None:
            asked.error(InvalidRequest(f"never heard of {text!r}"))
            return
        statement_id = md5(text.encode()).digest()
        self.prepared[statement_id] = text
        partition_key = self.partition_keys.get(text, ())
        prepared = Prepared(
            statement_id, statement.metadata_id, statement.parameters, partition_key, statement.columns
        )
        asked.send(constants.RESULT, responsewriter.prepared(prepared, asked.version))

    def _system(self, asked: Asked, text: str) -> None:
        if "system.local" in text:
            rows = [{**self._about(self), "rpc_address": ipaddress.ip_address(self.address)}]
        elif self.old and "peers_v2" in text:
            asked.error(InvalidRequest("unconfigured table peers_v2"))
            return
        else:
            address = "rpc_address" if self.old else "native_address"
            rows = [self._about(peer) for peer in self.peers]
            for row, peer in zip(rows, self.peers, strict=True):
                row[address] = ipaddress.ip_address(peer.address)
                row["peer"] = ipaddress.ip_address(peer.address)
                row["native_port"] = peer.port
            rows += self.odd_peers
        types = {
            "cluster_name": "text",
            "data_center": "text",
            "host_id": "uuid",
            "rack": "text",
            "release_version": "text",
            "schema_version": "uuid",
            "tokens": "set<text>",
            "partitioner": "text",
            "peer": "inet",
            "rpc_address": "inet",
        }
        if not self.old:
            types.update(native_address="inet", native_port="int")
        asked.rows(columns(**types), [[row.get(name) for name in types] for row in rows])

    def _schema(self, asked: Asked, text: str) -> None:
        """Rows of ``schema``, in the keyspaces that are asked for."""
        table = text.split(" system_schema.")[1].split()[0]
        types = SCHEMA_TABLES[table]
        rows = self.schema.get(table, [])
        if " WHERE " in text:
            rows = [row for row in rows if f"'{row['keyspace_name']}'" in text]
        asked.rows(columns(**types), [[row.get(name) for name in types] for row in rows])

    @staticmethod
    def _about(node: ScriptedNode) -> dict[str, Any]:
        return {
            "cluster_name": "scripted",
            "data_center": node.datacenter,
            "host_id": node.host_id,
            "rack": node.rack,
            "release_version": "5.0.5",
            "schema_version": node.schema_version,
            # Each of its own, in the order of the addresses.
            "tokens": {node.token or str(int(ipaddress.ip_address(node.address)))},
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        }


class ScriptedTestCase(SynchronousTestCase):
    """Sessions of scripted nodes; each test leaves nothing behind."""

    def setUp(self) -> None:
        self.reactor = ScriptedReactor()
        self.session: Session | None = None

    def tearDown(self) -> None:
        if self.session is not None:
            closed = self.session.close()
            self.reactor.settle()
            self.successResultOf(closed)
        self.assert_nothing_left()

    def assert_nothing_left(self) -> None:
        """No delayed call and no connection."""
        self.reactor.settle()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        for node in self.reactor.nodes.values():
            self.assertEqual(node.links, [])

    def node(self, address: str = "10.0.0.1", port: int = 9042, **options: Any) -> ScriptedNode:
        """A node that listens there, and is a peer of those that there are."""
        node = ScriptedNode(self.reactor, address, port, **options)
        for other in self.reactor.nodes.values():
            other.peers.append(node)
            node.peers.append(other)
        self.reactor.nodes[address, port] = node
        return node

    def connecting(self, *points: Any, **settings: Any) -> Deferred[Session]:
        """Begin to connect, to the first node if no other contact point is given."""
        if not points:
            points = (next(iter(self.reactor.nodes.values())).name,)
        deferred = txcql.connect(self.reactor, points, **settings)
        self.reactor.settle()
        return deferred

    def connect(self, *points: Any, **settings: Any) -> Session:
        """A session; it is closed at the end of the test."""
        # One link to each node, unless the test is about more.
        settings.setdefault("max_connections_local", settings.get("core_connections", 1))
        self.session = session = self.successResultOf(self.connecting(*points, **settings))
        return session

    def answer(self, deferred: Deferred[Any]) -> Any:
        """The result of a request whose answer is on its way."""
        self.reactor.settle()
        return self.successResultOf(deferred)

    def error(self, deferred: Deferred[Any], *kinds: type[Exception]) -> Any:
        """The error of a request that fails."""
        self.reactor.settle()
        return self.failureResultOf(deferred, *kinds).value
