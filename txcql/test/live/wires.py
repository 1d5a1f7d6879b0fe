"""The ways to speak to a node: every protocol version with every compression that it has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import pytest

from txcql.test.live.releases import RELEASE

__all__ = ["PAIRED_WIRES", "PLAIN_WIRES", "VERSIONS", "WIRES", "Wire", "every_wire"]


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


#: A node of 4.0 answers a request in version 3 with an error wherever it has a warning to tell, which that
#: version cannot carry: of the request itself, or of another one.
VERSIONS = (4, 5) if RELEASE.startswith("4.0") else (3, 4, 5)

#: Each version without compression.
PLAIN_WIRES = [Wire(version) for version in VERSIONS]

#: Snappy ends with version 4.
WIRES = [
    Wire(version, compression)
    for version in VERSIONS
    for compression in (None, "lz4", "snappy")
    if version < 5 or compression != "snappy"
]

#: Each version and each compression once, and what is the default beside: enough for most tests in a plain
#: ``tox``.
PAIRED_WIRES = [
    wire
    for wire in WIRES
    if os.environ.get("TXCQL_FULL") or str(wire) in ("v3-snappy", "v4-lz4", "v5-plain", "v5-lz4")
]

#: For tests of the wire itself.
every_wire = pytest.mark.parametrize("wire", WIRES, ids=str)
