"""What one node says of the cluster: ``system.local`` and ``system.peers_v2``."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from twisted.logger import Logger

from txcql.connection.protocol import CQLProtocol
from txcql.errors import InvalidRequest, ProtocolError
from txcql.wire.responses import Rows

__all__ = ["PeerRow", "Topology", "read_schema_versions", "read_topology"]

log = Logger(namespace="txcql.control")

_UNSPECIFIED = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One node as a system table shows it.

    :ivar host: its native address, numeric; ``None`` if the table has none that is of use.
    :ivar port: its native port; ``None`` where the table does not tell (``system.peers``).
    """

    host_id: UUID
    host: str | None
    port: int | None
    datacenter: str
    rack: str
    release_version: str


@dataclass(frozen=True, slots=True)
class Topology:
    """The cluster as one node sees it.

    :ivar cluster_name: its name.
    :ivar local: the node asked.
    :ivar peers: the others.
    """

    cluster_name: str
    local: PeerRow
    peers: tuple[PeerRow, ...]


async def read_topology(link: CQLProtocol) -> Topology:
    """Ask a node, over its link, for itself and its peers.

    Peers rows that lack what a node needs belong to nodes that are coming or going: they are
    left out, with a line in the log.

    :raises ProtocolError: the node does not describe itself.
    """
    rows = await _rows(link, "SELECT * FROM system.local WHERE key='local'")
    local = (
        _node(rows[0], ("rpc_address", "broadcast_address", "listen_address"), "rpc_port") if rows else None
    )
    if local is None:
        raise ProtocolError(f"{link.node} does not describe itself in system.local")
    peers = []
    for row, addresses, port in await _peer_rows(link):
        peer = _node(row, addresses, port)
        if peer is None or peer.host is None:
            log.info("{node} lists a peer that is not complete, left out: {row}", node=link.node, row=row)
        elif peer.host_id != local.host_id:
            peers.append(peer)
    return Topology(str(getattr(rows[0], "cluster_name", "")), local, tuple(peers))


async def read_schema_versions(link: CQLProtocol, down: Container[UUID] = ()) -> set[UUID]:
    """The schema versions that the node knows of: its own and its peers'.

    :param down: the host ids of peers that are left out: they will learn the schema when they return.
    """
    rows = await _rows(link, "SELECT schema_version FROM system.local WHERE key='local'")
    versions = {row.schema_version for row in rows}
    for row, _, _ in await _peer_rows(link):
        if row.host_id not in down:
            versions.add(row.schema_version)
    return versions - {None}


async def _peer_rows(link: CQLProtocol) -> list[tuple[Any, tuple[str, ...], str]]:
    try:
        rows = await _rows(link, "SELECT * FROM system.peers_v2")
    except InvalidRequest:
        # Before 4.0 there is only this table, without ports.
        old = await _rows(link, "SELECT * FROM system.peers")
        return [(row, ("rpc_address", "peer"), "") for row in old]
    return [(row, ("native_address", "peer"), "native_port") for row in rows]


async def _rows(link: CQLProtocol, text: str) -> list[Any]:
    answer = await link.query(text)
    if not isinstance(answer, Rows):
        raise ProtocolError(f"{link.node} answered {text!r} without rows")
    return answer.rows


def _node(row: Any, addresses: tuple[str, ...], port: str) -> PeerRow | None:
    host_id = getattr(row, "host_id", None)
    datacenter = getattr(row, "data_center", None)
    rack = getattr(row, "rack", None)
    if host_id is None or datacenter is None or rack is None or not getattr(row, "tokens", None):
        return None
    hosts = (getattr(row, name, None) for name in addresses)
    host = next((str(host) for host in hosts if host is not None and str(host) not in _UNSPECIFIED), None)
    version = getattr(row, "release_version", None) or ""
    return PeerRow(host_id, host, getattr(row, port, None) if port else None, datacenter, rack, version)
