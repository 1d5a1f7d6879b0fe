"""Tests for :mod:`txcql.policies.speculation`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.interfaces import ISpeculativeExecutionPolicy
from txcql.policies.speculation import ConstantSpeculativeExecutionPolicy, NoSpeculativeExecutionPolicy
from txcql.test.policynodes import PolicyRequest


class SpeculationTests(SynchronousTestCase):
    """When there is one more execution."""

    def test_constant(self) -> None:
        """After the same wait, so many times."""
        policy = ConstantSpeculativeExecutionPolicy(0.2, executions=2)
        verifyObject(ISpeculativeExecutionPolicy, policy)
        self.assertEqual([policy.delay(PolicyRequest(), begun) for begun in (1, 2, 3)], [0.2, 0.2, None])
        self.assertEqual(repr(policy), "<ConstantSpeculativeExecutionPolicy delay=0.2 executions=2>")

    def test_none(self) -> None:
        """Never."""
        policy = NoSpeculativeExecutionPolicy()
        verifyObject(ISpeculativeExecutionPolicy, policy)
        self.assertIsNone(policy.delay(PolicyRequest(), 1))
        self.assertEqual(repr(policy), "<NoSpeculativeExecutionPolicy>")

    def test_bad_arguments(self) -> None:
        """They are refused at once."""
        for delay in (0, -1, float("inf"), float("nan")):
            self.assertRaisesRegex(
                ValueError, "delay must be a positive", ConstantSpeculativeExecutionPolicy, delay
            )
        self.assertRaisesRegex(
            ValueError, "executions must be positive", ConstantSpeculativeExecutionPolicy, 1.0, 0
        )
