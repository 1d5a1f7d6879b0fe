"""Tests for :mod:`txcql.wire.values`."""

from __future__ import annotations

import copy
import pickle
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.test.examples import examples
from txcql.wire.values import EMPTY, UNSET, Date, Duration, Time, Timestamp

UTC = timezone.utc


class SingletonTests(SynchronousTestCase):
    """EMPTY and UNSET."""

    def test_one_of_each(self) -> None:
        """Copies and pickles are the value itself."""
        for value, name in ((EMPTY, "EMPTY"), (UNSET, "UNSET")):
            self.assertEqual(repr(value), name)
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                self.assertIs(pickle.loads(pickle.dumps(value, protocol)), value)
            self.assertIs(copy.copy(value), value)
            self.assertIs(copy.deepcopy([value])[0], value)


class ValueTests(SynchronousTestCase):
    """What all four classes have in common."""

    values = (Timestamp(-5), Date(-5), Time(5), Duration(1, 2, 3))

    def test_immutable(self) -> None:
        """Nothing can be set, deleted or added."""
        for value in self.values:
            for name in ("milliseconds", "days", "nanoseconds", "_count", "other"):
                self.assertRaises(AttributeError, setattr, value, name, 1)
                self.assertRaises(AttributeError, delattr, value, name)
            self.assertFalse(hasattr(value, "__dict__"))

    def test_pickle(self) -> None:
        """A pickle, a copy and the repr give an equal value of the same class."""
        for value in self.values:
            for copied in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value), eval(repr(value))):
                self.assertIs(type(copied), type(value))
                self.assertEqual(copied, value)
                self.assertEqual(hash(copied), hash(value))

    def test_other_classes(self) -> None:
        """What cannot be compared is unequal, and has no order."""
        others: tuple[Any, ...] = (1, "x", None, datetime(2020, 1, 1), time(1, tzinfo=UTC), object())
        for value in self.values:
            for other in others:
                self.assertNotEqual(value, other)
                with self.assertRaises(TypeError):
                    value < other  # noqa: B015
        self.assertNotEqual(Timestamp(5), Date(5))

    def test_ranges(self) -> None:
        """Only what the protocol can hold is taken, and only ints."""
        for kind, high in ((Timestamp, 1 << 63), (Time, 1 << 63), (Date, 1 << 31)):
            self.assertRaises(ValueError, kind, high)
            self.assertRaises(ValueError, kind, -high - 1)
            kind(high - 1), kind(-high)
            for wrong in (True, 1.0, "1", None):
                self.assertRaises(TypeError, kind, wrong)
        self.assertRaises(ValueError, Duration, 1 << 31)
        self.assertRaises(ValueError, Duration, 0, 1 << 31)
        self.assertRaises(ValueError, Duration, 0, 0, 1 << 63)
        self.assertRaises(ValueError, Duration, 1, -1, 0)


