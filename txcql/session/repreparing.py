"""Statements that a node is told when it comes up, before it is asked to execute them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcql.errors import CQLError, ServerError
from txcql.pool.nodepool import NodePool
from txcql.session.statements import PreparedStatement

__all__ = ["AT_A_TIME", "IN_ALL", "Repreparing"]

log = Logger(namespace="txcql.session")

AT_A_TIME = 4
"""PREPAREs that are under way at one node, at most."""

IN_ALL = 32
"""PREPAREs that are under way, at most, however many nodes come up together."""

Prepare = Callable[[PreparedStatement, NodePool], "Deferred[Any] | None"]


class Repreparing:
    """Prepares the statements of a session at each node that comes up, a few at a time.

    Nothing waits for it: a request that comes before its statement is answered with UNPREPARED, and
    prepares it then.

    :param statements: gives the session's statements, those first that were used last.
    :param prepare: begins to prepare a statement at the node of a pool; ``None`` if it cannot be
        prepared there as it was.
    """

    def __init__(self, statements: Callable[[], list[PreparedStatement]], prepare: Prepare) -> None:
        self._statements = statements
        self._prepare = prepare
        self._left: dict[NodePool, Iterator[PreparedStatement]] = {}
        self._turns: deque[tuple[NodePool, Iterator[PreparedStatement]]] = deque()
        self._under_way = 0

    def node_up(self, pool: NodePool) -> None:
        """A node has come up: tell it what it will be asked for."""
        statements = self._statements()
        if statements:
            left = self._left[pool] = iter(statements)
            self._turns.extend([(pool, left)] * AT_A_TIME)
            self._go_on()

    def _go_on(self) -> None:
        while self._turns and self._under_way < IN_ALL:
            pool, left = self._turns.popleft()
            if self._left.get(pool) is left:
                self._begin(pool, left)

    def _begin(self, pool: NodePool, left: Iterator[PreparedStatement]) -> None:
        """Prepare one more."""
        for statement in left:
            preparing = self._prepare(statement, pool)
            if preparing is not None:
                self._under_way += 1
                preparing.addErrback(self._failed, pool).addCallback(self._done, pool, left)
                return
        del self._left[pool]

    def _done(self, _: object, pool: NodePool, left: Iterator[PreparedStatement]) -> None:
        self._under_way -= 1
        self._turns.append((pool, left))
        self._go_on()

    def _failed(self, failure: Failure, pool: NodePool) -> None:
        error = failure.value
        if isinstance(error, ServerError):
            # Such as for a table that was dropped: that is for the request to hear.
            return
        self._left.pop(pool, None)
        if not isinstance(error, CQLError):
            log.failure("a defect in preparing a statement again", failure)
