"""The mistakes that people make, and what each looks like: it says what, where, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from zope.interface import implementer

import txcql
from txcql.errors import (
    EncodeError,
    InvalidRequest,
    NameResolutionError,
    NoNodeAvailable,
    SessionClosed,
)
from txcql.test.live.conftest import reactor_sockets
from txcql.test.live.failures import failure_of
from txcql.test.live.waiting import eventually

NOWHERE = "127.0.0.77:9999"


async def test_wrong_port(reactor):
    """It is said at once, with every address and its reason."""
    begun = reactor.seconds()
    error = await failure_of(txcql.connect(reactor, [NOWHERE]))
    assert reactor.seconds() - begun < 1
    assert type(error) is NoNodeAvailable
    assert str(error) == f"cannot connect: {NOWHERE} refused the connection"
    assert list(error.errors) == [NOWHERE]

    error = await failure_of(txcql.connect(reactor, ["127.0.0.77", "127.0.0.78:9998"], port=9999))
    assert str(error) == (
        f"cannot connect: {NOWHERE} refused the connection; 127.0.0.78:9998 refused the connection"
    )


async def test_one_contact_point_of_several_is_enough(reactor, open_session, cassandra):
    """The wrong ones do no harm."""
    session = await txcql.connect(reactor, [NOWHERE, cassandra.nodes[0].address])
    assert (await session.execute("SELECT key FROM system.local")).one().key == "local"
    await session.close()


async def test_a_name_that_does_not_resolve(reactor):
    """The host is named."""
    error = await failure_of(txcql.connect(reactor, ["no-such-host.invalid"]))
    assert type(error) is NoNodeAvailable
    assert str(error).endswith('the name "no-such-host.invalid" does not resolve')
    [cause] = error.errors.values()
    assert isinstance(cause, NameResolutionError) and cause.host == "no-such-host.invalid"
    assert list(error.errors) == ["no-such-host.invalid:9042"]


async def test_a_name_that_resolves(reactor):
    """A host name is looked up; what it is found to be is what an error shows."""
    error = await failure_of(txcql.connect(reactor, ["localhost:9999"]))
    assert "127.0.0.1:9999 refused the connection" in str(error)


class Stranger(Protocol):
    """Answers whatever comes by the same bytes, and hangs up if it is told to."""

    def __init__(self, answer, hangs_up):
        self.answer, self.hangs_up = answer, hangs_up
        self.gone: Deferred[None] = Deferred()

    def dataReceived(self, data):
        transport: Any = self.transport
        transport.write(self.answer)
        if self.hangs_up:
            transport.loseConnection()

    def connectionLost(self, reason=connectionDone):
        self.gone.callback(None)


@implementer(IProtocolFactory)
class Strangers:
    """Makes such protocols, and remembers them.

    :param arguments: What each is made with.
    :ivar made: The protocols.
    """

    def __init__(self, *arguments):
        self.arguments = arguments
        self.made = []

    def buildProtocol(self, addr):
        self.made.append(Stranger(*self.arguments))
        return self.made[-1]

    def doStart(self):
        pass

    def doStop(self):
        pass


@pytest_twisted.async_yield_fixture
async def stranger(reactor):
    """Listen with something that is no Cassandra node.

    :returns: Begins to listen, with what a :class:`Stranger` takes; gives ``host:port``.
    """
    ports, strangers = [], []

    def listen(answer, hangs_up):
        strangers.append(Strangers(answer, hangs_up))
        ports.append(reactor.listenTCP(0, strangers[-1], interface="127.0.0.1"))
        return f"127.0.0.1:{ports[-1].getHost().port}"

    yield listen
    for port in ports:
        await port.stopListening()
    for protocol in [protocol for factory in strangers for protocol in factory.made]:
        protocol.transport.loseConnection()
        await protocol.gone


HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("hangs_up", [True, False], ids=["hangs up", "stays"])
async def test_a_port_that_speaks_http(reactor, stranger, hangs_up, expect_log):
    """Its first words are quoted."""
    expect_log("which is not CQL")
    where = stranger(HTTP, hangs_up)
    begun = reactor.seconds()
    error = await failure_of(txcql.connect(reactor, [where]))
    assert reactor.seconds() - begun < 1
    assert type(error) is NoNodeAvailable
    assert f'{where} answered "HTTP/1.1 400 Bad Request' in str(error)
    assert str(error).endswith("which is not CQL")


async def test_a_port_that_hangs_up(reactor, stranger):
    """It does not wait for anything more, and says what that may mean."""
    where = stranger(b"", True)
    begun = reactor.seconds()
    error = await failure_of(txcql.connect(reactor, [where]))
    assert reactor.seconds() - begun < 1
    assert str(error).startswith(
        f"cannot connect: {where}: the node closed the link before it answered anything: it may speak TLS"
    )


async def test_a_port_that_says_nothing(reactor, stranger):
    """It is given up after ``connect_timeout``."""
    where = stranger(b"", False)
    begun = reactor.seconds()
    error = await failure_of(txcql.connect(reactor, [where], connect_timeout=0.3))
    assert 0.3 <= reactor.seconds() - begun < 1
    assert where in str(error) and "did not finish the handshake within 0.3 s" in str(error)


async def test_a_keyspace_that_does_not_exist(reactor, cassandra, wire):
    """The error is about the keyspace, not about nodes."""
    error = await failure_of(
        txcql.connect(reactor, [cassandra.nodes[0].address], keyspace="nokeyspace", **wire.settings)
    )
    assert isinstance(error, InvalidRequest)
    assert str(error) == 'keyspace "nokeyspace" does not exist'


async def test_wrong_local_datacenter(reactor, cassandra):
    """Those that exist are listed."""
    error = await failure_of(txcql.connect(reactor, [cassandra.nodes[0].address], local_datacenter="Europe"))
    assert type(error) is NoNodeAvailable
    assert '"Europe"' in str(error) and str(error).endswith("there are: dc1")


async def test_snappy_ends_with_version_4(open_session):
    """Negotiation takes the highest version that has it; both at once are refused."""
    session = await open_session(compression="snappy")
    assert session.version == 4
    with pytest.raises(ValueError, match='protocol 5 has no Snappy: take compression="lz4"'):
        await open_session(compression="snappy", protocol_version=5)


async def test_the_highest_version_is_negotiated(open_session):
    """Version 5, if nobody says otherwise."""
    assert (await open_session()).version == 5


async def test_values_of_the_wrong_type(session):
    """The parameter, its type, what was expected and what was given; nothing is sent."""
    await session.execute("CREATE TABLE users (name text PRIMARY KEY, age int, tags list<frozen<set<int>>>)")
    insert = await session.prepare("INSERT INTO users (name, age, tags) VALUES (?, ?, ?)")
    for values, text in [
        (["Ada", "x", None], 'parameter 2 "age" (int): expected int, got str "x"'),
        ([1, 1, None], 'parameter 1 "name" (text): expected text, got int 1'),
        (["Ada", True, None], 'parameter 2 "age" (int): expected int, got bool True'),
        (
            ["Ada", 2**31, None],
            'parameter 2 "age" (int): expected int in -2147483648..2147483647, got 2147483648',
        ),
        (["Ada", 1], 'expected 3 parameters, got 2: missing "tags" (list<set<int>>)'),
        ({"name": "Ada", "age": 1}, 'expected 3 parameters, got 2: missing "tags" (list<set<int>>)'),
        (
            {"name": "Ada", "agge": 1, "tags": []},
            'unknown parameter str "agge": the statement has "name", "age", "tags"',
        ),
    ]:
        error = await failure_of(session.execute(insert, values))
        assert isinstance(error, EncodeError)
        assert str(error) == text
        assert error.delivery == "not sent"
    error = await failure_of(session.execute(insert, ["Ada", 1, [{1}, {"x"}]]))
    assert str(error).startswith('parameter 3 "tags" (list<set<int>>): element 2: ')
    error = await failure_of(session.execute(insert, ["Ada", 1, [], 4]))
    assert str(error).startswith("expected 3 parameters, got 4")
    assert (await session.execute("SELECT * FROM users")).all() == []


async def test_markers_without_values(session):
    """Text that needs values and gets none."""
    error = await failure_of(session.execute("SELECT * FROM system.local WHERE key = ?"))
    assert str(error) == "Invalid amount of bind variables"
    select = await session.prepare("SELECT * FROM system.local WHERE key = ?")
    error = await failure_of(session.execute(select))
    assert str(error) == 'expected 1 parameters, got 0: missing "key" (text)'


async def test_a_query_after_close(open_session):
    """It fails at once, in words."""
    session = await open_session()
    select = await session.prepare("SELECT key FROM system.local")
    await session.close()
    await session.close()
    for request in (
        session.execute("SELECT key FROM system.local"),
        session.execute(select),
        session.prepare("SELECT key FROM system.peers"),
    ):
        error = await failure_of(request)
        assert type(error) is SessionClosed
        assert (str(error), error.delivery) == ("session is closed", "not sent")


async def test_pages_after_close(open_session):
    """What has been read is read; there is no more."""
    session = await open_session()
    result = await session.execute("SELECT * FROM system_schema.columns", page_size=10)
    await session.close()
    assert len(result.all()) == 10
    assert type(await failure_of(result.next_page())) is SessionClosed


@pytest.mark.parametrize("delay", [0, 0.001, 0.003, 0.01], ids=str)
async def test_a_connect_that_is_cancelled(reactor, cassandra, delay):
    """Wherever it stands by then, nothing remains of it; or it was done already."""
    before = reactor_sockets()
    connecting = txcql.connect(reactor, [cassandra.nodes[0].address])
    await deferLater(reactor, delay)
    connecting.cancel()
    try:
        session = await connecting
    except CancelledError:
        await eventually(reactor, lambda: reactor_sockets() <= before)
    else:
        await session.close()


async def test_options_that_do_not_exist(session):
    """Neither of a request nor of a session."""
    error = await failure_of(session.execute("SELECT key FROM system.local", pagesize=5))
    assert isinstance(error, TypeError) and "pagesize" in str(error)
    error = await failure_of(session.execute("SELECT key FROM system.local", consistency="MOST"))
    assert isinstance(error, ValueError) and "MOST" in str(error)
