"""CAST: values of one type as values of another."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from txcql.errors import InvalidRequest
from txcql.testing.jsonvalues import plain_text
from txcql.testing.nativefunctions import NativeFunction, find_function
from txcql.testing.refusals import unsupported
from txcql.wire.collectiontypes import unwrap
from txcql.wire.cqltypes import CQLType

__all__ = ["find_cast"]

Cast = Callable[[bytes], bytes | None]

_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64, "counter": 64}
_NUMBERS = (*_BITS, "varint", "decimal", "float", "double")
_TEXTS = ("text", "ascii")
_WRITTEN = (*_NUMBERS, "boolean", "uuid", "timeuuid", "date", "time", "timestamp", "inet", "ascii")
_TIMES = {("timeuuid", "timestamp"), ("date", "timestamp"), ("timestamp", "date"), ("timeuuid", "date")}


def find_cast(source: CQLType, target: CQLType) -> Cast:
    """What casts a type to another.

    :raises InvalidRequest: there is no such cast.
    """
    one, other = unwrap(source), unwrap(target)
    if one == other:
        return lambda data: data
    if one.name in _NUMBERS and other.name in _NUMBERS and other.name != "counter":
        return lambda data: _number(one, other, data)
    if (other.name in _TEXTS and one.name in _WRITTEN and one.name not in _TEXTS) or (
        one.name,
        other.name,
    ) == ("ascii", "text"):
        if one.name == "timestamp":
            return lambda data: plain_text(one, data).replace(" ", "T").encode()
        if one.name in ("inet", "time"):
            raise unsupported(f"a cast of {one.name} to {other.name}")
        return lambda data: plain_text(one, data).encode()
    if (one.name, other.name) in _TIMES:
        found: NativeFunction = find_function(f"to{other.name}", [lambda kind: kind == one], None, False)
        return lambda data: found.run([data], None)  # type: ignore[arg-type]
    raise InvalidRequest(
        f"Invalid call to function system.cast_as_{other.name}, none of its type signatures match "
        "(known type signatures: )"
    )


def _number(one: CQLType, other: CQLType, data: bytes) -> bytes | None:
    value: Any = one.decode(data)
    if other.name in ("float", "double"):
        return other.encode(float(value))
    if other.name == "decimal":
        return other.encode(Decimal(value) if isinstance(value, int) else Decimal(repr(value)))
    if isinstance(value, float) and not math.isfinite(value):
        raise unsupported(f"a cast of {value} to {other.name}")
    whole = int(value)
    if other.name == "varint":
        return other.encode(whole)
    bits = _BITS[other.name]
    if isinstance(value, float) and not -(1 << bits - 1) <= whole < 1 << bits - 1:
        raise unsupported(f"a cast of {value} to {other.name}")
    return other.encode((whole + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1))
