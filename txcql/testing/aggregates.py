"""Aggregates: what becomes of a column over many rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from functools import reduce
from typing import Any

from txcql.errors import InvalidRequest
from txcql.testing.ordering import sort_key
from txcql.wire.collectiontypes import unwrap
from txcql.wire.cqltypes import CQLType
from txcql.wire.primitives import LONG
from txcql.wire.scalars import SCALARS

__all__ = ["AGGREGATES", "Aggregate", "find_aggregate"]

Aggregate = Callable[[Iterable[bytes | None]], bytes | None]
"""Takes the encoded values of all rows; nulls are passed over."""

AGGREGATES = frozenset(("avg", "count", "max", "min", "sum"))

_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64, "counter": 64}
_SUMMED = (*_BITS, "varint", "decimal", "float", "double")


def find_aggregate(name: str, cqltype: CQLType) -> tuple[CQLType, Aggregate]:
    """An aggregate for a type, and the type of what it gives.

    :raises InvalidRequest: there is none.
    """
    kind = unwrap(cqltype)
    if name == "count":
        return SCALARS["bigint"], _count
    if name in ("min", "max"):
        return cqltype, _extreme(min if name == "min" else max, cqltype)
    if kind.name not in _SUMMED:
        signatures = ", ".join(f"system.{name} : ({one}) -> {one}" for one in _SUMMED)
        raise InvalidRequest(
            f"Invalid call to function {name}, none of its type signatures match "
            f"(known type signatures: {signatures})"
        )
    return kind, _sum(kind) if name == "sum" else _average(kind)


def _count(values: Iterable[bytes | None]) -> bytes:
    return LONG.pack(sum(1 for value in values if value is not None))


def _extreme(choose: Any, cqltype: CQLType) -> Aggregate:
    key = sort_key(cqltype)

    def aggregate(values: Iterable[bytes | None]) -> bytes | None:
        found: bytes | None = choose((value for value in values if value is not None), key=key, default=None)
        return found

    return aggregate


def _numbers(kind: CQLType, values: Iterable[bytes | None]) -> list[Any]:
    return [kind.decode(value) for value in values if value]


def _sum(kind: CQLType) -> Aggregate:
    def aggregate(values: Iterable[bytes | None]) -> bytes | None:
        numbers = _numbers(kind, values)
        if kind.name in ("float", "double"):
            return kind.encode(math.fsum(numbers))
        total = reduce(lambda one, other: one + other, numbers, Decimal(0) if kind.name == "decimal" else 0)
        bits = _BITS.get(kind.name)
        if bits is not None:
            # As in Java, what is too large begins again at the other end.
            total = (total + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
        return kind.encode(total)

    return aggregate


def _average(kind: CQLType) -> Aggregate:
    def aggregate(values: Iterable[bytes | None]) -> bytes | None:
        numbers = _numbers(kind, values)
        if kind.name in ("float", "double"):
            return kind.encode(math.fsum(numbers) / len(numbers) if numbers else 0.0)
        if kind.name == "decimal":
            total = sum(numbers, Decimal(0))
            exponent = Decimal(1).scaleb(int(total.as_tuple().exponent))
            return kind.encode((total / (len(numbers) or 1)).quantize(exponent, ROUND_HALF_EVEN))
        whole = sum(numbers)
        quotient = abs(whole) // (len(numbers) or 1)
        return kind.encode(quotient if whole >= 0 else -quotient)

    return aggregate
