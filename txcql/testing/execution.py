"""One statement as it runs: its values, and its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from txcql.wire.requestreader import RawValue
from txcql.wire.requests import QueryOptions

__all__ = ["Coordinator", "Execution"]


class Coordinator(Protocol):
    """What statements need of the node that runs them."""

    def check_consistency(
        self, keyspace: str, level: int, write: bool, tokens: Callable[[], Sequence[int]] | None = None
    ) -> None:
        """Refuse a level that cannot be met."""

    def check_serial(
        self, keyspace: str, level: int | None, tokens: Callable[[], Sequence[int]] | None = None
    ) -> None:
        """Refuse a serial level that cannot be met."""

    def timestamp(self) -> int:
        """A timestamp for a write that has none, in microseconds; each is later than the one before."""

    def seconds(self) -> float:
        """The time, in seconds since 1970."""


class Execution:
    """A statement as it runs.

    :ivar values: one for each of its parameters.
    :ivar node: the node that runs it.
    :ivar version: the protocol version of the connection.
    :ivar now: the time in seconds since 1970, for what expires.
    :ivar timestamp: of its writes, in microseconds.
    """

    __slots__ = ("_timestamp", "node", "now", "options", "values", "version")

    def __init__(
        self, values: Sequence[RawValue], options: QueryOptions, node: Coordinator, version: int
    ) -> None:
        self.values = values
        self.options = options
        self.node = node
        self.version = version
        self.now = int(node.seconds()) if options.now_in_seconds is None else options.now_in_seconds
        self._timestamp = options.timestamp

    @property
    def timestamp(self) -> int:
        if self._timestamp is None:
            self._timestamp = self.node.timestamp()
        return self._timestamp

    def with_values(self, values: Sequence[RawValue]) -> Execution:
        """The same moment with other values, for a statement of a batch."""
        made = Execution(values, self.options, self.node, self.version)
        made.now = self.now
        made._timestamp = self.timestamp
        return made
