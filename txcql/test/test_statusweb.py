"""Tests for :mod:`txcql.integrations.web`, and for the data and the points behind it."""

from __future__ import annotations

import json
import re
from typing import Any

from twisted.web.resource import getChildForRequest
from twisted.web.test.requesthelper import DummyRequest

import txcql
from txcql.cli.top import lines
from txcql.integrations.requestmetrics import RequestMetrics
from txcql.integrations.sampler import KEPT
from txcql.integrations.statusdata import StatusData
from txcql.integrations.web import StatusResource
from txcql.test.scriptedsession import LIST, SessionTestCase, held

NODE = "10.0.0.1:9042"


class Asked(DummyRequest):
    """A request that knows where it is."""

    def prePathURL(self) -> bytes:
        return b"http://127.0.0.1/status"


class StatusTestCase(SessionTestCase):
    """A session, and what shows it."""

    def begin(self, *, measured: bool = True, probing: bool = False, **settings: Any) -> None:
        self.requests = RequestMetrics() if measured else None
        observers = [self.requests] if measured else []
        session = self.connect(observers=observers, **settings)
        self.resource = StatusResource(session, self.reactor, self.requests, title="shop", probing=probing)
        self.addCleanup(self.resource.stop)

    def get(self, *path: bytes, method: bytes = b"GET", **arguments: bytes) -> Any:
        request: Any = Asked(list(path))
        request.method = method
        request.args = {name.encode(): [value] for name, value in arguments.items()}
        resource = getChildForRequest(self.resource, request)
        request.body = resource.render(request)
        return request

    def status(self, **arguments: bytes) -> Any:
        return json.loads(self.get(b"status.json", **arguments).body)

    def advance(self, seconds: int) -> None:
        """Second by second, so that each point is in time."""
        for _ in range(seconds):
            self.reactor.advance(1)
            self.reactor.settle()


class ResourceTests(StatusTestCase):
    """What a browser asks for."""

    def test_page(self) -> None:
        """One document that asks for nothing from elsewhere, and may not."""
        self.begin()
        request = self.get(b"")
        self.assertTrue(request.body.startswith(b"<!DOCTYPE html>"))
        self.assertEqual(
            re.findall(rb"(?:https?:)?//[a-z]", request.body.replace(b"http://www.w3.org/2000/svg", b"")), []
        )
        headers = request.responseHeaders
        self.assertEqual(headers.getRawHeaders("content-type"), ["text/html; charset=utf-8"])
        self.assertIn("default-src 'none'", headers.getRawHeaders("content-security-policy")[0])
        self.assertEqual(headers.getRawHeaders("cache-control"), ["no-store"])
        self.assertEqual(headers.getRawHeaders("x-content-type-options"), ["nosniff"])

    def test_read_only(self) -> None:
        """It takes no other method than GET and HEAD."""
        from twisted.web.error import UnsupportedMethod

        self.begin()
        for path in (b"", b"status.json", b"metrics"):
            self.assertRaises(UnsupportedMethod, self.get, path, method=b"POST")
            self.get(path, method=b"HEAD")

    def test_status(self) -> None:
        """The nodes and their connections, sorted by data center."""
        self.node("10.1.0.1", datacenter="a first one")
        self.begin()
        status = self.status()
        self.assertEqual((status["title"], status["error"]), ("shop", None))
        self.assertEqual(status["session"]["cluster"], "scripted")
        self.assertEqual(
            [(node["name"], node["state"], node["distance"]) for node in status["nodes"]],
            [("10.1.0.1:9042", "down", "ignored"), (NODE, "up", "local")],
        )
        (link,) = status["nodes"][1]["connections"]
        self.assertEqual((link["sent"], link["low"], link["high"]), (0, 512, 819))

    def test_metrics(self) -> None:
        """As text, with the lag of the reactor."""
        self.begin()
        request = self.get(b"metrics")
        self.assertIn(
            b'txcql_node_up{session="shop",node="10.0.0.1:9042",datacenter="dc1"} 1\n', request.body
        )
        self.assertIn(b'txcql_reactor_lag_seconds{session="shop"} 0.0\n', request.body)

    def test_without_its_slash(self) -> None:
        """The page's links are relative: its address ends in a slash."""
        self.begin()
        request = self.get()
        self.assertEqual(request.responseCode, 302)
        self.assertEqual(request.responseHeaders.getRawHeaders("location"), ["http://127.0.0.1/status/"])

    def test_wrong_requests(self) -> None:
        """Anything else in their place is a mistake."""
        session = self.connect()
        self.assertRaises(TypeError, StatusResource, session, self.reactor, object())

    def test_since(self) -> None:
        """Only points that are newer; nonsense is as nothing."""
        self.begin()
        self.advance(3)
        points = self.status()["points"]
        self.assertEqual(len(points), 3)
        self.assertEqual(len(self.status(since=str(points[1][0]).encode())["points"]), 1)
        for nonsense in (b"x", b"nan", b"inf"):
            self.assertEqual(len(self.status(since=nonsense)["points"]), 3)


