"""Nodes and requests as load balancing policies see them, without a session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from zope.interface import implementer

from txcql.interfaces import INode, IRequest

__all__ = ["PolicyNode", "PolicyRequest", "begin", "names", "nodes_of"]


@implementer(INode)
@dataclass(eq=False)
class PolicyNode:
    """One node; its name is one letter more than its place."""

    name: str
    datacenter: str = "dc1"
    rack: str = "r1"
    host_id: UUID = field(default_factory=lambda: UUID(int=0))
    up: bool = True
    suspect: bool = False

    def __repr__(self) -> str:
        return self.name


@implementer(IRequest)
@dataclass
class PolicyRequest:
    """One request.

    :ivar owners: its replicas.
    :ivar asked: how often they were asked for.
    """

    owners: Sequence[Any] = ()
    consistency: str = "LOCAL_QUORUM"
    idempotent: bool = True
    keyspace: str | None = "ks"
    routing_key: bytes | None = b"key"
    asked: int = 0

    def replicas(self) -> Sequence[Any]:
        self.asked += 1
        return self.owners


def nodes_of(**places: str) -> list[PolicyNode]:
    """Nodes by their names, each in a data center and rack such as ``"dc1/r1"``."""
    return [
        PolicyNode(name, place.partition("/")[0], place.partition("/")[2]) for name, place in places.items()
    ]


def begin(policy: Any, nodes: Iterable[Any], rack: str | None = None) -> Any:
    """Start a policy in ``dc1``, ask it of every node, and tell it that they are up."""
    policy.start("dc1", rack)
    nodes = list(nodes)
    for node in nodes:
        policy.distance(node)
    for node in nodes:
        policy.node_up(node)
    return policy


def names(plan: Iterable[Any]) -> str:
    """The names of the nodes of a plan, in its order."""
    return "".join(node.name for node in plan)
