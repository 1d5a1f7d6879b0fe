"""What the tests of a link share: a link in memory, with a node of our own at its other end.

The node's side is the test itself: it reads requests with :meth:`Peer.requests` and sends what it
likes with :meth:`Peer.answer`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from txcql.connection.connector import make_ready
from txcql.connection.heartbeat import Heartbeat
from txcql.connection.linkowner import LinkListener
from txcql.connection.pendingrequest import PendingRequest
from txcql.connection.protocol import CQLProtocol
from txcql.errors import CQLError, ServerError
from txcql.settings import Settings
from txcql.wire import constants, responsewriter
from txcql.wire.frames import Frame, FrameCodec
from txcql.wire.requestreader import Query, Request, Startup, read_request

__all__ = [
    "NODE",
    "OFFERED",
    "LinkTestCase",
    "Listener",
    "Owner",
    "Peer",
    "RecordedRequest",
    "TCPTransport",
    "outcome",
    "ready_link",
    "timers",
]

NODE = "10.0.0.1:9042"

OFFERED = {
    "PROTOCOL_VERSIONS": ["3/v3", "4/v4", "5/v5", "6/v6-beta"],
    "COMPRESSION": ["snappy", "lz4"],
    "CQL_VERSION": ["3.4.7"],
}
"""What Cassandra 5.0.5 says in SUPPORTED."""


@implementer(ITCPTransport)
class TCPTransport(StringTransport):
    """A TCP transport in memory; like a real one it tells of a loss after the call that asked for it.

    :ivar done: what the protocol did to it, in order.
    """

    protocol: CQLProtocol

    def __init__(self) -> None:
        StringTransport.__init__(self)
        self.done: list[str] = []

    def getTcpNoDelay(self):
        return "nodelay=True" in self.done

    def getTcpKeepAlive(self):
        return "keepalive=True" in self.done

    def setTcpNoDelay(self, enabled):
        self.done.append(f"nodelay={enabled}")

    def setTcpKeepAlive(self, enabled):
        self.done.append(f"keepalive={enabled}")

    def unregisterProducer(self):
        StringTransport.unregisterProducer(self)
        self.done.append("unregistered")

    def loseConnection(self):
        StringTransport.loseConnection(self)
        self.done.append("lose")

    def loseWriteConnection(self):
        raise NotImplementedError

    def abortConnection(self):
        self.done.append("abort")
        self.lost(ConnectionAborted())

    def lost(self, reason: Exception) -> None:
        """The connection is gone."""
        self.disconnected = True
        if self.producer is not None:
            self.producer.stopProducing()
        self.protocol.connectionLost(Failure(reason))


class Owner:
    """Hears of a link's changes.

    :ivar heard: ``"open"`` and ``"draining"``, and the error of each loss.
    """

    def __init__(self) -> None:
        self.heard: list[str | CQLError] = []

    def link_open(self, link: CQLProtocol) -> None:
        self.heard.append("open")

    def link_draining(self, link: CQLProtocol) -> None:
        self.heard.append("draining")

    def link_lost(self, link: CQLProtocol, error: CQLError) -> None:
        self.heard.append(error)


class Listener:
    """Hears what goes wrong with links.

    :param actions: what else is done where it hears of something, by the name of that.
    :ivar heard: what it was told, in order.
    """

    def __init__(self, **actions: Callable[[CQLProtocol], object]) -> None:
        self.heard: list[str] = []
        self._actions = actions

    def __getattr__(self, name: str) -> Callable[[CQLProtocol], None]:
        if not hasattr(LinkListener, name):
            raise AttributeError(name)

        def told(link: CQLProtocol) -> None:
            self.heard.append(name)
            if name in self._actions:
                self._actions[name](link)

        return told


class RecordedRequest(PendingRequest):
    """A request that keeps what it is told.

    :ivar outcomes: a frame for each answer, an error for each failure.
    """

    __slots__ = ("on_outcome", "outcomes")

    def __init__(self, body: bytes = b"", opcode: int = constants.QUERY, untimed: bool = False) -> None:
        self.opcode = opcode
        self.flags = 0
        self.body = body
        self.size = len(body)
        self.untimed = untimed
        self.holder = None
        self.outcomes: list[Frame | CQLError] = []
        self.on_outcome: Callable[[], object] | None = None

    def received(self, frame: Frame) -> None:
        self._told(frame)

    def failed(self, error: CQLError) -> None:
        self._told(error)

    def withdraw(self) -> None:
        """As the application's cancel does it."""
        holder, self.holder = self.holder, None
        if holder is not None:
            holder.withdraw(self)

    @property
    def error(self) -> CQLError:
        """The one failure that it was told of."""
        (error,) = self.outcomes
        assert isinstance(error, CQLError)
        return error

    def _told(self, what: Frame | CQLError) -> None:
        self.holder = None
        self.outcomes.append(what)
        if self.on_outcome is not None:
            self.on_outcome()


