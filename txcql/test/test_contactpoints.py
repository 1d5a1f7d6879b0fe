"""Tests for :mod:`txcql.cluster.contactpoints`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from txcql.cluster.contactpoints import ContactPoint, node_name, parse_contact_points, resolve, tcp_endpoint
from txcql.errors import NameResolutionError
from txcql.settings import Settings
from txcql.test.scriptedreactor import ScriptedReactor


class ParseTests(SynchronousTestCase):
    """What an application writes."""

    def test_accepted(self) -> None:
        """Hosts, with and without a port, IPv6 with and without brackets."""
        for text, host, port in (
            ("10.0.0.1", "10.0.0.1", 9042),
            ("10.0.0.1:9043", "10.0.0.1", 9043),
            ("db.example", "db.example", 9042),
            ("db.example:1", "db.example", 1),
            ("::1", "::1", 9042),
            ("[::1]", "::1", 9042),
            ("[::1]:65535", "::1", 65535),
        ):
            self.assertEqual(parse_contact_points([text], 9042), [ContactPoint(host, port)])

    def test_any_iterable(self) -> None:
        """Not only lists."""
        self.assertEqual(len(parse_contact_points(iter(("a", "b")), 9042)), 2)

    def test_endpoint(self) -> None:
        """An endpoint is taken as it is."""
        endpoint = TCP4ClientEndpoint(ScriptedReactor(), "10.0.0.1", 9042)
        (point,) = parse_contact_points([endpoint], 9042)
        self.assertIs(point.endpoint, endpoint)

    def test_refused(self) -> None:
        """Each with what is wrong with it."""
        for points, kind, text in (
            ([], ValueError, "contact_points is empty"),
            ("localhost", TypeError, "must be a list of hosts, got the str 'localhost'"),
            ([b"10.0.0.1"], TypeError, "a host or an IStreamClientEndpoint, got b'10.0.0.1'"),
            ([("10.0.0.1", 9042)], TypeError, "a host or an IStreamClientEndpoint, got"),
            ([""], ValueError, "'' names no host"),
            ([":9042"], ValueError, "':9042' names no host"),
            (["[]:9042"], ValueError, "names no host"),
            (["[::1"], ValueError, r"is no \[address\]:port"),
            (["[::1]9042"], ValueError, r"is no \[address\]:port"),
            (["host:"], ValueError, "the port of the contact point 'host:' is no number"),
            (["[::1]:"], ValueError, "is no number"),
            (["host:cql"], ValueError, "is no number"),
            (["host:-1"], ValueError, "is no number"),
            (["host:0"], ValueError, "must be in 1..65535, got 0"),
            (["host:65536"], ValueError, "must be in 1..65535, got 65536"),
        ):
            with self.assertRaisesRegex(kind, text):
                parse_contact_points(points, 9042)

    def test_port(self) -> None:
        """The common port, also where no contact point needs it."""
        for port, kind in ((0, ValueError), (1 << 16, ValueError), ("9042", TypeError), (True, TypeError)):
            with self.assertRaisesRegex(kind, "^port must be"):
                parse_contact_points(["host:1"], port)  # type: ignore[arg-type]


class NameTests(SynchronousTestCase):
    """What nodes are called, and where they are."""

    def test_node_name(self) -> None:
        """Brackets around what has colons."""
        self.assertEqual(node_name("10.0.0.1", 9042), "10.0.0.1:9042")
        self.assertEqual(node_name("::1", 9042), "[::1]:9042")

    def test_endpoint(self) -> None:
        """By the family of the address."""
        reactor = ScriptedReactor()
        self.assertIsInstance(tcp_endpoint(reactor, "10.0.0.1", 1, 5.0), TCP4ClientEndpoint)
        self.assertIsInstance(tcp_endpoint(reactor, "::1", 1, 5.0), TCP6ClientEndpoint)


class ResolveTests(SynchronousTestCase):
    """From names to addresses, by the reactor that is given."""

    def setUp(self) -> None:
        self.reactor = ScriptedReactor()

    def resolving(self, *points: Any) -> Deferred[Any]:
        deferred = Deferred.fromCoroutine(
            resolve(self.reactor, parse_contact_points(points, 9042), Settings())
        )
        self.reactor.settle()
        return deferred

    def tearDown(self) -> None:
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_addresses(self) -> None:
        """They are not looked up: no resolver is needed."""
        del self.reactor.nameResolver
        found, failures = self.successResultOf(self.resolving("10.0.0.1", "[::1]:1"))
        self.assertEqual([point.name for point in found], ["10.0.0.1:9042", "[::1]:1"])
        self.assertEqual(failures, {})

    def test_names(self) -> None:
        """All addresses of each, once, in their order."""
        self.reactor.names = {"db.example": ["10.0.0.2", "::2", "10.0.0.2"]}
        found, failures = self.successResultOf(self.resolving("db.example:1", "10.0.0.1"))
        self.assertEqual([point.name for point in found], ["10.0.0.2:1", "[::2]:1", "10.0.0.1:9042"])
        self.assertEqual(failures, {})

    def test_unknown(self) -> None:
        """It is told, and stops nothing."""
        found, failures = self.successResultOf(self.resolving("nosuch.example", "10.0.0.1"))
        self.assertEqual([point.name for point in found], ["10.0.0.1:9042"])
        error = failures["nosuch.example:9042"]
        self.assertIsInstance(error, NameResolutionError)
        self.assertEqual(
            (error.host, str(error)), ("nosuch.example", 'the name "nosuch.example" does not resolve')
        )

    def test_slow(self) -> None:
        """A look-up without an end ends after the timeout; what comes later is nothing to it."""
        self.reactor.slow_names = True
        resolving = self.resolving("slow.example")
        self.reactor.advance(4.9)
        self.assertNoResult(resolving)
        self.reactor.advance(0.1)
        found, failures = self.successResultOf(resolving)
        self.assertEqual((found, list(failures)), ([], ["slow.example:9042"]))

    def test_cancelled(self) -> None:
        """Nothing is left."""
        self.reactor.slow_names = True
        resolving = self.resolving("slow.example")
        resolving.cancel()
        self.failureResultOf(resolving, CancelledError)

    def test_endpoint(self) -> None:
        """It needs no look-up."""
        endpoint = TCP4ClientEndpoint(self.reactor, "10.0.0.1", 9042)
        found, _ = self.successResultOf(self.resolving(endpoint))
        self.assertEqual([(point.name, point.endpoint) for point in found], [(repr(endpoint), endpoint)])
