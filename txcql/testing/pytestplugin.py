"""Fixtures for pytest: a session on a fake cluster, or on a real one.

They come with the package. They bring a reactor of their own, and ``cassandra_run`` waits for what it is
given; with ``cassandra_reactor = twisted`` in pytest's settings they use the reactor of pytest-twisted, and
tests may be asynchronous.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from txcql.testing.cassandrafixture import CassandraFixture
    from txcql.testing.fakecluster import FakeCluster

__all__ = ["cassandra", "cassandra_cluster", "cassandra_run", "cassandra_session"]


@pytest.fixture
def cassandra(request: pytest.FixtureRequest) -> Iterator[CassandraFixture]:
    """A cluster for one test.

    The marker ``@pytest.mark.cassandra(nodes=3)`` gives the fake cluster its options.
    """
    from txcql.testing.cassandrafixture import CassandraFixture

    reactor, wait = _twisted(request)
    marker = request.node.get_closest_marker("cassandra")
    made = CassandraFixture(reactor, wait, **({} if marker is None else marker.kwargs))
    yield made
    made.run(made.close())


@pytest.fixture
def cassandra_session(cassandra: CassandraFixture) -> Any:
    """A session in a keyspace that only this test has."""
    return cassandra.run(cassandra.open_session())


@pytest.fixture
def cassandra_run(cassandra: CassandraFixture) -> Callable[[Awaitable[Any]], Any]:
    """Waits for a Deferred or a coroutine, and gives its result."""
    return cassandra.run


@pytest.fixture
def cassandra_cluster(cassandra: CassandraFixture) -> FakeCluster:
    """The fake cluster, for answers and faults; the test is skipped on a real one."""
    if cassandra.cluster is None:
        pytest.skip("this test needs the fake cluster")
    return cassandra.cluster


def pytest_addoption(parser: pytest.Parser) -> None:
    """Tell pytest of the setting."""
    parser.addini("cassandra_reactor", "memory, or twisted for that of pytest-twisted", default="memory")


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker."""
    config.addinivalue_line("markers", "cassandra(**options): the options of the test's FakeCluster")


def _twisted(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """The reactor of pytest-twisted and what waits on it, if that is asked for."""
    wanted = request.config.getini("cassandra_reactor")
    if wanted == "memory":
        return None, None
    plugin = request.config.pluginmanager.get_plugin("twisted")
    if wanted != "twisted" or plugin is None:
        raise pytest.UsageError(f"cassandra_reactor = {wanted} needs pytest-twisted, or must be memory")
    # What pytest-twisted has installed; nothing is imported that was not there.
    return sys.modules["twisted.internet.reactor"], plugin.blockon
