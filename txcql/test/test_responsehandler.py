"""Tests for :mod:`txcql.session.responsehandler`: which columns an answer is read with."""

from __future__ import annotations

from typing import Any
from unittest import mock

from txcql.errors import DecodeError
from txcql.session.responsehandler import DecoderCache
from txcql.test.scriptednode import Asked, ScriptedTestCase, columns
from txcql.wire import constants, responses
from txcql.wire.responses import KnownMetadata
from txcql.wire.usercodecs import CodecRegistry

SELECT = "SELECT * FROM t WHERE k = ?"
LIST = "SELECT k, v FROM t"


class DecoderCacheTests(ScriptedTestCase):
    """Decoders are kept by the bytes of their metadata."""

    def metadata(self, number: int) -> KnownMetadata:
        return KnownMetadata(bytes([number]), True, columns(**{f"c{number}": "int"}))

    def test_same(self) -> None:
        """The same bytes give the same decoder; another row factory has its own."""
        cache = DecoderCache(CodecRegistry())
        decoder = cache.decoder(self.metadata(1), "named")
        self.assertIs(cache.decoder(self.metadata(1), "named"), decoder)
        self.assertIsNot(cache.decoder(self.metadata(1), "tuple"), decoder)
        self.assertIsNot(cache.decoder(self.metadata(2), "named"), decoder)

    def test_capacity(self) -> None:
        """The one not used for longest goes."""
        cache = DecoderCache(CodecRegistry(), capacity=2)
        one, two = (cache.decoder(self.metadata(number), "named") for number in (1, 2))
        cache.decoder(self.metadata(1), "named")
        cache.decoder(self.metadata(3), "named")
        self.assertIs(cache.decoder(self.metadata(1), "named"), one)
        self.assertIsNot(cache.decoder(self.metadata(2), "named"), two)


