"""Tests for :mod:`txcql.profile`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcql import Profile
from txcql.policies.dcaware import DCAwarePolicy
from txcql.policies.retry import DefaultRetryPolicy, FallthroughRetryPolicy
from txcql.policies.speculation import ConstantSpeculativeExecutionPolicy
from txcql.settings import Settings


class ProfileTests(SynchronousTestCase):
    """What is refused, when it is made."""

    def refuse(self, kind: type[Exception], text: str, **about: Any) -> None:
        self.assertRaisesRegex(kind, text, lambda: Profile(**about))

    def test_all(self) -> None:
        """Everything may be said, and nothing has to be."""
        Profile()
        Profile(
            consistency="ONE",
            serial_consistency="LOCAL_SERIAL",
            timeout=1,
            page_size=10,
            load_balancing=DCAwarePolicy("dc2"),
            retry=DefaultRetryPolicy(),
            speculative=ConstantSpeculativeExecutionPolicy(0.1),
        )

    def test_values(self) -> None:
        """Wrong types, wrong ranges."""
        self.refuse(ValueError, "consistency must be one of ANY, .*, got 'FOUR'", consistency="FOUR")
        self.refuse(ValueError, "serial_consistency must be 'SERIAL' or", serial_consistency="ONE")
        self.refuse(TypeError, "timeout must be a number of seconds, got '1'", timeout="1")
        self.refuse(TypeError, "timeout must be a number of seconds, got True", timeout=True)
        for timeout in (0, -1.0, float("nan"), float("inf")):
            self.refuse(ValueError, "timeout must be a positive number", timeout=timeout)
        self.refuse(TypeError, "page_size must be an int, got 1.5", page_size=1.5)
        self.refuse(ValueError, r"page_size must be in 1\.\.2147483647, got 0", page_size=0)

    def test_policies(self) -> None:
        """They provide their interfaces."""
        self.refuse(TypeError, "load_balancing must provide ILoadBalancingPolicy", load_balancing="dc1")
        self.refuse(TypeError, "retry must provide IRetryPolicy", retry=FallthroughRetryPolicy)
        self.refuse(TypeError, "speculative must provide ISpeculativeExecutionPolicy", speculative=0.1)

    def test_setting(self) -> None:
        """Names and profiles."""
        Settings(profiles={"a": Profile()})
        wrong: Any
        for wrong in ([Profile()], {"a": None}, {1: Profile()}):
            with self.assertRaisesRegex(TypeError, "profiles must map names to Profiles, got"):
                Settings(profiles=wrong)
