"""Tests for :mod:`txcql.connection.schedule`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from twisted.trial.unittest import SynchronousTestCase

from txcql.connection.schedule import LONGEST_DELAY, Schedule


class ScheduleTests(SynchronousTestCase):
    """What a policy says, and what is done where it says nothing of use."""

    def test_delays(self) -> None:
        """They are the policy's."""
        self.assertEqual(list(islice(Schedule(lambda: iter((0, 1, 2.5, 4))), 4)), [0, 1, 2.5, 4])

    def test_end(self) -> None:
        """It goes on with the longest delay."""
        self.assertEqual(list(islice(Schedule(lambda: (1,)), 3)), [1, LONGEST_DELAY, LONGEST_DELAY])

    def test_no_delays(self) -> None:
        """What is no number of seconds."""
        schedule = Schedule(lambda: (-1, float("nan"), float("inf"), 3))
        self.assertEqual(list(islice(schedule, 4)), [LONGEST_DELAY] * 3 + [3])

    def test_failures(self) -> None:
        """They are logged, and cost no attempt."""

        def delays() -> Iterator[float]:
            yield 1.0
            raise ValueError("mine")

        self.assertEqual(list(islice(Schedule(delays), 2)), [1.0, LONGEST_DELAY])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

        def broken() -> Iterator[float]:
            raise ValueError("mine")

        self.assertEqual(next(Schedule(broken)), LONGEST_DELAY)
        self.assertEqual(next(Schedule(lambda: ("soon",))), LONGEST_DELAY)  # type: ignore[arg-type,return-value]
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
