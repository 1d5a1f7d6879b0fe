"""Tests for :mod:`txcql.wire.typeoptions`."""

from __future__ import annotations

import contextlib

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import DecodeError
from txcql.test.examples import examples, prefixes, types
from txcql.wire.collectiontypes import (
    FrozenType,
    ListType,
    MapType,
    ReversedType,
    SetType,
    VectorType,
    unwrap,
)
from txcql.wire.cqltypes import CQLType
from txcql.wire.fieldtypes import TupleType, UDTType
from txcql.wire.scalars import FLOAT, INT, SCALARS, TEXT, CustomType
from txcql.wire.typeoptions import read_option, read_type, write_option
from txcql.wire.typeparser import MARSHAL


def plain(kind: CQLType) -> CQLType:
    """The type as options show it: frozen and reversed are gone, but not within a vector's class name."""
    found = unwrap(kind)
    if isinstance(found, (ListType, SetType)):
        return type(found)(plain(found.element))
    if isinstance(found, MapType):
        return MapType(plain(found.key), plain(found.value))
    if isinstance(found, TupleType):
        return TupleType([plain(codec) for codec in found.types])
    if isinstance(found, UDTType):
        fields = zip(found.field_names, found.types, strict=True)
        return UDTType(found.keyspace, found.type_name, [(name, plain(codec)) for name, codec in fields])
    assert isinstance(found, CQLType)
    return found


class OptionTests(SynchronousTestCase):
    """The protocol's [option]."""

    def test_ids(self) -> None:
        """The ids of the specification."""
        for number, kind in [
            ("0001", SCALARS["ascii"]),
            ("0009", INT),
            ("000d", TEXT),
            ("0015", SCALARS["duration"]),
            ("0020 0009", ListType(INT)),
            ("0021 000d 0009", MapType(TEXT, INT)),
            ("0022 0009", SetType(INT)),
            ("0030 0003726566 000461646472 0001 00037a6970 0009", UDTType("ref", "addr", [("zip", INT)])),
            ("0031 0002 0009 000d", TupleType([INT, TEXT])),
            ("0000 0003 612e62", CustomType("a.b")),
        ]:
            self.assertEqual(read_type(bytes.fromhex(number), 5), kind)
            self.assertEqual(write_option(kind, 5), bytes.fromhex(number))

    def test_older_versions(self) -> None:
        """What a version has no id for goes out as a custom class, and is understood."""
        for name, short, since in [
            ("date", "SimpleDateType", 4),
            ("time", "TimeType", 4),
            ("smallint", "ShortType", 4),
            ("tinyint", "ByteType", 4),
            ("duration", "DurationType", 5),
        ]:
            for version in (3, 4, 5):
                written = write_option(SCALARS[name], version)
                self.assertEqual((MARSHAL + short).encode() in written, version < since)
                self.assertIs(read_type(written, version), SCALARS[name])
        vector = write_option(VectorType(FLOAT, 3), 5)
        self.assertEqual(vector[4:].decode(), f"{MARSHAL}VectorType({MARSHAL}FloatType , 3)")

    @examples
    @given(types(), st.sampled_from([3, 4, 5]), st.binary(max_size=3))
    def test_round_trip(self, kind: CQLType, version: int, before: bytes) -> None:
        """Every type comes back, at any offset; every cut raises DecodeError."""
        written = write_option(kind, version)
        read = read_option(before + written + b"\xff", len(before), version)
        self.assertEqual(read, (plain(kind), len(before + written)))
        for cut in prefixes(written):
            self.assertRaises(DecodeError, read_type, cut, version)
        self.assertRaises(DecodeError, read_type, written + b"\0", version)

    @examples
    @given(st.binary(max_size=60))
    def test_any_bytes(self, data: bytes) -> None:
        """Bytes are a type or a DecodeError."""
        with contextlib.suppress(DecodeError):
            read_type(data, 5)

    def test_depth(self) -> None:
        """Nothing recurses without a bound, through a class name neither."""
        self.assertEqual(read_type(b"\0\x20" * 63 + b"\0\x09", 5).name.count("list"), 63)
        name = "ListType(" * 40 + "Int32Type" + ")" * 40
        custom = b"\0\0" + len(name).to_bytes(2, "big") + name.encode()
        for data in (b"\0\x20" * 64 + b"\0\x09", b"\0\x20" * 100_000, b"\0\x20" * 40 + custom):
            self.assertIn("deeper than 64", str(self.assertRaises(DecodeError, read_type, data, 5)))

    def test_unknown_id(self) -> None:
        """An id that is no type's is named."""
        self.assertIn("0x7777", str(self.assertRaises(DecodeError, read_type, b"\x77\x77", 5)))

    def test_wrappers(self) -> None:
        """frozen and reversed are not visible."""
        self.assertEqual(write_option(FrozenType(ReversedType(INT)), 5), b"\0\x09")
