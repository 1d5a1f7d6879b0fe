"""The reactor in memory: time, names, connections."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import CannotListenError, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.testing import MemoryReactor


class Keeper(Protocol):
    """Keeps what comes."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.reason: type[BaseException] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.data.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason.type


class KeepingFactory(Factory):
    """Serves keepers, and remembers them."""

    def __init__(self, served: list[Any]) -> None:
        self.served = served

    def buildProtocol(self, addr: Any) -> Keeper:
        self.served.append(Keeper())
        made: Keeper = self.served[-1]
        return made


class Producer:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class MemoryReactorTestCase(SynchronousTestCase):
    """A reactor, and a port."""

    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.served: list[Any] = []

    def listen(self, port: int = 9042) -> Any:
        endpoint = TCP4ServerEndpoint(self.reactor, port, interface="127.0.0.1")
        return self.reactor.run(endpoint.listen(KeepingFactory(self.served)))

    def connect(self, port: int = 9042) -> Any:
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", port)
        return self.reactor.run(endpoint.connect(Factory.forProtocol(Keeper)))


class TimeTests(MemoryReactorTestCase):
    """Time and waiting."""

    def test_interfaces(self) -> None:
        """It is a reactor for TCP and for time."""
        verifyObject(IReactorTCP, self.reactor)
        verifyObject(IReactorTime, self.reactor)

    def test_run_gives_results_without_waiting(self) -> None:
        """An hour passes at once; the clock shows it."""
        start = self.reactor.seconds()
        self.assertEqual(self.reactor.run(deferLater(self.reactor, 1800, lambda: "done")), "done")
        self.assertEqual(self.reactor.seconds() - start, 1800)

    def test_run_raises(self) -> None:
        """A failure is raised."""
        self.assertRaises(ZeroDivisionError, self.reactor.run, deferLater(self.reactor, 1, lambda: 1 // 0))

    def test_run_notices_that_nothing_will_happen(self) -> None:
        """No calls are left, or the time is up."""
        error = self.assertRaises(AssertionError, self.reactor.run, Deferred())
        self.assertIn("nothing more can happen", str(error))
        late: Deferred[None] = deferLater(self.reactor, 100)
        error = self.assertRaises(AssertionError, self.reactor.run, late, timeout=10)
        self.assertIn("within 10 s", str(error))


class ConnectionTests(MemoryReactorTestCase):
    """TCP."""

    def test_bytes_arrive_in_order_both_ways(self) -> None:
        """Each write arrives alone."""
        self.listen()
        client = self.connect()
        [server] = self.served
        for data in (b"a", b"bc"):
            client.transport.write(data)
        server.transport.writeSequence([b"x", b"y"])
        self.assertEqual(server.data, [])
        self.reactor.settle()
        self.assertEqual((server.data, client.data), ([b"a", b"bc"], [b"xy"]))

    def test_closing(self) -> None:
        """What was written before arrives; then both ends know."""
        self.listen()
        client = self.connect()
        [server] = self.served
        client.transport.write(b"last")
        client.transport.loseConnection()
        client.transport.write(b"too late")
        self.reactor.settle()
        self.assertEqual(server.data, [b"last"])
        self.assertEqual((server.reason, client.reason), (ConnectionDone, ConnectionDone))

    def test_resetting(self) -> None:
        """The other end loses the connection in a non-clean fashion."""
        self.listen()
        client = self.connect()
        [server] = self.served
        server.transport.abortConnection()
        self.reactor.settle()
        self.assertEqual(client.reason, ConnectionLost)

    def test_nobody_listens(self) -> None:
        """Refused; and so when the port is closed."""
        self.assertRaises(ConnectionRefusedError, self.connect)
        port = self.listen()
        port.stopListening()
        self.assertRaises(ConnectionRefusedError, self.connect)

    def test_a_port_is_taken_once(self) -> None:
        """As with a real one; 0 is any that is free."""
        self.listen(5)
        self.assertRaises(CannotListenError, self.reactor.listenTCP, 5, Factory())
        ports = {self.reactor.listenTCP(0, Factory()).getHost().port for _ in range(3)}
        self.assertEqual(len(ports), 3)

    def test_a_paused_end_takes_nothing(self) -> None:
        """Its bytes wait, and the writer's producer is paused when there are many."""
        self.listen()
        client = self.connect()
        [server] = self.served
        producer = Producer()
        client.transport.registerProducer(producer, True)
        server.transport.pauseProducing()
        client.transport.write(bytes(70_000))
        self.reactor.settle()
        self.assertEqual((server.data, producer.told), ([], ["pause"]))
        server.transport.resumeProducing()
        self.reactor.settle()
        self.assertEqual([len(data) for data in server.data], [70_000])
        self.assertEqual(producer.told, ["pause", "resume"])

    def test_names(self) -> None:
        """Those that it was told of."""
        found: list[str] = []

        class Receiver:
            def resolutionBegan(self, resolution) -> None:
                found.append("began")

            def addressResolved(self, address) -> None:
                found.append(address.host)

            def resolutionComplete(self) -> None:
                found.append("complete")

        self.reactor.names["db"] = ["10.0.0.1", "::1"]
        self.reactor.nameResolver.resolveHostName(Receiver(), "db", 1)
        self.reactor.nameResolver.resolveHostName(Receiver(), "nowhere", 1)
        self.reactor.settle()
        self.assertEqual(found, ["began", "began", "10.0.0.1", "::1", "complete", "complete"])
