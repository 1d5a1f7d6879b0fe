"""Pages as numpy arrays, Arrow tables and pandas frames: each library an optional extra.

They are made of what Cassandra holds: codecs and classes of the user's take no part.
What a library cannot hold exactly is refused, never rounded or replaced.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from txcql.wire.aliases import unique_names
from txcql.wire.collectiontypes import ListType, MapType, SetType, VectorType, unwrap
from txcql.wire.cqltypes import Codec
from txcql.wire.fieldtypes import TupleType, UDTType
from txcql.wire.metadata import Column
from txcql.wire.rows import RowDecoder
from txcql.wire.scalars import BIGINT, IntegerType
from txcql.wire.usercodecs import plain_type
from txcql.wire.values import EMPTY, Date, Time, Timestamp

__all__ = ["PageColumns"]

_DTYPES = {
    "bigint": "i8",
    "boolean": "?",
    "counter": "i8",
    "date": "i8",
    "double": "f8",
    "float": "f4",
    "int": "i4",
    "smallint": "i2",
    "timestamp": "i8",
    "tinyint": "i1",
}
# In pandas, what has a class that knows nulls.
_NULLABLE = {"?": "boolean", "i1": "Int8", "i2": "Int16", "i4": "Int32", "i8": "Int64"}
# These are decoded as the numbers that are on the wire, and no Python object is made of them.
_RAW: dict[str, Codec] = {"date": IntegerType("date", "I", bare=False), "timestamp": BIGINT}
_DATE_ZERO = 1 << 31


def _needed(library: str, extra: str, what: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise ImportError(
            f"{what} needs {library}, which is not installed: python -m pip install 'txcql[{extra}]'"
        ) from error


class PageColumns:
    """The columns of one page, or some of them.

    :param decoder: the page's.
    :param data: the body that holds the rows.
    :param offset: of the first row.
    :param count: rows.
    :param names: of the columns wanted; none for all.
    :raises KeyError: there is no such column; the text names those there are.
    """

    def __init__(
        self, decoder: RowDecoder, data: bytes, offset: int, count: int, names: Sequence[str] = ()
    ) -> None:
        known = unique_names([column.name for column in decoder.columns])
        for name in names:
            if name not in known:
                raise KeyError(f"no column {name!r}; there are: {', '.join(known) or 'none'}")
        self.names = tuple(names) or known
        self._decoder = decoder
        self._indexes = [known.index(name) for name in self.names]
        self._page = data, offset, count

    def lists(self) -> dict[str, list[Any]]:
        """A list for each column."""
        found = self._decoder.columns_data(*self._page, self._indexes)
        return dict(zip(self.names, found, strict=True))

    def to_numpy(self) -> dict[str, Any]:
        """An array for each column.

        Where there are nulls it is a masked one. Columns that are not of numbers or moments come
        as arrays of Python objects, nulls as ``None``.
        """
        numpy = _needed("numpy", "numpy", "to_numpy()")
        arrays = {}
        for name, kind, values in self._plain(_RAW):
            code = _DTYPES.get(kind.name)
            if code is None:
                array = numpy.empty(len(values), object)
                array[:] = values
            else:
                array = _numbers(numpy, name, kind, values, code)
            arrays[name] = array
        return arrays

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame``.

        Integers and booleans with nulls are of pandas' own nullable types, floating-point numbers and
        moments with nulls have NaN and NaT there.
        """
        pandas = _needed("pandas", "pandas", "to_pandas()")
        numpy = _needed("numpy", "pandas", "to_pandas()")
        series = {}
        for kind, (name, array) in zip(self.kinds(), self.to_numpy().items(), strict=True):
            nullable = _NULLABLE.get(_DTYPES.get(kind.name, "")) if kind.name not in _RAW else None
            if not isinstance(array, numpy.ma.MaskedArray):
                found = pandas.Series(array)
            elif nullable is not None:
                found = pandas.Series(pandas.array(array.data, dtype=nullable)).mask(array.mask)
            else:
                gap = numpy.array("NaT", array.dtype) if array.dtype.kind == "M" else numpy.nan
                found = pandas.Series(array.filled(gap))
            series[name] = found.dt.tz_localize("UTC") if kind.name == "timestamp" else found
        return pandas.DataFrame(series, columns=list(self.names))

    def to_arrow(self) -> Any:
        """A ``pyarrow.Table``; decimals and varints have the scale and precision that the page needs."""
        arrow = _needed("pyarrow", "arrow", "to_arrow()")
        arrays = []
        for name, kind, values in self._plain({}):
            wanted, convert = _arrow_type(arrow, kind)
            try:
                arrays.append(arrow.array([*map(convert, values)], wanted))
            except (arrow.ArrowException, ValueError, TypeError, OverflowError) as error:
                raise ValueError(f'column "{name}" ({kind.name}) does not go into Arrow: {error}') from error
        return arrow.Table.from_arrays(arrays, names=list(self.names))

    def kinds(self) -> list[Codec]:
        """The columns' types, as the server has them."""
        return [unwrap(plain_type(self._decoder.columns[index].type)) for index in self._indexes]

    def _plain(self, instead: dict[str, Codec]) -> list[tuple[str, Codec, list[Any]]]:
        """Name, type and values of each column, some types decoded by others instead."""
        kinds = self.kinds()
        columns = [
            Column(column.keyspace, column.table, column.name, plain_type(column.type))
            for column in self._decoder.columns
        ]
        for index, kind in zip(self._indexes, kinds, strict=True):
            columns[index] = columns[index]._replace(type=instead.get(kind.name, kind))
        found = RowDecoder(columns, "tuple").columns_data(*self._page, self._indexes)
        return list(zip(self.names, kinds, found, strict=True))


