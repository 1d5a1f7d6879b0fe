"""Rows: a function generated for the columns of a result decodes them, one by one.

Per row there is no loop over columns and no look-up of types. Neighbouring columns
of fixed size are read by one ``struct``, together with their lengths and the length
that follows; where a length is not the usual one (null, empty), that run of columns
is read again one by one. Whatever goes wrong in the fast code, the row is decoded
once more by plain code, which knows what to say about it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any
from uuid import UUID, SafeUUID

from txcql.errors import DecodeError
from txcql.wire.aliases import clean_names, row_class, unique_names
from txcql.wire.collectiontypes import ListType, SetType, fixed_elements, unwrap
from txcql.wire.conversions import EXACT, make_timestamp
from txcql.wire.cqltypes import Codec, CQLType
from txcql.wire.metadata import Column
from txcql.wire.records import keywords_for
from txcql.wire.scalars import (
    AsciiType,
    BlobType,
    CustomType,
    DecimalType,
    TextType,
    TimestampType,
    TimeuuidType,
    UUIDType,
    VarintType,
    is_fused,
)

__all__ = ["RowDecoder", "RowFactory", "RowIterator"]

_unpack_int = struct.Struct(">i").unpack_from
_LONGEST_RUN = 12
_MOST_SHOWN = 32

Decode = Callable[[bytes, int], tuple[Any, int]]
RowFactory = str | Callable[..., Any]


@lru_cache(maxsize=512)
def _factory(source: str) -> Callable[..., Decode]:
    """Compile a source; results of the same shape share it."""
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    made: Callable[..., Decode] = namespace["make"]
    return made


class _Source:
    """The source of one function that decodes some of a row's columns, and the objects it needs.

    :param wanted: the places of the columns to decode; the others are skipped.
    :param result: an expression of ``v0``, ``v1`` …, the values.
    """

    def __init__(self, codecs: Sequence[Codec], wanted: frozenset[int], result: str) -> None:
        self.codecs = codecs
        self.wanted = wanted
        self.result = result
        self.objects: dict[str, Any] = {"unpack_int": _unpack_int}
        self.lines: list[str] = []

    def make(self, checked: Decode, **objects: Any) -> Decode:
        """Give the function.

        :param checked: decodes the same by plain code.
        :param objects: what the result's expression names.
        """
        self.objects.update(objects, checked=checked)
        place, count = 0, len(self.codecs)
        while place < count:
            run: list[int] = []
            while place < count and len(run) < _LONGEST_RUN and is_fused(self.codecs[place]):
                run.append(place)
                place += 1
            trailing = place if place < count and not is_fused(self.codecs[place]) else None
            self.run(run, trailing)
            if trailing is not None:
                self.variable(trailing)
                place += 1
        body = "\n".join(f"            {line}" for line in self.lines)
        source = (
            f"def make({', '.join(sorted(self.objects))}):\n"
            "    def decode(data, start):\n"
            "        o = start\n"
            "        try:\n"
            f"{body}\n"
            "            if o <= len(data):\n"
            f"                return {self.result}, o\n"
            "        except Exception:\n"
            "            pass\n"
            "        return checked(data, start)\n"
            "    return decode\n"
        )
        return _factory(source)(**self.objects)

    def run(self, run: Sequence[int], trailing: int | None) -> None:
        """Read a run of columns of fixed size and the length of the one that follows, its scale too."""
        code, names, guards, size = ">", [], [], 0
        for place in run:
            kind = self.codecs[place]
            wanted = place in self.wanted
            code += f"i{kind.format}" if wanted else f"i{kind.size}x"
            names += [f"n{place}", f"v{place}"] if wanted else [f"n{place}"]
            guards.append(f"n{place} == {kind.size}")
            size += 4 + kind.size
        scaled = trailing in self.wanted and type(self.codecs[trailing]) is DecimalType
        if trailing is not None:
            code, names, size = code + "i", [*names, "m"], size + 4
        if scaled:
            # Of a null it is not the scale, but what follows; then it is not used.
            code, names = code + "i", [*names, "s"]
        unpack = f"unpack_{run[0] if run else trailing}"
        self.objects[unpack] = struct.Struct(code).unpack_from
        self.lines.append(f"{', '.join(names)}, = {unpack}(data, o)")
        if not run:
            self.lines.append(f"o += {size}")
            return
        self.lines += [f"if {' and '.join(guards)}:", f"    o += {size}"]
        for place in run:
            if place in self.wanted:
                self.lines += [f"    {line}" for line in self.fixed(place)]
        self.lines.append("else:")
        for place in run:
            self.lines += [f"    {line}" for line in self.single(place)]
        if trailing is not None:
            self.lines += ["    m, = unpack_int(data, o)", "    o += 4"]
        if scaled:
            self.lines.append("    s, = unpack_int(data, o)")

    def single(self, place: int) -> list[str]:
        """Read one column of a run in which one is null, empty or of a wrong length."""
        kind = self.codecs[place]
        if place not in self.wanted:
            return ["m, = unpack_int(data, o)", "o += 4 + m if m > 0 else 4"]
        pair, decode = f"pair_{place}", f"decode_{place}"
        self.objects |= {pair: struct.Struct(f">i{kind.format}").unpack_from, decode: kind.decode}
        return [
            f"m, v{place} = {pair}(data, o)",
            f"if m == {kind.size}:",
            f"    o += {4 + kind.size}",
            *(f"    {line}" for line in self.fixed(place)),
            "elif m < 0:",
            "    o += 4",
            f"    v{place} = None",
            "else:",
            f"    v{place} = {decode}(data[o + 4:(o := o + 4 + m)])",
        ]

    def fixed(self, place: int) -> list[str]:
        """Make the value of what the struct gave."""
        kind = self.codecs[place]
        value = f"v{place}"
        if kind.convert is None:
            return []
        if type(kind) in (UUIDType, TimeuuidType):
            self.objects |= _UUID_NAMES
            return [
                f"b = {value}",
                f"{value} = new_object(UUID)",
                f'set_int({value}, from_bytes(b, "big"))',
                f"set_safe({value}, unknown)",
            ]
        if type(kind) is TimestampType:
            # Below 2**32 seconds a float is exact to half a microsecond, so that no millisecond is rounded.
            self.objects |= {
                "from_seconds": datetime.fromtimestamp,
                "utc": timezone.utc,
                "timestamp": make_timestamp,
            }
            return [
                f"{value} = from_seconds({value} / 1000, utc) "
                f"if 0 <= {value} < 4294967296000 else timestamp({value})"
            ]
        self.objects[f"convert_{place}"] = kind.convert
        return [f"{value} = convert_{place}({value})"]

    def variable(self, place: int) -> None:
        """Make the value of the next ``m`` bytes."""
        if place not in self.wanted:
            self.lines += ["if m > 0:", "    o += m"]
            return
        kind = self.codecs[place]
        value = f"v{place}"
        decode = f"decode_{place}"
        part = "data[o:(o := o + m)]"
        if type(kind) is TextType:
            self.lines.append(f"{value} = {part}.decode() if m >= 0 else None")
        elif type(kind) is AsciiType:
            self.lines.append(f'{value} = {part}.decode("ascii") if m >= 0 else None')
        elif type(kind) in (BlobType, CustomType):
            self.lines.append(f"{value} = {part} if m >= 0 else None")
        elif type(kind) is VarintType:
            self.objects |= {"from_bytes": int.from_bytes, decode: kind.decode}
            self.lines += [
                "if m > 0:",
                f'    {value} = from_bytes({part}, "big", signed=True)',
                "else:",
                f"    {value} = {decode}(b'') if m == 0 else None",
            ]
        elif type(kind) is DecimalType:
            self.objects |= {"from_bytes": int.from_bytes, "scaleb": EXACT.scaleb, decode: kind.decode}
            self.lines += [
                "if 5 <= m <= 1024:",
                f'    {value} = scaleb(from_bytes(data[o + 4:(o := o + m)], "big", signed=True), -s)',
                "else:",
                f"    {value} = {decode}({part}) if m >= 0 else None",
            ]
        elif not self.elements(place, kind):
            # A codec of the user's may give null a value of its own.
            null = "None" if isinstance(kind, CQLType) else f"{decode}(None)"
            self.objects[decode] = kind.decode
            self.lines.append(f"{value} = {decode}({part}) if m >= 0 else {null}")

    def elements(self, place: int, kind: Codec) -> bool:
        """Read a list or set of fixed-size elements, if it is one."""
        if type(kind) not in (ListType, SetType):
            return False
        element = unwrap(kind.element)
        read = fixed_elements(element)
        # Sets of floats may hold 0.0 and -0.0, which only their own decode() keeps apart.
        if read is None or kind.hashed or (type(kind) is SetType and element.format in "fd"):
            return False
        make = "list" if type(kind) is ListType else "set"
        values = "f" if element.convert is None else f"map(convert_{place}, f)"
        self.objects |= {f"fixed_{place}": read, f"decode_{place}": kind.decode}
        if element.convert is not None:
            self.objects[f"convert_{place}"] = element.convert
        self.lines += [
            "if m >= 0:",
            "    e = o + m",
            f"    f = fixed_{place}(data, o, e)",
            f"    v{place} = {make}({values}) if f is not None else decode_{place}(data[o:e])",
            "    o = e",
            "else:",
            f"    v{place} = None",
        ]
        return True


_UUID_NAMES = {
    "UUID": UUID,
    "from_bytes": int.from_bytes,
    "new_object": object.__new__,
    "set_int": UUID.__dict__["int"].__set__,
    "set_safe": UUID.__dict__["is_safe"].__set__,
    "unknown": SafeUUID.unknown,
}


def _name(column: Column) -> str:
    return f'column "{column.name}" ({getattr(column.type, "name", type(column.type).__name__)})'


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
    :ivar fields: the names of a row's values: clean aliases in named tuples, in dicts
        the columns' own names (the second ``v`` is ``v_2``), of a class its keywords.
    :raises ValueError: if there is no such row factory.
    :raises TypeError: if the class cannot be made of the columns.
    """

    __slots__ = ("_decode", "_parts", "_skip", "columns", "fields", "row_factory")

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
        self._decode: Decode | None = None
        self._skip: Decode | None = None
        self._parts: dict[int | tuple[int, ...], Decode] = {}

    def __repr__(self) -> str:
        factory = getattr(self.row_factory, "__qualname__", self.row_factory)
        return f"<RowDecoder {factory} {', '.join(map(_name, self.columns))}>"

    def decode(self, data: bytes, offset: int) -> tuple[Any, int]:
        """Decode the row at an offset.

        :returns: the row, and the offset of the next one.
        :raises DecodeError: if a value is bad, or the data end within the row.
        """
        return self._whole()(data, offset)

    def rows(self, data: bytes, offset: int, count: int) -> RowIterator:
        """Decode rows when they are reached.

        :param offset: of the first one.
        :param count: how many there are.
        """
        return RowIterator(self, self._whole(), data, offset, count)

    def skip(self, data: bytes, offset: int) -> int:
        """Give the offset behind the row at an offset; decode nothing.

        :raises DecodeError: if the data end within the row.
        """
        if self._skip is None:
            self._skip = self._source(frozenset(), "None").make(self._checked((), lambda values: None))
        return self._skip(data, offset)[1]

    def column(self, data: bytes, offset: int, count: int, index: int) -> list[Any]:
        """Decode one column of all rows, and no other.

        :raises DecodeError: if one of its values is bad, or the data end too early.
        :raises IndexError: if there is no such column.
        """
        index = range(len(self.columns))[index]
        decode = self._parts.get(index)
        if decode is None:
            source = self._source(frozenset((index,)), f"v{index}")
            decode = self._parts[index] = source.make(self._checked((index,), lambda values: values[0]))
        return list(RowIterator(self, decode, data, offset, count))

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
            source = self._source(frozenset(places), f"({''.join(f'v{place}, ' for place in places)})")
            decode = self._parts[places] = source.make(checked)
        found = zip(*RowIterator(self, decode, data, offset, count), strict=True)
        return [*map(list, found)] or [[] for _ in places]

    def _source(self, wanted: frozenset[int], result: str) -> _Source:
        return _Source([unwrap(column.type) for column in self.columns], wanted, result)

    def _whole(self) -> Decode:
        if self._decode is None:
            self._decode = self._make_whole()
        return self._decode

    def _make_whole(self) -> Decode:
        places = range(len(self.columns))
        values = "".join(f"v{place}, " for place in places)
        source = self._source(frozenset(places), f"({values})")
        if self.row_factory == "tuple":
            return source.make(self._checked(places, tuple))
        if self.row_factory == "dict":
            keys = {f"k{place}": field for place, field in enumerate(self.fields)}
            source.result = "{" + ", ".join(f"k{place}: v{place}" for place in places) + "}"
            make = lambda found: dict(zip(self.fields, found, strict=True))  # noqa: E731
            return source.make(self._checked(places, make), **keys)
        if callable(self.row_factory):
            given = ", ".join(f"{field}=v{place}" for place, field in enumerate(self.fields))
            source.result = f"Record({given})"
            return source.make(self._checked(places, self._record), Record=self.row_factory)
        kind = row_class("Row", self.fields)
        source.result = f"new(Row, ({values}))"
        return source.make(self._checked(places, kind._make), new=tuple.__new__, Row=kind)

    def _record(self, values: list[Any]) -> Any:
        """Make an instance of the user's class.

        :raises DecodeError: if the class refuses the values.
        """
        make: Any = self.row_factory
        try:
            return make(**dict(zip(self.fields, values, strict=True)))
        except Exception as error:
            title = getattr(make, "__qualname__", repr(make))
            raise DecodeError(f"{title} refused the row: {error!r}") from error

    def _checked(self, wanted: Sequence[int], make: Callable[[list[Any]], Any]) -> Decode:
        """Make the plain decoder, which looks at everything and names what is bad."""

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

    :raises DecodeError: if there are rows, but no columns.
    """

    __slots__ = ("_count", "_data", "_decode", "_decoder", "_left", "_offset")

    def __init__(self, decoder: RowDecoder, decode: Decode, data: bytes, offset: int, count: int) -> None:
        if count > 0 and not decoder.columns:
            raise DecodeError(f"expected no rows without columns, got {count}")
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
            raise self._failed(error) from error.__cause__
        return row

    def _failed(self, error: DecodeError) -> DecodeError:
        number = self._count - self._left
        try:
            self._offset = self._decoder.skip(self._data, self._offset)
        except DecodeError:
            self._left = 0
        return DecodeError(f"row {number}, {error}")
