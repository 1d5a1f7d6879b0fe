"""Sends many statements, as fast as there is room for them and no faster.

Who pauses whom: a pool without room for bulk work makes the :class:`BulkSender` wait; while that has
a statement that it cannot send, whoever gives it statements gives no further one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from txcql.errors import NOT_SENT, BusyConnectionError, NoNodeAvailable
from txcql.session.batches import EncodedBatch
from txcql.session.options import RequestOptions
from txcql.session.statements import PreparedStatement

if TYPE_CHECKING:
    from txcql.pool.nodepool import NodePool
    from txcql.session.executor import StatementExecutor
    from txcql.session.statementrequest import StatementRequest

__all__ = ["STATEMENTS_A_TURN", "BulkSender"]

STATEMENTS_A_TURN = 500
"""Statements taken before the reactor has its turn: some milliseconds of encoding."""
_PAUSE = 0.05
"""Seconds until a policy is asked again that had no node with room; an answer ends it at once."""


class _Statement:
    """One statement that waits to be sent.

    :ivar options: of the request.
    :ivar size: of its body, in bytes.
    :ivar plan: the nodes to try; ``None`` if the policy has to be asked.
    :ivar pool: that of the first of them.
    :ivar done: called with the result or Failure.
    """

    __slots__ = ("done", "options", "plan", "pool", "size", "statement", "values")

    def __init__(
        self,
        statement: str | PreparedStatement | EncodedBatch,
        values: bytes,
        options: RequestOptions,
        size: int,
        done: Callable[[Any], object],
    ) -> None:
        self.options = options
        self.statement = statement
        self.values = values
        self.size = size
        self.done = done
        self.plan: Iterator[Any] = iter(())
        self.pool: NodePool | None = None


class BulkSender:
    """Sends one statement after another, each when the pool that it is routed to has room.

    It waits where a single request would be refused as busy, and leaves a tenth of a link's high
    mark to single requests. Others who wait for the same pool have their turn.

    :param session: whose pools are used.
    :param clock: gives the reactor its turn.
    :param options: of each request that brings none.
    :param concurrency: requests in flight at most.
    :param go_on: called when :attr:`ready` may have become true.
    :ivar in_flight: requests sent and unanswered.
    :raises TypeError: ``concurrency`` is no int.
    :raises ValueError: it is not positive.
    """

    def __init__(
        self,
        session: StatementExecutor,
        clock: IReactorTime,
        options: RequestOptions,
        concurrency: int,
        go_on: Callable[[], None],
    ) -> None:
        if not isinstance(concurrency, int) or isinstance(concurrency, bool):
            raise TypeError(f"concurrency must be an int, got {concurrency!r}")
        if concurrency < 1:
            raise ValueError(f"concurrency must be positive, got {concurrency!r}")
        self.in_flight = 0
        self._session = session
        self._clock = clock
        self._options = options
        self._concurrency = concurrency
        self._go_on = go_on
        # More than one only if some come back, because their node was lost and others are full.
        self._held: deque[_Statement] = deque()
        self._wait: Deferred[None] | None = None
        self._pause: IDelayedCall | None = None
        self._left = STATEMENTS_A_TURN
        self._turn: IDelayedCall | None = None
        self._sending = False
        self._stopped = False

    @property
    def ready(self) -> bool:
        """Whether a further statement may be given."""
        return not self._held and self.in_flight < self._concurrency and self._left > 0

    def send(
        self,
        statement: str | PreparedStatement | EncodedBatch,
        parameters: Any,
        done: Callable[[Any], object],
        options: RequestOptions | None = None,
    ) -> None:
        """Send a statement, at once or when there is room.

        :param statement: text that is not to be prepared, a prepared statement, or an encoded batch.
        :param options: of the request; else those of all.
        :param done: called once, with its result or Failure, unless :meth:`stop` comes first.
        """
        self._left -= 1
        if self._left <= 0 and self._turn is None:
            self._turn = self._clock.callLater(0, self._next_turn)
        session = self._session
        if options is None:
            options = self._options
        try:
            values = session.encoded(statement, parameters, options)
            size = session.body_size(statement, values, options)
        except Exception:
            done(Failure())  # type: ignore[no-untyped-call]
            return
        self._held.append(_Statement(statement, values, options, size, done))
        self._send_held()

    def stop(self) -> None:
        """Forget what is held. What is sent will be answered, but nobody is told."""
        self._stopped = True
        self._held.clear()
        wait, self._wait = self._wait, None
        if wait is not None:
            wait.cancel()
        self._end_pause()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    # Inside.

    def _send_held(self, woken: bool = False) -> None:
        """Send what is held, until one has to wait.

        :param woken: whether the first has waited, and is no longer behind others.
        """
        # An answer may be there before start() returns: the loop below goes on by itself.
        if self._sending:
            return
        self._sending = True
        try:
            while self._held and self.in_flight < self._concurrency:
                if self._wait is not None or self._pause is not None:
                    break
                self._send_first(waits=not woken)
                woken = False
        finally:
            self._sending = False

    def _send_first(self, waits: bool) -> None:
        """Send the first that is held, or make it wait.

        :param waits: whether it is behind those who wait already.
        """
        held = self._held[0]
        try:
            pool = self._route(held)
            if pool is not None and ((waits and pool.bulk_waits) or not pool.bulk_room(held.size)):
                self._wait = wait = pool.when_bulk_room(held.size)
                wait.addCallbacks(self._woken, lambda failure: None)
                return
            request = self._session.request(held.statement, held.values, held.options)
        except BusyConnectionError:
            # The policy has a limit of its own.
            self._pause = self._clock.callLater(_PAUSE, self._resume)
            return
        except Exception:
            # A defect of the policy, whose plan this is.
            self._held.popleft()
            held.done(Failure())  # type: ignore[no-untyped-call]
            return
        self._held.popleft()
        self.in_flight += 1
        request.deferred.addBoth(self._answered, request, held.done)  # type: ignore[union-attr]
        request.start(held.plan)

    def _route(self, held: _Statement) -> NodePool | None:
        """Which pool it is for: asked anew if the one that it waited for has no room after all."""
        if held.pool is None or not held.pool.bulk_room(held.size):
            held.plan, held.pool = self._session.route(held.statement, held.values, held.options)
        return held.pool

    def _woken(self, _: None) -> None:
        self._wait = None
        self._send_held(woken=True)
        self._go_on()

    def _resume(self) -> None:
        self._pause = None
        self._send_held()
        self._go_on()

    def _end_pause(self) -> None:
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.cancel()

    def _answered(self, outcome: Any, request: StatementRequest, done: Callable[[Any], object]) -> None:
        self.in_flight -= 1
        if self._stopped:
            return
        if isinstance(outcome, Failure) and _found_no_room(outcome.value, request):
            # Its node was lost, and the others have no room now.
            self._held.appendleft(
                _Statement(request.statement, request.values, request.options, request.size, done)
            )
        else:
            done(outcome)
        if not self._stopped:
            self._end_pause()
            self._send_held()
            self._go_on()

    def _next_turn(self) -> None:
        self._turn = None
        self._left = STATEMENTS_A_TURN
        self._go_on()

    def __repr__(self) -> str:
        return f"<BulkSender in_flight={self.in_flight} held={len(self._held)}>"


def _found_no_room(error: BaseException | None, request: StatementRequest) -> bool:
    """Whether a request failed for want of room, and may be made again."""
    if isinstance(error, NoNodeAvailable) and (error.delivery == NOT_SENT or request.idempotent):
        return any(isinstance(cause, BusyConnectionError) for cause in error.errors.values())
    return isinstance(error, BusyConnectionError)
