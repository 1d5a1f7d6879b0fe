"""Nodes that speak TLS and ask for a login: what works, and what each mistake looks like."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import load_pem_x509_certificate
from twisted.internet.defer import succeed
from twisted.internet.task import deferLater
from zope.interface import implementer

import txcql
from txcql.errors import AuthenticationFailed, ConnectionLost, CQLError, NoNodeAvailable, TLSError
from txcql.interfaces import IRowConsumer
from txcql.policies.reconnection import ExponentialReconnectionPolicy
from txcql.test.cassandra import Lease, lease
from txcql.test.cassandra.certificates import PASSWORD
from txcql.test.certificates import Authority
from txcql.test.live.failures import failure_of
from txcql.test.live.releases import OLDER
from txcql.test.live.waiting import eventually

LOCAL = "SELECT key FROM system.local"


@pytest.fixture(scope="module")
def secure() -> Iterator[Lease]:
    """Lease a node that speaks TLS only and asks for a login."""
    with lease("secure") as held:
        yield held


@pytest.fixture(scope="module")
def mutual() -> Iterator[Lease]:
    """Lease a node for oneself that speaks TLS only and asks for the client's certificate."""
    with lease("mutual", exclusive=True) as held:
        yield held


def trusting(held: Lease, **arguments: Any) -> txcql.TLS:
    """What trusts a cluster's authority."""
    assert held.tls is not None
    return txcql.TLS(held.tls.authority, **arguments)


def name_of(held: Lease) -> str:
    node = held.nodes[0]
    return f"{node.address}:{node.port}"


def superuser(held: Lease) -> dict[str, Any]:
    assert held.login is not None
    return dict(zip(("username", "password"), held.login, strict=True))


async def refused(reactor: Any, held: Lease, kind: type[CQLError] = TLSError, **settings: Any) -> str:
    """Connect where that fails.

    :returns: What the error says, which names the node.
    """
    error = await failure_of(txcql.connect(reactor, [held.nodes[0].address], **settings))
    assert type(error) is NoNodeAvailable
    [cause] = error.errors.values()
    assert isinstance(cause, kind), repr(cause)
    assert cause.node == name_of(held)
    assert str(cause) in str(error)
    assert str(cause).startswith(name_of(held))
    return str(cause)


@pytest_twisted.async_yield_fixture
async def admin(open_session, secure):
    """Open a session of the superuser."""
    yield await open_session(secure, tls=trusting(secure), **superuser(secure))


@pytest_twisted.async_yield_fixture
async def role(admin):
    """Make a role that may log in; dropped when the test is over."""
    name = f"role_{uuid4().hex[:8]}"
    await admin.execute(f"CREATE ROLE {name} WITH PASSWORD = 'first' AND LOGIN = true")
    yield name
    await admin.execute(f"DROP ROLE {name}")


async def test_tls_and_login(open_session, secure, wire):
    """The address is verified, and the node knows that the link is secure."""
    settings = {**superuser(secure), **wire.settings}
    session = await open_session(secure, tls=trusting(secure), require_tls_for_login=True, **settings)
    clients = (
        await session.execute("SELECT username, ssl_enabled, ssl_protocol FROM system_views.clients")
    ).all()
    assert clients and all(client.ssl_enabled for client in clients)
    assert {client.ssl_protocol for client in clients} <= {"TLSv1.3", "TLSv1.2"}


async def test_a_stream_that_is_paused_and_stopped(open_session, secure, reactor):
    """A consumer's pauses and its end, on a link that all share and on one of its own: as over TCP."""
    session = await open_session(secure, tls=trusting(secure), **superuser(secure))
    keyspace = f"live_{uuid4().hex[:16]}"
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    await session.execute(f"CREATE KEYSPACE {keyspace} WITH replication = {replication}")
    try:
        await session.execute(
            f"CREATE TABLE {keyspace}.t (part int, id int, data blob, PRIMARY KEY (part, id))"
        )
        insert = await session.prepare(f"INSERT INTO {keyspace}.t (part, id, data) VALUES (?, ?, ?)")
        rows = ((number % 10, number, bytes(4096)) for number in range(5000))
        assert await session.execute_many(insert, rows, on_result=lambda number, result: None) == 5000
        for dedicated in (False, True):
            consumer = PausingConsumer(reactor)
            stream = session.stream(f"SELECT id, data FROM {keyspace}.t", page_size=500, dedicated=dedicated)
            assert await stream.deliver_to(consumer) == 5000
            assert sorted(consumer.seen) == list(range(5000))
            consumer = PausingConsumer(reactor, stop_after=1200)
            stream = session.stream(f"SELECT id, data FROM {keyspace}.t", page_size=500, dedicated=dedicated)
            assert await stream.deliver_to(consumer) == 1200
            stream.pauseProducing()
            stream.resumeProducing()
            stream.stopProducing()
        assert session.snapshot()["dedicated"] == []
    finally:
        await session.execute(f"DROP KEYSPACE {keyspace}")


