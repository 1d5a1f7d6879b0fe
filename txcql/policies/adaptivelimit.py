"""A limit on the requests in flight at each node, which finds out by itself what the node can take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from txcql.errors import BusyConnectionError, Overloaded, RequestTimeout
from txcql.interfaces import IAttemptListener
from txcql.policies.loadbalancing import WrappingPolicy
from txcql.policies.nodestates import NodeStates
from txcql.policies.tokenaware import TokenAwarePolicy

__all__ = ["AdaptiveLimitPolicy"]

_SHORT = 1 / 16
_LONG = 1 / 512
_WARM = 100
"""Answers before which a node's latency says nothing."""
_CUT_INTERVAL = 0.1
"""Seconds between two cuts, at least: what was sent before the first says nothing new."""


class NodeLimit:
    """That of one node.

    :ivar limit: attempts that may be in flight.
    :ivar in_flight: attempts that are.
    """

    __slots__ = ("_answers", "_cut_at", "_long", "_short", "in_flight", "limit")

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.in_flight = 0
        self._answers = 0
        self._short = 0.0
        self._long = 0.0
        self._cut_at = float("-inf")

    @property
    def full(self) -> bool:
        """Whether there is no room for one more."""
        return self.in_flight >= int(self.limit)

    def has_slowed(self, seconds: float, tolerance: float) -> bool:
        """Take in the latency of an answer; whether the node is slower than it has been."""
        self._answers += 1
        if self._answers == 1:
            self._short = self._long = seconds
        self._short += (seconds - self._short) * _SHORT
        self._long += (seconds - self._long) * max(_LONG, 1 / self._answers)
        return self._answers > _WARM and self._short > self._long * tolerance

    def cut(self, backoff: float, least: int, now: float) -> None:
        """It was too much."""
        if now - self._cut_at >= _CUT_INTERVAL:
            self._cut_at = now
            self.limit = max(float(least), self.limit * backoff)


@implementer(IAttemptListener)
class AdaptiveLimitPolicy(WrappingPolicy):
    """Another policy's plans, without the nodes that have as much in flight as they can take.

    The limit of a node grows by one for each round of answers while it is made use of, and is cut by
    a factor when the node says that it is overloaded, does not answer in time, or has become slower
    than it was by a factor. A request for which no node has room fails at once, with a
    :class:`~txcql.errors.BusyConnectionError` whose ``reason`` is ``"adaptive"``; bulk work waits. The
    setting ``throw_on_overload`` makes nodes say that they are overloaded.

    :param clock: tells the time: the reactor.
    :param child: the other policy; ``None`` takes the default one, by token, rack and data center.
    :param initial: the limit of a node that has come up, in requests.
    :param least: the lowest limit.
    :param most: the highest limit.
    :param backoff: what a limit is multiplied with when it is cut.
    :param tolerance: how many times slower than over the last 500 answers a node may be over the last
        16 before its limit is cut.
    :raises TypeError: an argument of the wrong type.
    :raises ValueError: a number out of its range.
    """

    def __init__(
        self,
        clock: IReactorTime,
        child: Any = None,
        *,
        initial: int = 64,
        least: int = 4,
        most: int = 4096,
        backoff: float = 0.8,
        tolerance: float = 3.0,
    ) -> None:
        WrappingPolicy.__init__(self, child if child is not None else TokenAwarePolicy())
        if not 1 <= least <= initial <= most:
            raise ValueError(
                f"1 <= least <= initial <= most, got least={least!r}, initial={initial!r}, most={most!r}"
            )
        if not 0 < backoff < 1:
            raise ValueError(f"backoff must be between 0 and 1, got {backoff!r}")
        if not tolerance > 1:
            raise ValueError(f"tolerance must be above 1, got {tolerance!r}")
        self._seconds = clock.seconds
        self._least = least
        self._most = float(most)
        self._backoff = backoff
        self._tolerance = tolerance
        self._states = NodeStates(lambda: NodeLimit(float(initial)))

    @property
    def limits(self) -> dict[str, int]:
        """The limit of each node that is up, in requests, by its ``host:port``."""
        return {name: int(state.limit) for name, state in self._states.by_name.items()}

    def node_up(self, node: Any) -> None:
        self._states.node_up(node)
        WrappingPolicy.node_up(self, node)

    def node_down(self, node: Any) -> None:
        self._states.node_down(node)
        WrappingPolicy.node_down(self, node)

    def plan(self, request: Any) -> Iterator[Any]:
        states = self._states.by_node
        full = None
        offered = False
        for node in self.child.plan(request):
            state = states.get(node)
            if state is None or not state.full:
                offered = True
                yield node
            elif full is None:
                full = node.name, state
        if full is not None and not offered:
            name, state = full
            limit = int(state.limit)
            raise BusyConnectionError(
                name, in_flight=state.in_flight, queued=0, limit=limit, reason="adaptive"
            )

    def attempt_begun(self, node: str) -> None:
        state = self._states.by_name.get(node)
        if state is not None:
            state.in_flight += 1

    def attempt_ended(self, node: str, seconds: float, error: BaseException | None) -> None:
        state = self._states.by_name.get(node)
        # One that began before the node went down was forgotten with it.
        if state is None or not state.in_flight:
            return
        used = state.in_flight >= state.limit / 2
        state.in_flight -= 1
        if isinstance(error, Overloaded | RequestTimeout):
            state.cut(self._backoff, self._least, self._seconds())
        elif error is None:
            if state.has_slowed(seconds, self._tolerance):
                state.cut(self._backoff, self._least, self._seconds())
            elif used and state.limit < self._most:
                state.limit += 1 / state.limit

    def __repr__(self) -> str:
        limits = " ".join(
            f"{name}={state.in_flight}/{int(state.limit)}" for name, state in self._states.by_name.items()
        )
        return f"<AdaptiveLimitPolicy {limits or 'no node'} {self.child!r}>"
