"""What a request may say besides its statement and values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypedDict

from txcql.consistency import consistency_code
from txcql.policies.timestamps import ServerSideTimestampGenerator
from txcql.profile import Profile
from txcql.session.pagingstate import PagingState
from txcql.session.profiles import NO_POLICIES, Policies, Profiles
from txcql.session.targetnode import TargetNode, node_name
from txcql.settings import Settings, check_decode_in
from txcql.wire import constants
from txcql.wire.primitives import write_bytes_map
from txcql.wire.requests import QueryOptions
from txcql.wire.rows import RowFactory

__all__ = ["ExecuteOptions", "RequestOptions", "checked_options"]


class ExecuteOptions(TypedDict, total=False):
    """The keyword arguments of :meth:`txcql.Session.execute`.

    :ivar consistency: a consistency level's name.
    :ivar serial_consistency: ``"SERIAL"`` or ``"LOCAL_SERIAL"``.
    :ivar page_size: rows a page.
    :ivar paging_state: where to begin: the ``paging_state`` of an earlier result, or bytes.
    :ivar timeout: seconds until the request fails with
        :class:`~txcql.errors.RequestTimeout`.
    :ivar idempotent: whether it may be repeated though it may have been carried out already;
        ``None``: a SELECT may, all else may not.
    :ivar tracing: whether the server shall trace it.
    :ivar timestamp: the default timestamp of a mutation, in microseconds since 1970.
    :ivar keyspace: the keyspace of unqualified names (protocol 5).
    :ivar now_in_seconds: the server's "now", in seconds since 1970 (protocol 5).
    :ivar payload: a custom payload (protocol 4 and later).
    :ivar routing_key: the serialized partition key, where the driver cannot know it: with it, a
        token-aware policy sends text to a replica.
    :ivar profile: the name of one of the session's ``profiles``: what else is given here wins over it.
    :ivar node: the only node to try: a node of ``session.nodes``, or its name, ``host:port``.
    :ivar prepare: ``None``: text with parameters is prepared; true: text without them, too; false:
        nothing is, and the values go with the text as the CQL types that their classes stand for.
    :ivar row_factory: ``"named"``, ``"tuple"`` or ``"dict"``.
    :ivar decode_in: where the rows of a large page are decoded before its result is delivered: see the
        setting.
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
    routing_key: bytes | None
    profile: str | None
    node: Any
    prepare: bool | None
    row_factory: str | None
    decode_in: Any
    into: Callable[..., Any] | None


