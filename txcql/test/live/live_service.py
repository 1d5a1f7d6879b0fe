"""A session as a service: within a process, and as what ``twist`` and ``twistd`` run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection

import pytest

import txcql
from txcql.errors import AuthenticationFailed, NoNodeAvailable, SessionClosed
from txcql.test.live.conftest import REPLICATION
from txcql.test.live.live_programs import examples
from txcql.test.live.releases import RELEASE
from txcql.test.live.wires import PLAIN_WIRES

TEXT = "SELECT release_version FROM system.local"

TWIST = [sys.executable, "-c", "from twisted.application.twist._twist import Twist; Twist.main()"]
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


@pytest.mark.parametrize("wire", PLAIN_WIRES, ids=str)
async def test_started_and_stopped_twice(reactor, cassandra, wire):
    """Each time it has a session of its own; in between it says that it has none."""
    service = txcql.CassandraService(reactor, [cassandra.nodes[0].address], **wire.settings)
    for _ in range(2):
        with pytest.raises(SessionClosed):
            _ = service.session
        service.startService()
        with pytest.raises(NoNodeAvailable):
            _ = service.session
        session = await service.when_ready()
        assert service.session is session
        answers = [session.execute(TEXT) for _ in range(20)]
        await service.stopService()
        assert [(await answer).one() for answer in answers] == [(RELEASE,)] * 20


async def test_a_refused_login_is_told(reactor, guarded):
    """To those who do not wait for ever."""
    service = txcql.CassandraService(
        reactor, [guarded.nodes[0].address], username="nobody", password="wrong-secret"
    )
    service.startService()
    patient = service.when_ready()
    with pytest.raises(AuthenticationFailed):
        await service.when_ready(fail_after=1)
    assert not patient.called
    patient.addErrback(lambda failure: failure.trap(SessionClosed))
    await service.stopService()
    await patient


def free_port():
    """Ask the kernel for a port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def ask(port, method, path, body=None):
    """Ask the site; until it listens, and until it has a session.

    :returns: Its answer's status and body.
    """
    end = time.monotonic() + 20
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            if answer.status != 503 or time.monotonic() > end:
                return answer.status, answer.read().decode()
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
        finally:
            connection.close()
        time.sleep(0.1)


@pytest.mark.parametrize("runner", ["twist", "twistd"])
async def test_the_site_of_the_documentation(cassandra, open_session, runner, tmp_path):
    """It reads and writes, streams, and ends when it is told to; its log holds no error."""
    session = await open_session()
    address = cassandra.nodes[0].address
    await session.execute(f"CREATE KEYSPACE IF NOT EXISTS shop WITH replication = {REPLICATION}")
    await session.execute("CREATE TABLE shop.planets (name text PRIMARY KEY, moons int)")
    port = free_port()
    arguments = {
        "twist": [
            *TWIST,
            "txcql",
            f"--contact-point={address}",
            "--keyspace=shop",
            "--run=kleinsite.make_service",
        ],
        "twistd": [*TWISTD, "--nodaemon", "--pidfile=", f"--python={examples() / 'kleinsite.tac'}"],
    }
    site = subprocess.Popen(
        arguments[runner],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(examples()), *sys.path]),
            "SITE": f"tcp:{port}:interface=127.0.0.1",
            "CASSANDRA": address,
        },
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    try:
        status, _ = ask(port, "PUT", "/planets/Mars", json.dumps({"moons": 2}))
        assert status == 200
        status, body = ask(port, "GET", "/planets/Mars")
        assert (status, json.loads(body)) == (200, {"name": "Mars", "moons": 2})
        status, body = ask(port, "GET", "/planets")
        assert (status, body) == (200, '{"name":"Mars","moons":2}\n')
        assert ask(port, "GET", "/planets/Vulcan")[0] == 404
    finally:
        site.terminate()
        log, _ = site.communicate(timeout=20)
        await session.execute("DROP KEYSPACE shop")
    assert "Traceback" not in log, log
    assert "is up" in log, log
