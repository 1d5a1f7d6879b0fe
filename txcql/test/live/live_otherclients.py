"""Clients that are not ours, each in an environment of its own, on ``python -m txcql fake``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from txcql.test.cassandra.folders import cache_folder, locked

CQLSH = "cqlsh==6.2.2"

SCRIPT = """
CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 2, 'dc2': 1};
CREATE TABLE shop.goods (id int, place text, name text, tags set<text>, PRIMARY KEY (id, place));
INSERT INTO shop.goods (id, place, name, tags) VALUES (1, 'hall', 'lamp', {'x', 'y'});
SELECT name, tags FROM shop.goods WHERE id = 1;
DESCRIBE TABLE shop.goods;
"""

PROGRAM = """
import sys
from cassandra.cluster import Cluster
cluster = Cluster(["127.0.0.1"], port=int(sys.argv[1]))
session = cluster.connect()
print(sorted(host.datacenter for host in cluster.metadata.all_hosts()))
session.execute("CREATE KEYSPACE drv WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 2}")
session.set_keyspace("drv")
session.execute("CREATE TABLE t (k int, c int, v list<text>, PRIMARY KEY (k, c))")
insert = session.prepare("INSERT INTO t (k, c, v) VALUES (?, ?, ?)")
for number in range(25):
    session.execute(insert, (1, number, ["a", str(number)]))
select = session.prepare("SELECT * FROM t WHERE k = ?")
select.fetch_size = 10
print(len(list(session.execute(select, (1,)))), insert.routing_key_indexes)
print(cluster.metadata.keyspaces["drv"].tables["t"].export_as_string().splitlines()[0])
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def peers() -> Path:
    """An environment with cqlsh, which brings cassandra-driver; made once, in the cache."""
    folder = cache_folder() / "otherclients"
    with locked(cache_folder() / "otherclients.lock"):
        if not (folder / "bin" / "cqlsh").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=120)
            subprocess.run([str(folder / "bin" / "pip"), "install", "-q", CQLSH], check=True, timeout=300)
    return folder / "bin"


@pytest.fixture
def port() -> Iterator[str]:
    """Three nodes in two data centers, in a process of their own; the port of the first."""
    command = [sys.executable, "-m", "txcql", "fake", "--dc", "dc1:2,dc2:1", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as fake:
        assert fake.stdout is not None
        lines = [fake.stdout.readline() for _ in range(4)]
        assert lines[3] == "ready\n", lines
        yield lines[0].strip().rpartition(":")[2]
        fake.terminate()


def run(*command: str | Path) -> str:
    """Run a client; what it printed."""
    done = subprocess.run(
        [*map(str, command)], capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_cqlsh(peers, port, tmp_path):
    """It connects, creates, inserts, selects and describes."""
    script = tmp_path / "script.cql"
    script.write_text(SCRIPT, encoding="utf-8")
    printed = run(peers / "cqlsh", "127.0.0.1", port, "-f", script)
    assert " lamp | {'x', 'y'}" in printed
    assert "CREATE TABLE shop.goods (\n    id int,\n    place text,\n    name text,\n" in printed


def test_cassandra_driver(peers, port):
    """It finds all nodes and the schema, prepares, and reads page by page."""
    printed = run(peers / "python", "-c", PROGRAM, port)
    assert printed.splitlines() == ["['dc1', 'dc1', 'dc2']", "25 [0]", "CREATE TABLE drv.t ("]