class RequestOptions(NamedTuple):
    """The same, checked and in the form that the request path uses.

    :ivar query: what goes on the wire.
    :ivar timeout: seconds; ``None`` takes the session's, by the kind of statement.
    :ivar row_factory: ``"named"``, ``"tuple"``, ``"dict"``, or the class that rows are made into.
    :ivar whole: whether the caller expects all rows in one page.
    :ivar flags: the flags of the frame.
    :ivar prefix: what stands in front of the message in the body.
    :ivar routing_key: the serialized partition key, if the call gave it.
    :ivar policies: those of the execution profile.
    :ivar timestamps: whether writes have a timestamp of the driver's.
    :ivar profiles: the options of each execution profile, by its name.
    :ivar decode_in: where the rows of a large page are decoded; ``None``: where they are reached.
    :ivar prepare: whether text is prepared; ``None`` if it has parameters.
    :ivar paging: a paging state that is for one statement and its values only.
    """

    query: QueryOptions
    timeout: float | None
    idempotent: bool | None
    row_factory: RowFactory
    whole: bool
    flags: int = 0
    prefix: bytes = b""
    routing_key: bytes | None = None
    policies: Policies = NO_POLICIES
    timestamps: bool = False
    profiles: Mapping[str, Any] = {}
    decode_in: Any = None
    prepare: bool | None = None
    paging: PagingState | None = None

    @classmethod
    def default(cls, settings: Settings, profiles: Profiles | None = None) -> RequestOptions:
        """The options of a request that names none.

        :param profiles: the policies of all execution profiles; ``None`` makes them of the settings.
        """
        profiles = profiles or Profiles(settings)
        serial = settings.serial_consistency
        query = QueryOptions(
            consistency_code(settings.consistency),
            consistency_code(serial) if serial is not None else None,
            settings.page_size,
        )
        timestamps = not isinstance(settings.timestamps, ServerSideTimestampGenerator)
        default = cls(
            query,
            None,
            None,
            settings.row_factory,
            True,
            policies=profiles.default,
            timestamps=timestamps,
            decode_in=settings.decode_in,
        )
        named = {
            name: default._of_profile(profile, profiles.named[name])
            for name, profile in (settings.profiles or {}).items()
        }
        return default._replace(profiles=named)

    def _of_profile(self, profile: Profile, policies: Policies) -> RequestOptions:
        changes: dict[str, Any] = {}
        for name in ("consistency", "serial_consistency"):
            if getattr(profile, name) is not None:
                changes[name] = consistency_code(getattr(profile, name))
        if profile.page_size is not None:
            changes["page_size"] = profile.page_size
        return self._replace(query=self.query._replace(**changes), timeout=profile.timeout, policies=policies)

    def changed(self, version: int, options: ExecuteOptions) -> RequestOptions:
        """These options, changed as a call says.

        :param version: the protocol version of the session.
        :raises TypeError: an option that does not exist, or of the wrong type.
        :raises ValueError: a value out of its range, or an option that the version does not have.
        """
        given = checked_options(options)
        if "profile" in given:
            return self._changed_by_profile(version, given)
        for name in given:
            first = _FIRST_VERSIONS.get(name, 0)
            if version < first:
                raise ValueError(f"{name} needs protocol v{first}; this session speaks v{version}")
        changes = {name: given[name] for name in _ON_THE_WIRE if name in given}
        for name in ("consistency", "serial_consistency"):
            if name in given:
                changes[name] = consistency_code(given[name])
        query = self.query._replace(**changes) if changes else self.query
        timeout = given.get("timeout", self.timeout)
        row_factory = given.get("row_factory", self.row_factory)
        if "into" in given:
            row_factory = given["into"]
        policies = self.policies
        if "node" in given:
            policies = policies._replace(load_balancing=TargetNode(given["node"]), speculative=None)
        paging = given.get("paging_state")
        flags, prefix = _header(given)
        whole = "page_size" not in given and "paging_state" not in given
        return RequestOptions(
            query,
            timeout,
            given.get("idempotent"),
            row_factory,
            whole,
            flags,
            prefix,
            given.get("routing_key"),
            policies,
            self.timestamps,
            decode_in=given.get("decode_in", self.decode_in),
            prepare=given.get("prepare"),
            paging=paging if isinstance(paging, PagingState) else None,
        )

    def _changed_by_profile(self, version: int, given: Mapping[str, Any]) -> RequestOptions:
        name = given["profile"]
        profile: RequestOptions | None = self.profiles.get(name) if isinstance(name, str) else None
        if profile is None:
            known = ", ".join(map(repr, self.profiles)) or "none: they are the setting profiles"
            raise ValueError(f"there is no execution profile {name!r}; there are: {known}")
        rest: Any = {key: value for key, value in given.items() if key != "profile"}
        # The same object each time, so that what was encoded for it is found again.
        return profile.changed(version, rest) if rest else profile


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
    "routing_key": (bytes,),
    "prepare": (bool,),
}
_RANGES: dict[str, tuple[int, int]] = {
    "page_size": (1, 2**31 - 1),
    # The lowest long of all is how the server writes that there is none.
    "timestamp": (1 - 2**63, 2**63 - 1),
    "now_in_seconds": (-(2**31), 2**31 - 1),
}
_FIRST_VERSIONS = {"payload": 4, "keyspace": 5, "now_in_seconds": 5}


def checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without those that are ``None``, which stand for nothing.

    :raises TypeError: one that does not exist, or of the wrong type; or two that exclude each other.
    :raises ValueError: a value out of its range.
    """
    unknown = set(options) - set(ExecuteOptions.__annotations__)
    if unknown:
        known = ", ".join(ExecuteOptions.__annotations__)
        raise TypeError(f"execute() has no option {', '.join(sorted(unknown))}; there are: {known}")
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        _check(name, value)
    if "into" in given and "row_factory" in given:
        raise TypeError("give either row_factory or into, not both")
    return given


def _check(name: str, value: Any) -> None:
    """Refuse what would be refused late, cut, or taken for something else."""
    if name == "decode_in":
        check_decode_in(value)
        return
    if name == "node":
        node_name(value)
        return
    if name == "profile":
        # Only a session knows which there are.
        return
    types = _TYPES[name]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        expected = " or ".join(kind.__name__ for kind in types)
        raise TypeError(f"{name} must be {expected}, got {value!r}")
    if name in _RANGES:
        least, most = _RANGES[name]
        if not least <= value <= most:
            raise ValueError(f"{name} must be in {least}..{most}, got {value!r}")
    elif name == "timeout" and not 0 < value < math.inf:
        raise ValueError(f"timeout must be a positive number of seconds, got {value!r}")
    elif name == "serial_consistency" and value not in ("SERIAL", "LOCAL_SERIAL"):
        raise ValueError(f"serial_consistency must be one of 'SERIAL', 'LOCAL_SERIAL', got {value!r}")
    elif name == "consistency":
        consistency_code(value)
    elif name == "row_factory" and value not in ("named", "tuple", "dict"):
        raise ValueError(f'row_factory must be "named", "tuple" or "dict", got {value!r}')
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
