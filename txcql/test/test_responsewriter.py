"""Responses as a server writes them: what older versions get instead of what they do not have."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcql import errors
from txcql.wire import constants, responsewriter
from txcql.wire.metadata import Column
from txcql.wire.responses import decode_response
from txcql.wire.scalars import INT


class DowngradeTests(SynchronousTestCase):
    """Errors of later versions."""

    def told(self, error: errors.ServerError, version: int) -> errors.ServerError:
        found = decode_response(constants.ERROR, responsewriter.error(error, version), version)
        assert isinstance(found, errors.ServerError)
        return found

    def test_cas_write_unknown(self) -> None:
        """Below v5, a write timeout."""
        error = errors.CASWriteUnknown("why", consistency="SERIAL", received=1, required=2)
        for version in (3, 4):
            found = self.told(error, version)
            assert isinstance(found, errors.WriteTimeout)
            self.assertEqual((found.write_type, found.received, found.required), ("CAS", 1, 2))
            self.assertIsNone(found.contentions)

    def test_failures(self) -> None:
        """In v3, timeouts."""
        read = errors.ReadFailure(
            "why", consistency="ONE", received=0, required=1, failures=1, reasons={}, data_present=True
        )
        found = self.told(read, 3)
        assert isinstance(found, errors.ReadTimeout)
        self.assertTrue(found.data_present)
        write = errors.WriteFailure(
            "why", consistency="ONE", received=0, required=1, failures=1, reasons={}, write_type="SIMPLE"
        )
        found = self.told(write, 3)
        assert isinstance(found, errors.WriteTimeout)
        self.assertEqual(found.write_type, "SIMPLE")

    def test_functions_and_cdc(self) -> None:
        """In v3, invalid requests that say what they are."""
        error = errors.FunctionFailure("why", keyspace="ks", function="f", argument_types=())
        found = self.told(error, 3)
        self.assertIsInstance(found, errors.InvalidRequest)
        self.assertEqual(str(found), "ERROR FUNCTION_FAILURE: why")
        found = self.told(errors.CDCWriteFailure("why"), 3)
        self.assertEqual(str(found), "ERROR CDC_WRITE_FAILURE: why")
        self.assertIsInstance(self.told(errors.CDCWriteFailure("why"), 4), errors.CDCWriteFailure)


class ColumnSpecsTests(SynchronousTestCase):
    """:func:`responsewriter.column_specs`."""

    def test_tables(self) -> None:
        """A table is named once if it is the same for all columns."""
        one = (Column("ks", "t", "a", INT), Column("ks", "t", "b", INT))
        flags, count, specs = responsewriter.column_specs(one, 5)
        self.assertEqual((flags, count), (constants.ROWS_GLOBAL_TABLE, 2))
        self.assertEqual(specs, b"\0\2ks\0\1t\0\1a\0\x09\0\1b\0\x09")
        two = (Column("ks", "t", "a", INT), Column("ks", "u", "b", INT))
        flags, count, specs = responsewriter.column_specs(two, 5)
        self.assertEqual((flags, count), (0, 2))
        self.assertEqual(specs, b"\0\2ks\0\1t\0\1a\0\x09\0\2ks\0\1u\0\1b\0\x09")

    def test_none(self) -> None:
        """No columns, no table."""
        self.assertEqual(responsewriter.column_specs((), 5), (0, 0, b""))
