"""A link that hears what a node says of the others, beside the driver under test."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from txcql.wire import constants, requests
from txcql.wire.events import StatusChange, read_event
from txcql.wire.frames import FrameCodec, pack_header
from txcql.wire.primitives import Reader

__all__ = ["StatusEvents"]

_VERSION = 4


class StatusEvents(Protocol):
    """Registers for status changes, and notes when each came.

    :param clock: Tells the time.
    :ivar events: When, which change, and the address it is about.
    """

    def __init__(self, clock: Any) -> None:
        self.events: list[tuple[float, str, str]] = []
        self._clock = clock
        self._codec = FrameCodec(_VERSION)
        self._ready: Deferred[None] | None = Deferred()
        self._gone: Deferred[None] = Deferred()

    @classmethod
    async def of(cls, reactor: Any, address: str) -> StatusEvents:
        """Open such a link.

        :param reactor: Connects.
        :param address: The node's.
        :returns: The link, registered.
        """
        link: StatusEvents = await connectProtocol(TCP4ClientEndpoint(reactor, address, 9042), cls(reactor))
        assert link._ready is not None
        await link._ready
        return link

    def when(self, change: str, address: str) -> list[float]:
        """The times at which a change was told.

        :param change: ``"UP"`` or ``"DOWN"``.
        :param address: The node's that it is about.
        """
        return [time for time, told, about in self.events if (told, about) == (change, address)]

    def close(self) -> Deferred[None]:
        """Close it.

        :returns: Fires when it is closed.
        """
        assert self.transport is not None
        self.transport.loseConnection()
        return self._gone

    def connectionMade(self) -> None:
        """Shake hands."""
        self._send(constants.STARTUP, requests.startup({"CQL_VERSION": "3.0.0"}))

    def dataReceived(self, data: bytes) -> None:
        """Take in what has come.

        :param data: Bytes.
        """
        self._codec.receive(data)
        while (frame := self._codec.next_frame()) is not None:
            if frame.opcode == constants.EVENT:
                change = read_event(Reader(frame.body))
                if isinstance(change, StatusChange):
                    self.events.append((self._clock.seconds(), change.change, str(change.address)))
            elif frame.stream == 0:
                self._send(constants.REGISTER, requests.register(["STATUS_CHANGE"]), 1)
            elif self._ready is not None:
                ready, self._ready = self._ready, None
                ready.callback(None)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Tell who has closed it.

        :param reason: Why it ended.
        """
        self._gone.callback(None)

    def _send(self, opcode: int, body: bytes, stream: int = 0) -> None:
        assert self.transport is not None
        self.transport.write(pack_header(_VERSION, 0, stream, opcode, len(body)) + body)
