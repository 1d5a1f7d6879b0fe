"""Tests for :mod:`txcql.security`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.errors import AuthenticationFailed, NoNodeAvailable
from txcql.interfaces import IAuthenticator
from txcql.policies.reconnection import ExponentialReconnectionPolicy
from txcql.security import PlainAuthenticator
from txcql.session.session import Session
from txcql.test.scriptednode import ScriptedTestCase
from txcql.test.scriptedreactor import ScriptedReactor


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

    def test_what_cannot_be_sent(self) -> None:
        """A NUL would end the name, a lone surrogate is no UTF-8; neither error shows the password."""
        for username, password, said in (
            ("a\0b", "geheim", "the username has a NUL"),
            ("a", "gehe\0im", "the password has a NUL"),
            ("a", "gehe\udc80im", "the password has a lone surrogate"),
        ):
            with self.assertRaisesRegex(ValueError, said) as caught:
                PlainAuthenticator(username, password)
            self.assertNotIn("gehe", repr(caught.exception))
            self.assertIsNone(caught.exception.__context__)


class PlaintextTests(ScriptedTestCase):
    """A password that goes over the network in plaintext."""

    def warnings(self) -> list[str]:
        """What the log has warned of since the last call."""
        events = list(self.events)
        self.events.clear()
        return [str(formatEvent(event)) for event in events if event["log_level"] is LogLevel.warn]

    def setUp(self) -> None:
        super().setUp()
        self.events: list[LogEvent] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def secret(self, **settings: Any) -> Session:
        return self.connect(username="app", password="geheim", core_connections=2, **settings)

    def test_warns_once(self) -> None:
        """However many links log in."""
        self.node(login=("app", "geheim"))
        self.node("10.0.0.2", login=("app", "geheim"))
        self.secret()
        (warning,) = self.warnings()
        self.assertEqual(
            warning,
            "10.0.0.1:9042: a password goes over the network in plaintext: give tls=; "
            "require_tls_for_login=True refuses it",
        )

    def test_loopback(self) -> None:
        """There it goes over no network."""
        for address in ("127.0.0.1", "127.9.9.9", "::1"):
            self.reactor = ScriptedReactor()
            node = self.node(address, login=("app", "geheim"))
            self.connect(f"[{address}]:9042", username="app", password="geheim")
            self.assertEqual(self.warnings(), [])
            self.assertEqual(node.accepted, 2)
            if self.session is not None:
                self.answer(self.session.close())

    def test_no_password(self) -> None:
        """No login is asked for, or it is none by password."""
        self.node()
        self.secret()
        self.assertEqual(self.warnings(), [])

    def test_refused(self) -> None:
        """``require_tls_for_login``: the credentials are not even asked for."""
        self.node("127.0.0.1", login=("app", "geheim"))
        asked: list[str] = []

        def password() -> str:
            asked.append("")
            return "geheim"

        refusing = {"username": "app", "password": password, "require_tls_for_login": True}
        error = self.error(self.connecting(**refusing), AuthenticationFailed)
        self.assertEqual(
            str(error),
            "127.0.0.1:9042: no login over plaintext (require_tls_for_login): "
            "give tls=, as in tls=txcql.TLS()",
        )
        self.assertEqual(asked, [])


class CallableTests(ScriptedTestCase):
    """Credentials that are given when they are needed."""

    def test_password(self) -> None:
        """At once, by a Deferred or by a coroutine; asked for at each login."""
        self.node(login=("app", "geheim"))
        asked: list[int] = []

        def given() -> str:
            asked.append(1)
            return "geheim"

        async def coroutine() -> str:
            return given()

        for password in (given, lambda: succeed(given()), coroutine):
            session = self.connect(username="app", password=password)
            self.answer(session.close())
        self.assertEqual(len(asked), 6)

    def test_later(self) -> None:
        """The links wait for it, as long as they may."""
        self.node(login=("app", "geheim"))
        waiting: list[Deferred[str]] = []

        def password() -> Deferred[str]:
            waiting.append(Deferred())
            return waiting[-1]

        connecting = self.connecting(username="app", password=password)
        self.assertNoResult(connecting)
        waiting.pop().callback("geheim")
        self.reactor.settle()
        waiting.pop().callback("geheim")
        self.session = self.answer(connecting)

    def test_never(self) -> None:
        """It ends with the time for the handshake."""
        self.node(login=("app", "geheim"))
        connecting = self.connecting(username="app", password=Deferred)
        self.reactor.advance(5)
        error = self.error(connecting, NoNodeAvailable)
        self.assertIn("did not finish the handshake within 5 s", str(error))

    def test_rotation(self) -> None:
        """A session goes on with what the callable gives by then."""
        node = self.node(login=("app", "first"))
        passwords = ["first"]
        reconnection = ExponentialReconnectionPolicy(0.1, 1.0)
        session = self.connect(username="app", password=lambda: passwords[-1], reconnection=reconnection)
        node.login = ("app", "second")
        for link in list(node.links):
            link.drop()
        self.reactor.settle()
        (pool,) = session.pools.values()
        self.assertIsInstance(pool.error, AuthenticationFailed)
        passwords.append("second")
        for _ in range(10):
            self.reactor.advance(0.1)
        self.assertTrue(pool.up)

    def test_authenticator(self) -> None:
        """One that comes by a Deferred."""
        node = self.node(login=("app", "geheim"))
        self.connect(authenticator=lambda: succeed(PlainAuthenticator("app", "geheim")))
        self.assertEqual(node.accepted, 2)

    def test_neither(self) -> None:
        """The value of a callable that gives no text is not shown."""
        self.node(login=("app", "geheim"))
        error = self.error(self.connecting(username="app", password=lambda: b"geheim"), TypeError)
        self.assertIn("the password must be a str, got bytes", str(error))
        self.assertNotIn("geheim", str(error))
