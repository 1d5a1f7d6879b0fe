"""Prepared statements of a session, by keyspace and text.

Each text takes a place here and in every node. A program that writes values into its texts fills them all
with statements that are used once; it is told so.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from txcql.session.sharedwork import SharedWork
from txcql.session.statements import PreparedStatement

__all__ = ["PreparedCache"]

log = Logger(namespace="txcql.session")

Key = tuple[str | None, str]

_LITERAL = re.compile(
    r"""
    '(?:[^']|'')*'
    | (?<![\w.]) [-+]? (?: 0[xX][0-9a-fA-F]+
                         | [0-9a-fA-F]{8} - [0-9a-fA-F-]{27}
                         | [0-9]+ (?:\.[0-9]+)? (?:[eE][-+]?[0-9]+)? ) (?!\w)
    """,
    re.VERBOSE,
)
_LONGEST_SHOWN = 200


class PreparedCache:
    """Prepares each text once, however many ask for it.

    :param capacity: statements kept; the one not used for longest goes first. A statement that
        the application holds works on without its place here.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._statements: OrderedDict[Key, PreparedStatement] = OrderedDict()
        self._preparing: SharedWork[Key, PreparedStatement] = SharedWork()
        self._evicted = 0
        self._warned = False

    def __len__(self) -> int:
        return len(self._statements)

    def latest_first(self) -> list[PreparedStatement]:
        """The statements, those first that were used last."""
        return list(reversed(self._statements.values()))

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
            # Looked at now and then: the texts that vary may come later.
            if not self._warned and self._evicted % self._capacity == 0:
                self._look_at_texts(statement.text)
            self._evicted += 1
        return statement

    def _look_at_texts(self, text: str) -> None:
        """Say so, once, if most of the texts are the same but for their literals."""
        shape = _shape(text)
        alike = sum(_shape(other) == shape for _, other in self._statements)
        if alike * 2 <= len(self._statements):
            return
        self._warned = True
        shown = shape if len(shape) <= _LONGEST_SHOWN else shape[:_LONGEST_SHOWN] + "…"
        log.warn(
            "{alike} of {all} prepared statements differ in nothing but the values in their text: each is "
            "prepared anew, and pushes others out; write the values as ? and give them as parameters: {text}",
            alike=alike,
            all=len(self._statements),
            text=shown,
        )


def _shape(text: str) -> str:
    """A text without its literals."""
    return _LITERAL.sub("?", text)
