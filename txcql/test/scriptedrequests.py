"""What the tests of requests share: two nodes with a table, and a policy that asks them in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zope.interface import implementer

from txcql.interfaces import ILoadBalancingPolicy, INode
from txcql.policies.loadbalancing import RoundRobinPolicy
from txcql.test.scriptednode import ScriptedNode, ScriptedTestCase, columns
from txcql.wire import constants

__all__ = ["DELETE", "INSERT", "LIST", "SELECT", "InOrder", "RequestTestCase"]

SELECT = "SELECT v FROM t WHERE k = ?"
INSERT = "INSERT INTO t (k, v) VALUES (?, ?)"
LIST = "SELECT k, v FROM t"
DELETE = "DELETE FROM t WHERE k = 1"


@implementer(ILoadBalancingPolicy)
class InOrder(RoundRobinPolicy):
    """The nodes by their names, those that are down too."""

    def __init__(self) -> None:
        RoundRobinPolicy.__init__(self)
        self.nodes: dict[str, INode] = {}

    def node_up(self, node: Any) -> None:
        self.nodes[node.name] = node

    def node_down(self, node: Any) -> None:
        pass

    def plan(self, request: Any) -> Iterator[Any]:
        return (self.nodes[name] for name in sorted(self.nodes))


class RequestTestCase(ScriptedTestCase):
    """Two nodes, of which the first is asked first."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one, self.two = self.node("10.0.0.1"), self.node("10.0.0.2")
        for node in (self.one, self.two):
            node.teach(SELECT, parameters=columns(k="int"), columns=columns(v="text"), rows=[["one"]])
            node.teach(INSERT, parameters=columns(k="int", v="text"))
            node.teach(LIST, columns=columns(k="int", v="text"), rows=[[1, "one"]])
            node.teach(DELETE)

    def connect(self, *points: Any, **settings: Any) -> Any:
        settings.setdefault("load_balancing", InOrder())
        return ScriptedTestCase.connect(self, *points, **settings)

    def hold(self, *nodes: ScriptedNode) -> None:
        for node in nodes or (self.one, self.two):
            node.holds = lambda asked: True

    def let_go(self, *nodes: ScriptedNode) -> None:
        for node in nodes or (self.one, self.two):
            node.holds = lambda asked: False
            node.release()

    def asked(self) -> list[str]:
        """What was asked, by the last digit of the node."""
        names = {
            constants.QUERY: "query",
            constants.PREPARE: "prepare",
            constants.EXECUTE: "execute",
            constants.BATCH: "batch",
        }
        return [
            f"{names[asked.opcode]} {node.address[-1]}"
            for node in (self.one, self.two)
            for asked in node.requests
        ]

    def assert_idle(self, orphans: int = 0) -> None:
        """Every stream is free, save orphans; nothing is queued or waited for."""
        assert self.session is not None
        self.assertEqual(len(self.session.deadlines), 0)
        pools = self.session.pools.values()
        self.assertEqual(sum(len(pool.queue) for pool in pools), 0)
        self.assertEqual(sum(pool.queue.request_bytes for pool in pools), 0)
        links = [link for pool in pools for link in pool.links]
        self.assertEqual(sum(link.sent for link in links), orphans)
        self.assertEqual(sum(link.streams.orphans for link in links), orphans)
        self.assertEqual(sum(link.request_bytes for link in links), 0)
