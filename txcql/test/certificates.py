"""Authorities and certificates for tests, made on the spot: valid, expired, of other names."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

__all__ = ["Authority", "ServerConnections", "server_context"]

_DAY = datetime.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _alternative(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Authority:
    """Signs certificates.

    :param folder: where the files go.
    :param name: of the authority, and of its file.
    :ivar certificate: its own certificate, a PEM file.
    """

    @classmethod
    def load(cls, folder: Path, certificate: Path, key: Path) -> Authority:
        """One that exists.

        :param folder: where the files go.
        :param certificate: its certificate, a PEM file; ``key`` too.
        """
        made = cls.__new__(cls)
        made._folder = folder
        made._key = serialization.load_pem_private_key(key.read_bytes(), None)
        made.certificate = certificate
        made._subject = x509.load_pem_x509_certificate(certificate.read_bytes()).subject
        return made

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._subject = _name(name)
        self._key: Any = ec.generate_private_key(ec.SECP256R1())
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = self._builder(name, self._key.public_key(), -1, 30)
        made = builder.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def sign(self, file: str, *names: str, begins: int = -1, ends: int = 30) -> tuple[Path, Path]:
        """Make a key and a certificate for it.

        :param file: the name of the files.
        :param names: host names and addresses.
        :param begins: days from now; ``ends`` too.
        :returns: the PEM files of certificate and key.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(file, key.public_key(), begins, ends)
        if names:
            alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        made = builder.sign(self._key, hashes.SHA256())
        paths = self._folder / f"{file}.pem", self._folder / f"{file}.key"
        paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths

    def _builder(
        self, subject: str, key: ec.EllipticCurvePublicKey, begins: int, ends: int
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(self._subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins * _DAY)
            .not_valid_after(now + ends * _DAY)
        )


def server_context(
    certificate: Path, key: Path, clients: Path | None = None, newest: int | None = None
) -> Any:
    """The OpenSSL context of a node.

    :param clients: the authority of the certificates that clients must have; ``None`` asks for none.
    :param newest: the newest version of TLS that it speaks.
    """
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate_chain_file(str(certificate))
    context.use_privatekey_file(str(key))
    if newest is not None:
        context.set_max_proto_version(newest)
    if clients is not None:
        context.load_verify_locations(str(clients))
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *rest: bool(rest[-1]))
    return context


@implementer(IOpenSSLServerConnectionCreator)
class ServerConnections:
    """A node's side of TLS, as Twisted takes it.

    :param context: its OpenSSL context.
    """

    def __init__(self, context: Any) -> None:
        self._context = context

    def serverConnectionForTLS(self, protocol: Any) -> Any:
        return SSL.Connection(self._context, None)
