"""The session: what an application holds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from threading import get_ident
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredLock, fail, gatherResults, succeed
from twisted.logger import Logger

from txcql.cluster.nodes import Node
from txcql.errors import SessionClosed
from txcql.pool.nodepool import NodePool
from txcql.session.deadlines import Deadlines
from txcql.session.options import RequestOptions
from txcql.session.preparedcache import PreparedCache
from txcql.session.request import Parameters, PrepareRequest, Request, StatementRequest
from txcql.session.responsehandler import DecoderCache, PrepareHandler, ResponseHandler
from txcql.session.results import Result
from txcql.session.sharedwork import SharedWork
from txcql.session.statements import (
    BoundStatement,
    PreparedGeneration,
    PreparedStatement,
    is_ddl,
    is_select,
)
from txcql.settings import Settings
from txcql.wire import requests
from txcql.wire.responses import Prepared, SetKeyspace
from txcql.wire.rows import RowFactory
from txcql.wire.usercodecs import CodecRegistry

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from txcql.session.clusterview import ClusterView
    from txcql.session.options import ExecuteOptions

__all__ = ["Session"]

log = Logger(namespace="txcql.session")

_TEXT_HANDLERS = 256
_LONGEST_TEXT_KEPT = 4096


class Session:
    """Requests to a cluster, each of them a Deferred.

    Made by :func:`txcql.connect`. It is used in the thread of its reactor only.
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
        self._repreparing: SharedWork[tuple[NodePool, PreparedStatement], PreparedGeneration] = SharedWork()

    @property
    def version(self) -> int:
        """The protocol version that the cluster and the session speak."""
        return self._view.version

    @property
    def nodes(self) -> list[Node]:
        """Every node that is known, those of other data centers too."""
        return self._view.nodes

    # What an application calls.

    def execute(
        self,
        statement: str | PreparedStatement | BoundStatement,
        parameters: Parameters = None,
        **options: Unpack[ExecuteOptions],
    ) -> Deferred[Result]:
        """Execute one statement.

        Text with parameters is prepared first, once for each text and keyspace.

        :param statement: CQL text, or what :meth:`prepare` gave, with or without values bound.
        :param parameters: its values, by position or by name.
        :param options: see :class:`~txcql.session.options.ExecuteOptions`.
        :returns: fires with a :class:`~txcql.session.results.Result`: one page.
        """
        self.check_thread()
        if self.closed:
            return fail(SessionClosed())
        if isinstance(statement, BoundStatement):
            if parameters is not None:
                return fail(TypeError("the statement has its values bound already, and got parameters too"))
            statement, parameters = statement
        try:
            chosen = self._default.changed(self.version, options) if options else self._default
            if isinstance(statement, PreparedStatement):
                if options and chosen.query.keyspace not in (None, statement.keyspace):
                    raise ValueError(
                        f"the statement was prepared in the keyspace {statement.keyspace!r}: "
                        f"{chosen.query.keyspace!r} comes too late, it is an argument of prepare()"
                    )
                values = statement.generation.encoder.encode(
                    () if parameters is None else parameters, self.version
                )
                return self.execute_encoded(statement, values, chosen)
            if not isinstance(statement, str):
                raise TypeError(f"a statement is text or prepared, got {statement!r}")
            if not parameters:
                return self.execute_encoded(statement, b"", chosen)
            return self._prepare_and_execute(statement, parameters, chosen)
        except Exception as error:
            return fail(error)

    def prepare(self, text: str, *, keyspace: str | None = None) -> Deferred[PreparedStatement]:
        """Prepare a statement, or find it prepared.

        :param text: CQL, with ``?`` or ``:name`` for its parameters.
        :param keyspace: the keyspace of unqualified names (protocol 5); else the session's.
        :returns: fires with the statement.
        """
        self.check_thread()
        if self.closed:
            return fail(SessionClosed())
        if not isinstance(text, str):
            return fail(TypeError(f"prepare() takes CQL text, got {text!r}"))
        try:
            return self._prepare(text, keyspace)
        except Exception as error:
            return fail(error)

    def set_keyspace(self, keyspace: str) -> Deferred[None]:
        """Change the keyspace of unqualified names.

        :param keyspace: its name, not quoted.
        :returns: fires with ``None`` when every ready link has switched; later links start in it.
        """
        quoted = keyspace.replace('"', '""')
        return self.execute(f'USE "{quoted}"').addCallback(lambda result: None)

    def close(self, drain: float = 0.0) -> Deferred[None]:
        """Close every connection.

        New and queued requests fail with :class:`~txcql.errors.SessionClosed` at once.

        :param drain: seconds that requests already sent are given to be answered.
        :returns: fires with ``None`` when no connection is left.
        """
        self.check_thread()
        if self.closed:
            return succeed(None)
        self.closed = True
        # Those in queues first: the links that hold the others may close once they are full of orphans.
        for request in self.deadlines.requests():
            if not request.on_link:
                request.abandon()
        if drain <= 0:
            for request in self.deadlines.requests():
                request.abandon()
        return Deferred.fromCoroutine(self._close(drain))

    def snapshot(self) -> dict[str, Any]:
        """The state of every node and link, as plain data."""
        return {
            "protocol_version": self.version,
            "keyspace": self.keyspace,
            "closed": self.closed,
            "requests": len(self.deadlines),
            "prepared": len(self._prepared),
            "nodes": self._view.snapshot(),
        }

    # What requests call.

    def execute_encoded(
        self, statement: str | PreparedStatement, values: bytes, options: RequestOptions
    ) -> Deferred[Result]:
        """Execute a statement whose values are encoded.

        :param values: with their [short] count; ``b""`` for text.
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
        plan = self.plan()
        request = StatementRequest(
            self, statement, generation, handler, options, head + values + tail, timeout, idempotent
        )
        deferred: Deferred[Result] = request.deferred  # type: ignore[assignment]
        request.start(plan)
        return deferred

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

    def why_down(self) -> str:
        """Why no node is up, for an error."""
        return self._view.why_down()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"v{self.version} nodes={len(self.pools)}"
        return f"<Session {state} keyspace={self.keyspace} requests={len(self.deadlines)}>"

    # Inside.

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

    async def _close(self, drain: float) -> None:
        if len(self.deadlines):
            await self._drained(drain)
        for request in self.deadlines.requests():
            request.abandon()
        self.deadlines.stop()
        await self._view.close()

    def _drained(self, seconds: float) -> Deferred[None]:
        """Fires when no request is unanswered any more, or the time is up."""
        done: Deferred[None] = Deferred()
        end = self._reactor.seconds() + seconds

        def look() -> None:
            if not len(self.deadlines) or self._reactor.seconds() >= end:
                done.callback(None)
            else:
                self._reactor.callLater(min(0.01, seconds), look)

        look()
        return done
