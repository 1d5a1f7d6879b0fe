"""Tests for :mod:`txcql.session.connect`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from zope.interface import implementer

import txcql
from txcql.errors import (
    AuthenticationFailed,
    ConnectionLost,
    InvalidRequest,
    NameResolutionError,
    NoNodeAvailable,
    UnsupportedProtocolVersion,
)
from txcql.interfaces import IAuthenticator
from txcql.test.scriptednode import ScriptedTestCase
from txcql.wire import constants


class ArgumentTests(ScriptedTestCase):
    """What is wrong with the call is raised where it is made."""

    def test_reactor_forgotten(self) -> None:
        """The first argument is the reactor, and a list of hosts is none."""
        with self.assertRaisesRegex(TypeError, "the first argument is the reactor, got \\['10.0.0.1'\\]"):
            txcql.connect(["10.0.0.1"])

    def test_contact_points(self) -> None:
        """No contact points, one str instead of a list, and what is none."""
        for points, kind, text in (
            ([], ValueError, "contact_points is empty"),
            ("10.0.0.1", TypeError, "must be a list of hosts, got the str '10.0.0.1'"),
            ([5], TypeError, "a contact point is a host or an IStreamClientEndpoint, got 5"),
            (["10.0.0.1:0"], ValueError, "must be in 1..65535, got 0"),
        ):
            with self.assertRaisesRegex(kind, text):
                txcql.connect(self.reactor, points)

    def test_port(self) -> None:
        """A port is a number, and small."""
        cases: list[tuple[Any, type[Exception]]] = [
            ("9042", TypeError),
            (True, TypeError),
            (0, ValueError),
            (65536, ValueError),
        ]
        for port, kind in cases:
            with self.assertRaisesRegex(kind, "port must be"):
                txcql.connect(self.reactor, ["10.0.0.1:9042"], port=port)

    def test_keyspace(self) -> None:
        """A keyspace is a name."""
        names: list[Any] = ["", 5, b"ks"]
        for keyspace in names:
            with self.assertRaisesRegex(TypeError, "keyspace must be a name"):
                txcql.connect(self.reactor, ["10.0.0.1"], keyspace=keyspace)

    def test_unknown_setting(self) -> None:
        """One that does not exist is named, and so are those that do."""
        with self.assertRaisesRegex(TypeError, "there is no setting pasword; there are: .*password"):
            txcql.connect(self.reactor, ["10.0.0.1"], pasword="x")  # type: ignore[call-arg]

    def test_setting(self) -> None:
        """Settings are checked at once."""
        with self.assertRaisesRegex(ValueError, "page_size must be in 1"):
            txcql.connect(self.reactor, ["10.0.0.1"], page_size=0)

    def tearDown(self) -> None:
        self.assertEqual(self.reactor.dialled, [])
        ScriptedTestCase.tearDown(self)


class VersionTests(ScriptedTestCase):
    """Negotiation, 5 downwards."""

    def test_newest(self) -> None:
        """A node that speaks 5 is spoken to in 5: one control link, one link of the pool."""
        node = self.node()
        session = self.connect()
        self.assertEqual(session.version, 5)
        self.assertEqual(node.accepted, 2)

    def test_downwards(self) -> None:
        """Each version that is refused costs a connection of its own."""
        for versions, chosen, accepted in (((3, 4), 4, 3), ((3,), 3, 4)):
            self.setUp()
            node = self.node(versions=versions)
            session = self.connect()
            self.assertEqual(session.version, chosen)
            self.assertEqual(session.snapshot()["protocol_version"], chosen)
            self.assertEqual(node.accepted, accepted)
            self.assertEqual(len(node.links), 2)
            self.tearDown()
            self.session = None

    def test_snappy_begins_at_4(self) -> None:
        """Protocol 5 has no Snappy, so it is not tried."""
        node = self.node(versions=(5,))
        error = self.error(self.connecting(compression="snappy"), NoNodeAvailable)
        self.assertEqual(node.accepted, 2)
        self.assertIsInstance(error.errors["10.0.0.1:9042"], UnsupportedProtocolVersion)

    def test_fixed(self) -> None:
        """A version that was asked for is not negotiated."""
        node = self.node(versions=(3,))
        error = self.error(self.connecting(protocol_version=5), NoNodeAvailable)
        self.assertRegex(
            str(error), "cannot connect: 10.0.0.1:9042 does not speak protocol version 5: Invalid"
        )
        self.assertEqual(node.accepted, 1)

    def test_startup(self) -> None:
        """STARTUP says who is there."""
        node = self.node()
        self.connect(application_name="shop")
        self.assertEqual(node.links[0].startup["DRIVER_NAME"], "txcql")
        self.assertEqual(node.links[0].startup["APPLICATION_NAME"], "shop")
        self.assertNotIn("THROW_ON_OVERLOAD", node.links[0].startup)

    def test_throw_on_overload(self) -> None:
        """Each link asks the node to say at once that it is overloaded, if that is set."""
        node = self.node()
        self.connect(throw_on_overload=True)
        self.assertEqual({link.startup["THROW_ON_OVERLOAD"] for link in node.links}, {"1"})


class ContactTests(ScriptedTestCase):
    """Contact points that lead nowhere, and those that do."""

    def test_all_refuse(self) -> None:
        """Every address is listed, with its reason; nothing is waited for."""
        error = self.error(self.connecting("127.0.0.77:9999", "127.0.0.78"), NoNodeAvailable)
        self.assertEqual(
            str(error),
            "cannot connect: 127.0.0.77:9999 refused the connection; 127.0.0.78:9042 refused the connection",
        )
        self.assertEqual(sorted(error.errors), ["127.0.0.77:9999", "127.0.0.78:9042"])
        self.assertIsInstance(error.errors["127.0.0.77:9999"], ConnectionLost)
        self.assertEqual(error.errors["127.0.0.77:9999"].node, "127.0.0.77:9999")

    def test_no_answer(self) -> None:
        """A host that says nothing at all is given up after connect_timeout."""
        self.node(silent=True)
        connecting = self.connecting(connect_timeout=3.0)
        self.reactor.advance(2.9)
        self.assertNoResult(connecting)
        self.reactor.advance(0.2)
        error = self.error(connecting, NoNodeAvailable)
        self.assertEqual(str(error), "cannot connect: 10.0.0.1:9042 did not accept the connection in time")

    def test_no_handshake(self) -> None:
        """Nor is one that accepts and then says nothing waited for any longer."""
        self.node(frozen=True)
        connecting = self.connecting(connect_timeout=3.0)
        self.reactor.advance(3.0)
        self.assertRegex(
            str(self.error(connecting, NoNodeAvailable)),
            "10.0.0.1:9042 accepted the connection and did not finish the handshake within 3 s",
        )

    def test_the_next_one(self) -> None:
        """One contact point that answers is enough."""
        self.node("10.0.0.2")
        self.connect("10.0.0.1", "10.0.0.2")
        self.assertEqual(self.reactor.dialled, ["10.0.0.1:9042", "10.0.0.2:9042", "10.0.0.2:9042"])

    def test_names(self) -> None:
        """A name stands for all of its addresses."""
        self.node("10.0.0.2")
        self.reactor.names["db.example"] = ["10.0.0.1", "10.0.0.2"]
        self.connect("db.example")
        self.assertEqual(self.reactor.dialled[:2], ["10.0.0.1:9042", "10.0.0.2:9042"])

    def test_name_that_does_not_resolve(self) -> None:
        """It is named; the contact points behind it are tried all the same."""
        error = self.error(self.connecting("nosuch.example", "10.0.0.1"), NoNodeAvailable)
        self.assertEqual(
            str(error),
            'cannot connect: nosuch.example:9042: the name "nosuch.example" does not resolve; '
            "10.0.0.1:9042 refused the connection",
        )
        self.assertIsInstance(error.errors["nosuch.example:9042"], NameResolutionError)
        self.node()
        self.connect("nosuch.example", "10.0.0.1")

    def test_slow_name(self) -> None:
        """A look-up is given connect_timeout."""
        self.reactor.slow_names = True
        connecting = self.connecting("slow.example")
        self.reactor.advance(5.0)
        self.assertRegex(
            str(self.error(connecting, NoNodeAvailable)), 'the name "slow.example" does not resolve'
        )

    def test_endpoint(self) -> None:
        """A contact point may be an endpoint; its node is called by its repr."""
        from twisted.internet.endpoints import TCP4ClientEndpoint

        class Proxy(TCP4ClientEndpoint):
            def __repr__(self) -> str:
                return "<proxy>"

        node = self.node()
        session = self.connect(Proxy(self.reactor, "10.0.0.1", 9042))
        self.assertEqual(list(session.snapshot()["nodes"]), ["<proxy>"])
        self.assertEqual(len(node.links), 2)


class LoginTests(ScriptedTestCase):
    """Nodes that ask who is there."""

    def test_right(self) -> None:
        """The right password opens every link."""
        node = self.node(login=("app", "geheim"))
        self.connect(username="app", password="geheim")
        self.assertEqual(len(node.links), 2)

    def test_wrong(self) -> None:
        """A wrong one is told as such, in the node's words, not as a node that cannot be reached."""
        self.node(login=("app", "geheim"))
        error = self.error(self.connecting(username="app", password="x"), AuthenticationFailed)
        self.assertEqual(str(error), "10.0.0.1:9042: Provided username and/or password are incorrect")

    def test_none(self) -> None:
        """If there is none, the error says which settings give it."""
        self.node(login=("app", "geheim"))
        error = self.error(self.connecting(), AuthenticationFailed)
        self.assertRegex(
            str(error),
            r"10.0.0.1:9042: the node asks for a login \(PasswordAuthenticator\): give username and password",
        )

    def test_wrong_at_one_of_two(self) -> None:
        """A refused login does not hide behind a contact point that cannot be reached."""
        self.node("10.0.0.2", login=("app", "geheim"))
        connecting = self.connecting("10.0.0.1", "10.0.0.2", username="app", password="x")
        self.error(connecting, AuthenticationFailed)

    def test_authenticator(self) -> None:
        """One is made for each link."""
        made = []

        @implementer(IAuthenticator)
        class Ticket:
            def __init__(self) -> None:
                made.append(self)

            def initial_response(self, server_class: str) -> bytes:
                return b"\0app\0geheim"

            def evaluate_challenge(self, token: bytes | None) -> bytes:
                raise NotImplementedError

        self.node(login=("app", "geheim"))
        self.connect(authenticator=Ticket)
        self.assertEqual(len(made), 2)

    def test_authenticator_with_a_defect(self) -> None:
        """What it raises is what connect() fails with; every link is closed."""

        class Broken(Exception):
            pass

        @implementer(IAuthenticator)
        class Ticket:
            def initial_response(self, server_class: str) -> bytes:
                raise Broken

            def evaluate_challenge(self, token: bytes | None) -> bytes:
                raise NotImplementedError

        self.node(login=("app", "geheim"))
        self.error(self.connecting(authenticator=Ticket), Broken)


