"""The functions that CQL has of its own, on encoded values."""

from __future__ import annotations

import math
import struct
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from txcql.errors import InvalidRequest
from txcql.testing.execution import Execution
from txcql.testing.faketopology import LOWEST_TOKEN
from txcql.testing.jsonvalues import from_json_text, to_json_text
from txcql.testing.refusals import unsupported
from txcql.testing.valuechecks import value_check
from txcql.wire.collectiontypes import ListType, MapType, SetType, cut_cells, unwrap
from txcql.wire.cqltypes import CQLType
from txcql.wire.murmur3 import composite_key, token
from txcql.wire.primitives import INT, LONG, write_bytes
from txcql.wire.scalars import SCALARS
from txcql.wire.timeuuids import max_uuid_from_time, min_uuid_from_time, nanoseconds_from_uuid, uuid_from_time
from txcql.wire.values import Date, Timestamp

__all__ = ["NativeFunction", "find_function"]

Run = Callable[[list[bytes | None], Execution], bytes | None]
Test = Callable[[CQLType], bool]

_DAY = 86_400_000


class NativeFunction(NamedTuple):
    """A function, for arguments of certain types."""

    name: str
    arguments: tuple[CQLType, ...]
    result: CQLType
    run: Run


def find_function(
    name: str,
    tests: Sequence[Test],
    wanted: CQLType | None,
    in_term: bool,
    key_columns: Sequence[CQLType] = (),
    known: Sequence[CQLType | None] = (),
) -> NativeFunction:
    """The function that a call means.

    :param tests: for each argument, what tells whether it can be of a type.
    :param wanted: the type of what takes the result.
    :param in_term: whether it is called in a term, and not in a selection.
    :param key_columns: the types of the partition key, for ``token()``.
    :param known: the types of the arguments, where they have one.
    :raises InvalidRequest: there is none, or none for these arguments.
    """
    found = _generic(name, wanted, key_columns, known)
    if found is None:
        found = _FUNCTIONS.get(name)
    if found is None:
        if name in _BEYOND or name.startswith(("similarity_", "mask_", "collection_")):
            raise unsupported(f"the function {name}")
        raise InvalidRequest(f"Unknown function {name} called" if in_term else f"Unknown function '{name}'")
    if name == "token" and key_columns and len(tests) != len(key_columns):
        raise InvalidRequest(
            "Invalid number of arguments in call to function system.token: "
            f"{len(key_columns)} required but {len(tests)} provided"
        )
    fitting = [
        one
        for one in found
        if len(one.arguments) == len(tests) and all(map(lambda t, k: t(k), tests, one.arguments))
    ]
    if not fitting:
        signatures = ", ".join(
            f"system.{name} : ({', '.join(kind.name for kind in one.arguments)}) -> {one.result.name}"
            for one in found
        )
        raise InvalidRequest(
            f"Invalid call to function {name}, none of its type signatures match "
            f"(known type signatures: {signatures})"
        )
    if len(fitting) > 1:
        exact = [
            one
            for one in fitting
            if list(one.arguments) == [unwrap(kind) if kind else kind for kind in known]
        ]
        fitting = exact or fitting
    if len(fitting) > 1 and wanted is not None:
        fitting = [one for one in fitting if one.result == unwrap(wanted)] or fitting
    if len(fitting) > 1:
        raise InvalidRequest(
            f"Ambiguous call to function {name} (can be matched by following signatures: "
            + ", ".join(f"({', '.join(kind.name for kind in one.arguments)})" for one in fitting)
            + "): use type casts to disambiguate"
        )
    return fitting[0]


def _generic(
    name: str, wanted: CQLType | None, key_columns: Sequence[CQLType], known: Sequence[CQLType | None]
) -> list[NativeFunction] | None:
    """Functions whose types depend on what they are called with."""
    text, integer = SCALARS["text"], SCALARS["int"]
    if name == "token" and key_columns:
        return [NativeFunction(name, tuple(key_columns), SCALARS["bigint"], _token)]
    if name in ("fromjson", "from_json") and wanted is not None:
        return [NativeFunction(name, (text,), wanted, _from_json(wanted))]
    if len(known) != 1 or known[0] is None:
        return None
    argument = known[0]
    kind = unwrap(argument)
    if name in ("tojson", "to_json"):
        return [NativeFunction(name, (argument,), text, lambda v, e: to_json_text(argument, v[0]).encode())]
    if isinstance(kind, MapType):
        if name == "map_keys":
            return [NativeFunction(name, (argument,), SetType(kind.key), _every_second(0))]
        if name == "map_values":
            return [NativeFunction(name, (argument,), ListType(kind.value), _every_second(1))]
    if name == "collection_count" and isinstance(kind, (MapType, ListType, SetType)):
        return [NativeFunction(name, (argument,), integer, lambda v, e: v[0][:4] if v[0] else None)]
    return None


