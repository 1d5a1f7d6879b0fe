"""The nodes of a fake cluster, and the consistency levels that they can meet."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcql import errors
from txcql.consistency import consistency_code
from txcql.testing.faketopology import check_consistency, make_nodes

NTS = "org.apache.cassandra.locator.NetworkTopologyStrategy"
SIMPLE = "org.apache.cassandra.locator.SimpleStrategy"


class ConsistencyTests(SynchronousTestCase):
    """:func:`check_consistency`."""

    def setUp(self) -> None:
        self.nodes = make_nodes({"dc1": 3, "dc2": 1})

    def check(self, replication: dict[str, str], level: str, write: bool = False) -> None:
        check_consistency(replication, consistency_code(level), self.nodes, "dc1", write)

    def refused(self, replication: dict[str, str], level: str) -> tuple[int, int]:
        error = self.assertRaises(errors.Unavailable, self.check, replication, level)
        self.assertEqual(error.consistency, level)
        return error.required, error.alive

    def test_enough(self) -> None:
        """Three replicas here, one there."""
        for level in ("ONE", "TWO", "THREE", "QUORUM", "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "LOCAL_ONE"):
            self.check({"class": NTS, "dc1": "3", "dc2": "1"}, level)

    def test_too_few(self) -> None:
        """More replicas asked for than there are nodes."""
        replication = {"class": NTS, "dc1": "5", "dc2": "2"}
        self.assertEqual(self.refused(replication, "ALL"), (7, 4))
        self.assertEqual(self.refused(replication, "EACH_QUORUM"), (2, 1))
        self.check(replication, "LOCAL_QUORUM")
        self.check(replication, "QUORUM")

    def test_none_here(self) -> None:
        """A keyspace that is replicated elsewhere only."""
        replication = {"class": NTS, "dc2": "1"}
        self.assertEqual(self.refused(replication, "LOCAL_ONE"), (1, 0))
        self.check(replication, "ONE")

    def test_simple(self) -> None:
        """SimpleStrategy knows no datacenters."""
        self.check({"class": SIMPLE, "replication_factor": "4"}, "ALL")
        self.assertEqual(self.refused({"class": SIMPLE, "replication_factor": "5"}, "ALL"), (5, 4))

    def test_no_nodes(self) -> None:
        """A cluster has nodes."""
        self.assertRaises(ValueError, make_nodes, {})
        self.assertRaises(ValueError, make_nodes, {"dc1": 0})
