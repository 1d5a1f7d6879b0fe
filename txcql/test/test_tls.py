"""TLS in memory: whom the driver trusts, what it shows, and what it says when that fails."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import txcql
from txcql import TLS, TLSPeer
from txcql.errors import CQLError, NoNodeAvailable, TLSError
from txcql.settings import Settings
from txcql.test.certificates import Authority, server_context
from txcql.test.scriptednode import ScriptedTestCase, columns
from txcql.test.tlsnode import TLSNode

SELECT = "SELECT v FROM t"
HOST = "10.0.0.1"
NODE = f"{HOST}:9042"

_folder: list[tempfile.TemporaryDirectory[str]] = []
_made: dict[str, Any] = {}


def folder() -> Path:
    """A folder that lives as long as the process does."""
    if not _folder:
        _folder.append(tempfile.TemporaryDirectory())
    return Path(_folder[0].name)


def authority(name: str = "authority") -> Authority:
    """An authority, made once."""
    if name not in _made:
        _made[name] = Authority(folder(), name)
    found: Authority = _made[name]
    return found


def certificate(file: str, *names: str, **days: int) -> tuple[Path, Path]:
    """A certificate and its key, made once."""
    if file not in _made:
        _made[file] = authority().sign(file, *names, **days)
    found: tuple[Path, Path] = _made[file]
    return found


class TLSTestCase(ScriptedTestCase):
    """A node that speaks TLS, and an authority that has signed its certificate."""

    def secure_node(self, address: str = HOST, files: Any = None, **options: Any) -> TLSNode:
        """A node that speaks TLS."""
        files = files or certificate("node", HOST, "10.0.0.2", "db.example.com")
        node = TLSNode(self.reactor, address, context=server_context(*files, **options))
        node.teach(SELECT, columns=columns(v="int"), rows=[[7]])
        for other in self.reactor.nodes.values():
            other.peers.append(node)
            node.peers.append(other)
        self.reactor.nodes[address, 9042] = node
        return node

    def trusting(self, **arguments: Any) -> TLS:
        """What trusts the authority."""
        return TLS(authority().certificate, **arguments)

    def refused(self, tls: Any, *points: str) -> str:
        """What connecting says; it is an error of TLS."""
        error = self.error(self.connecting(*points, tls=tls), NoNodeAvailable)
        (cause,) = error.errors.values()
        self.assertIsInstance(cause, TLSError)
        self.assertEqual(cause.node, NODE)
        self.assertIn(str(cause), str(error))
        return str(cause)


class TrustTests(TLSTestCase):
    """Which certificates are accepted."""

    def test_address(self) -> None:
        """The address of a node stands in its certificate; every link speaks TLS."""
        one, two = self.secure_node(), self.secure_node("10.0.0.2")
        session = self.connect(tls=self.trusting())
        for _ in range(2):
            self.assertEqual(self.answer(session.execute(SELECT)).one().v, 7)
        self.assertEqual([len(one.secured), len(two.secured)], [2, 1])
        # No name is sent for an address.
        self.assertEqual(one.names, [None, None])

    def test_name(self) -> None:
        """A contact point that is given by name is verified, and asked for, by that name."""
        self.reactor.names["db.example.com"] = [HOST]
        node = self.secure_node(files=certificate("named", "db.example.com"))
        session = self.connect("db.example.com", tls=self.trusting())
        self.assertEqual(self.answer(session.execute(SELECT)).one().v, 7)
        self.assertEqual(node.names, [b"db.example.com"] * 2)

    def test_unknown_authority(self) -> None:
        """The certificate's own reason, the host, and the setting."""
        self.secure_node()
        text = self.refused(TLS(authority("stranger").certificate))
        self.assertIn(f'{NODE}: the certificate of "{HOST}" is not accepted: ', text)
        self.assertIn("unable to get local issuer certificate: its authority is not trusted", text)
        self.assertIn("tls=TLS(trust_root=", text)
        self.assertIn("stranger.pem", text)

    def test_other_host(self) -> None:
        """The names in the certificate are told."""
        self.secure_node(files=certificate("other", "10.9.9.9", "other.example.com"))
        text = self.refused(self.trusting())
        self.assertIn('it is for "10.9.9.9", "other.example.com"', text)

    def test_other_name(self) -> None:
        """The address alone does not do where a name was given."""
        self.reactor.names["db.example.com"] = [HOST]
        self.secure_node(files=certificate("addressed", HOST))
        text = self.refused(self.trusting(), "db.example.com")
        self.assertIn('the certificate of "db.example.com" is not accepted: it is for "10.0.0.1"', text)

    def test_no_name(self) -> None:
        """The common name is of no account."""
        self.secure_node(files=certificate("nameless"))
        self.assertIn("it has no subjectAltName", self.refused(self.trusting()))

    def test_expired(self) -> None:
        """Since when."""
        self.secure_node(files=certificate("expired", HOST, begins=-9, ends=-2))
        self.assertIn("it has expired (not valid after 20", self.refused(self.trusting()))

    def test_not_valid_yet(self) -> None:
        """From when on."""
        self.secure_node(files=certificate("early", HOST, begins=2))
        self.assertIn("it is not valid yet (not valid before 20", self.refused(self.trusting()))

    def test_expired_without_names(self) -> None:
        """``verify="ca"`` looks at the dates all the same."""
        self.secure_node(files=certificate("expired", HOST, begins=-9, ends=-2))
        self.assertIn("it has expired", self.refused(self.trusting(verify="ca")))

    def test_authority_only(self) -> None:
        """``verify="ca"`` takes any name."""
        self.secure_node(files=certificate("other", "10.9.9.9", "other.example.com"))
        session = self.connect(tls=self.trusting(verify="ca"))
        self.assertEqual(self.answer(session.execute(SELECT)).one().v, 7)

    def test_nothing(self) -> None:
        """``verify="none"`` takes any certificate."""
        self.secure_node(files=certificate("expired", HOST, begins=-9, ends=-2))
        session = self.connect(tls=TLS(verify="none"))
        self.assertEqual(self.answer(session.execute(SELECT)).one().v, 7)

    def test_server_name(self) -> None:
        """A name for all nodes, in place of their addresses."""
        node = self.secure_node(files=certificate("named", "db.example.com"))
        session = self.connect(tls=self.trusting(server_name="db.example.com"))
        self.assertEqual(self.answer(session.execute(SELECT)).one().v, 7)
        self.assertEqual(set(node.names), {b"db.example.com"})

    def test_server_name_of_each_node(self) -> None:
        """A proxy tells nodes apart by a name: it may come of what is known of the node."""
        asked: list[TLSPeer] = []

        def name(peer: TLSPeer) -> str | None:
            asked.append(peer)
            return f"{peer.host_id}.example.com" if peer.host_id is not None else None

        one, two = self.secure_node(), None
        host_id = TLSNode(self.reactor, "10.0.0.2").host_id
        two = self.secure_node("10.0.0.2", certificate("second", f"{host_id}.example.com"))
        self.connect(tls=self.trusting(server_name=name))
        self.assertEqual(two.names, [f"{host_id}.example.com".encode()])
        self.assertEqual(one.names, [None, None])
        self.assertEqual(asked[0], TLSPeer(NODE, HOST))
        self.assertIn(TLSPeer("10.0.0.2:9042", "10.0.0.2", host_id, "dc1"), asked)

    def test_server_name_that_fails(self) -> None:
        """A defect of the application's fails the attempt, not the reactor."""
        self.secure_node()
        for name in (lambda peer: 7, lambda peer: 1 / 0):
            error = self.error(self.connecting(tls=self.trusting(server_name=name)), CQLError)
            self.assertIn(NODE, str(error))

    def test_trust_roots_of_twisted(self) -> None:
        """A certificate, or several."""
        self.secure_node()
        loaded = ssl.Certificate.loadPEM(authority().certificate.read_bytes())
        for root in (loaded, ssl.trustRootFromCertificates([loaded])):
            session = self.connect(tls=TLS(root))
            self.assertEqual(self.answer(session.execute(SELECT)).one().v, 7)
            self.answer(session.close())

    def test_contexts_of_twisted(self) -> None:
        """Whatever Twisted takes for a client's side of TLS."""
        self.secure_node()
        loaded = ssl.Certificate.loadPEM(authority().certificate.read_bytes())
        for tls in (ssl.optionsForClientTLS(HOST, loaded), ssl.CertificateOptions(trustRoot=loaded)):
            session = self.connect(tls=tls)
            self.assertEqual(self.answer(session.execute(SELECT)).one().v, 7)
            self.answer(session.close())

    def test_contexts_of_twisted_that_refuse(self) -> None:
        """Their errors are errors of TLS, too."""
        self.secure_node()
        loaded = ssl.Certificate.loadPEM(authority("stranger").certificate.read_bytes())
        self.assertIn(
            "its certificate is not accepted", self.refused(ssl.CertificateOptions(trustRoot=loaded))
        )
        mine = ssl.Certificate.loadPEM(authority().certificate.read_bytes())
        text = self.refused(ssl.optionsForClientTLS("elsewhere.example.com", mine))
        self.assertIn("tls=", text)


