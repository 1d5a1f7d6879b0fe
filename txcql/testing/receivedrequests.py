"""What the nodes of a fake cluster have received, to be asserted on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from re import Pattern
from typing import Any

from txcql.errors import CQLError

__all__ = ["Match", "Received", "RequestLog", "matcher", "normalized"]

_MOST_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class Received:
    """One request.

    :ivar node: ``host:port`` of the node that received it.
    :ivar kind: ``"QUERY"``, ``"PREPARE"``, ``"EXECUTE"``, ``"BATCH"``, ``"OPTIONS"`` and so on.
    :ivar text: the statement; the first one of a batch; empty if there is none.
    :ivar values: the values of its markers, decoded where their types are known.
    :ivar statements: the statements of a batch, with their values.
    :ivar consistency: the name of the level, ``None`` if there is none.
    :ivar keyspace: the keyspace of the connection.
    :ivar timestamp: the default timestamp that it brought, in microseconds.
    :ivar at: when it was received, in seconds since 1970.
    """

    node: str
    kind: str
    text: str = ""
    values: Sequence[Any] = ()
    statements: Sequence[tuple[str, Sequence[Any]]] = ()
    consistency: str | None = None
    keyspace: str | None = None
    page_size: int | None = None
    timestamp: int | None = None
    at: float = 0.0
    stream: int = field(default=0, repr=False)

    @property
    def is_statement(self) -> bool:
        """Whether it is a statement of the application, and not the driver's own question."""
        if self.kind not in ("QUERY", "PREPARE", "EXECUTE", "BATCH"):
            return False
        words = self.text.lower()
        return not any(name in words for name in ("system.", "system_schema.", "system_virtual_schema."))


Match = str | Pattern[str] | Callable[[Received], bool] | None
"""What a request must be: a statement's text, a pattern in it, or whatever a function says of the request."""


def normalized(text: str) -> str:
    """A text without differences that mean nothing: space, and the semicolon at its end."""
    return " ".join(text.split()).rstrip("; ")


def matcher(match: Match) -> Callable[[Received], bool]:
    """What tells whether a request is meant; ``None`` is every statement of the application."""
    if match is None:
        return lambda request: request.is_statement
    if isinstance(match, str):
        wanted = normalized(match)
        return lambda request: normalized(request.text) == wanted
    if isinstance(match, Pattern):
        found = match
        return lambda request: bool(request.text) and found.search(request.text) is not None
    if not callable(match):
        raise TypeError(f"expected a text, a compiled pattern or a function, got {match!r}")
    return match


class RequestLog:
    """The requests that were received, the last hundred thousand of them, in order."""

    def __init__(self) -> None:
        self._kept: deque[Received] = deque(maxlen=_MOST_KEPT)

    def __iter__(self) -> Iterator[Received]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<RequestLog {len(self._kept)}>"

    def add(self, request: Received) -> None:
        """Note a request."""
        self._kept.append(request)

    def clear(self) -> None:
        """Forget them all."""
        self._kept.clear()

    def matching(self, match: Match = None) -> list[Received]:
        """Those that are meant; all statements of the application if nothing is said."""
        test = matcher(match)
        return [request for request in self._kept if test(request)]

    def texts(self, match: Match = None) -> list[str]:
        """The statements of those that are meant, without PREPAREs."""
        return [normalized(request.text) for request in self.matching(match) if request.kind != "PREPARE"]

    def assert_received(self, match: Match, times: int | None = None) -> list[Received]:
        """Assert that a request was received.

        :param times: how many times; at least once if it is not given.
        :raises AssertionError: it was not.
        """
        found = [request for request in self.matching(match) if request.kind != "PREPARE"]
        if (times is None and not found) or (times is not None and len(found) != times):
            wanted = "at least once" if times is None else f"{times} times"
            texts = "\n  ".join(dict.fromkeys(self.texts())) or "nothing"
            raise AssertionError(
                f"{match!r} was received {len(found)} times, not {wanted}; received were:\n  {texts}"
            )
        return found


def decoded(values: Sequence[Any], columns: Sequence[Any]) -> list[Any]:
    """Values of a request, decoded where that is possible."""
    found: list[Any] = []
    for place, value in enumerate(values):
        if isinstance(value, bytes) and place < len(columns):
            try:
                found.append(columns[place].type.decode(value))
                continue
            except CQLError:
                pass
        found.append(value)
    return found
