"""A reactor that a test moves on: time, names and TCP in memory.

Nothing happens until :meth:`ScriptedReactor.settle`: then all that is on its way arrives, in order,
without any time passing. Time passes by ``advance``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError as ConnectTimeoutError,
)
from twisted.internet.interfaces import IConnector, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from txcql.wire.frames import FrameCodec

if TYPE_CHECKING:
    from txcql.test.scriptednode import ScriptedNode

__all__ = ["ScriptedLink", "ScriptedReactor"]


class ScriptedReactor(Clock):
    """Time, names and TCP in memory.

    :ivar nodes: what listens where.
    :ivar names: host name -> addresses; names that are not in it do not resolve.
    :ivar slow_names: whether look-ups are never answered.
    :ivar dialled: every ``host:port`` that was connected to, in order.
    """

    def __init__(self) -> None:
        Clock.__init__(self)
        self.nodes: dict[tuple[str, int], ScriptedNode] = {}
        self.names: dict[str, list[str]] = {}
        self.slow_names = False
        self.nameResolver = self
        self.dialled: list[str] = []

    def settle(self) -> None:
        """Let all that is on its way arrive; no time passes."""
        self.advance(0)

    def resolveHostName(self, receiver: Any, name: str, port: int = 0, *rest: Any) -> Any:
        def answer() -> None:
            for host in self.names.get(name, ()):
                kind = IPv6Address if ":" in host else IPv4Address
                receiver.addressResolved(kind("TCP", host, port))
            receiver.resolutionComplete()

        receiver.resolutionBegan(self)
        if not self.slow_names:
            self.callLater(0, answer)
        return self

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> ScriptedConnector:
        connector = ScriptedConnector(self, host, port, factory, timeout)
        self.dialled.append(f"{host}:{port}")
        factory.doStart()
        factory.startedConnecting(connector)
        connector.begin()
        return connector


@implementer(IConnector)
class ScriptedConnector:
    """One attempt to connect."""

    def __init__(self, reactor: ScriptedReactor, host: str, port: int, factory: Any, timeout: float) -> None:
        self._reactor = reactor
        self._address = IPv4Address("TCP", host, port)
        self._factory = factory
        self._timeout = timeout
        self._node = reactor.nodes.get((host, port))

    def begin(self) -> None:
        if self._node is not None and self._node.silent:
            self._call = self._reactor.callLater(self._timeout, self._fail, ConnectTimeoutError())
        elif self._node is None or self._node.refusing:
            self._call = self._reactor.callLater(0, self._fail, ConnectionRefusedError())
        else:
            self._call = self._reactor.callLater(0, self._connect, self._node)

    def connect(self) -> None:
        raise NotImplementedError("an attempt is made once")

    def stopConnecting(self) -> None:
        self._call.cancel()
        self._fail(ConnectionAborted())

    def disconnect(self) -> None:
        self.stopConnecting()

    def getDestination(self) -> IPv4Address:
        return self._address

    def _fail(self, error: Exception) -> None:
        self._factory.clientConnectionFailed(self, Failure(error))

    def _connect(self, node: ScriptedNode) -> None:
        protocol = self._factory.buildProtocol(self._address)
        link = ScriptedLink(self._reactor, node, protocol)
        node.links.append(link)
        node.accepted += 1
        protocol.makeConnection(link)


@implementer(ITCPTransport)
class ScriptedLink:
    """One connection: the client's transport, and the node's end of it.

    :ivar written: what the client has written and the node not yet read.
    :ivar closed: whether it is closed, by either side.
    :ivar keyspace: the keyspace that it is in.
    :ivar startup: the options of STARTUP.
    :ivar seal: what the node's bytes go through on their way, such as TLS.
    :ivar events: what it has registered for.
    """

    no_delay = keep_alive = False

    def __init__(self, reactor: ScriptedReactor, node: ScriptedNode, protocol: Any) -> None:
        self.written: list[bytes] = []
        self.closed = False
        self.keyspace: str | None = None
        self.startup: dict[str, str] = {}
        self.events: tuple[str, ...] = ()
        self.producer: Any = None
        self.codec: FrameCodec | None = None
        self.seal: Callable[[bytes], bytes] | None = None
        self._reactor = reactor
        self._node = node
        self._protocol = protocol
        self._answers: list[bytes] = []
        self._paused = False

    # The client's side.

    def write(self, data: bytes) -> None:
        if not self.closed:
            if not self.written:
                self._reactor.callLater(0, self._arrive)
            self.written.append(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if not self.closed and not self._node.never_closes:
            self._shut(connectionDone)

    def abortConnection(self) -> None:
        if not self.closed:
            self._shut(Failure(ConnectionAborted()))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        if self._answers:
            self._reactor.callLater(0, self._deliver)

    def loseWriteConnection(self) -> None:
        raise NotImplementedError("no CQL link is closed by halves")

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", self._node.address, self._node.port)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "10.9.9.9", 40000)

    def getTcpNoDelay(self) -> bool:
        return self.no_delay

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def getTcpKeepAlive(self) -> bool:
        return self.keep_alive

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keep_alive = enabled

    # The node's side.

    def send(self, stream: int, opcode: int, body: bytes, flags: int = 0) -> None:
        """Answer; it arrives with the next turn."""
        if self.closed or self.codec is None:
            return
        frame = self.codec.encode_frame(stream, opcode, body, flags, response=True)
        self.raw(frame if self.seal is None else self.seal(frame))

    def raw(self, data: bytes) -> None:
        """Send bytes as they are; they arrive with the next turn."""
        if self.closed:
            return
        if not self._answers:
            self._reactor.callLater(0, self._deliver)
        self._answers.append(data)

    def drop(self) -> None:
        """The node is gone."""
        if not self.closed:
            self._shut(Failure(ConnectionLost()))

    def _shut(self, reason: Failure) -> None:
        self.closed = True
        self._node.links.remove(self)
        self._reactor.callLater(0, self._protocol.connectionLost, reason)

    def _deliver(self) -> None:
        if self._paused or not self._answers:
            return
        answers, self._answers = self._answers, []
        if not self.closed:
            self._protocol.dataReceived(b"".join(answers))

    def _arrive(self) -> None:
        data, self.written = b"".join(self.written), []
        if self.closed or self._node.frozen:
            return
        self._node.receive(self, data)
