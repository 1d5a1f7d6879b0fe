"""Tests for :mod:`txcql.integrations.requestmetrics`, and for the families that are made of them."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.errors import InvalidRequest, Overloaded
from txcql.integrations.metricfamilies import metric_families, text_format
from txcql.integrations.prometheus import CassandraCollector
from txcql.integrations.requestmetrics import (
    BOUNDS,
    MOST_NODES,
    OTHER,
    Histogram,
    RequestMetrics,
    operation_of,
)
from txcql.interfaces import IRequestObserver
from txcql.session.requestevents import FAILED, RequestEvent, RequestInfo
from txcql.test.scriptedsession import INSERT, LIST, SessionTestCase, held

NODE = "10.0.0.1:9042"


class HistogramTests(SynchronousTestCase):
    """How many took how long."""

    def test_counts(self) -> None:
        """A bound belongs to its own bucket; what is beyond all of them has one, too."""
        histogram = Histogram()
        for seconds in (0.0, BOUNDS[0], BOUNDS[0] * 1.01, 11.0):
            histogram.add(seconds)
        self.assertEqual(histogram.counts, [2, 1, *[0] * (len(BOUNDS) - 2), 1])
        self.assertEqual(histogram.count, 4)
        self.assertAlmostEqual(histogram.sum, 11.0 + BOUNDS[0] * 2.01)

    def test_quantiles(self) -> None:
        """As exactly as the buckets tell."""
        self.assertIsNone(Histogram.quantile([0, 0], 0.5))
        histogram = Histogram()
        for _ in range(98):
            histogram.add(0.004)
        histogram.add(0.4)
        histogram.add(100.0)
        median = Histogram.quantile(histogram.counts, 0.5)
        assert median is not None
        self.assertTrue(0.0025 < median < 0.005)
        self.assertAlmostEqual(Histogram.quantile(histogram.counts, 0.99) or 0, 0.5)
        self.assertEqual(Histogram.quantile(histogram.counts, 1.0), 20.0)


class OperationTests(SynchronousTestCase):
    """What a statement does."""

    def test_operations(self) -> None:
        """The first word, if it is one that is known."""
        for text, expected in (
            ("SELECT * FROM t", "SELECT"),
            ("  -- why\n /* or */ insert into t", "INSERT"),
            ("BEGIN UNLOGGED BATCH", "BATCH"),
            ("", OTHER),
            ("' OR 1", OTHER),
            ("frobnicate 17", OTHER),
        ):
            self.assertEqual(operation_of(text), expected)


class RequestMetricsTests(SessionTestCase):
    """What is counted of a session's requests."""

    def begin(self, **settings: Any) -> None:
        self.requests = RequestMetrics()
        self.connect(observers=[self.requests], **settings)

    def execute(self, text: str, parameters: Any = None) -> Any:
        assert self.session is not None
        return self.session.execute(text, parameters)

    def test_interface(self) -> None:
        """It is an observer, and wants no values."""
        verifyObject(IRequestObserver, RequestMetrics())
        self.assertFalse(RequestMetrics().wants_values)

    def test_times(self) -> None:
        """Of the request, and of its attempt; those in the queue have waited."""
        self.begin(max_requests_per_connection=10)
        self.one.holds = held
        waiting = [self.execute(LIST) for _ in range(9)]
        self.reactor.settle()
        self.reactor.advance(0.3)
        self.one.release()
        self.reactor.settle()
        self.reactor.advance(0.3)
        self.one.release()
        for request in waiting:
            self.answer(request)
        node = self.requests.nodes[NODE]
        self.assertEqual(self.requests.operations["SELECT"].count, 9)
        self.assertAlmostEqual(self.requests.answered.sum, 8 * 0.3 + 0.6)
        self.assertEqual(node.attempts.count, 9)
        self.assertAlmostEqual(node.attempts.sum, 9 * 0.3)
        self.assertEqual(node.queue_wait.count, 1)
        self.assertAlmostEqual(node.queue_wait.sum, 0.3)
        self.assertGreater(node.bytes_sent, 9 * len(LIST))
        self.assertGreater(node.bytes_received, 9)
        self.assertEqual(repr(self.requests), "<RequestMetrics requests=9 errors=0>")

    def test_errors(self) -> None:
        """By class, where they came from; the request fails once."""
        self.begin()
        self.one.teach("SELECT bad", lambda asked: asked.error(InvalidRequest("no")))
        self.error(self.execute("SELECT bad"), InvalidRequest)
        self.assertEqual(self.requests.errors, {"InvalidRequest": 1})
        self.assertEqual(self.requests.nodes[NODE].errors, {"InvalidRequest": 1})
        self.assertEqual((self.requests.finished, self.requests.answered.count), (1, 0))

    def test_retries(self) -> None:
        """They are counted for the node that failed, by its error."""
        two = self.node("10.0.0.2")
        self.teach(two)
        self.begin()
        self.one.statements[LIST].reply = lambda asked: asked.error(Overloaded("busy"))
        for _ in range(4):
            self.answer(self.execute(LIST))
        node = self.requests.nodes[NODE]
        self.assertEqual(node.errors, node.retries)
        self.assertEqual(node.errors["Overloaded"], 2)
        self.assertEqual(node.unsent, 2)
        self.assertEqual(self.requests.errors, {})
        self.assertEqual(self.requests._failed, {})

    def test_prepares(self) -> None:
        """Those of the driver's own are no requests of the application."""
        self.begin()
        self.answer(self.execute(INSERT, [1, "v"]))
        self.assertEqual((self.requests.preparing, self.requests.finished), (1, 1))
        self.assertEqual(list(self.requests.operations), ["INSERT"])

    def test_bounds(self) -> None:
        """However many nodes come and go, no more of them are kept."""
        requests = RequestMetrics()
        for number in range(MOST_NODES + 50):
            info = RequestInfo(number, "SELECT", None, None, False, 1.0, 0.0)
            requests.request_step(RequestEvent(info, FAILED, 0.0, f"node {number}", InvalidRequest("no")))
        self.assertEqual(len(requests.nodes), MOST_NODES + 1)
        self.assertEqual(requests.nodes[OTHER].errors["InvalidRequest"], 50)


