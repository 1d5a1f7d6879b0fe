"""What the property tests of the type system share: how many examples, and which types and values."""

from __future__ import annotations

import os
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import settings, strategies as st

from txcql.wire.collectiontypes import FrozenType, ListType, MapType, SetType, VectorType, unwrap
from txcql.wire.cqltypes import CQLType
from txcql.wire.fieldtypes import TupleType, UDTType
from txcql.wire.scalars import SCALARS
from txcql.wire.values import Date, Duration, Time, Timestamp

__all__ = ["SCALAR_VALUES", "examples", "nested_types", "prefixes", "same", "types", "values_of"]

examples = settings(
    max_examples=10_000 if os.environ.get("TXCQL_FULL") else 50,
    deadline=None,
    derandomize=True,
    database=None,
)
"""The decorator of every property test: 50 examples, 10,000 of them under ``TXCQL_FULL``."""


def _signed(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


def _durations(sign: int) -> st.SearchStrategy[Duration]:
    def parts(bits: int) -> st.SearchStrategy[int]:
        return st.integers(0, (1 << bits - 1) - 1).map(lambda part: sign * part)

    return st.builds(Duration, parts(32), parts(32), parts(64))


SCALAR_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "ascii": st.text(st.characters(max_codepoint=127), max_size=20),
    "bigint": _signed(64),
    "blob": st.binary(max_size=20),
    "boolean": st.booleans(),
    "counter": _signed(64),
    "date": st.dates() | st.builds(Date, _signed(32)),
    "decimal": st.builds(
        lambda number, scale: Decimal((number < 0, tuple(map(int, str(abs(number)))), -scale)),
        st.integers(),
        _signed(32),
    ),
    "double": st.floats(allow_nan=False),
    "duration": _durations(1) | _durations(-1),
    "float": st.floats(allow_nan=False, width=32),
    "inet": st.ip_addresses(),
    "int": _signed(32),
    "smallint": _signed(16),
    "text": st.text(max_size=20),
    "time": st.builds(Time, st.integers(0, 86_399_999_999_999)),
    "timestamp": st.builds(Timestamp, _signed(64)) | st.builds(Timestamp, st.integers(0, 1 << 42)),
    "timeuuid": st.uuids(version=1),
    "tinyint": _signed(8),
    "uuid": st.uuids(),
    "varint": st.integers() | st.integers(-(1 << 600), 1 << 600),
}
"""Values of each scalar type, among them those that only txcql's own classes can hold."""


def nested_types(depth: int) -> dict[str, st.SearchStrategy[CQLType]]:
    """Each kind of type that holds others, those nested up to a depth."""
    inner = types(depth=depth)
    fields = st.lists(inner, min_size=1, max_size=3)
    return {
        "list": inner.map(ListType),
        "set": inner.map(SetType),
        "map": st.builds(MapType, inner, inner),
        "tuple": fields.map(TupleType),
        "UDT": fields.map(
            lambda found: UDTType("ks", "kind", [(f"f{place}", codec) for place, codec in enumerate(found)])
        ),
        "vector": st.builds(VectorType, inner, st.integers(1, 3)),
        "frozen": inner.map(FrozenType),
    }


def types(*, depth: int = 2) -> st.SearchStrategy[CQLType]:
    """Types nested up to a depth."""
    scalars = st.sampled_from([SCALARS[name] for name in SCALAR_VALUES])
    return scalars if depth == 0 else st.one_of(scalars, *nested_types(depth - 1).values())


def values_of(kind: CQLType, *, hashed: bool = False) -> st.SearchStrategy[Any]:
    """Values of a type as they are read.

    :param hashed: whether they are elements of a set or keys of a map.
    """
    kind = unwrap(kind)
    if isinstance(kind, (ListType, VectorType)):
        least, most = (kind.dimension, kind.dimension) if isinstance(kind, VectorType) else (0, 3)
        element = values_of(kind.element, hashed=hashed)
        found: st.SearchStrategy[Any] = st.lists(element, min_size=least, max_size=most)
        return found.map(tuple) if hashed else found
    if isinstance(kind, SetType):
        return st.frozensets(values_of(kind.element, hashed=True), max_size=3).map(
            lambda made: made if hashed else set(made)
        )
    if isinstance(kind, MapType):
        pairs = st.dictionaries(
            values_of(kind.key, hashed=True), values_of(kind.value, hashed=hashed), max_size=3
        )
        return pairs.map(lambda made: tuple(made.items())) if hashed else pairs
    if isinstance(kind, (TupleType, UDTType)):
        fields = st.tuples(*[st.none() | values_of(codec, hashed=hashed) for codec in kind.types])
        return fields.map(kind.row._make) if isinstance(kind, UDTType) else fields
    return SCALAR_VALUES[kind.name]


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, in their collections' classes too."""
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (set, frozenset, dict)):
        return type(one) is type(other) and one == other
    return bool(one == other)


def prefixes(data: bytes) -> Sequence[bytes]:
    """Every beginning of some bytes, but not all of them."""
    return [data[:end] for end in range(len(data))]
