"""The constants of a CQL text, as the bytes of a column's type."""

from __future__ import annotations

import ipaddress
import math
import re
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from txcql.errors import EncodeError, InvalidRequest
from txcql.testing.cqlstatements import Constant
from txcql.testing.refusals import unsupported
from txcql.wire.collectiontypes import unwrap
from txcql.wire.cqltypes import CQLType
from txcql.wire.values import Date, Duration, Time, Timestamp

__all__ = ["constant_bytes", "takes_constant", "timestamp_of"]


def constant_bytes(term: Constant, cqltype: CQLType, name: str) -> bytes:
    """The encoded value of a constant.

    :param cqltype: the type of the column, or of whatever takes the value.
    :param name: its name, for the error.
    :raises InvalidRequest: a constant that the type does not take.
    """
    kind = unwrap(cqltype)
    readers = _READERS.get(kind.name, {})
    if term.kind not in readers:
        raise InvalidRequest(
            f'Invalid {term.kind} constant ({term.text}) for "{name}" of type {cqltype.name}'
        )
    try:
        data: bytes = kind.encode(readers[term.kind](term.text))
    except EncodeError as error:
        raise InvalidRequest(str(error)) from None
    return data


def takes_constant(cqltype: CQLType, kind: str) -> bool:
    """Whether a type takes constants of a kind."""
    return kind in _READERS.get(unwrap(cqltype).name, {})


def _whole(word: str, bits: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if not -(1 << bits - 1) <= number < 1 << bits - 1:
            raise InvalidRequest(f"Unable to make {word} from '{text}'")
        return number

    return read


def _ascii(text: str) -> str:
    if not text.isascii():
        raise InvalidRequest(
            "Invalid ASCII character in string literal: java.nio.charset.UnmappableCharacterException: "
            "Input length = 1"
        )
    return text


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value) and "inf" not in text.lower():
        raise unsupported(f"the number {text}")
    return value


def _inet(text: str) -> Any:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise InvalidRequest(f"Unable to make inet address from '{text}'") from None


def _date(text: str) -> Any:
    if re.fullmatch(r"-?[0-9]+", text):
        return _days(text)
    try:
        return date.fromisoformat(text)
    except ValueError:
        if re.match(r"-?[0-9]+-[0-9]", text):
            raise unsupported(f"the date '{text}'") from None
        raise InvalidRequest(f"Unable to coerce '{text}' to a formatted date (long)") from None


def _days(text: str) -> Date:
    number = int(text)
    if not 0 <= number < 1 << 32:
        raise unsupported(f"the date {text}")
    return Date(number - (1 << 31))


def _timeuuid(text: str) -> uuid.UUID:
    value = uuid.UUID(text)
    if value.version != 1:
        raise InvalidRequest("TimeUUID supports only version 1 UUIDs")
    return value


def _hex(text: str) -> bytes:
    if len(text) % 2:
        raise InvalidRequest(f"cannot parse '{text[2:]}' as hex bytes")
    return bytes.fromhex(text[2:])


def timestamp_of(text: str) -> Timestamp:
    """A timestamp as text, such as ``2024-02-29 12:34:56.789+0100``; UTC if it has no zone.

    :raises InvalidRequest: it is none.
    """
    if re.fullmatch(r"-?[0-9]+", text):
        return _timestamp(text)
    found = _TIMESTAMP.fullmatch(text.strip())
    if found is None:
        if re.match(r"[0-9]+-[0-9]", text):
            raise unsupported(f"the timestamp '{text}'")
        raise InvalidRequest(f"Unable to parse a date/time from '{text}'")
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = found.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "").ljust(6, "0")), tzinfo=timezone.utc,
        )  # fmt: skip
    except ValueError:
        raise unsupported(f"the timestamp '{text}'") from None
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    return Timestamp.from_datetime(moment + offset if sign == "-" else moment - offset)


def _timestamp(text: str) -> Timestamp:
    return Timestamp(_LONG(text))


def _time(text: str) -> Time:
    found = _TIME.fullmatch(text)
    if re.fullmatch(r"[0-9]+", text):
        return Time(_LONG(text))
    hour, minute, second, fraction = found.groups() if found else ("99", "0", "0", None)
    if int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        raise InvalidRequest(f"(TimeType) Unable to coerce '{text}' to a formatted time (long)")
    seconds = int(hour) * 3600 + int(minute) * 60 + int(second)
    return Time(seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0")))


def _duration(text: str) -> Duration:
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()[1:]):
        raise InvalidRequest(f"Unable to convert '{text}' to a duration")
    numbers = [int(part or 0) for part in found.groups()[1:]]
    years, months, weeks, days, hours, minutes, seconds, millis, micros, nanos = numbers
    rest = (
        ((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + millis * 1_000_000 + micros * 1_000 + nanos
    )
    sign = -1 if found[1] else 1
    try:
        return Duration(sign * (years * 12 + months), sign * (weeks * 7 + days), sign * rest)
    except ValueError:
        raise unsupported(f"the duration {text}") from None


_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[ T]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,3}))?)?)?"
    r" ?(?:Z|UTC|GMT|([+-])([0-9]{2})(?::?([0-9]{2}))?)?"
)
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.([0-9]{1,9}))?")
_DURATION = re.compile(
    r"(-)?(?:([0-9]+)y)?(?:([0-9]+)mo)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?"
    r"(?:([0-9]+)s)?(?:([0-9]+)ms)?(?:([0-9]+)(?:us|µs))?(?:([0-9]+)ns)?",
    re.IGNORECASE,
)
_LONG = _whole("long", 64)
_NUMBERS: dict[str, Callable[[str], Any]] = {"INTEGER": _float, "FLOAT": _float}

_READERS: dict[str, dict[str, Callable[[str], Any]]] = {
    "ascii": {"STRING": _ascii},
    "bigint": {"INTEGER": _LONG},
    "blob": {"HEX": _hex},
    "boolean": {"BOOLEAN": lambda text: text == "true"},
    "counter": {"INTEGER": _LONG},
    "date": {"STRING": _date, "INTEGER": _days},
    "decimal": {"INTEGER": Decimal, "FLOAT": Decimal},
    "double": _NUMBERS,
    "float": _NUMBERS,
    "duration": {"DURATION": _duration},
    "inet": {"STRING": _inet},
    "int": {"INTEGER": _whole("int", 32)},
    "smallint": {"INTEGER": _whole("short", 16)},
    "text": {"STRING": str},
    "time": {"STRING": _time, "INTEGER": _time},
    "timestamp": {"STRING": timestamp_of, "INTEGER": _timestamp},
    "timeuuid": {"UUID": _timeuuid},
    "tinyint": {"INTEGER": _whole("byte", 8)},
    "uuid": {"UUID": uuid.UUID},
    "varint": {"INTEGER": int},
}
"""Which kinds of constants a type takes, and what reads them."""
