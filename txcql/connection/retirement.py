"""Retirement: when a link holds too many orphans, or one for too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txcql.connection.linkerrors import link_error
from txcql.connection.linkowner import tell_listener
from txcql.settings import Settings

if TYPE_CHECKING:
    from txcql.connection.protocol import CQLProtocol

__all__ = ["Retirement"]

log = Logger(namespace="txcql.connection")


class Retirement:
    """Watches the orphans of a link, and closes it when another one has taken its place.

    :param link: the link; its :attr:`~txcql.connection.protocol.CQLProtocol.retiring` is set here.
    :param clock: tells the time and waits.
    :param settings: how many orphans are too many; one is too old after two request deadlines.
    """

    __slots__ = ("_age", "_call", "_clock", "_let_go", "_limit", "_link", "_why")

    def __init__(self, link: CQLProtocol, clock: IReactorTime, settings: Settings) -> None:
        self._link = link
        self._clock = clock
        self._limit = settings.max_orphans_per_connection
        self._age = 2 * settings.request_timeout
        self._let_go = False
        self._why = ""
        self._call: IDelayedCall | None = None

    def orphaned(self) -> None:
        """There is one orphan more."""
        link = self._link
        if link.retiring:
            self.close_if_done()
        elif link.streams.orphans >= self._limit:
            self._begin(f"replaced, having {link.streams.orphans} orphaned streams")
        elif self._call is None:
            self._call = self._clock.callLater(self._age, self._look)

    def retire(self, why: str) -> None:
        """Close the link as soon as nothing waits on it; it is not replaced.

        :param why: for the error that its owner is told.
        """
        self.stop()
        self._why = why
        self._link.retiring = True
        self._link.gate.update()
        self.let_go()

    def let_go(self) -> None:
        """Let the link close as soon as nothing waits on it."""
        self._let_go = True
        self.close_if_done()

    def close_if_done(self) -> None:
        """Close the link, if it retires, has been let go and nothing waits on it."""
        link = self._link
        if self._let_go and link.retiring and link.streams.idle:
            link.close(link_error(link.node, self._why, None))

    def stop(self) -> None:
        """End the watch."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _look(self) -> None:
        self._call = None
        oldest = next(iter(self._link.streams.orphaned.values()), None)
        if oldest is None:
            return
        left = oldest + self._age - self._clock.seconds()
        if left > 0:
            self._call = self._clock.callLater(left, self._look)
        else:
            self._begin(f"replaced, having had an orphaned stream for {self._age:g} s")

    def _begin(self, why: str) -> None:
        self.stop()
        link = self._link
        log.warn("{node}: the link is to be {why}", node=link.node, why=why)
        self._why = why
        link.retiring = True
        link.gate.update()
        if link.listener is None:
            self._let_go = True
        tell_listener(link, "link_retiring")
        self.close_if_done()
