"""One request's life: from node to node until it is answered, fails or is given up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from txcql.connection.pendingrequest import PendingRequest
from txcql.connection.protocol import CQLProtocol
from txcql.errors import (
    NOT_SENT,
    SENT,
    UNKNOWN,
    BusyConnectionError,
    ConnectionLost,
    CQLError,
    NoNodeAvailable,
    Overloaded,
    RequestTimeout,
    ServerError,
    SessionClosed,
    said_by,
)
from txcql.interfaces import INode, IRequest
from txcql.policies.retry import DefaultRetryPolicy, RetryDecision
from txcql.pool.nodepool import NodePool
from txcql.session.attempts import Attempt
from txcql.session.profiles import Policies
from txcql.session.responsehandler import PrepareHandler
from txcql.session.routing import SuspectsLast
from txcql.wire import constants
from txcql.wire.frames import Frame

if TYPE_CHECKING:
    from txcql.session.core import SessionCore

__all__ = ["Agreeing", "PrepareRequest", "Request", "Waiting"]

MOST_ATTEMPTS = 10
"""How often a request is sent at most, whatever its policies say."""

_CERTAINTY = (NOT_SENT, UNKNOWN, SENT)
_PREPARE_RETRIES = DefaultRetryPolicy()


class Past:
    """What became of the attempts of a request that was not answered at its first node.

    :ivar errors: what each node said.
    :ivar delivery: how far the request has come, over all attempts.
    :ivar attempts: how often it has been sent.
    :ivar lost: the pool that lost a link under it, and has others.
    :ivar tried: the nodes it was tried at, in order, and what each said.
    """

    __slots__ = ("attempts", "delivery", "errors", "lost", "tried")

    def __init__(self) -> None:
        self.errors: dict[str, CQLError] = {}
        self.delivery = NOT_SENT
        self.attempts = 0
        self.lost: NodePool | None = None
        self.tried: list[Attempt] = []

    def note(self, delivery: str | None) -> None:
        """It has come as far as this, at least."""
        if delivery is not None and _CERTAINTY.index(delivery) > _CERTAINTY.index(self.delivery):
            self.delivery = delivery


@implementer(IRequest)
class Request(PendingRequest):
    """What all requests of a session share: plan, deadline, retry and their one Deferred.

    The Deferred is made once and fires once; between attempts nothing is chained to it, and its
    canceller asks whichever link or queue holds the request by then.

    :param session: whose nodes it goes to.
    :param timeout: seconds until it is given up.
    :param idempotent: whether it may be repeated though it may have been carried out.
    :ivar deferred: fires with what the answer is turned into; ``None`` once it has fired.
    :ivar pool: the pool that has, or had, the current attempt.
    :cvar past_queues: whether it goes past every queue.
    """

    past_queues = False

    __slots__ = ("_past", "_plan", "deferred", "idempotent", "pool", "session", "timeout")

    def __init__(
        self,
        session: SessionCore,
        opcode: int,
        flags: int,
        body: bytes,
        timeout: float,
        untimed: bool,
        idempotent: bool,
    ) -> None:
        self.opcode = opcode
        self.flags = flags
        self.body = body
        self.size = len(body)
        self.untimed = untimed
        self.holder = None
        self.session = session
        self.timeout = timeout
        self.idempotent = idempotent
        self.pool: NodePool | None = None
        self._past: Past | None = None
        self.deferred: Deferred[Any] | None = Deferred(self.cancel)
        session.deadlines.add(self, timeout)

    def start(self, plan: Iterator[Any] | None = None) -> None:
        """Go to the first node of a plan that takes the request.

        :param plan: the nodes; ``None`` asks the load balancing policy.
        """
        if plan is None:
            try:
                plan = self.policies.load_balancing.plan(self)
            except Exception as error:
                self.finish(error)
                return
        self._plan = iter(plan)
        self._go_on()

    # What link and queue tell.

    def received(self, frame: Frame) -> None:
        self.holder = None
        try:
            answer = self.answer(frame)
        except CQLError as error:
            self._answered(error)
        except Exception as error:
            # A defect of ours must fail this request, not every request of the link.
            self.finish(error)
        else:
            self.finish(answer)

    def failed(self, error: CQLError) -> None:
        self.holder = None
        pool = cast(NodePool, self.pool)
        self._attempt_failed(error)
        pool.look_for_room()

    # What the session tells.

    def expire(self) -> None:
        """The deadline has passed; the session has forgotten the request already."""
        delivery = self._withdraw()
        node = f" by {self.pool.name}" if self.pool is not None else ""
        error = RequestTimeout(f"not answered{node} within {self.timeout:g} s (the request: {delivery})")
        error.delivery = delivery
        error.deadline = True
        error.node = self.pool.name if self.pool is not None else None
        self._fire(error)
        if self.pool is not None:
            self.pool.look_for_room()

    @property
    def on_link(self) -> bool:
        """Whether it has been sent, and its answer is not complete."""
        return isinstance(self.holder, CQLProtocol | Agreeing)

    def abandon(self) -> None:
        """The session is closed."""
        if self.deferred is None:
            return
        delivery = self._withdraw()
        self.finish(SessionClosed(f"session is closed (the request: {delivery})", delivery))

    def cancel(self, deferred: Deferred[Any]) -> None:
        """The application no longer wants the answer; Twisted fires the Deferred."""
        self._withdraw()
        self.deferred = None
        self.session.deadlines.remove(self, self.timeout)
        if self.pool is not None:
            self.pool.look_for_room()

    # For policies and for subclasses.

    @property
    def policies(self) -> Policies:
        """Those that it obeys."""
        return self.session.policies

    @property
    def keyspace(self) -> str | None:
        """The keyspace of what it reads or writes; ``None`` if not known."""
        return self.session.keyspace

    @property
    def routing_key(self) -> bytes | None:
        """The serialized partition key that it is for; ``None`` if it is for none, or for several."""
        return None

    @property
    def consistency(self) -> str:
        """The name of its consistency level."""
        return self.session.settings.consistency

    def replicas(self) -> Sequence[INode]:
        """The nodes that own its partition, in ring order; empty if they are not known."""
        return ()

    def answer(self, frame: Frame) -> Any:
        """What the answer is turned into.

        :raises CQLError: the request has failed at this node.
        """
        raise NotImplementedError

    def retry_here(self, error: CQLError) -> bool:
        """Whether the request has begun to do something about the error at the same node."""
        return False

    def decide(self, error: CQLError, attempt: int) -> RetryDecision:
        """What to do now that an attempt has failed.

        :param attempt: how often the request has been sent.
        """
        decision: RetryDecision = self.policies.retry.decide(self, error, attempt)
        return decision

    def change_consistency(self, consistency: str) -> None:
        """Ask for another consistency level from now on.

        :raises ValueError: there is no such level.
        """
        raise NotImplementedError

    def ignored(self, error: CQLError) -> Any:
        """What the request is answered with if its error is to be ignored."""
        return error

    def finish(self, outcome: Any) -> None:
        """Fire the Deferred, with a result, an exception or a Failure."""
        if self.deferred is not None:
            self.session.deadlines.remove(self, self.timeout)
            self._fire(outcome)

    # Inside.

    def _fire(self, outcome: Any) -> None:
        deferred, self.deferred = self.deferred, None
        if deferred is None:
            return
        if isinstance(outcome, BaseException | Failure):
            if self._past is not None and isinstance(outcome, CQLError):
                tried = self._past.tried
                outcome.attempts = tuple(attempt for attempt in tried if attempt.error is not outcome)
            deferred.errback(outcome)
        else:
            deferred.callback(outcome)

    def _go_on(self) -> None:
        pools = self.session.pools
        plan = self._plan
        try:
            while (node := next(plan, None)) is not None:
                pool = pools.get(node)
                if pool is None:
                    continue
                if node.suspect and type(plan) is not SuspectsLast:
                    plan = self._plan = SuspectsLast(node, plan)
                    continue
                self.pool = pool
                error = pool.submit_past_queue(self) if self.past_queues else pool.submit(self)
                if error is None:
                    return
                self._note(pool.name, error)
        except Exception as error:
            # A defect of the policy, whose plan this is.
            self.finish(error)
            return
        past = self._past
        if past is not None and (pool := past.lost) is not None:
            # It lost one of several links, and nobody else took the request.
            past.lost = None
            self._submit_again(pool)
        else:
            self.finish(self._exhausted())

    def _submit_again(self, pool: NodePool) -> None:
        self.pool = pool
        error = pool.submit_past_queue(self) if self.past_queues else pool.submit(self)
        if error is not None:
            self._note(pool.name, error)
            self._go_on()

    def _history(self) -> Past:
        past = self._past
        if past is None:
            past = self._past = Past()
        return past

    def _note(self, node: str, error: CQLError) -> None:
        past = self._history()
        # Its traceback leads to this request, and would hold both.
        error = error.with_traceback(None)
        past.tried.append(Attempt(node, error, self._duration(error)))
        if error.delivery == NOT_SENT:
            # What the node did to the request before says more.
            past.errors.setdefault(node, error)
        else:
            past.errors[node] = error
            past.note(error.delivery)

    def _duration(self, error: CQLError) -> float:
        """Seconds that the attempt took which has failed."""
        if error.delivery == NOT_SENT and not isinstance(error, ServerError):
            return 0.0
        written = self.written[0]
        return self.session.seconds() - written if written is not None else 0.0

    def _answered(self, error: CQLError) -> None:
        """The answer is an error, or cannot be read."""
        if error.delivery is None:
            error.delivery = SENT
        self._attempt_failed(error)

    def _attempt_failed(self, error: CQLError) -> None:
        if self.deferred is None:
            return
        pool = cast(NodePool, self.pool)
        if error.node is None:
            error.node = pool.name
        if self.retry_here(error):
            return
        if error.delivery == NOT_SENT and not isinstance(error, Overloaded):
            # There is nothing to decide: it is as if this node had not been asked.
            self._note(pool.name, error)
            self._go_on()
            return
        past = self._history()
        past.attempts += 1
        try:
            action, consistency = self.decide(error, past.attempts)
            if consistency is not None and action != "raise":
                self.change_consistency(consistency)
        except Exception as defect:
            # Of the retry policy.
            self.finish(defect)
            return
        if action in ("same", "next") and past.attempts < MOST_ATTEMPTS:
            self._note(pool.name, error)
            if isinstance(error, ConnectionLost) and pool.up:
                past.lost = pool
            if action == "same":
                self._submit_again(pool)
            else:
                self._go_on()
        elif action == "ignore":
            self._note(pool.name, error)
            self.finish(self.ignored(error))
        else:
            past.note(error.delivery)
            error.delivery = past.delivery
            self.finish(error)

    def _exhausted(self) -> CQLError:
        past = self._past
        if past is None or not past.errors:
            return NoNodeAvailable(f"no node is up: {self.session.why_down()}")
        errors = past.errors
        last = list(errors.values())[-1]
        if len(errors) == 1 or all(isinstance(error, BusyConnectionError) for error in errors.values()):
            return last
        said = "; ".join(said_by(node, error) for node, error in errors.items())
        error = NoNodeAvailable(f"no node could take the request ({past.delivery}): {said}", errors)
        error.delivery = past.delivery
        return error

    def _withdraw(self) -> str:
        """Take the request from whoever holds it; how far it has come, over all attempts."""
        if self.on_link and self.written[0] is not None:
            self._history().note(SENT)
        holder, self.holder = self.holder, None
        if holder is not None:
            holder.withdraw(self)
        return self._past.delivery if self._past is not None else NOT_SENT


class PrepareRequest(Request):
    """One PREPARE: past every queue, and safe to repeat."""

    past_queues = True

    __slots__ = ("_handler",)

    def __init__(self, session: SessionCore, handler: PrepareHandler, body: bytes) -> None:
        self._handler = handler
        timeout = session.settings.request_timeout
        Request.__init__(self, session, constants.PREPARE, 0, body, timeout, False, True)

    def answer(self, frame: Frame) -> Any:
        name = cast(NodePool, self.pool).name
        prepared = self._handler.result(frame, name)
        if prepared.prefixes.warnings:
            self.session.warnings.note(name, prepared.prefixes.warnings)
        return prepared

    def decide(self, error: CQLError, attempt: int) -> RetryDecision:
        return _PREPARE_RETRIES.decide(self, error, attempt)


class Waiting:
    """Holds a request while its statement is prepared.

    Once the request is withdrawn it has no holder, and what becomes of the work is nothing to it.
    """

    __slots__ = ("_deferred",)

    def __init__(self, deferred: Deferred[Any]) -> None:
        self._deferred = deferred

    def withdraw(self, request: PendingRequest) -> None:
        self._deferred.cancel()


class Agreeing(Waiting):
    """Holds a request that is answered, while the nodes come to agree on the schema."""
