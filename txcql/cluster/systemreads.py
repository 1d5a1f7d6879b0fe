"""Reading the server's own tables over a link, page by page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from txcql.connection.protocol import CQLProtocol
from txcql.errors import ProtocolError
from txcql.wire import constants
from txcql.wire.pagewatch import PageWatch
from txcql.wire.requests import QueryOptions, query_parts
from txcql.wire.responses import Rows

__all__ = ["read_rows", "text_literal", "text_literals"]

_ONE = 1

MOST_ROWS = 1_000_000
"""Rows of a system table at most: a schema of ten thousand tables has fewer."""


async def read_rows(link: CQLProtocol, text: str, page_size: int = 1000) -> list[Any]:
    """All rows of a statement, at consistency ONE.

    The reactor has a turn between two pages, each of which is decoded in one go.

    :param page_size: rows a page.
    :raises CQLError: the node does not answer, refuses, answers without rows, or without an end.
    """
    found: list[Any] = []
    watch = PageWatch()
    options = QueryOptions(consistency=_ONE, page_size=page_size)
    while True:
        head, tail = query_parts(link.version, text, options, has_values=False)
        answer = await link.ask(constants.QUERY, head + tail)
        if not isinstance(answer, Rows):
            raise ProtocolError(f"{link.node} answered {text!r} without rows")
        rows = answer.rows
        watch.saw(len(rows), answer.paging_state)
        found += rows
        if len(found) > MOST_ROWS:
            raise ProtocolError(f"{link.node} answered {text!r} with more than {MOST_ROWS} rows")
        if answer.paging_state is None:
            return found
        options = options._replace(paging_state=answer.paging_state)


def text_literal(value: str) -> str:
    """A text as CQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def text_literals(values: Iterable[str]) -> str:
    """Texts as CQL writes them, with commas between."""
    return ", ".join(text_literal(value) for value in values)
