"""Prepared statements of a session, by keyspace and text."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed

from txcql.session.sharedwork import SharedWork
from txcql.session.statements import PreparedStatement

__all__ = ["PreparedCache"]

Key = tuple[str | None, str]


class PreparedCache:
    """Prepares each text once, however many ask for it.

    :param capacity: statements kept; the one not used for longest goes first. A statement that
        the application holds works on without its place here.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._statements: OrderedDict[Key, PreparedStatement] = OrderedDict()
        self._preparing: SharedWork[Key, PreparedStatement] = SharedWork()

    def __len__(self) -> int:
        return len(self._statements)

    def find(self, keyspace: str | None, text: str) -> PreparedStatement | None:
        """The statement, if it has been prepared."""
        key = (keyspace, text)
        statement = self._statements.get(key)
        if statement is not None:
            self._statements.move_to_end(key)
        return statement

    def get(
        self, keyspace: str | None, text: str, prepare: Callable[[], Deferred[PreparedStatement]]
    ) -> Deferred[PreparedStatement]:
        """The statement, prepared if need be.

        :param prepare: begins to prepare it; called if nobody has done so yet.
        :returns: a Deferred of the caller's own: cancelling it takes away this waiter only.
        """
        statement = self.find(keyspace, text)
        if statement is not None:
            return succeed(statement)
        key = (keyspace, text)
        return self._preparing.join(key, lambda: prepare().addCallback(self._keep, key))

    def _keep(self, statement: PreparedStatement, key: Key) -> PreparedStatement:
        self._statements[key] = statement
        if len(self._statements) > self._capacity:
            self._statements.popitem(last=False)
        return statement
