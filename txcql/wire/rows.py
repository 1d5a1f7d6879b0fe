"""Rows: decoded one by one, when they are reached.

How is decided once for the columns of a result: by the compiled decoder, where there is one, else by a
function that is generated for them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any

from txcql.errors import DecodeError
from txcql.wire.aliases import clean_names, row_class, unique_names
from txcql.wire.collectiontypes import unwrap
from txcql.wire.compiled import COMPILED, compiled_rows
from txcql.wire.metadata import Column
from txcql.wire.records import keywords_for
from txcql.wire.rowplans import plan_decoder
from txcql.wire.rowsources import Decode, RowSource

__all__ = ["RowDecoder", "RowFactory", "RowIterator"]

_unpack_int = struct.Struct(">i").unpack_from
_MOST_SHOWN = 32
_LONGEST_NAME = 200

RowFactory = str | Callable[..., Any]


def _name(column: Column) -> str:
    kind = getattr(column.type, "name", type(column.type).__name__)
    if len(kind) > _LONGEST_NAME:
        kind = f"{kind[:_LONGEST_NAME]}..."
    return f'column "{column.name}" ({kind})'


def _hex(data: bytes) -> str:
    if len(data) <= _MOST_SHOWN:
        return f"0x{data.hex()}"
    return f"0x{data[:_MOST_SHOWN].hex()}... ({len(data)} bytes)"


class RowDecoder:
    """Decodes the rows of results with these columns; make it once, and keep it.

    :param columns: the result's columns; in place of a column's type may stand any
        object with ``decode(bytes | None)``.
    :param row_factory: ``"named"`` for named tuples, ``"tuple"``, ``"dict"``, or a class (a
        dataclass, an attrs class, any that takes keywords) for its instances.
    :ivar decode: decodes the row at an offset of bytes; it gives the row and the offset of the next
        one, or raises :exc:`~txcql.errors.DecodeError` if a value is bad or the data end within the row.
    :ivar fields: the names of a row's values: clean aliases in named tuples, in dicts
        the columns' own names (the second ``v`` is ``v_2``), of a class its keywords.
    :raises ValueError: if there is no such row factory.
    :raises TypeError: if the class cannot be made of the columns.
    """

    __slots__ = ("_parts", "_skip", "columns", "decode", "fields", "row_factory")

    def __init__(self, columns: Sequence[Column], row_factory: RowFactory = "named") -> None:
        self.columns = tuple(columns)
        self.row_factory = row_factory
        names = [column.name for column in columns]
        if row_factory == "dict":
            self.fields = unique_names(names)
        elif row_factory in ("named", "tuple"):
            self.fields = clean_names(names)
        elif callable(row_factory):
            self.fields = keywords_for(row_factory, names, "column")
        else:
            raise ValueError(f'row_factory is "named", "tuple", "dict" or a class, not {row_factory!r}')
        self.decode: Decode = self._first
        self._skip: Decode | None = None
        self._parts: dict[int | tuple[int, ...], Decode] = {}

    def __repr__(self) -> str:
        factory = getattr(self.row_factory, "__qualname__", self.row_factory)
        return f"<RowDecoder {factory} {', '.join(map(_name, self.columns))}>"

    def rows(self, data: bytes, offset: int, count: int) -> Iterator[Any]:
        """Decode rows when they are reached.

        :param offset: of the first one.
        :param count: how many there are.
        """
        return self._iterate(self._whole(), data, offset, count)

    def skip(self, data: bytes, offset: int) -> int:
        """Give the offset behind the row at an offset; decode nothing.

        :raises DecodeError: if the data end within the row.
        """
        if self._skip is None:
            self._skip = self._make((), "NOTHING", None, "None", self._checked((), lambda values: None))
        return self._skip(data, offset)[1]

    def column(self, data: bytes, offset: int, count: int, index: int) -> list[Any]:
        """Decode one column of all rows, and no other.

        :raises DecodeError: if one of its values is bad, or the data end too early.
        :raises IndexError: if there is no such column.
        """
        index = range(len(self.columns))[index]
        decode = self._parts.get(index)
        if decode is None:
            checked = self._checked((index,), lambda values: values[0])
            decode = self._parts[index] = self._make((index,), "VALUE", None, f"v{index}", checked)
        return list(self._iterate(decode, data, offset, count))

    def columns_data(self, data: bytes, offset: int, count: int, indexes: Sequence[int]) -> list[list[Any]]:
        """Decode some columns of all rows, and no others; a list for each.

        :raises DecodeError: as in :meth:`column`.
        :raises IndexError: if there is no such column.
        """
        places = tuple(range(len(self.columns))[index] for index in indexes)
        decode = self._parts.get(places)
        if decode is None:
            # The checked decoder gives the values in the order of the columns.
            wanted = sorted({*places})
            order = [wanted.index(place) for place in places]
            checked = self._checked(wanted, lambda values: tuple([values[place] for place in order]))
            result = f"({''.join(f'v{place}, ' for place in places)})"
            decode = self._parts[places] = self._make(places, "TUPLE", tuple, result, checked)
        found = zip(*self._iterate(decode, data, offset, count), strict=True)
        return [*map(list, found)] or [[] for _ in places]

    def _make(
        self, places: Sequence[int], shape: str, row: Any, result: str, checked: Decode, **objects: Any
    ) -> Decode:
        """Make a decoder of the values at some places: the compiled one, or one that is generated."""
        codecs = [unwrap(column.type) for column in self.columns]
        if COMPILED and len({*places}) == len(places):
            compiled: Decode = plan_decoder(codecs, places, shape, row, checked)
            return compiled
        return RowSource(codecs, frozenset(places), result).make(checked, **objects)

    def _iterate(self, decode: Decode, data: bytes, offset: int, count: int) -> Iterator[Any]:
        if count > 0 and not self.columns:
            raise DecodeError(f"expected no rows without columns, got {count}")
        if COMPILED and isinstance(decode, compiled_rows.CompiledDecoder):
            rows: Iterator[Any] = compiled_rows.CompiledRows(decode, data, offset, count, self.failed)
            return rows
        return RowIterator(self, decode, data, offset, count)

    def failed(
        self, error: DecodeError, number: int, data: bytes, offset: int
    ) -> tuple[DecodeError, int | None]:
        """What is said about a bad row, and where the next one begins.

        :param error: what its decoder said.
        :param number: of the row, from 1.
        :param offset: where it begins.
        :returns: the error to raise, and the offset; ``None`` if that cannot be told.
        """
        after = None
        with suppress(DecodeError):
            after = self.skip(data, offset)
        return DecodeError(f"row {number}, {error}"), after

    def _first(self, data: bytes, offset: int) -> tuple[Any, int]:
        """Stand in for :attr:`decode` until that is made."""
        return self._whole()(data, offset)

    def _whole(self) -> Decode:
        if self.decode == self._first:
            self.decode = self._make_whole()
        return self.decode

    def _make_whole(self) -> Decode:
        places = range(len(self.columns))
        values = "".join(f"v{place}, " for place in places)
        make: Callable[[Sequence[Any]], Any]
        if self.row_factory == "tuple":
            return self._make(places, "TUPLE", tuple, f"({values})", self._checked(places, tuple))
        if self.row_factory == "dict":
            keys = {f"k{place}": field for place, field in enumerate(self.fields)}
            result = "{" + ", ".join(f"k{place}: v{place}" for place in places) + "}"
            make = lambda found: dict(zip(self.fields, found, strict=True))  # noqa: E731
            return self._make(places, "CALL", make, result, self._checked(places, make), **keys)
        if callable(self.row_factory):
            given = ", ".join(f"{field}=v{place}" for place, field in enumerate(self.fields))
            checked, kind = self._checked(places, self._record), self.row_factory
            return self._make(places, "CALL", self._record, f"Record({given})", checked, Record=kind)
        kind = row_class("Row", self.fields)
        checked = self._checked(places, kind._make)
        return self._make(
            places, "TUPLE", kind, f"new(Row, ({values}))", checked, new=tuple.__new__, Row=kind
        )

    def _record(self, values: Sequence[Any]) -> Any:
        """Make an instance of the user's class.

        :raises DecodeError: if the class refuses the values.
        """
        make: Any = self.row_factory
        try:
            return make(**dict(zip(self.fields, values, strict=True)))
        except Exception as error:
            title = getattr(make, "__qualname__", repr(make))
            raise DecodeError(f"{title} refused the row: {error!r}") from error

    def _checked(self, wanted: Collection[int], make: Callable[[list[Any]], Any]) -> Decode:
        """Make the plain decoder, which looks at everything and names what is bad."""
        if not isinstance(wanted, range):
            wanted = frozenset(wanted)

        def decode(data: bytes, offset: int) -> tuple[Any, int]:
            values = []
            end = len(data)
            for place, column in enumerate(self.columns):
                if end - offset < 4:
                    raise DecodeError(
                        f"{_name(column)}: the page ends {end - offset} bytes after its beginning"
                    )
                length = _unpack_int(data, offset)[0]
                start = offset + 4
                offset = start + max(length, 0)
                if offset > end:
                    raise DecodeError(
                        f"{_name(column)}: expected {length} bytes, but the page ends after {end - start}"
                    )
                if place not in wanted:
                    continue
                part = None if length < 0 else data[start:offset]
                try:
                    values.append(column.type.decode(part))
                except Exception as error:
                    shown = "null" if part is None else _hex(part)
                    raise DecodeError(f"{_name(column)}: {error}: {shown}") from error
            return make(values), offset

        return decode


class RowIterator(Iterator[Any]):
    """The rows of one page; each is decoded when it is reached.

    A bad value raises :exc:`~txcql.errors.DecodeError`, which names row (from 1),
    column and bytes; the iteration can go on with the next row.
    """

    __slots__ = ("_count", "_data", "_decode", "_decoder", "_left", "_offset")

    def __init__(self, decoder: RowDecoder, decode: Decode, data: bytes, offset: int, count: int) -> None:
        self._decoder = decoder
        self._decode = decode
        self._data = data
        self._offset = offset
        self._count = count
        self._left = count

    def __iter__(self) -> RowIterator:
        return self

    def __next__(self) -> Any:
        if self._left <= 0:
            self._data = b""
            raise StopIteration
        self._left -= 1
        try:
            row, self._offset = self._decode(self._data, self._offset)
        except DecodeError as error:
            number = self._count - self._left
            raised, after = self._decoder.failed(error, number, self._data, self._offset)
            if after is None:
                self._left = 0
            else:
                self._offset = after
            raise raised from error.__cause__
        return row