class Peer:
    """The node at the other end of a link.

    :param link: the link, not yet connected.
    :param compression: what STARTUP agrees on.
    """

    def __init__(
        self, link: CQLProtocol, compression: str | None = None, transport: TCPTransport | None = None
    ) -> None:
        self.link = link
        self.codec = FrameCodec(link.version, compression)
        self.transport = transport if transport is not None else TCPTransport()
        self.transport.protocol = link

    def connect(self) -> None:
        """The connection is made."""
        self.link.makeConnection(self.transport)

    def requests(self) -> list[Frame]:
        """The frames that the link has written since the last call."""
        self.codec.receive(self.transport.value())
        self.transport.clear()
        return list(iter(self.codec.next_frame, None))

    def request(self) -> tuple[Frame, Request]:
        """The one frame that the link has written, and what it asks for."""
        (frame,) = self.requests()
        return frame, read_request(frame.opcode, frame.body, self.link.version, frame.flags)

    def frame(self, stream: int, opcode: int = constants.RESULT, body: bytes = responsewriter.VOID) -> bytes:
        """The bytes of an answer."""
        return self.codec.encode_frame(stream, opcode, body, response=True)

    def send(self, data: bytes) -> None:
        """These bytes arrive at the link."""
        self.link.dataReceived(data)

    def answer(self, stream: int, opcode: int = constants.RESULT, body: bytes = responsewriter.VOID) -> None:
        """An answer arrives at the link."""
        self.send(self.frame(stream, opcode, body))

    def refuse(self, stream: int, error: ServerError) -> None:
        """An ERROR arrives at the link."""
        self.answer(stream, constants.ERROR, responsewriter.error(error, self.link.version))

    # The handshake, step by step.

    def supported(self, offered: dict[str, list[str]] = OFFERED) -> None:
        """Answer OPTIONS."""
        frame, _ = self.request()
        assert frame.opcode == constants.OPTIONS, frame
        self.answer(frame.stream, constants.SUPPORTED, responsewriter.supported(offered))

    def started(self, opcode: int = constants.READY, body: bytes = b"") -> dict[str, str]:
        """Answer STARTUP; what it said."""
        frame, startup = self.request()
        assert isinstance(startup, Startup), startup
        answer = self.frame(frame.stream, opcode, body)
        if self.link.version == 5 and opcode != constants.ERROR:
            self.codec.start_segments()
        self.send(answer)
        return dict(startup.options)

    def used(self) -> str:
        """Answer USE; its statement."""
        frame, query = self.request()
        assert isinstance(query, Query), query
        self.answer(frame.stream, body=responsewriter.set_keyspace(query.text[5:-1]))
        return query.text

    # The end.

    def hang_up(self) -> None:
        """The node closes the connection."""
        self.transport.lost(ConnectionDone())

    def break_down(self) -> None:
        """The connection is reset."""
        self.transport.lost(ConnectionLost())


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """A list that gets what the Deferred fires with, an exception instead of its Failure."""
    found: list[Any] = []
    deferred.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found


def timers(clock: Clock) -> list[float]:
    """When each timer of a clock is due, first the next; but not those for the heartbeats of links."""
    calls: Any = clock.getDelayedCalls()
    owners = [(call, getattr(call.func, "__self__", None)) for call in calls]
    return [call.getTime() for call, owner in owners if not isinstance(owner, Heartbeat)]


def ready_link(
    clock: Clock, version: int = 5, owner: Owner | None = None, **settings: Any
) -> tuple[CQLProtocol, Peer]:
    """A link that has gone through its handshake, and its peer."""
    chosen = Settings(**settings)
    link = CQLProtocol(NODE, chosen, clock, version)
    link.owner = owner
    peer = Peer(link, chosen.compression)
    peer.connect()
    ready = outcome(make_ready(link, chosen, clock, None))
    peer.supported()
    peer.started()
    assert ready == [link], ready
    return link, peer


class LinkTestCase(SynchronousTestCase):
    """A ready v5 link with an owner.

    :cvar settings: those of each link.
    """

    settings: ClassVar[dict[str, Any]] = {}

    def setUp(self) -> None:
        self.clock = Clock()
        self.open_link()

    def open_link(self, version: int = 5, **settings: Any) -> None:
        """Open another link in place of the one there is."""
        self.owner = Owner()
        self.link, self.peer = ready_link(self.clock, version, self.owner, **{**self.settings, **settings})
        self.owner.heard.clear()

    def listen(self, **actions: Callable[[CQLProtocol], object]) -> list[str]:
        """Give the link a listener; what that hears."""
        listener = Listener(**actions)
        self.link.listener = listener
        return listener.heard

    def send(self, count: int = 1, untimed: bool = False) -> list[RecordedRequest]:
        """Send so many requests."""
        requests = [RecordedRequest(b"body", untimed=untimed) for _ in range(count)]
        for request in requests:
            self.link.send(request)
        return requests

    def send_now(self, count: int = 1, untimed: bool = False) -> list[RecordedRequest]:
        """Send so many requests, and let the turn end."""
        requests = self.send(count, untimed)
        self.clock.advance(0)
        return requests

    def assertClosed(self, text: str) -> CQLError:
        """The link is being closed, and its owner has been told why, once."""
        self.assertTrue(self.link.closed)
        self.assertIn("lose", self.peer.transport.done)
        (error,) = (heard for heard in self.owner.heard if isinstance(heard, CQLError))
        self.assertEqual(str(error), text)
        self.assertIs(self.link.error, error)
        return error
