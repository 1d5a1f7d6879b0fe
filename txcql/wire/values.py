"""Values that Python has no class for, or whose own class is too narrow.

:class:`Timestamp`, :class:`Date`, :class:`Time` and :class:`Duration` hold what
Cassandra holds, with the range and the precision of the native protocol
(section 6, "Data Type Serialization Formats"); :data:`EMPTY` and :data:`UNSET`
are the two values beside null.
"""

from __future__ import annotations

import operator
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, ClassVar, Final

__all__ = ["EMPTY", "UNSET", "Date", "Duration", "Singleton", "Time", "Timestamp", "count_milliseconds"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_EPOCH_ORDINAL = 719163
_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)
_DAY_NANOSECONDS = 86_400_000_000_000
_UNITS = (
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1000),
    ("ns", 1),
)


class Singleton:
    """A value that exists once: copies and pickles of it are the value itself."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __reduce__(self) -> str:
        return self._name


EMPTY: Final = Singleton("EMPTY")
"""A value of zero length, of a type that has no empty value of its own."""

UNSET: Final = Singleton("UNSET")
"""A parameter that leaves its column as it is (protocol v4 and later)."""


def _whole(value: Any, what: str, low: int, high: int) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{what} must be an int, got bool")
    number = operator.index(value)
    if not low <= number <= high:
        raise ValueError(f"{what} must be in {low}..{high}, got {number}")
    return number


def _civil(days: int) -> str:
    """Write the proleptic Gregorian date of a day, its year as long as it has to be.

    :param days: since 1970-01-01.
    """
    # 146097 days are 400 years, whatever the year: the date is looked up in a year that Python knows.
    cycles, rest = divmod(days + _EPOCH_ORDINAL - 1, 146097)
    near = date.fromordinal(rest + 1)
    year = near.year + 400 * cycles
    sign = "-" if year < 0 else "+" if year > 9999 else ""
    return f"{sign}{abs(year):04d}-{near.month:02d}-{near.day:02d}"


def count_milliseconds(moment: datetime) -> int:
    """Give the milliseconds from 1970-01-01T00:00:00Z to a datetime.

    :raises ValueError: if it is naive, or has a part finer than a millisecond.
    """
    try:
        milliseconds, rest = divmod(moment - _EPOCH, _MILLISECOND)
    except TypeError:
        raise ValueError(
            f"the datetime {moment} is naive: give it a tzinfo, for example timezone.utc"
        ) from None
    if rest:
        raise ValueError(f"the datetime {moment} is finer than a millisecond")
    return milliseconds


class _Ordered:
    """An immutable value that compares by :meth:`_ranks`."""

    __slots__ = ()

    def _ranks(self, other: object) -> tuple[Any, Any] | None:
        """Where both values stand, ``None`` if they cannot be compared."""
        raise NotImplementedError

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        ranks = self._ranks(other)
        return NotImplemented if ranks is None else ranks[0] == ranks[1]

    def __lt__(self, other: object) -> bool:
        ranks = self._ranks(other)
        return NotImplemented if ranks is None else ranks[0] < ranks[1]

    def __le__(self, other: object) -> bool:
        ranks = self._ranks(other)
        return NotImplemented if ranks is None else ranks[0] <= ranks[1]

    def __gt__(self, other: object) -> bool:
        ranks = self._ranks(other)
        return NotImplemented if ranks is None else ranks[0] > ranks[1]

    def __ge__(self, other: object) -> bool:
        ranks = self._ranks(other)
        return NotImplemented if ranks is None else ranks[0] >= ranks[1]


class _Count(_Ordered):
    """A number of units since some zero, which compares with a class of Python's own."""

    __slots__ = ("_count",)
    _count: int
    _what: ClassVar[str]
    _low: ClassVar[int] = -(1 << 63)
    _high: ClassVar[int] = (1 << 63) - 1

    def __init__(self, count: int) -> None:
        object.__setattr__(self, "_count", _whole(count, self._what, self._low, self._high))

    def __reduce__(self) -> Any:
        return type(self), (self._count,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._count})"

    def _rank(self) -> int:
        """Where the value stands, in the unit that :meth:`_rank_of` uses."""
        return self._count

    @classmethod
    def _rank_of(cls, other: object) -> int | None:
        """Where a value of Python's own class stands, ``None`` if it cannot be compared."""
        raise NotImplementedError

    def _own(self) -> object:
        """The equal value of Python's own class.

        :raises ValueError: if there is none.
        :raises OverflowError: if there is none.
        """
        raise NotImplementedError

    def _ranks(self, other: object) -> tuple[int, int] | None:
        if isinstance(other, type(self)):
            return self._count, other._count
        rank = self._rank_of(other)
        return None if rank is None else (self._rank(), rank)

    def __hash__(self) -> int:
        # What is equal must have one hash: 2020-01-01 is the same key as a Date and as a date.
        try:
            return hash(self._own())
        except (OverflowError, ValueError):
            return hash((type(self), self._count))