class KeyspaceTests(ScriptedTestCase):
    """The keyspace that links are in."""

    def test_every_link(self) -> None:
        """Each link of a pool starts in it; the control link asks for qualified names only."""
        node = self.node()
        session = self.connect(keyspace="Mixed Case")
        self.assertEqual(session.keyspace, "Mixed Case")
        self.assertEqual([link.keyspace for link in node.links], [None, "Mixed Case"])
        self.assertEqual([asked.text for asked in node.requests], ['USE "Mixed Case"'])

    def test_missing(self) -> None:
        """One that does not exist is named."""
        self.node()
        error = self.error(self.connecting(keyspace="nokeyspace"), InvalidRequest)
        self.assertEqual(str(error), 'keyspace "nokeyspace" does not exist')


class DatacenterTests(ScriptedTestCase):
    """Which nodes are used."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one = self.node("10.0.0.1")
        self.two = self.node("10.0.0.2")
        self.far = self.node("10.1.0.1", datacenter="dc2")

    def states(self) -> dict[str, str]:
        assert self.session is not None
        nodes = self.session.snapshot()["nodes"]
        return {name: f"{node['distance']} {node['state']}" for name, node in nodes.items()}

    def test_that_of_the_first_contact_point(self) -> None:
        """Nodes elsewhere are known, and left alone."""
        session = self.connect()
        self.assertEqual(
            self.states(),
            {"10.0.0.1:9042": "local up", "10.0.0.2:9042": "local up", "10.1.0.1:9042": "ignored down"},
        )
        self.assertEqual(self.far.accepted, 0)
        self.assertEqual(
            [str(node) for node in session.nodes],
            [
                "10.0.0.1:9042 (dc1/r1, up)",
                "10.0.0.2:9042 (dc1/r1, up)",
                "10.1.0.1:9042 (dc2/r1, down)",
            ],
        )

    def test_local_datacenter(self) -> None:
        """The one that was named is used, whichever node told of it."""
        self.connect(local_datacenter="dc2")
        self.assertEqual(self.states()["10.1.0.1:9042"], "local up")
        self.assertEqual([len(self.one.links), len(self.two.links), len(self.far.links)], [1, 0, 1])

    def test_wrong(self) -> None:
        """The error lists those that exist."""
        error = self.error(self.connecting(local_datacenter="dc3"), NoNodeAvailable)
        self.assertEqual(
            str(error),
            'no node is in the data center "dc3" (local_datacenter); there are: dc1, dc2',
        )

    def test_waits_for_each(self) -> None:
        """A node that refuses has had its first attempt, and is not waited for."""
        self.two.refusing = True
        self.connect()
        self.assertEqual(self.states()["10.0.0.2:9042"], "local down")

    def test_waits_two_seconds(self) -> None:
        """For a node that says nothing: at most 2 s after the first ready link."""
        self.two.silent = True
        connecting = self.connecting()
        self.reactor.advance(1.99)
        self.assertNoResult(connecting)
        self.reactor.advance(0.02)
        self.session = self.successResultOf(connecting)
        self.assertEqual(self.states()["10.0.0.2:9042"], "local down")
        # The attempt goes on in the background.
        self.two.silent = False
        self.reactor.advance(3.0)
        self.reactor.settle()
        self.assertEqual(self.states()["10.0.0.2:9042"], "local up")

    def test_no_pool(self) -> None:
        """The control link was opened, but no link of any pool: each node's reason is given."""
        self.node("10.0.0.3")
        del self.reactor.nodes["10.0.0.2", 9042]
        refused = []

        def refuse_the_second(link: Any, data: bytes) -> None:
            if self.one.accepted > 1:
                refused.append(link)
                link.drop()
            else:
                type(self.one).receive(self.one, link, data)

        self.one.receive = refuse_the_second  # type: ignore[method-assign]
        self.reactor.nodes["10.0.0.3", 9042].refusing = True
        error = self.error(self.connecting("10.0.0.1"), NoNodeAvailable)
        self.assertRegex(
            str(error),
            "cannot connect: 10.0.0.1:9042: the node closed the link before it answered anything: .*; "
            "10.0.0.2:9042 refused the connection; 10.0.0.3:9042 refused the connection",
        )
        self.assertEqual(len(error.errors), 3)
        self.assertEqual(len(refused), 1)


