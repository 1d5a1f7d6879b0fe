"""Tests for :mod:`txcql.policies.reconnection`."""

from __future__ import annotations

from itertools import islice

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.interfaces import IReconnectionPolicy
from txcql.policies.reconnection import ConstantReconnectionPolicy, ExponentialReconnectionPolicy


class ExponentialReconnectionPolicyTests(SynchronousTestCase):
    """0, 1, 2, 4 … 60 s."""

    def test_schedule(self) -> None:
        """At once, then twice as long each time, up to the maximum, without an end."""
        policy = ExponentialReconnectionPolicy()
        verifyObject(IReconnectionPolicy, policy)
        self.assertEqual(list(islice(policy.delays(), 10)), [0, 1, 2, 4, 8, 16, 32, 60, 60, 60])
        *_, last = islice(policy.delays(), 5000)
        self.assertEqual(last, 60)

    def test_each_link(self) -> None:
        """Each schedule begins at its beginning."""
        policy = ExponentialReconnectionPolicy(base=0.5, maximum=2.0)
        first = policy.delays()
        self.assertEqual(list(islice(first, 3)), [0, 0.5, 1])
        self.assertEqual(list(islice(policy.delays(), 5)), [0, 0.5, 1, 2, 2])
        self.assertEqual(next(first), 2)

    def test_jitter(self) -> None:
        """It is a share of the wait, and never passes the maximum."""
        policy = ExponentialReconnectionPolicy(jitter=0.25)
        for _ in range(50):
            for delay, plain in zip(policy.delays(), (0, 1, 2, 4, 8, 16, 32, 60, 60), strict=False):
                self.assertTrue(plain * 0.75 <= delay <= min(60, plain * 1.25), (delay, plain))

    def test_refused(self) -> None:
        """0 < base <= maximum, and a share is at most 1."""
        for base, maximum in ((0, 60), (-1, 60), (61, 60), (float("nan"), 60), (1, float("inf"))):
            with self.assertRaisesRegex(ValueError, "0 < base <= maximum"):
                ExponentialReconnectionPolicy(base, maximum)
        for jitter in (-0.1, 1.1):
            with self.assertRaisesRegex(ValueError, "jitter must be in 0..1"):
                ExponentialReconnectionPolicy(jitter=jitter)

    def test_repr(self) -> None:
        """Its numbers."""
        self.assertEqual(
            repr(ExponentialReconnectionPolicy()),
            "<ExponentialReconnectionPolicy base=1.0 maximum=60.0 jitter=0.0>",
        )


class ConstantReconnectionPolicyTests(SynchronousTestCase):
    """The same wait each time."""

    def test_schedule(self) -> None:
        """Also before the first attempt."""
        policy = ConstantReconnectionPolicy(2.5)
        verifyObject(IReconnectionPolicy, policy)
        self.assertEqual(list(islice(policy.delays(), 3)), [2.5, 2.5, 2.5])
        self.assertEqual(repr(policy), "<ConstantReconnectionPolicy delay=2.5>")

    def test_refused(self) -> None:
        """A node is not asked without a pause, nor never."""
        for delay in (0, -1, float("nan"), float("inf")):
            with self.assertRaisesRegex(ValueError, "delay must be positive"):
                ConstantReconnectionPolicy(delay)
