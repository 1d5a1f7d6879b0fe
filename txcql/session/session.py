"""The session: what an application holds."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from threading import get_ident
from typing import TYPE_CHECKING, Any
from uuid import UUID

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from txcql.errors import SessionClosed
from txcql.session.batches import Batch
from txcql.session.bulk import ExecuteMany, OnResult
from txcql.session.dedicatedpages import DedicatedPages
from txcql.session.executor import StatementExecutor
from txcql.session.results import Result
from txcql.session.rowstream import RowStream
from txcql.session.sink import OnError, StatementSink
from txcql.session.statements import Parameters, PreparedStatement, SimpleStatement, Statement
from txcql.session.traces import TRACE_TIMEOUT, Trace, read_trace

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from txcql.session.options import ExecuteOptions

__all__ = ["Session"]

log = Logger(namespace="txcql.session")


class Session(StatementExecutor):
    """Requests to a cluster, each of them a Deferred.

    Made by :func:`txcql.connect`. It is used in the thread of its reactor only.
    """

    # What an application calls.

    def execute(
        self,
        statement: str | Statement,
        parameters: Parameters = None,
        **options: Unpack[ExecuteOptions],
    ) -> Deferred[Result]:
        """Execute one statement.

        Text with parameters is prepared first, once for each text and keyspace. What is given here wins
        over the options of the statement, they over the profile, and that over the settings.

        :param statement: CQL text, or a simple, prepared, bound or batch statement.
        :param parameters: its values, by position or by name.
        :param options: see :class:`~txcql.session.options.ExecuteOptions`.
        :returns: fires with a :class:`~txcql.session.results.Result`: one page.
        """
        if get_ident() != self._thread:
            self.check_thread()
        if self.closed:
            return fail(SessionClosed())
        try:
            if type(statement) is PreparedStatement and not options and self._plain:
                request = self.usual_request(statement, parameters)
                deferred: Deferred[Result] = request.deferred  # type: ignore[assignment]
                request.start()
                return deferred
            return self.execute_resolved(*self.resolved(statement, parameters, options))
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
            return self.prepare_text(text, keyspace)
        except Exception as error:
            return fail(error)

    def trace(self, tracing_id: UUID, timeout: float = TRACE_TIMEOUT) -> Deferred[Trace]:
        """The server's record of how it carried out a request, once it is complete.

        :param tracing_id: of a result, or of a server's error.
        :param timeout: seconds to wait for that.
        :returns: fires with a :class:`~txcql.Trace`; fails with
            :class:`~txcql.errors.TraceIncomplete`.
        """
        self.check_thread()
        return read_trace(self, self._reactor, tracing_id, timeout)

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
        self._tell_closed()
        # Those in queues first: the links that hold the others may close once they are full of orphans.
        for request in self.deadlines.requests():
            if not request.on_link:
                request.abandon()
        if drain <= 0:
            for request in self.deadlines.requests():
                request.abandon()
        return Deferred.fromCoroutine(self._close(drain))

    def stream(
        self,
        statement: str | Statement,
        parameters: Parameters = None,
        *,
        prefetch_pages: int | None = None,
        dedicated: bool = False,
        **options: Unpack[ExecuteOptions],
    ) -> RowStream:
        """All rows of a statement, page by page, at the pace of whoever takes them.

        :param statement: as for :meth:`execute`, and so are the parameters and options.
        :param prefetch_pages: pages to hold besides the one in progress; else the setting.
        :param dedicated: whether it has a connection of its own, for as long as it lasts: a large
            scan then shares no link with other requests, and pausing it stops the node as well.
        :returns: a stream, which asks for nothing before its rows are asked for.
        :raises TypeError: ``prefetch_pages`` is no int, or the statement is a batch.
        :raises ValueError: it is negative.
        """
        self.check_thread()
        pages = self.settings.prefetch_pages if prefetch_pages is None else prefetch_pages
        if not isinstance(pages, int) or isinstance(pages, bool):
            raise TypeError(f"prefetch_pages must be an int, got {pages!r}")
        if pages < 0:
            raise ValueError(f"prefetch_pages must not be negative, got {pages!r}")

        def fetch(last: Result | None) -> Deferred[Result]:
            if last is not None:
                return last.next_page()
            return self.execute(statement, parameters, **options)

        if isinstance(statement, Batch):
            raise TypeError("a batch has no pages, and cannot be streamed")
        if not dedicated:
            return RowStream(fetch, self._reactor, pages)
        pages_of_its_own = DedicatedPages(self, self._reactor, statement, parameters, options)
        return RowStream(pages_of_its_own.fetch, self._reactor, pages, pages_of_its_own)

    def execute_many(
        self,
        statement: str | PreparedStatement | SimpleStatement,
        parameter_rows: Iterable[Parameters] | AsyncIterable[Parameters],
        *,
        concurrency: int = 256,
        on_result: OnResult | None = None,
        ordered: bool = True,
        raise_errors: bool = True,
        **options: Unpack[ExecuteOptions],
    ) -> Deferred[Any]:
        """Execute one statement for many rows of parameters, as fast as there is room for them.

        It waits where :meth:`execute` would be refused as busy, and takes a row from the iterable
        only when that can be sent.

        :param statement: CQL text, a simple or a prepared statement.
        :param parameter_rows: any iterable, sync or async, of sequences or mappings.
        :param concurrency: requests in flight at most.
        :param on_result: called with the number of each row, from 0, and its result or exception;
            no result is kept then. What it raises ends it all.
        :param ordered: whether ``on_result`` is called in the order of the rows. A slow row then
            holds up those behind it: no further row is taken while twice ``concurrency`` of them
            wait for their turn.
        :param raise_errors: whether the first error ends it all. It then fails with that error,
            whose ``row_number`` is the row's. Else errors stand in the place of results.
        :param options: of each request, as for :meth:`execute`.
        :returns: fires with the list of results, in the order of the rows; with the number of rows,
            if there is ``on_result``. It fails with what the iterable raises. When it fails or is
            cancelled, no further row is taken; what is sent already is not taken back.
        """
        self.check_thread()
        return Deferred.fromCoroutine(
            self._execute_many(
                statement, parameter_rows, concurrency, on_result, ordered, raise_errors, options
            )
        )

    def sink(
        self, *, concurrency: int = 256, on_error: OnError | None = None, **options: Unpack[ExecuteOptions]
    ) -> StatementSink:
        """A sink for a producer of statements, which is paused while there is no room for them.

        :param concurrency: requests in flight at most.
        :param on_error: called with the failure of a statement and the statement; without it the
            first failure ends the sink.
        :param options: of each request, as for :meth:`execute`: they win over those of the statements.
        :returns: an :class:`~txcql.interfaces.IStatementSink`; its ``finished`` fires with
            :class:`~txcql.session.sink.SinkCounts`.
        :raises SessionClosed: the session is closed.
        """
        self.check_thread()
        if self.closed:
            raise SessionClosed
        self.check_bulk_options(options)
        return StatementSink(self, self._reactor, self.options(options), options, concurrency, on_error)

    def when_ready(self) -> Deferred[None]:
        """Wait until a request would be sent at once, by any node.

        Waiters are woken in their order, as many in a turn of the reactor as there is room for.

        :returns: fires with ``None``; fails with :class:`~txcql.errors.SessionClosed`.
        """
        self.check_thread()
        if self.closed:
            return fail(SessionClosed())
        if not self._waiters and self._room():
            return succeed(None)
        return self._waiters.add(self._room)

    def memory_budget(self) -> int:
        """Bytes that the driver may hold by now, besides results: 128 KiB for each link, 2 KiB for
        each request in flight, and the bodies that are not answered."""
        pools = self.pools.values()
        links = 1 + sum(pool.size for pool in pools)
        in_flight = sum(pool.sent + len(pool.queue) for pool in pools)
        bodies = sum(pool.request_bytes for pool in pools)
        return links * 128 * 1024 + in_flight * 2048 + bodies

    def snapshot(self) -> dict[str, Any]:
        """The state of every node and link, as plain data."""
        return {
            "protocol_version": self.version,
            "cluster": self.cluster.name,
            "keyspace": self.keyspace,
            "closed": self.closed,
            "requests": len(self.deadlines),
            "prepared": len(self._prepared),
            "memory_budget": self.memory_budget(),
            "dedicated": self._view.dedicated(),
            "nodes": self._view.snapshot(),
        }

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"v{self.version} nodes={len(self.pools)}"
        return f"<Session {state} keyspace={self.keyspace} requests={len(self.deadlines)}>"

    # Inside.

    async def _execute_many(
        self,
        statement: Any,
        rows: Iterable[Any] | AsyncIterable[Any],
        concurrency: int,
        on_result: OnResult | None,
        ordered: bool,
        raise_errors: bool,
        options: ExecuteOptions,
    ) -> Any:
        if self.closed:
            raise SessionClosed
        self.check_bulk_options(options)
        if isinstance(statement, Statement):
            self.check_bulk_options(statement.options)
        statement, values, chosen = self.resolved(statement, None, options)
        if values is not None:
            raise TypeError("the statement has its values bound already, and got rows of them too")
        if isinstance(statement, str) and chosen.prepare is not False:
            statement = await self.prepare(statement, keyspace=chosen.query.keyspace)
        if not isinstance(statement, PreparedStatement | str):
            raise TypeError(f"execute_many() takes a statement without values, got {statement!r}")
        many = ExecuteMany(
            self, self._reactor, statement, chosen, rows, concurrency, on_result, ordered, raise_errors
        )
        many.start()
        return await many.deferred

    async def _close(self, drain: float) -> None:
        try:
            await self.deadlines.when_empty(drain)
        finally:
            # Also when nobody waits for it any more.
            for request in self.deadlines.requests():
                request.abandon()
            self.deadlines.stop()
            self.speculation.stop()
            closing = self._view.close()
        await closing