class TimestampTests(SynchronousTestCase):
    """Timestamp."""

    @examples
    @given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.timezones()))
    def test_like_datetime(self, one: datetime, other: datetime) -> None:
        """It equals, orders and hashes as the datetime of the same moment."""
        one = one.replace(microsecond=one.microsecond // 1000 * 1000)
        value = Timestamp.from_datetime(one)
        self.assertEqual(value, one)
        self.assertEqual(hash(value), hash(one))
        self.assertEqual(value.to_datetime(), one)
        self.assertEqual(
            (value < other, value <= other, value > other, value >= other, value == other),
            (one < other, one <= other, one > other, one >= other, one == other),
        )
        self.assertEqual(str(value), one.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z")

    def test_far(self) -> None:
        """Years that Python does not know are held and printed, but do not convert."""
        far = Timestamp(600_000_000_000_000)
        self.assertEqual(str(far), "+20983-03-30T10:40:00.000Z")
        self.assertEqual(str(Timestamp(-62_198_755_200_000)), "-0001-01-01T00:00:00.000Z")
        self.assertIn("years 1..9999", str(self.assertRaises(OverflowError, far.to_datetime)))
        self.assertGreater(far, datetime.max.replace(tzinfo=UTC))
        self.assertEqual(len({far, Timestamp(far.milliseconds)}), 1)

    def test_refused(self) -> None:
        """A naive datetime and a microsecond are refused, with a reason."""
        naive = self.assertRaises(ValueError, Timestamp.from_datetime, datetime(2020, 1, 1))
        self.assertIn("give it a tzinfo", str(naive))
        fine = self.assertRaises(ValueError, Timestamp.from_datetime, datetime(2020, 1, 1, 0, 0, 0, 1, UTC))
        self.assertIn("finer than a millisecond", str(fine))
        odd = timezone(timedelta(microseconds=1))
        self.assertRaises(ValueError, Timestamp.from_datetime, datetime(2020, 1, 1, tzinfo=odd))


class DateTests(SynchronousTestCase):
    """Date."""

    @examples
    @given(st.dates(), st.dates())
    def test_like_date(self, one: date, other: date) -> None:
        """It equals, orders, hashes and prints as the date."""
        value = Date.from_date(one)
        self.assertEqual(
            (value, hash(value), value.to_date(), str(value)), (one, hash(one), one, one.isoformat())
        )
        self.assertEqual(
            (value < other, value >= other, other < value), (one < other, one >= other, other < one)
        )

    def test_limits(self) -> None:
        """The first and last day print as Cassandra prints them."""
        self.assertEqual(str(Date(-(1 << 31))), "-5877641-06-23")
        self.assertEqual(str(Date((1 << 31) - 1)), "+5881580-07-11")
        self.assertEqual(str(Date(-719529)), "-0001-12-31")
        self.assertEqual(str(Date(-719528)), "0000-01-01")
        self.assertRaises(OverflowError, Date(-(1 << 31)).to_date)
        self.assertEqual(Date((1 << 31) - 1).days, (1 << 31) - 1)


class TimeTests(SynchronousTestCase):
    """Time."""

    @examples
    @given(st.times(), st.times())
    def test_like_time(self, one: time, other: time) -> None:
        """It equals, orders and hashes as the time."""
        value = Time.from_time(one)
        self.assertEqual((value, hash(value), value.to_time()), (one, hash(one), one))
        self.assertEqual((value < other, value >= other), (one < other, one >= other))

    def test_finer_and_outside(self) -> None:
        """Nanoseconds and times outside the day are held and printed, but do not convert."""
        self.assertEqual(str(Time(3_723_000_000_004)), "01:02:03.000000004")
        self.assertEqual(str(Time(86_400_000_000_000)), "24:00:00.000000000")
        self.assertEqual(str(Time(-1)), "-00:00:00.000000001")
        self.assertRaises(ValueError, Time(1).to_time)
        self.assertRaises(OverflowError, Time(86_400_000_000_000).to_time)
        self.assertRaises(ValueError, Time.from_time, time(1, tzinfo=UTC))
        self.assertEqual(len({Time(1), Time(1), time(0)}), 2)


class DurationTests(SynchronousTestCase):
    """Duration."""

    @examples
    @given(st.timedeltas(timedelta(-100_000), timedelta(100_000)), st.timedeltas())
    def test_like_timedelta(self, one: timedelta, other: timedelta) -> None:
        """Without months and days it equals, orders and hashes as the timedelta."""
        value = Duration.from_timedelta(one)
        self.assertEqual((value, hash(value), value.to_timedelta()), (one, hash(one), one))
        self.assertEqual((value < other, value >= other), (one < other, one >= other))

    def test_months_and_days(self) -> None:
        """Months and days have no fixed length."""
        value = Duration(14, 3, 14_400_000_000_005)
        self.assertEqual(str(value), "1y2mo3d4h5ns")
        self.assertEqual(str(Duration(0, 0, -45_000_000_000_000)), "-12h30m")
        self.assertEqual(str(Duration()), "0s")
        self.assertEqual(str(Duration(0, 0, 1_001_001_001)), "1s1ms1us1ns")
        self.assertRaises(ValueError, value.to_timedelta)
        self.assertRaises(ValueError, Duration(0, 0, 1).to_timedelta)
        self.assertRaises(ValueError, Duration.from_timedelta, timedelta.max)
        self.assertNotEqual(Duration(0, 1, 0), timedelta(1))
        with self.assertRaises(TypeError):
            Duration(0, 1, 0) < timedelta(1)  # noqa: B015
        mixed = [Duration(1), Duration(0, 0, 1), Duration(-1), Duration(0, 1), Duration()]
        ordered = [Duration(-1), Duration(), Duration(0, 0, 1), Duration(0, 1), Duration(1)]
        self.assertEqual(sorted(mixed), ordered)
        self.assertEqual(len({value, Duration(14, 3, 14_400_000_000_005)}), 1)