class ShownTests(TLSTestCase):
    """Certificates of the client."""

    def test_required(self) -> None:
        """It is shown, and accepted; the key may be in the same file."""
        self.secure_node(clients=authority().certificate)
        mine, key = certificate("client", "client")
        both = folder() / "both.pem"
        both.write_bytes(mine.read_bytes() + key.read_bytes())
        for arguments in ({"certificate": str(mine), "key": key}, {"certificate": both}):
            session = self.connect(tls=self.trusting(**arguments))
            self.assertEqual(self.answer(session.execute(SELECT)).one().v, 7)
            self.answer(session.close())

    def test_private_certificate(self) -> None:
        """As Twisted has them."""
        self.secure_node(clients=authority().certificate)
        mine, key = certificate("client", "client")
        loaded = ssl.PrivateCertificate.loadPEM(mine.read_bytes() + key.read_bytes())
        session = self.connect(tls=self.trusting(certificate=loaded))
        self.assertEqual(self.answer(session.execute(SELECT)).one().v, 7)
        self.assertNotIn("PRIVATE", repr(self.trusting(certificate=loaded)))

    def test_missing(self) -> None:
        """With TLS 1.3 the handshake ends well, and the first read says it."""
        for newest in (SSL.TLS1_3_VERSION, SSL.TLS1_2_VERSION):
            self.secure_node(clients=authority().certificate, newest=newest)
            text = self.refused(self.trusting())
            self.assertIn(f"{NODE}: ", text)
            self.assertIn("certificate of the client", text)

    def test_of_a_stranger(self) -> None:
        """The node does not know who signed it."""
        self.secure_node(clients=authority().certificate)
        mine, key = authority("stranger").sign("strange", "client")
        text = self.refused(self.trusting(certificate=mine, key=key))
        self.assertIn("client's certificate", text)


