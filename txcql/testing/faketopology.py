"""The nodes of a fake cluster, and whether a consistency level can be met by them."""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from txcql.consistency import CONSISTENCY_NAMES
from txcql.errors import ConfigurationError, InvalidRequest, Unavailable
from txcql.testing.refusals import unsupported

__all__ = ["NodeInfo", "added_node", "check_consistency", "make_nodes", "replication_options"]

_STRATEGIES = "org.apache.cassandra.locator."
_FIXED_LEVELS = {"ANY": 1, "ONE": 1, "TWO": 2, "THREE": 3, "LOCAL_ONE": 1}
_RING = 1 << 64
LOWEST_TOKEN = -(1 << 63)


@dataclass(slots=True)
class NodeInfo:
    """What a node tells of itself, and the others of it.

    :ivar port: its native port, 0 until it listens.
    :ivar storage_port: the port between nodes; nothing listens there.
    :ivar up: whether it is up.
    """

    host_id: uuid.UUID
    datacenter: str
    rack: str
    tokens: tuple[str, ...]
    address: str = "127.0.0.1"
    port: int = 0
    storage_port: int = 7000
    up: bool = True


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
            tokens=(str(LOWEST_TOKEN + number * _RING // len(names)),),
            storage_port=7000 + number,
        )
        for number, name in enumerate(names)
    ]


def added_node(nodes: Sequence[NodeInfo], datacenter: str) -> NodeInfo:
    """A further node, in the middle of the widest part of the ring."""
    tokens = sorted(int(token) for node in nodes for token in node.tokens)
    following = [*tokens[1:], tokens[0] + _RING]
    gaps = [(after - before, before) for before, after in zip(tokens, following, strict=True)]
    width, before = max(gaps)
    middle = before + width // 2
    if middle >= -LOWEST_TOKEN:
        middle -= _RING
    number = max(node.storage_port for node in nodes) - 7000 + 1
    return NodeInfo(
        host_id=uuid.uuid5(uuid.NAMESPACE_OID, f"txcql.testing node {number}"),
        datacenter=datacenter,
        rack="r1",
        tokens=(str(middle),),
        storage_port=7000 + number,
    )


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
    replication: Mapping[str, str],
    level: int,
    nodes: Sequence[NodeInfo],
    local: str,
    write: bool,
    tokens: Callable[[], Sequence[int]] | None = None,
) -> None:
    """Refuse a consistency level that the replicas of a keyspace cannot meet.

    :param replication: see :func:`replication_options`.
    :param local: the datacenter of the coordinator.
    :param tokens: gives the tokens of the partitions concerned; without it, all are. It is only asked
        where nodes are down.
    :raises Unavailable: there are too few replicas.
    :raises InvalidRequest: the level is not for this kind of request.
    """
    name = CONSISTENCY_NAMES[level]
    if write and name in ("SERIAL", "LOCAL_SERIAL"):
        raise InvalidRequest("You must use conditional updates for serializable writes")
    if name == "ANY" and not write:
        raise InvalidRequest("ANY ConsistencyLevel is only supported for writes")
    if replication["class"].endswith("LocalStrategy") or all(node.up for node in nodes):
        _check(name, *_replicas(replication, nodes, local), local)
        return
    found = [int(token) for node in nodes for token in node.tokens] if tokens is None else tokens()
    for token in found:
        _check(name, *_living(replication, nodes, local, token), local)


def _check(name: str, factors: Counter[str], alive: Counter[str], local: str) -> None:
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
    # A hint is enough for ANY, and one can be kept as long as a coordinator is there.
    if name != "ANY" and present < required:
        raise _unavailable(name, required, present, f"Cannot achieve consistency level {name}")


def _living(
    replication: Mapping[str, str], nodes: Sequence[NodeInfo], local: str, token: int
) -> tuple[Counter[str], Counter[str]]:
    """Replication factor and living replicas of a token, in each datacenter."""
    factors, _ = _replicas(replication, nodes, local)
    simple = replication["class"].endswith("SimpleStrategy")
    ring = sorted((int(one), place) for place, node in enumerate(nodes) for one in node.tokens)
    start = bisect_left(ring, (token, -1))
    chosen: Counter[str] = Counter()
    alive: Counter[str] = Counter()
    seen: set[int] = set()
    for _, place in (*ring[start:], *ring[:start]):
        node = nodes[place]
        home = local if simple else node.datacenter
        if place in seen or chosen[home] >= factors[home]:
            continue
        seen.add(place)
        chosen[home] += 1
        alive[home] += node.up
    return factors, alive


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
