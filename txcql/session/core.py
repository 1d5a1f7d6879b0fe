"""What the requests of a session share: pools, deadlines, prepared statements, decoders."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import methodcaller
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from twisted.internet.defer import Deferred, DeferredLock, gatherResults
from twisted.internet.interfaces import IDelayedCall

from txcql.cluster.clustermetadata import ClusterMetadata
from txcql.cluster.nodes import Node
from txcql.errors import SessionClosed
from txcql.policies.timestamps import MonotonicTimestampGenerator
from txcql.pool.nodepool import NodePool, PoolOwner
from txcql.pool.roomwaiters import RoomWaiters
from txcql.session.batches import EncodedBatch
from txcql.session.batchrequest import BatchRequest
from txcql.session.deadlines import Deadlines
from txcql.session.decoding import LARGE_PAGE, PageDecoding
from txcql.session.observedrequest import request_kinds
from txcql.session.options import ExecuteOptions, RequestOptions
from txcql.session.pagingstate import statement_digest
from txcql.session.preparedcache import PreparedCache
from txcql.session.reportedrequest import reported_kinds
from txcql.session.repreparing import Repreparing
from txcql.session.request import PrepareRequest, Request
from txcql.session.responsehandler import DecoderCache, PrepareHandler, ResponseHandler
from txcql.session.results import Result
from txcql.session.routing import RoutedStatement
from txcql.session.sharedwork import SharedWork
from txcql.session.speculativeexecution import SPECULATION_PRECISION, SpeculativeExecution
from txcql.session.statementrequest import Parameters, StatementRequest
from txcql.session.statements import PreparedGeneration, PreparedStatement, is_ddl, is_select, is_write
from txcql.session.traces import Trace
from txcql.session.warninglog import WarningLog
from txcql.settings import Settings
from txcql.wire import requests
from txcql.wire.constants import NATIVE_VERSIONS
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
    :ivar cluster: what is known of the cluster: nodes, schema, and who owns what.
    :ivar pools: node -> pool.
    :ivar version: the protocol version that the cluster and the session speak, once it is connected.
    :ivar deadlines: knows every unfinished request.
    :ivar observation: tells the observers of requests; ``None`` if there are none.
    :ivar attempt_listeners: the policies that hear of attempts.
    :ivar seconds: tells the time.
    :ivar warnings: logs the warnings of the servers.
    :ivar codecs: the user's.
    :ivar bulk_users: hear that the session is closed.
    """

    def __init__(self, reactor: Any, settings: Settings, keyspace: str | None, view: ClusterView) -> None:
        self.settings = settings
        self.keyspace = keyspace
        self.closed = False
        self.version = NATIVE_VERSIONS[-1]
        self.cluster: ClusterMetadata = view.cluster
        self.pools = view.pools
        self.deadlines: Deadlines[Request] = Deadlines(reactor, methodcaller("expire"))
        self._view = view
        self._reactor = reactor
        self.seconds = reactor.seconds
        self.warnings = WarningLog(reactor)
        self._thread = get_ident()
        self.policies = view.profiles.default
        self._default = RequestOptions.default(settings, view.profiles)
        self._timeout = self._default.timeout or settings.request_timeout
        # Nothing but an answer comes of a request without options: nothing speculates, or decodes it.
        self._plain = self.policies.speculative is None and settings.decode_in is None
        self._timestamps = settings.timestamps or MonotonicTimestampGenerator()
        self.speculation: Deadlines[SpeculativeExecution] = Deadlines(
            reactor, SpeculativeExecution.begin_one_more, SPECULATION_PRECISION
        )
        self.codecs = CodecRegistry(settings.codecs)
        self._decoders = DecoderCache(self.codecs)
        self._text_handlers: OrderedDict[tuple[str, RowFactory], ResponseHandler] = OrderedDict()
        self._prepared = PreparedCache(settings.prepared_cache_size)
        self._switching = DeferredLock()
        self.bulk_users: set[BulkUser] = set()
        self._waiters = RoomWaiters()
        self._waking: IDelayedCall | None = None
        view.set_on_room(self._room_came)
        view.set_on_up(Repreparing(self._prepared.latest_first, self._prepare_again).node_up)
        self.attempt_listeners = view.profiles.attempt_listeners
        self.observation, *kinds = request_kinds(settings.observers, reactor)
        statement, prepare, batch = reported_kinds(kinds, self.attempt_listeners)
        self._statement_request: type[StatementRequest] = statement
        self._prepare_request: type[PrepareRequest] = prepare
        self._batch_request: type[BatchRequest] = batch
        self._repreparing: SharedWork[tuple[NodePool, PreparedStatement], PreparedGeneration] = SharedWork()

    @property
    def nodes(self) -> list[Node]:
        """Every node that is known, those of other data centers too."""
        return self._view.nodes

    def options(self, given: ExecuteOptions) -> RequestOptions:
        """The options of a call, checked.

        :raises TypeError: an option that does not exist, or of the wrong type.
        :raises ValueError: a value out of its range, or an option that the version does not have.
        """
        return self._default.changed(self.version, given) if given else self._default

    def execute_encoded(
        self,
        statement: str | PreparedStatement | EncodedBatch,
        values: bytes,
        options: RequestOptions,
        plan: Iterator[Any] | None = None,
    ) -> Deferred[Result]:
        """Execute a statement whose values are encoded.

        :param values: with their [short] count; ``b""`` for text without any, and for a batch.
        :param plan: the nodes to try; else the policy's.
        """
        request = self.request(statement, values, options)
        speculative = options.policies.speculative
        if speculative is not None and request.idempotent and plan is None:
            deferred = SpeculativeExecution(request, speculative).deferred
        else:
            deferred = request.deferred  # type: ignore[assignment]
            request.start(plan)
        return deferred if options.decode_in is None else self._delivered(deferred, options)

    def request(
        self, statement: str | PreparedStatement | EncodedBatch, values: bytes, options: RequestOptions
    ) -> StatementRequest:
        """A request to be started at once: its deadline is noted.

        :param values: as for :meth:`execute_encoded`.
        """
        settings = self.settings
        timeout = options.timeout
        idempotent = options.idempotent
        if isinstance(statement, PreparedStatement):
            generation = statement.generation
            handler = generation.handler
            if options is not self._default:
                handler = handler.with_row_factory(options.row_factory)
                if options.paging is not None:
                    self.check_paging(statement, values, options)
            timestamp = None
            if generation.writes:
                options, timestamp = self.timestamp(generation, options)
            body = generation.body(self.version, options, values, timestamp)
            if idempotent is None:
                idempotent = statement.idempotent
            if timeout is None:
                timeout = settings.request_timeout
        elif isinstance(statement, str):
            generation = None
            handler = self._text_handler(statement, options.row_factory)
            if options.paging is not None:
                self.check_paging(statement, values, options)
            query = options.query
            if options.timestamps and query.timestamp is None and is_write(statement):
                query = query._replace(timestamp=self._timestamps.next())
                options = options._replace(query=query)
            if len(values) == 2:
                values = b""
            head, tail = requests.query_parts(self.version, statement, query, has_values=bool(values))
            body = options.prefix + head + values + tail
            if idempotent is None:
                idempotent = is_select(statement)
            if timeout is None:
                timeout = settings.ddl_timeout if is_ddl(statement) else settings.request_timeout
        else:
            options = self.batch_options(options)
            body = options.prefix + statement.body(self.version, options.query)
            if idempotent is None:
                idempotent = statement.idempotent
            if timeout is None:
                timeout = settings.request_timeout
            handler = self._text_handler(statement.kind, options.row_factory)
            return self._batch_request(self, statement, None, handler, options, body, timeout, idempotent)
        return self._statement_request(
            self, statement, generation, handler, options, body, timeout, idempotent
        )

    def timestamp(
        self, generation: PreparedGeneration, options: RequestOptions
    ) -> tuple[RequestOptions, int | None]:
        """The timestamp of a request, and the options for it."""
        if not generation.has_timestamp(options):
            return options, None
        timestamp = self._timestamps.next()
        if timestamp is None:
            options = options._replace(timestamps=False)
        return options, timestamp

    def batch_options(self, options: RequestOptions) -> RequestOptions:
        """The options of a batch, with its timestamp."""
        query = options.query
        if options.timestamps and query.timestamp is None:
            options = options._replace(query=query._replace(timestamp=self._timestamps.next()))
        return options

    def digest(self, statement: str | PreparedStatement, values: bytes, options: RequestOptions) -> bytes:
        """What tells a statement and its values from others."""
        if isinstance(statement, PreparedStatement):
            return statement_digest(statement.text, statement.keyspace, values)
        keyspace = options.query.keyspace
        return statement_digest(statement, self.keyspace if keyspace is None else keyspace, values)

    def check_paging(
        self, statement: str | PreparedStatement, values: bytes, options: RequestOptions
    ) -> None:
        """See to it that a paging state continues what it came from.

        :raises ValueError: it does not.
        """
        if options.paging is not None:
            options.paging.check(self.version, self.digest(statement, values, options))

    def check_keyspace(self, statement: PreparedStatement, keyspace: str | None) -> None:
        """See to it that a statement is not executed in another keyspace than it was prepared in.

        :raises ValueError: it was prepared in another one.
        """
        if keyspace is not None and keyspace != statement.keyspace:
            raise ValueError(
                f"the statement was prepared in the keyspace {statement.keyspace!r}: "
                f"{keyspace!r} comes too late, it is an argument of prepare()"
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
            statement.generation = PreparedGeneration(
                answer, self._handler(answer), statement.generation.writes
            )
            return statement.generation

        return self._send_prepare(body, plan).addCallback(prepared)

    def _prepare_again(
        self, statement: PreparedStatement, pool: NodePool
    ) -> Deferred[PreparedGeneration] | None:
        # Below v5 a node prepares in the keyspace that the link is in.
        if self.closed or (self.version < 5 and statement.keyspace != self.keyspace):
            return None
        return self.reprepare(statement, pool)

    def apply(self, result: Result) -> Deferred[Result]:
        """Do what a Set_keyspace or Schema_change asks for, before its result is delivered.

        :returns: fires with the result.
        """
        return Deferred.fromCoroutine(self._apply(result))

    def trace(self, tracing_id: UUID, timeout: float) -> Deferred[Trace]:
        """See :meth:`txcql.Session.trace`."""
        raise NotImplementedError

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
        return statement.generation.encoder.encode(parameters, self.version)

    def body_size(
        self, statement: str | PreparedStatement | EncodedBatch, values: bytes, options: RequestOptions
    ) -> int:
        """The size of the body that :meth:`request` would send.

        :param values: as there.
        """
        if isinstance(statement, str):
            head, tail = requests.query_parts(self.version, statement, options.query, has_values=False)
            return len(options.prefix) + len(head) + len(values) + len(tail)
        if isinstance(statement, EncodedBatch):
            return len(options.prefix) + len(statement.body(self.version, options.query))
        head, tail = statement.generation.parts_for(self.version, options)
        return len(head) + len(values) + len(tail)

    def plan(self, request: Any) -> Iterator[Any]:
        """The nodes for a request.

        :param request: an :class:`~txcql.interfaces.IRequest`.
        """
        plan: Iterator[Any] = request.policies.load_balancing.plan(request)
        return plan

    def replicas(self, keyspace: str | None, routing_key: bytes) -> Sequence[Node]:
        """The nodes that own a partition, in ring order; empty if they are not known."""
        return self.cluster.replicas(keyspace, routing_key)

    def partition_key_of(self, keyspace: str, table: str) -> Sequence[str]:
        """The names of a table's partition key, in order; empty if they are not known."""
        return self.cluster.partition_key_of(keyspace, table)

    def route(
        self, statement: str | PreparedStatement | EncodedBatch, values: bytes, options: RequestOptions
    ) -> tuple[Iterator[Any], NodePool | None]:
        """A plan, and the pool of the first node of it that is up; ``None`` if none is.

        :param values: as for :meth:`execute_encoded`.
        """
        plan = self.plan(RoutedStatement(self, statement, values, options))
        suspects: list[Node] = []
        for node in plan:
            pool = self.pools.get(node)
            if pool is not None and pool.up:
                if not node.suspect:
                    return chain((node,), plan, suspects), pool
                suspects.append(node)
        return iter(suspects), self.pools[suspects[0]] if suspects else None

    def open_dedicated(self, node: Node, owner: PoolOwner) -> Node:
        """Begin to open a link that only requests of its own use.

        :param node: the node that it goes to.
        :param owner: hears of its pool.
        :returns: what stands for the node in plans of such requests.
        """
        return self._view.open_dedicated(node, owner)

    def close_dedicated(self, alias: Node) -> None:
        """Close such a link; what it is asked fails.

        :param alias: what :meth:`open_dedicated` has returned.
        """
        self._view.close_dedicated(alias)

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

    def _delivered(self, deferred: Deferred[Result], options: RequestOptions) -> Deferred[Result]:
        return deferred if options.decode_in is None else deferred.addCallback(self._decode, options)

    def _decode(self, result: Result, options: RequestOptions) -> Result | Deferred[Result]:
        """Have the rows of a large page decoded, as the options say."""
        if self.closed or result.body_size < LARGE_PAGE:
            return result
        return PageDecoding(self, self._reactor, result, options.decode_in).deferred

    def find_prepared(self, text: str, keyspace: str | None) -> PreparedStatement | None:
        """A statement, if it has been prepared.

        :param keyspace: the keyspace of unqualified names, if it is not the session's.
        """
        return self._prepared.find(keyspace if keyspace is not None else self.keyspace, text)

    def prepare_text(self, text: str, keyspace: str | None) -> Deferred[PreparedStatement]:
        """Prepare a text, or find it prepared.

        :param keyspace: as for :meth:`find_prepared`.
        :returns: fires with the statement, for this caller only.
        """
        body = requests.prepare(self.version, text, keyspace)
        current = keyspace if keyspace is not None else self.keyspace
        return self._prepared.get(current, text, lambda: self._begin_prepare(text, current, body))

    def _begin_prepare(self, text: str, keyspace: str | None, body: bytes) -> Deferred[PreparedStatement]:
        def prepared(answer: Prepared) -> PreparedStatement:
            return PreparedStatement(text, keyspace, answer, self._handler(answer))

        return self._send_prepare(body).addCallback(prepared)

    def _send_prepare(self, body: bytes, plan: Iterator[Any] | None = None) -> Deferred[Prepared]:
        request = self._prepare_request(self, PrepareHandler(), body)
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
            result.schema_agreement = await self._view.agree(
                self.settings.schema_agreement_timeout, result.coordinator
            )
        return result
