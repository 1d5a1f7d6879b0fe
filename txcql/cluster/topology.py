"""What one node says of the cluster: ``system.local`` and ``system.peers_v2``."""

from __future__ import annotations

from collections.abc import Collection, Container
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from txcql.cluster.systemreads import read_rows
from txcql.connection.protocol import CQLProtocol
from txcql.errors import InvalidRequest, ProtocolError

__all__ = ["PeerRow", "Topology", "read_schema_versions", "read_topology"]

MOST_PEERS = 10_000
"""Nodes of a cluster at most; each is a pool of connections."""

_UNSPECIFIED = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One node as a system table shows it.

    :ivar host: its native address, numeric; ``None`` if the table has none that is of use.
    :ivar port: its native port; ``None`` where the table does not tell (``system.peers``).
    :ivar tokens: its tokens, as text.
    """

    host_id: UUID
    host: str | None
    port: int | None
    datacenter: str
    rack: str
    release_version: str
    tokens: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Topology:
    """The cluster as one node sees it.

    :ivar cluster_name: its name.
    :ivar partitioner: the class name of its partitioner.
    :ivar local: the node asked.
    :ivar peers: the others.
    :ivar incomplete: the peers that were left out, and what they lack: they are coming or going.
    """

    cluster_name: str
    partitioner: str
    local: PeerRow
    peers: tuple[PeerRow, ...]
    incomplete: tuple[str, ...] = ()


_PEERS_A_PAGE = 50  # each with 256 tokens: some milliseconds to decode
_LOCAL_ADDRESSES = ("rpc_address", "broadcast_address", "listen_address")
_NEEDED = ("host_id", "data_center", "rack", "tokens")


async def read_topology(link: CQLProtocol) -> Topology:
    """Ask a node, over its link, for itself and its peers.

    :raises ProtocolError: the node does not describe itself.
    """
    rows = await read_rows(link, "SELECT * FROM system.local WHERE key='local'")
    local = _node(rows[0], _LOCAL_ADDRESSES, "rpc_port") if rows else None
    if local is None:
        raise ProtocolError(f"{link.node} does not describe itself in system.local")
    peers = []
    incomplete = []
    for row, addresses, port in await _peer_rows(link, "*"):
        peer = _node(row, addresses, port)
        if peer is None or peer.host is None:
            lacking = [name for name in _NEEDED if not getattr(row, name, None)]
            incomplete.append(f"{getattr(row, 'peer', None)} without {', '.join(lacking or ['an address'])}")
        elif peer.host_id != local.host_id:
            peers.append(peer)
    name, partitioner = (str(getattr(rows[0], what, "")) for what in ("cluster_name", "partitioner"))
    return Topology(name, partitioner, local, tuple(peers), tuple(incomplete))


async def read_schema_versions(link: CQLProtocol, down: Container[UUID] = ()) -> set[UUID]:
    """The schema versions that the node knows of: its own and its peers'.

    :param down: the host ids of peers that are left out: they will learn the schema when they return.
    """
    rows = await read_rows(link, "SELECT schema_version FROM system.local WHERE key='local'")
    found = [getattr(row, "schema_version", None) for row in rows]
    for row, _, _ in await _peer_rows(link, "host_id, schema_version"):
        host_id = getattr(row, "host_id", None)
        if not isinstance(host_id, UUID) or host_id not in down:
            found.append(getattr(row, "schema_version", None))
    return {version for version in found if isinstance(version, UUID)}


async def _peer_rows(link: CQLProtocol, wanted: str) -> list[tuple[Any, tuple[str, ...], str]]:
    try:
        rows = await read_rows(link, f"SELECT {wanted} FROM system.peers_v2", _PEERS_A_PAGE)
    except InvalidRequest:
        # Before 4.0 there is only this table, without ports.
        rows = await read_rows(link, f"SELECT {wanted} FROM system.peers", _PEERS_A_PAGE)
        addresses, port = ("rpc_address", "peer"), ""
    else:
        addresses, port = ("native_address", "peer"), "native_port"
    if len(rows) > MOST_PEERS:
        raise ProtocolError(f"{link.node} lists {len(rows)} peers, over the limit of {MOST_PEERS}")
    return [(row, addresses, port) for row in rows]


def _node(row: Any, addresses: tuple[str, ...], port: str) -> PeerRow | None:
    host_id = getattr(row, "host_id", None)
    datacenter = getattr(row, "data_center", None)
    rack = getattr(row, "rack", None)
    tokens = getattr(row, "tokens", None)
    # A node may say anything of its peers; what is connected to is an address and a port.
    if not isinstance(host_id, UUID) or not isinstance(datacenter, str) or not isinstance(rack, str):
        return None
    if not tokens or isinstance(tokens, str) or not isinstance(tokens, Collection):
        return None
    if not all(isinstance(token, str) for token in tokens):
        return None
    hosts = (getattr(row, name, None) for name in addresses)
    host = next(
        (
            str(host)
            for host in hosts
            if isinstance(host, IPv4Address | IPv6Address) and str(host) not in _UNSPECIFIED
        ),
        None,
    )
    version = str(getattr(row, "release_version", None) or "")
    found_port = getattr(row, port, None) if port else None
    if found_port is not None and (not isinstance(found_port, int) or not 0 < found_port < 65536):
        return None
    return PeerRow(host_id, host, found_port, datacenter, rack, version, tokens)
