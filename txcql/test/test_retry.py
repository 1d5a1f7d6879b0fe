"""Tests for :mod:`txcql.policies.retry`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql import errors
from txcql.interfaces import IRetryPolicy
from txcql.policies.retry import (
    IGNORE,
    NEXT_NODE,
    RAISE,
    SAME_NODE,
    DefaultRetryPolicy,
    DowngradingRetryPolicy,
    FallthroughRetryPolicy,
    RetryDecision,
)
from txcql.test.policynodes import PolicyRequest


def unavailable(alive: int, consistency: str = "QUORUM") -> errors.CQLError:
    return errors.Unavailable("no", consistency=consistency, required=3, alive=alive)


def read_timeout(received: int, data_present: bool = True, consistency: str = "QUORUM") -> errors.CQLError:
    return errors.ReadTimeout(
        "late", consistency=consistency, received=received, required=2, data_present=data_present
    )


def write_timeout(write_type: str, received: int = 1) -> errors.CQLError:
    return errors.WriteTimeout(
        "late", consistency="QUORUM", received=received, required=2, write_type=write_type, contentions=None
    )


READ_FAILURE = errors.ReadFailure(
    "no", consistency="ONE", received=0, required=1, failures=1, reasons={}, data_present=False
)
WRITE_FAILURE = errors.WriteFailure(
    "no", consistency="ONE", received=0, required=1, failures=1, reasons={}, write_type="SIMPLE"
)
FINAL = (
    READ_FAILURE,
    WRITE_FAILURE,
    errors.CASWriteUnknown("?", consistency="SERIAL", received=1, required=2),
    errors.CQLSyntaxError("no"),
    errors.InvalidRequest("no"),
    errors.Unauthorized("no"),
    errors.DecodeError("no"),
    errors.ProtocolError("no"),
    errors.UnknownServerError("no", unknown_code=9),
)


class RetryTestCase(SynchronousTestCase):
    """Decisions, one after another."""

    def decide(
        self, policy: Any, error: errors.CQLError, attempt: int = 1, idempotent: bool = True
    ) -> RetryDecision:
        verifyObject(IRetryPolicy, policy)
        decision: RetryDecision = policy.decide(PolicyRequest(idempotent=idempotent), error, attempt)
        return decision


class DefaultRetryPolicyTests(RetryTestCase):
    """What it repeats, and where."""

    def check(self, error: errors.CQLError, idempotent: Any, otherwise: Any) -> None:
        """What is done with a request that is idempotent, and with another; at attempts 1 and 2."""
        policy = DefaultRetryPolicy()
        for is_idempotent, expected in ((True, idempotent), (False, otherwise)):
            found = tuple(self.decide(policy, error, attempt, is_idempotent) for attempt in (1, 2))
            self.assertEqual(found, expected, f"{error!r} idempotent={is_idempotent}")

    def test_not_carried_out(self) -> None:
        """Another node may take it."""
        self.check(errors.Overloaded("no"), (NEXT_NODE, NEXT_NODE), (NEXT_NODE, NEXT_NODE))
        self.check(unavailable(1), (NEXT_NODE, RAISE), (NEXT_NODE, RAISE))

    def test_perhaps_carried_out(self) -> None:
        """Only what does no harm twice."""
        for error in (
            errors.ConnectionLost("gone"),
            errors.RequestTimeout("late"),
            errors.InternalServerError("oops"),
            errors.TruncateError("oops"),
        ):
            self.check(error, (NEXT_NODE, NEXT_NODE), (RAISE, RAISE))

    def test_read_timeout(self) -> None:
        """Enough answers and no data: the node will ask another replica for it."""
        self.check(read_timeout(2, False), (SAME_NODE, RAISE), (RAISE, RAISE))
        self.check(read_timeout(2, True), (RAISE, RAISE), (RAISE, RAISE))
        self.check(read_timeout(1, False), (RAISE, RAISE), (RAISE, RAISE))

    def test_write_timeout(self) -> None:
        """The batch log of another replica may be faster."""
        self.check(write_timeout("BATCH_LOG"), (SAME_NODE, RAISE), (RAISE, RAISE))
        for kind in ("SIMPLE", "BATCH", "UNLOGGED_BATCH", "COUNTER", "CAS", "VIEW", "CDC", "NEW"):
            self.check(write_timeout(kind), (RAISE, RAISE), (RAISE, RAISE))

    def test_final(self) -> None:
        """All else is raised."""
        for error in FINAL:
            self.check(error, (RAISE, RAISE), (RAISE, RAISE))

    def test_repr(self) -> None:
        """Its name."""
        self.assertEqual(repr(DefaultRetryPolicy()), "<DefaultRetryPolicy>")


class FallthroughRetryPolicyTests(RetryTestCase):
    """Nothing is repeated."""

    def test_all(self) -> None:
        """Whatever it is."""
        policy = FallthroughRetryPolicy()
        for error in (*FINAL, unavailable(1), errors.Overloaded("no"), errors.ConnectionLost("gone")):
            self.assertEqual(self.decide(policy, error), RAISE)
        self.assertEqual(repr(policy), "<FallthroughRetryPolicy>")


class DowngradingRetryPolicyTests(RetryTestCase):
    """Fewer replicas, rather than an error."""

    def setUp(self) -> None:
        self.policy = DowngradingRetryPolicy()

    def test_unavailable(self) -> None:
        """As many as are alive, once."""
        for alive, consistency in ((5, "THREE"), (3, "THREE"), (2, "TWO"), (1, "ONE")):
            decision = self.decide(self.policy, unavailable(alive), idempotent=False)
            self.assertEqual(decision, RetryDecision("same", consistency))
        self.assertEqual(self.decide(self.policy, unavailable(0)), RAISE)
        self.assertEqual(self.decide(self.policy, unavailable(2), 2), RAISE)
        self.assertEqual(
            self.decide(self.policy, unavailable(0, "EACH_QUORUM")), RetryDecision("same", "ONE")
        )

    def test_conditional(self) -> None:
        """A serial consistency is not lowered."""
        self.assertEqual(self.decide(self.policy, unavailable(1, "SERIAL")), NEXT_NODE)
        self.assertEqual(self.decide(self.policy, read_timeout(1, True, "LOCAL_SERIAL")), RAISE)

    def test_read_timeout(self) -> None:
        """As many as have answered, once; with the data missing, as by default."""
        self.assertEqual(self.decide(self.policy, read_timeout(1)), RetryDecision("same", "ONE"))
        self.assertEqual(self.decide(self.policy, read_timeout(1), 2), RAISE)
        self.assertEqual(self.decide(self.policy, read_timeout(1), idempotent=False), RAISE)
        self.assertEqual(self.decide(self.policy, read_timeout(2, False)), SAME_NODE)
        self.assertEqual(self.decide(self.policy, read_timeout(2, True)), RAISE)

    def test_write_timeout(self) -> None:
        """One replica will tell the others in time; what none has taken is an error."""
        for kind in ("SIMPLE", "BATCH"):
            self.assertEqual(self.decide(self.policy, write_timeout(kind), idempotent=False), IGNORE)
            self.assertEqual(self.decide(self.policy, write_timeout(kind, 0)), RAISE)
        self.assertEqual(
            self.decide(self.policy, write_timeout("UNLOGGED_BATCH")), RetryDecision("same", "ONE")
        )
        self.assertEqual(self.decide(self.policy, write_timeout("UNLOGGED_BATCH"), idempotent=False), RAISE)
        self.assertEqual(self.decide(self.policy, write_timeout("BATCH_LOG")), SAME_NODE)
        self.assertEqual(self.decide(self.policy, write_timeout("COUNTER")), RAISE)

    def test_all_else(self) -> None:
        """As by default."""
        self.assertEqual(self.decide(self.policy, errors.Overloaded("no")), NEXT_NODE)
        self.assertEqual(self.decide(self.policy, errors.ConnectionLost("gone")), NEXT_NODE)
        for error in FINAL:
            self.assertEqual(self.decide(self.policy, error), RAISE)
        self.assertEqual(repr(self.policy), "<DowngradingRetryPolicy>")
