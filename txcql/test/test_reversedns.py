"""Tests for :mod:`txcql.cluster.reversedns`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.names.dns import PTR, Record_PTR, RRHeader
from twisted.names.error import DNSNameError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.cluster import reversedns
from txcql.cluster.reversedns import ReverseDNSAddressTranslator
from txcql.errors import NameResolutionError
from txcql.interfaces import IAddressTranslator
from txcql.test.scriptedreactor import ScriptedReactor


class Names:
    """Knows what addresses are called."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.asked: list[str] = []

    def lookupPointer(self, name: str) -> Deferred[Any]:
        self.asked.append(name)
        if name not in self.known:
            return fail(DNSNameError())
        answers = [RRHeader(name, PTR, payload=Record_PTR(self.known[name]))] if self.known[name] else []
        return succeed((answers, [], []))


class ReverseDNSTests(SynchronousTestCase):
    """From an address to a name, and from that to another address."""

    def setUp(self) -> None:
        self.reactor = ScriptedReactor()
        self.reactor.names["node1.example"] = ["192.0.2.1", "192.0.2.2"]
        self.names = Names(
            **{
                "7.0.0.10.in-addr.arpa": "node1.example",
                "8.0.0.10.in-addr.arpa": "node2.example",
                "9.0.0.10.in-addr.arpa": "",
            }
        )
        self.translator = ReverseDNSAddressTranslator(self.reactor, self.names)
        verifyObject(IAddressTranslator, self.translator)

    def translate(self, host: str) -> Deferred[tuple[str, int]]:
        translating = self.translator.translate(host, 9042)
        self.reactor.settle()
        return translating

    def test_found(self) -> None:
        """The first address of the name; the port stays."""
        self.assertEqual(self.successResultOf(self.translate("10.0.0.7")), ("192.0.2.1", 9042))

    def test_not_found(self) -> None:
        """No name, a name without an address, or no answer: it fails."""
        self.failureResultOf(self.translate("10.0.0.1"), DNSNameError)
        self.failureResultOf(self.translate("10.0.0.8"), NameResolutionError)
        self.failureResultOf(self.translate("10.0.0.9"), NameResolutionError)

    def test_ipv6(self) -> None:
        """IPv6 addresses have names of another kind."""
        self.failureResultOf(self.translate("fd00::1"), DNSNameError)
        self.assertEqual(self.names.asked[0][-15:], "0.0.d.f.ip6.arpa"[-15:])

    def test_name_servers_of_the_system(self) -> None:
        """Without a resolver they are asked; nothing of it stays behind but the resolver."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        file = Path(folder.name) / "resolv.conf"
        file.write_text("# mine\nsearch example\nnameserver 192.0.2.53\nnameserver\nnameserver 192.0.2.54\n")
        self.patch(reversedns, "_RESOLV_CONF", str(file))
        resolver = ReverseDNSAddressTranslator(self.reactor)._names()
        self.assertEqual(resolver.servers, [("192.0.2.53", 53), ("192.0.2.54", 53)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        file.unlink()
        self.assertEqual(reversedns._name_servers(), [("127.0.0.1", 53)])

    def test_repr(self) -> None:
        self.assertEqual(repr(self.translator), "<ReverseDNSAddressTranslator>")
