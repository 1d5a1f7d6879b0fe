"""The settings of a session: one frozen object, checked when it is made."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields
from typing import Any, cast

from txcql.consistency import CONSISTENCY_NAMES
from txcql.interfaces import (
    IAddressTranslator,
    IFlowObserver,
    ILoadBalancingPolicy,
    IReconnectionPolicy,
    IRequestObserver,
    IRetryPolicy,
    ISpeculativeExecutionPolicy,
    ITimestampGenerator,
)
from txcql.profile import Profile
from txcql.security.authenticators import PlainAuthenticator
from txcql.security.login import Login
from txcql.security.secret import Secret
from txcql.security.tlsendpoint import check_tls

__all__ = ["Settings", "check_decode_in"]


def check_decode_in(where: Any) -> None:
    """Check where rows are to be decoded.

    :raises TypeError: neither ``None``, ``"reactor"`` nor a pool of threads.
    """
    if where is None or (isinstance(where, str) and where == "reactor"):
        return
    processes = sys.modules.get("concurrent.futures.process")
    of_threads = isinstance(where, Executor) and not (
        processes is not None and isinstance(where, processes.ProcessPoolExecutor)
    )
    if not of_threads and not callable(getattr(where, "callInThreadWithCallback", None)):
        raise TypeError(f'decode_in must be None, "reactor" or a pool of threads, got {where!r}')


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What :func:`txcql.connect` takes besides the contact points.

    :ivar protocol_version: 3, 4 or 5; ``None`` negotiates, from 5 downwards.
    :ivar compression: ``None``, ``"lz4"``, or ``"snappy"`` (protocol 3 and 4, extra ``snappy``).
    :ivar tls: a :class:`~txcql.security.tls.TLS`, or any client context or options of Twisted's;
        ``None`` speaks plaintext. Contact points that are endpoints are used as they are.
    :ivar username: the role to log in as; with ``password``.
    :ivar password: its password; or a callable that gives it, or a Deferred of it, and is called for
        each login.
    :ivar authenticator: in place of both: a callable that makes one
        :class:`~txcql.interfaces.IAuthenticator`, or a Deferred of it, for each link.
    :ivar require_tls_for_login: whether a login is refused where the link does not speak TLS.
    :ivar local_datacenter: the data center whose nodes are used; ``None`` takes that of the first
        contact point that answers.
    :ivar local_rack: the rack whose nodes come first; ``None`` prefers none.
    :ivar consistency: the consistency level of requests.
    :ivar serial_consistency: ``"SERIAL"`` or ``"LOCAL_SERIAL"`` for conditional statements; ``None``
        leaves it to the server, which takes SERIAL.
    :ivar page_size: rows a page.
    :ivar row_factory: ``"named"`` (named tuples), ``"tuple"`` or ``"dict"``.
    :ivar codecs: how values of some types are made: by CQL type, such as ``"text"``, ``"list<int>"`` or
        ``"keyspace.udt"``, an :class:`~txcql.interfaces.ICodec`; for a UDT also a class; by Python class
        an ``ICodec`` of which only ``encode`` is used.
    :ivar load_balancing: an :class:`~txcql.interfaces.ILoadBalancingPolicy`; ``None`` takes a
        :class:`~txcql.policies.tokenaware.TokenAwarePolicy`: replicas first, over the local rack, over
        the local data center.
    :ivar retry: an :class:`~txcql.interfaces.IRetryPolicy`; ``None`` takes a
        :class:`~txcql.policies.retry.DefaultRetryPolicy`.
    :ivar speculative: an :class:`~txcql.interfaces.ISpeculativeExecutionPolicy`; ``None``: no request is
        at two nodes at a time.
    :ivar timestamps: an :class:`~txcql.interfaces.ITimestampGenerator`; ``None`` takes a
        :class:`~txcql.policies.timestamps.MonotonicTimestampGenerator`.
    :ivar profiles: sets of what requests may ask for, as :class:`txcql.Profile`, by their names.
    :ivar reconnection: an :class:`~txcql.interfaces.IReconnectionPolicy`; ``None`` takes an
        :class:`~txcql.policies.reconnection.ExponentialReconnectionPolicy`.
    :ivar core_connections: links that are opened to each node at first, and always kept.
    :ivar max_connections_local: links to each node of the local data center at most.
    :ivar max_connections_remote: links to each node of another data center at most, if the load
        balancing policy uses it.
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
    :ivar decode_in: where the rows of a large page (64 KiB) are decoded before its result is delivered:
        ``"reactor"``, in slices between which the reactor goes on; a pool of threads, that is an object
        with ``callInThreadWithCallback``, such as ``reactor.getThreadPool()``, or an executor of
        ``concurrent.futures``; ``None``: row by row, where they are reached.
    :ivar address_translator: an :class:`~txcql.interfaces.IAddressTranslator`; ``None`` connects to nodes
        at the addresses that they tell.
    :ivar schema_metadata: of which keyspaces ``session.cluster`` knows tables, types and so on: ``True``
        for all, ``False`` for none, or a list of their names. Of the others it knows the replication.
    :ivar prepared_cache_size: prepared statements kept for each session.
    :ivar throw_on_overload: whether a node that is overloaded answers at once with
        :class:`~txcql.errors.Overloaded`; else it stops reading, and answers late.
    :ivar observers: objects that provide :class:`~txcql.interfaces.IFlowObserver`: they hear of the
        session's signals; or :class:`~txcql.interfaces.IRequestObserver`: they hear of each step of
        each request; or both.
    :ivar application_name: shown in the server's list of clients.
    :raises TypeError: a value of the wrong type.
    :raises ValueError: a value out of its range; the text says which.
    """

    protocol_version: int | None = None
    compression: str | None = None
    tls: Any = None
    username: str | None = None
    password: str | Callable[[], Any] | Secret | None = field(default=None, repr=False)
    authenticator: Callable[[], Any] | None = None
    require_tls_for_login: bool = False
    local_datacenter: str | None = None
    local_rack: str | None = None
    consistency: str = "LOCAL_QUORUM"
    serial_consistency: str | None = None
    page_size: int = 5000
    row_factory: str = "named"
    codecs: Mapping[Any, Any] | None = None
    load_balancing: Any = None
    retry: Any = None
    speculative: Any = None
    timestamps: Any = None
    profiles: Mapping[str, Profile] | None = None
    reconnection: Any = None
    core_connections: int = 1
    max_connections_local: int = 8
    max_connections_remote: int = 2
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
    decode_in: Any = None
    address_translator: Any = None
    schema_metadata: bool | Sequence[str] = True
    prepared_cache_size: int = 1000
    throw_on_overload: bool = False
    observers: Sequence[Any] = ()
    application_name: str | None = None
    #: How links log in: made of the settings above, and no setting itself.
    login: Login = field(default=cast(Any, None), repr=False, compare=False)

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
        for name in ("username", "local_datacenter", "local_rack", "application_name"):
            self._check_text(name)
        self._check_password()
        check_tls(self.tls)
        for name in ("require_tls_for_login", "throw_on_overload"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise TypeError(f"{name} must be a bool, got {value!r}")
        if self.codecs is not None and not isinstance(self.codecs, Mapping):
            raise TypeError(f"codecs must map CQL types or classes to codecs, got {self.codecs!r}")
        for name in ("high_watermark", "low_watermark"):
            self._check_number(name, "a share")
        covered: Any = self.schema_metadata
        if not isinstance(covered, bool) and (
            isinstance(covered, str) or not all(isinstance(name, str) for name in covered)
        ):
            raise TypeError(f"schema_metadata must be True, False or a list of keyspaces, got {covered!r}")
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
        check_decode_in(self.decode_in)
        if isinstance(self.observers, str) or not isinstance(self.observers, Sequence):
            raise TypeError(f"observers must be a sequence of observers, got {self.observers!r}")
        for observer in self.observers:
            if not (IFlowObserver.providedBy(observer) or IRequestObserver.providedBy(observer)):
                raise TypeError(
                    f"an observer must provide IFlowObserver or IRequestObserver, got {observer!r}"
                )
        for name, interface in (
            ("reconnection", IReconnectionPolicy),
            ("load_balancing", ILoadBalancingPolicy),
            ("retry", IRetryPolicy),
            ("speculative", ISpeculativeExecutionPolicy),
            ("timestamps", ITimestampGenerator),
            ("address_translator", IAddressTranslator),
        ):
            value = getattr(self, name)
            if value is not None and not interface.providedBy(value):
                raise TypeError(f"{name} must provide {interface.__name__}, got {value!r}")
        self._check_profiles()
        password = None if self.password is None else Secret(self.password)
        object.__setattr__(self, "password", password)
        if self.login is None:
            # Settings that are made of these share it: it warns once for all of them.
            login = Login(self.username, password, self.authenticator, self.require_tls_for_login)
            object.__setattr__(self, "login", login)

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
        return [item.name for item in fields(cls) if item.name != "login"]

    def _check_profiles(self) -> None:
        if self.profiles is None:
            return
        if not isinstance(self.profiles, Mapping):
            raise TypeError(f"profiles must map names to Profiles, got {self.profiles!r}")
        for name, profile in self.profiles.items():
            if not isinstance(name, str) or not isinstance(profile, Profile):
                raise TypeError(f"profiles must map names to Profiles, got {name!r}: {profile!r}")

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
            raise TypeError(f"{name} must be a str, got {value!r}")

    def _check_password(self) -> None:
        given = self.password.reveal() if isinstance(self.password, Secret) else self.password
        if given is not None and not isinstance(given, str) and not callable(given):
            kind = type(given).__name__
            del given
            raise TypeError(f"password must be a str, or a callable that gives one, got {kind}")
        if isinstance(given, str) and isinstance(self.username, str):
            # A password that cannot be sent is refused now, not at each login.
            PlainAuthenticator(self.username, given)


_COUNTS = (
    "page_size",
    "core_connections",
    "max_connections_local",
    "max_connections_remote",
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
