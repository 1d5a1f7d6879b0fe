"""What a request is answered with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from twisted.internet.defer import Deferred, fail

from txcql.errors import DecodeError, IncompleteResult
from txcql.session.attempts import Attempt
from txcql.session.decoding import DecodedRows
from txcql.session.exports import PageColumns
from txcql.session.traces import TRACE_TIMEOUT, Trace
from txcql.wire.constants import HEADER_SIZE
from txcql.wire.metadata import Column
from txcql.wire.responses import NO_PREFIXES, Prefixes, SchemaChanged, SetKeyspace
from txcql.wire.rows import RowDecoder

if TYPE_CHECKING:
    from txcql.session.pagingstate import PagingState
    from txcql.session.request import Past
    from txcql.session.statementrequest import StatementRequest

__all__ = ["Result"]


class Effects:
    """What few results have."""

    __slots__ = ("change", "schema_agreement")

    def __init__(self, change: SetKeyspace | SchemaChanged) -> None:
        self.change = change
        self.schema_agreement = True


class Result:
    """The answer to one request: one page of rows, or none.

    Rows are decoded when they are reached, each time anew; a decoded row does not keep the page. With
    ``decode_in`` those of a large page are decoded before, once.

    :ivar coordinator: the ``host:port`` of the node that answered.
    :ivar raw_paging_state: where the next page begins, as the server gave it; ``None`` if this is the
        last.
    """

    __slots__ = (
        "_body",
        "_count",
        "_decoder",
        "_offset",
        "_prefixes",
        "_request",
        "coordinator",
        "effects",
        "past",
        "raw_paging_state",
        "received_at",
        "sent_size",
        "written",
    )

    # The request sets these when the result is made, which costs less than to make them first.
    written: list[float | None]
    received_at: float
    sent_size: int
    past: Past | None

    def __init__(
        self,
        coordinator: str,
        prefixes: Prefixes = NO_PREFIXES,
        decoder: RowDecoder | None = None,
        body: bytes = b"",
        offset: int = 0,
        count: int = 0,
        paging_state: bytes | None = None,
        request: StatementRequest | None = None,
    ) -> None:
        self.coordinator = coordinator
        self._prefixes = prefixes
        self._decoder = decoder
        self._body = body
        self._offset = offset
        self._count = count
        self.raw_paging_state = paging_state
        self._request = request
        self.effects: Effects | None = None

    @property
    def paging_state(self) -> PagingState | None:
        """Where the next page begins; ``None`` if this is the last.

        Its ``str()`` can leave the process: see :class:`~txcql.PagingState`.
        """
        if self.raw_paging_state is None or self._request is None:
            return None
        return self._request.paging(self.raw_paging_state)

    @property
    def change(self) -> SetKeyspace | SchemaChanged | None:
        """What the statement changed besides data: a :class:`~txcql.wire.responses.SetKeyspace` or
        :class:`~txcql.wire.responses.SchemaChanged`."""
        return self.effects.change if self.effects is not None else None

    @change.setter
    def change(self, change: SetKeyspace | SchemaChanged) -> None:
        self.effects = Effects(change)

    @property
    def schema_agreement(self) -> bool:
        """After a schema change: whether the nodes agreed in time; else ``True``."""
        return self.effects.schema_agreement if self.effects is not None else True

    @schema_agreement.setter
    def schema_agreement(self, agreement: bool) -> None:
        if self.effects is not None:
            self.effects.schema_agreement = agreement

    @property
    def attempts(self) -> Sequence[Attempt]:
        """The nodes that the request was tried at, in order; the last one answered."""
        before = self.past.tried if self.past is not None else ()
        if before and before[-1].error is not None and not self._body:
            # The retry policy has made this of an error: nobody answered.
            return tuple(before)
        begun = self.written[0]
        duration = max(0.0, self.received_at - begun) if begun is not None else 0.0
        return (*before, Attempt(self.coordinator, None, duration))

    @property
    def request_size(self) -> int:
        """Bytes of the request, header included, before compression."""
        return HEADER_SIZE + self.sent_size

    @property
    def response_size(self) -> int:
        """Bytes of the answer, header included, after decompression."""
        return HEADER_SIZE + len(self._body) if self._body else 0

    @property
    def columns(self) -> Sequence[Column]:
        """The columns of the rows; empty if the answer has none."""
        return self._decoder.columns if self._decoder is not None else ()

    @property
    def warnings(self) -> Sequence[str]:
        """The server's warnings."""
        return self._prefixes.warnings

    @property
    def tracing_id(self) -> UUID | None:
        """The id of the tracing session, if the request was traced."""
        return self._prefixes.tracing_id

    @property
    def payload(self) -> Mapping[str, bytes | None] | None:
        """The custom payload of the answer."""
        return self._prefixes.payload

    @property
    def has_more_pages(self) -> bool:
        """Whether there is a next page. An empty page may have one."""
        return self.raw_paging_state is not None

    @property
    def was_applied(self) -> bool:
        """Whether a conditional statement took place; ``True`` of every other statement."""
        if self._decoder is None or not self._count or self.columns[0].name != "[applied]":
            return True
        return bool(self._decoder.column(self._body, self._offset, 1, 0)[0])

    def __len__(self) -> int:
        """The number of rows of this page."""
        return self._count

    def __iter__(self) -> Iterator[Any]:
        """Decode one row after another.

        A bad value raises :class:`~txcql.errors.DecodeError` at its row; ``next`` on the same
        iterator goes on behind it.

        :raises IncompleteResult: there are more pages and none was asked for.
        """
        self._check_complete()
        return self.rows()

    def rows(self) -> Iterator[Any]:
        """The rows of this page, whether or not there are more."""
        if self._decoder is None:
            return iter(())
        return iter(self._decoder.rows(self._body, self._offset, self._count))

    @property
    def body_size(self) -> int:
        """The size of the answer's body with rows, in bytes; 0 of one without."""
        return len(self._body)

    def take_rows(self, rows: list[Any]) -> None:
        """Use these: they have been decoded elsewhere."""
        if self._decoder is not None:
            self._decoder = DecodedRows(self._decoder, rows)

    def one(self) -> Any:
        """The first row, ``None`` if there is none.

        :raises DecodeError: it holds a bad value.
        """
        if not self._count or self._decoder is None:
            return None
        try:
            return self._decoder.decode(self._body, self._offset)[0]
        except DecodeError as error:
            raise DecodeError(f"row 1, {error}") from error.__cause__

    def all(self) -> list[Any]:
        """Every row.

        :raises IncompleteResult: there are more pages and none was asked for.
        :raises DecodeError: a row holds a bad value.
        """
        self._check_complete()
        return list(self.rows())

    def column(self, name: str) -> list[Any]:
        """The values of one column on this page; the others are not decoded.

        :raises KeyError: there is no such column; the text names those there are.
        """
        names = [column.name for column in self.columns]
        if name not in names or self._decoder is None:
            raise KeyError(f"no column {name!r}; there are: {', '.join(names) or 'none'}")
        return self._decoder.column(self._body, self._offset, self._count, names.index(name))

    def columns_data(self, *names: str) -> dict[str, list[Any]]:
        """The values of several columns on this page, a list for each; the others are not decoded.

        :param names: of the columns; none for all. The second column ``v`` is ``v_2``.
        :raises KeyError: there is no such column; the text names those there are.
        :raises DecodeError: one of the values is bad; the text names row, column and bytes.
        """
        return self._page_columns(names).lists()

    def to_numpy(self, *names: str) -> dict[str, Any]:
        """The same as numpy arrays; it needs the extra ``numpy``.

        Integers, floats and booleans are of their own size, timestamps ``datetime64[ms]``, dates
        ``datetime64[D]``, all else Python objects. Where there are nulls the array is a masked one.

        :raises ValueError: a column holds what numpy cannot: an :data:`~txcql.EMPTY` number.
        """
        return self._page_columns(names).to_numpy()

    def to_pandas(self, *names: str) -> Any:
        """The same as a ``pandas.DataFrame``; it needs the extra ``pandas``.

        Integers and booleans with nulls are of pandas' nullable types.
        """
        return self._page_columns(names).to_pandas()

    def to_arrow(self, *names: str) -> Any:
        """The same as a ``pyarrow.Table``; it needs the extra ``arrow``.

        The types of its columns follow from those of CQL; but a decimal or varint has the precision and
        scale that the values of this page need, and is text inside other types. UUIDs are 16 bytes,
        addresses text, tuples and UDTs structs.

        :raises ValueError: a column holds what Arrow cannot; the text names it.
        """
        return self._page_columns(names).to_arrow()

    def next_page(self) -> Deferred[Result]:
        """Ask for the next page.

        :returns: fires with a result like this one; fails with LookupError if this is the last page.
        """
        if self._request is None or self.raw_paging_state is None:
            return fail(LookupError("this is the last page: see has_more_pages"))
        return self._request.next_page(self.raw_paging_state)

    def trace(self, timeout: float = TRACE_TIMEOUT) -> Deferred[Trace]:
        """The server's record of how it carried out the request, once it is complete.

        :param timeout: seconds to wait for that.
        :returns: fires with a :class:`~txcql.Trace`; fails with
            :class:`~txcql.errors.TraceIncomplete`, or LookupError if the request was not traced.
        """
        if self._request is None or self.tracing_id is None:
            return fail(LookupError("the request was not traced: execute(…, tracing=True) does so"))
        return self._request.session.trace(self.tracing_id, timeout)

    def _page_columns(self, names: Sequence[str]) -> PageColumns:
        decoder = self._decoder if self._decoder is not None else RowDecoder(())
        return PageColumns(decoder, self._body, self._offset, self._count, names)

    def _check_complete(self) -> None:
        if self.raw_paging_state is not None and self._request is not None and self._request.whole:
            raise IncompleteResult(
                f"this is the first page, of {self._count} rows, and there are more: "
                "stream() reads them all, next_page() the next ones; with page_size this page alone is read"
            )

    def __repr__(self) -> str:
        more = " has_more_pages" if self.has_more_pages else ""
        return f"<Result rows={self._count} from {self.coordinator}{more}>"
