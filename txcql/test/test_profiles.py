"""Tests for :mod:`txcql.session.profiles`, and of the requests that name one."""

from __future__ import annotations

from typing import Any

from txcql import Profile
from txcql.errors import Overloaded, RequestTimeout
from txcql.policies.dcaware import DCAwarePolicy
from txcql.policies.loadbalancing import RoundRobinPolicy
from txcql.policies.nodefilters import AllowListPolicy
from txcql.policies.retry import DefaultRetryPolicy, FallthroughRetryPolicy
from txcql.policies.tokenaware import TokenAwarePolicy
from txcql.session.profiles import Profiles
from txcql.settings import Settings
from txcql.test.scriptedrequests import INSERT, LIST, RequestTestCase


class ProfilesTests(RequestTestCase):
    """Requests by profile."""

    def last(self) -> Any:
        return (self.one.requests or self.two.requests)[-1].options

    def test_what_it_says(self) -> None:
        """What a profile says wins over the session, what the call says wins over the profile."""
        profile = Profile(consistency="ONE", serial_consistency="SERIAL", page_size=7, timeout=0.5)
        session = self.connect(profiles={"small": profile, "same": Profile()}, consistency="TWO")
        self.answer(session.execute(LIST, profile="small"))
        asked = self.last()
        self.assertEqual((asked.consistency, asked.serial_consistency, asked.page_size), (1, 8, 7))
        self.answer(session.execute(LIST, profile="small", consistency="ALL", page_size=None))
        self.assertEqual((self.last().consistency, self.last().page_size), (5, 7))
        for options in ({"profile": "same"}, {}, {"profile": None}):
            self.answer(session.execute(LIST, **options))
            asked = self.last()
            self.assertEqual((asked.consistency, asked.serial_consistency, asked.page_size), (2, None, 5000))

    def test_timeout(self) -> None:
        """The deadline, which a call may change."""
        session = self.connect(profiles={"quick": Profile(timeout=0.5)})
        self.hold()
        quick = session.execute(LIST, profile="quick")
        patient = session.execute(LIST, profile="quick", timeout=2.0)
        self.reactor.settle()
        self.reactor.advance(0.6)
        self.failureResultOf(quick, RequestTimeout)
        self.assertNoResult(patient)
        self.let_go()
        self.answer(patient)

    def test_unknown(self) -> None:
        """Its error lists those that there are."""
        session = self.connect(profiles={"a": Profile(), "b": Profile()})
        for name in ("c", 5):
            error = self.error(session.execute(LIST, profile=name), ValueError)
            self.assertEqual(str(error), f"there is no execution profile {name!r}; there are: 'a', 'b'")
        self.answer(session.close())
        session = self.connect()
        self.assertEqual(
            str(self.error(session.execute(LIST, profile="c"), ValueError)),
            "there is no execution profile 'c'; there are: none: they are the setting profiles",
        )

    def test_policies(self) -> None:
        """Each has its own, or the session's."""
        session = self.connect(
            profiles={
                "second": Profile(
                    load_balancing=AllowListPolicy(["10.0.0.2"]), retry=FallthroughRetryPolicy()
                ),
                "first": Profile(retry=FallthroughRetryPolicy()),
            }
        )
        self.assertEqual(self.answer(session.execute(LIST)).coordinator, "10.0.0.1:9042")
        for _ in range(3):
            result = self.answer(session.execute(LIST, profile="second"))
            self.assertEqual(result.coordinator, "10.0.0.2:9042")
        self.one.teach(LIST, lambda asked: asked.error(Overloaded("no")))
        self.error(session.execute(LIST, profile="first"), Overloaded)
        self.assertEqual(self.answer(session.execute(LIST)).coordinator, "10.0.0.2:9042")

    def test_prepared(self) -> None:
        """What was encoded for a profile is found again; pages stay in it."""
        session = self.connect(profiles={"small": Profile(consistency="ONE")})
        insert = self.answer(session.prepare(INSERT))
        parts = []
        for _ in range(2):
            self.answer(session.execute(insert, [1, "x"], profile="small"))
            self.assertEqual(self.last().consistency, 1)
            parts.append(insert.generation.parts_for(5, session.options({"profile": "small"})))
        self.assertIs(parts[0], parts[1])

    def test_nodes(self) -> None:
        """A node has links if one of the policies wants it; each policy hears of all nodes."""
        far = self.node("10.0.1.1", datacenter="dc2")
        remote = DCAwarePolicy("dc2")
        session = self.connect(load_balancing=None, profiles={"far": Profile(load_balancing=remote)})
        far.teach(LIST)
        distances = {name: node["distance"] for name, node in session.snapshot()["nodes"].items()}
        self.assertEqual(set(distances.values()), {"local"})
        self.assertEqual(self.answer(session.execute(LIST, profile="far")).coordinator, "10.0.1.1:9042")
        for _ in range(4):
            self.assertNotEqual(self.answer(session.execute(LIST)).coordinator, "10.0.1.1:9042")

    def test_each_policy_once(self) -> None:
        """However many profiles have it."""
        policy, other = RoundRobinPolicy(), RoundRobinPolicy()
        profiles = Profiles(
            Settings(
                load_balancing=policy,
                profiles={
                    "a": Profile(),
                    "b": Profile(load_balancing=other),
                    "c": Profile(load_balancing=policy),
                },
            )
        )
        self.assertEqual(profiles.load_balancing, (policy, other))

    def test_defaults(self) -> None:
        """By token, rack and data center; the default retry policy; no speculation."""
        policies = Profiles(Settings()).default
        self.assertIsInstance(policies.load_balancing, TokenAwarePolicy)
        self.assertIsInstance(policies.retry, DefaultRetryPolicy)
        self.assertIsNone(policies.speculative)
