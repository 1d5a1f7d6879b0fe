"""Paging states: where a page of rows ended.

Opaque to clients. As with real nodes, v3 has another format than v4 and v5,
and what was made up or damaged is refused.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from txcql.errors import ServerProtocolError
from txcql.wire.primitives import INT, SHORT, Reader, write_bytes

__all__ = ["PagingState", "read_paging_state", "write_paging_state"]


class PagingState(NamedTuple):
    """The last row of a page.

    :ivar key: its serialized partition key.
    :ivar clustering: its encoded clustering columns.
    :ivar remaining: how many rows the LIMIT leaves, -1 without one.
    :ivar in_partition: how many rows of its partition have been given.
    """

    key: bytes
    clustering: tuple[bytes, ...]
    remaining: int
    in_partition: int = 0


def write_paging_state(state: PagingState, version: int) -> bytes:
    """The state as a client gets it."""
    body = b"".join(
        (
            _magic(version),
            INT.pack(state.remaining),
            INT.pack(state.in_partition),
            write_bytes(state.key),
            SHORT.pack(len(state.clustering)),
            *(write_bytes(part) for part in state.clustering),
        )
    )
    return body + zlib.crc32(body).to_bytes(4, "big")


def read_paging_state(data: bytes, version: int) -> PagingState:
    """The state that a client sent back.

    :raises ServerProtocolError: it is none of this version.
    """
    body, checksum = data[:-4], data[-4:]
    if not body.startswith(_magic(version)) or zlib.crc32(body).to_bytes(4, "big") != checksum:
        raise ServerProtocolError("Invalid value for the paging state")
    reader = Reader(body, 1)
    remaining, in_partition = reader.int(), reader.int()
    key = reader.bytes() or b""
    clustering = tuple(reader.bytes() or b"" for _ in range(reader.short()))
    return PagingState(key, clustering, remaining, in_partition)


def _magic(version: int) -> bytes:
    return b"3" if version < 4 else b"4"
