"""Rows as lines of JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from txcql.wire.values import EMPTY, Date, Duration, Singleton, Time, Timestamp

__all__ = ["json_lines"]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def json_lines(row: Any) -> bytes:
    """One row as one line of JSON, in UTF-8: an ``encode`` for :meth:`~txcql.RowStream.deliver_to`.

    Named tuples, mappings and instances of a class of one's own become objects, by column; plain
    tuples become arrays. So do the values within:

    ====================================================  ==============================================
    null, booleans, integers, text                        themselves, integers with all their digits
    ``float``                                             numbers; NaN and the infinities are the strings
                                                          ``"NaN"``, ``"Infinity"``, ``"-Infinity"``
    ``Decimal``                                           strings: no digit is lost
    ``UUID``, addresses, :class:`txcql.Duration`          strings
    dates, times and timestamps of either kind            strings, as in ISO 8601
    ``bytes``                                             strings of hexadecimal digits behind ``0x``
    lists, sets, tuples, vectors                          arrays
    maps, user-defined types                              objects; a key that is no text is written as
                                                          its value would be
    ``txcql.EMPTY``                                       the empty string
    ====================================================  ==============================================

    :raises TypeError: a value is of another type, of a codec of one's own perhaps; the text names the
        column.
    """
    kind = type(row)
    names = getattr(row, "_fields", None)
    if names is not None:
        pairs: Iterable[tuple[Any, Any]] = zip(names, row, strict=True)
    elif kind is tuple:
        return _line([_column(number, value) for number, value in enumerate(row)])
    elif isinstance(row, Mapping):
        pairs = row.items()
    else:
        pairs = _attributes(row)
    return _line({name: _column(name, value) for name, value in pairs})


def _line(value: Any) -> bytes:
    return _encode(value).encode() + b"\n"


def _attributes(row: Any) -> Iterable[tuple[str, Any]]:
    """The attributes of an instance, with ``__slots__`` or without."""
    fields = getattr(row, "__dataclass_fields__", None) or [
        attribute.name for attribute in getattr(row, "__attrs_attrs__", ())
    ]
    if fields:
        return [(name, getattr(row, name)) for name in fields]
    try:
        return list(vars(row).items())
    except TypeError:
        raise TypeError(f"json_lines() takes rows, got {row!r}") from None


def _column(name: Any, value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    try:
        return _plain(value)
    except TypeError as error:
        raise TypeError(f"column {name!r}: {error}") from None


def _plain(value: Any) -> Any:
    """What the JSON encoder makes the right thing of."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    convert = _CONVERSIONS.get(kind)
    if convert is not None:
        return convert(value)
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    names = getattr(value, "_fields", None)
    if names is not None:
        return {name: _plain(item) for name, item in zip(names, value, strict=True)}
    for base, convert in _CONVERSIONS.items():
        if isinstance(value, base):
            return convert(value)
    if isinstance(value, int | str):
        return value
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    raise TypeError(f"there is no JSON for {value!r}, of {kind.__name__}")


def _key(key: Any) -> str:
    plain = _plain(key)
    return plain if isinstance(plain, str) else _encode(plain)


def _float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _isoformat(value: Any) -> str:
    return str(value.isoformat())


def _hexadecimal(value: bytes) -> str:
    return "0x" + value.hex()


def _singleton(value: Singleton) -> str:
    if value is not EMPTY:
        raise TypeError(f"there is no JSON for {value!r}")
    return ""


_PLAIN = frozenset({type(None), bool, int, str})

_CONVERSIONS: dict[type, Callable[[Any], Any]] = {
    float: _float,
    Decimal: str,
    UUID: str,
    # A datetime is a date, too.
    datetime: _isoformat,
    date: _isoformat,
    time: _isoformat,
    Timestamp: str,
    Date: str,
    Time: str,
    Duration: str,
    IPv4Address: str,
    IPv6Address: str,
    bytes: _hexadecimal,
    Singleton: _singleton,
}
