"""A node that takes two hundred requests a second is asked for more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from txcql.errors import Overloaded
from txcql.policies import AdaptiveLimitPolicy, FallthroughRetryPolicy
from txcql.test.cassandra import Lease, lease

LIST = "SELECT key FROM system.local"
MANY = 600

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def limited() -> Iterator[Lease]:
    """Lease a node with a limit on requests a second."""
    with lease("limited") as held:
        yield held


async def ask_often(session, reactor, count):
    """Ask the node so many times at once.

    :returns: What became of each.
    """
    # The second in which the session was opened is over.
    await deferLater(reactor, 1.5)
    asked = [session.execute(LIST).addErrback(lambda failure: failure.value) for _ in range(count)]
    return await gatherResults(asked)


async def test_answered_late(open_session, limited, reactor):
    """As it comes: the node stops reading, and answers late."""
    session = await open_session(limited)
    outcomes = await ask_often(session, reactor, MANY)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Overloaded)]


async def test_throw_on_overload(open_session, limited, reactor):
    """It says so at once, and has not carried the request out; the link goes on."""
    session = await open_session(limited, throw_on_overload=True, retry=FallthroughRetryPolicy())
    outcomes = await ask_often(session, reactor, MANY)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Overloaded)]
    assert 50 < len(refused) < MANY
    assert "Server is currently in an overloaded state" in str(refused[0])
    await deferLater(reactor, 1.5)
    assert (await session.execute(LIST)).one().key == "local"


async def test_adaptive_limit(open_session, limited, reactor):
    """It follows what the node says."""
    policy = AdaptiveLimitPolicy(reactor, initial=1000)
    session = await open_session(
        limited, throw_on_overload=True, retry=FallthroughRetryPolicy(), load_balancing=policy
    )
    before = policy.limits
    await ask_often(session, reactor, MANY)
    [(name, limit)] = policy.limits.items()
    print(f"\nthe limit was {before[name]}, and is {limit}")
    assert limit < 1000
