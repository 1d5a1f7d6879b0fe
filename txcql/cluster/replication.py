"""Which nodes have a copy of a partition: the replication strategies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from txcql.cluster.nodes import Node

if TYPE_CHECKING:
    from txcql.cluster.tokenmap import TokenMap

__all__ = [
    "EverywhereStrategy",
    "NetworkTopologyStrategy",
    "ReplicationStrategy",
    "SimpleStrategy",
    "replication_strategy",
]


class ReplicationStrategy(ABC):
    """Finds the replicas of a part of the ring.

    Strategies that are equal find the same ones.
    """

    @abstractmethod
    def replicas(self, ring: TokenMap, place: int) -> tuple[Node, ...]:
        """The replicas, in the order of the ring.

        :param ring: who owns which token.
        :param place: the place of the token that the part ends with.
        """


class SimpleStrategy(ReplicationStrategy):
    """The next nodes on the ring, wherever they are.

    :param factor: how many.
    """

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def replicas(self, ring: TokenMap, place: int) -> tuple[Node, ...]:
        wanted = min(self.factor, len(ring.nodes))
        found: dict[Node, None] = {}
        owners = ring.owners
        size = len(owners)
        for step in range(size):
            if len(found) >= wanted:
                break
            found[owners[(place + step) % size]] = None
        return tuple(found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SimpleStrategy) and other.factor == self.factor

    def __hash__(self) -> int:
        return hash(("simple", self.factor))

    def __repr__(self) -> str:
        return f"<SimpleStrategy {self.factor}>"


class NetworkTopologyStrategy(ReplicationStrategy):
    """So many nodes in each data center, in as many racks as there are.

    :param factors: how many, by data center.
    """

    def __init__(self, factors: Mapping[str, int]) -> None:
        self.factors = dict(factors)

    def replicas(self, ring: TokenMap, place: int) -> tuple[Node, ...]:
        found: list[tuple[int, Node]] = []
        for name, factor in self.factors.items():
            if factor > 0:
                found += self._in_datacenter(ring, place, name, factor)
        # The first on the ring is the primary one, whatever its data center.
        found.sort(key=lambda replica: replica[0])
        return tuple(node for _, node in found)

    @staticmethod
    def _in_datacenter(ring: TokenMap, place: int, name: str, factor: int) -> list[tuple[int, Node]]:
        """The replicas in one data center, with their distances on the ring.

        A node in a rack that has one already is taken only if there are fewer racks than replicas,
        and only as many as then lack one.
        """
        datacenter = ring.datacenters.get(name)
        if datacenter is None:
            return []
        left = min(factor, len(datacenter.nodes))
        repeats = factor - len(datacenter.racks)
        found: dict[Node, int] = {}
        racks: set[str] = set()
        size = len(ring.owners)
        for other in datacenter.places_from(place):
            if left <= 0:
                break
            node = ring.owners[other]
            if node in found:
                continue
            if node.rack in racks:
                if repeats <= 0:
                    continue
                repeats -= 1
            racks.add(node.rack)
            found[node] = (other - place) % size
            left -= 1
        return [(distance, node) for node, distance in found.items()]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NetworkTopologyStrategy) and other.factors == self.factors

    def __hash__(self) -> int:
        return hash(frozenset(self.factors.items()))

    def __repr__(self) -> str:
        return f"<NetworkTopologyStrategy {self.factors}>"


class EverywhereStrategy(ReplicationStrategy):
    """Every node."""

    def replicas(self, ring: TokenMap, place: int) -> tuple[Node, ...]:
        return ring.nodes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EverywhereStrategy)

    def __hash__(self) -> int:
        return hash("everywhere")

    def __repr__(self) -> str:
        return "<EverywhereStrategy>"


def replication_strategy(options: Mapping[str, str]) -> ReplicationStrategy | None:
    """The strategy of a keyspace.

    :param options: its ``replication``, as ``system_schema.keyspaces`` has it.
    :returns: ``None`` if the keyspace has no replicas to be found on the ring, such as one that each
        node has for itself, or if the strategy is not known here.
    """
    name = options.get("class", "").rpartition(".")[2]
    factors = {option: text for option, text in options.items() if option != "class"}
    try:
        if name == "SimpleStrategy":
            return SimpleStrategy(_factor(factors["replication_factor"]))
        if name == "NetworkTopologyStrategy":
            return NetworkTopologyStrategy({dc: _factor(text) for dc, text in factors.items()})
    except (KeyError, ValueError):
        return None
    return EverywhereStrategy() if name == "EverywhereStrategy" else None


def _factor(text: str) -> int:
    # "3/1": one of the three is transient.
    return int(text.partition("/")[0])
