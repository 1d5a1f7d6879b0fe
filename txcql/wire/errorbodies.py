"""ERROR messages: the code, the server's sentence, and each code's own body.

From the protocol specifications, section 9, and what the versions leave out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from txcql import errors
from txcql.consistency import consistency_name
from txcql.wire.primitives import Reader

__all__ = ["read_error"]


def read_error(reader: Reader, version: int) -> errors.ServerError:
    """The error that an ERROR body stands for, ready to be raised.

    Bytes behind the body are ignored: later servers may say more.

    :param version: 3, 4 or 5.
    :raises ProtocolError: the body is cut short.
    """
    code = reader.int()
    message = reader.string()
    kind = errors.server_error_class(code)
    if kind is None:
        return errors.UnknownServerError(message, unknown_code=code)
    fields = _BODIES.get(code)
    return kind(message, **(fields(reader, version) if fields is not None else {}))


def _unavailable(reader: Reader, version: int) -> dict[str, Any]:
    return {
        "consistency": consistency_name(reader.short()),
        "required": reader.int(),
        "alive": reader.int(),
    }


def _counts(reader: Reader, version: int) -> dict[str, Any]:
    return {
        "consistency": consistency_name(reader.short()),
        "received": reader.int(),
        "required": reader.int(),
    }


def _write_timeout(reader: Reader, version: int) -> dict[str, Any]:
    fields = _counts(reader, version)
    fields["write_type"] = reader.string()
    has_contentions = version >= 5 and fields["write_type"] == "CAS"
    fields["contentions"] = reader.short() if has_contentions else None
    return fields


def _read_timeout(reader: Reader, version: int) -> dict[str, Any]:
    return {**_counts(reader, version), "data_present": reader.byte() != 0}


def _failures(reader: Reader, version: int) -> dict[str, Any]:
    fields = _counts(reader, version)
    fields["failures"] = count = reader.int()
    fields["reasons"] = {}
    if version >= 5:
        fields["reasons"] = {reader.inetaddr(): reader.short() for _ in range(count)}
    return fields


def _read_failure(reader: Reader, version: int) -> dict[str, Any]:
    return {**_failures(reader, version), "data_present": reader.byte() != 0}


def _write_failure(reader: Reader, version: int) -> dict[str, Any]:
    return {**_failures(reader, version), "write_type": reader.string()}


def _function_failure(reader: Reader, version: int) -> dict[str, Any]:
    return {
        "keyspace": reader.string(),
        "function": reader.string(),
        "argument_types": reader.string_list(),
    }


def _already_exists(reader: Reader, version: int) -> dict[str, Any]:
    return {"keyspace": reader.string(), "table": reader.string()}


def _unprepared(reader: Reader, version: int) -> dict[str, Any]:
    return {"statement_id": reader.short_bytes()}


_BODIES: dict[int, Callable[[Reader, int], dict[str, Any]]] = {
    errors.Unavailable.code: _unavailable,
    errors.WriteTimeout.code: _write_timeout,
    errors.ReadTimeout.code: _read_timeout,
    errors.ReadFailure.code: _read_failure,
    errors.FunctionFailure.code: _function_failure,
    errors.WriteFailure.code: _write_failure,
    errors.CASWriteUnknown.code: _counts,
    errors.AlreadyExists.code: _already_exists,
    errors.Unprepared.code: _unprepared,
}
