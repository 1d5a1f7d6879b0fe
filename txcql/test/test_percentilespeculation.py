"""Tests for :mod:`txcql.policies.percentilespeculation`."""

from __future__ import annotations

import random

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql import errors
from txcql.interfaces import IAttemptListener, ISpeculativeExecutionPolicy
from txcql.policies import PercentileSpeculativeExecutionPolicy
from txcql.test.learningsession import READ, LearningSessionTestCase
from txcql.test.policynodes import PolicyRequest
from txcql.testing import Delay


class PercentileTests(SynchronousTestCase):
    """By itself."""

    def delay(self, policy: PercentileSpeculativeExecutionPolicy) -> float:
        delay = policy.delay(PolicyRequest(), 1)
        assert delay is not None
        return delay

    def test_percentile(self) -> None:
        """Within a tenth, wherever it is."""
        numbers = random.Random(1)
        for percentile in (50.0, 90.0, 99.0):
            for scale in (0.001, 0.05, 2.0):
                policy = PercentileSpeculativeExecutionPolicy(percentile)
                took = [numbers.uniform(0.2, 1.0) * scale for _ in range(5000)]
                for seconds in took:
                    policy.attempt_ended("a", seconds, None)
                right = sorted(took)[int(5000 * percentile / 100) - 1]
                self.assertTrue(0.95 * right <= self.delay(policy) <= 1.15 * right, (right, policy))

    def test_not_known(self) -> None:
        """Until there are enough answers, there is no further execution."""
        policy = PercentileSpeculativeExecutionPolicy()
        verifyObject(ISpeculativeExecutionPolicy, policy)
        verifyObject(IAttemptListener, policy)
        for _ in range(199):
            policy.attempt_begun("a")
            policy.attempt_ended("a", 0.01, None)
        self.assertIsNone(policy.delay(PolicyRequest(), 1))
        policy.attempt_ended("a", 0.01, None)
        self.assertAlmostEqual(self.delay(policy), 0.0105, 3)
        self.assertEqual(policy.delay_seconds, self.delay(policy))

    def test_executions(self) -> None:
        """So many at most."""
        policy = PercentileSpeculativeExecutionPolicy(executions=2)
        for _ in range(200):
            policy.attempt_ended("a", 0.01, None)
        self.assertEqual([policy.delay(None, begun) is None for begun in (1, 2, 3)], [False, False, True])

    def test_forgets(self) -> None:
        """What is long ago."""
        policy = PercentileSpeculativeExecutionPolicy(memory=2000)
        for seconds in (1.0, 0.001):
            for _ in range(10_000):
                policy.attempt_ended("a", seconds, None)
            self.assertLess(abs(self.delay(policy) - seconds), seconds * 0.11)

    def test_errors(self) -> None:
        """They are no answers; one that was given up late was slow."""
        policy = PercentileSpeculativeExecutionPolicy(50.0)
        for _ in range(1000):
            policy.attempt_ended("a", 0.001, errors.Overloaded("too much"))
        self.assertIsNone(policy.delay_seconds)
        for _ in range(200):
            policy.attempt_ended("a", 0.01, None)
        for _ in range(300):
            policy.attempt_ended("a", 0.5, CancelledError())
        self.assertGreater(self.delay(policy), 0.4)

    def test_very_slow_and_very_fast(self) -> None:
        """Whatever there is, is counted."""
        policy = PercentileSpeculativeExecutionPolicy(50.0)
        for _ in range(200):
            policy.attempt_ended("a", 0.0, None)
        self.assertEqual(policy.delay_seconds, 0.0001)
        for _ in range(1000):
            policy.attempt_ended("a", 3600.0, None)
        self.assertGreater(self.delay(policy), 50)

    def test_bad_arguments(self) -> None:
        """They are refused at once."""
        for about in ({"percentile": 100}, {"executions": 0}, {"minimum": 0}, {"memory": 10}):
            self.assertRaises(ValueError, PercentileSpeculativeExecutionPolicy, **about)

    def test_repr(self) -> None:
        """What is known."""
        policy = PercentileSpeculativeExecutionPolicy(95.0)
        self.assertEqual(
            repr(policy), "<PercentileSpeculativeExecutionPolicy 95 % delay=unknown executions=1>"
        )


class PercentileSessionTests(LearningSessionTestCase):
    """Through a session, with two nodes."""

    def test_slow_answer(self) -> None:
        """What is much slower than the others is asked for a second time."""
        policy = PercentileSpeculativeExecutionPolicy(90.0, minimum=100)
        self.open(speculative=policy)
        rule = self.cluster.inject(Delay(0.01), match=READ)
        self.read_often(200)
        self.assertAlmostEqual(policy.delay_seconds or 0.0, 0.0105, 3)
        rule.remove()
        self.cluster.requests.clear()
        self.cluster.inject(Delay(2.0), match=READ, node=self.cluster.nodes[0])
        before = self.reactor.seconds()
        self.assertEqual(set(self.read_often(20)), {self.name(self.cluster.nodes[1])})
        self.assertLess(self.reactor.seconds() - before, 0.5)
        self.assertGreater(len(self.cluster.requests.matching(READ)), 20)
