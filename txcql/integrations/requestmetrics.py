"""Counts and times of requests, for each node: an observer that keeps sums, and nothing of any request."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from zope.interface import implementer

from txcql.interfaces import IRequestObserver
from txcql.session.requestevents import (
    DEQUEUED,
    FAILED,
    FINISHED,
    FRAMED,
    QUEUED,
    READ,
    STREAM_TAKEN,
    RequestEvent,
)

__all__ = ["BOUNDS", "OTHER", "Histogram", "NodeMetrics", "RequestMetrics", "operation_of"]

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the buckets of each histogram, in seconds; what took longer is in one more."""

OTHER = "other"
"""What nodes and operations are counted as once there are too many of them."""

MOST_NODES = 500

OPERATIONS = frozenset(
    ("SELECT", "INSERT", "UPDATE", "DELETE", "BEGIN", "CREATE", "ALTER", "DROP", "TRUNCATE", "USE")
)

_FIRST_WORD = re.compile(r"(?:\s|(?:--|//)[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)*(\w+)")


def operation_of(text: str) -> str:
    """What a statement does: its first word; ``"BATCH"`` of a batch, :data:`OTHER` of what is unknown."""
    match = _FIRST_WORD.match(text)
    word = match[1].upper() if match is not None else ""
    if word not in OPERATIONS:
        return OTHER
    return "BATCH" if word == "BEGIN" else word


class Histogram:
    """How many took how long.

    :ivar counts: for each of :data:`BOUNDS`, those that took no longer and more than the one before;
        at the end those that took longer than all of them.
    :ivar sum: of all, in seconds.
    """

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts)

    @staticmethod
    def quantile(counts: Sequence[int], share: float) -> float | None:
        """The time that a share took no longer than, as exactly as the buckets tell.

        :param counts: as :attr:`counts`.
        :returns: seconds; ``None`` of nothing.
        """
        total = sum(counts)
        if not total:
            return None
        wanted = share * total
        below = 0
        for place, count in enumerate(counts):
            if count and below + count >= wanted:
                low = BOUNDS[place - 1] if place else 0.0
                high = BOUNDS[place] if place < len(BOUNDS) else 2 * BOUNDS[-1]
                return low + (high - low) * (wanted - below) / count
            below += count
        return 2 * BOUNDS[-1]

    def __repr__(self) -> str:
        return f"<Histogram count={self.count} sum={self.sum:g}>"


class NodeMetrics:
    """What the requests to one node came to.

    :ivar attempts: from when a request had its stream until its answer was read.
    :ivar queue_wait: how long requests were in the queue.
    :ivar errors: attempts that failed, by the class of the error.
    :ivar retries: attempts that followed one that had failed here, by the class of its error.
    :ivar unsent: attempts that failed before a byte of them was sent.
    :ivar bytes_sent: bodies of requests.
    :ivar bytes_received: bodies of answers.
    """

    __slots__ = ("attempts", "bytes_received", "bytes_sent", "errors", "queue_wait", "retries", "unsent")

    def __init__(self) -> None:
        self.attempts = Histogram()
        self.queue_wait = Histogram()
        self.errors: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self.unsent = 0
        self.bytes_sent = 0
        self.bytes_received = 0


@implementer(IRequestObserver)
class RequestMetrics:
    """Counts and times every request of a session: give it to ``observers``.

    There is a fixed number of sums for each node, operation and class of error, and for nothing else:
    no statement, keyspace or value becomes a name.

    :ivar nodes: by ``host:port``.
    :ivar operations: from when a request was made until it had its outcome, by what it does.
    :ivar answered: the same, of all that did not fail.
    :ivar errors: requests that failed, by the class of the error.
    :ivar preparing: PREPAREs of the driver's own.
    """

    wants_values = False

    def __init__(self) -> None:
        self.nodes: dict[str, NodeMetrics] = {}
        self.operations: dict[str, Histogram] = {}
        self.answered = Histogram()
        self.errors: Counter[str] = Counter()
        self.preparing = 0
        # number -> where the last attempt has failed, and how; of requests in flight only.
        self._failed: dict[int, tuple[NodeMetrics, str]] = {}

    def request_step(self, event: RequestEvent) -> None:
        """One step of a request."""
        step = event.step
        if step == FINISHED:
            self._finished(event)
        elif step == STREAM_TAKEN:
            self._node(event.node).bytes_sent += event.size
            failed = self._failed.pop(event.request.number, None)
            if failed is not None:
                node, kind = failed
                node.retries[kind] += 1
        elif step == FRAMED:
            self._node(event.node).bytes_received += event.size
        elif step == FAILED:
            node = self._node(event.node)
            kind = type(event.error).__name__
            node.errors[kind] += 1
            if getattr(event.error, "delivery", None) == "not sent":
                node.unsent += 1
            self._failed[event.request.number] = (node, kind)

    @property
    def finished(self) -> int:
        """Requests that have had their outcome."""
        return sum(histogram.count for histogram in self.operations.values())

    # Inside.

    def _node(self, name: str | None) -> NodeMetrics:
        key = name or OTHER
        found = self.nodes.get(key)
        if found is None:
            if len(self.nodes) >= MOST_NODES:
                key = OTHER
            found = self.nodes.setdefault(key, NodeMetrics())
        return found

    def _finished(self, event: RequestEvent) -> None:
        info = event.request
        self._failed.pop(info.number, None)
        taken = queued = None
        for step, at, name in info.timeline:
            if step == STREAM_TAKEN:
                taken = at
            elif step == READ and taken is not None:
                self._node(name).attempts.add(at - taken)
                taken = None
            elif step == QUEUED:
                queued = at
            elif step == DEQUEUED and queued is not None:
                self._node(name).queue_wait.add(at - queued)
                queued = None
        if info.preparing:
            self.preparing += 1
            return
        operation = operation_of(info.text)
        found = self.operations.get(operation)
        if found is None:
            found = self.operations[operation] = Histogram()
        found.add(event.elapsed)
        if event.error is None:
            self.answered.add(event.elapsed)
        else:
            self.errors[type(event.error).__name__] += 1

    def __repr__(self) -> str:
        return f"<RequestMetrics requests={self.finished} errors={sum(self.errors.values())}>"
