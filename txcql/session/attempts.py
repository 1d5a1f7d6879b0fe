"""What a request went through before it was answered."""

from __future__ import annotations

from typing import NamedTuple

from txcql.errors import CQLError

__all__ = ["Attempt"]


class Attempt(NamedTuple):
    """One node that a request was tried at.

    :ivar node: its ``host:port``.
    :ivar error: what went wrong; ``None`` if it answered.
    :ivar duration: seconds from when the request left the write buffer until its answer was read, or
        until it failed; 0 if it never left.
    """

    node: str
    error: CQLError | None
    duration: float