@implementer(IRowConsumer)
class PausingConsumer:
    """Pauses after every seven hundred rows, twice and within a row, and may stop."""

    def __init__(self, reactor, stop_after=None):
        self.reactor = reactor
        self.stop_after = stop_after
        self.seen: list[int] = []
        self.paused = False

    def registerProducer(self, producer, streaming):
        self.producer = producer

    def unregisterProducer(self):
        pass

    def write(self, row):
        assert not self.paused
        self.seen.append(row.id)
        if len(self.seen) == self.stop_after:
            self.producer.stopProducing()
        elif len(self.seen) % 700 == 0:
            self.paused = True
            self.producer.pauseProducing()
            self.producer.pauseProducing()
            self.reactor.callLater(0.05, self.resume)

    def resume(self):
        self.paused = False
        self.producer.resumeProducing()
        self.producer.resumeProducing()


async def test_much_data(open_session, secure):
    """Answers and requests of many segments, and many at the same time."""
    session = await open_session(secure, tls=trusting(secure), compression="lz4", **superuser(secure))
    keyspace = f"live_{uuid4().hex[:16]}"
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    await session.execute(f"CREATE KEYSPACE {keyspace} WITH replication = {replication}")
    try:
        await session.execute(f"CREATE TABLE {keyspace}.t (k int PRIMARY KEY, v blob)")
        rows = [(number, os.urandom(20_000)) for number in range(200)]
        await session.execute_many(f"INSERT INTO {keyspace}.t (k, v) VALUES (?, ?)", rows)
        found = [row async for row in session.stream(f"SELECT k, v FROM {keyspace}.t", page_size=30)]
        assert sorted(found) == rows
    finally:
        await session.execute(f"DROP KEYSPACE {keyspace}")


async def test_unknown_authority(reactor, secure, tmp_path):
    """The certificate's own reason, the host, and the setting."""
    stranger = Authority(tmp_path, "stranger")
    text = await refused(reactor, secure, tls=txcql.TLS(stranger.certificate), **superuser(secure))
    assert f'the certificate of "{secure.nodes[0].address}" is not accepted' in text
    assert "self-signed certificate in certificate chain" in text
    assert f"tls=TLS(trust_root={stranger.certificate!r}" in text


async def test_platform_trust(reactor, secure):
    """The platform does not know the authority, either."""
    assert "its authority is not trusted" in await refused(reactor, secure, tls=txcql.TLS())


async def test_wrong_name(reactor, open_session, secure):
    """The names in the certificate are told; ``verify="ca"`` does not mind."""
    tls = trusting(secure, server_name="db.example.com")
    text = await refused(reactor, secure, tls=tls, **superuser(secure))
    address = secure.nodes[0].address
    assert f'the certificate of "db.example.com" is not accepted: it is for "{address}"' in text
    tls = trusting(secure, server_name="db.example.com", verify="ca")
    session = await open_session(secure, tls=tls, **superuser(secure))
    assert (await session.execute(LOCAL)).one().key == "local"


async def test_plaintext_to_tls(reactor, secure):
    """A node of 5.0 hangs up without a word; what that may mean is told. An older one says more."""
    text = await refused(reactor, secure, TLSError if OLDER else ConnectionLost, **superuser(secure))
    if OLDER:
        assert "speaks TLS, and this link does not" in text
    else:
        assert "the node closed the link before it answered anything: it may speak TLS" in text
    assert "give tls=, as in tls=txcql.TLS()" in text


async def test_tls_to_plaintext(reactor, cassandra):
    """The node answers in CQL."""
    text = await refused(reactor, cassandra, tls=txcql.TLS(verify="none"))
    assert "it answers in plaintext: it does not speak TLS, leave out tls=" in text


async def login_refused(reactor: Any, held: Lease, **settings: Any) -> str:
    """Connect with TLS where the login fails.

    :returns: What the error says, behind the node's name.
    """
    error = await failure_of(txcql.connect(reactor, [held.nodes[0].address], tls=trusting(held), **settings))
    assert isinstance(error, AuthenticationFailed)
    assert error.node == name_of(held)
    return str(error).removeprefix(f"{name_of(held)}: ")


async def test_wrong_password(reactor, secure):
    """The server's words."""
    text = await login_refused(reactor, secure, username="cassandra", password="wrong")
    assert text == "Provided username cassandra and/or password are incorrect"


