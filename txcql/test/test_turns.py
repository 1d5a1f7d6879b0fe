"""Tests for :mod:`txcql.integrations.turns`."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcql.integrations.turns import Turns


class TurnsTests(SynchronousTestCase):
    """Who has a turn, and when."""

    def test_in_order(self) -> None:
        """As many as there may be have one at once; each that is given back goes to who waits longest."""
        turns = Turns(2)
        first, second, third, fourth = (turns.take() for _ in range(4))
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(len(turns), 2)
        turns.give_back()
        self.successResultOf(third)
        self.assertNoResult(fourth)
        turns.give_back()
        self.successResultOf(fourth)
        self.assertEqual(repr(turns), "<Turns free=0 waiting=0>")

    def test_given_up(self) -> None:
        """Who no longer waits is passed over."""
        turns = Turns(1)
        self.successResultOf(turns.take())
        given_up, other = turns.take(), turns.take()
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        turns.give_back()
        self.successResultOf(other)

    def test_given_back_at_once(self) -> None:
        """Thousands who give it back as soon as they have it need no deeper stack than one."""
        turns = Turns(1)
        self.successResultOf(turns.take())
        done: list[int] = []

        def have(_: None, number: int) -> None:
            done.append(number)
            turns.give_back()

        waiting: list[Deferred[None]] = [turns.take().addCallback(have, number) for number in range(5000)]
        turns.give_back()
        self.assertEqual(done, list(range(5000)))
        for waiter in waiting:
            self.successResultOf(waiter)
