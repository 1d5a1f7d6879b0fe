"""What the status page, its JSON and the terminal show: one set of plain data."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime

from txcql.errors import CQLError
from txcql.integrations.metricfamilies import metric_families, text_format
from txcql.integrations.requestmetrics import RequestMetrics
from txcql.integrations.sampler import INTERVAL, Sampler
from txcql.service import CassandraService

__all__ = ["StatusData"]


class StatusData:
    """The state of a session, and of its last minutes.

    :param source: a session, of asyncio's too, or a :class:`txcql.CassandraService`, which may be without one
        for a while.
    :param clock: the reactor of the session.
    :param requests: the :class:`~txcql.integrations.requestmetrics.RequestMetrics` that is among the
        session's ``observers``; without it no latency is shown.
    :param title: what the session is called.
    :param probing: see :class:`~txcql.integrations.sampler.Sampler`.
    :ivar sampler: takes the points.
    """

    def __init__(
        self,
        source: Any,
        clock: IReactorTime,
        requests: RequestMetrics | None = None,
        title: str = "txcql",
        probing: bool = False,
    ) -> None:
        if requests is not None and not isinstance(requests, RequestMetrics):
            raise TypeError(
                f"requests must be the RequestMetrics of the session's observers, got {requests!r}"
            )
        self.title = title
        self._source = source
        self._clock = clock
        self._requests = requests
        self._why_not = ""
        self.sampler = Sampler(self.session, clock, requests, probing)

    def session(self) -> Any:
        """The session; ``None`` while there is none."""
        source = self._source
        if not isinstance(source, CassandraService):
            return getattr(source, "session", source)
        self._why_not = ""
        try:
            return source.session
        except CQLError as error:
            self._why_not = str(error)
            return None

    def plain(self, since: float = 0.0) -> dict[str, Any]:
        """All of it, as what JSON can hold.

        :param since: points of this time and earlier are left out.
        """
        now = self._clock.seconds()
        found: dict[str, Any] = {
            "title": self.title,
            "now": now,
            "interval": INTERVAL,
            "measured": self._requests is not None,
            "lag": self.sampler.lag,
            "points": [list(point) for point in self.sampler.points if point.at > since],
            "error": None,
            "session": None,
            "nodes": [],
        }
        session = self.session()
        if session is None:
            found["error"] = self._why_not
            return found
        snapshot = session.snapshot()
        nodes = snapshot.pop("nodes")
        found["session"] = snapshot
        found["nodes"] = [
            self._node(name, node)
            for name, node in sorted(nodes.items(), key=lambda item: (item[1]["datacenter"], item[0]))
        ]
        if self._requests is not None:
            found["requests"] = {
                "operations": {name: kind.count for name, kind in self._requests.operations.items()},
                "errors": dict(self._requests.errors),
            }
        return found

    def metrics(self) -> str:
        """The metrics, as Prometheus reads them."""
        session = self.session()
        return text_format(
            metric_families(
                {self.title: session.snapshot()} if session is not None else {},
                {self.title: self._requests} if self._requests is not None else {},
                {self.title: self.sampler.lag} if self.sampler.running else {},
            )
        )

    # Inside.

    def _node(self, name: str, node: dict[str, Any]) -> dict[str, Any]:
        latency = self.sampler.latency
        found = {"name": name, **node, "median": latency(name, 0.5), "late": latency(name, 0.99)}
        sums = self._requests.nodes.get(name) if self._requests is not None else None
        if sums is not None:
            found["errors"] = dict(sums.errors)
            found["retries"] = sum(sums.retries.values())
        return found

    def __repr__(self) -> str:
        return f"<StatusData {self.title} {self._source!r}>"
