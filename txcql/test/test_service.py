"""Tests for :mod:`txcql.service`."""

from __future__ import annotations

from typing import Any, cast

from twisted.application.service import IService, MultiService
from twisted.internet.defer import CancelledError
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from zope.interface.verify import verifyObject

import txcql
from txcql.errors import AuthenticationFailed, NoNodeAvailable, SessionClosed
from txcql.policies.reconnection import ConstantReconnectionPolicy
from txcql.test.scriptedsession import LIST, SessionTestCase, held


class ServiceTestCase(SessionTestCase):
    """A service of the scripted node."""

    def setUp(self) -> None:
        SessionTestCase.setUp(self)
        self.events: list[Any] = []
        gather = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(gather)
        self.addCleanup(globalLogPublisher.removeObserver, gather)

    def service(self, *points: str, **settings: Any) -> txcql.CassandraService:
        settings.setdefault("max_connections_local", 1)
        service = txcql.CassandraService(self.reactor, points or ("10.0.0.1",), **settings)
        self.addCleanup(self.stop, service)
        return service

    def stop(self, service: txcql.CassandraService) -> None:
        stopped = service.stopService()
        self.reactor.settle()
        self.successResultOf(stopped)
        self.assert_nothing_left()

    def start(self, service: txcql.CassandraService) -> None:
        service.startService()
        self.reactor.settle()

    def logged(self, level: Any = LogLevel.warn) -> list[str]:
        return [
            event["log_format"].format(**event)
            for event in self.events
            if event["log_level"] == level and event["log_namespace"] == "txcql.session"
        ]


class StartTests(ServiceTestCase):
    """From the start to the session."""

    def test_interface(self) -> None:
        """It is a service like any other, and shows its state."""
        service = self.service()
        verifyObject(IService, service)
        self.assertEqual(repr(service), "<CassandraService stopped>")
        service.startService()
        self.assertEqual(repr(service), "<CassandraService connecting>")
        self.reactor.settle()
        self.assertEqual(repr(service), "<CassandraService connected>")

    def test_session(self) -> None:
        """It is there once the service is connected, and told to all who wait."""
        service = self.service(keyspace="ks")
        early = service.when_ready()
        service.startService()
        late = service.when_ready(fail_after=1)
        self.assertNoResult(early)
        self.reactor.settle()
        session = self.successResultOf(early)
        self.assertIs(self.successResultOf(late), session)
        self.assertIs(self.successResultOf(service.when_ready()), session)
        self.assertIs(service.session, session)
        self.assertEqual(session.keyspace, "ks")
        self.assertEqual(len(self.answer(session.execute(LIST))), 2)

    def test_within_a_parent(self) -> None:
        """It starts and stops with its parent."""
        parent = MultiService()
        service = self.service()
        service.setServiceParent(parent)
        parent.startService()
        self.reactor.settle()
        self.assertTrue(service.session)
        stopped = parent.stopService()
        self.reactor.settle()
        self.successResultOf(stopped)

    def test_started_twice(self) -> None:
        """It connects once."""
        service = self.service()
        service.startService()
        self.start(service)
        self.assertEqual(self.one.accepted, 2)

    def test_wrong_arguments(self) -> None:
        """They are refused in the constructor, and nothing is connected to."""
        for settings, kind in (
            ({"drain": "x"}, TypeError),
            ({"drain": True}, TypeError),
            ({"drain": -1}, ValueError),
            ({"drain": float("inf")}, ValueError),
            ({"colour": "red"}, TypeError),
            ({"page_size": 0}, ValueError),
            ({"keyspace": ""}, TypeError),
        ):
            with self.assertRaises(kind):
                txcql.CassandraService(self.reactor, ["10.0.0.1"], **settings)
        with self.assertRaises(ValueError):
            txcql.CassandraService(self.reactor, [])
        service = self.service()
        for fail_after, kind in (("x", TypeError), (True, TypeError), (0, ValueError)):
            with self.assertRaises(kind):
                service.when_ready(fail_after)  # type: ignore[arg-type]
        self.assertEqual(self.reactor.dialled, [])


