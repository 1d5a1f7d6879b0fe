"""TLS and authentication. It knows no connections."""

from txcql.security.authenticators import PlainAuthenticator
from txcql.security.login import Login
from txcql.security.secret import Secret
from txcql.security.tls import TLS, TLSPeer
from txcql.security.tlsendpoint import TLSEndpoint

__all__ = ["TLS", "Login", "PlainAuthenticator", "Secret", "TLSEndpoint", "TLSPeer"]
