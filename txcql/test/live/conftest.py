"""What every live test gets: a real Cassandra, and a guard against what tests leave behind."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from zope.interface import implementer

import txcql
from txcql.test.cassandra import Lease, lease
from txcql.test.cassandra.remote import Control
from txcql.test.live.releases import OLDER
from txcql.test.live.wires import PAIRED_WIRES, Wire

REPLICATION = "{'class': 'SimpleStrategy', 'replication_factor': 1}"

#: What a test has left behind is named so far.
MOST_SHOWN = 10

passed = 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test below this folder, so that ``-m "not live"`` leaves them out.

    Those that are marked ``full`` are left out unless ``TXCQL_FULL`` is set, those marked ``newest`` where
    the nodes are older.

    :param config: Is told which are left out.
    :param items: All tests that were collected.
    """
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker("live")
    left_out = [
        item
        for item in items
        if (item.get_closest_marker("full") and not os.environ.get("TXCQL_FULL"))
        or (item.get_closest_marker("newest") and OLDER)
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def cassandra() -> Iterator[Lease]:
    """Lease the shared single node for the whole run.

    :returns: The lease; its node is ``cassandra.nodes[0]``.
    :raises CassandraUnavailable: if the node cannot be had: no test is skipped for that.
    """
    with lease("one") as held:
        yield held


@pytest.fixture(scope="session")
def breakable() -> Iterator[Lease]:
    """Lease a single node that nobody else uses, for tests that freeze or kill it.

    :returns: The lease. A test leaves the node running.
    """
    with lease("one", exclusive=True) as held:
        yield held


@pytest_twisted.async_yield_fixture
async def control(reactor: Any, breakable: Lease) -> AsyncIterator[Control]:
    """Command the node that may be broken; when the test is over it goes on, or is started again."""
    commands = breakable.control(reactor)
    yield commands
    [node] = breakable.refresh()
    if node.state == "stopped":
        await commands.cont(0)
    elif node.state != "ready":
        await commands.restart(0)


@pytest.fixture(scope="session")
def guarded() -> Iterator[Lease]:
    """Lease a single node that asks for a login.

    :returns: The lease; ``guarded.login`` is the superuser's name and password.
    """
    with lease("login") as held:
        yield held


@pytest.fixture
def reactor() -> Any:
    """Give the reactor that pytest-twisted has installed."""
    from twisted.internet import reactor

    return reactor


Open = Callable[..., Awaitable[txcql.Session]]


@pytest_twisted.async_yield_fixture
async def open_session(reactor: Any, cassandra: Lease) -> AsyncIterator[Open]:
    """Open sessions, which are closed when the test is over.

    :returns: :func:`txcql.connect` with the shared node as its contact point, and the settings of the call.
    """
    opened: list[txcql.Session] = []

    async def connect(lease: Lease = cassandra, contact: int = 0, **settings: Any) -> txcql.Session:
        session = await txcql.connect(reactor, [lease.nodes[contact].address], **settings)
        opened.append(session)
        return session

    yield connect
    for session in opened:
        await session.close()


@pytest_twisted.async_yield_fixture
async def make_keyspace(open_session: Open) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Make keyspaces, which are dropped when the test is over.

    :returns: Makes one, and gives its name.
    """
    session = await open_session()
    names: list[str] = []

    async def make() -> str:
        name = f"live_{uuid4().hex[:16]}"
        await session.execute(f"CREATE KEYSPACE {name} WITH replication = {REPLICATION}")
        names.append(name)
        return name

    yield make
    for name in names:
        await session.execute(f"DROP KEYSPACE {name}")


@pytest_twisted.async_yield_fixture
async def keyspace(make_keyspace: Callable[[], Awaitable[str]]) -> AsyncIterator[str]:
    """Make a keyspace for one test.

    :returns: Its name.
    """
    yield await make_keyspace()


@pytest_twisted.async_yield_fixture
async def session(open_session: Open, keyspace: str) -> AsyncIterator[txcql.Session]:
    """Open a session with default settings, in the test's keyspace."""
    yield await open_session(keyspace=keyspace)


@pytest.fixture(params=PAIRED_WIRES, ids=str)
def wire(request: pytest.FixtureRequest) -> Wire:
    """Choose each protocol version and each compression in turn; all pairs of them in a full run."""
    chosen: Wire = request.param
    return chosen


@pytest_twisted.async_yield_fixture
async def wired(open_session: Open, keyspace: str, wire: Wire) -> AsyncIterator[txcql.Session]:
    """Open a session that speaks as ``wire`` says, in the test's keyspace."""
    yield await open_session(keyspace=keyspace, **wire.settings)


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


class Guard:
    """See to it that a test leaves nothing behind: a logged failure, a delayed call, a socket.

    It watches from before the test's fixtures are made until they are gone.

    :ivar expected: What an error in the log may hold: the test is about just that.
    """

    def __init__(self) -> None:
        self._calls, self._sockets = set(delayed_calls()), reactor_sockets()
        self._complaints = Complaints()
        self.expected: list[str] = []
        globalLogPublisher.addObserver(self._complaints)

    def left_behind(self) -> list[str]:
        """End the watch.

        :returns: What is there that was not there before.
        """
        # A Deferred whose failure nobody took is logged when it is collected.
        gc.collect()
        globalLogPublisher.removeObserver(self._complaints)
        left = [repr(call) for call in delayed_calls() if call not in self._calls]
        left += [repr(socket) for socket in reactor_sockets() - self._sockets]
        texts = [repr(event.get("log_failure") or formatEvent(event)) for event in self._complaints.events]
        left += [text for text in texts if not any(expected in text for expected in self.expected)]
        return left


guards = pytest.StashKey[Guard]()
failed = pytest.StashKey[bool]()


@pytest.fixture
def expect_log(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Allow errors in the log, for a test that brings them about.

    :returns: Takes a part of their text.
    """
    guard: Guard = request.node.stash[guards]
    return guard.expected.append


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Begin to watch a test.

    :param item: The test.
    :returns: What the setup returned.
    """
    item.stash[guards] = Guard()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Note whether a test fails: what it leaves behind then is of no interest.

    :param item: The test.
    :returns: What the test returned.
    """
    item.stash[failed] = True
    result = yield
    item.stash[failed] = False
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test that has left something behind.

    :param item: The test.
    :returns: What the teardown returned.
    :raises AssertionError: if the test passed and left something behind; the text says what.
    """
    try:
        result = yield
    finally:
        left = item.stash[guards].left_behind()
    if left and not item.stash.get(failed, True):
        more = f"; and {len(left) - MOST_SHOWN} more" if len(left) > MOST_SHOWN else ""
        raise AssertionError(f"{item.name} left behind: " + "; ".join(left[:MOST_SHOWN]) + more)
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count the tests that passed.

    :param report: What pytest says about one phase of one test.
    """
    global passed
    passed += report.when == "call" and report.passed


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in which fewer tests passed than ``TXCQL_LEAST_TESTS`` demands; of an older release, three
    quarters of them.

    :param session: The run.
    """
    least = int(os.environ.get("TXCQL_LEAST_TESTS") or "0")
    if OLDER:
        least = least * 3 // 4
    # A worker of pytest-xdist sees its own tests only; the controller sees all of them.
    is_worker = hasattr(session.config, "workerinput")
    if session.exitstatus == pytest.ExitCode.OK and passed < least and not is_worker:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nonly {passed} tests passed, at least {least} expected (TXCQL_LEAST_TESTS)")
