"""Whether the pages of a result come to an end."""

from __future__ import annotations

from txcql.errors import ProtocolError

__all__ = ["MOST_EMPTY_PAGES", "PageWatch"]

MOST_EMPTY_PAGES = 1000
"""Pages without a row, one behind the other, after which a result is taken to have no end."""


class PageWatch:
    """Looks at the pages of one result.

    A page without rows may have a next one; servers send them where much was deleted or filtered.
    """

    __slots__ = ("_empty", "_state")

    def __init__(self) -> None:
        self._empty = 0
        self._state: bytes | None = None

    def saw(self, rows: int, paging_state: bytes | None) -> None:
        """A page has come.

        :param paging_state: where the next one begins.
        :raises ProtocolError: there is none to wait for.
        """
        if rows or paging_state is None:
            self._empty = 0
        elif paging_state == self._state:
            raise ProtocolError("a page without rows says that the next page is itself: it would never end")
        else:
            self._empty += 1
            if self._empty >= MOST_EMPTY_PAGES:
                raise ProtocolError(f"{MOST_EMPTY_PAGES} pages without a row, one behind the other")
        self._state = paging_state
