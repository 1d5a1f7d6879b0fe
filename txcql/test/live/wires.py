"""The ways to speak to a node: every protocol version with every compression that it has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import pytest

__all__ = ["PAIRED_WIRES", "PLAIN_WIRES", "WIRES", "Wire", "every_wire"]


@dataclass(frozen=True)
class Wire:
    """One way to speak.

    :ivar version: The protocol version.
    :ivar compression: ``"lz4"``, ``"snappy"`` or None.
    """

    version: int
    compression: str | None = None

    def __str__(self) -> str:
        return f"v{self.version}-{self.compression or 'plain'}"

    @property
    def settings(self) -> dict[str, Any]:
        """What :func:`txcql.connect` takes for it."""
        return {"protocol_version": self.version, "compression": self.compression}


#: Each version without compression.
PLAIN_WIRES = [Wire(version) for version in (3, 4, 5)]

#: Snappy ends with version 4.
WIRES = [
    Wire(version, compression)
    for version in (3, 4, 5)
    for compression in (None, "lz4", "snappy")
    if version < 5 or compression != "snappy"
]

#: Each version and each compression once, and what is the default beside: enough for most tests in a plain
#: ``tox``.
PAIRED_WIRES = (
    WIRES if os.environ.get("TXCQL_FULL") else [Wire(3, "snappy"), Wire(4, "lz4"), Wire(5), Wire(5, "lz4")]
)

#: For tests of the wire itself.
every_wire = pytest.mark.parametrize("wire", WIRES, ids=str)