def _numbers(numpy: Any, name: str, kind: Codec, values: list[Any], code: str) -> Any:
    if any(value is EMPTY for value in values):
        raise ValueError(f'column "{name}" ({kind.name}) holds an EMPTY value, which no array of numbers can')
    mask = [value is None for value in values]
    if any(mask):
        numbers = numpy.array([0 if value is None else value for value in values], code)
        numbers = numpy.ma.MaskedArray(numbers, mask)
    else:
        numbers = numpy.array(values, code)
    if kind.name == "date":
        numbers = numbers - _DATE_ZERO
    if kind.name in _RAW:
        moments = numbers.view("M8[D]" if kind.name == "date" else "M8[ms]")
        # The smallest of all numbers is numpy's NaT.
        if bool(numpy.any(numpy.isnat(numpy.ma.getdata(moments)))):
            raise ValueError(f'column "{name}" ({kind.name}) holds a moment that is NaT in numpy')
        return moments
    return numbers


Convert = Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _checked(convert: Convert) -> Convert:
    """Convert what is neither null nor empty."""

    def checked(value: Any) -> Any:
        if value is EMPTY:
            raise ValueError("an EMPTY value, which Arrow has not")
        return None if value is None else convert(value)

    return checked


def _arrow_type(arrow: Any, kind: Codec) -> tuple[Any, Convert]:
    """The Arrow type of a CQL type, ``None`` where it depends on the values; and what makes a value of it."""
    kind = unwrap(kind)
    scalars: dict[str, tuple[Any, Convert]] = {
        "ascii": (arrow.string(), _same),
        "bigint": (arrow.int64(), _same),
        "blob": (arrow.binary(), _same),
        "boolean": (arrow.bool_(), _same),
        "counter": (arrow.int64(), _same),
        "date": (arrow.date32(), lambda day: (day if isinstance(day, Date) else Date.from_date(day)).days),
        "decimal": (None, _same),
        "double": (arrow.float64(), _same),
        "duration": (
            arrow.month_day_nano_interval(),
            lambda span: (span.months, span.days, span.nanoseconds),
        ),
        "empty": (arrow.null(), _same),
        "float": (arrow.float32(), _same),
        "inet": (arrow.string(), str),
        "int": (arrow.int32(), _same),
        "smallint": (arrow.int16(), _same),
        "text": (arrow.string(), _same),
        "time": (arrow.time64("ns"), _time),
        "timestamp": (arrow.timestamp("ms", tz="UTC"), _timestamp),
        "timeuuid": (arrow.binary(16), lambda value: value.bytes),
        "tinyint": (arrow.int8(), _same),
        "uuid": (arrow.binary(16), lambda value: value.bytes),
        "varint": (None, Decimal),
    }
    if kind.name in scalars:
        wanted, convert = scalars[kind.name]
        return wanted, _checked(convert)
    if isinstance(kind, (ListType, SetType, VectorType)):
        inner, convert = _inner(arrow, kind.element)
        wanted = arrow.list_(inner, kind.dimension) if isinstance(kind, VectorType) else arrow.list_(inner)
        return wanted, _checked(lambda values: [convert(value) for value in values])
    if isinstance(kind, MapType):
        (key, of_key), (item, of_item) = _inner(arrow, kind.key), _inner(arrow, kind.value)
        return arrow.map_(key, item), _checked(
            lambda pairs: [(of_key(k), of_item(v)) for k, v in getattr(pairs, "items", lambda: pairs)()]
        )
    if isinstance(kind, (TupleType, UDTType)):
        names = (
            kind.field_names if isinstance(kind, UDTType) else [f"f{n + 1}" for n in range(len(kind.types))]
        )
        found = [_inner(arrow, part) for part in kind.types]
        struct = arrow.struct([(name, inner) for name, (inner, _) in zip(names, found, strict=True)])
        converts = [convert for _, convert in found]
        return struct, _checked(
            lambda values: {
                name: convert(value) for name, convert, value in zip(names, converts, values, strict=True)
            }
        )
    return arrow.binary(), _checked(_same)


def _inner(arrow: Any, kind: Codec) -> tuple[Any, Convert]:
    wanted, convert = _arrow_type(arrow, kind)
    if wanted is None:
        # Within another type a decimal has no values to take its scale from.
        return arrow.string(), _checked(str)
    return wanted, convert


def _time(value: Any) -> int:
    moment = value if isinstance(value, Time) else Time.from_time(value)
    if not 0 <= moment.nanoseconds < 86_400_000_000_000:
        raise ValueError(f"{moment} is not within a day")
    return moment.nanoseconds


def _timestamp(value: Any) -> int:
    return (value if isinstance(value, Timestamp) else Timestamp.from_datetime(value)).milliseconds
