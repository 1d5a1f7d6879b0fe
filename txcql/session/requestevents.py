"""What observers of requests are told: the steps of a request, with their times."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, NamedTuple

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txcql.interfaces import IRequestObserver

__all__ = ["FINISHED", "STEPS", "Observation", "RequestEvent", "RequestInfo"]

log = Logger(namespace="txcql.session")

CREATED = "created"
PLANNED = "planned"
ROUTED = "routed"
QUEUED = "queued"
STREAM_TAKEN = "stream taken"
WRITTEN = "written"
READ = "read"
FRAMED = "framed"
MATCHED = "matched"
DEQUEUED = "dequeued"
DECODED = "decoded"
FAILED = "failed"
FINISHED = "finished"

STEPS = (
    CREATED,
    PLANNED,
    ROUTED,
    QUEUED,
    STREAM_TAKEN,
    WRITTEN,
    READ,
    FRAMED,
    MATCHED,
    DEQUEUED,
    DECODED,
    FAILED,
)
"""The twelve steps of a request, by their numbers in "One request, step by step"."""


class RequestInfo:
    """One request, as observers see it.

    :ivar number: counts the requests of a session, from 1.
    :ivar text: the statement.
    :ivar keyspace: the keyspace of unqualified names.
    :ivar consistency: its consistency level's name; ``None`` of a PREPARE.
    :ivar preparing: whether this is a PREPARE of the driver's own.
    :ivar timeout: seconds until it is given up.
    :ivar started: when it was created, by the clock of the reactor.
    :ivar timeline: the step, the time and the node of each event so far.
    :ivar values: its values, in the order of the parameters; ``None`` while they are not known, and
        if no observer of the session has ``wants_values``.
    """

    __slots__ = (
        "consistency",
        "keyspace",
        "number",
        "preparing",
        "started",
        "text",
        "timeline",
        "timeout",
        "values",
    )

    def __init__(
        self,
        number: int,
        text: str,
        keyspace: str | None,
        consistency: str | None,
        preparing: bool,
        timeout: float,
        started: float,
    ) -> None:
        self.number = number
        self.text = text
        self.keyspace = keyspace
        self.consistency = consistency
        self.preparing = preparing
        self.timeout = timeout
        self.started = started
        self.timeline: list[tuple[str, float, str | None]] = []
        self.values: Sequence[Any] | None = None

    def __repr__(self) -> str:
        return f"<RequestInfo {self.number} {self.text!r}>"


class RequestEvent(NamedTuple):
    """One step of a request.

    :ivar request: whose step it is; the same object at every step.
    :ivar step: one of ``STEPS``, or ``"finished"``.
    :ivar at: when it took place, by the clock of the reactor, in seconds.
    :ivar node: the ``host:port`` of the node of this attempt; ``None`` before there is one.
    :ivar error: what went wrong, at ``"decoded"``, ``"failed"`` and ``"finished"``.
    :ivar size: the bytes of the request's body at ``"stream taken"``, of the answer's at ``"framed"``.
    """

    request: RequestInfo
    step: str
    at: float
    node: str | None = None
    error: BaseException | None = None
    size: int = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the request was created."""
        return self.at - self.request.started


class Observation:
    """Tells the observers of a session.

    :param observers: of its ``observers``, those that provide
        :class:`~txcql.interfaces.IRequestObserver` are told.
    :param clock: tells the time.
    :ivar wants_values: whether one of them does.
    """

    def __init__(self, observers: Sequence[Any], clock: IReactorTime) -> None:
        self.observers = tuple(found for found in observers if IRequestObserver.providedBy(found))
        self.wants_values = any(found.wants_values for found in self.observers)
        self.seconds = clock.seconds
        self.numbers = count(1)

    def tell(self, event: RequestEvent) -> None:
        """Tell each of them; what they raise is logged, and nothing else comes of it."""
        event.request.timeline.append((event.step, event.at, event.node))
        for observer in self.observers:
            try:
                observer.request_step(event)
            except Exception:
                log.failure("an observer failed to take in {step!r}", step=event.step)