class WhoSpeaksTLSTests(TLSTestCase):
    """Only one side speaks TLS, or both speak others."""

    def test_plaintext_to_tls(self) -> None:
        """The node answers with an alert, which may be shorter than the header of a frame."""
        node = self.node(HOST)
        for more in (b"", b"\x15\x03\x01\x00\x02\x01\x00"):

            def answer(link: Any, data: bytes, more: bytes = more) -> None:
                link.raw(b"\x15\x03\x01\x00\x02\x02\x46" + more)
                self.reactor.callLater(0, link.drop)

            node.receive = answer  # type: ignore[method-assign]
            said = f"{NODE} speaks TLS, and this link does not: give tls=, as in tls=txcql.TLS()"
            self.assertEqual(self.refused(None), said)

    def test_plaintext_to_tls_that_hangs_up(self) -> None:
        """As Cassandra does: nothing is said for certain."""
        node = self.node(HOST)
        node.receive = lambda link, data: link.drop()  # type: ignore[method-assign]
        error = self.error(self.connecting(), NoNodeAvailable)
        self.assertIn(
            f"{NODE}: the node closed the link before it answered anything: it may speak TLS", str(error)
        )
        self.assertIn("give tls=", str(error))

    def test_tls_to_plaintext(self) -> None:
        """The node answers with a frame."""
        self.node(HOST)
        text = self.refused(self.trusting())
        self.assertIn("it answers in plaintext: it does not speak TLS, leave out tls=", text)

    def test_tls_to_one_that_hangs_up(self) -> None:
        """It may not speak TLS."""
        node = self.node(HOST)
        node.receive = lambda link, data: link.drop()  # type: ignore[method-assign]
        error = self.error(self.connecting(tls=self.trusting()), NoNodeAvailable)
        self.assertIn(
            "the node closed the link before it answered anything: it may not speak TLS", str(error)
        )

    def test_old_versions(self) -> None:
        """Nothing below 1.2 is spoken."""
        self.secure_node(newest=SSL.TLS1_1_VERSION)
        self.assertIn("no TLS from version 1.2 on", self.refused(self.trusting()))

    def test_a_node_that_does_not_close(self) -> None:
        """The end of TLS is not waited for: the links are aborted."""
        node = self.secure_node()
        session = self.connect(tls=self.trusting())
        node.never_closes = node.frozen = True
        closed = session.close()
        self.reactor.advance(1.9)
        self.assertNoResult(closed)
        self.reactor.advance(0.2)
        self.reactor.settle()
        self.successResultOf(closed)

    def test_silence(self) -> None:
        """One that accepts and says nothing: the handshake of TLS counts as a part of the link's."""
        node = self.secure_node()
        node.frozen = True
        connecting = self.connecting(tls=self.trusting())
        for _ in range(12):
            self.reactor.advance(1)
        error = self.error(connecting, NoNodeAvailable)
        self.assertIn("did not finish the handshake within 5 s", str(error))


