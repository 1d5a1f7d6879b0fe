"""Tests for :mod:`txcql.cli.doctor`: the cause of each mistake is named."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from txcql.cli import doctor
from txcql.cluster.contactpoints import parse_contact_points
from txcql.security.tls import TLS
from txcql.settings import Settings
from txcql.test.clicase import CommandTestCase
from txcql.test.test_tls import HOST, NODE, TLSTestCase, authority, certificate


class Http(Protocol):
    """Answers as web servers do."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


class DoctorTests(CommandTestCase):
    """From the name of a contact point to a session that is ready."""

    def test_well(self) -> None:
        """Each step, and what was found."""
        self.reactor.names["db"] = [self.cluster.contact_points[0].partition(":")[0]]
        port = self.cluster.contact_points[0].partition(":")[2]
        text = self.run_command("doctor", "--contact-point", f"db:{port}", "--keyspace", "shop", points=False)
        steps = [line.partition(":")[0] for line in text.splitlines()]
        self.assertEqual(
            steps,
            [
                "name",
                "connection",
                "protocol",
                "login",
                "keyspace",
                "data center",
                "nodes",
                "everything is well",
            ],
        )
        self.assertIn("version 5, Cassandra 5.0.5", text)
        self.assertIn("dc1 (2 nodes), dc2 (1 nodes)", text)

    def found(self, step: str, reason: str, *arguments: str, points: bool = True) -> None:
        """A mistake is found at a step, and told."""
        advice = self.fails("doctor", *arguments, points=points)
        self.assertTrue(advice.startswith(f"it fails at the {step}: "), advice)
        last = self.output.getvalue().splitlines()[-1]
        self.assertTrue(last.startswith(f"{step}:"), last)
        self.assertIn("FAILED: ", last)
        self.assertIn(reason, last)

    def test_name(self) -> None:
        self.found("name", '"nosuch" does not resolve', "--contact-point", "nosuch", points=False)

    def test_refused(self) -> None:
        self.found("connection", "refused the connection", "--contact-point", "127.0.0.77:9999", points=False)

    def test_not_cql(self) -> None:
        self.reactor.listenTCP(8080, Factory.forProtocol(Http), interface="127.0.0.88")
        self.found("protocol", "which is not CQL", "--contact-point", "127.0.0.88:8080", points=False)

    def test_keyspace(self) -> None:
        self.found("keyspace", 'keyspace "ship" does not exist', "--keyspace", "ship")

    def test_datacenter(self) -> None:
        self.found("data center", "there are: dc1 (2 nodes), dc2 (1 nodes)", "--local-datacenter", "DC1")

    def test_second_point(self) -> None:
        """One contact point that is well is enough; what is wrong with the others is told all the same."""
        text = self.run_command(
            "doctor", "--contact-point", "127.0.0.77:9999", "--contact-point", self.cluster.contact_points[0],
            points=False,
        )  # fmt: skip
        self.assertIn("connection:  FAILED: 127.0.0.77:9999 refused the connection", text)
        self.assertTrue(text.endswith("everything is well\n"))

    def test_a_node_out_of_reach(self) -> None:
        """A node that cannot be reached at the address that it tells."""
        self.cluster.nodes[1].refuse_connections()
        self.found("nodes", f"{self.cluster.nodes[1].contact_point} (dc1/")


class LoginTests(CommandTestCase):
    """A cluster that asks for a login."""

    def setUp(self) -> None:
        CommandTestCase.setUp(self)
        self.reactor.run(self.cluster.close())
        self.begin(credentials={"ada": "secret"})

    def login(self, reason: str, *arguments: Any) -> None:
        advice = self.fails("doctor", *arguments)
        self.assertTrue(advice.startswith("it fails at the login: "), advice)
        self.assertIn(reason, self.output.getvalue())

    def test_wrong(self) -> None:
        self.login("are incorrect", "--username", "ada", "--password", "wrong")

    def test_none_given(self) -> None:
        self.login("give username and password")

    def test_right(self) -> None:
        text = self.run_command("doctor", "--username", "ada", "--password", "secret")
        self.assertIn("login:       as ada\n", text)
        self.assertNotIn("secret", text)


