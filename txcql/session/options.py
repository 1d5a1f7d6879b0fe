"""What a request may say besides its statement and values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypedDict

from txcql.consistency import consistency_code
from txcql.settings import Settings
from txcql.wire import constants
from txcql.wire.primitives import write_bytes_map
from txcql.wire.requests import QueryOptions
from txcql.wire.rows import RowFactory

__all__ = ["ExecuteOptions", "RequestOptions"]


class ExecuteOptions(TypedDict, total=False):
    """The keyword arguments of :meth:`txcql.Session.execute`.

    :ivar consistency: a consistency level's name.
    :ivar serial_consistency: ``"SERIAL"`` or ``"LOCAL_SERIAL"``.
    :ivar page_size: rows a page.
    :ivar paging_state: where to begin, from an earlier result.
    :ivar timeout: seconds until the request fails with
        :class:`~txcql.errors.RequestTimeout`.
    :ivar idempotent: whether it may be repeated though it may have been carried out already;
        ``None``: a SELECT may, all else may not.
    :ivar tracing: whether the server shall trace it.
    :ivar timestamp: the default timestamp of a mutation, in microseconds since 1970.
    :ivar keyspace: the keyspace of unqualified names (protocol 5).
    :ivar now_in_seconds: the server's "now", in seconds since 1970 (protocol 5).
    :ivar payload: a custom payload (protocol 4 and later).
    :ivar row_factory: ``"named"``, ``"tuple"`` or ``"dict"``.
    :ivar into: in place of a row factory: a class whose instances the rows become, by keywords: a
        dataclass, an attrs class, or any other.
    """

    consistency: str | None
    serial_consistency: str | None
    page_size: int | None
    paging_state: bytes | None
    timeout: float | None
    idempotent: bool | None
    tracing: bool
    timestamp: int | None
    keyspace: str | None
    now_in_seconds: int | None
    payload: Mapping[str, bytes | None] | None
    row_factory: str | None
    into: Callable[..., Any] | None


class RequestOptions(NamedTuple):
    """The same, checked and in the form that the request path uses.

    :ivar query: what goes on the wire.
    :ivar timeout: seconds; ``None`` takes the session's, by the kind of statement.
    :ivar row_factory: ``"named"``, ``"tuple"``, ``"dict"``, or the class that rows are made into.
    :ivar whole: whether the caller expects all rows in one page.
    :ivar flags: the flags of the frame.
    :ivar prefix: what stands in front of the message in the body.
    """

    query: QueryOptions
    timeout: float | None
    idempotent: bool | None
    row_factory: RowFactory
    whole: bool
    flags: int = 0
    prefix: bytes = b""

    @classmethod
    def default(cls, settings: Settings) -> RequestOptions:
        """The options of a request that names none."""
        serial = settings.serial_consistency
        query = QueryOptions(
            consistency_code(settings.consistency),
            consistency_code(serial) if serial is not None else None,
            settings.page_size,
        )
        return cls(query, None, None, settings.row_factory, True)

    def changed(self, version: int, options: ExecuteOptions) -> RequestOptions:
        """These options, changed as a call says.

        :param version: the protocol version of the session.
        :raises TypeError: an option that does not exist, or of the wrong type.
        :raises ValueError: a value out of its range, or an option that the version does not have.
        """
        unknown = set(options) - set(ExecuteOptions.__annotations__)
        if unknown:
            known = ", ".join(ExecuteOptions.__annotations__)
            raise TypeError(f"execute() has no option {', '.join(sorted(unknown))}; there are: {known}")
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        for name, value in given.items():
            _check(name, value, version)
        changes = {name: given[name] for name in _ON_THE_WIRE if name in given}
        for name in ("consistency", "serial_consistency"):
            if name in given:
                changes[name] = consistency_code(given[name])
        query = self.query._replace(**changes) if changes else self.query
        timeout = given.get("timeout", self.timeout)
        row_factory = given.get("row_factory", self.row_factory)
        if "row_factory" in given and row_factory not in ("named", "tuple", "dict"):
            raise ValueError(f'row_factory must be "named", "tuple" or "dict", got {row_factory!r}')
        if "into" in given:
            if "row_factory" in given:
                raise TypeError("give either row_factory or into, not both")
            row_factory = given["into"]
        flags, prefix = _header(given)
        whole = "page_size" not in given and "paging_state" not in given
        return RequestOptions(query, timeout, given.get("idempotent"), row_factory, whole, flags, prefix)


_ON_THE_WIRE = ("page_size", "paging_state", "timestamp", "keyspace", "now_in_seconds")

_TYPES: dict[str, tuple[Any, ...]] = {
    "consistency": (str,),
    "serial_consistency": (str,),
    "row_factory": (str,),
    "into": (Callable,),
    "page_size": (int,),
    "paging_state": (bytes,),
    "timeout": (int, float),
    "idempotent": (bool,),
    "tracing": (bool,),
    "timestamp": (int,),
    "keyspace": (str,),
    "now_in_seconds": (int,),
    "payload": (Mapping,),
}
_RANGES: dict[str, tuple[int, int]] = {
    "page_size": (1, 2**31 - 1),
    # The lowest long of all is how the server writes that there is none.
    "timestamp": (1 - 2**63, 2**63 - 1),
    "now_in_seconds": (-(2**31), 2**31 - 1),
}
_FIRST_VERSIONS = {"payload": 4, "keyspace": 5, "now_in_seconds": 5}


def _check(name: str, value: Any, version: int) -> None:
    """Refuse what would be refused late, cut, or taken for something else."""
    types = _TYPES[name]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        expected = " or ".join(kind.__name__ for kind in types)
        raise TypeError(f"{name} must be {expected}, got {value!r}")
    if version < _FIRST_VERSIONS.get(name, 0):
        raise ValueError(f"{name} needs protocol v{_FIRST_VERSIONS[name]}; this session speaks v{version}")
    if name in _RANGES:
        least, most = _RANGES[name]
        if not least <= value <= most:
            raise ValueError(f"{name} must be in {least}..{most}, got {value!r}")
    elif name == "timeout" and not 0 < value < math.inf:
        raise ValueError(f"timeout must be a positive number of seconds, got {value!r}")
    elif name == "serial_consistency" and value not in ("SERIAL", "LOCAL_SERIAL"):
        raise ValueError(f"serial_consistency must be one of 'SERIAL', 'LOCAL_SERIAL', got {value!r}")
    elif name == "payload":
        for key, data in value.items():
            if not isinstance(key, str) or not isinstance(data, bytes | None):
                raise TypeError(f"payload must map str to bytes or None, got {key!r}: {data!r}")


def _header(given: Mapping[str, Any]) -> tuple[int, bytes]:
    flags = constants.FLAG_TRACING if given.get("tracing") else 0
    payload = given.get("payload")
    if payload is None:
        return flags, b""
    return flags | constants.FLAG_PAYLOAD, write_bytes_map(payload)
