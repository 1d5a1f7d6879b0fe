"""How the fake says that something is beyond it: always in the same words."""

from __future__ import annotations

from txcql.errors import InvalidRequest

__all__ = ["NOT_SUPPORTED", "unsupported"]

NOT_SUPPORTED = "not supported by txcql.testing"
"""What the text of every refusal says."""


def unsupported(what: str) -> InvalidRequest:
    """The error for what real Cassandra may well do, and the fake does not.

    :param what: the subject of the sentence.
    """
    return InvalidRequest(f"{what} is {NOT_SUPPORTED}")
