"""What a request may say besides its statement and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict

from txcql.consistency import consistency_code
from txcql.settings import Settings
from txcql.wire import constants
from txcql.wire.primitives import write_bytes_map
from txcql.wire.requests import QueryOptions

__all__ = ["ExecuteOptions", "RequestOptions"]


class ExecuteOptions(TypedDict, total=False):
    """The keyword arguments of :meth:`txcql.session.session.Session.execute`.

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


class RequestOptions(NamedTuple):
    """The same, checked and in the form that the request path uses.

    :ivar query: what goes on the wire.
    :ivar timeout: seconds; ``None`` takes the session's, by the kind of statement.
    :ivar whole: whether the caller expects all rows in one page.
    :ivar flags: the flags of the frame.
    :ivar prefix: what stands in front of the message in the body.
    """

    query: QueryOptions
    timeout: float | None
    idempotent: bool | None
    row_factory: str
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
            raise TypeError(f"execute() has no option {', '.join(sorted(unknown))}")
        query = self.query
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        for name in ("consistency", "serial_consistency"):
            if name in given:
                query = query._replace(**{name: consistency_code(given[name])})
        for name in ("page_size", "paging_state", "timestamp", "keyspace", "now_in_seconds"):
            if name in given:
                _check_type(name, given[name])
                query = query._replace(**{name: given[name]})
        if "page_size" in given and not given["page_size"] > 0:
            raise ValueError(f"page_size must be positive, got {given['page_size']}")
        timeout = given.get("timeout", self.timeout)
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout must be a positive number of seconds, got {timeout!r}")
        row_factory = given.get("row_factory", self.row_factory)
        if row_factory not in ("named", "tuple", "dict"):
            raise ValueError(f'row_factory must be "named", "tuple" or "dict", got {row_factory!r}')
        flags, prefix = _header(version, given)
        whole = "page_size" not in given and "paging_state" not in given
        return RequestOptions(query, timeout, given.get("idempotent"), row_factory, whole, flags, prefix)


_TYPES: dict[str, type] = {
    "page_size": int,
    "paging_state": bytes,
    "timestamp": int,
    "keyspace": str,
    "now_in_seconds": int,
}


def _check_type(name: str, value: Any) -> None:
    if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
        raise TypeError(f"{name} must be {_TYPES[name].__name__}, got {value!r}")


def _header(version: int, given: Mapping[str, Any]) -> tuple[int, bytes]:
    flags = constants.FLAG_TRACING if given.get("tracing") else 0
    payload = given.get("payload")
    if payload is None:
        return flags, b""
    if version < 4:
        raise ValueError("payload needs protocol v4; this session speaks v3")
    return flags | constants.FLAG_PAYLOAD, write_bytes_map(payload)
