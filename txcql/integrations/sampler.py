"""The last minutes of a session: a point for each second, and how late the reactor is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txcql.integrations.requestmetrics import Histogram, RequestMetrics

__all__ = ["INTERVAL", "KEPT", "RECENT", "Point", "Sampler"]

INTERVAL = 1.0
"""Seconds from one point to the next."""

KEPT = 300
"""Points that are kept: five minutes."""

RECENT = 10
"""Points over which the latency of each node is taken."""

_PROBE = "SELECT key FROM system.local WHERE key = 'local'"
_PROBE_TIMEOUT = 2.0


class Point(NamedTuple):
    """One second.

    :ivar at: when it ended, by the clock of the reactor.
    :ivar in_flight: requests sent and unanswered just then.
    :ivar queued: requests in the queues just then.
    :ivar requests: requests that had their outcome within it; ``None`` if they are not counted.
    :ivar median: seconds within which half of those that did not fail had it; ``None`` of none.
    :ivar late: seconds within which 99 in 100 of them had it.
    :ivar lag: how late the reactor was at its end, in seconds.
    """

    at: float
    in_flight: int
    queued: int
    requests: int | None
    median: float | None
    late: float | None
    lag: float


class Sampler:
    """Takes a point each second, from :meth:`start` to :meth:`stop`, or until the session is closed.

    :param session: gives the session; ``None`` while there is none.
    :param clock: tells the time and waits.
    :param requests: what the session's observer counts, if it has one.
    :param probing: whether it asks each node that is up for something small in each second, so that there is
        a latency to be seen of a session that does nothing else.
    :ivar points: the last of them, oldest first.
    """

    def __init__(
        self,
        session: Callable[[], Any],
        clock: IReactorTime,
        requests: RequestMetrics | None = None,
        probing: bool = False,
    ) -> None:
        self.points: deque[Point] = deque(maxlen=KEPT)
        self._session = session
        self._clock = clock
        self._requests = requests
        self._probing = probing
        self._counts: list[int] = []
        self._finished = 0
        self._node_counts: dict[str, deque[list[int]]] = {}
        self._probes: set[Deferred[Any]] = set()
        self._call: IDelayedCall | None = None

    @property
    def running(self) -> bool:
        """Whether it takes points."""
        return self._call is not None

    @property
    def lag(self) -> float:
        """How late the reactor was, at most, over the recent points, in seconds."""
        return max((point.lag for point in list(self.points)[-RECENT:]), default=0.0)

    def start(self) -> None:
        """Begin, or go on."""
        if self._call is None:
            if self._requests is not None:
                self._counts = list(self._requests.answered.counts)
                self._finished = self._requests.finished
            self._wait()

    def stop(self) -> None:
        """Take no further point; those that there are stay."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        for probe in list(self._probes):
            probe.cancel()

    def latency(self, node: str, share: float) -> float | None:
        """The latency of a node lately.

        :param node: its ``host:port``.
        :param share: of its attempts, those that took no longer.
        :returns: seconds; ``None`` if it was asked nothing.
        """
        kept = self._node_counts.get(node)
        if not kept:
            return None
        return Histogram.quantile(_difference(kept[-1], kept[0]), share)

    # Inside.

    def _wait(self) -> None:
        due = self._clock.seconds() + INTERVAL
        self._call = self._clock.callLater(INTERVAL, self._tick, due)

    def _tick(self, due: float) -> None:
        self._call = None
        session = self._session()
        if session is not None and session.closed:
            return
        lag = max(0.0, self._clock.seconds() - due)
        in_flight = queued = 0
        if session is not None:
            nodes = session.snapshot()["nodes"].values()
            in_flight = sum(node["in_flight"] for node in nodes)
            queued = sum(node["queued"] for node in nodes)
        self.points.append(Point(self._clock.seconds(), in_flight, queued, *self._latencies(), lag))
        self._wait()
        if self._probing and session is not None:
            self._probe(session)

    def _latencies(self) -> tuple[int | None, float | None, float | None]:
        requests = self._requests
        if requests is None:
            return None, None, None
        for name, sums in requests.nodes.items():
            kept = self._node_counts.setdefault(name, deque(maxlen=RECENT + 1))
            kept.append(list(sums.attempts.counts))
        counts, finished = list(requests.answered.counts), requests.finished
        new = _difference(counts, self._counts)
        number = finished - self._finished
        self._counts, self._finished = counts, finished
        return number, Histogram.quantile(new, 0.5), Histogram.quantile(new, 0.99)

    def _probe(self, session: Any) -> None:
        """Ask for something small, once for each node that is up: the policy spreads them."""
        up = sum(node["state"] == "up" for node in session.snapshot()["nodes"].values())
        for _ in range(max(1, up) - len(self._probes)):
            probe = session.execute(_PROBE, timeout=_PROBE_TIMEOUT)
            self._probes.add(probe)
            probe.addBoth(self._probed, probe)

    def _probed(self, outcome: Any, probe: Deferred[Any]) -> None:
        # What became of it, an error too, is in the metrics.
        self._probes.discard(probe)

    def __repr__(self) -> str:
        return f"<Sampler points={len(self.points)} {'running' if self.running else 'stopped'}>"


def _difference(later: Sequence[int], earlier: Sequence[int]) -> list[int]:
    return [new - old for new, old in zip(later, earlier, strict=True)]
