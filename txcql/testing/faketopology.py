"""The nodes of a fake cluster, and whether a consistency level can be met by them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from txcql.consistency import CONSISTENCY_NAMES
from txcql.errors import ConfigurationError, InvalidRequest, Unavailable
from txcql.testing.refusals import unsupported

__all__ = ["NodeInfo", "check_consistency", "make_nodes", "replication_options"]

_STRATEGIES = "org.apache.cassandra.locator."
_FIXED_LEVELS = {"ANY": 1, "ONE": 1, "TWO": 2, "THREE": 3, "LOCAL_ONE": 1}
_RING = 1 << 64
_LOWEST_TOKEN = -(1 << 63)


@dataclass(slots=True)
class NodeInfo:
    """What a node tells of itself, and the others of it.

    :ivar port: its native port, 0 until it listens.
    :ivar storage_port: the port between nodes; nothing listens there.
    """

    host_id: uuid.UUID
    datacenter: str
    rack: str
    tokens: tuple[str, ...]
    address: str = "127.0.0.1"
    port: int = 0
    storage_port: int = 7000


def make_nodes(datacenters: Mapping[str, int]) -> list[NodeInfo]:
    """The nodes of a cluster, their tokens spread evenly over the ring.

    :param datacenters: how many nodes each datacenter has.
    :raises ValueError: no nodes at all.
    """
    names = [name for name, count in datacenters.items() for _ in range(count)]
    if not names:
        raise ValueError("a cluster needs at least one node")
    return [
        NodeInfo(
            host_id=uuid.uuid5(uuid.NAMESPACE_OID, f"txcql.testing node {number}"),
            datacenter=name,
            rack="r1",
            tokens=(str(_LOWEST_TOKEN + number * _RING // len(names)),),
            storage_port=7000 + number,
        )
        for number, name in enumerate(names)
    ]


def replication_options(
    options: Mapping[str, str], nodes: Sequence[NodeInfo], keyspace: str
) -> dict[str, str]:
    """The replication of a keyspace, as ``system_schema.keyspaces`` shows it.

    :param options: as CREATE KEYSPACE gives them.
    :raises ConfigurationError: they make no sense.
    """
    given = dict(options)
    strategy = given.pop("class", None)
    if strategy is None:
        raise ConfigurationError("Missing replication strategy class")
    name = strategy.removeprefix(_STRATEGIES)
    datacenters = sorted({node.datacenter for node in nodes})
    if name == "SimpleStrategy":
        given.setdefault("replication_factor", "1")
        for option in given:
            if option != "replication_factor":
                raise ConfigurationError(
                    f"Unrecognized strategy option {{{option}}} passed to SimpleStrategy "
                    f"for keyspace {keyspace}"
                )
    elif name == "NetworkTopologyStrategy":
        everywhere = given.pop("replication_factor", None if given else "1")
        if everywhere is not None:
            given = {**dict.fromkeys(datacenters, everywhere), **given}
        for datacenter in given:
            if datacenter not in datacenters:
                raise ConfigurationError(
                    f"Unrecognized strategy option {{{datacenter}}} passed to NetworkTopologyStrategy "
                    f"for keyspace {keyspace}"
                )
    elif name == "LocalStrategy":
        raise InvalidRequest(
            "Unable to use given strategy class: LocalStrategy is reserved for internal use."
        )
    elif name in ("EverywhereStrategy", "MetaStrategy") or "." in name:
        raise unsupported(f"the replication strategy {strategy}")
    else:
        raise ConfigurationError(f"Unable to find replication strategy class '{_STRATEGIES}{name}'")
    for factor in given.values():
        if "/" in factor:
            raise unsupported("transient replication")
        if not (factor.isascii() and factor.isdigit()):
            raise ConfigurationError(f'For input string: "{factor}"')
    return {"class": _STRATEGIES + name, **given}


def check_consistency(
    replication: Mapping[str, str], level: int, nodes: Sequence[NodeInfo], local: str, write: bool
) -> None:
    """Refuse a consistency level that the replicas of a keyspace cannot meet.

    :param replication: see :func:`replication_options`.
    :param local: the datacenter of the coordinator.
    :raises Unavailable: there are too few replicas.
    :raises InvalidRequest: the level is not for this kind of request.
    """
    name = CONSISTENCY_NAMES[level]
    if write and name in ("SERIAL", "LOCAL_SERIAL"):
        raise InvalidRequest("You must use conditional updates for serializable writes")
    if name == "ANY" and not write:
        raise InvalidRequest("ANY ConsistencyLevel is only supported for writes")
    factors, alive = _replicas(replication, nodes, local)
    if name == "EACH_QUORUM":
        for datacenter, factor in factors.items():
            if alive[datacenter] < factor // 2 + 1:
                sentence = f"Cannot achieve consistency level EACH_QUORUM in DC {datacenter}"
                raise _unavailable(name, factor // 2 + 1, alive[datacenter], sentence)
        return
    is_local = name.startswith("LOCAL_")
    factor = factors[local] if is_local else factors.total()
    present = alive[local] if is_local else alive.total()
    required = factor if name == "ALL" else _FIXED_LEVELS.get(name, factor // 2 + 1)
    if present < required:
        raise _unavailable(name, required, present, f"Cannot achieve consistency level {name}")


def _unavailable(name: str, required: int, alive: int, sentence: str) -> Unavailable:
    return Unavailable(sentence, consistency=name, required=required, alive=alive)


def _replicas(
    replication: Mapping[str, str], nodes: Sequence[NodeInfo], local: str
) -> tuple[Counter[str], Counter[str]]:
    """Replication factor and living replicas of each datacenter."""
    sizes = Counter(node.datacenter for node in nodes)
    strategy = replication["class"].removeprefix(_STRATEGIES)
    if strategy == "LocalStrategy":
        return Counter({local: 1}), Counter({local: 1})
    if strategy == "SimpleStrategy":
        # SimpleStrategy knows no datacenters: to it, all nodes are in one, and local.
        factor = int(replication["replication_factor"])
        return Counter({local: factor}), Counter({local: min(factor, len(nodes))})
    factors = Counter({name: int(value) for name, value in replication.items() if name != "class"})
    return factors, Counter({name: min(factor, sizes[name]) for name, factor in factors.items()})
