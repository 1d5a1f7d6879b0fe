"""Nodes that have become slow come last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from txcql.interfaces import IAttemptListener
from txcql.policies.loadbalancing import WrappingPolicy
from txcql.policies.nodestates import NodeLatency, NodeStates
from txcql.policies.tokenaware import TokenAwarePolicy

__all__ = ["SlowNodesLastPolicy"]

_LOOK_INTERVAL = 0.1
"""Seconds between two comparisons of all nodes."""


@implementer(IAttemptListener)
class SlowNodesLastPolicy(WrappingPolicy):
    """Another policy's plans, with the nodes at their end that are much slower than the fastest.

    It compares the mean latency of the nodes ten times a second. A slow node that has not been heard of for
    a while is given one request in its turn.

    :param clock: tells the time: the reactor.
    :param child: the other policy; ``None`` takes the default one, by token, rack and data center.
    :param threshold: how many times slower than the fastest node a node is that comes last.
    :param least: seconds; a node whose mean latency is below that is not slow.
    :param minimum: answers before which a node is not compared.
    :param retry_period: seconds without an answer after which a slow node is given a request.
    :raises TypeError: an argument of the wrong type.
    :raises ValueError: a number out of its range.
    """

    def __init__(
        self,
        clock: IReactorTime,
        child: Any = None,
        *,
        threshold: float = 3.0,
        least: float = 0.002,
        minimum: int = 50,
        retry_period: float = 10.0,
    ) -> None:
        WrappingPolicy.__init__(self, child if child is not None else TokenAwarePolicy())
        if not threshold > 1:
            raise ValueError(f"threshold must be above 1, got {threshold!r}")
        if not least >= 0:
            raise ValueError(f"least must not be negative, got {least!r}")
        if minimum < 1:
            raise ValueError(f"minimum must be positive, got {minimum!r}")
        if not retry_period > 0:
            raise ValueError(f"retry_period must be a positive number of seconds, got {retry_period!r}")
        self._seconds = clock.seconds
        self._threshold = threshold
        self._least = least
        self._minimum = minimum
        self._retry_period = retry_period
        self._states = NodeStates(NodeLatency)
        self._looked = float("-inf")
        self._any_slow = False

    @property
    def slow(self) -> list[str]:
        """The nodes that come last, by their ``host:port``."""
        return [name for name, state in self._states.by_name.items() if state.slow]

    def node_up(self, node: Any) -> None:
        self._states.node_up(node)
        WrappingPolicy.node_up(self, node)

    def node_down(self, node: Any) -> None:
        self._states.node_down(node)
        WrappingPolicy.node_down(self, node)

    def plan(self, request: Any) -> Iterator[Any]:
        if not self._any_slow:
            return WrappingPolicy.plan(self, request)
        return self._plan(request)

    def attempt_begun(self, node: str) -> None:
        pass

    def attempt_ended(self, node: str, seconds: float, error: BaseException | None) -> None:
        state = self._states.by_name.get(node)
        if state is None:
            return
        now = self._seconds()
        state.ended(seconds, error, now)
        if now - self._looked >= _LOOK_INTERVAL:
            self._look(now)

    def _plan(self, request: Any) -> Iterator[Any]:
        states = self._states.by_node
        now = self._seconds()
        oldest = now - self._retry_period
        last = []
        for node in self.child.plan(request):
            state = states.get(node)
            if state is None or not state.slow:
                yield node
            elif state.at > oldest:
                last.append(node)
            else:
                # This one request finds out; the next comes after the same time.
                state.at = now
                yield node
        yield from last

    def _look(self, now: float) -> None:
        self._looked = now
        states = self._states.by_node.values()
        known = [state.mean for state in states if state.count >= self._minimum]
        limit = max(min(known, default=0.0) * self._threshold, self._least)
        for state in states:
            state.slow = state.count >= self._minimum and state.mean > limit
        self._any_slow = any(state.slow for state in states)

    def __repr__(self) -> str:
        return f"<SlowNodesLastPolicy slow={len(self.slow)} {self.child!r}>"
