"""How far the demo has come: one line that changes on a terminal, a few plain ones elsewhere."""

from __future__ import annotations

from typing import TextIO

from twisted.internet.interfaces import IReactorTime

__all__ = ["Progress"]

_SECONDS_BETWEEN = 0.1
_PLAIN_LINES = 4


class Progress:
    """Tells of one piece of work at a time.

    :param clock: keeps the line from changing more often than one can see.
    :param output: where to write; a terminal, or anything else.
    """

    def __init__(self, clock: IReactorTime, output: TextIO) -> None:
        self._clock = clock
        self._output = output
        self._terminal = output.isatty()
        self._verb = ""
        self._total = 0
        self._last_time = 0.0
        self._last_share = 0

    def begin(self, verb: str, total: int) -> None:
        """Begin a piece of work."""
        self._verb, self._total = verb, total
        self._last_time, self._last_share = 0.0, 0

    def tell(self, done: int, note: str) -> None:
        """Tell how much of it is done, if it is time to.

        :param note: what else there is to say.
        """
        share = done * _PLAIN_LINES // self._total
        text = f"{self._verb} {done:,} of {self._total:,} rows, {note}"
        if not self._terminal:
            if share > self._last_share:
                self._last_share = share
                self._output.write(f"{text}\n")
            return
        now = self._clock.seconds()
        if now - self._last_time >= _SECONDS_BETWEEN or done == self._total:
            self._last_time = now
            self._output.write(f"\r\x1b[K{text}")
            self._output.flush()

    def end(self) -> None:
        """Leave the terminal's line empty for what comes next."""
        if self._terminal:
            self._output.write("\r\x1b[K")
            self._output.flush()
