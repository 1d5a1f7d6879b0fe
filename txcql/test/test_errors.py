"""Tests for :mod:`txcql.errors`."""

from __future__ import annotations

import copy
import pickle
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcql import errors
from txcql.errors import CQLError, ServerError, said_by, server_error_class


def tree(kind: type[CQLError]) -> set[type[CQLError]]:
    found = {kind}
    for child in kind.__subclasses__():
        found |= tree(child)
    return {each for each in found if each.__module__ == "txcql.errors"}


class TreeTests(SynchronousTestCase):
    """One tree."""

    def test_all(self) -> None:
        """Everything that the module exports is in it, and the other way round."""
        classes = {getattr(errors, name) for name in errors.__all__}
        classes = {kind for kind in classes if isinstance(kind, type)}
        self.assertEqual(classes, tree(CQLError))

    def test_codes(self) -> None:
        """One class for each code of the protocol."""
        codes = [
            0x0000, 0x000A, 0x0100, 0x1000, 0x1001, 0x1002, 0x1003, 0x1100, 0x1200, 0x1300, 0x1400,
            0x1500, 0x1600, 0x1700, 0x2000, 0x2100, 0x2200, 0x2300, 0x2400, 0x2500,
        ]  # fmt: skip
        kinds = [server_error_class(code) for code in codes]
        self.assertNotIn(None, kinds)
        self.assertEqual([kind.code for kind in kinds if kind is not None], codes)
        self.assertEqual(len(set(kinds)), len(codes))
        self.assertIsNone(server_error_class(0x9999))
        self.assertIsNone(server_error_class(-1))

    def test_families(self) -> None:
        """Errors that a program would catch together."""
        self.assertTrue(issubclass(errors.BadCredentials, errors.AuthenticationFailed))
        self.assertTrue(issubclass(errors.ServerProtocolError, errors.ProtocolError))
        self.assertTrue(issubclass(errors.EncodeError, ValueError))
        self.assertTrue(issubclass(errors.DecodeError, ValueError))
        self.assertFalse(issubclass(errors.ReadTimeout, errors.RequestTimeout))


class DeliveryTests(SynchronousTestCase):
    """Whether the request reached the server."""

    def test_by_class(self) -> None:
        """What is always the same is said by the class."""
        self.assertEqual(errors.EncodeError("x").delivery, "not sent")
        self.assertEqual(errors.InvalidRequest("x").delivery, "sent")
        self.assertEqual(errors.Overloaded("x").delivery, "not sent")
        self.assertEqual(errors.IsBootstrapping("x").delivery, "not sent")
        self.assertEqual(errors.NoNodeAvailable("x").delivery, "not sent")
        self.assertEqual(errors.SessionClosed().delivery, "not sent")
        self.assertEqual(errors.SessionClosed("x", "sent").delivery, "sent")
        self.assertIsNone(errors.ConnectionLost("x").delivery)


class ServerErrorTests(SynchronousTestCase):
    """What the server says."""

    def test_text(self) -> None:
        """Its sentence, and nothing around it."""
        error = errors.Unavailable("Cannot achieve", consistency="QUORUM", required=2, alive=1)
        self.assertEqual((str(error), error.message), ("Cannot achieve", "Cannot achieve"))
        self.assertEqual((error.consistency, error.required, error.alive), ("QUORUM", 2, 1))
        self.assertEqual((error.warnings, error.tracing_id, error.payload), ((), None, None))

    def test_fields(self) -> None:
        """A class has the fields of its code, no more and no less."""
        self.assertRaises(TypeError, errors.Unavailable, "x")
        self.assertRaises(TypeError, errors.InvalidRequest, "x", alive=1)


class CopyTests(SynchronousTestCase):
    """Errors travel: to other processes, into logs and back."""

    EXAMPLES = (
        errors.CQLError("text"),
        errors.EncodeError("text"),
        errors.BusyConnectionError("10.0.0.1:9042", in_flight=1, queued=2, limit=3, reason="bytes"),
        errors.NoNodeAvailable("text", {"10.0.0.1:9042": errors.ConnectionLost("lost")}),
        errors.NameResolutionError("db.example"),
        errors.SessionClosed("text", "sent"),
        errors.InvalidRequest("text"),
        errors.ServerProtocolError("text"),
        errors.UnknownServerError("text", unknown_code=0x9999),
        errors.WriteTimeout(
            "text", consistency="ONE", received=0, required=1, write_type="CAS", contentions=3
        ),
    )

    def state(self, error: CQLError) -> dict[str, Any]:
        return {name: repr(value) for name, value in vars(error).items()}

    def test_same(self) -> None:
        """The copy has the same text and the same fields."""
        for error in self.EXAMPLES:
            error.node = "10.0.0.1:9042"
            error.delivery = "unknown"
            copies = [pickle.loads(pickle.dumps(error, protocol)) for protocol in (2, 5)]
            for copied in (*copies, copy.copy(error), copy.deepcopy(error)):
                self.assertIs(type(copied), type(error))
                self.assertEqual(str(copied), str(error))
                self.assertEqual(copied.args, error.args)
                self.assertEqual(self.state(copied), self.state(error))


class SaidByTests(SynchronousTestCase):
    """Who said what, in one line."""

    def test_name_once(self) -> None:
        """A text that names the node is left as it is."""
        name = "10.0.0.1:9042"
        self.assertEqual(said_by(name, ServerError("no")), "10.0.0.1:9042: no")
        refused = errors.ConnectionLost(f"{name} refused the connection")
        self.assertEqual(said_by(name, refused), "10.0.0.1:9042 refused the connection")
