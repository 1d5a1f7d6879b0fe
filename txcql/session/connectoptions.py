"""The settings of a session as keyword arguments, for type checkers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from txcql.profile import Profile
from txcql.security.secret import Secret

__all__ = ["ConnectOptions"]


class ConnectOptions(TypedDict, total=False):
    """What :func:`txcql.connect` takes: the fields of :class:`txcql.Settings`, of the same types."""

    protocol_version: int | None
    compression: str | None
    tls: Any
    username: str | None
    password: str | Callable[[], Any] | Secret | None
    authenticator: Callable[[], Any] | None
    require_tls_for_login: bool
    local_datacenter: str | None
    local_rack: str | None
    consistency: str
    serial_consistency: str | None
    page_size: int
    row_factory: str
    codecs: Mapping[Any, Any] | None
    load_balancing: Any
    retry: Any
    speculative: Any
    timestamps: Any
    profiles: Mapping[str, Profile] | None
    reconnection: Any
    core_connections: int
    max_connections_local: int
    max_connections_remote: int
    connection_selection: str
    grow_at: str
    idle_timeout: float
    max_concurrent_connects: int
    max_requests_per_connection: int
    high_watermark: float
    low_watermark: float
    release: str
    stream_allocation: str
    max_orphans_per_connection: int
    max_request_bytes: int
    heartbeat_interval: float
    heartbeat_timeout: float
    connect_timeout: float
    read_timeout: float
    request_timeout: float
    ddl_timeout: float
    schema_agreement_timeout: float
    response_budget: int
    pause_limit: float
    read_buffer_size: int
    write_buffer_size: int
    max_frame_size: int
    prefetch_pages: int
    decode_in: Any
    address_translator: Any
    schema_metadata: bool | Sequence[str]
    prepared_cache_size: int
    throw_on_overload: bool
    observers: Sequence[Any]
    application_name: str | None
