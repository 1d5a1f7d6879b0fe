"""How far long work has come, in a file: killed, it goes on from there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReactorTime

from txcql.cli.command import CommandFailed

__all__ = ["Checkpoint"]

_SECONDS_BETWEEN = 1.0


class Checkpoint:
    """Keeps the state of one piece of work.

    :param path: the file. It is replaced as a whole, so that it is never half written.
    :param work: tells this work from any other: if the file is of other work, it is refused.
    :param clock: keeps it from being written too often.
    :ivar state: what was saved last, by an earlier run perhaps; empty at first.
    """

    def __init__(self, path: Path, work: dict[str, Any], clock: IReactorTime) -> None:
        self.state: dict[str, Any] = {}
        self._path = path
        self._work = work
        self._clock = clock
        self._saved_at: float | None = None
        if path.exists():
            self._read()

    @property
    def due(self) -> bool:
        """Whether a second has passed since :meth:`save` has saved the state."""
        return self._saved_at is None or self._clock.seconds() - self._saved_at >= _SECONDS_BETWEEN

    def save(self, **state: Any) -> None:
        """Remember the state, if that is due."""
        if self.due:
            self._saved_at = self._clock.seconds()
            self.save_now(**state)

    def save_now(self, **state: Any) -> None:
        """Remember the state."""
        self.state = state
        written = self._path.with_name(f"{self._path.name}.new")
        with open(written, "w", encoding="utf-8") as file:
            json.dump({"work": self._work, "state": state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(written, self._path)

    def remove(self) -> None:
        """The work is done."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            work, self.state = found["work"], dict(found["state"])
        except (ValueError, KeyError, TypeError) as error:
            raise CommandFailed(
                f"{self._path} is no checkpoint: {error!r}; remove it to begin anew"
            ) from error
        if work != self._work:
            differing = ", ".join(name for name in self._work if work.get(name) != self._work[name])
            raise CommandFailed(
                f"{self._path} is of an earlier run that was not finished, with another "
                f"{differing or 'task'}: finish that, or remove the file to begin anew"
            )

    def __repr__(self) -> str:
        return f"<Checkpoint {self._path} {self.state}>"