class FamiliesTests(SessionTestCase):
    """The list of metrics, as each exporter gives it."""

    def begin(self) -> None:
        self.requests = RequestMetrics()
        session = self.connect(observers=[self.requests])
        self.one.teach("SELECT bad", lambda asked: asked.error(InvalidRequest("no")))
        self.answer(session.execute(LIST))
        self.error(session.execute("SELECT bad"), InvalidRequest)
        self.session = session

    def families(self) -> Any:
        assert self.session is not None
        return metric_families({"shop": self.session.snapshot()}, {"shop": self.requests}, {"shop": 0.25})

    def test_text(self) -> None:
        """Prometheus can read it, and finds each value once."""
        self.begin()
        text = text_format(self.families())
        found: dict[tuple[Any, ...], float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = (sample.name, *sorted(sample.labels.items()))
                self.assertNotIn(key, found)
                found[key] = sample.value
        node = (("datacenter", "dc1"), ("node", NODE), ("session", "shop"))
        up, opened = ("txcql_node_up", *node), ("txcql_node_connections", *node, ("state", "open"))
        self.assertEqual((found[up], found[opened]), (1, 1))
        self.assertEqual(found["txcql_reactor_lag_seconds", ("session", "shop")], 0.25)
        self.assertEqual(
            found["txcql_request_duration_seconds_count", ("operation", "SELECT"), ("session", "shop")], 2
        )
        self.assertEqual(
            found["txcql_requests_failed_total", ("error", "InvalidRequest"), ("session", "shop")], 1
        )

    def test_prometheus_client(self) -> None:
        """The collector gives the same."""
        self.begin()
        registry = CollectorRegistry()
        registry.register(CassandraCollector({"shop": self.requests}, shop=self.session))
        given = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(generate_latest(registry).decode())
            for sample in family.samples
        }
        own = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text_format(self.families()))
            for sample in family.samples
            if sample.name != "txcql_reactor_lag_seconds"
        }
        self.assertEqual(given, own)

    def test_unknown_session(self) -> None:
        """Requests of a session that is not given are a mistake."""
        error = self.assertRaises(ValueError, CassandraCollector, {"shop": RequestMetrics()})
        self.assertIn("shop", str(error))

    def test_escapes(self) -> None:
        """Names are text of the cluster's: they stay inside their quotes."""
        self.begin()
        assert self.session is not None
        snapshot = self.session.snapshot()
        snapshot["nodes"][NODE]["datacenter"] = 'a"b\\c\nd'
        text = text_format(metric_families({"shop": snapshot}))
        (sample,) = next(
            family.samples
            for family in text_string_to_metric_families(text)
            if family.name == "txcql_node_up"
        )
        self.assertEqual(sample.labels["datacenter"], 'a"b\\c\nd')

    def test_cardinality(self) -> None:
        """A thousand different statements make no further metric."""
        self.begin()
        before = sum(len(family.samples) for family in self.families())
        assert self.session is not None
        for number in range(1000):
            self.error(self.session.execute(f"SELECT bad, {number}"), InvalidRequest)
        self.assertEqual(sum(len(family.samples) for family in self.families()), before)