class RetryTests(ServiceTestCase):
    """While there is nothing to connect to."""

    def test_until_it_works(self) -> None:
        """It tries again at once, then after 1, 2, 4 s; each failure is logged."""
        self.one.refusing = True
        service = self.service()
        ready = service.when_ready()
        self.start(service)
        for passed in (0.0, 1.0, 2.0):
            self.reactor.pump([passed, 0, 0])
        self.assertEqual(len(self.reactor.dialled), 4)
        self.assertNoResult(ready)
        self.assertEqual(
            self.logged()[-1],
            "cannot connect, attempt 4 (the next one in 4 s): "
            "cannot connect: 10.0.0.1:9042 refused the connection",
        )
        error = self.assertRaises(NoNodeAvailable, lambda: service.session)
        self.assertIn("not connected yet: cannot connect: 10.0.0.1:9042 refused", str(error))
        self.one.refusing = False
        self.reactor.pump([4.0, 0, 0, 0])
        self.assertIs(self.answer(ready), service.session)
        self.assertIn("connected after 4 attempts that failed", self.logged(LogLevel.info))

    def test_reconnection_policy(self) -> None:
        """Its delays are those of the settings."""
        self.one.refusing = True
        service = self.service(reconnection=ConstantReconnectionPolicy(7.0))
        self.start(service)
        self.reactor.pump([6.9, 0])
        self.assertEqual(len(self.reactor.dialled), 1)
        self.reactor.pump([0.1, 0])
        self.assertEqual(len(self.reactor.dialled), 2)

    def test_fail_after(self) -> None:
        """Who waits is told after as many failures; the service goes on."""
        self.one.refusing = True
        service = self.service(reconnection=ConstantReconnectionPolicy(5.0))
        patient = service.when_ready()
        first, second = service.when_ready(fail_after=1), service.when_ready(fail_after=2)
        service.startService()
        self.assertNoResult(first)
        self.reactor.settle()
        self.failureResultOf(first, NoNodeAvailable)
        self.assertNoResult(second)
        self.reactor.pump([5.0, 0])
        self.failureResultOf(second, NoNodeAvailable)
        self.one.refusing = False
        self.reactor.pump([5.0, 0])
        self.assertIs(self.successResultOf(patient), service.session)

    def test_refused_login(self) -> None:
        """It is told as such, and the secret is not."""
        self.one.login = ("ada", "right")
        service = self.service(username="ada", password="wrong-secret")
        ready = service.when_ready(fail_after=1)
        self.start(service)
        self.failureResultOf(ready, AuthenticationFailed)
        self.assertTrue(self.logged())
        self.assertNotIn("wrong-secret", repr(self.events))

    def test_defect(self) -> None:
        """What is no error of the driver's is logged with its traceback, and does not end the service."""

        service = self.service(authenticator=self.broken_authenticator)
        self.one.login = ("ada", "right")
        ready = service.when_ready(fail_after=1)
        self.start(service)
        self.failureResultOf(ready)
        self.flushLoggedErrors()
        self.assertEqual(repr(service), "<CassandraService connecting>")

    @staticmethod
    def broken_authenticator() -> Any:
        raise LookupError("broken")

    def test_cancelling_a_waiter(self) -> None:
        """It is forgotten, also by the end of another."""
        service = self.service()
        one, two = service.when_ready(), service.when_ready()
        one.cancel()
        self.failureResultOf(one, CancelledError)
        three = service.when_ready()
        two.addCallback(lambda session: three.cancel())
        three.addErrback(lambda failure: failure.trap(CancelledError))
        self.start(service)
        self.assertIsNone(self.successResultOf(two))
        self.assertIs(self.successResultOf(three), CancelledError)


class StopTests(ServiceTestCase):
    """The end."""

    def test_drain(self) -> None:
        """Requests that are sent are given their time."""
        service = self.service(drain=2.0)
        self.start(service)
        session = service.session
        self.one.holds = held
        answered, silent = session.execute(LIST), session.execute(LIST)
        self.reactor.settle()
        stopped = service.stopService()
        self.failureResultOf(session.execute(LIST), SessionClosed)
        self.one.release(1)
        self.reactor.settle()
        self.assertEqual(len(self.successResultOf(answered)), 2)
        self.assertNoResult(stopped)
        self.reactor.pump([2.0, 0])
        self.failureResultOf(silent, SessionClosed)
        self.successResultOf(stopped)
        error = self.assertRaises(SessionClosed, lambda: service.session)
        self.assertEqual(str(error), "the service is not running")

    def test_while_connecting(self) -> None:
        """Who waits is told, and the stop is over when no connection is left."""
        self.one.frozen = True
        service = self.service()
        ready = service.when_ready()
        self.start(service)
        self.assertEqual(len(self.one.links), 1)
        stopped = service.stopService()
        self.failureResultOf(ready, SessionClosed)
        self.reactor.settle()
        self.successResultOf(stopped)
        self.assert_nothing_left()
        self.assertEqual(self.logged(), [])

    def test_while_waiting(self) -> None:
        """No further attempt is made."""
        self.one.refusing = True
        service = self.service(reconnection=ConstantReconnectionPolicy(5.0))
        self.start(service)
        self.successResultOf(service.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_from_a_waiter(self) -> None:
        """Who is told first may stop the service; the others are told that."""
        service = self.service()
        first, second = service.when_ready(), service.when_ready()
        first.addCallback(lambda session: service.stopService())
        service.startService()
        self.reactor.settle()
        self.successResultOf(first)
        self.failureResultOf(second, SessionClosed)

    def test_started_again(self) -> None:
        """It has another session; also while the first one drains."""
        service = self.service()
        self.start(service)
        first = service.session
        self.one.holds = held
        sent = first.execute(LIST)
        self.reactor.settle()
        stopped = service.stopService()
        self.start(service)
        self.assertIsNot(service.session, first)
        self.one.release()
        self.reactor.settle()
        self.assertEqual(len(self.successResultOf(sent)), 2)
        self.successResultOf(stopped)
        self.one.holds = lambda asked: False
        self.assertEqual(len(self.answer(service.session.execute(LIST))), 2)

    def test_stopped_twice(self) -> None:
        """The second time there is nothing to do."""
        service = self.service()
        self.successResultOf(service.stopService())
        self.start(service)
        self.stop(service)
        self.successResultOf(service.stopService())
