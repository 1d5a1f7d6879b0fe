"""From contact points to a session, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from txcql.aio.aiosession import AioSession
from txcql.aio.futures import as_future
from txcql.aio.loopreactor import LoopReactor
from txcql.session import connect as connecting
from txcql.session.clusterview import DEFAULT_PORT
from txcql.session.session import Session

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from txcql.session.connectoptions import ConnectOptions

__all__ = ["Connecting", "connect"]


class Connecting:
    """A session that is being opened: await it, or enter it by ``async with``, which closes it at the end."""

    def __init__(self, opening: Deferred[Session]) -> None:
        self._opened: asyncio.Future[AioSession] = as_future(opening, AioSession)

    def __await__(self) -> Generator[Any, None, AioSession]:
        return self._opened.__await__()

    async def __aenter__(self) -> AioSession:
        return await self._opened

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._opened.result().close()


def connect(
    contact_points: Iterable[Any] = ("127.0.0.1",),
    *,
    port: int = DEFAULT_PORT,
    keyspace: str | None = None,
    **settings: Unpack[ConnectOptions],
) -> Connecting:
    """Open a session on the asyncio loop that is running.

    Use it as ``session = await txcql.aio.connect(…)`` or as ``async with txcql.aio.connect(…) as
    session:``. Each session has a reactor of its own, which translates to the loop and ends with it:
    programs may run one loop after another. Host names are resolved by the loop's executor; contact
    points that are addresses need no thread.

    :param contact_points: as for :func:`txcql.connect`, and so are all other arguments.
    :returns: a :class:`Connecting`, which gives an :class:`AioSession`.
    :raises RuntimeError: no asyncio loop is running.
    :raises TypeError: an argument of the wrong type, or a setting that does not exist.
    :raises ValueError: a value out of its range.
    """
    reactor = LoopReactor(asyncio.get_running_loop())
    return Connecting(connecting.connect(reactor, contact_points, port=port, keyspace=keyspace, **settings))
