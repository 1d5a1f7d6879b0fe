"""The fixtures of ``txcql.testing`` where a real reactor runs, and the fake on sockets."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import txcql
from txcql.test.certificates import Authority
from txcql.testing import FakeCluster, Split
from txcql.testing.cassandrafixture import VARIABLE

TWISTED_SUITE = """
import pytest_twisted

@pytest_twisted.ensureDeferred
async def test_write(cassandra_session):
    await cassandra_session.execute("CREATE TABLE t (k int PRIMARY KEY, v text)")
    await cassandra_session.execute("INSERT INTO t (k, v) VALUES (?, ?)", [1, "one"])
    assert (await cassandra_session.execute("SELECT v FROM t WHERE k = ?", [1])).one().v == "one"

@pytest_twisted.ensureDeferred
async def test_another_keyspace(cassandra_session):
    await cassandra_session.execute("CREATE TABLE t (k int PRIMARY KEY)")
    assert (await cassandra_session.execute("SELECT * FROM t")).all() == []
"""

TRIAL_SUITE = """
from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase
from txcql.testing.trialmixin import CassandraMixin

TABLE = "CREATE TABLE t (k int PRIMARY KEY)"

class Asynchronous(CassandraMixin, TestCase):
    cassandra_reactor = reactor

    async def test_rows(self):
        await self.session.execute(TABLE)
        self.assertEqual((await self.session.execute("SELECT * FROM t")).all(), [])

class Synchronous(CassandraMixin, SynchronousTestCase):
    def test_rows(self):
        self.run_until_done(self.session.execute(TABLE))
        self.assertEqual(self.run_until_done(self.session.execute("SELECT * FROM t")).all(), [])
"""


def run(folder, real, *command):
    """Run a program in a folder, on the fake or on a real cluster.

    :returns: What it printed.
    """
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    if real is not None:
        environment[VARIABLE] = real
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=["fake", "real"])
def where(request, cassandra):
    """Name the cluster that tests of applications are led to.

    :returns: Its contact point; None for the fake.
    """
    return None if request.param == "fake" else cassandra.nodes[0].address


def test_pytest_twisted(tmp_path, where):
    """Tests are coroutines on its reactor, each with a keyspace of its own."""
    (tmp_path / "test_app.py").write_text(TWISTED_SUITE, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\ncassandra_reactor = twisted\n", encoding="utf-8")
    said = run(tmp_path, where, "pytest", "-q", "-p", "txcql.testing.pytestplugin", "test_app.py")
    assert "2 passed" in said


def test_trial(tmp_path, where):
    """Both kinds of test cases, in one process."""
    (tmp_path / "test_app.py").write_text(TRIAL_SUITE, encoding="utf-8")
    assert "PASSED (successes=2)" in run(tmp_path, where, "twisted.trial", "test_app")


async def test_a_fake_that_speaks_tls(reactor, tmp_path):
    """In a process of its own, with a login; another one connects to it."""
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.sign("node", "127.0.0.1")
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    login = ["--username", "ada", "--password", "geheim"]
    command = [sys.executable, "-m", "txcql", "fake", "--port", "0", "--tls", str(both), *login]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as fake:
        try:
            assert fake.stdout is not None
            address = fake.stdout.readline().split()[-1]
            assert fake.stdout.readline() == "ready\n"
            session = await txcql.connect(
                reactor,
                [address],
                tls=txcql.TLS(trust_root=authority.certificate),
                username="ada",
                password="geheim",
            )
            row = (await session.execute("SELECT release_version FROM system.local")).one()
            assert row == ("5.0.5",)
            await session.close()
        finally:
            fake.terminate()


async def test_pieces_on_a_socket(reactor):
    """A fault that cuts answers in pieces does so over TCP too."""
    cluster = FakeCluster(reactor)
    await cluster.listen()
    session = await txcql.connect(reactor, cluster.contact_points)
    cluster.inject(Split(3))
    await session.execute(
        "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
    )
    await session.execute("CREATE TABLE ks.t (k int PRIMARY KEY, v text)")
    await session.execute("INSERT INTO ks.t (k, v) VALUES (?, ?)", [1, "x" * 500])
    assert (await session.execute("SELECT v FROM ks.t WHERE k = ?", [1])).one().v == "x" * 500
    await session.close()
    await cluster.close()
