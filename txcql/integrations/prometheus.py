"""The metrics of sessions for ``prometheus_client`` (extra ``prometheus``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from txcql.integrations.metricfamilies import COUNTER, HISTOGRAM, MetricFamily, metric_families
from txcql.integrations.requestmetrics import BOUNDS, RequestMetrics

__all__ = ["CassandraCollector"]


class CassandraCollector(Collector):
    """Collects the metrics of sessions, when Prometheus asks for them.

    Register it: ``prometheus_client.REGISTRY.register(CassandraCollector(shop=session))``. It must be
    asked in the thread of the sessions' reactor, as ``prometheus_client.twisted.MetricsResource`` and
    :class:`~txcql.integrations.web.StatusResource` do, not by ``start_http_server``, which starts a
    thread.

    :param requests: for some sessions, by the same names, the
        :class:`~txcql.integrations.requestmetrics.RequestMetrics` that is among their ``observers``.
    :param sessions: what has ``snapshot()``, by the name that it is to have.
    """

    def __init__(self, requests: Mapping[str, RequestMetrics] | None = None, /, **sessions: Any) -> None:
        self._requests = dict(requests or {})
        self._sessions = sessions
        unknown = set(self._requests) - set(sessions)
        if unknown:
            raise ValueError(f"there is no session {', '.join(sorted(unknown))} among those given")

    def describe(self) -> list[Metric]:
        """Nothing: the sessions are not asked when the collector is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        snapshots = {name: session.snapshot() for name, session in self._sessions.items()}
        for family in metric_families(snapshots, self._requests):
            yield _made(family)


def _made(family: MetricFamily) -> Metric:
    names = sorted({name for labels, _ in family.samples for name in labels})
    kind: Any = {COUNTER: CounterMetricFamily, HISTOGRAM: HistogramMetricFamily}.get(
        family.kind, GaugeMetricFamily
    )
    made = kind(family.name, family.help, labels=names)
    for labels, value in family.samples:
        values = [labels[name] for name in names]
        if family.kind != HISTOGRAM:
            made.add_metric(values, value)
            continue
        total = 0
        buckets = []
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), value.counts, strict=True):
            total += count
            buckets.append((bound, total))
        made.add_metric(values, buckets, value.sum)
    metric: Metric = made
    return metric
