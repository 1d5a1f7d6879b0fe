"""What every live test gets: a real Cassandra, and a guard against what tests leave behind."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from zope.interface import implementer

from txcql.test.cassandra import Lease, lease

passed = 0


@pytest.fixture(scope="session")
def cassandra() -> Iterator[Lease]:
    """Lease the shared single node for the whole run.

    :returns: The lease; its node is ``cassandra.nodes[0]``.
    :raises CassandraUnavailable: if the node cannot be had: no test is skipped for that.
    """
    with lease("one") as held:
        yield held


@implementer(ILogObserver)
class Complaints:
    """Collect what is logged as a failure or an error.

    :ivar events: What was logged.
    """

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        """Look at one event.

        :param event: What was logged.
        """
        serious = event.get("log_level") in (LogLevel.error, LogLevel.critical)
        if serious or event.get("log_failure") is not None:
            self.events.append(event)


def reactor_sockets() -> set[Any]:
    """List what the reactor watches.

    :returns: Its readers and writers, without those of its own.
    """
    # pytest-twisted must install the reactor first, so nothing may import it with this module.
    from twisted.internet import reactor

    # Its waker and its SIGCHLD reader come with its start, which is within the first test.
    own: set[Any] = getattr(reactor, "_internalReaders", set())
    return {*reactor.getReaders(), *reactor.getWriters()} - own


def delayed_calls() -> list[Any]:
    """List what the reactor will call later.

    :returns: The calls.
    """
    from twisted.internet import reactor

    return list(reactor.getDelayedCalls())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a live test that leaves something behind: a logged failure, a delayed call, a socket.

    :param item: The test.
    :returns: What the test's own run returned.
    :raises AssertionError: if the test passed and left something behind; the text says what.
    """
    observe = Complaints()
    calls, sockets = set(delayed_calls()), reactor_sockets()
    globalLogPublisher.addObserver(observe)
    try:
        result = yield
    finally:
        # A Deferred whose failure nobody took is logged when it is collected.
        gc.collect()
        globalLogPublisher.removeObserver(observe)
    left = [repr(call) for call in delayed_calls() if call not in calls]
    left += [repr(socket) for socket in reactor_sockets() - sockets]
    left += [repr(event.get("log_failure") or event.get("log_format")) for event in observe.events]
    if left:
        raise AssertionError(f"{item.name} left behind: " + "; ".join(left))
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count the tests that passed.

    :param report: What pytest says about one phase of one test.
    """
    global passed
    passed += report.when == "call" and report.passed


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in which fewer tests passed than ``TXCQL_LEAST_TESTS`` demands.

    :param session: The run.
    """
    least = int(os.environ.get("TXCQL_LEAST_TESTS") or "0")
    # A worker of pytest-xdist sees its own tests only; the controller sees all of them.
    is_worker = hasattr(session.config, "workerinput")
    if session.exitstatus == pytest.ExitCode.OK and passed < least and not is_worker:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nonly {passed} tests passed, at least {least} expected (TXCQL_LEAST_TESTS)")
