"""The metrics of a session: one list of families, which every exporter reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from txcql.integrations.requestmetrics import BOUNDS, Histogram, RequestMetrics

__all__ = ["COUNTER", "GAUGE", "HISTOGRAM", "MetricFamily", "metric_families", "text_format"]

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"

Labels = Mapping[str, str]

_LINK_STATES = ("open", "draining", "retiring", "connecting")


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """One metric, with a sample for each combination of its labels.

    :ivar name: as Prometheus has it; a counter's without its ``_total``.
    :ivar kind: :data:`COUNTER`, :data:`GAUGE` or :data:`HISTOGRAM`.
    :ivar help: what it is, in one line.
    :ivar unit: ``"seconds"``, ``"bytes"`` or ``""``.
    :ivar samples: labels and value; the value of a histogram is a
        :class:`~txcql.integrations.requestmetrics.Histogram`.
    """

    name: str
    kind: str
    help: str
    unit: str = ""
    samples: list[tuple[Labels, Any]] = field(default_factory=list)

    def add(self, value: Any, **labels: str) -> None:
        """Add a sample."""
        self.samples.append((labels, value))


def metric_families(
    snapshots: Mapping[str, Mapping[str, Any]],
    requests: Mapping[str, RequestMetrics] | None = None,
    lags: Mapping[str, float] | None = None,
) -> list[MetricFamily]:
    """All metrics of some sessions.

    Their number grows with the nodes, and with nothing else.

    :param snapshots: what ``session.snapshot()`` says, by the name that the session is to have.
    :param requests: what its observer has counted, by the same name.
    :param lags: how late the reactor was lately, in seconds, by the same name.
    """
    families: dict[str, MetricFamily] = {}

    def family(name: str, kind: str, text: str, unit: str = "") -> MetricFamily:
        return families.setdefault(name, MetricFamily(name, kind, text, unit))

    for session, snapshot in snapshots.items():
        _session(family, session, snapshot)
        for node, about in snapshot["nodes"].items():
            _node(family, {"session": session, "node": node, "datacenter": about["datacenter"]}, about)
    for session, counted in (requests or {}).items():
        _requests(family, session, counted)
    for session, lag in (lags or {}).items():
        lags_family = family("txcql_reactor_lag_seconds", GAUGE, "How late the reactor was lately", "seconds")
        lags_family.add(lag, session=session)
    return list(families.values())


def _session(family: Any, session: str, snapshot: Mapping[str, Any]) -> None:
    nodes = snapshot["nodes"].values()
    for name, text, unit, value in (
        ("requests", "Requests that have no outcome yet", "", snapshot["requests"]),
        ("prepared_statements", "Prepared statements that are kept", "", snapshot["prepared"]),
        ("memory_budget_bytes", "What the driver may hold by now", "bytes", snapshot["memory_budget"]),
        ("nodes_known", "Nodes that are known", "", len(snapshot["nodes"])),
        ("nodes_up", "Nodes with a ready connection", "", sum(node["state"] == "up" for node in nodes)),
        ("dedicated_connections", "Connections of single streams", "", len(snapshot["dedicated"])),
    ):
        family(f"txcql_{name}", GAUGE, text, unit).add(value, session=session)


def _node(family: Any, labels: dict[str, str], node: Mapping[str, Any]) -> None:
    links = node["connections"]
    waits = [link["next_reconnect"] for link in links if link["next_reconnect"] is not None]
    for name, text, unit, value in (
        ("up", "Whether a connection is ready", "", int(node["state"] == "up")),
        ("suspect", "Whether requests time out while it says nothing", "", int(node["suspect"])),
        ("in_flight", "Requests sent and unanswered, orphans included", "", node["in_flight"]),
        ("queued", "Requests in the Request Queue", "", node["queued"]),
        ("accept_limit", "Requests that are accepted, sent and queued together", "", node["limit"]),
        ("request_bytes", "Bodies accepted and unanswered", "bytes", node["request_bytes"]),
        ("connections_max", "Connections that there may be", "", node["max_connections"]),
        (
            "orphaned_streams",
            "Streams of requests given up, unanswered",
            "",
            sum(x["orphans"] for x in links),
        ),
        ("above_high_watermark", "Connections at or above their high mark", "", _above(links, "high")),
        ("below_low_watermark", "Connections below their low mark", "", len(links) - _above(links, "low")),
        ("paused_reading", "Connections whose answers are held back", "", _sum(links, "paused_reading")),
        ("paused_writing", "Connections that take no more for now", "", _sum(links, "paused_writing")),
        (
            "reconnect_attempt",
            "Attempts since a connection was ready, the most of any",
            "",
            max([x["attempts"] for x in links], default=0),
        ),
        (
            "next_reconnect_seconds",
            "Until the next attempt; 0 if none is due",
            "seconds",
            min(waits, default=0.0),
        ),
    ):
        family(f"txcql_node_{name}", GAUGE, text, unit).add(value, **labels)
    connections = family("txcql_node_connections", GAUGE, "Connections, by their state")
    for state in _LINK_STATES:
        connections.add(sum(link["state"] == state for link in links), **labels, state=state)
    for signal, about in node["signals"].items():
        marked = {**labels, "signal": signal.replace(" ", "_").replace("-", "_")}
        family("txcql_node_signal", GAUGE, "Whether a signal of flow control is on").add(
            int(about["active"]), **marked
        )
        family("txcql_node_signals", COUNTER, "How often it has begun").add(about["times"], **marked)
        family("txcql_node_signal_seconds", COUNTER, "How long it has been on", "seconds").add(
            about["seconds"], **marked
        )
    failures = family("txcql_node_connection_failures", COUNTER, "Connections lost, and attempts that failed")
    for kind, count in node["failures"].items():
        failures.add(count, **labels, error=kind)


def _above(links: Sequence[Mapping[str, Any]], mark: str) -> int:
    return sum(link["sent"] >= link[mark] for link in links)


def _sum(links: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(bool(link[name]) for link in links)


def _requests(family: Any, session: str, counted: RequestMetrics) -> None:
    durations = family("txcql_request_duration_seconds", HISTOGRAM, "From request to outcome", "seconds")
    for operation, histogram in counted.operations.items():
        durations.add(histogram, session=session, operation=operation)
    failed = family("txcql_requests_failed", COUNTER, "Requests that failed, by error")
    for kind, count in counted.errors.items():
        failed.add(count, session=session, error=kind)
    family("txcql_prepares", COUNTER, "PREPAREs of the driver's own").add(counted.preparing, session=session)
    for node, sums in counted.nodes.items():
        labels = {"session": session, "node": node}
        for name, text, histogram in (
            ("attempt_duration_seconds", "From the stream to the answer, of each attempt", sums.attempts),
            ("queue_wait_seconds", "In the Request Queue", sums.queue_wait),
        ):
            family(f"txcql_node_{name}", HISTOGRAM, text, "seconds").add(histogram, **labels)
        for name, text, unit, value in (
            ("sent_bytes", "Bodies of requests", "bytes", sums.bytes_sent),
            ("received_bytes", "Bodies of answers", "bytes", sums.bytes_received),
            ("unsent", "Attempts that failed before anything was sent", "", sums.unsent),
        ):
            family(f"txcql_node_{name}", COUNTER, text, unit).add(value, **labels)
        for name, text, counter in (
            ("errors", "Attempts that failed, by error", sums.errors),
            ("retries", "Attempts that followed one that failed here, by its error", sums.retries),
        ):
            found = family(f"txcql_node_{name}", COUNTER, text)
            for kind, count in counter.items():
                found.add(count, **labels, error=kind)


def text_format(families: Iterable[MetricFamily]) -> str:
    """The families as Prometheus reads them: text, version 0.0.4."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def _lines(family: MetricFamily) -> Iterator[str]:
    name = family.name + "_total" if family.kind == COUNTER else family.name
    yield f"# HELP {name} {family.help}"
    yield f"# TYPE {name} {family.kind}"
    for labels, value in family.samples:
        if isinstance(value, Histogram):
            total = 0
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), value.counts, strict=True):
                total += count
                yield f"{name}_bucket{_shown({**labels, 'le': bound})} {total}"
            yield f"{name}_sum{_shown(labels)} {value.sum}"
            yield f"{name}_count{_shown(labels)} {total}"
        else:
            yield f"{name}{_shown(labels)} {value}"


def _shown(labels: Labels) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}"
