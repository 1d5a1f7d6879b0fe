"""Observers that log requests: each of them, or those that took long. They log no values unless told to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from twisted.logger import Logger, LogLevel
from zope.interface import implementer

from txcql.interfaces import IRequestObserver
from txcql.session.requestevents import FINISHED, RequestEvent

__all__ = ["RequestLogger", "SlowQueryLogger"]

log = Logger(namespace="txcql.session")

_LONGEST_TEXT = 1000
_LEAST = 0.00005
_PASSWORD = re.compile(r"(\bPASSWORD\s*=?\s*)(?:'(?:[^']|'')*'|\$\$.*?\$\$)", re.IGNORECASE | re.DOTALL)

_PHASES = {
    ("created", "planned"): "preparing",
    ("queued", "dequeued"): "queued",
    ("stream taken", "written"): "writing",
    ("written", "read"): "node",
    ("read", "framed"): "held back",
    ("matched", "decoded"): "decoding",
}
"""What a request waits for between two steps that follow each other."""


@implementer(IRequestObserver)
class RequestLogger:
    """Logs a line for each request that has ended: node, outcome, time, consistency and text.

    The lines are in the namespace ``txcql.session``. Of an error they name the class, and its text only
    with ``log_values``, since the server may quote values. A password in a statement that makes a
    role is never logged.

    :param log_values: whether values of parameters, and texts of errors, are logged, too.
    :param level: a ``twisted.logger.LogLevel``.
    """

    def __init__(self, *, log_values: bool = False, level: Any = LogLevel.info) -> None:
        self.wants_values = log_values
        self._level = level

    def request_step(self, event: RequestEvent) -> None:
        """One step of a request; only the last is of interest here."""
        if event.step == FINISHED:
            self._log(event, "{node}: {outcome} in {milliseconds:.1f} ms ({consistency}): {text}{values}")

    def _log(self, event: RequestEvent, text: str, **more: object) -> None:
        info = event.request
        outcome = "ok" if event.error is None else type(event.error).__name__
        if event.error is not None and self.wants_values:
            outcome += f" ({event.error})"
        shows_values = self.wants_values and info.values
        log.emit(
            self._level,
            text,
            node=event.node or "no node",
            outcome=outcome,
            milliseconds=event.elapsed * 1000,
            consistency=info.consistency or "PREPARE",
            text=_shown(info.text),
            values=f" with {info.values!r}" if shows_values else "",
            number=info.number,
            **more,
        )


class SlowQueryLogger(RequestLogger):
    """Logs a line for each request that took long, with what it spent the time on.

    :param threshold: seconds from which on a request is slow.
    :param log_values: as for :class:`RequestLogger`, and so is the level.
    :raises ValueError: the threshold is negative.
    """

    def __init__(
        self, threshold: float = 1.0, *, log_values: bool = False, level: Any = LogLevel.warn
    ) -> None:
        if threshold < 0:
            raise ValueError(f"threshold must not be negative, got {threshold!r}")
        RequestLogger.__init__(self, log_values=log_values, level=level)
        self._threshold = threshold

    def request_step(self, event: RequestEvent) -> None:
        if event.step == FINISHED and event.elapsed >= self._threshold:
            phases = time_by_phase(event.request.timeline)
            spent = [
                f"{name} {seconds * 1000:.1f} ms" for name, seconds in phases.items() if seconds >= _LEAST
            ]
            attempts = sum(step == "stream taken" for step, _, _ in event.request.timeline)
            self._log(
                event,
                "{node}: slow request, {outcome} in {milliseconds:.1f} ms "
                "({spent}; {consistency}): {text}{values}",
                spent=", ".join([*spent, f"attempts {attempts}"]),
                phases=phases,
                attempts=attempts,
            )


def time_by_phase(timeline: Sequence[tuple[str, float, str | None]]) -> dict[str, float]:
    """What a request has waited for, and how long, over all attempts.

    :param timeline: that of its :class:`~txcql.session.requestevents.RequestInfo`.
    :returns: phase -> seconds; the phases in which it has been only.
    """
    found: dict[str, float] = {}
    for (step, began, _), (following, ended, _) in pairwise(timeline):
        phase = _PHASES.get((step, following))
        if phase is not None:
            found[phase] = found.get(phase, 0.0) + ended - began
    return found


def _shown(text: str) -> str:
    text = _PASSWORD.sub(r"\1'…'", text)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
