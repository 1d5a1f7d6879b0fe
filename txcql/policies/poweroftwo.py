"""Of the two nodes that come first, the one that is likely to answer sooner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from txcql.interfaces import IAttemptListener
from txcql.policies.loadbalancing import WrappingPolicy
from txcql.policies.nodestates import NodeLatency, NodeStates
from txcql.policies.tokenaware import TokenAwarePolicy

__all__ = ["PowerOfTwoPolicy"]


@implementer(IAttemptListener)
class PowerOfTwoPolicy(WrappingPolicy):
    """Another policy's plans, whose first two nodes change places if the second is likely to be faster.

    How long a node is likely to take is its mean latency times the requests that it has in flight. Two
    are compared only if both are replicas or neither is, and if they are of one data center, and of
    one rack where the session has a local rack.

    :param clock: tells the time: the reactor.
    :param child: the other policy, in whose plans alike nodes come in any order; ``None`` takes the
        default one, by token, rack and data center.
    :param retry_period: seconds after which the latency of a node that has not answered counts for
        nothing: what it has in flight decides.
    :raises TypeError: an argument of the wrong type.
    :raises ValueError: a number out of its range.
    """

    def __init__(self, clock: IReactorTime, child: Any = None, *, retry_period: float = 1.0) -> None:
        WrappingPolicy.__init__(self, child if child is not None else TokenAwarePolicy())
        if not retry_period > 0:
            raise ValueError(f"retry_period must be a positive number of seconds, got {retry_period!r}")
        self._seconds = clock.seconds
        self._retry_period = retry_period
        self._rack: str | None = None
        self._states = NodeStates(NodeLatency)

    def start(self, datacenter: str, rack: str | None) -> None:
        self._rack = rack
        WrappingPolicy.start(self, datacenter, rack)

    def node_up(self, node: Any) -> None:
        self._states.node_up(node)
        WrappingPolicy.node_up(self, node)

    def node_down(self, node: Any) -> None:
        self._states.node_down(node)
        WrappingPolicy.node_down(self, node)

    def plan(self, request: Any) -> Iterator[Any]:
        plan = self.child.plan(request)
        first = next(plan, None)
        second = next(plan, None)
        if first is None:
            return
        if second is not None:
            if self._is_faster(second, first) and self._alike(request, first, second):
                first, second = second, first
            yield first
            yield second
            yield from plan
        else:
            yield first

    def attempt_begun(self, node: str) -> None:
        state = self._states.by_name.get(node)
        if state is not None:
            state.in_flight += 1

    def attempt_ended(self, node: str, seconds: float, error: BaseException | None) -> None:
        state = self._states.by_name.get(node)
        if state is not None and state.in_flight:
            state.in_flight -= 1
            state.ended(seconds, error, self._seconds())

    def _is_faster(self, node: Any, other: Any) -> bool:
        """Whether a node is likely to answer sooner than another."""
        states = self._states.by_node
        state, against = states.get(node), states.get(other)
        if state is None or against is None:
            return False
        oldest = self._seconds() - self._retry_period
        if state.count and against.count and state.at > oldest and against.at > oldest:
            return state.mean * (state.in_flight + 1) < against.mean * (against.in_flight + 1)
        # A node that has not been heard of is given its turn, but not all that comes meanwhile.
        return state.in_flight < against.in_flight

    def _alike(self, request: Any, first: Any, second: Any) -> bool:
        if first.datacenter != second.datacenter or (self._rack is not None and first.rack != second.rack):
            return False
        replicas = request.replicas()
        return (first in replicas) is (second in replicas)
