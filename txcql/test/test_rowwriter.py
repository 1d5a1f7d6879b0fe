"""Tests for :mod:`txcql.integrations.rowwriter`, and for the batches that it gathers."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from txcql.errors import EncodeError, InvalidRequest, NoNodeAvailable, Overloaded, WriteTimeout
from txcql.integrations.rowwriter import RowWriter, WriteOptions
from txcql.test.scriptednode import Asked, columns
from txcql.test.scriptedsession import INSERT, SessionTestCase, held
from txcql.wire import constants

LATE = WriteTimeout("late", consistency="ONE", received=0, required=1, write_type="SIMPLE", contentions=None)

BATCHES = {rows: f"BEGIN UNLOGGED BATCH {f'{INSERT}; ' * rows}APPLY BATCH" for rows in range(2, 5)}


class Stats(dict[str, Any]):
    """Counts as Scrapy's collector does."""

    def inc_value(self, key: str, count: int = 1) -> None:
        self[key] = self.get(key, 0) + count

    def max_value(self, key: str, value: Any) -> None:
        self[key] = max(self.get(key, value), value)

    def set_value(self, key: str, value: Any) -> None:
        self[key] = value


class WriterTestCase(SessionTestCase):
    """One node with a table."""

    def writer(self, ending: bool = False, limit: float = 30.0, **options: Any) -> RowWriter:
        self.session = self.connect()
        prepared = self.session.prepare(INSERT)
        self.reactor.settle()
        self.stats = Stats()
        self.ending = ending
        return RowWriter(
            self.session,
            self.reactor,
            self.successResultOf(prepared),
            WriteOptions(**options),
            self.stats,
            ending=lambda: self.ending,
            limit=limit,
        )

    def written(self, *rows: Deferred[bool]) -> None:
        self.reactor.settle()
        for row in rows:
            self.assertTrue(self.successResultOf(row))

    def advance(self, seconds: float) -> None:
        """Let time pass, and what comes of it arrive."""
        for _ in range(round(seconds * 16)):
            self.reactor.advance(0.0625)


class RowWriterTests(WriterTestCase):
    """Row by row."""

    def test_so_many_at_a_time(self) -> None:
        """The others wait, which is counted as a pause."""
        writer = self.writer(concurrency=3)
        self.one.holds = held
        rows = [writer.write([number, "v"]) for number in range(8)]
        self.reactor.settle()
        self.assertEqual(len(self.one.held), 3)
        self.assertEqual(writer.pending, 8)
        self.advance(2)
        for _ in range(3):
            self.one.release()
            self.reactor.settle()
        self.written(*rows)
        self.assertEqual(self.stats["cassandra/inflight_max"], 3)
        self.assertEqual(self.stats["cassandra/rows_written"], 8)
        self.assertEqual(self.stats["cassandra/requests"], 8)
        self.assertEqual(self.stats["cassandra/paused_seconds"], 2.0)
        self.assertEqual(repr(writer), "<RowWriter in_flight=0 pending=0>")

    def test_a_wrong_row(self) -> None:
        """It fails at once, alone, and is counted."""
        writer = self.writer()
        self.failureResultOf(writer.write(["x", "v"]), EncodeError)
        self.written(writer.write([1, "v"]))
        self.assertEqual(self.stats["cassandra/errors/EncodeError"], 1)
        self.assertEqual(self.stats["cassandra/rows_not_written"], 1)

    def refuse(self, error: Any, times: int) -> None:
        """Refuse a statement so many times."""
        left = [times]

        def reply(asked: Asked) -> None:
            left[0] -= 1
            asked.error(error) if left[0] >= 0 else asked.void()

        self.one.statements[INSERT].reply = reply

    def test_a_passing_error(self) -> None:
        """It is tried again, later each time, until it is written."""
        writer = self.writer()
        self.refuse(Overloaded("busy"), 3)
        row = writer.write([1, "v"])
        self.reactor.settle()
        self.assertNoResult(row)
        self.advance(1)
        self.written(row)
        self.assertEqual(self.stats["cassandra/retries"], 3)
        self.assertEqual(self.stats["cassandra/errors/Overloaded"], 3)
        self.assertNotIn("cassandra/rows_not_written", self.stats)

    def test_what_may_have_been_done(self) -> None:
        """It is repeated if that does no harm."""
        writer = self.writer()
        self.refuse(LATE, 1)
        row = writer.write([1, "v"])
        self.advance(0.5)
        self.written(row)

    def test_what_must_not_be_repeated(self) -> None:
        """What may have been done already fails, if it must not be done twice."""
        writer = self.writer(idempotent=False)
        self.refuse(LATE, 1)
        row = writer.write([1, "v"])
        self.reactor.settle()
        self.failureResultOf(row, WriteTimeout)
        self.assertEqual(self.stats["cassandra/rows_not_written"], 1)

    def test_an_outage(self) -> None:
        """The rows are written once the node is back."""
        writer = self.writer(concurrency=2)
        self.one.stop()
        self.reactor.settle()
        rows = [writer.write([number, "v"]) for number in range(4)]
        self.advance(8)
        for row in rows:
            self.assertNoResult(row)
        self.one.refusing = False
        self.advance(60)
        self.written(*rows)
        self.assertGreater(self.stats["cassandra/paused_seconds"], 8)

    def test_an_outage_that_lasts(self) -> None:
        """After the time that was given, each row fails with what was said last."""
        writer = self.writer(repeat_for=5)
        self.one.stop()
        self.reactor.settle()
        row = writer.write([1, "v"])
        self.advance(4)
        self.assertNoResult(row)
        self.advance(3)
        self.assertIn("refused", str(self.failureResultOf(row, NoNodeAvailable).value))
        self.assertEqual(self.stats["cassandra/rows_not_written"], 1)

    def test_the_end(self) -> None:
        """Once the work has to end, a limit holds for all rows; the sum of those lost is told."""
        writer = self.writer(concurrency=2, limit=3)
        self.one.stop()
        self.reactor.settle()
        rows = [writer.write([number, "v"]) for number in range(1500)]
        self.advance(1)
        self.ending = True
        self.advance(6)
        for row in rows:
            self.failureResultOf(row)
        self.failureResultOf(writer.write([1, "v"]), CancelledError)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(writer.close())), 1501)
        self.assertEqual(self.stats["cassandra/rows_not_written"], 1501)
        self.assertEqual(writer.pending, 0)

    def test_close_waits(self) -> None:
        """For what is under way, but not for ever."""
        writer = self.writer(limit=2)
        self.one.holds = held
        rows = [writer.write([number, "v"]) for number in range(2)]
        self.reactor.settle()
        closed = Deferred.fromCoroutine(writer.close())
        self.one.release(1)
        self.advance(1)
        self.written(rows[0])
        self.assertNoResult(closed)
        self.advance(1.5)
        self.assertEqual(self.successResultOf(closed), 1)
        self.failureResultOf(rows[1], CancelledError)

    def test_close_leaves_no_timer(self) -> None:
        """With nothing under way it is over at once."""
        writer = self.writer()
        before = len(self.reactor.getDelayedCalls())
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(writer.close())), 0)
        self.assertEqual(len(self.reactor.getDelayedCalls()), before)