class TLSMistakeTests(TLSTestCase):
    """What is wrong with TLS, on either side."""

    def told(self, point: str = HOST, **settings: Any) -> tuple[doctor.StepFailed, list[str]]:
        """The step at which an examination fails, and what was told before."""
        lines: list[str] = []
        points = parse_contact_points([point], 9042)
        examination = doctor.Doctor(
            self.reactor,
            points,
            Settings(**settings),
            None,
            lambda step, text: lines.append(f"{step[0]}: {text}"),
        ).examine()
        done = Deferred.fromCoroutine(examination)
        for _ in range(12):
            self.reactor.settle()
            self.reactor.advance(1)
        self.reactor.settle()
        return self.failureResultOf(done, doctor.StepFailed).value, lines

    def found(self, reason: str, point: str = HOST, **settings: Any) -> None:
        """It is told as a mistake of TLS."""
        failed, lines = self.told(point, **settings)
        self.assertEqual(failed.step, doctor.TLS)
        self.assertIn(reason, failed.reason)
        self.assertIn("accepts connections", lines[-1])

    def test_unknown_authority(self) -> None:
        self.secure_node()
        tls = TLS(authority("stranger").certificate)
        self.found("its authority is not trusted", tls=tls)

    def test_other_host(self) -> None:
        self.secure_node(files=certificate("other", "10.9.9.9", "other.example.com"))
        self.found('it is for "10.9.9.9", "other.example.com"', tls=self.trusting())

    def test_other_name(self) -> None:
        self.reactor.names["db.example.com"] = [HOST]
        self.secure_node(files=certificate("addressed", HOST))
        self.found(
            'the certificate of "db.example.com" is not accepted', "db.example.com", tls=self.trusting()
        )

    def test_expired(self) -> None:
        self.secure_node(files=certificate("expired", HOST, begins=-9, ends=-2))
        self.found("it has expired", tls=self.trusting())

    def test_no_certificate_of_the_client(self) -> None:
        self.secure_node(clients=authority().certificate)
        self.found("certificate of the client", tls=self.trusting())

    def test_strange_certificate_of_the_client(self) -> None:
        self.secure_node(clients=authority().certificate)
        mine, key = authority("stranger").sign("strange", "client")
        self.found("client's certificate", tls=self.trusting(certificate=mine, key=key))

    def test_old_versions(self) -> None:
        self.secure_node(newest=SSL.TLS1_1_VERSION)
        self.found("no TLS from version 1.2 on", tls=self.trusting())

    def test_a_node_that_says_so(self) -> None:
        """The side that speaks TLS, or does not, is named; what to change too."""
        node = self.node(HOST)
        self.found("it does not speak TLS, leave out tls=", tls=self.trusting())

        def alert(link: Any, data: bytes) -> None:
            link.raw(b"\x15\x03\x01\x00\x02\x02\x46")
            self.reactor.callLater(0, link.drop)

        node.receive = alert  # type: ignore[method-assign]
        self.found("speaks TLS, and this link does not: give tls=")

    def test_a_node_that_hangs_up(self) -> None:
        """It is tried out which side speaks TLS; a node that asks for the client's certificate speaks it."""
        choices: list[dict[str, Any]] = [{}, {"clients": authority().certificate}]
        for options in choices:
            node = self.secure_node(**options)
            receive = node.receive

            def hang_up(link: Any, data: bytes, receive: Any = receive) -> None:
                link.drop() if data[0] < 20 else receive(link, data)

            node.receive = hang_up  # type: ignore[method-assign]
            self.found(f"{NODE} speaks TLS, and this link does not: give tls=")
            self.reactor.nodes.clear()

    def test_a_plain_node_that_hangs_up(self) -> None:
        node = self.node(HOST)
        receive = node.receive
        node.receive = lambda link, data: (  # type: ignore[method-assign]
            link.drop() if data[0] == 22 else receive(link, data)
        )
        self.found(f"{NODE} does not speak TLS, and this side does: leave out tls=", tls=self.trusting())

    def test_a_node_that_always_hangs_up(self) -> None:
        """It is none of CQL's, for all that is known."""
        node = self.node(HOST)
        node.receive = lambda link, data: link.drop()  # type: ignore[method-assign]
        for tls in (None, self.trusting()):
            failed, _ = self.told(tls=tls)
            self.assertEqual(failed.step, doctor.PROTOCOL)
            self.assertIn("closed the link before it answered anything", failed.reason)

    def test_silence(self) -> None:
        """A port that accepts, and then hangs."""
        self.secure_node().frozen = True
        for tls in (None, self.trusting()):
            failed, _ = self.told(tls=tls)
            self.assertEqual(failed.step, doctor.PROTOCOL)
            self.assertIn("did not finish the handshake within 5 s", failed.reason)
