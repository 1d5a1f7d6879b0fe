"""The settings of a session: one frozen object, checked when it is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from txcql.consistency import CONSISTENCY_NAMES
from txcql.interfaces import ILoadBalancingPolicy, IReconnectionPolicy

__all__ = ["Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What :func:`txcql.connect` takes besides the contact points.

    :ivar protocol_version: 3, 4 or 5; ``None`` negotiates, from 5 downwards.
    :ivar compression: ``None``, ``"lz4"``, or ``"snappy"`` (protocol 3 and 4, extra ``snappy``).
    :ivar username: the role to log in as; with ``password``.
    :ivar password: its password.
    :ivar authenticator: in place of both: a callable that makes one
        :class:`~txcql.interfaces.IAuthenticator` for each link.
    :ivar local_datacenter: the data center whose nodes are used; ``None`` takes that of the first
        contact point that answers.
    :ivar consistency: the consistency level of requests.
    :ivar serial_consistency: ``"SERIAL"`` or ``"LOCAL_SERIAL"`` for conditional statements; ``None``
        leaves it to the server, which takes SERIAL.
    :ivar page_size: rows a page.
    :ivar row_factory: ``"named"`` (named tuples), ``"tuple"`` or ``"dict"``.
    :ivar codecs: how values of some types are made: by CQL type, such as ``"text"``, ``"list<int>"`` or
        ``"keyspace.udt"``, an :class:`~txcql.interfaces.ICodec`; for a UDT also a class; by Python class
        an ``ICodec`` of which only ``encode`` is used.
    :ivar load_balancing: an :class:`~txcql.interfaces.ILoadBalancingPolicy`; ``None`` takes a
        :class:`~txcql.policies.loadbalancing.RoundRobinPolicy`.
    :ivar reconnection: an :class:`~txcql.interfaces.IReconnectionPolicy`; ``None`` takes an
        :class:`~txcql.policies.reconnection.ExponentialReconnectionPolicy`.
    :ivar core_connections: links that are opened to each node at first, and always kept.
    :ivar max_connections_local: links to each node at most.
    :ivar connection_selection: which open link takes a request: ``"least-loaded"`` (the oldest of
        equals), ``"round-robin"`` or ``"random"``.
    :ivar grow_at: when a further link is opened: ``"high"``, when every link has reached its high
        mark, or ``"max"``, when the pool can accept no more.
    :ivar idle_timeout: seconds after which a link that was not needed is closed.
    :ivar max_concurrent_connects: connections that the session opens at the same time.
    :ivar max_requests_per_connection: requests accepted for each link, sent and queued.
    :ivar high_watermark: the share of them that may be sent before a link drains.
    :ivar low_watermark: the share below which a draining link is given work again.
    :ivar release: ``"hysteresis"``: a draining link is given work again below its low mark;
        ``"continuous"``: each answer lets the next request out, the low mark being the high mark.
    :ivar stream_allocation: ``"pooled"`` or ``"sequential"``.
    :ivar max_orphans_per_connection: streams of timed-out or cancelled requests that a link may
        hold before it is replaced.
    :ivar max_request_bytes: encoded bodies accepted by one pool and unanswered, in bytes.
    :ivar heartbeat_interval: seconds without a byte received after which a node is asked whether it
        is there.
    :ivar heartbeat_timeout: seconds for it to say so, from when the question was written; the link is
        closed then.
    :ivar connect_timeout: seconds for a link to connect, and again for its handshake.
    :ivar read_timeout: seconds from when a request is written until one attempt is given up.
    :ivar request_timeout: seconds for a request over queue, preparing and all attempts.
    :ivar ddl_timeout: the same for CREATE, ALTER, DROP and TRUNCATE.
    :ivar schema_agreement_timeout: seconds to wait for the nodes to agree after a schema change.
    :ivar response_budget: bytes of answers that a link holds back undecoded before it stops reading;
        it reads again below half of them.
    :ivar pause_limit: seconds for which a link may not read; it is dropped then.
    :ivar read_buffer_size: bytes up to which received chunks are merged while they wait.
    :ivar write_buffer_size: bytes after which the Write Buffer flushes within a reactor turn.
    :ivar max_frame_size: the largest body accepted, in bytes.
    :ivar prefetch_pages: pages that a stream of rows holds besides the one in progress.
    :ivar prepared_cache_size: prepared statements kept for each session.
    :ivar application_name: shown in the server's list of clients.
    :raises TypeError: a value of the wrong type.
    :raises ValueError: a value out of its range; the text says which.
    """

    protocol_version: int | None = None
    compression: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    authenticator: Callable[[], Any] | None = None
    local_datacenter: str | None = None
    consistency: str = "LOCAL_QUORUM"
    serial_consistency: str | None = None
    page_size: int = 5000
    row_factory: str = "named"
    codecs: Mapping[Any, Any] | None = None
    load_balancing: Any = None
    reconnection: Any = None
    core_connections: int = 1
    max_connections_local: int = 8
    connection_selection: str = "least-loaded"
    grow_at: str = "high"
    idle_timeout: float = 120.0
    max_concurrent_connects: int = 32
    max_requests_per_connection: int = 1024
    high_watermark: float = 0.8
    low_watermark: float = 0.5
    release: str = "hysteresis"
    stream_allocation: str = "pooled"
    max_orphans_per_connection: int = 256
    max_request_bytes: int = 16 * 1024 * 1024
    heartbeat_interval: float = 30.0
    heartbeat_timeout: float = 5.0
    connect_timeout: float = 5.0
    read_timeout: float = 5.0
    request_timeout: float = 10.0
    ddl_timeout: float = 30.0
    schema_agreement_timeout: float = 10.0
    response_budget: int = 16 * 1024 * 1024
    pause_limit: float = 30.0
    read_buffer_size: int = 65536
    write_buffer_size: int = 65536
    max_frame_size: int = 256 * 1024 * 1024
    prefetch_pages: int = 1
    prepared_cache_size: int = 1000
    application_name: str | None = None

    def __post_init__(self) -> None:
        self._check_choice("protocol_version", (None, 3, 4, 5))
        self._check_choice("compression", (None, "lz4", "snappy"))
        self._check_choice("consistency", CONSISTENCY_NAMES)
        self._check_choice("serial_consistency", (None, "SERIAL", "LOCAL_SERIAL"))
        self._check_choice("row_factory", ("named", "tuple", "dict"))
        self._check_choice("connection_selection", ("least-loaded", "round-robin", "random"))
        self._check_choice("grow_at", ("high", "max"))
        self._check_choice("release", ("hysteresis", "continuous"))
        self._check_choice("stream_allocation", ("pooled", "sequential"))
        self._check_whole("max_requests_per_connection", 1, 32767)
        for name in _COUNTS:
            self._check_whole(name, 1, 2**31 - 1)
        self._check_whole("prefetch_pages", 0, 2**31 - 1)
        for name in _SECONDS:
            self._check_seconds(name)
        for name in ("username", "password", "local_datacenter", "application_name"):
            self._check_text(name)
        if self.codecs is not None and not isinstance(self.codecs, Mapping):
            raise TypeError(f"codecs must map CQL types or classes to codecs, got {self.codecs!r}")
        for name in ("high_watermark", "low_watermark"):
            self._check_number(name, "a share")
        if self.authenticator is not None and not callable(self.authenticator):
            raise TypeError(
                f"authenticator must be a callable that makes an IAuthenticator, got {self.authenticator!r}"
            )
        if not 0 < self.low_watermark <= self.high_watermark <= 1:
            raise ValueError(
                "0 < low_watermark <= high_watermark <= 1, "
                f"got low_watermark={self.low_watermark!r}, high_watermark={self.high_watermark!r}"
            )
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together: one of them is missing")
        if self.authenticator is not None and self.username is not None:
            raise ValueError("give either authenticator or username and password, not both")
        if self.core_connections > self.max_connections_local:
            raise ValueError(
                "core_connections <= max_connections_local, "
                f"got {self.core_connections} and {self.max_connections_local}"
            )
        if self.compression == "snappy" and self.protocol_version == 5:
            raise ValueError('protocol 5 has no Snappy: take compression="lz4" or protocol_version=4')
        for name, interface in (
            ("reconnection", IReconnectionPolicy),
            ("load_balancing", ILoadBalancingPolicy),
        ):
            value = getattr(self, name)
            if value is not None and not interface.providedBy(value):
                raise TypeError(f"{name} must provide {interface.__name__}, got {value!r}")

    @property
    def high_mark(self) -> int:
        """Requests sent on a link at which it drains."""
        return max(1, math.floor(self.high_watermark * self.max_requests_per_connection))

    @property
    def low_mark(self) -> int:
        """Requests sent on a draining link below which it is given work again."""
        if self.release == "continuous":
            return self.high_mark
        return max(1, math.floor(self.low_watermark * self.max_requests_per_connection))

    @classmethod
    def names(cls) -> list[str]:
        """The names of all settings."""
        return [item.name for item in fields(cls)]

    def _check_choice(self, name: str, choices: tuple[Any, ...]) -> None:
        value = getattr(self, name)
        if not any(isinstance(value, type(choice)) and value == choice for choice in choices):
            raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")

    def _check_whole(self, name: str, least: int, most: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an int, got {value!r}")
        if not least <= value <= most:
            raise ValueError(f"{name} must be in {least}..{most}, got {value!r}")

    def _check_seconds(self, name: str) -> None:
        value = self._check_number(name, "a number of seconds")
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a positive number of seconds, got {value!r}")

    def _check_number(self, name: str, what: str) -> float:
        value: Any = getattr(self, name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TypeError(f"{name} must be {what}, got {value!r}")
        return value

    def _check_text(self, name: str) -> None:
        value = getattr(self, name)
        if value is not None and not isinstance(value, str):
            shown = type(value).__name__ if name == "password" else repr(value)
            raise TypeError(f"{name} must be a str, got {shown}")


_COUNTS = (
    "page_size",
    "core_connections",
    "max_connections_local",
    "max_concurrent_connects",
    "max_orphans_per_connection",
    "max_request_bytes",
    "response_budget",
    "read_buffer_size",
    "write_buffer_size",
    "max_frame_size",
    "prepared_cache_size",
)
_SECONDS = (
    "idle_timeout",
    "heartbeat_interval",
    "heartbeat_timeout",
    "connect_timeout",
    "read_timeout",
    "request_timeout",
    "ddl_timeout",
    "schema_agreement_timeout",
    "pause_limit",
)
