"""What the requests of a session share: pools, deadlines, prepared statements, decoders."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import chain
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, DeferredLock, gatherResults
from twisted.internet.interfaces import IDelayedCall

from txcql.cluster.nodes import Node
from txcql.errors import SessionClosed
from txcql.pool.nodepool import NodePool
from txcql.pool.roomwaiters import RoomWaiters
from txcql.session.deadlines import Deadlines
from txcql.session.options import RequestOptions
from txcql.session.preparedcache import PreparedCache
from txcql.session.request import Parameters, PrepareRequest, Request, StatementRequest
from txcql.session.responsehandler import DecoderCache, PrepareHandler, ResponseHandler
from txcql.session.results import Result
from txcql.session.sharedwork import SharedWork
from txcql.session.statements import PreparedGeneration, PreparedStatement, is_ddl, is_select
from txcql.settings import Settings
from txcql.wire import requests
from txcql.wire.responses import Prepared, SetKeyspace
from txcql.wire.rows import RowFactory
from txcql.wire.usercodecs import CodecRegistry

if TYPE_CHECKING:
    from txcql.session.clusterview import ClusterView

__all__ = ["BulkUser", "SessionCore"]

_TEXT_HANDLERS = 256
_LONGEST_TEXT_KEPT = 4096


class BulkUser(Protocol):
    """Bulk work under way."""

    def session_closed(self) -> None:
        """There is nothing more to do."""


class SessionCore:
    """What requests, streams and bulk work call.

    :param reactor: waits and tells the time.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param keyspace: the keyspace of unqualified names.
    :param view: the cluster.
    :ivar pools: node -> pool.
    :ivar deadlines: knows every unfinished request.
    :ivar bulk_users: hear that the session is closed.
    """

    def __init__(self, reactor: Any, settings: Settings, keyspace: str | None, view: ClusterView) -> None:
        self.settings = settings
        self.keyspace = keyspace
        self.closed = False
        self.pools = view.pools
        self.plan = view.plan
        self.deadlines: Deadlines[Request] = Deadlines(reactor, Request.expire)
        self._view = view
        self._reactor = reactor
        self._thread = get_ident()
        self._default = RequestOptions.default(settings)
        self._decoders = DecoderCache(CodecRegistry(settings.codecs))
        self._text_handlers: OrderedDict[tuple[str, RowFactory], ResponseHandler] = OrderedDict()
        self._prepared = PreparedCache(settings.prepared_cache_size)
        self._switching = DeferredLock()
        self.bulk_users: set[BulkUser] = set()
        self._waiters = RoomWaiters()
        self._waking: IDelayedCall | None = None
        view.on_room = self._room_came
        self._repreparing: SharedWork[tuple[NodePool, PreparedStatement], PreparedGeneration] = SharedWork()

    @property
    def version(self) -> int:
        """The protocol version that the cluster and the session speak."""
        return self._view.version

    @property
    def nodes(self) -> list[Node]:
        """Every node that is known, those of other data centers too."""
        return self._view.nodes

    def execute_encoded(
        self, statement: str | PreparedStatement, values: bytes, options: RequestOptions
    ) -> Deferred[Result]:
        """Execute a statement whose values are encoded.

        :param values: with their [short] count; ``b""`` for text.
        """
        plan = self.plan()
        request = self.request(statement, values, options)
        deferred: Deferred[Result] = request.deferred  # type: ignore[assignment]
        request.start(plan)
        return deferred

    def request(
        self, statement: str | PreparedStatement, values: bytes, options: RequestOptions
    ) -> StatementRequest:
        """A request to be started at once: its deadline is noted.

        :param values: as for :meth:`execute_encoded`.
        """
        settings = self.settings
        timeout = options.timeout
        idempotent = options.idempotent
        if isinstance(statement, str):
            generation = None
            handler = self._text_handler(statement, options.row_factory)
            head, tail = requests.query_parts(self.version, statement, options.query, has_values=False)
            head = options.prefix + head
            if idempotent is None:
                idempotent = is_select(statement)
            if timeout is None:
                timeout = settings.ddl_timeout if is_ddl(statement) else settings.request_timeout
        else:
            generation = statement.generation
            handler = generation.handler
            if options is not self._default:
                handler = handler.with_row_factory(options.row_factory)
            head, tail = generation.parts_for(self.version, options)
            if len(values) == 2:
                values = b""
            if idempotent is None:
                idempotent = statement.idempotent
            if timeout is None:
                timeout = settings.request_timeout
        return StatementRequest(
            self, statement, generation, handler, options, head + values + tail, timeout, idempotent
        )

    def reprepare(self, statement: PreparedStatement, pool: NodePool) -> Deferred[PreparedGeneration]:
        """Prepare a statement again, at a node that does not know it.

        However many requests the node refuses for it, it is told the statement once.

        :returns: fires with its new generation, which is the statement's from then on.
        """
        return self._repreparing.join((pool, statement), lambda: self._reprepare(statement, pool))

    def _reprepare(self, statement: PreparedStatement, pool: NodePool) -> Deferred[PreparedGeneration]:
        keyspace = statement.keyspace if self.version >= 5 else None
        body = requests.prepare(self.version, statement.text, keyspace)
        plan = iter([node for node, other in self.pools.items() if other is pool])

        def prepared(answer: Prepared) -> PreparedGeneration:
            statement.generation = PreparedGeneration(answer, self._handler(answer))
            return statement.generation

        return self._send_prepare(body, plan).addCallback(prepared)

    def apply(self, result: Result) -> Deferred[Result]:
        """Do what a Set_keyspace or Schema_change asks for, before its result is delivered.

        :returns: fires with the result.
        """
        return Deferred.fromCoroutine(self._apply(result))

    def check_thread(self) -> None:
        """
        :raises RuntimeError: this is not the thread of the session's reactor.
        """
        if get_ident() != self._thread:
            raise RuntimeError(
                "a txcql session is used in its reactor's thread only: from another thread call "
                "twisted.internet.threads.blockingCallFromThread(reactor, session.execute, …)"
            )

    def encode(self, statement: PreparedStatement, parameters: Parameters) -> bytes:
        """The values of a prepared statement.

        :raises EncodeError: they do not fit its parameters.
        """
        return statement.generation.encoder.encode(() if parameters is None else parameters, self.version)

    def body_size(self, statement: str | PreparedStatement, values: bytes, options: RequestOptions) -> int:
        """The size of the body that :meth:`request` would send.

        :param values: as there.
        """
        if isinstance(statement, str):
            head, tail = requests.query_parts(self.version, statement, options.query, has_values=False)
            return len(options.prefix) + len(head) + len(tail)
        head, tail = statement.generation.parts_for(self.version, options)
        return len(head) + len(values) + len(tail)

    def route(self) -> tuple[Iterator[Any], NodePool | None]:
        """A plan, and the pool of the first node of it that is up; ``None`` if none is."""
        plan = self.plan()
        for node in plan:
            pool = self.pools.get(node)
            if pool is not None and pool.up:
                return chain((node,), plan), pool
        return iter(()), None

    def why_down(self) -> str:
        """Why no node is up, for an error."""
        return self._view.why_down()

    # Inside.

    def _room(self) -> int:
        """How many requests would be sent at once, over all nodes."""
        return sum(pool.room() for pool in self.pools.values())

    def _room_came(self) -> None:
        if self._waiters:
            self._wake_waiters()

    def _wake_waiters(self) -> None:
        self._waiters.wake(self._room())
        if self._waiters and self._waking is None and self._room():
            # Those that were woken have not used it, or not yet.
            self._waking = self._reactor.callLater(0, self._next_turn)

    def _next_turn(self) -> None:
        self._waking = None
        self._wake_waiters()

    def _tell_closed(self) -> None:
        """The session is closed: tell who waits for room, and who does bulk work."""
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None
        for waiter in self._waiters.take_all():
            if not waiter.called:
                waiter.errback(SessionClosed())
        for user in list(self.bulk_users):
            user.session_closed()

    def _prepare_and_execute(
        self, text: str, parameters: Parameters, options: RequestOptions
    ) -> Deferred[Result]:
        keyspace = options.query.keyspace
        statement = self._prepared.find(keyspace if keyspace is not None else self.keyspace, text)
        if statement is not None:
            values = statement.generation.encoder.encode(parameters, self.version)
            return self.execute_encoded(statement, values, options)
        preparing = self._prepare(text, keyspace)
        timeout = options.timeout if options.timeout is not None else self.settings.request_timeout
        request = StatementRequest(self, text, None, None, options, b"", timeout, options.idempotent or False)
        deferred: Deferred[Result] = request.deferred  # type: ignore[assignment]
        request.prepare_first(preparing, parameters)
        return deferred

    def _prepare(self, text: str, keyspace: str | None) -> Deferred[PreparedStatement]:
        body = requests.prepare(self.version, text, keyspace)
        current = keyspace if keyspace is not None else self.keyspace
        return self._prepared.get(current, text, lambda: self._begin_prepare(text, current, body))

    def _begin_prepare(self, text: str, keyspace: str | None, body: bytes) -> Deferred[PreparedStatement]:
        def prepared(answer: Prepared) -> PreparedStatement:
            return PreparedStatement(text, keyspace, answer, self._handler(answer))

        return self._send_prepare(body, self.plan()).addCallback(prepared)

    def _send_prepare(self, body: bytes, plan: Iterator[Any]) -> Deferred[Prepared]:
        request = PrepareRequest(self, PrepareHandler(), body)
        deferred: Deferred[Prepared] = request.deferred  # type: ignore[assignment]
        request.start(plan)
        return deferred

    def _handler(self, prepared: Prepared) -> ResponseHandler:
        return ResponseHandler(self._decoders, self.settings.row_factory, prepared.columns)

    def _text_handler(self, text: str, row_factory: RowFactory) -> ResponseHandler:
        key = (text, row_factory)
        handler = self._text_handlers.get(key)
        if handler is None:
            handler = ResponseHandler(self._decoders, row_factory)
            if len(text) > _LONGEST_TEXT_KEPT:
                return handler
            self._text_handlers[key] = handler
            if len(self._text_handlers) > _TEXT_HANDLERS:
                self._text_handlers.popitem(last=False)
        return handler

    async def _apply(self, result: Result) -> Result:
        change = result.change
        if isinstance(change, SetKeyspace):
            # One change at a time: a node may carry out two USEs of one link in any order.
            await self._switching.acquire()
            try:
                self.keyspace = change.keyspace
                await gatherResults(
                    [Deferred.fromCoroutine(pool.use(change.keyspace)) for pool in self.pools.values()]
                )
            finally:
                self._switching.release()
        elif change is not None:
            result.schema_agreement = await self._view.agree(self.settings.schema_agreement_timeout)
        return result
