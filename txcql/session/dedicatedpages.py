"""The pages of a stream that has a connection of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from txcql.cluster.nodes import Node
from txcql.errors import ConnectionLost, CQLError, NoNodeAvailable, RequestTimeout, SessionClosed
from txcql.pool.dedicatedpool import DedicatedPool
from txcql.pool.nodepool import NodePool
from txcql.session.batches import EncodedBatch
from txcql.session.options import ExecuteOptions, RequestOptions
from txcql.session.results import Result
from txcql.session.routing import RoutedStatement
from txcql.session.statements import Parameters, PreparedStatement, Statement, is_select

if TYPE_CHECKING:
    from txcql.session.session import Session

__all__ = ["DedicatedPages"]


class DedicatedPages:
    """Asks for page after page over a link that nobody else uses.

    The link is opened for the first page, to the first node of a plan that can be reached, and closed
    when no further page is needed. When it is lost, the page is asked for again over a link to the
    next node, if the statement may be repeated.

    Who pauses whom: a stream that is paused makes the link hold its answers back, and the link pauses
    its transport when they pass the response budget. Whatever then comes to an end, because nothing
    was read, is asked for again when the stream goes on.

    :param session: whose nodes are asked.
    :param clock: tells the time.
    :param statement: as for :meth:`~txcql.session.session.Session.execute`, and so are the others.
    """

    def __init__(
        self,
        session: Session,
        clock: IReactorTime,
        statement: str | Statement,
        parameters: Parameters,
        options: ExecuteOptions,
    ) -> None:
        self._session = session
        self._seconds = clock.seconds
        self._statement = statement
        self._parameters = parameters
        self._given = options
        self._alias: Node | None = None
        self._held = False
        self._disturbed = False
        self._opening: Deferred[None] | None = None
        self._released: Deferred[None] | None = None

    def fetch(self, last: Result | None) -> Deferred[Result]:
        """Ask for the page behind one, ``None`` for the first.

        :returns: fires with the page; fails as a request does.
        """
        return Deferred.fromCoroutine(self._fetch(last))

    # What the stream tells.

    def hold(self) -> None:
        """The stream is paused."""
        self._held = self._disturbed = True
        pool = self._pool
        if pool is not None:
            pool.hold_responses()

    def release(self) -> None:
        """It goes on."""
        self._held = False
        pool = self._pool
        if pool is not None:
            pool.release_responses()
        released, self._released = self._released, None
        if released is not None:
            released.callback(None)

    def close(self) -> None:
        """It needs no further page."""
        alias, self._alias = self._alias, None
        if alias is not None:
            self._session.close_dedicated(alias)

    # What the pool tells.

    def pool_up(self, pool: NodePool) -> None:
        if self._held:
            cast(DedicatedPool, pool).hold_responses()
        self._opened(None)

    def pool_down(self, pool: NodePool, error: CQLError) -> None:
        # It is not opened again: the next page goes on to the next node.
        if pool is self._pool:
            self.close()
        self._opened(error)

    def pool_room(self, pool: NodePool) -> None:
        pass

    def pool_suspect(self, pool: NodePool) -> None:
        pass

    # Inside.

    @property
    def _pool(self) -> DedicatedPool | None:
        pool = self._session.pools.get(self._alias) if self._alias is not None else None
        return cast(DedicatedPool | None, pool)

    def _opened(self, error: CQLError | None) -> None:
        opening, self._opening = self._opening, None
        if opening is None:
            return
        if error is None:
            opening.callback(None)
        else:
            opening.errback(error)

    async def _fetch(self, last: Result | None) -> Result:
        session = self._session
        statement, values, options = await self._encoded()
        if last is not None:
            query = options.query._replace(paging_state=last.raw_paging_state)
            options = options._replace(query=query, whole=False, paging=None)
        repeatable = options.idempotent
        if repeatable is None:
            repeatable = is_select(statement if isinstance(statement, str) else statement.text)
        request = RoutedStatement(session, statement, values, options)
        plan = session.plan(request)
        errors: dict[str, Exception] = {}
        while True:
            if self._alias is None:
                await self._open(plan, errors)
            alias = cast(Node, self._alias)
            self._disturbed = self._held
            deadline = self._seconds() + (options.timeout or session.settings.request_timeout)
            try:
                return await session.execute_encoded(statement, values, options, iter((alias,)))
            except (ConnectionLost, RequestTimeout) as error:
                late = self._seconds() >= deadline
                if not repeatable or session.closed or (late and not self._disturbed):
                    raise
                self.close()
                if self._disturbed:
                    # It was not read: no fault of the node's.
                    await self._until_released()
                    plan = session.plan(request)
                else:
                    errors[alias.name] = error

    async def _encoded(self) -> tuple[str | PreparedStatement, bytes, RequestOptions]:
        session = self._session
        if session.closed:
            raise SessionClosed
        statement, parameters, options = session.resolved(self._statement, self._parameters, self._given)
        ready = session.ready(statement, parameters, options)
        if isinstance(ready, Deferred):
            ready = await ready
        assert not isinstance(ready, EncodedBatch)
        return ready, session.encoded(ready, parameters, options), options

    async def _open(self, plan: Any, errors: dict[str, Exception]) -> None:
        """Open a link to the next node that can be reached, and is not among those with an error."""
        for node in plan:
            if node.name in errors:
                continue
            opening: Deferred[None] = Deferred(self._forget_opening)
            self._opening = opening
            self._alias = self._session.open_dedicated(node, self)
            try:
                await opening
            except CQLError as error:
                self.close()
                errors[node.name] = error
                continue
            except BaseException:
                self.close()
                raise
            return
        if len(errors) == 1:
            raise next(iter(errors.values()))
        said = "; ".join(str(error) for error in errors.values()) or self._session.why_down()
        raise NoNodeAvailable(f"no node could take the stream: {said}", errors)

    def _forget_opening(self, opening: Deferred[None]) -> None:
        self._opening = None

    async def _until_released(self) -> None:
        if self._held:
            self._released = Deferred(self._forget_released)
            await self._released

    def _forget_released(self, released: Deferred[None]) -> None:
        self._released = None
