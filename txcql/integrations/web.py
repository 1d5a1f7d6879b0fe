"""A page that shows a session at work, for any site of ``twisted.web``: HTML, JSON, and ``/metrics``."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource

from txcql.integrations.requestmetrics import RequestMetrics
from txcql.integrations.statusdata import StatusData

__all__ = ["RequestMetrics", "StatusResource"]

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class StatusResource(Resource):
    """The page, with ``status.json`` and ``metrics`` below it. It changes nothing.

    Mount it where only those can reach it who may know the names of nodes and keyspaces:
    ``site_root.putChild(b"cassandra", StatusResource(session, reactor))``. It takes a point each second from
    when it is made until :meth:`stop`, or until the session is closed.

    :param source: a :class:`txcql.Session`, one of asyncio's, or a :class:`txcql.CassandraService`.
    :param clock: the reactor of the session.
    :param requests: the :class:`~txcql.integrations.requestmetrics.RequestMetrics` that is among the
        session's ``observers``; without it no latency is shown.
    :param title: what the session is called.
    :param probing: whether it asks each node for something small in each second, so that there is a latency
        to be seen of a session that does nothing else.
    :ivar data: what it shows.
    :raises TypeError: ``requests`` is something else.
    """

    isLeaf = False

    def __init__(
        self,
        source: Any,
        clock: IReactorTime,
        requests: RequestMetrics | None = None,
        *,
        title: str = "txcql",
        probing: bool = False,
    ) -> None:
        Resource.__init__(self)  # type: ignore[no-untyped-call]
        self.data = StatusData(source, clock, requests, title, probing)
        page = _Page()
        self.putChild(b"", page)
        self.putChild(b"status.json", _Status(self.data))
        self.putChild(b"metrics", _Metrics(self.data))
        self.data.sampler.start()

    def stop(self) -> None:
        """Take no further points."""
        self.data.sampler.stop()

    def render_GET(self, request: Any) -> bytes:
        """Without the slash at its end, the page's address is another one."""
        request.redirect(request.prePathURL() + b"/")
        return b""


class _Shown(Resource):
    """What is read only, and never kept by a cache."""

    isLeaf = True
    content_type = ""

    def render_GET(self, request: Any) -> bytes:
        headers = {
            "Content-Type": self.content_type,
            "Cache-Control": "no-store",
            "Content-Security-Policy": _POLICY,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in headers.items():
            request.setHeader(name, value)
        return self.body(request)

    def body(self, request: Any) -> bytes:
        raise NotImplementedError


class _Page(_Shown):
    content_type = "text/html; charset=utf-8"

    def __init__(self) -> None:
        Resource.__init__(self)  # type: ignore[no-untyped-call]
        self._html = files(__package__).joinpath("status.html").read_bytes()

    def body(self, request: Any) -> bytes:
        return self._html


class _Status(_Shown):
    content_type = "application/json"

    def __init__(self, data: StatusData) -> None:
        Resource.__init__(self)  # type: ignore[no-untyped-call]
        self._data = data

    def body(self, request: Any) -> bytes:
        try:
            since = float(request.args.get(b"since", [b"0"])[0])
        except ValueError:
            since = 0.0
        return json.dumps(self._data.plain(since if math.isfinite(since) else 0.0)).encode()


class _Metrics(_Shown):
    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, data: StatusData) -> None:
        Resource.__init__(self)  # type: ignore[no-untyped-call]
        self._data = data

    def body(self, request: Any) -> bytes:
        return self._data.metrics().encode()
