"""Tests for :mod:`txcql.policies.addresstranslation`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.interfaces import IAddressTranslator
from txcql.policies.addresstranslation import FixedAddressTranslator, SubnetAddressTranslator


class FixedTests(SynchronousTestCase):
    """A table."""

    def test_table(self) -> None:
        """With ports and without, IPv4 and IPv6; what is not in it stays."""
        translator = FixedAddressTranslator(
            {
                "10.0.0.1": "127.0.0.1",
                "10.0.0.2:9042": "127.0.0.1:19042",
                "10.0.0.2": "127.0.0.2:29042",
                "fd00:0::1": "[::1]:9043",
            }
        )
        verifyObject(IAddressTranslator, translator)
        expected = {
            ("10.0.0.1", 9042): ("127.0.0.1", 9042),
            ("10.0.0.2", 9042): ("127.0.0.1", 19042),
            ("10.0.0.2", 9999): ("127.0.0.2", 29042),
            ("fd00::1", 9042): ("::1", 9043),
            ("10.0.0.3", 9042): ("10.0.0.3", 9042),
        }
        for address, there in expected.items():
            self.assertEqual(translator.translate(*address), there)
        self.assertEqual(repr(translator), "<FixedAddressTranslator of 4 addresses>")

    def test_wrong(self) -> None:
        """An address that is none is refused at once."""
        for text in ("node1", "10.0.0.1:0", "10.0.0.1:port", "[::1]:99999", ""):
            self.assertRaises(ValueError, FixedAddressTranslator, {"10.0.0.1": text})


class SubnetTests(SynchronousTestCase):
    """An address for each subnet."""

    def test_smallest(self) -> None:
        """The smallest subnet counts, in whatever order they stand."""
        translator = SubnetAddressTranslator(
            {"10.0.0.0/8": "192.0.2.1", "10.0.1.0/24": "192.0.2.2:9999", "fd00::/16": "::1"}
        )
        verifyObject(IAddressTranslator, translator)
        expected = {
            "10.0.1.7": ("192.0.2.2", 9999),
            "10.0.2.7": ("192.0.2.1", 9042),
            "fd00::7": ("::1", 9042),
            "172.16.0.1": ("172.16.0.1", 9042),
        }
        for host, there in expected.items():
            self.assertEqual(translator.translate(host, 9042), there)
        self.assertEqual(repr(translator), "<SubnetAddressTranslator of 3 subnets>")

    def test_default(self) -> None:
        """For those in none of them."""
        translator = SubnetAddressTranslator({"10.0.0.0/8": "192.0.2.1"}, "192.0.2.9:1")
        self.assertEqual(translator.translate("172.16.0.1", 9042), ("192.0.2.9", 1))

    def test_wrong(self) -> None:
        """A subnet that is none is refused at once."""
        self.assertRaises(ValueError, SubnetAddressTranslator, {"10.0.0.1/8": "192.0.2.1"})
        self.assertRaises(ValueError, SubnetAddressTranslator, {}, "everywhere")
