"""A reactor without sockets: time passes when it is told to, and TCP is in memory.

Everything that is written arrives in the order in which it was written, and nothing waits: a test that takes
an hour of the driver's time takes milliseconds of its own, and takes the same course every time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, TypeVar

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    CannotListenError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import IConnector, IListeningPort, IReactorTCP, ITCPTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["MemoryReactor"]

_T = TypeVar("_T")
_FIRST_PORT = 40_000
_BUFFER = 65_536


@implementer(IReactorTCP)
class MemoryReactor(Clock):
    """Time, names and TCP in memory.

    :param start: the time at which it begins, in seconds since 1970.
    :ivar names: the addresses of host names; others do not resolve, but for ``localhost``.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        Clock.__init__(self)
        self.rightNow = start
        self.names: dict[str, list[str]] = {"localhost": ["127.0.0.1"]}
        self.nameResolver = self
        self._listening: dict[tuple[str, int], MemoryPort] = {}
        self._free_ports = count(_FIRST_PORT)

    def __repr__(self) -> str:
        return f"<MemoryReactor t={self.seconds():.3f} calls={len(self.calls)} ports={len(self._listening)}>"

    def settle(self) -> None:
        """Let everything that is on its way arrive; no time passes."""
        self.advance(0)

    def run(self, result: Deferred[_T], timeout: float = 3600.0) -> _T:
        """Let time pass until a Deferred fires, as fast as it can.

        :param timeout: the seconds of the reactor's own time after which it is enough.
        :returns: what it fired with.
        :raises AssertionError: nothing more can happen, or it is too late, and it has not fired.
        """
        found: list[_T | Failure] = []
        result.addBoth(found.append)
        end = self.seconds() + timeout
        self.settle()
        while not found:
            following = self.calls[0].getTime() if self.calls else None
            if following is None:
                raise AssertionError("nothing more can happen, and the Deferred has not fired")
            if following > end:
                raise AssertionError(f"the Deferred has not fired within {timeout:g} s of the reactor's time")
            self.advance(max(0.0, following - self.seconds()))
        [outcome] = found
        if isinstance(outcome, Failure):
            outcome.raiseException()
        return outcome

    def callWhenRunning(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        """It always runs."""
        function(*arguments, **named)

    def addSystemEventTrigger(self, *arguments: Any, **named: Any) -> None:
        """It never stops."""

    def resolveHostName(self, receiver: Any, name: str, port: int = 0, *rest: Any) -> Any:
        """Look a name up in :attr:`names`."""

        def answer() -> None:
            for host in self.names.get(name, ()):
                receiver.addressResolved(_address(host, port))
            receiver.resolutionComplete()

        receiver.resolutionBegan(self)
        self.callLater(0, answer)
        return receiver

    def cancel(self) -> None:
        """A look-up is over at once."""

    # TCP.

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> MemoryPort:
        """Listen in memory.

        :raises CannotListenError: the address is taken.
        """
        host = interface or "127.0.0.1"
        number = port or next(self._free_ports)
        if (host, number) in self._listening:
            raise CannotListenError(host, number, OSError("the address is in use"))  # type: ignore[no-untyped-call]
        made = self._listening[host, number] = MemoryPort(self, host, number, factory)
        made.startListening()
        return made

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> MemoryConnector:
        """Connect in memory."""
        connector = MemoryConnector(self, host, port, factory)
        connector.connect()
        return connector

    def listening(self, host: str, port: int) -> MemoryPort | None:
        """What listens at an address."""
        return self._listening.get((host, port))

    def forget(self, port: MemoryPort) -> None:
        """A port listens no longer."""
        self._listening.pop((port.host, port.number), None)


def _address(host: str, port: int) -> Any:
    kind = IPv6Address if ipaddress.ip_address(host).version == 6 else IPv4Address
    return kind("TCP", host, port)


@implementer(IListeningPort)
class MemoryPort:
    """A port in memory."""

    def __init__(self, reactor: MemoryReactor, host: str, number: int, factory: Any) -> None:
        self.host = host
        self.number = number
        self.factory = factory
        self._reactor = reactor

    def startListening(self) -> None:
        self.factory.doStart()

    def stopListening(self) -> None:
        self._reactor.forget(self)
        self.factory.doStop()

    def getHost(self) -> Any:
        return _address(self.host, self.number)


@implementer(IConnector)
class MemoryConnector:
    """A connection that is being made, or is there."""

    def __init__(self, reactor: MemoryReactor, host: str, port: int, factory: Any) -> None:
        self.host = host
        self.port = port
        self.factory = factory
        self._reactor = reactor
        self._call: Any = None
        self._transport: MemoryTransport | None = None

    def connect(self) -> None:
        self.factory.doStart()
        self.factory.startedConnecting(self)
        self._call = self._reactor.callLater(0, self._connected)

    def _connected(self) -> None:
        self._call = None
        port = self._reactor.listening(self.host, self.port)
        served = None if port is None else port.factory.buildProtocol(_address("127.0.0.1", 0))
        if served is None:
            self._failed(ConnectionRefusedError(f"{self.host}:{self.port} refused the connection"))  # type: ignore[no-untyped-call]
            return
        client = self.factory.buildProtocol(self.getDestination())
        if client is None:
            self._failed(ConnectionRefusedError("the client changed its mind"))  # type: ignore[no-untyped-call]
            return
        here, there = _address("127.0.0.1", 1), self.getDestination()
        near = MemoryTransport(self._reactor, client, here, there)
        far = MemoryTransport(self._reactor, served, there, here)
        near.peer, far.peer = far, near
        near.connector = self
        self._transport = near
        served.makeConnection(far)
        client.makeConnection(near)

    def _failed(self, error: Exception) -> None:
        self.factory.clientConnectionFailed(self, Failure(error))  # type: ignore[no-untyped-call]
        self.factory.doStop()

    def lost(self, reason: Failure) -> None:
        """The connection is gone."""
        self._transport = None
        self.factory.clientConnectionLost(self, reason)
        self.factory.doStop()

    def stopConnecting(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
            self._failed(ConnectionAborted())

    def disconnect(self) -> None:
        if self._call is not None:
            self.stopConnecting()
        elif self._transport is not None:
            self._transport.loseConnection()

    def getDestination(self) -> Any:
        return _address(self.host, self.port)


@implementer(ITCPTransport)
class MemoryTransport:
    """One end of a connection in memory."""

    def __init__(self, reactor: MemoryReactor, protocol: Any, host: Any, peer_address: Any) -> None:
        self.peer: MemoryTransport
        self.protocol = protocol
        self.connector: MemoryConnector | None = None
        self.connected = True
        self.disconnecting = False
        self._reactor = reactor
        self._host = host
        self._peer_address = peer_address
        self._arrived: list[bytes | Failure] = []
        self._arriving = False
        self._paused = False
        self._producer: Any = None
        self._producer_paused = False

    # What comes in.

    def arrive(self, data: bytes | Failure) -> None:
        """Take what the other end has written, or that it is gone."""
        self._arrived.append(data)
        self._schedule()

    def _schedule(self) -> None:
        if not self._arriving and self._arrived:
            self._arriving = True
            self._reactor.callLater(0, self._deliver)

    def _deliver(self) -> None:
        self._arriving = False
        if not self.connected or not self._arrived or self._paused:
            return
        data = self._arrived.pop(0)
        if isinstance(data, Failure):
            self._lost(data)
            return
        self.protocol.dataReceived(data)
        self.peer.drained()
        self._schedule()

    @property
    def backlog(self) -> int:
        """How many bytes have come and not been taken."""
        return sum(len(data) for data in self._arrived if isinstance(data, bytes))

    def _lost(self, reason: Failure) -> None:
        if not self.connected:
            return
        self.connected = False
        self._arrived.clear()
        if self._producer is not None:
            self._producer.stopProducing()
            self._producer = None
        self.protocol.connectionLost(reason)
        if self.connector is not None:
            self.connector.lost(reason)

    # What goes out.

    def write(self, data: bytes) -> None:
        if not self.connected or self.disconnecting or not data:
            return
        self.peer.arrive(bytes(data))
        if self._producer is not None and not self._producer_paused and self.peer.backlog > _BUFFER:
            self._producer_paused = True
            self._producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def drained(self) -> None:
        """The other end has taken something."""
        if self._producer_paused and self.peer.backlog <= _BUFFER // 2:
            self._producer_paused = False
            if self._producer is not None:
                self._producer.resumeProducing()

    def loseConnection(self, *arguments: Any) -> None:
        if self.disconnecting or not self.connected:
            return
        self.disconnecting = True
        self._reactor.callLater(0, self._lost, Failure(ConnectionDone()))  # type: ignore[no-untyped-call]
        self.peer.arrive(Failure(ConnectionDone()))  # type: ignore[no-untyped-call]

    def loseWriteConnection(self) -> None:
        self.loseConnection()

    def abortConnection(self) -> None:
        if not self.connected:
            return
        self.disconnecting = True
        self._reactor.callLater(0, self._lost, Failure(ConnectionAborted()))  # type: ignore[no-untyped-call]
        self._reactor.callLater(0, self.peer._lost, Failure(ConnectionLost("the connection was reset")))  # type: ignore[no-untyped-call]

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = producer
        self._producer_paused = False

    def unregisterProducer(self) -> None:
        self._producer = None
        self._producer_paused = False

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._schedule()

    def stopProducing(self) -> None:
        self.loseConnection()

    def getHost(self) -> Any:
        return self._host

    def getPeer(self) -> Any:
        return self._peer_address

    def setTcpNoDelay(self, enabled: bool) -> None:
        """There is nothing to delay."""

    def getTcpNoDelay(self) -> bool:
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """It is always alive."""

    def getTcpKeepAlive(self) -> bool:
        return True
