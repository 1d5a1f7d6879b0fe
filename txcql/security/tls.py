"""TLS: whom to trust, and what to show."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from txcql.errors import TLSError
from txcql.security.tlsreasons import verify_reason

__all__ = ["TLS", "TLSPeer"]

log = Logger(namespace="txcql.security")

MISSING = 'TLS needs pyOpenSSL and service-identity: pip install "txcql[tls]"'


class TLSPeer(NamedTuple):
    """The node that a link goes to, as far as it is known before it is connected.

    :ivar name: its ``host:port``, with a numeric host.
    :ivar host: the host name of a contact point that was given by name; else the address.
    :ivar host_id: its identity; ``None`` for a contact point.
    :ivar datacenter: its data center; ``None`` for a contact point.
    """

    name: str
    host: str
    host_id: UUID | None = None
    datacenter: str | None = None


class TLS:
    """How links speak TLS, from version 1.2 on.

    Files are looked at again for each link: a certificate that is replaced is used from then on,
    without a restart. If the new ones cannot be read, the old ones are kept, and the log says so.

    :param trust_root: whose certificates are trusted: a PEM file with one or more authorities, or
        what Twisted takes for a trust root; ``None`` takes the platform's.
    :param verify: ``"full"``: the node's certificate is signed by one of these and names the host;
        ``"ca"``: its name is of no concern; ``"none"``: it is not looked at.
    :param certificate: a PEM file with the client's certificate, and the chain behind it; or a
        :class:`twisted.internet.ssl.PrivateCertificate`.
    :param key: a PEM file with its key; ``None`` takes the certificate's file.
    :param server_name: the name that the certificate must have, and that is sent to the node (SNI);
        or a callable that gives it for a :class:`TLSPeer`, ``None`` for the usual: the host name of
        the contact point, or the address of the node.
    :raises ImportError: the extra ``tls`` is not installed.
    :raises TypeError: an argument of the wrong type.
    :raises ValueError: one out of its range, or a file that holds something else.
    :raises OSError: a file that cannot be read.
    """

    def __init__(
        self,
        trust_root: Any = None,
        *,
        verify: str = "full",
        certificate: Any = None,
        key: str | os.PathLike[str] | None = None,
        server_name: str | Callable[[TLSPeer], str | None] | None = None,
    ) -> None:
        if verify not in ("full", "ca", "none"):
            raise ValueError(f'verify must be "full", "ca" or "none", got {verify!r}')
        if key is not None and not isinstance(certificate, str | os.PathLike):
            raise ValueError("key goes with certificate, and both are the names of files")
        if server_name is not None and not isinstance(server_name, str) and not callable(server_name):
            raise TypeError(f"server_name must be a str or a callable, got {server_name!r}")
        self.verify = verify
        self._trust_root = trust_root
        self._certificate = certificate
        self._key = certificate if key is None else key
        self._server_name = server_name
        files: list[Any] = [trust_root, certificate, key]
        self._files = [os.fspath(file) for file in files if _is_path(file)]
        self._seen = self._state()
        self._context = self._make_context()

    def connection_for(self, peer: TLSPeer) -> PeerConnections:
        """What makes the TLS connections to one node: an ``IOpenSSLClientConnectionCreator``."""
        name = self._server_name(peer) if callable(self._server_name) else self._server_name
        if name is not None and not isinstance(name, str):
            raise TypeError(f"server_name must give a str, got {name!r}")
        return PeerConnections(self, self.context(), peer.name, name or peer.host)

    def context(self) -> Any:
        """The OpenSSL context of the files as they are now."""
        seen = self._state()
        if seen != self._seen:
            self._seen = seen
            try:
                self._context = self._make_context()
            except Exception as error:
                log.error("TLS goes on with the certificates it has: {error}", error=error)
            else:
                log.info("TLS: the certificates were read again")
        return self._context

    def refused(self, node: str, host: str, reason: str) -> TLSError:
        """The error for a certificate that is not accepted."""
        error = TLSError(
            f'{node}: the certificate of "{host}" is not accepted: {reason}; '
            f"what is accepted is said by tls={self!r}"
        )
        error.node = node
        return error

    def __repr__(self) -> str:
        parts = [f"trust_root={self._trust_root!r}", f"verify={self.verify!r}"]
        if self._certificate is not None:
            shown = self._certificate if _is_path(self._certificate) else "…"
            parts.append(f"certificate={shown!r}")
        if self._server_name is not None:
            parts.append(f"server_name={self._server_name!r}")
        return f"TLS({', '.join(parts)})"

    # Inside.

    def _state(self) -> list[tuple[int, int, int] | None]:
        """What changes when a file is replaced."""
        state: list[tuple[int, int, int] | None] = []
        for file in self._files:
            try:
                found = os.stat(file)
            except OSError:
                state.append(None)
            else:
                state.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return state

    def _make_context(self) -> Any:
        try:
            import service_identity.pyopenssl  # noqa: F401
            from OpenSSL import SSL
        except ImportError as error:
            raise ImportError(MISSING) from error
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION)
        if self.verify != "none":
            self._trust(context)
        if self._certificate is not None:
            self._show(context)
        return context

    def _trust(self, context: Any) -> None:
        from OpenSSL import SSL
        from twisted.internet import ssl

        root = self._trust_root
        if root is None:
            context.set_default_verify_paths()
        elif _is_path(root):
            _must_exist(root)
            try:
                context.load_verify_locations(os.fspath(root))
            except SSL.Error:
                raise ValueError(f"trust_root {os.fspath(root)!r} holds no certificate in PEM") from None
        else:
            if isinstance(root, ssl.Certificate):
                root = ssl.trustRootFromCertificates([root])  # type: ignore[no-untyped-call]
            add = getattr(root, "_addCACertsToContext", None)
            if add is None:
                raise TypeError(f"trust_root must be a file or a trust root of Twisted's, got {root!r}")
            add(context)

    def _show(self, context: Any) -> None:
        from OpenSSL import SSL

        certificate = self._certificate
        if not _is_path(certificate):
            try:
                shown, key = certificate.original, certificate.privateKey.original
            except AttributeError:
                raise TypeError(
                    f"certificate must be a file or a PrivateCertificate, got {type(certificate).__name__}"
                ) from None
            _use(context.use_certificate, shown.to_cryptography(), shown)
            _use(context.use_privatekey, key.to_cryptography_key(), key)
            return
        _must_exist(certificate)
        _must_exist(self._key)
        try:
            context.use_certificate_chain_file(os.fspath(certificate))
        except SSL.Error:
            raise ValueError(f"certificate {os.fspath(certificate)!r} is no certificate in PEM") from None
        key = _load_key(os.fspath(self._key))
        try:
            _use(context.use_privatekey, key, None)
            context.check_privatekey()
        except SSL.Error:
            raise ValueError(
                f"key {os.fspath(self._key)!r} is not that of {os.fspath(certificate)!r}"
            ) from None


def _load_key(file: str) -> Any:
    """
    :raises ValueError: the file holds no key that can be read.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        # Not by OpenSSL itself: of a key with a password, that would ask at the terminal.
        with open(file, "rb") as stream:
            return load_pem_private_key(stream.read(), None)
    except TypeError:
        problem = "has a password, and must have none"
    except (ValueError, UnsupportedAlgorithm):
        problem = "is no key in PEM"
    raise ValueError(f"key {file!r} {problem}")


