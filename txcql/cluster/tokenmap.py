"""The ring: who owns which token."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from txcql.cluster.nodes import Node
from txcql.cluster.partitioners import Partitioner
from txcql.cluster.replication import ReplicationStrategy

__all__ = ["DatacenterRing", "ReplicaTable", "TokenMap", "build_token_map"]

log = Logger(namespace="txcql.cluster")

_SLICE = 2048
"""Tokens that are put on the ring in one turn of the reactor."""


class DatacenterRing:
    """What one data center has of the ring.

    :ivar nodes: its nodes.
    :ivar racks: the names of its racks.
    :ivar places: the places of their tokens on the whole ring, in order.
    """

    __slots__ = ("nodes", "places", "racks")

    def __init__(self) -> None:
        self.nodes: set[Node] = set()
        self.racks: set[str] = set()
        self.places: list[int] = []

    def places_from(self, place: int) -> Iterator[int]:
        """Once round the ring, from a place on it."""
        places = self.places
        start = bisect_left(places, place)
        return (places[number] for order in (range(start, len(places)), range(start)) for number in order)


class TokenMap:
    """Who owns which token: a token belongs to the node with the next one on the ring.

    It is made by ``build_token_map``; one without tokens knows nothing.

    :param partitioner: makes tokens of keys.
    :ivar tokens: the tokens of all nodes, in order.
    :ivar owners: the node of each of them.
    :ivar nodes: the nodes that have tokens.
    :ivar datacenters: what each data center has of the ring.
    """

    def __init__(self, partitioner: Partitioner | None = None) -> None:
        self.partitioner = partitioner
        self.tokens: list[Any] = []
        self.owners: list[Node] = []
        self.nodes: tuple[Node, ...] = ()
        self.datacenters: dict[str, DatacenterRing] = {}
        self._tables: dict[ReplicationStrategy, ReplicaTable] = {}

    def token(self, key: bytes) -> Any:
        """The token of a serialized partition key; ``None`` if the partitioner is not known."""
        return None if self.partitioner is None else self.partitioner.token(key)

    def owner(self, token: Any) -> Node | None:
        """The node that owns a token; ``None`` if none is known."""
        return self.owners[self.place(token)] if self.tokens else None

    def place(self, token: Any) -> int:
        """The place of the first token that is not less, round the ring. It must not be empty."""
        place = bisect_left(self.tokens, token)
        return place if place < len(self.tokens) else 0

    def tokens_of(self, node: Node) -> list[Any]:
        """The tokens of a node, in order."""
        return [token for token, owner in zip(self.tokens, self.owners, strict=True) if owner is node]

    def tables(self, strategies: Mapping[str, ReplicationStrategy]) -> dict[str, ReplicaTable]:
        """The replicas that strategies find, by keyspace; equal strategies share them."""
        kept = {
            strategy: self._tables.get(strategy) or ReplicaTable(self, strategy)
            for strategy in set(strategies.values())
        }
        self._tables = kept
        return {keyspace: kept[strategy] for keyspace, strategy in strategies.items()}

    def __str__(self) -> str:
        name = "no partitioner" if self.partitioner is None else self.partitioner.name
        return f"{len(self.tokens)} tokens of {len(self.nodes)} nodes ({name})"

    def __repr__(self) -> str:
        return f"<TokenMap {self}>"


class ReplicaTable:
    """The replicas of each part of the ring, found when they are first asked for.

    :param ring: who owns which token.
    :param strategy: finds them.
    """

    __slots__ = ("_found", "_ring", "_strategy", "_token", "_tokens")

    def __init__(self, ring: TokenMap, strategy: ReplicationStrategy) -> None:
        self._ring = ring
        self._strategy = strategy
        self._tokens = ring.tokens
        self._token = ring.partitioner.token if ring.partitioner is not None else None
        # By place: mostly few of a large ring's are asked for.
        self._found: dict[int, tuple[Node, ...]] = {}

    def replicas(self, key: bytes) -> tuple[Node, ...]:
        """The replicas of a serialized partition key, in the order of the ring."""
        tokens = self._tokens
        if self._token is None or not tokens:
            return ()
        # TokenMap.place, without the call: this is asked for each request.
        place = bisect_left(tokens, self._token(key))
        if place == len(tokens):
            place = 0
        found = self._found.get(place)
        if found is None:
            found = self._found[place] = self._strategy.replicas(self._ring, place)
        return found


async def build_token_map(
    clock: IReactorTime, partitioner: Partitioner | None, nodes: Iterable[tuple[Node, Sequence[str]]]
) -> TokenMap:
    """Put the nodes on the ring, some thousand tokens in a turn of the reactor.

    :param clock: waits for the next turn.
    :param nodes: each with its tokens, as system tables show them.
    """
    ring = TokenMap(partitioner)
    if partitioner is None:
        return ring
    # No pairs: hundreds of thousands of tuples would make the collector stop everything for long.
    owners: dict[Any, Node] = {}
    with_tokens: list[Node] = []
    done = 0
    for node, texts in nodes:
        try:
            tokens = [partitioner.parse(text) for text in texts]
        except ValueError as error:
            log.warn("{node} has a token that is none: {error}", node=node.name, error=error)
            continue
        owners.update(dict.fromkeys(tokens, node))
        with_tokens.append(node)
        if len(owners) - done >= _SLICE:
            done = len(owners)
            await deferLater(clock, 0)
    ring.nodes = tuple(with_tokens)
    for part in await _parts(clock, list(owners)):
        part.sort()
        for token in part:
            node = owners[token]
            datacenter = ring.datacenters.get(node.datacenter)
            if datacenter is None:
                datacenter = ring.datacenters[node.datacenter] = DatacenterRing()
            datacenter.nodes.add(node)
            datacenter.racks.add(node.rack)
            datacenter.places.append(len(ring.tokens))
            ring.tokens.append(token)
            ring.owners.append(node)
        if len(owners) > _SLICE:
            await deferLater(clock, 0)
    return ring


async def _parts(clock: IReactorTime, tokens: list[Any]) -> list[list[Any]]:
    """Split what is to be sorted into parts that follow each other on the ring.

    To sort 256,000 tokens in one go would hold up the reactor.
    """
    if len(tokens) <= _SLICE:
        return [tokens]
    # Every so many is a fair sample: nodes choose their tokens at random.
    sample = sorted(tokens[:: max(1, len(tokens) // 1024)])
    borders = sample[:: max(1, len(sample) * _SLICE // len(tokens))][1:]
    parts: list[list[Any]] = [[] for _ in range(len(borders) + 1)]
    for start in range(0, len(tokens), _SLICE):
        for token in tokens[start : start + _SLICE]:
            parts[bisect_left(borders, token)].append(token)
        await deferLater(clock, 0)
    return parts