class PointTests(StatusTestCase):
    """The last minutes."""

    def test_a_point_each_second(self) -> None:
        """What was in flight, how many were answered, and how fast."""
        self.begin()
        assert self.session is not None
        self.one.holds = held
        requests = [self.session.execute(LIST) for _ in range(4)]
        self.advance(1)
        self.one.release()
        self.reactor.settle()
        self.advance(2)
        first, second, third = self.status()["points"]
        self.assertEqual((first[1], first[3], first[4]), (4, 0, None))
        self.assertEqual((second[1], second[3]), (0, 4))
        self.assertTrue(0.5 < second[4] <= second[5] <= 1.0, second)
        self.assertEqual((third[3], third[4]), (0, None))
        self.assertTrue(0.5 < self.status()["nodes"][0]["median"] <= 1.0)
        for request in requests:
            self.successResultOf(request)

    def test_bounded(self) -> None:
        """Five minutes, and no more."""
        self.begin()
        self.advance(KEPT + 20)
        self.assertEqual(len(self.status()["points"]), KEPT)

    def test_lag(self) -> None:
        """A reactor that was busy is late."""
        self.begin()
        self.reactor.advance(1.75)
        self.assertEqual(self.status()["lag"], 0.75)
        self.advance(20)
        self.assertEqual(self.status()["lag"], 0.0)

    def test_not_measured(self) -> None:
        """Without metrics of requests there are no latencies, and the rest is there."""
        self.begin(measured=False)
        self.advance(1)
        status = self.status()
        self.assertFalse(status["measured"])
        self.assertEqual(status["points"][0][3:6], [None, None, None])

    def test_probes(self) -> None:
        """Each node that is up is asked for something small, so that there is a latency."""
        self.begin(probing=True)
        assert self.requests is not None
        self.advance(3)
        self.assertEqual(self.requests.operations["SELECT"].count, 3)
        self.assertIsNotNone(self.status()["nodes"][0]["median"])
        self.resource.stop()
        self.advance(3)
        self.assertEqual(self.requests.operations["SELECT"].count, 3)

    def test_no_probes(self) -> None:
        """A page of an application's own session asks for nothing."""
        self.begin()
        assert self.requests is not None
        self.advance(3)
        self.assertEqual(self.requests.finished, 0)

    def test_probes_do_not_pile_up(self) -> None:
        """A node that does not answer has one of them at a time."""
        self.begin(probing=True)
        self.one.frozen = True
        for _ in range(4):
            self.advance(1)
            self.assertLessEqual(self.status()["session"]["requests"], 1)

    def test_the_session_ends(self) -> None:
        """So do the points: nothing is left to be called."""
        self.begin()
        assert self.session is not None
        self.session.close()
        self.advance(2)
        self.assertFalse(self.resource.data.sampler.running)
        self.assertTrue(self.status()["session"]["closed"])


class ServiceTests(SessionTestCase):
    """A service that has no session for a while."""

    def test_without_a_session(self) -> None:
        """It says why, and shows it once there is one."""
        service = txcql.CassandraService(self.reactor, [NODE])
        data = StatusData(service, self.reactor)
        self.assertEqual(data.plain()["error"], "the service is not running")
        self.assertEqual(data.metrics(), "")
        service.startService()
        self.assertIn("not connected yet", data.plain()["error"])
        self.assertEqual(lines(data.plain(), 80)[0], "txcql")
        self.reactor.settle()
        self.assertIsNone(data.plain()["error"])
        self.assertEqual([node["name"] for node in data.plain()["nodes"]], [NODE])
        service.stopService()
        self.reactor.settle()


class TopTests(StatusTestCase):
    """The same in a terminal."""

    def test_lines(self) -> None:
        """Nodes by data center, each connection against its marks."""
        self.begin(max_requests_per_connection=100)
        assert self.session is not None
        self.one.holds = held
        requests = [self.session.execute(LIST) for _ in range(40)]
        self.advance(1)
        shown = lines(self.resource.data.plain(), 100)
        self.assertEqual(shown[0], "shop   cluster scripted, protocol v5")
        self.assertTrue(shown[1].startswith("nodes up 1 of 1   requests 40   lag 0.0 ms   0/s"), shown[1])
        self.assertIn("data center dc1", shown)
        self.assertIn("    [##########..|.......]    40 sent, marks 50 and 80, open", shown)
        self.one.release()
        for request in requests:
            self.answer(request)
        self.advance(1)
        self.assertRegex(lines(self.resource.data.plain(), 100)[1], r"40/s   half \d+\.\d ms")

    def test_a_node_that_is_down(self) -> None:
        """Why, and when it is tried again."""
        self.begin()
        self.one.stop()
        self.reactor.settle()
        shown = "\n".join(lines(self.resource.data.plain(), 100))
        self.assertRegex(shown, r"10\.0\.0\.1:9042 +down")
        self.assertIn("refused the connection", shown)
        self.assertRegex(shown, r"reconnect in \d\.\d s, attempt \d")

    def test_width(self) -> None:
        """No line is wider than the terminal, and none holds what would move its cursor."""
        self.begin()
        data = self.resource.data.plain()
        data["nodes"][0]["error"] = "\x1b[2J gone"
        shown = lines(data, 30)
        self.assertLessEqual(max(map(len, shown)), 30)
        self.assertNotIn("\x1b", "".join(shown))
