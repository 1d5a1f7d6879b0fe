"""Nodes that fail most of what they are asked are left alone for a while."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from txcql.errors import (
    ConnectionLost,
    InternalServerError,
    IsBootstrapping,
    NoNodeAvailable,
    Overloaded,
    RequestTimeout,
)
from txcql.interfaces import IAttemptListener
from txcql.policies.loadbalancing import WrappingPolicy
from txcql.policies.nodestates import NodeStates
from txcql.policies.tokenaware import TokenAwarePolicy

__all__ = ["CircuitBreakerPolicy"]

_FAILURES = (ConnectionLost, InternalServerError, IsBootstrapping, Overloaded, RequestTimeout)


class Circuit:
    """What a node has done of late.

    :ivar opened: when the circuit was opened, or a trial was last let through; ``None`` if it is closed.
    :ivar trying: whether a trial has been let through.
    :ivar wait: seconds until the next trial.
    """

    __slots__ = ("failed", "last", "opened", "trying", "wait")

    def __init__(self, attempts: int) -> None:
        self.last: deque[bool] = deque(maxlen=attempts)
        self.failed = 0
        self.opened: float | None = None
        self.trying = False
        self.wait = 0.0

    def note(self, failed: bool) -> None:
        """An attempt is over."""
        last = self.last
        if len(last) == last.maxlen:
            self.failed -= last[0]
        last.append(failed)
        self.failed += failed

    def close(self) -> None:
        """The node is well."""
        self.last.clear()
        self.failed = 0
        self.opened = None
        self.trying = False


@implementer(IAttemptListener)
class CircuitBreakerPolicy(WrappingPolicy):
    """Another policy's plans, without the nodes whose circuit is open.

    A node's circuit opens when a share of its last attempts has failed: because the link was lost, there
    was no answer in time, the node was overloaded or still starting, or it failed inside. After the
    cooldown one request is let through as a trial. If it is answered, the circuit closes; if not, the
    next trial comes after twice the time, and so on. A request for which every circuit is open fails at
    once, with a :class:`~txcql.errors.NoNodeAvailable` that says so.

    :param clock: tells the time: the reactor.
    :param child: the other policy; ``None`` takes the default one, by token, rack and data center.
    :param attempts: how many of a node's last attempts are looked at; it is judged when there are so many.
    :param share: the share of them that opens the circuit.
    :param cooldown: seconds until the first trial.
    :param longest: seconds between two trials at most.
    :raises TypeError: an argument of the wrong type.
    :raises ValueError: a number out of its range.
    """

    def __init__(
        self,
        clock: IReactorTime,
        child: Any = None,
        *,
        attempts: int = 20,
        share: float = 0.5,
        cooldown: float = 2.0,
        longest: float = 60.0,
    ) -> None:
        WrappingPolicy.__init__(self, child if child is not None else TokenAwarePolicy())
        if attempts < 1:
            raise ValueError(f"attempts must be positive, got {attempts!r}")
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {share!r}")
        if not 0 < cooldown <= longest < math.inf:
            raise ValueError(f"0 < cooldown <= longest, got cooldown={cooldown!r}, longest={longest!r}")
        self._seconds = clock.seconds
        self._most = attempts * share
        self._cooldown = cooldown
        self._longest = longest
        self._states = NodeStates(lambda: Circuit(attempts))

    @property
    def open(self) -> list[str]:
        """The nodes whose circuit is open, by their ``host:port``."""
        return [name for name, circuit in self._states.by_name.items() if circuit.opened is not None]

    def node_up(self, node: Any) -> None:
        self._states.node_up(node)
        WrappingPolicy.node_up(self, node)

    def node_down(self, node: Any) -> None:
        self._states.node_down(node)
        WrappingPolicy.node_down(self, node)

    def plan(self, request: Any) -> Iterator[Any]:
        circuits = self._states.by_node
        left_out = []
        offered = False
        for node in self.child.plan(request):
            circuit = circuits.get(node)
            if circuit is None or circuit.opened is None or self._is_trial(circuit):
                offered = True
                yield node
            else:
                left_out.append((node.name, circuit))
        if left_out and not offered:
            now = self._seconds()
            said = {
                name: f"tried again in {max(0.0, circuit.opened + circuit.wait - now):.1f} s"
                for name, circuit in left_out
                if circuit.opened is not None
            }
            nodes = ", ".join(f"{name} ({when})" for name, when in said.items())
            raise NoNodeAvailable(f"the circuit of every node is open: {nodes} (the request: not sent)")

    def attempt_begun(self, node: str) -> None:
        pass

    def attempt_ended(self, node: str, seconds: float, error: BaseException | None) -> None:
        circuit = self._states.by_name.get(node)
        if circuit is None:
            return
        failed = isinstance(error, _FAILURES)
        if circuit.opened is None:
            if error is None or failed:
                circuit.note(failed)
                if len(circuit.last) == circuit.last.maxlen and circuit.failed >= self._most:
                    circuit.opened = self._seconds()
                    circuit.wait = self._cooldown
        elif circuit.trying:
            # What began before the circuit was opened is over, or tells the same.
            if error is None:
                circuit.close()
            elif failed:
                circuit.trying = False
                circuit.opened = self._seconds()
                circuit.wait = min(circuit.wait * 2, self._longest)

    def _is_trial(self, circuit: Circuit) -> bool:
        """Whether this is the request that finds out."""
        now = self._seconds()
        if circuit.opened is None or now < circuit.opened + circuit.wait:
            return False
        # A trial that is never sent, or given up, is followed by another after the same time.
        circuit.opened = now
        circuit.trying = True
        return True

    def __repr__(self) -> str:
        return f"<CircuitBreakerPolicy open={len(self.open)} {self.child!r}>"
