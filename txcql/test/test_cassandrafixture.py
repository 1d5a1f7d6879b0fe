"""The fixtures: in memory, and where they are led."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

import txcql
from txcql.testing import MemoryReactor
from txcql.testing.cassandrafixture import VARIABLE, CassandraFixture, real_contact_points
from txcql.testing.trialmixin import CassandraMixin

TABLE = "CREATE TABLE t (k int PRIMARY KEY, v text)"

SUITE = """
import pytest

def test_one(cassandra_session, cassandra_run):
    cassandra_run(cassandra_session.execute("CREATE TABLE t (k int PRIMARY KEY)"))
    cassandra_run(cassandra_session.execute("INSERT INTO t (k) VALUES (1)"))

def test_two(cassandra_session, cassandra_run):
    async def work():
        await cassandra_session.execute("CREATE TABLE t (k int PRIMARY KEY)")
        return (await cassandra_session.execute("SELECT * FROM t")).all()
    assert cassandra_run(work()) == []

@pytest.mark.cassandra(nodes=3)
def test_three(cassandra_cluster, cassandra_session):
    assert len(cassandra_cluster.nodes) == 3
    assert len(cassandra_session.snapshot()["nodes"]) == 3
"""


class CassandraFixtureTests(SynchronousTestCase):
    """:class:`CassandraFixture`."""

    def test_the_environment_variable(self) -> None:
        """Contact points, and a login if there is one."""
        for text, expected in (
            ("", ([], {})),
            ("10.0.0.1", (["10.0.0.1"], {})),
            ("h:9042, [::1]:9042", (["h:9042", "[::1]:9042"], {})),
            ("ada:s:e@h", (["h"], {"username": "ada", "password": "s:e"})),
        ):
            self.patch(os, "environ", {VARIABLE: text})
            self.assertEqual(real_contact_points(), expected)

    def test_in_memory(self) -> None:
        """Without the variable; each session has a keyspace of its own."""
        self.patch(os, "environ", {})
        fixture = CassandraFixture(nodes=2)
        self.assertIsInstance(fixture.reactor, MemoryReactor)
        assert fixture.cluster is not None
        self.assertEqual(len(fixture.cluster.nodes), 2)
        first, second = fixture.run(fixture.open_session()), fixture.run(fixture.open_session())
        for session in (first, second):
            fixture.run(session.execute(TABLE))
        fixture.run(fixture.close())

    def test_what_can_be_waited_for(self) -> None:
        """Deferreds, coroutines, and what else has ``__await__``."""

        class Later:
            def __await__(self):
                return succeed(3).__await__()

        async def coroutine() -> int:
            return await succeed(2)

        self.patch(os, "environ", {})
        fixture = CassandraFixture()
        self.assertEqual([fixture.run(w) for w in (succeed(1), coroutine(), Later())], [1, 2, 3])


class MixinTests(CassandraMixin, SynchronousTestCase):
    """:class:`CassandraMixin`, in use; every test makes the same table."""

    def test_first(self) -> None:
        """One keyspace."""
        self.run_until_done(self.session.execute(TABLE))
        self.run_until_done(self.session.execute("INSERT INTO t (k, v) VALUES (1, 'a')"))
        self.cluster.requests.assert_received("INSERT INTO t (k, v) VALUES (1, 'a')", times=1)

    def test_second(self) -> None:
        """Another."""
        self.run_until_done(self.session.execute(TABLE))
        self.assertEqual(self.run_until_done(self.session.execute("SELECT * FROM t")).all(), [])


class PytestPluginTests(SynchronousTestCase):
    """The plugin, in a process of its own."""

    def test_fixtures(self) -> None:
        """A session, what waits, the fake cluster and its options."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "test_users.py").write_text(SUITE, encoding="utf-8")
            beside = Path(txcql.__file__).parent.parent / "docs" / "examples"
            five = Path(os.environ.get("TXCQL_EXAMPLES") or beside, "fivelines.py")
            Path(folder, "test_fivelines.py").write_text(five.read_text(encoding="utf-8"), encoding="utf-8")
            Path(folder, "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
            environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                    *("-p", "txcql.testing.pytestplugin", "--rootdir", folder, folder),
                ],
                capture_output=True,
                encoding="utf-8",
                env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
                timeout=120,
                check=False,
            )
        self.assertIn("4 passed", done.stdout, done.stdout + done.stderr)
