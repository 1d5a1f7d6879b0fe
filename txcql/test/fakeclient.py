"""A client in memory, for the tests of the fake node: one connection, one request at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from txcql.errors import ServerError
from txcql.testing import FakeCluster, FakeNode
from txcql.wire import constants, requests
from txcql.wire.frames import Frame, FrameCodec
from txcql.wire.primitives import write_bytes, write_string
from txcql.wire.requests import BatchItem, QueryOptions
from txcql.wire.responses import Prepared, decode_response
from txcql.wire.values import UNSET

ONE = 1


def fake_node(**options: Any) -> FakeNode:
    """A node of a cluster of one, in memory."""
    return FakeCluster(Clock(), **options).nodes[0]


def int_(number: int) -> bytes:
    """An encoded int."""
    return number.to_bytes(4, "big", signed=True)


def encoded(values: Sequence[Any]) -> bytes:
    """Encoded values with their count before them; ``UNSET`` and ``None`` as they are."""
    cells = [b"\xff\xff\xff\xfe" if value is UNSET else write_bytes(value) for value in values]
    return len(cells).to_bytes(2, "big") + b"".join(cells)


class FakeClient:
    """A connection to a node, ready for requests.

    :ivar transport: the node's end of it.
    :ivar events: the events that have come.
    """

    def __init__(self, node: FakeNode, version: int = 5, compression: str | None = None) -> None:
        self.protocol = node.factory.buildProtocol(None)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)
        self.version = version
        self.events: list[Any] = []
        options = {"CQL_VERSION": "3.0.0"}
        if compression is not None:
            options["COMPRESSION"] = compression
        plain = FrameCodec(version)
        self.protocol.dataReceived(plain.encode_frame(1, constants.STARTUP, requests.startup(options)))
        self.codec = FrameCodec(version, compression)
        (self.started,) = self.received()
        if version == 5:
            self.codec.start_segments()

    def received(self) -> list[Frame]:
        """The frames that the node has written since."""
        self.codec.receive(self.transport.value())
        self.transport.clear()
        frames = []
        while (frame := self.codec.next_frame()) is not None:
            frames.append(frame)
        return frames

    def message(self, frame: Frame) -> Any:
        """The message of a frame."""
        return decode_response(frame.opcode, frame.body, frame.version, frame.flags)

    def ask(self, opcode: int, body: bytes = b"", flags: int = 0) -> Any:
        """Send a request; its answer, where an error is an exception that is not raised."""
        self.protocol.dataReceived(self.codec.encode_frame(7, opcode, body, flags))
        answer = None
        for frame in self.received():
            if frame.stream == constants.EVENT_STREAM:
                self.events.append(self.message(frame).change)
            else:
                assert answer is None
                answer = self.message(frame)
        return answer

    def result(self, opcode: int, body: bytes) -> Any:
        """Send a request; its answer.

        :raises ServerError: what the node answers.
        """
        answer = self.ask(opcode, body)
        if isinstance(answer, ServerError):
            raise answer
        return answer

    def query(
        self, text: str, values: Sequence[Any] | None = None, consistency: int = ONE, **options: Any
    ) -> Any:
        """QUERY, with encoded values."""
        asked = QueryOptions(consistency, **options)
        head, tail = requests.query_parts(self.version, text, asked, values is not None)
        return self.result(constants.QUERY, head + (b"" if values is None else encoded(values)) + tail)

    def rows(self, text: str, values: Sequence[Any] | None = None, **options: Any) -> list[tuple[Any, ...]]:
        """The decoded rows of a QUERY."""
        return [tuple(row) for row in self.query(text, values, **options).rows]

    def prepare(self, text: str, keyspace: str | None = None) -> Prepared:
        """PREPARE."""
        answer: Prepared = self.result(constants.PREPARE, requests.prepare(self.version, text, keyspace))
        return answer

    def execute(
        self,
        prepared: Prepared,
        values: Sequence[Any] = (),
        consistency: int = ONE,
        metadata_id: bytes | None = None,
        **options: Any,
    ) -> Any:
        """EXECUTE, with encoded values."""
        asked = QueryOptions(consistency, **options)
        known = metadata_id if metadata_id is not None else prepared.result_metadata_id
        head, tail = requests.execute_parts(self.version, prepared.statement_id, known, asked, True)
        return self.result(constants.EXECUTE, head + encoded(values) + tail)

    def batch(self, *items: tuple[bytes | str, Sequence[Any]], kind: str = "logged", **options: Any) -> Any:
        """BATCH."""
        entries = [BatchItem(statement, encoded(values)) for statement, values in items]
        body = requests.batch(self.version, kind, entries, QueryOptions(ONE, **options))
        return self.result(constants.BATCH, body)

    def named_query(self, text: str, values: Mapping[str, bytes]) -> Any:
        """QUERY, with named values."""
        head, _ = requests.query_parts(self.version, text, QueryOptions(ONE), True)
        flags = constants.QUERY_VALUES | constants.QUERY_NAMES
        size = 4 if self.version >= 5 else 1
        pairs = [write_string(name) + write_bytes(value) for name, value in values.items()]
        body = head[:-size] + flags.to_bytes(size, "big") + len(pairs).to_bytes(2, "big") + b"".join(pairs)
        return self.result(constants.QUERY, body)


def with_keyspace(client: FakeClient, *statements: str) -> FakeClient:
    """Create the keyspace ``ks``, use it, and run statements in it."""
    client.query("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
    client.query("USE ks")
    for statement in statements:
        client.query(statement)
    return client
