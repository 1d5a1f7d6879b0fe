"""One idempotent request at several nodes at a time: the first answer is the answer."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from txcql.errors import RequestTimeout, SessionClosed
from txcql.interfaces import IGuardedSpeculativeExecutionPolicy

if TYPE_CHECKING:
    from txcql.session.results import Result
    from txcql.session.statementrequest import StatementRequest

__all__ = ["SPECULATION_PRECISION", "SpeculativeExecution"]

SPECULATION_PRECISION = 0.002
"""Seconds by which a further execution may be late."""


class SpeculativeExecution:
    """The executions of one request, each of which is a request of its own.

    They share a plan, so each begins at a node of its own, and they share the deadline of the first.
    An execution that fails leaves the answer to the others; the last failure is the request's.

    :param request: the first of them, not started.
    :param policy: an :class:`~txcql.interfaces.ISpeculativeExecutionPolicy`.
    :ivar deferred: fires with the first answer; cancelling it cancels all executions.
    """

    __slots__ = ("_begun", "_delay", "_first", "_plan", "_policy", "_running", "_session", "deferred")

    def __init__(self, request: StatementRequest, policy: Any) -> None:
        self.deferred: Deferred[Result] = Deferred(lambda deferred: self._end())
        self._session = request.session
        self._policy = policy
        self._first = request
        self._running: list[StatementRequest] = []
        self._begun = 0
        self._delay: float | None = None
        try:
            self._plan = iter(self._session.plan(request))
        except Exception as error:
            self._begin(request)
            request.finish(error)
            return
        self._begin(request)
        request.start(self._plan)
        self._wait()

    def begin_one_more(self) -> None:
        """The time for it has come."""
        self._delay = None
        try:
            if not self._begins():
                return
            node = next(self._plan, None)
        except Exception:
            # A defect of the policy: whoever needs a node next will say so.
            return
        if node is not None:
            request = self._first.twin()
            self._begin(request)
            request.start(chain((node,), self._plan))
            self._wait()

    # Inside.

    def _begins(self) -> bool:
        policy = self._policy
        if not IGuardedSpeculativeExecutionPolicy.providedBy(policy):
            return True
        return bool(policy.begins(self._first, self._begun))

    def _begin(self, request: StatementRequest) -> None:
        self._begun += 1
        self._running.append(request)
        deferred: Deferred[Any] = request.deferred  # type: ignore[assignment]
        deferred.addCallbacks(self._answered, self._failed, callbackArgs=(request,), errbackArgs=(request,))

    def _wait(self) -> None:
        if not self._running:
            return
        self._delay = self._policy.delay(self._first, self._begun)
        if self._delay is not None:
            self._session.speculation.add(self, self._delay)

    def _answered(self, result: Result, request: StatementRequest) -> None:
        if request in self._running:
            self._running.remove(request)
            self._end()
            self.deferred.callback(result)

    def _failed(self, failure: Failure, request: StatementRequest) -> None:
        if request not in self._running:
            return
        self._running.remove(request)
        error = failure.value
        final = isinstance(error, SessionClosed) or (isinstance(error, RequestTimeout) and error.deadline)
        if final or not self._running:
            self._end()
            self.deferred.errback(failure)

    def _end(self) -> None:
        """No further execution, and those that run are given up."""
        if self._delay is not None:
            self._session.speculation.remove(self, self._delay)
            self._delay = None
        running, self._running = self._running, []
        for request in running:
            if request.deferred is not None:
                request.deferred.cancel()

    def __repr__(self) -> str:
        return f"<SpeculativeExecution begun={self._begun} running={len(self._running)}>"