class GivingUpTests(ScriptedTestCase):
    """connect() that is cancelled: nothing goes on behind one's back."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one = self.node("10.0.0.1")
        self.two = self.node("10.0.0.2")

    def cancel(self, *points: str, **settings: Any) -> None:
        connecting = self.connecting(*points, **settings)
        dialled = len(self.reactor.dialled)
        self.assertNoResult(connecting)
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assert_nothing_left()
        self.assertEqual(len(self.reactor.dialled), dialled)

    def test_looking_up(self) -> None:
        """While a name is looked up."""
        self.reactor.slow_names = True
        self.cancel("slow.example", "10.0.0.2")

    def test_connecting(self) -> None:
        """While TCP connects: the next contact point is not tried."""
        self.one.silent = True
        self.cancel("10.0.0.1", "10.0.0.2")

    def test_shaking_hands(self) -> None:
        """In the middle of the handshake."""
        self.one.frozen = True
        self.cancel("10.0.0.1", "10.0.0.2")

    def test_reading_the_topology(self) -> None:
        """While the control link asks for the nodes."""
        own = type(self.one)._own

        def silent_about_itself(asked: Any) -> bool:
            return asked.opcode == constants.QUERY or own(self.one, asked)

        self.one._own = silent_about_itself  # type: ignore[method-assign]
        self.cancel("10.0.0.1", "10.0.0.2")

    def test_waiting_for_the_others(self) -> None:
        """While one node is ready and another one is waited for."""
        self.two.silent = True
        self.cancel("10.0.0.1")

    def test_done(self) -> None:
        """Afterwards there is nothing to cancel."""
        connecting = self.connecting()
        connecting.cancel()
        self.session = self.successResultOf(connecting)
