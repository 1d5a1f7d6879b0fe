"""The server's warnings, logged: each text once in a while, and not too many of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

__all__ = ["WarningLog"]

log = Logger(namespace="txcql.session")

_PERIOD = 60.0
_MOST_A_PERIOD = 20
_TEXTS_KEPT = 100
_LONGEST = 500


class WarningLog:
    """Logs warnings: the same text once a minute, and 20 a minute at most. It counts those it leaves out.

    :param clock: tells the time.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._seconds = clock.seconds
        self._last: OrderedDict[str, float] = OrderedDict()
        self._begun = 0.0
        self._logged = 0
        self._left_out = 0

    def note(self, node: str, warnings: Sequence[str]) -> None:
        """A node has warned.

        :param node: its ``host:port``.
        """
        now = self._seconds()
        if now - self._begun >= _PERIOD:
            self._begun = now
            self._logged = 0
        for warning in warnings:
            text = warning if len(warning) <= _LONGEST else warning[:_LONGEST] + "…"
            last = self._last.get(text)
            if self._logged >= _MOST_A_PERIOD or (last is not None and now - last < _PERIOD):
                self._left_out += 1
                continue
            self._last[text] = now
            self._last.move_to_end(text)
            if len(self._last) > _TEXTS_KEPT:
                self._last.popitem(last=False)
            self._logged += 1
            left_out, self._left_out = self._left_out, 0
            more = f" ({left_out} warnings were not logged)" if left_out else ""
            # The name "warning" is taken: legacy observers look for a Python warning under it.
            log.warn("{node} warns: {text}{more}", node=node, text=text, more=more)
