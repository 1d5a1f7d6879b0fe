"""Time-UUIDs from times, and back; the smallest and the largest of a millisecond.

A UUID of version 1 counts units of 100 ns since 1582-10-15 in 60 bits, which reaches
to the year 5236. Cassandra orders ``timeuuid`` by that time first and by the other
eight bytes second, each of those taken as signed; Python orders UUIDs in another way.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from txcql.wire.conversions import EPOCH
from txcql.wire.cqltypes import describe
from txcql.wire.values import Timestamp

__all__ = [
    "max_uuid_from_time",
    "min_uuid_from_time",
    "nanoseconds_from_uuid",
    "time_from_uuid",
    "uuid_from_time",
]

Moment = datetime | Timestamp | int

_UNITS_TO_1970 = 0x01B21DD213814000
_UNITS_OF_MILLISECOND = 10_000
_END = 1 << 60
_MICROSECOND = timedelta(microseconds=1)
_MULTICAST = 1 << 40
# The first byte of each is the one whose variant bits would say RFC 4122; the server leaves them out too.
_SMALLEST_REST = 0x8080808080808080
_LARGEST_REST = 0x7F7F7F7F7F7F7F7F


def uuid_from_time(moment: Moment, *, node: int | None = None, clock_sequence: int | None = None) -> UUID:
    """Make a time-UUID of a time: a new one at every call, unless node and clock sequence are given.

    :param moment: an aware datetime, a :class:`~txcql.Timestamp`, or an int of nanoseconds
        since 1970-01-01T00:00:00Z, such as ``time.time_ns() // 100 * 100``.
    :param node: 48 bits; at random if ``None``, marked as no network card's address.
    :param clock_sequence: 14 bits; at random if ``None``.
    :raises ValueError: a naive datetime, a time outside 1582-10-15..5236-03-31 or finer than
        100 ns, or more bits than fit.
    :raises TypeError: if it is none of these classes.
    """
    units = _units(moment)
    if node is None:
        node = secrets.randbits(48) | _MULTICAST
    elif not 0 <= node < 1 << 48:
        raise ValueError(f"node must have at most 48 bits, got {node}")
    if clock_sequence is None:
        clock_sequence = secrets.randbits(14)
    elif not 0 <= clock_sequence < 1 << 14:
        raise ValueError(f"clock_sequence must have at most 14 bits, got {clock_sequence}")
    return _make(units, (0x8000 | clock_sequence) << 48 | node)


def min_uuid_from_time(moment: Moment) -> UUID:
    """Give the smallest time-UUID, in Cassandra's order, of the millisecond that a time lies in.

    It is what ``minTimeuuid()`` gives; compare with it by ``>=``. It is no UUID of RFC 4122, and
    other programs may make it too: do not store it.

    :param moment: see :func:`uuid_from_time`.
    :raises ValueError: see :func:`uuid_from_time`.
    """
    units = _units(moment)
    return _make(units - units % _UNITS_OF_MILLISECOND, _SMALLEST_REST)


def max_uuid_from_time(moment: Moment) -> UUID:
    """Give the largest time-UUID, in Cassandra's order, of the millisecond that a time lies in.

    It is what ``maxTimeuuid()`` gives; compare with it by ``<=``. Do not store it.

    :param moment: see :func:`uuid_from_time`.
    :raises ValueError: see :func:`uuid_from_time`.
    """
    units = _units(moment)
    # The very last millisecond is not a whole one.
    last = min(units - units % _UNITS_OF_MILLISECOND + _UNITS_OF_MILLISECOND, _END) - 1
    return _make(last, _LARGEST_REST)


def time_from_uuid(value: UUID) -> datetime:
    """Give the time of a time-UUID as an aware datetime in UTC.

    A datetime ends at microseconds: the seventh digit is dropped. :func:`nanoseconds_from_uuid` keeps it.

    :raises ValueError: if it is not of version 1.
    """
    return EPOCH + timedelta(microseconds=nanoseconds_from_uuid(value) // 1000)


def nanoseconds_from_uuid(value: UUID) -> int:
    """Give the time of a time-UUID in nanoseconds since 1970-01-01T00:00:00Z, exactly.

    :raises ValueError: if it is not of version 1.
    """
    # UUID.version is None where the variant bits are not those of RFC 4122, as in minTimeuuid().
    if value.int >> 76 & 15 != 1:
        raise ValueError(f"{value} is no time-UUID: it is not of version 1")
    return (value.time - _UNITS_TO_1970) * 100


def _units(moment: Moment) -> int:
    """Count the units of 100 ns since 1582-10-15."""
    if isinstance(moment, Timestamp):
        since_1970 = moment.milliseconds * _UNITS_OF_MILLISECOND
    elif isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise ValueError(f"the datetime {moment} is naive: give it a tzinfo, for example timezone.utc")
        since_1970 = (moment - EPOCH) // _MICROSECOND * 10
    elif isinstance(moment, int) and not isinstance(moment, bool):
        since_1970, rest = divmod(moment, 100)
        if rest:
            raise ValueError(f"{moment} ns is finer than the 100 ns of a time-UUID")
    else:
        raise TypeError(f"expected a datetime, a Timestamp or nanoseconds, got {describe(moment)}")
    units = since_1970 + _UNITS_TO_1970
    if not 0 <= units < _END:
        raise ValueError(f"{moment} is outside the times of time-UUIDs, 1582-10-15 to 5236-03-31")
    return units


def _make(units: int, rest: int) -> UUID:
    high = (units & 0xFFFFFFFF) << 32 | (units >> 32 & 0xFFFF) << 16 | 0x1000 | units >> 48
    return UUID(int=high << 64 | rest)
