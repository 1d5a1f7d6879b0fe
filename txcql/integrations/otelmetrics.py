"""The state of sessions as OpenTelemetry's metrics (extra ``otel``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txcql._version import __version__
from txcql.integrations.metricfamilies import COUNTER, HISTOGRAM, MetricFamily, metric_families
from txcql.integrations.requestmetrics import RequestMetrics

__all__ = ["SessionInstruments"]


class SessionInstruments:
    """Tells OpenTelemetry what ``session.snapshot()`` says: ``txcql.node.in_flight`` and all the others.

    OpenTelemetry asks in a thread of its own. So the sessions are looked at in the reactor's thread, every
    few seconds from :meth:`start` to :meth:`stop`, and it is told what was seen last. Times of requests
    are the business of :class:`~txcql.integrations.otel.OpenTelemetry`.

    :param clock: the reactor of the sessions.
    :param sessions: what has ``snapshot()``, by the name that it is to have.
    :param meter_provider: makes the meter; ``None`` takes the global one.
    :param requests: for some sessions, by the same names, the
        :class:`~txcql.integrations.requestmetrics.RequestMetrics` that is among their ``observers``.
    :param interval: seconds between two looks.
    """

    def __init__(
        self,
        clock: IReactorTime,
        sessions: dict[str, Any],
        meter_provider: Any = None,
        *,
        requests: dict[str, RequestMetrics] | None = None,
        interval: float = 5.0,
    ) -> None:
        self._clock = clock
        self._sessions = sessions
        self._requests = requests
        self._interval = interval
        self._meter = metrics.get_meter("txcql", __version__, meter_provider)
        self._families: dict[str, MetricFamily] = {}
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to look."""
        if self._call is None:
            self._look()

    def stop(self) -> None:
        """Look no more; what was seen last stays."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _look(self) -> None:
        self._call = None
        open_ones = {name: session for name, session in self._sessions.items() if not session.closed}
        if not open_ones:
            self._families = {}
            return
        snapshots = {name: session.snapshot() for name, session in open_ones.items()}
        seen = {
            family.name: family
            for family in metric_families(snapshots, self._requests)
            if family.kind != HISTOGRAM
        }
        new = [family for name, family in seen.items() if name not in self._families]
        self._families = {**dict.fromkeys(self._families, _NOTHING), **seen}
        for family in new:
            self._register(family)
        self._call = self._clock.callLater(self._interval, self._look)

    def _register(self, family: MetricFamily) -> None:
        name = family.name.replace("txcql_node_", "txcql.node.").replace("txcql_", "txcql.")
        make: Callable[..., Any] = (
            self._meter.create_observable_counter
            if family.kind == COUNTER
            else self._meter.create_observable_gauge
        )
        unit = {"seconds": "s", "bytes": "By"}.get(family.unit, "1")

        def observe(options: CallbackOptions) -> Iterable[Observation]:
            found = self._families.get(family.name, _NOTHING)
            return [Observation(value, dict(labels)) for labels, value in found.samples]

        make(name, callbacks=[observe], unit=unit, description=family.help)

    def __repr__(self) -> str:
        return f"<SessionInstruments {', '.join(self._sessions)}>"


_NOTHING = MetricFamily("", "", "")
