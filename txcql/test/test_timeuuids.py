"""Tests for :mod:`txcql.wire.timeuuids`."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.test.examples import examples
from txcql.wire.scalars import TIMEUUID
from txcql.wire.timeuuids import (
    max_uuid_from_time,
    min_uuid_from_time,
    nanoseconds_from_uuid,
    time_from_uuid,
    uuid_from_time,
)
from txcql.wire.values import Timestamp

UTC = timezone.utc
MOMENT = datetime(2020, 1, 1, 12, 30, 0, 123456, UTC)
FIRST = -12_219_292_800_000_000_000
LAST = FIRST + ((1 << 60) - 1) * 100


def signed(number: int) -> tuple[int, ...]:
    """The eight bytes that Cassandra compares one by one, as signed ones."""
    return tuple(byte - 256 if byte > 127 else byte for byte in number.to_bytes(8, "big"))


def order(value: uuid.UUID) -> tuple[int, tuple[int, ...]]:
    """Where a time-UUID stands in Cassandra's order."""
    return value.time, signed(value.int & (1 << 64) - 1)


class TimeUUIDTests(SynchronousTestCase):
    """From a time and back."""

    def test_known(self) -> None:
        """What the server's own functions give."""
        moment = datetime(2013, 1, 1, 0, 5, tzinfo=UTC)
        self.assertEqual(str(min_uuid_from_time(moment)), "e23f1e00-53a6-11e2-8080-808080808080")
        self.assertEqual(str(max_uuid_from_time(moment)), "e23f450f-53a6-11e2-7f7f-7f7f7f7f7f7f")
        self.assertEqual(
            str(uuid_from_time(moment, node=0x0123456789AB, clock_sequence=0x1234)),
            "e23f1e00-53a6-11e2-9234-0123456789ab",
        )

    @examples
    @given(
        st.integers(FIRST // 100, LAST // 100), st.integers(0, (1 << 48) - 1), st.integers(0, (1 << 14) - 1)
    )
    def test_round_trip(self, units: int, node: int, clock_sequence: int) -> None:
        """Every unit of 100 ns comes back; the UUID is of version 1, with node and sequence as given."""
        made = uuid_from_time(units * 100, node=node, clock_sequence=clock_sequence)
        self.assertEqual(nanoseconds_from_uuid(made), units * 100)
        self.assertEqual(
            (made.version, made.variant, made.node, made.clock_seq),
            (1, uuid.RFC_4122, node, clock_sequence),
        )
        self.assertEqual(TIMEUUID.decode(TIMEUUID.encode(made)), made)
        low, high = min_uuid_from_time(units * 100), max_uuid_from_time(units * 100)
        self.assertTrue(order(low) <= order(made) <= order(high))
        self.assertEqual(nanoseconds_from_uuid(low) % 1_000_000, 0)
        end = min(nanoseconds_from_uuid(low) + 999_900, LAST)
        self.assertEqual(nanoseconds_from_uuid(high), end)
        for edge in (low, high):
            self.assertEqual(TIMEUUID.decode(TIMEUUID.encode(edge)), edge)

    @examples
    @given(st.datetimes(datetime(1582, 10, 15), datetime(5236, 3, 31), timezones=st.timezones()))
    def test_datetimes(self, moment: datetime) -> None:
        """Datetimes of any time zone come back to the microsecond."""
        # Of a time that a clock shows twice, two aware datetimes are compared by the clock.
        moment = moment.astimezone(UTC)
        self.assertEqual(time_from_uuid(uuid_from_time(moment)), moment)
        self.assertIs(time_from_uuid(uuid_from_time(moment)).tzinfo, UTC)

    def test_one_moment_three_ways(self) -> None:
        """Datetimes, timestamps and nanoseconds mean the same; before 1970 too."""
        for milliseconds in (0, -1, 1_577_836_800_123, -12_219_292_800_000):
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
            east = moment.astimezone(timezone(timedelta(hours=5)))
            found = {
                min_uuid_from_time(given)
                for given in (moment, east, Timestamp(milliseconds), milliseconds * 1_000_000)
            }
            self.assertEqual(len(found), 1)
            self.assertEqual(time_from_uuid(found.pop()), moment)

    def test_edges(self) -> None:
        """The first and the last millisecond, the latter of which is cut off."""
        self.assertEqual(nanoseconds_from_uuid(min_uuid_from_time(FIRST)), FIRST)
        self.assertEqual(nanoseconds_from_uuid(max_uuid_from_time(LAST)), LAST)
        self.assertEqual(nanoseconds_from_uuid(max_uuid_from_time(FIRST)), FIRST + 999_900)

    def test_new(self) -> None:
        """Each is another one, and none has a network card's address."""
        made = {uuid_from_time(MOMENT) for _ in range(1000)}
        self.assertEqual(len(made), 1000)
        self.assertTrue(all(value.node >> 40 & 1 for value in made))
        self.assertEqual({value.time for value in made}, {made.pop().time})

    def test_like_python(self) -> None:
        """uuid1() of the standard library is read exactly."""
        made = uuid.uuid1()
        self.assertEqual(uuid_from_time(nanoseconds_from_uuid(made), node=made.node).time, made.time)

    def test_refused(self) -> None:
        """What is naive, too fine, too far or of the wrong class."""
        functions: list[Any] = [uuid_from_time, min_uuid_from_time, max_uuid_from_time]
        for function in functions:
            for wrong, text in (
                (datetime(2020, 1, 1), "is naive"),
                (150, "finer than the 100 ns"),
                (FIRST - 100, "is outside"),
                (LAST + 100, "is outside"),
                (Timestamp(1 << 62), "is outside"),
                (datetime(1582, 10, 14, tzinfo=UTC), "is outside"),
            ):
                self.assertIn(text, str(self.assertRaises(ValueError, function, wrong)))
            others: list[Any] = [1.5, "2020-01-01", True, None, MOMENT.date()]
            for other in others:
                self.assertIn("expected a datetime", str(self.assertRaises(TypeError, function, other)))
        for name, number in (
            ("node", 1 << 48),
            ("node", -1),
            ("clock_sequence", 1 << 14),
            ("clock_sequence", -1),
        ):
            error = self.assertRaises(ValueError, uuid_from_time, MOMENT, **{name: number})
            self.assertIn(name, str(error))
        for value in (uuid.uuid4(), uuid.UUID(int=0)):
            self.assertIn("not of version 1", str(self.assertRaises(ValueError, time_from_uuid, value)))
