"""The session, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from txcql.aio.aioresults import AioResult
from txcql.aio.aiosink import AioStatementSink
from txcql.aio.aiostreams import AioRowStream
from txcql.aio.futures import AwaitedRows, as_future
from txcql.cluster.nodes import Node
from txcql.session.bulk import OnResult
from txcql.session.session import Session
from txcql.session.sink import OnError
from txcql.session.statements import Parameters, PreparedStatement, SimpleStatement, Statement
from txcql.session.traces import TRACE_TIMEOUT, Trace
from txcql.settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from txcql.session.options import ExecuteOptions

__all__ = ["AioSession", "wrap"]


class AioSession:
    """A :class:`txcql.Session` whose methods give futures of the running loop.

    Cancelling such a future, or the task that awaits it, cancels the request. It is used in the
    thread of its loop only. As an async context manager it closes the session when the block is left.

    :param session: the session.
    :ivar session: the same.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def settings(self) -> Settings:
        """Its settings."""
        return self.session.settings

    @property
    def version(self) -> int:
        """The protocol version that the cluster and the session speak."""
        return self.session.version

    @property
    def keyspace(self) -> str | None:
        """The keyspace of unqualified names."""
        return self.session.keyspace

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self.session.closed

    @property
    def nodes(self) -> Sequence[Node]:
        """Every node that is known, those of other data centers too."""
        return self.session.nodes

    def execute(
        self,
        statement: str | Statement,
        parameters: Parameters = None,
        **options: Unpack[ExecuteOptions],
    ) -> asyncio.Future[AioResult]:
        """Execute one statement: see :meth:`txcql.Session.execute`."""
        return as_future(self.session.execute(statement, parameters, **options), AioResult.of)

    def prepare(self, text: str, *, keyspace: str | None = None) -> asyncio.Future[PreparedStatement]:
        """Prepare a statement, or find it prepared: see :meth:`txcql.Session.prepare`."""
        return as_future(self.session.prepare(text, keyspace=keyspace))

    def trace(self, tracing_id: UUID, timeout: float = TRACE_TIMEOUT) -> asyncio.Future[Trace]:
        """The server's record of a request: see :meth:`txcql.Session.trace`."""
        return as_future(self.session.trace(tracing_id, timeout))

    def set_keyspace(self, keyspace: str) -> asyncio.Future[None]:
        """Change the keyspace of unqualified names: see :meth:`txcql.Session.set_keyspace`."""
        return as_future(self.session.set_keyspace(keyspace))

    def stream(
        self,
        statement: str | Statement,
        parameters: Parameters = None,
        *,
        prefetch_pages: int | None = None,
        dedicated: bool = False,
        **options: Unpack[ExecuteOptions],
    ) -> AioRowStream:
        """All rows of a statement, page by page: see :meth:`txcql.Session.stream`."""
        return AioRowStream(
            self.session.stream(
                statement, parameters, prefetch_pages=prefetch_pages, dedicated=dedicated, **options
            )
        )

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
    ) -> asyncio.Future[Any]:
        """Execute one statement for many rows of parameters: see :meth:`txcql.Session.execute_many`.

        :param parameter_rows: any iterable; an async one may await futures.
        """
        rows = AwaitedRows(parameter_rows) if isinstance(parameter_rows, AsyncIterable) else parameter_rows
        done = self.session.execute_many(
            statement,
            rows,
            concurrency=concurrency,
            on_result=None if on_result is None else AioResult.told(on_result),
            ordered=ordered,
            raise_errors=raise_errors,
            **options,
        )
        return as_future(done, _with_results)

    def sink(
        self, *, concurrency: int = 256, on_error: OnError | None = None, **options: Unpack[ExecuteOptions]
    ) -> AioStatementSink:
        """A sink of statements: see :meth:`txcql.Session.sink`."""
        return AioStatementSink(self.session.sink(concurrency=concurrency, on_error=on_error, **options))

    def when_ready(self) -> asyncio.Future[None]:
        """Wait until a request would be sent at once: see :meth:`txcql.Session.when_ready`."""
        return as_future(self.session.when_ready())

    def close(self, drain: float = 0.0) -> asyncio.Future[None]:
        """Close every connection: see :meth:`txcql.Session.close`."""
        return as_future(self.session.close(drain))

    def memory_budget(self) -> int:
        """See :meth:`txcql.Session.memory_budget`."""
        return self.session.memory_budget()

    def snapshot(self) -> dict[str, Any]:
        """The state of every node and link, as plain data."""
        return self.session.snapshot()

    async def __aenter__(self) -> AioSession:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return repr(self.session)


def wrap(session: Session) -> AioSession:
    """A session of :func:`txcql.connect` for the tasks of the loop that its reactor runs on.

    That is for programs that run Twisted's asyncio reactor, such as Scrapy's.

    :param session: it may still be used as it is, too.
    :raises TypeError: it is none.
    """
    if not isinstance(session, Session):
        raise TypeError(f"wrap() takes a txcql.Session, got {session!r}")
    return AioSession(session)


def _with_results(outcome: Any) -> Any:
    return [AioResult.of_outcome(one) for one in outcome] if isinstance(outcome, list) else outcome