class Timestamp(_Count):
    """A moment, as Cassandra's ``timestamp`` holds it; it compares with aware datetimes.

    :param milliseconds: since 1970-01-01T00:00:00Z, in -2**63..2**63-1.
    :raises ValueError: if it is out of that range.
    """

    __slots__ = ()
    _what = "milliseconds"

    @property
    def milliseconds(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        return self._count

    @classmethod
    def from_datetime(cls, moment: datetime) -> Timestamp:
        """Make one of a datetime.

        :raises ValueError: if it is naive, or has a part finer than a millisecond.
        """
        return cls(count_milliseconds(moment))

    def to_datetime(self) -> datetime:
        """Give the aware datetime, in UTC.

        :raises OverflowError: outside the years 1..9999.
        """
        try:
            return _EPOCH + timedelta(0, 0, 0, self._count)
        except OverflowError:
            raise OverflowError(f"{self} is outside the years 1..9999 of Python's datetime") from None

    def _rank(self) -> int:
        return self._count * 1000

    @classmethod
    def _rank_of(cls, other: object) -> int | None:
        if isinstance(other, datetime) and other.utcoffset() is not None:
            return (other - _EPOCH) // _MICROSECOND
        return None

    def _own(self) -> object:
        return self.to_datetime()

    def __str__(self) -> str:
        days, rest = divmod(self._count, 86_400_000)
        minutes, milliseconds = divmod(rest, 60_000)
        hours, minutes = divmod(minutes, 60)
        seconds, milliseconds = divmod(milliseconds, 1000)
        return f"{_civil(days)}T{hours:02d}:{minutes:02d}:{seconds:02d}.{milliseconds:03d}Z"


class Date(_Count):
    """A day, as Cassandra's ``date`` holds it; it compares with Python's dates.

    :param days: since 1970-01-01, in -2**31..2**31-1.
    :raises ValueError: if it is out of that range.
    """

    __slots__ = ()
    _what = "days"
    _low = -(1 << 31)
    _high = (1 << 31) - 1

    @property
    def days(self) -> int:
        """Days since 1970-01-01."""
        return self._count

    @classmethod
    def from_date(cls, day: date) -> Date:
        """Make one of a Python date; of a datetime, its date."""
        return cls(day.toordinal() - _EPOCH_ORDINAL)

    def to_date(self) -> date:
        """Give Python's date.

        :raises OverflowError: outside the years 1..9999.
        """
        try:
            return date.fromordinal(self._count + _EPOCH_ORDINAL)
        except (OverflowError, ValueError):
            raise OverflowError(f"{self} is outside the years 1..9999 of Python's date") from None

    @classmethod
    def _rank_of(cls, other: object) -> int | None:
        if isinstance(other, date) and not isinstance(other, datetime):
            return other.toordinal() - _EPOCH_ORDINAL
        return None

    def _own(self) -> object:
        return self.to_date()

    def __str__(self) -> str:
        return _civil(self._count)


class Time(_Count):
    """A time of day, as Cassandra's ``time`` holds it; it compares with naive Python times.

    Cassandra does not check the range of what is written, so a value may be
    outside the day; such a value can be read and held, but not written.

    :param nanoseconds: since midnight, in -2**63..2**63-1.
    :raises ValueError: if it is out of that range.
    """

    __slots__ = ()
    _what = "nanoseconds"

    @property
    def nanoseconds(self) -> int:
        """Nanoseconds since midnight."""
        return self._count

    @classmethod
    def from_time(cls, moment: time) -> Time:
        """Make one of a Python time.

        :raises ValueError: if it has a tzinfo, which Cassandra cannot hold.
        """
        if moment.tzinfo is not None:
            raise ValueError(f"the time {moment} has a tzinfo, and Cassandra's time has none")
        seconds = (moment.hour * 60 + moment.minute) * 60 + moment.second
        return cls((seconds * 1_000_000 + moment.microsecond) * 1000)

    def to_time(self) -> time:
        """Give Python's time.

        :raises ValueError: if it has a part finer than a microsecond.
        :raises OverflowError: if it is not within a day.
        """
        if not 0 <= self._count < _DAY_NANOSECONDS:
            raise OverflowError(f"{self} is not within a day")
        microseconds, rest = divmod(self._count, 1000)
        if rest:
            raise ValueError(f"{self} is finer than a microsecond, which Python's time cannot hold")
        seconds, microseconds = divmod(microseconds, 1_000_000)
        minutes, seconds = divmod(seconds, 60)
        return time(minutes // 60, minutes % 60, seconds, microseconds)

    @classmethod
    def _rank_of(cls, other: object) -> int | None:
        if isinstance(other, time) and other.tzinfo is None:
            return cls.from_time(other)._count
        return None

    def _own(self) -> object:
        return self.to_time()

    def __str__(self) -> str:
        seconds, nanoseconds = divmod(abs(self._count), 1_000_000_000)
        minutes, seconds = divmod(seconds, 60)
        sign = "-" if self._count < 0 else ""
        return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}.{nanoseconds:09d}"


class Duration(_Ordered):
    """A span of time in three units that do not convert into each other.

    Order is by months, then days, then nanoseconds: it sorts, but a month has no
    length. With timedeltas, only a duration without months and days compares.

    :param months: in -2**31..2**31-1.
    :param days: in -2**31..2**31-1.
    :param nanoseconds: in -2**63..2**63-1.
    :raises ValueError: if one is out of range, or the signs differ.
    """

    __slots__ = ("days", "months", "nanoseconds")
    months: int
    days: int
    nanoseconds: int

    def __init__(self, months: int = 0, days: int = 0, nanoseconds: int = 0) -> None:
        parts = (
            _whole(months, "months", -(1 << 31), (1 << 31) - 1),
            _whole(days, "days", -(1 << 31), (1 << 31) - 1),
            _whole(nanoseconds, "nanoseconds", -(1 << 63), (1 << 63) - 1),
        )
        if min(parts) < 0 < max(parts):
            raise ValueError(f"months, days and nanoseconds must have one sign, got {parts}")
        for name, part in zip(("months", "days", "nanoseconds"), parts, strict=True):
            object.__setattr__(self, name, part)

    @classmethod
    def from_timedelta(cls, span: timedelta) -> Duration:
        """Make one of a timedelta, whose days are 24 hours: all of it becomes nanoseconds.

        :raises ValueError: if that is more than 2**63-1 nanoseconds.
        """
        return cls(0, 0, span // _MICROSECOND * 1000)

    def to_timedelta(self) -> timedelta:
        """Give Python's timedelta.

        :raises ValueError: if it has months or days, whose length is not fixed, or
            a part finer than a microsecond.
        """
        if self.months or self.days:
            raise ValueError(f"{self} has months or days, whose length is not fixed")
        microseconds, rest = divmod(self.nanoseconds, 1000)
        if rest:
            raise ValueError(f"{self} is finer than a microsecond, which Python's timedelta cannot hold")
        return timedelta(microseconds=microseconds)

    def __reduce__(self) -> Any:
        return Duration, self._parts()

    def _parts(self) -> tuple[int, int, int]:
        return self.months, self.days, self.nanoseconds

    def _ranks(self, other: object) -> tuple[tuple[int, int, int], tuple[int, int, int]] | None:
        if isinstance(other, Duration):
            return self._parts(), other._parts()
        if isinstance(other, timedelta) and not self.months and not self.days:
            return self._parts(), (0, 0, other // _MICROSECOND * 1000)
        return None

    def __hash__(self) -> int:
        try:
            return hash(self.to_timedelta())
        except ValueError:
            return hash(self._parts())

    def __repr__(self) -> str:
        return f"Duration(months={self.months}, days={self.days}, nanoseconds={self.nanoseconds})"

    def __str__(self) -> str:
        """Write it as CQL does: ``1y2mo3d4h5ns``."""
        years, months = divmod(abs(self.months), 12)
        units = [(years, "y"), (months, "mo"), (abs(self.days), "d")]
        rest = abs(self.nanoseconds)
        for unit, length in _UNITS:
            count, rest = divmod(rest, length)
            units.append((count, unit))
        text = "".join(f"{count}{unit}" for count, unit in units if count) or "0s"
        return f"-{text}" if min(self._parts()) < 0 else text
