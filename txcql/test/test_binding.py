"""Tests for :mod:`txcql.wire.binding`."""

from __future__ import annotations

import dataclasses
import enum
import struct
import uuid
from collections import namedtuple
from datetime import date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import attrs
import numpy
from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import EncodeError
from txcql.test.examples import examples, types, values_of
from txcql.wire.binding import ParameterEncoder
from txcql.wire.metadata import Column
from txcql.wire.scalars import SCALARS, IntegerType
from txcql.wire.typeparser import parse_type
from txcql.wire.values import EMPTY, UNSET, Timestamp


def encoder(**kinds: Any) -> ParameterEncoder:
    """An encoder of parameters by their names and types."""
    return ParameterEncoder(
        [
            Column("ks", "t", name, parse_type(kind) if isinstance(kind, str) else kind)
            for name, kind in kinds.items()
        ]
    )


def written(*parts: bytes | None) -> bytes:
    """The bytes of parameters."""
    cells = [b"\xff\xff\xff\xff" if part is None else struct.pack(">i", len(part)) + part for part in parts]
    return struct.pack(">H", len(parts)) + b"".join(cells)


class Color(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


Pair = namedtuple("Pair", "x y")


@dataclasses.dataclass
class User:
    id: int
    age: int
    other: str = ""


@attrs.define
class AttrsUser:
    id: int
    age: int


class Upper:
    """A codec of a user's, which knows nothing of UNSET."""

    name = "upper"

    def encode(self, value: Any) -> Any:
        return value if value is None or isinstance(value, list) else str(value).upper().encode()


class Doubled(IntegerType):
    """A subclass of one of our types, with a way of its own."""

    def write(self, value: Any) -> bytes:
        return super().write(2 * value)


class ParameterEncoderTests(SynchronousTestCase):
    """What is sent."""

    @examples
    @given(st.data())
    def test_like_the_types(self, data: st.DataObject) -> None:
        """The generated code writes what the types write."""
        kinds = data.draw(st.lists(types(depth=1), max_size=6))
        values = [data.draw(values_of(kind) | values_of(kind) | st.none() | st.just(EMPTY)) for kind in kinds]
        whole = encoder(**{f"p{place}": kind for place, kind in enumerate(kinds)})
        expected = written(*[kind.encode(value) for kind, value in zip(kinds, values, strict=True)])
        self.assertEqual(whole.encode(values, 4), expected)
        self.assertEqual(whole.encode(tuple(values), 4), expected)

    def test_usual_and_unusual(self) -> None:
        """What the fast code leaves to the checked one gives the same bytes."""
        whole = encoder(
            a="text",
            b="int",
            c="double",
            d="timestamp",
            e="date",
            f="blob",
            g="timeuuid",
            h="float",
            i="boolean",
        )
        moment = datetime(2020, 1, 1, 0, 0, 0, 5000, timezone.utc)
        day, marker = date(2020, 1, 1), uuid.uuid1()
        fast = ["red", 3, 2.0, moment, day, b"ab", marker, 1.5, True]
        self.assertEqual(whole.encode(fast, 4), whole._checked(fast, 4))
        for place, value in enumerate(
            [
                Color.RED,
                Level.HIGH,
                2,
                Timestamp(1_577_836_800_005),
                day,
                bytearray(b"ab"),
            ]
        ):
            self.assertEqual(
                whole.encode([*fast[:place], value, *fast[place + 1 :]], 4), whole.encode(fast, 4)
            )
        east = moment.astimezone(timezone(timedelta(hours=-7)))
        self.assertEqual(whole.encode([*fast[:3], east, *fast[4:]], 4), whole.encode(fast, 4))

    def test_refused_alike(self) -> None:
        """The fast code lets nothing pass that the type refuses."""
        wrong: dict[str, list[Any]] = {
            "int": [True, 1.0, "x", 1 << 31, b"abcd"],
            "double": [True, "x", (1 << 53) + 1],
            "float": [1e300],
            "text": [b"x", 5, "\ud800"],
            "ascii": ["é"],
            "boolean": [1, None.__class__],
            "timestamp": [
                datetime(2020, 1, 1),
                datetime(2020, 1, 1, 0, 0, 0, 1, timezone.utc),
                date(2020, 1, 1),
            ],
            "date": [datetime(2020, 1, 1)],
            "timeuuid": [uuid.uuid4()],
            "uuid": ["x"],
            "blob": ["x"],
            "list<int>": [["x"], "x", UNSET.__class__],
        }
        for name, values in wrong.items():
            for value in values:
                for before in ([], [("int", 5)], [("text", "t")]):
                    kinds = {f"x{place}": kind for place, (kind, _) in enumerate(before)}
                    others: list[Any] = [other for _, other in before]
                    error = self.assertRaises(
                        EncodeError, encoder(**kinds, a=name).encode, [*others, value], 4
                    )
                    self.assertIn(f'parameter {len(others) + 1} "a" ({name}): ', str(error))

    def test_the_words(self) -> None:
        """The very words of the error table."""
        error = self.assertRaises(EncodeError, encoder(id="int", age="int").encode, [1, "x"], 4)
        self.assertEqual(str(error), 'parameter 2 "age" (int): expected int, got str "x"')
        error = self.assertRaises(EncodeError, encoder(id="int").encode, [3_000_000_000], 4)
        self.assertEqual(
            str(error), 'parameter 1 "id" (int): expected int in -2147483648..2147483647, got 3000000000'
        )

    def test_null_and_unset(self) -> None:
        """Null is -1, unset is -2 and refused below version 4."""
        whole = encoder(a="int", b="text", c=Upper())
        self.assertEqual(whole.encode([None, None, None], 3), written(None, None, None))
        unset = b"\xff\xff\xff\xfe"
        for version in (4, 5):
            self.assertEqual(whole.encode([UNSET] * 3, version), b"\0\3" + unset * 3)
        for values in ([UNSET, "a", "b"], [1, "a", UNSET]):
            error = self.assertRaises(EncodeError, whole.encode, values, 3)
            self.assertIn("UNSET needs protocol version 4", str(error))

    def test_counts(self) -> None:
        """Too many and too few are counted both ways, and what is missing is named."""
        whole = encoder(id="int", age="int", name="text")
        error = self.assertRaises(EncodeError, whole.encode, [1], 4)
        self.assertEqual(str(error), 'expected 3 parameters, got 1: missing "age" (int), "name" (text)')
        error = self.assertRaises(EncodeError, whole.encode, (1, 2, "a", 4), 4)
        self.assertEqual(
            str(error),
            'expected 3 parameters, got 4: the statement has "id" (int), "age" (int), "name" (text)',
        )
        error = self.assertRaises(EncodeError, whole.encode, {"id": 1, "name": "a"}, 4)
        self.assertEqual(str(error), 'expected 3 parameters, got 2: missing "age" (int)')
        self.assertIn("got 0: missing", str(self.assertRaises(EncodeError, whole.encode, None, 4)))
        self.assertIn(
            "expected 0 parameters, got 1: the statement has none",
            str(self.assertRaises(EncodeError, encoder().encode, [1], 4)),
        )
        no_values: list[Any] = [[], (), {}, None]
        for nothing in no_values:
            self.assertEqual(encoder().encode(nothing, 4), b"\0\0")

    def test_names(self) -> None:
        """A mapping by name; an unknown name is named with those that exist."""
        whole = encoder(id="int", age="int")
        for values in (
            {"age": 2, "id": 1},
            MappingProxyType({"id": 1, "age": 2}),
            [1, 2],
            Pair(1, 2),
        ):
            self.assertEqual(whole.encode(values, 4), written(b"\0\0\0\1", b"\0\0\0\2"))
        error = self.assertRaises(EncodeError, whole.encode, {"id": 1, "aeg": 2}, 4)
        self.assertEqual(str(error), 'unknown parameter str "aeg": the statement has "id", "age"')
        self.assertRaises(EncodeError, whole.encode, {"id": 1, "age": 2, 5: 6}, 4)
        self.assertIn("has none", str(self.assertRaises(EncodeError, encoder().encode, {"a": 1}, 4)))
        error = self.assertRaises(EncodeError, whole.encode, {"id": 1, "age": "x"}, 4)
        self.assertIn('parameter 2 "age" (int): expected int', str(error))

    def test_odd_names(self) -> None:
        """Two markers of one name are filled both; an alias serves for what is no identifier."""
        twice = ParameterEncoder(
            [Column("ks", "t", name, SCALARS["int"]) for name in ("v", "k", "v", "[ttl]")]
        )
        one, two, three = b"\0\0\0\1", b"\0\0\0\2", b"\0\0\0\3"
        for name in ("ttl", "[ttl]"):
            self.assertEqual(twice.encode({"v": 1, "k": 2, name: 3}, 4), written(one, two, one, three))
        self.assertIn(
            "given twice",
            str(self.assertRaises(EncodeError, twice.encode, {"v": 1, "k": 2, "ttl": 3, "[ttl]": 4}, 4)),
        )

    def test_objects(self) -> None:
        """Instances of dataclasses and attrs classes give their fields; others are left alone."""
        whole = encoder(age="int", id="int")
        for value in (User(1, 2), AttrsUser(1, 2)):
            self.assertEqual(whole.encode(value, 4), written(b"\0\0\0\2", b"\0\0\0\1"))
        error = self.assertRaises(EncodeError, encoder(id="int", name="text").encode, User(1, 2), 4)
        self.assertIn('missing "name" (text)', str(error))

    def test_numpy(self) -> None:
        """Scalars where nothing is lost, arrays for vectors and blobs; all else is refused."""
        taken: list[tuple[str, Any, Any]] = [
            ("int", numpy.int64(5), 5),
            ("tinyint", numpy.uint8(127), 127),
            ("varint", numpy.int8(-5), -5),
            ("double", numpy.float64(0.1), 0.1),
            ("double", numpy.float32(0.5), 0.5),
            ("double", numpy.int32(3), 3.0),
            ("float", numpy.float16(0.5), 0.5),
            ("boolean", numpy.bool_(True), True),
            ("text", numpy.str_("a"), "a"),
            ("blob", numpy.bytes_(b"a"), b"a"),
            ("blob", numpy.array([1, 2], "u1"), b"\1\2"),
            ("blob", numpy.array([1.0], ">f4"), b"\x3f\x80\0\0"),
            ("vector<float, 2>", numpy.array([1, 2], "f4"), [1.0, 2.0]),
        ]
        for kind, value, plain in taken:
            self.assertEqual(encoder(a=kind).encode([value], 4), encoder(a=kind).encode([plain], 4), kind)
        refused: list[tuple[str, Any]] = [
            ("int", numpy.float64(5)),
            ("int", numpy.int64(1 << 40)),
            ("int", numpy.bool_(True)),
            ("boolean", numpy.int8(1)),
            ("double", numpy.int64((1 << 53) + 1)),
            ("text", numpy.bytes_(b"a")),
            ("blob", numpy.int64(5)),
            ("list<int>", numpy.array([1])),
            ("timestamp", numpy.datetime64("2020-01-01", "ns")),
            ("vector<float, 2>", numpy.array([1.0])),
        ]
        for kind, value in refused:
            error = self.assertRaises(EncodeError, encoder(a=kind).encode, [value], 4)
            self.assertIn(f'parameter 1 "a" ({kind}): ', str(error))

    def test_wrong_containers(self) -> None:
        """What is neither a sequence nor a mapping is refused, text above all."""
        for value in (
            "ab",
            b"ab",
            bytearray(b"ab"),
            memoryview(b"ab"),
            {1, 2},
            iter([1, 2]),
            5,
            User,
            AttrsUser,
        ):
            error = self.assertRaises(EncodeError, encoder(a="text", b="text").encode, value, 4)
            self.assertIn("a sequence or a mapping by name, got", str(error))

    def test_codecs(self) -> None:
        """Any object with ``encode`` works in place of a type, and a subclass of a type is asked too."""
        whole = encoder(a="int", b=Upper(), c=Doubled("int", "i"))
        self.assertEqual(whole.encode([1, "x", 2], 4), written(b"\0\0\0\1", b"X", b"\0\0\0\4"))
        error = self.assertRaises(EncodeError, whole.encode, [1, ["no bytes"], 2], 4)
        self.assertIn('parameter 2 "b" (upper): ', str(error))
        self.assertIsInstance(error.__cause__, TypeError)

    def test_repr(self) -> None:
        """The repr names the parameters."""
        self.assertEqual(repr(encoder(id="int", a="text")), '<ParameterEncoder "id" (int), "a" (text)>')
