"""Tests for :mod:`txcql.security`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.errors import AuthenticationFailed
from txcql.interfaces import IAuthenticator
from txcql.security import PlainAuthenticator


class PlainAuthenticatorTests(SynchronousTestCase):
    """SASL PLAIN."""

    def setUp(self) -> None:
        self.authenticator = PlainAuthenticator("bücher", "pä\u20acwort")

    def test_interface(self) -> None:
        """It is what applications may implement, too."""
        verifyObject(IAuthenticator, self.authenticator)

    def test_token(self) -> None:
        """NUL, name, NUL, password, in UTF-8."""
        self.assertEqual(
            self.authenticator.initial_response("org.apache.cassandra.auth.PasswordAuthenticator"),
            b"\0b\xc3\xbccher\0p\xc3\xa4\xe2\x82\xacwort",
        )

    def test_challenge(self) -> None:
        """There is none in this mechanism."""
        self.assertRaises(AuthenticationFailed, self.authenticator.evaluate_challenge, b"?")

    def test_repr(self) -> None:
        """Who, but not with what."""
        self.assertEqual(repr(self.authenticator), "<PlainAuthenticator 'bücher'>")
