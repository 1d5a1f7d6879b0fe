"""From the numbers on the wire to Python's own values, as fast as it goes, and exactly.

These are what the types of :mod:`txcql.wire.scalars` and the generated row
decoders share.
"""

from __future__ import annotations

import decimal
import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from uuid import UUID, SafeUUID

from txcql.wire.values import Date, Time, Timestamp

__all__ = [
    "EPOCH",
    "EXACT",
    "exact_int",
    "make_date",
    "make_decimal",
    "make_time",
    "make_timestamp",
    "make_uuid",
    "make_varint",
]

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DATE_ZERO = 1 << 31
_DATE_TO_ORDINAL = 719163 - _DATE_ZERO
_DAY_NANOSECONDS = 86_400_000_000_000

EXACT = decimal.Context(
    prec=decimal.MAX_PREC,
    Emax=decimal.MAX_EMAX,
    Emin=decimal.MIN_EMIN,
    traps=[decimal.InvalidOperation, decimal.Overflow, decimal.Inexact],
)
"""A context that never rounds; decimals must not depend on the one of the application."""

_read_int: Callable[[bytes], tuple[int]] = struct.Struct(">i").unpack_from


def make_uuid(
    data: bytes,
    new: Callable[[type[UUID]], UUID] = object.__new__,
    kind: type[UUID] = UUID,
    number: Callable[..., int] = int.from_bytes,
    set_number: Callable[[UUID, int], None] = UUID.__dict__["int"].__set__,
    set_safe: Callable[[UUID, SafeUUID], None] = UUID.__dict__["is_safe"].__set__,
    unknown: SafeUUID = SafeUUID.unknown,
) -> UUID:
    """Make a UUID of 16 bytes; its ``__init__`` would cost four times as much.

    Only the first parameter is one: the rest are names made local.
    """
    value = new(kind)
    set_number(value, number(data, "big"))
    set_safe(value, unknown)
    return value


def make_timestamp(milliseconds: int) -> datetime | Timestamp:
    """Make the aware UTC datetime of a timestamp; a :class:`Timestamp` outside the years 1..9999."""
    try:
        return EPOCH + timedelta(0, 0, 0, milliseconds)
    except OverflowError:
        return Timestamp(milliseconds)


def make_date(days: int) -> date | Date:
    """Make the date of a day number that counts from -2**31; a :class:`Date` outside the years 1..9999."""
    try:
        return date.fromordinal(days + _DATE_TO_ORDINAL)
    except (OverflowError, ValueError):
        return Date(days - _DATE_ZERO)


def make_time(nanoseconds: int) -> time | Time:
    """Make the time of day; a :class:`Time` if it is finer than a microsecond or not within a day."""
    microseconds, rest = divmod(nanoseconds, 1000)
    if rest or not 0 <= nanoseconds < _DAY_NANOSECONDS:
        return Time(nanoseconds)
    seconds, microseconds = divmod(microseconds, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    return time(minutes // 60, minutes % 60, seconds, microseconds)


def make_decimal(data: bytes) -> decimal.Decimal:
    """Make a Decimal of at least 5 bytes: scale, and the unscaled varint."""
    unscaled = int.from_bytes(data[4:], "big", signed=True)
    return EXACT.scaleb(_exact_decimal(unscaled) if len(data) > 1024 else unscaled, -_read_int(data)[0])


_SMALL = 8192


def _exact_decimal(number: int) -> decimal.Decimal:
    """Convert a huge int by halves: ``Decimal(int)`` takes minutes for a megabyte."""
    bits = number.bit_length()
    if bits <= _SMALL:
        return decimal.Decimal(number)
    half = bits // 2
    high = _exact_decimal(number >> half)
    low = _exact_decimal(number & ((1 << half) - 1))
    return EXACT.add(EXACT.multiply(high, EXACT.power(2, half)), low)


def exact_int(number: decimal.Decimal) -> int:
    """Convert a Decimal without a fraction, a huge one by halves: ``int(Decimal)`` takes minutes too."""
    digits = number.adjusted() + 1
    if digits <= 2500:
        return int(number)
    # Halves in bits, so that they are put together by a shift; a digit has 3.32 of them.
    bits = _SMALL
    while bits * 2 < digits * 3:
        bits *= 2
    powers = {}
    power = EXACT.power(2, _SMALL)
    for exponent in range(bits.bit_length() - _SMALL.bit_length() + 1):
        powers[_SMALL << exponent] = power
        power = EXACT.multiply(power, power)

    def convert(part: decimal.Decimal, width: int) -> int:
        if width < _SMALL or part.adjusted() < 2400:
            return int(part)
        high, low = EXACT.divmod(part, powers[width])
        return (convert(high, width // 2) << width) + convert(low, width // 2)

    # The sign is kept out: divmod() rounds towards zero.
    found = convert(number.copy_abs(), bits)
    return -found if number.is_signed() else found


def make_varint(number: int) -> bytes:
    """Write the minimal big-endian two's complement."""
    return number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, "big", signed=True)