class MetadataTestCase(ScriptedTestCase):
    """A table that is altered."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one = self.node()
        self.statement = self.one.teach(
            SELECT, parameters=columns(k="int"), columns=columns(a="int", b="text"), rows=[[1, "one"]]
        )

    def alter(self) -> None:
        """A column comes in between; the statement is not evicted, because another client did that."""
        self.statement.columns = columns(a="int", aa="bigint", b="text")
        self.statement.rows = [[1, 11, "one"]]


class Version5Tests(MetadataTestCase):
    """Metadata is left out, and its id says whether it has changed."""

    def setUp(self) -> None:
        MetadataTestCase.setUp(self)
        self.connect(protocol_version=5)
        assert self.session is not None
        self.execute = self.session.execute
        self.select = self.answer(self.session.prepare(SELECT))

    def test_left_out(self) -> None:
        """It is asked to be left out, and the rows are read with what PREPARE said."""
        self.assertEqual(self.answer(self.execute(self.select, [1])).all(), [(1, "one")])
        self.assertTrue(self.one.requests[-1].options.skip_metadata)

    def test_changed(self) -> None:
        """The first answer tells of the change; the next request carries the new id."""
        self.answer(self.execute(self.select, [1]))
        self.alter()
        for _ in range(2):
            self.assertEqual(self.answer(self.execute(self.select, [1])).all(), [(1, 11, "one")])
        self.assertEqual([column.name for column in self.select.columns], ["a", "aa", "b"])
        ids = [asked.request.result_metadata_id for asked in self.one.asked_for(constants.EXECUTE)]
        self.assertEqual(ids[0], ids[1])
        self.assertEqual(ids[2], self.statement.metadata_id)

    def test_out_of_order(self) -> None:
        """Answers of the old generation that come late are read with the old columns."""
        self.one.holds = lambda asked: True
        old = [self.execute(self.select, [key]) for key in range(3)]
        self.reactor.settle()
        late = self.one.held[:2]
        # Two were carried out before the table was altered, and their answers are overtaken.
        before = [self.copy(asked) for asked in late]
        self.alter()
        self.one.held[2].reply()
        self.reactor.settle()
        self.assertEqual(self.successResultOf(old[2]).all(), [(1, 11, "one")])
        self.one.holds = lambda asked: False
        self.assertEqual(self.answer(self.execute(self.select, [9])).all(), [(1, 11, "one")])
        for asked in before:
            asked.rows(columns(a="int", b="text"), [[1, "one"]], skip_metadata=True)
        self.reactor.settle()
        for deferred in old[:2]:
            self.assertEqual(self.successResultOf(deferred).all(), [(1, "one")])
        self.assertEqual(self.answer(self.execute(self.select, [9])).all(), [(1, 11, "one")])

    @staticmethod
    def copy(asked: Asked) -> Asked:
        return Asked(asked.node, asked.link, asked.stream, asked.opcode, asked.flags, asked.request)

    def test_row_factory_of_one_request(self) -> None:
        """A request with a row factory of its own learns of the change for all, but not in its way."""
        self.alter()
        result = self.answer(self.execute(self.select, [1], row_factory="dict"))
        self.assertEqual(result.all(), [{"a": 1, "aa": 11, "b": "one"}])
        row = self.answer(self.execute(self.select, [1])).one()
        self.assertEqual(row.aa, 11)

    def test_row_factories(self) -> None:
        """Each of them, with one decoder for all requests that want it."""
        for factory, row in (
            ("named", (1, "one")),
            ("tuple", (1, "one")),
            ("dict", {"a": 1, "b": "one"}),
        ):
            found = [self.answer(self.execute(self.select, [1], row_factory=factory)) for _ in range(2)]
            self.assertEqual(found[0].all(), [row])
            self.assertIs(found[0]._decoder, found[1]._decoder)

    def test_several_generations(self) -> None:
        """Another change follows the first."""
        self.alter()
        self.answer(self.execute(self.select, [1]))
        self.statement.columns = columns(b="text")
        self.statement.rows = [["one"]]
        for _ in range(2):
            self.assertEqual(self.answer(self.execute(self.select, [1])).all(), [("one",)])

    def test_prepared_again(self) -> None:
        """ALTER TABLE evicts the statement: it is prepared again, and read with the new columns."""
        self.alter()
        self.one.prepared.clear()
        self.assertEqual(self.answer(self.execute(self.select, [1])).all(), [(1, 11, "one")])
        self.assertEqual(self.answer(self.execute(self.select, [1])).all(), [(1, 11, "one")])

    def test_metadata_that_is_missing(self) -> None:
        """Rows of other columns without their metadata are not guessed at."""
        self.one.teach(SELECT, lambda asked: asked.rows(columns(a="int"), [[1]], skip_metadata=True))
        error = self.error(self.execute(self.select, [1]), DecodeError)
        self.assertEqual(str(error), "1 columns came without their metadata, where 2 are known")


class Version4Tests(MetadataTestCase):
    """Metadata comes with each answer, and is read when it is another."""

    def test_repeated(self) -> None:
        """The same metadata is not parsed again: that is seen by the columns being the same objects."""
        session = self.connect(protocol_version=4)
        select = self.answer(session.prepare(SELECT))
        first = self.answer(session.execute(select, [1]))
        self.assertFalse(self.one.requests[-1].options.skip_metadata)
        with mock.patch.object(responses, "OptionReader", side_effect=AssertionError("parsed again")):
            second = self.answer(session.execute(select, [2]))
        self.assertIs(first.columns, second.columns)
        self.assertEqual(second.all(), [(1, "one")])

    def test_changed(self) -> None:
        """It is followed at once."""
        session = self.connect(protocol_version=4)
        select = self.answer(session.prepare(SELECT))
        self.assertEqual(self.answer(session.execute(select, [1])).all(), [(1, "one")])
        self.alter()
        self.assertEqual(self.answer(session.execute(select, [1])).all(), [(1, 11, "one")])

    def test_text(self) -> None:
        """Text is read in the same way, in every version."""
        self.one.teach(LIST, columns=columns(k="int", v="text"), rows=[[1, "one"]])
        session = self.connect(protocol_version=5)
        first, second = (self.answer(session.execute(LIST)) for _ in range(2))
        self.assertIs(first.columns, second.columns)
        third = self.answer(session.execute(LIST, row_factory="dict"))
        self.assertEqual(third.all(), [{"k": 1, "v": "one"}])

    def test_long_text(self) -> None:
        """A text as long as a book is not kept."""
        text = LIST + " " * 5000
        self.one.teach(text, columns=columns(k="int"), rows=[[1]])
        session = self.connect()
        for _ in range(2):
            self.assertEqual(self.answer(session.execute(text)).all(), [(1,)])
        self.assertEqual(len(session._text_handlers), 0)

    def test_many_texts(self) -> None:
        """What is kept of texts is bounded."""
        session = self.connect()
        for number in range(300):
            self.one.teach(f"{LIST} {number}", columns=columns(k="int"), rows=[[number]])
            self.answer(session.execute(f"{LIST} {number}"))
        self.assertEqual(len(session._text_handlers), 256)


class ConditionalTests(MetadataTestCase):
    """IF: metadata varies from answer to answer."""

    def test_applied_or_not(self) -> None:
        """The columns are those of each answer."""
        text = "UPDATE t SET v = ? WHERE k = 1 IF v = ?"
        replies: list[Any] = [
            (columns(**{"[applied]": "boolean"}), [[True]]),
            (columns(**{"[applied]": "boolean", "v": "text"}), [[False, "other"]]),
        ]
        self.one.teach(
            text,
            lambda asked: asked.rows(*replies.pop(0)),
            parameters=columns(v="text"),
        )
        session = self.connect()
        for applied, row in ((True, (True,)), (False, (False, "other"))):
            result = self.answer(session.execute(text, ["x"]))
            self.assertEqual((result.was_applied, result.one()), (applied, row))
            self.assertFalse(self.one.requests[-1].options.skip_metadata)
            self.assertIsNone(self.one.requests[-1].options.page_size)
