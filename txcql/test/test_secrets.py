"""Passwords and tokens are nowhere: what a run logs, shows, raises and pickles is searched for them."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, setDebugging, succeed
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from txcql.errors import AuthenticationFailed, CQLError
from txcql.interfaces import IAuthenticator
from txcql.security import PlainAuthenticator, Secret
from txcql.settings import Settings
from txcql.test.scriptednode import Asked, ScriptedTestCase, columns
from txcql.wire import constants, responsewriter


def secret() -> str:
    """The password: no constant, since Twisted 22.10 keeps the global variables of each frame, too."""
    return "-".join(("ge7heim", "ge2heim"))


def other() -> str:
    """Another one, which is wrong."""
    return "-".join(("an0ther", "ge5heim"))


TEXT = "SELECT v FROM t"


@implementer(IAuthenticator)
class Challenged:
    """A mechanism of several rounds, whose answers are secret."""

    def initial_response(self, server_class: str) -> bytes:
        return b"hello"

    def evaluate_challenge(self, token: bytes | None) -> Deferred[bytes]:
        return succeed(secret().encode())


class SecretsTestCase(ScriptedTestCase):
    """Collects what may hold a secret."""

    def setUp(self) -> None:
        super().setUp()
        # What is there already, other tests' objects among it, is not searched.
        gc.collect()
        gc.freeze()
        self.addCleanup(gc.unfreeze)
        self.events: list[LogEvent] = []
        self.errors: list[BaseException] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        # Each failure keeps the local variables of its frames.
        make: Any = Failure.__init__

        def verbose(failure: Failure, *about: Any, captureVars: bool = False) -> None:
            make(failure, *about[:3], captureVars=True)

        self.patch(Failure, "__init__", verbose)
        setDebugging(True)
        self.addCleanup(setDebugging, False)
        self.one = self.node(login=("app", secret()))
        self.one.teach(TEXT, columns=columns(v="int"), rows=[[7]])

    def assert_nowhere(self, text: object, what: str) -> None:
        for hidden in (secret(), other()):
            shown = str(text)
            place = shown.find(hidden)
            assert place < 0, f"{what}: …{shown[max(0, place - 200) : place + 50]}…"

    def look(self) -> None:
        """Search all that there is."""
        # What is found may hold objects of Twisted's, which complain of being shown or pickled.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.search()

    def search(self) -> None:
        for event in list(self.events):
            self.assert_nowhere(formatEvent(event), "a log line")
            for value in event.values():
                self.assert_nowhere(repr(value), "a value of a log event")
                if isinstance(value, Failure):
                    self.look_at_failure(value)
                if isinstance(value, BaseException):
                    self.look_at(value)
        for error in self.errors:
            self.look_at(error)
        for found in gc.get_objects():
            module = str(type(found).__module__)
            if module.startswith("txcql.") and not module.startswith("txcql.test"):
                self.assert_nowhere(repr(found), f"the repr of a {type(found).__name__}")
                if isinstance(found, CQLError | Settings | PlainAuthenticator | Secret):
                    self.look_at_pickle(found)

    def look_at(self, error: BaseException) -> None:
        self.assert_nowhere(repr(error), "an exception")
        self.assert_nowhere(error, "an exception")
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        self.assert_nowhere("".join(shown.format()), "a traceback with local variables")
        self.look_at_pickle(error)
        for other in (error.__cause__, error.__context__):
            if other is not None and other is not error:
                self.look_at(other)

    def look_at_failure(self, failure: Failure) -> None:
        # Twisted 22.10 keeps the variables of whoever has called, too: here that is the test, elsewhere
        # the application, whose own affair they are.
        for name in ("stack", "frames"):
            frames = failure.__dict__.get(name)
            if frames:
                kept = [frame for frame in frames if not frame[1].startswith(os.path.dirname(__file__))]
                setattr(failure, name, kept)
        self.assert_nowhere(failure.getTraceback(detail="verbose"), "a verbose failure")
        self.look_at_pickle(failure)

    def look_at_pickle(self, found: object) -> None:
        try:
            data = pickle.dumps(found)
        except Exception as error:
            self.assert_nowhere(repr(error), "why it cannot be pickled")
        else:
            self.assert_nowhere(data, f"the pickle of a {type(found).__name__}")

    def run_session(self, **settings: Any) -> None:
        """Connect, ask, lose the links, ask again, and close; what fails is kept."""
        outcomes: list[Any] = []
        self.connecting(**settings).addBoth(outcomes.append)
        self.reactor.settle()
        for _ in range(3):
            self.reactor.advance(2.5)
        (outcome,) = outcomes
        if isinstance(outcome, Failure):
            self.look_at_failure(outcome)
            assert outcome.value is not None
            self.errors.append(outcome.value)
            return
        session = outcome
        for _ in range(2):
            session.execute(TEXT).addErrback(lambda failure: self.errors.append(failure.value))
            self.reactor.settle()
            self.assert_nowhere(repr(session), "a session")
            self.assert_nowhere(session.snapshot(), "a snapshot")
            self.look()
            for link in list(self.one.links):
                link.drop()
            self.reactor.settle()
        self.look()
        closed = session.close()
        self.reactor.settle()
        self.successResultOf(closed)


class SecretsTests(SecretsTestCase):
    """Each way in which a secret comes in, and each in which it may come out."""

    def test_the_search_bites(self) -> None:
        """What is there is found, in each place that is looked at."""
        self.events.append({"log_format": "{password}", "password": secret()})
        self.assertRaises(AssertionError, self.look)
        self.events.clear()
        self.errors.append(ValueError(secret()))
        self.assertRaises(AssertionError, self.look)
        self.errors.clear()

        def fails(token: bytes) -> None:
            raise ValueError("no token in it")

        try:
            fails(secret().encode())
        except ValueError as error:
            self.errors.append(error)
        self.assertRaises(AssertionError, self.look)

    def test_right(self) -> None:
        """A login that works."""
        self.run_session(username="app", password=secret())
        self.look()

    def test_wrong(self) -> None:
        """One that is refused."""
        self.run_session(username="app", password=other())
        self.assertIsInstance(self.errors[0], AuthenticationFailed)
        self.look()

    def test_callables(self) -> None:
        """Passwords that are given at once, or later, right and wrong."""
        for password in (secret(), other()):
            for given in (lambda p=password: p, lambda p=password: succeed(p)):
                self.run_session(username="app", password=given)
        self.look()

    def test_authenticators(self) -> None:
        """Those of the application's, and several rounds."""
        self.run_session(authenticator=lambda: PlainAuthenticator("app", other()))
        self.run_session(authenticator=lambda: succeed(PlainAuthenticator("app", secret())))
        self.look()

    def test_challenges(self) -> None:
        """Whatever becomes of the login after them."""

        def challenge(asked: Asked, token: bytes | None) -> None:
            asked.send(constants.AUTH_CHALLENGE, responsewriter.token(b"more"))

        def nonsense(asked: Asked, token: bytes | None) -> None:
            if token == b"hello":
                challenge(asked, token)
            else:
                asked.send(constants.READY, b"")

        def hang_up(asked: Asked, token: bytes | None) -> None:
            if token == b"hello":
                challenge(asked, token)
            else:
                asked.link.drop()

        def silence(asked: Asked, token: bytes | None) -> None:
            pass

        answers: tuple[Callable[[Asked, bytes | None], None], ...] = (challenge, nonsense, hang_up, silence)
        for answer in answers:
            self.one._log_in = answer  # type: ignore[assignment]
            self.run_session(authenticator=Challenged)
            self.run_session(username="app", password=secret())
        self.assertEqual(len(self.errors), 8)
        self.look()

    def test_refused_by_us(self) -> None:
        """Over plaintext, and by arguments that are none."""
        self.run_session(username="app", password=secret(), require_tls_for_login=True)
        self.look()

    def test_settings(self) -> None:
        """They are shown, copied and compared without it, and cannot be pickled with it."""
        settings = Settings(username="app", password=secret())
        self.assert_nowhere(repr(settings), "settings")
        self.assert_nowhere(repr(vars(settings)), "the attributes of settings")
        self.assertRaises(TypeError, pickle.dumps, settings)
        self.assert_nowhere(repr(copy.deepcopy(settings)), "a copy")
        assert isinstance(settings.password, Secret)
        self.assertEqual(settings.password.reveal(), secret())
        self.assertIs(copy.copy(settings.password), settings.password)
        self.assertEqual(pickle.loads(pickle.dumps(Settings())), Settings())
