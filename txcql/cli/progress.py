"""How far a command has come: one line that changes on a terminal, a few plain ones elsewhere."""

from __future__ import annotations

from typing import TextIO

from twisted.internet.interfaces import IReactorTime

__all__ = ["Progress"]

_SECONDS_BETWEEN = 0.1
_PLAIN_LINES = 4
_BAR = 24


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
        self._unit = ""
        self._last_time = 0.0
        self._last_share = 0

    def begin(self, verb: str, total: int, unit: str = "rows") -> None:
        """Begin a piece of work."""
        self._verb, self._total, self._unit = verb, total, unit
        self._last_time, self._last_share = 0.0, 0

    def tell(self, done: int, note: str, **counts: int) -> None:
        """Tell how much of it is done, if it is time to.

        :param note: what else there is to say.
        :param counts: the same in numbers, for who does not read lines.
        """
        share = done * _PLAIN_LINES // self._total
        text = f"{self._verb} {done:,} of {self._total:,} {self._unit}, {note}"
        if not self._terminal:
            if share > self._last_share:
                self._last_share = share
                self._output.write(f"{text}\n")
            return
        if self._is_time() or done == self._total:
            full = min(_BAR, done * _BAR // self._total)
            self._line(f"[{'#' * full}{'.' * (_BAR - full)}] {text}")

    def note(self, text: str) -> None:
        """Tell of work whose end is not known; on a terminal only."""
        if self._terminal and self._is_time():
            self._line(text)

    def end(self, **counts: int) -> None:
        """Leave the terminal's line empty for what comes next."""
        if self._terminal:
            self._line("")

    def _is_time(self) -> bool:
        now = self._clock.seconds()
        if now - self._last_time < _SECONDS_BETWEEN:
            return False
        self._last_time = now
        return True

    def _line(self, text: str) -> None:
        self._output.write(f"\r\x1b[K{text}")
        self._output.flush()