def _use(use: Callable[[Any], None], new: Any, old: Any) -> None:
    """Give pyOpenSSL an object of cryptography's; older ones want their own."""
    from OpenSSL import crypto

    try:
        use(new)
    except TypeError:
        use(crypto.PKey.from_cryptography_key(new) if old is None else old)


def _is_path(value: object) -> bool:
    return isinstance(value, str | os.PathLike)


def _must_exist(file: str | os.PathLike[str]) -> None:
    """
    :raises OSError: it cannot be read; OpenSSL's own words are of no use.
    """
    with open(file, "rb"):
        pass


@implementer(IOpenSSLClientConnectionCreator)
class PeerConnections:
    """Makes the TLS connections to one node, and looks at its certificate.

    :param tls: says what is accepted.
    :param context: the OpenSSL context.
    :param node: the node's ``host:port``.
    :param host: the name or address that its certificate must have.
    """

    def __init__(self, tls: TLS, context: Any, node: str, host: str) -> None:
        self.tls = tls
        self.node = node
        self.host = host
        self._context = context
        try:
            ipaddress.ip_address(host)
            self.is_address = True
        except ValueError:
            self.is_address = False

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:
        from OpenSSL import SSL

        connection = SSL.Connection(self._context, None)
        if not self.is_address:
            connection.set_tlsext_host_name(_encoded(self.host))
        if self.tls.verify == "none":
            connection.set_verify(SSL.VERIFY_NONE, lambda *_: True)
        else:
            connection.set_verify(SSL.VERIFY_PEER, _Verifier(self, tlsProtocol))
        return connection

    def problem(self, certificate: Any) -> str | None:
        """Why the certificate is not that of the host; ``None`` if it is."""
        if self.tls.verify != "full":
            return None
        from service_identity import CertificateError, VerificationError
        from service_identity.pyopenssl import verify_hostname, verify_ip_address

        verify: Any = verify_ip_address if self.is_address else verify_hostname
        try:
            verify(_Shown(certificate), _encoded(self.host).decode() if not self.is_address else self.host)
        except (VerificationError, CertificateError):
            return f"it is for {_names(certificate)}"
        return None


class _Shown:
    """What service-identity takes for a connection: it asks for the certificate only."""

    def __init__(self, certificate: Any) -> None:
        self._certificate = certificate

    def get_peer_certificate(self) -> Any:
        return self._certificate


class _Verifier:
    """Called by OpenSSL for each certificate of one connection's chain."""

    def __init__(self, creator: PeerConnections, protocol: Any) -> None:
        self._creator = creator
        self._protocol = protocol

    def __call__(self, connection: Any, certificate: Any, code: int, depth: int, accepted: int) -> bool:
        creator = self._creator
        try:
            reason = None
            if not accepted:
                reason = verify_reason(code, certificate)
            elif depth == 0:
                reason = creator.problem(certificate)
            if reason is None:
                return True
            error = creator.tls.refused(creator.node, creator.host, reason)
            self._protocol.failVerification(Failure(error))  # type: ignore[no-untyped-call]
        except Exception:
            # OpenSSL would swallow it.
            log.failure("{node}: a defect in looking at a certificate", node=creator.node)
        return False


def _encoded(host: str) -> bytes:
    if host.isascii():
        return host.encode()
    import idna

    return idna.encode(host)


def _names(certificate: Any) -> str:
    """What a certificate is for, in its own words."""
    from cryptography import x509

    try:
        extension = certificate.to_cryptography().extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return "no name at all (it has no subjectAltName)"
    return ", ".join(f'"{name.value}"' for name in extension.value)