class ReloadTests(TLSTestCase):
    """Files that are replaced while a session lives."""

    def setUp(self) -> None:
        super().setUp()
        self.file = folder() / "reload.pem"
        self.replace(authority("stranger").certificate.read_bytes(), 1)

    def replace(self, content: bytes, second: int) -> None:
        self.file.write_bytes(content)
        os.utime(self.file, (second, second))

    def test_next_link(self) -> None:
        """It trusts what the file holds by then."""
        self.secure_node()
        tls = TLS(self.file)
        self.assertIn("not accepted", self.refused(tls))
        self.replace(authority().certificate.read_bytes(), 2)
        session = self.connect(tls=tls)
        self.assertEqual(self.answer(session.execute(SELECT)).one().v, 7)

    def test_half_written(self) -> None:
        """What cannot be read is not used; the log says so, once, and the links go on."""
        self.secure_node()
        self.replace(authority().certificate.read_bytes(), 2)
        tls = TLS(self.file)
        self.replace(b"-----BEGIN CERT", 3)
        session = self.connect(tls=tls)
        self.assertEqual(self.answer(session.execute(SELECT)).one().v, 7)
        self.file.unlink()
        self.assertIsNotNone(tls.context())
        self.replace(authority().certificate.read_bytes(), 4)
        self.assertIsNotNone(tls.context())

    def test_unchanged(self) -> None:
        """The same files make the same context."""
        tls = TLS(self.file)
        self.assertIs(tls.context(), tls.context())


class ArgumentTests(SynchronousTestCase):
    """Mistakes are found when it is made."""

    def refuse(self, kind: type[Exception], text: str, *arguments: Any, **named: Any) -> None:
        with self.assertRaisesRegex(kind, text):
            TLS(*arguments, **named)

    def test_mistakes(self) -> None:
        mine, key = certificate("client", "client")
        other = certificate("node", HOST, "10.0.0.2", "db.example.com")[1]
        self.refuse(ValueError, '^verify must be "full", "ca" or "none", got True$', verify=True)
        self.refuse(FileNotFoundError, "nowhere.pem", folder() / "nowhere.pem")
        self.refuse(ValueError, "holds no certificate in PEM", key)
        self.refuse(TypeError, "trust_root must be a file", 7)
        self.refuse(ValueError, "key goes with certificate", key=key)
        self.refuse(FileNotFoundError, "nowhere.key", certificate=mine, key=folder() / "nowhere.key")
        self.refuse(ValueError, "is no certificate in PEM", certificate=key)
        self.refuse(ValueError, "is no key in PEM", certificate=mine)
        self.refuse(ValueError, "or of another certificate|is not that of", certificate=mine, key=other)
        self.refuse(TypeError, "a file or a PrivateCertificate, got int", certificate=7)
        self.refuse(TypeError, "server_name must be a str or a callable", server_name=7)

    def test_settings(self) -> None:
        """What is none of these is refused at once."""
        with self.assertRaisesRegex(TypeError, "^tls must be a txcql.TLS, or a client context"):
            Settings(tls=True)
        self.assertIsNone(Settings().tls)

    def test_without_the_extra(self) -> None:
        """It names what is to be installed."""
        for missing in ("OpenSSL", "service_identity.pyopenssl"):
            with mock.patch.dict(sys.modules, {missing: None}):
                self.refuse(ImportError, r'pip install "txcql\[tls\]"$')

    def test_interface(self) -> None:
        """What it gives Twisted for each connection."""
        verifyObject(IOpenSSLClientConnectionCreator, TLS(verify="none").connection_for(TLSPeer(NODE, HOST)))

    def test_repr(self) -> None:
        """What is trusted and who is shown, as it may stand in an error."""
        mine, key = certificate("client", "client")
        tls = TLS(certificate=mine, key=key, verify="ca", server_name="a")
        self.assertEqual(
            repr(tls), f"TLS(trust_root=None, verify='ca', certificate={mine!r}, server_name='a')"
        )

    def test_platform(self) -> None:
        """Without a trust root, the platform's."""
        self.assertIsNotNone(TLS().context())
        self.assertIs(txcql.TLS, TLS)