async def test_no_login(reactor, secure):
    """It says that a login is needed, and how to give one."""
    text = await login_refused(reactor, secure)
    assert text.startswith("the node asks for a login")
    assert text.endswith("give username and password")


async def test_a_role_without_login(reactor, admin, secure):
    """It exists, and has a password, and may not."""
    await admin.execute("CREATE ROLE IF NOT EXISTS mute WITH PASSWORD = 'p' AND LOGIN = false")
    try:
        text = await login_refused(reactor, secure, username="mute", password="p")
        assert text == "mute is not permitted to log in"
    finally:
        await admin.execute("DROP ROLE mute")


async def test_password_changed_under_a_session(reactor, open_session, admin, role, secure):
    """Links that are there go on; new ones log in with what the callable gives by then."""
    passwords = ["first"]
    settings: dict[str, Any] = {"tls": trusting(secure), "username": role, "heartbeat_interval": 1.0}
    settings["reconnection"] = ExponentialReconnectionPolicy(0.1, 1.0)
    session = await open_session(secure, password=lambda: succeed(passwords[-1]), **settings)
    await admin.execute(f"ALTER ROLE {role} WITH PASSWORD = 'second'")
    assert (await session.execute(LOCAL)).one().key == "local"

    [pool] = session.pools.values()

    def why() -> str:
        return str(pool.error)

    pool.links[0].close()
    # The server forgets the old password within its cache's time.
    await eventually(reactor, lambda: "are incorrect" in why() or pool.up, seconds=10.0)
    if pool.up:
        await deferLater(reactor, 2.5)
        pool.links[0].close()
        await eventually(reactor, lambda: "are incorrect" in why(), seconds=10.0)
    passwords.append("second")
    result = await eventually(
        reactor, lambda: session.execute(LOCAL) if pool.up else None, seconds=15.0, interval=0.1
    )
    assert result.one().key == "local"


async def test_password_over_plaintext(reactor, open_session, guarded):
    """Refused where it is told to be; the nodes of this test are on loopback addresses."""
    error = await failure_of(
        txcql.connect(reactor, [guarded.nodes[0].address], require_tls_for_login=True, **superuser(guarded))
    )
    assert isinstance(error, AuthenticationFailed)
    assert str(error) == (
        f"{name_of(guarded)}: no login over plaintext (require_tls_for_login): "
        "give tls=, as in tls=txcql.TLS()"
    )


async def test_client_certificate(reactor, open_session, mutual):
    """It is required: given it works, and missing that is said, though TLS 1.3 tells at the first read."""
    assert mutual.tls is not None
    tls = trusting(mutual, certificate=mutual.tls.certificate, key=mutual.tls.key)
    session = await open_session(mutual, tls=tls)
    assert (await session.execute(LOCAL)).one().key == "local"
    text = await refused(reactor, mutual, tls=trusting(mutual))
    assert "it requires a certificate of the client: give certificate and key" in text
    assert "tlsv13 alert certificate required" in text


async def test_expired(reactor, open_session, mutual, tmp_path):
    """A node whose certificate has run out, and then has a new one, which takes no restart of ours."""
    assert mutual.tls is not None
    files = Path(mutual.tls.authority).parent
    tls = trusting(mutual, certificate=mutual.tls.certificate, key=mutual.tls.key)
    commands = mutual.control(reactor)
    good = Path(mutual.tls.keystore).read_bytes()
    authority = Authority.load(tmp_path, Path(mutual.tls.authority), files / "ca.key")
    certificate, key = authority.sign("late", mutual.nodes[0].address, begins=-9, ends=-1)
    Path(mutual.tls.keystore).write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"node",
            serialization.load_pem_private_key(key.read_bytes(), None),  # type: ignore[arg-type]
            load_pem_x509_certificate(certificate.read_bytes()),
            [load_pem_x509_certificate(authority.certificate.read_bytes())],
            serialization.BestAvailableEncryption(PASSWORD.encode()),
        )
    )
    await commands.nodetool(0, "reloadssl")
    assert "it has expired (not valid after 20" in await refused(reactor, mutual, tls=tls)
    Path(mutual.tls.keystore).write_bytes(good)
    await commands.nodetool(0, "reloadssl")
    session = await open_session(mutual, tls=tls)
    assert (await session.execute(LOCAL)).one().key == "local"


def test_no_global_reactor(secure, tmp_path):
    """A session with TLS on a reactor of asyncio's that is installed nowhere, in a process of its own."""
    assert secure.tls is not None
    where = [secure.nodes[0].address, secure.tls.authority, *superuser(secure).values()]
    path = os.pathsep.join((str(Path(txcql.__file__).parent.parent), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "txcql.test.reactorless", "--real", *where],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout == "0 modules imported, the programs ran, and no reactor\n"
