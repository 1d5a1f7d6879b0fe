"""EVENT messages and the schema changes that RESULT tells in the same form.

From the protocol specifications, section 4.2.6.
"""

from __future__ import annotations

from dataclasses import dataclass

from txcql.errors import ProtocolError
from txcql.wire.primitives import Address, Reader

__all__ = [
    "EVENT_TYPES",
    "SchemaChange",
    "StatusChange",
    "TopologyChange",
    "read_event",
    "read_schema_change",
]

EVENT_TYPES = ("TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE")
"""What a connection may REGISTER for."""


@dataclass(frozen=True, slots=True)
class TopologyChange:
    """A node came, went or moved.

    :ivar change: ``"NEW_NODE"``, ``"REMOVED_NODE"`` or ``"MOVED_NODE"``.
    :ivar address: the node's native address.
    :ivar port: its native port.
    """

    change: str
    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A node went up or down, as another node sees it.

    :ivar change: ``"UP"`` or ``"DOWN"``.
    """

    change: str
    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """Something in the schema changed.

    :ivar change: ``"CREATED"``, ``"UPDATED"`` or ``"DROPPED"``.
    :ivar target: ``"KEYSPACE"``, ``"TABLE"``, ``"TYPE"``, ``"FUNCTION"`` or ``"AGGREGATE"``.
    :ivar keyspace: the keyspace concerned.
    :ivar name: the table, type, function or aggregate; ``None`` for a keyspace.
    :ivar arguments: the argument types of a function or aggregate.
    """

    change: str
    target: str
    keyspace: str
    name: str | None = None
    arguments: tuple[str, ...] = ()


def read_event(reader: Reader) -> TopologyChange | StatusChange | SchemaChange:
    """An EVENT body.

    :raises ProtocolError: an unknown type, or a body cut short.
    """
    kind = reader.string()
    if kind == "SCHEMA_CHANGE":
        return read_schema_change(reader)
    if kind not in EVENT_TYPES:
        raise ProtocolError(f"an event of the unknown type {kind!r}")
    change = reader.string()
    address, port = reader.inet()
    return (TopologyChange if kind == "TOPOLOGY_CHANGE" else StatusChange)(change, address, port)


def read_schema_change(reader: Reader) -> SchemaChange:
    """A schema change, in an EVENT or a RESULT.

    v3 tells of functions as UPDATED KEYSPACE with a surplus string behind it, which stays unread.

    :raises ProtocolError: a body cut short.
    """
    change, target, keyspace = reader.string(), reader.string(), reader.string()
    if target == "KEYSPACE":
        return SchemaChange(change, target, keyspace)
    name = reader.string()
    arguments = tuple(reader.string_list()) if target in ("FUNCTION", "AGGREGATE") else ()
    return SchemaChange(change, target, keyspace, name, arguments)
