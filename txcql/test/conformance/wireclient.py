"""A client that waits for each answer: the same for a node in memory and for one behind a socket."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from twisted.internet.testing import StringTransport

from txcql.errors import ServerError
from txcql.testing import FakeNode
from txcql.wire import constants, requests
from txcql.wire.frames import Frame, FrameCodec
from txcql.wire.primitives import write_bytes
from txcql.wire.requests import BatchItem, QueryOptions
from txcql.wire.responses import Prepared, decode_response
from txcql.wire.values import UNSET

__all__ = ["ONE", "WireClient", "in_memory", "over_tcp"]

ONE = 1
Exchange = Callable[[bytes], bytes]
"""Sends bytes, and gives what has come since; empty bytes are a request for more."""


def in_memory(node: FakeNode) -> Exchange:
    """A connection to a fake node in this process."""
    protocol = node.factory.buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)

    def exchange(data: bytes) -> bytes:
        protocol.dataReceived(data)
        answer: bytes = transport.value()
        transport.clear()
        return answer

    return exchange


@contextmanager
def over_tcp(host: str, port: int) -> Iterator[Exchange]:
    """A connection to a real node, closed in the end."""
    with socket.create_connection((host, port), 30) as link:

        def exchange(data: bytes) -> bytes:
            link.sendall(data)
            return link.recv(1 << 20)

        yield exchange


def encoded(values: Sequence[Any]) -> bytes:
    """Encoded values, their count first."""
    cells = [b"\xff\xff\xff\xfe" if value is UNSET else write_bytes(value) for value in values]
    return len(cells).to_bytes(2, "big") + b"".join(cells)


class WireClient:
    """One connection, one request at a time."""

    def __init__(self, exchange: Exchange, version: int = 5) -> None:
        self.version = version
        self._exchange = exchange
        plain = FrameCodec(version)
        self._codec = FrameCodec(version)
        self._ask(plain.encode_frame(1, constants.STARTUP, requests.startup({"CQL_VERSION": "3.0.0"})))
        if version == 5:
            self._codec.start_segments()

    def _ask(self, data: bytes) -> Frame:
        self._codec.receive(self._exchange(data))
        frame: Frame | None = None
        while frame is None:
            frame = self._codec.next_frame()
            if frame is None:
                self._codec.receive(self._exchange(b""))
        return frame

    def request(self, opcode: int, body: bytes) -> Any:
        """Send a request; its answer.

        :raises ServerError: what the node answers.
        """
        frame = self._ask(self._codec.encode_frame(7, opcode, body))
        answer = decode_response(frame.opcode, frame.body, frame.version, frame.flags)
        if isinstance(answer, ServerError):
            raise answer
        return answer

    def query(self, text: str, **options: Any) -> Any:
        """QUERY, without values."""
        head, tail = requests.query_parts(
            self.version, text, QueryOptions(**{"consistency": ONE, **options}), False
        )
        return self.request(constants.QUERY, head + tail)

    def prepare(self, text: str) -> Prepared:
        """PREPARE."""
        answer: Prepared = self.request(constants.PREPARE, requests.prepare(self.version, text, None))
        return answer

    def execute(self, prepared: Prepared, values: Sequence[Any], **options: Any) -> Any:
        """EXECUTE, with Python values."""
        cells = [
            value if value is UNSET else column.type.encode(value)
            for column, value in zip(prepared.parameters, values, strict=True)
        ]
        asked = QueryOptions(**{"consistency": ONE, **options})
        known = prepared.result_metadata_id
        head, tail = requests.execute_parts(self.version, prepared.statement_id, known, asked, True)
        return self.request(constants.EXECUTE, head + encoded(cells) + tail)

    def batch(self, kind: str, items: Sequence[tuple[str, Sequence[Any]]], **options: Any) -> Any:
        """BATCH of prepared statements."""
        entries = []
        for text, values in items:
            prepared = self.prepare(text)
            cells = [c.type.encode(v) for c, v in zip(prepared.parameters, values, strict=True)]
            entries.append(BatchItem(prepared.statement_id, encoded(cells)))
        asked = QueryOptions(**{"consistency": ONE, **options})
        return self.request(constants.BATCH, requests.batch(self.version, kind, entries, asked))
