"""What the server says about one column of a result, or one parameter of a statement."""

from __future__ import annotations

from typing import NamedTuple

from txcql.wire.cqltypes import Codec

__all__ = ["Column"]


class Column(NamedTuple):
    """One column, or one bind marker.

    :ivar keyspace: the keyspace of its table.
    :ivar table: its table.
    :ivar name: its name, which may be any text, such as ``system.now()``.
    :ivar type: its :class:`~txcql.wire.cqltypes.CQLType`, or a codec in its place.
    """

    keyspace: str
    table: str
    name: str
    type: Codec