class BatchTests(WriterTestCase):
    """With batches."""

    def writer(self, ending: bool = False, limit: float = 30.0, **options: Any) -> RowWriter:
        for rows, text in BATCHES.items():
            self.one.teach(text, parameters=columns(k="int", v="text") * rows)
        self.one.partition_keys[INSERT] = (0,)
        return super().writer(ending, limit, **{"batch_size": 4, "flush_interval": 0.5, **options})

    def executed(self) -> list[str]:
        """What was executed, in order."""
        return [asked.text for asked in self.one.asked_for(constants.EXECUTE)]

    def test_by_size(self) -> None:
        """A full batch goes at once; only rows of one partition are in it."""
        writer = self.writer()
        ones = [writer.write([1, f"{number}"]) for number in range(4)]
        self.written(*ones)
        self.assertEqual(self.executed(), [BATCHES[4]])
        other = writer.write([2, "other"])
        another = writer.write([3, "another"])
        self.reactor.settle()
        self.assertNoResult(other)
        self.advance(0.5)
        self.written(other, another)
        self.assertEqual(self.executed(), [BATCHES[4], INSERT, INSERT])
        self.assertEqual(self.stats["cassandra/batches"], 1)
        self.assertEqual(self.stats["cassandra/rows_written"], 6)
        self.assertEqual(self.stats["cassandra/requests"], 3)

    def test_by_time(self) -> None:
        """Whoever waits for its rows before it writes more is not left waiting."""
        writer = self.writer()
        rows = [writer.write([1, "a"]), writer.write([1, "b"])]
        self.advance(0.4375)
        self.assertNoResult(rows[0])
        self.advance(0.0625)
        self.written(*rows)
        self.assertEqual(self.executed(), [BATCHES[2]])

    def test_by_bytes(self) -> None:
        """A batch that would be too large goes before."""
        writer = self.writer()
        rows = [writer.write([1, "x" * 20_000]) for _ in range(2)]
        self.reactor.settle()
        self.assertEqual(self.executed(), [INSERT])
        self.advance(0.5)
        self.written(*rows)

    def test_close_flushes(self) -> None:
        """What waits for others does so no longer."""
        writer = self.writer(flush_interval=50)
        rows = [writer.write([1, "a"]), writer.write([1, "b"])]
        closed = Deferred.fromCoroutine(writer.close())
        self.written(*rows)
        self.assertEqual(self.successResultOf(closed), 0)

    def test_a_batch_that_is_refused(self) -> None:
        """Its rows are written one by one, so that only the wrong ones fail."""
        writer = self.writer()
        self.one.statements[BATCHES[2]].reply = lambda asked: asked.error(InvalidRequest("Batch too large"))
        rows = [writer.write([1, "a"]), writer.write([1, "b"])]
        self.advance(0.5)
        self.written(*rows)
        self.assertEqual(self.stats["cassandra/rows_written"], 2)
        self.assertNotIn("cassandra/rows_not_written", self.stats)

    def test_without_a_partition_key(self) -> None:
        """Rows whose partition is not known are written one by one."""
        writer = WriterTestCase.writer(self, batch_size=4)
        self.written(writer.write([1, "a"]))
        self.assertEqual(self.executed(), [INSERT])