def _token(values: list[bytes | None], execution: Execution) -> bytes | None:
    if None in values:
        return None
    parts = [value or b"" for value in values]
    key = parts[0] if len(parts) == 1 else composite_key(parts)
    return LONG.pack(token(key) if key else LOWEST_TOKEN)


def _from_json(wanted: CQLType) -> Run:
    return lambda values, execution: None if values[0] is None else from_json_text(wanted, values[0].decode())


def _every_second(first: int) -> Run:
    def run(values: list[bytes | None], execution: Execution) -> bytes | None:
        data = values[0]
        if data is None:
            return None
        count = int.from_bytes(data[:4], "big")
        cells, _ = cut_cells(data, 4, 2 * count)
        return INT.pack(count) + b"".join(map(write_bytes, cells[first::2]))

    return run


# Times.


def _microseconds(execution: Execution) -> int:
    return execution.node.timestamp()


def _now(values: list[bytes | None], execution: Execution) -> bytes:
    return uuid_from_time(_microseconds(execution) * 1000).bytes


def _milliseconds(execution: Execution) -> int:
    return int(execution.node.seconds() * 1000)


def _current_date(values: list[bytes | None], execution: Execution) -> bytes | None:
    return _date_bytes(_milliseconds(execution))


def _date_bytes(milliseconds: int) -> bytes | None:
    return SCALARS["date"].encode(Date(milliseconds // _DAY))


def _uuid_milliseconds(data: bytes) -> int:
    return nanoseconds_from_uuid(uuid.UUID(bytes=data)) // 1_000_000


def _date_milliseconds(data: bytes) -> int:
    return (int.from_bytes(data, "big") - (1 << 31)) * _DAY


def _timestamp_milliseconds(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


_MILLISECONDS = {
    "timeuuid": _uuid_milliseconds,
    "timestamp": _timestamp_milliseconds,
    "date": _date_milliseconds,
}


def _not_null(work: Callable[[bytes], bytes | None]) -> Run:
    """A function of one argument that gives null for null, and for no bytes."""
    return lambda values, execution: None if not values[0] else work(values[0])


def _times() -> list[NativeFunction]:
    found = []
    timestamp, timeuuid, date, bigint = (
        SCALARS[name] for name in ("timestamp", "timeuuid", "date", "bigint")
    )
    for camel, snake in (
        ("currenttimestamp", "current_timestamp"),
        ("currentdate", "current_date"),
        ("currenttime", "current_time"),
        ("currenttimeuuid", "current_timeuuid"),
    ):
        result, run = _CURRENT[camel]
        found += [NativeFunction(name, (), SCALARS[result], run) for name in (camel, snake)]
    found.append(NativeFunction("now", (), timeuuid, _now))
    found.append(NativeFunction("uuid", (), SCALARS["uuid"], lambda v, e: uuid.uuid4().bytes))
    for names, sources, result_type, make in (
        (("todate", "to_date"), ("timeuuid", "timestamp"), date, _date_bytes),
        (("totimestamp", "to_timestamp"), ("timeuuid", "date"), timestamp, LONG.pack),
        (("tounixtimestamp", "to_unix_timestamp"), ("timeuuid", "timestamp", "date"), bigint, LONG.pack),
    ):
        for name in names:
            for source in sources:
                found.append(
                    NativeFunction(name, (SCALARS[source],), result_type, _not_null(_converted(source, make)))
                )
    for names, make_uuid in (
        (("mintimeuuid", "min_timeuuid"), min_uuid_from_time),
        (("maxtimeuuid", "max_timeuuid"), max_uuid_from_time),
    ):
        for name in names:
            run = _not_null(partial(_bound, make_uuid))
            found.append(NativeFunction(name, (timestamp,), timeuuid, run))
    return found


def _bound(make: Callable[[Timestamp], uuid.UUID], data: bytes) -> bytes:
    return make(Timestamp(_timestamp_milliseconds(data))).bytes


def _converted(source: str, make: Callable[[int], bytes | None]) -> Callable[[bytes], bytes | None]:
    read = _MILLISECONDS[source]
    return lambda data: make(read(data))


_CURRENT: dict[str, tuple[str, Run]] = {
    "currenttimestamp": ("timestamp", lambda values, execution: LONG.pack(_milliseconds(execution))),
    "currentdate": ("date", _current_date),
    "currenttime": (
        "time",
        lambda values, execution: LONG.pack(int(execution.node.seconds() * 1_000_000) % (_DAY * 1000) * 1000),
    ),
    "currenttimeuuid": ("timeuuid", _now),
}


# Blobs.


def _blobs() -> list[NativeFunction]:
    blob = SCALARS["blob"]
    found = []
    for name, cqltype in {**SCALARS, "varchar": SCALARS["text"]}.items():
        if name in ("blob", "empty"):
            continue
        for to, back in ((f"{name}asblob", f"blobas{name}"), (f"{name}_as_blob", f"blob_as_{name}")):
            found.append(NativeFunction(to, (cqltype,), blob, lambda values, execution: values[0]))
            found.append(NativeFunction(back, (blob,), cqltype, _from_blob(back, cqltype)))
    return found


def _from_blob(name: str, cqltype: CQLType) -> Run:
    check = value_check(cqltype)

    def run(values: list[bytes | None], execution: Execution) -> bytes | None:
        if values[0] is None:
            return None
        try:
            return check(values[0])
        except InvalidRequest:
            raise InvalidRequest(
                f"In call to function system.{name}, value 0x{values[0].hex()} is not a valid binary "
                f"representation for type {cqltype.name}"
            ) from None

    return run


# Numbers.

_WHOLE = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64, "counter": 64}


def _wrapped(number: int, bits: int) -> int:
    """As Java's casts cut a number."""
    return (number + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def _numeric(work: Callable[[float], float]) -> Callable[[CQLType], Callable[[bytes], bytes | None]]:
    def of(kind: CQLType) -> Callable[[bytes], bytes | None]:
        def run(data: bytes) -> bytes | None:
            value = kind.decode(data)
            if kind.name in ("decimal", "varint"):
                raise unsupported(f"this function on a {kind.name}")
            try:
                made = work(float(value))
            except (OverflowError, ValueError):
                made = math.nan if value < 0 else (math.inf if value else -math.inf)
            if kind.name in _WHOLE:
                bits = _WHOLE[kind.name]
                if math.isnan(made):
                    return kind.encode(0)
                limit = 1 << bits - 1
                return kind.encode(int(max(-limit, min(limit - 1, made))))
            return _float_bytes(kind, made)

        return run

    return of


def _float_bytes(kind: CQLType, value: float) -> bytes | None:
    try:
        return kind.encode(value)
    except (ValueError, OverflowError, struct.error):
        return kind.encode(math.copysign(math.inf, value))


def _abs(kind: CQLType) -> Callable[[bytes], bytes | None]:
    def run(data: bytes) -> bytes | None:
        value = abs(kind.decode(data))
        return kind.encode(_wrapped(value, _WHOLE[kind.name]) if kind.name in _WHOLE else value)

    return run


def _round(kind: CQLType) -> Callable[[bytes], bytes | None]:
    def run(data: bytes) -> bytes | None:
        value = kind.decode(data)
        if isinstance(value, Decimal):
            raise unsupported("round() on a decimal")
        if isinstance(value, float) and math.isfinite(value):
            return kind.encode(float(math.floor(value + 0.5)))
        return data

    return run


def _numbers() -> list[NativeFunction]:
    found = []
    for name, of in (
        ("abs", _abs),
        ("exp", _numeric(math.exp)),
        ("log", _numeric(math.log)),
        ("log10", _numeric(math.log10)),
        ("round", _round),
    ):
        for kind in (*_WHOLE, "varint", "decimal", "float", "double"):
            cqltype = SCALARS[kind]
            found.append(NativeFunction(name, (cqltype,), cqltype, _not_null(of(cqltype))))
    return found


def _by_name() -> dict[str, list[NativeFunction]]:
    found: dict[str, list[NativeFunction]] = {}
    for function in (*_times(), *_blobs(), *_numbers()):
        found.setdefault(function.name, []).append(function)
    return found


_FUNCTIONS = _by_name()
_BEYOND = frozenset(
    ("map_keys", "map_values", "tojson", "to_json", "fromjson", "from_json", "currenttimestamp")
)
"""Functions that are known, with arguments that the fake cannot tell the type of."""
