"""What OpenSSL means, in words that say what to do."""

from __future__ import annotations

from typing import Any

from txcql.errors import TLSError

__all__ = ["tls_error", "verify_reason"]

_VERIFY = {
    2: "unable to get issuer certificate",
    7: "its signature is wrong",
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed, and not trusted itself",
    19: "self-signed certificate in certificate chain: its authority is not trusted",
    20: "unable to get local issuer certificate: its authority is not trusted",
    21: "unable to verify the first certificate: its authority is not trusted",
    23: "it was revoked",
    24: "it was signed by one that may not sign",
    26: "it is not meant for a server",
}
"""OpenSSL's X509_V_ERR codes; the texts keep its own words where people search for them."""

_DATES = {9: "not_valid_before", 10: "not_valid_after"}

# A part of OpenSSL's reason -> what it means.
_REASONS = (
    ("wrong version number", "it answers in plaintext: it does not speak TLS, leave out tls="),
    ("http request", "it answers in plaintext: it does not speak TLS, leave out tls="),
    ("packet length too long", "it answers in plaintext: it does not speak TLS, leave out tls="),
    (
        "certificate required",
        "it requires a certificate of the client: give certificate and key, "
        "as in tls=txcql.TLS(certificate=…, key=…)",
    ),
    ("alert unknown ca", "it does not trust the authority of the client's certificate (certificate of tls=)"),
    ("alert certificate expired", "the client's certificate has expired (certificate of tls=)"),
    ("alert certificate unknown", "it does not accept the client's certificate (certificate of tls=)"),
    (
        "alert bad certificate",
        "it does not accept the client's certificate, or requires one (certificate of tls=)",
    ),
    (
        "alert handshake failure",
        "no way to speak TLS that both sides accept, or it requires a certificate of the client",
    ),
    ("alert protocol version", "it speaks no TLS from version 1.2 on"),
    ("unsupported protocol", "it speaks no TLS from version 1.2 on"),
    ("alert unrecognized name", "it does not know the name that was asked for (server_name of tls=)"),
    ("certificate verify failed", "its certificate is not accepted (tls=)"),
)


def verify_reason(code: int, certificate: Any) -> str:
    """Why OpenSSL does not accept a certificate of the chain.

    :param code: its X509_V_ERR code.
    """
    reason = _VERIFY.get(code, f"OpenSSL's verification error {code}")
    if code in _DATES:
        found = certificate.to_cryptography()
        date = getattr(found, f"{_DATES[code]}_utc", None) or getattr(found, _DATES[code])
        reason += f" ({_DATES[code].replace('_', ' ')} {date:%Y-%m-%d %H:%M:%S} UTC)"
    return reason


def tls_error(node: str, cause: BaseException) -> TLSError | None:
    """The error of a link that was lost for a reason of TLS; ``None`` if that is not why.

    :param node: the ``host:port`` of the link.
    :param cause: what the transport gave as its reason.
    """
    if isinstance(cause, TLSError):
        return cause
    kind = type(cause)
    if kind.__module__.partition(".")[0] == "service_identity":
        text = f"the certificate is for another host (tls=): {cause}"
    elif kind.__module__.partition(".")[0] == "OpenSSL":
        said = _said(cause)
        meant = next((meaning for part, meaning in _REASONS if part in said), None)
        text = f"{meant} ({said})" if meant is not None else f"TLS failed: {said}"
    else:
        return None
    error = TLSError(f"{node}: {text}")
    error.node = node
    error.__cause__ = cause
    return error


def _said(cause: BaseException) -> str:
    """OpenSSL's own words, without its library and function."""
    found = cause.args[0] if cause.args else ""
    if not isinstance(found, list):
        return str(cause) or type(cause).__name__
    return "; ".join(str(entry[-1]) for entry in found) or type(cause).__name__
