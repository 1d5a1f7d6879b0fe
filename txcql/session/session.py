"""The session: what an application holds."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from txcql.errors import SessionClosed
from txcql.session.bulk import ExecuteMany, OnResult
from txcql.session.core import SessionCore
from txcql.session.request import Parameters
from txcql.session.results import Result
from txcql.session.rowstream import RowStream
from txcql.session.sink import OnError, StatementSink
from txcql.session.statements import BoundStatement, PreparedStatement

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from txcql.session.options import ExecuteOptions

__all__ = ["Session"]

log = Logger(namespace="txcql.session")


class Session(SessionCore):
    """Requests to a cluster, each of them a Deferred.

    Made by :func:`txcql.connect`. It is used in the thread of its reactor only.
    """

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
                return self.execute_encoded(statement, self.encode(statement, parameters), chosen)
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
        statement: str | PreparedStatement | BoundStatement,
        parameters: Parameters = None,
        *,
        prefetch_pages: int | None = None,
        **options: Unpack[ExecuteOptions],
    ) -> RowStream:
        """All rows of a statement, page by page, at the pace of whoever takes them.

        :param statement: as for :meth:`execute`, and so are the parameters and options.
        :param prefetch_pages: pages to hold besides the one in progress; else the setting.
        :returns: a stream, which asks for nothing before its rows are asked for.
        :raises TypeError: ``prefetch_pages`` is no int.
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

        return RowStream(fetch, self._reactor, pages)

    def execute_many(
        self,
        statement: str | PreparedStatement,
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

        :param statement: CQL text, or what :meth:`prepare` gave.
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
        :param options: of each request, as for :meth:`execute`.
        :returns: an :class:`~txcql.interfaces.IStatementSink`; its ``finished`` fires with
            :class:`~txcql.session.sink.SinkCounts`.
        :raises SessionClosed: the session is closed.
        """
        self.check_thread()
        if self.closed:
            raise SessionClosed
        chosen = self._default.changed(self.version, options) if options else self._default
        return StatementSink(self, self._reactor, chosen, concurrency, on_error)

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
            "keyspace": self.keyspace,
            "closed": self.closed,
            "requests": len(self.deadlines),
            "prepared": len(self._prepared),
            "nodes": self._view.snapshot(),
        }

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"v{self.version} nodes={len(self.pools)}"
        return f"<Session {state} keyspace={self.keyspace} requests={len(self.deadlines)}>"

    # Inside.

    async def _execute_many(
        self,
        statement: str | PreparedStatement,
        rows: Iterable[Any] | AsyncIterable[Any],
        concurrency: int,
        on_result: OnResult | None,
        ordered: bool,
        raise_errors: bool,
        options: ExecuteOptions,
    ) -> Any:
        if self.closed:
            raise SessionClosed
        chosen = self._default.changed(self.version, options) if options else self._default
        if isinstance(statement, str):
            statement = await self.prepare(statement, keyspace=chosen.query.keyspace)
        if not isinstance(statement, PreparedStatement):
            raise TypeError(f"a statement is text or prepared, got {statement!r}")
        many = ExecuteMany(
            self, self._reactor, statement, chosen, rows, concurrency, on_result, ordered, raise_errors
        )
        many.start()
        return await many.deferred

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
