"""What the tests of sessions share: one node with a table."""

from __future__ import annotations

from typing import Any

from txcql.test.scriptednode import Asked, ScriptedTestCase, columns

__all__ = ["INSERT", "LIST", "SELECT", "SessionTestCase", "held"]

SELECT = "SELECT v FROM t WHERE k = ?"
INSERT = "INSERT INTO t (k, v) VALUES (?, ?)"
LIST = "SELECT k, v FROM t"


def held(asked: Asked) -> bool:
    """Holds what applications ask for."""
    return True


class SessionTestCase(ScriptedTestCase):
    """One node that knows a table."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one = self.node()
        self.teach(self.one)

    def teach(self, node: Any) -> None:
        node.teach(SELECT, parameters=columns(k="int"), columns=columns(v="text"), rows=[["one"]])
        node.teach(INSERT, parameters=columns(k="int", v="text"))
        node.teach(LIST, columns=columns(k="int", v="text"), rows=[[1, "one"], [2, None]])
