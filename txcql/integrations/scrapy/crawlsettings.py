"""The ``CASSANDRA_…`` settings of a crawl, checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from txcql.consistency import CONSISTENCY_NAMES
from txcql.integrations.rowwriter import WriteOptions
from txcql.security.tls import TLS
from txcql.session.clusterview import DEFAULT_PORT

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

__all__ = ["ON_ERROR", "PREFIX", "ConnectionSettings", "ItemSettings", "checked_name", "warn_of_unknown"]

log = Logger(namespace="txcql.integrations")

PREFIX = "CASSANDRA_"

ON_ERROR = ("raise", "drop", "log")

_NAMES = (
    "CONTACT_POINTS",
    "PORT",
    "KEYSPACE",
    "TABLE",
    "STATEMENT",
    "FIELDS",
    "USERNAME",
    "PASSWORD",
    "TLS_CA",
    "LOCAL_DC",
    "CONSISTENCY",
    "TTL",
    "CONCURRENT_WRITES",
    "BATCH_SIZE",
    "FLUSH_INTERVAL",
    "ON_ERROR",
    "IF_NOT_EXISTS",
    "IDEMPOTENT",
    "RETRY_TIME",
    "CLOSE_TIMEOUT",
    "OPTIONS",
    "DUPEFILTER_TABLE",
    "DUPEFILTER_TTL",
    "DUPEFILTER_SCOPE",
    "HTTPCACHE_TABLE",
)

_PART = r'(?:[A-Za-z]\w*|"(?:[^"]|"")+")'
_NAME = re.compile(rf"(?:{_PART}\.)?{_PART}", re.ASCII)


def warn_of_unknown(settings: BaseSettings) -> None:
    """Log what looks like one of these settings and is none."""
    for name in settings:
        if isinstance(name, str) and name.startswith(PREFIX) and name[len(PREFIX) :] not in _NAMES:
            close = get_close_matches(name[len(PREFIX) :], _NAMES, 1)
            hint = f": is {PREFIX}{close[0]} meant?" if close else ""
            log.warn("there is no setting {name}{hint}", name=name, hint=hint)


def checked_name(settings: BaseSettings, name: str) -> str:
    """The name of a table, with or without its keyspace, as CQL has it.

    :raises ValueError: it is none.
    """
    value = settings.get(PREFIX + name)
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise ValueError(f'{PREFIX}{name} must be "table" or "keyspace.table", got {value!r}')
    return value


def _number(settings: BaseSettings, name: str, default: Any, kind: Callable[[Any], Any], least: float) -> Any:
    value = settings.get(PREFIX + name, default)
    try:
        number = kind(value)
    except (TypeError, ValueError):
        raise ValueError(f"{PREFIX}{name} must be a number, got {value!r}") from None
    if not least <= number < 2**31:
        raise ValueError(f"{PREFIX}{name} must be at least {least:g}, got {value!r}")
    return number


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Which cluster, and who asks it.

    :ivar arguments: the keyword arguments of :func:`txcql.connect`.
    """

    contact_points: tuple[str, ...]
    arguments: Mapping[str, Any]

    @classmethod
    def of(cls, settings: BaseSettings) -> ConnectionSettings:
        """Read them.

        :raises ValueError: one of them is wrong.
        :raises ImportError: there is ``CASSANDRA_TLS_CA``, and the extra ``tls`` is not installed.
        :raises OSError: its file cannot be read.
        """
        options = settings.getdict(f"{PREFIX}OPTIONS")
        given = {
            "username": settings.get(f"{PREFIX}USERNAME"),
            "password": settings.get(f"{PREFIX}PASSWORD"),
            "local_datacenter": settings.get(f"{PREFIX}LOCAL_DC"),
            "keyspace": settings.get(f"{PREFIX}KEYSPACE"),
        }
        arguments = {name: value for name, value in given.items() if value is not None}
        authorities = settings.get(f"{PREFIX}TLS_CA")
        if authorities is not None:
            arguments["tls"] = TLS(authorities)
        arguments["port"] = _number(settings, "PORT", DEFAULT_PORT, int, 1)
        arguments["application_name"] = f"scrapy {settings.get('BOT_NAME')}"
        points = settings.getlist(f"{PREFIX}CONTACT_POINTS", ["127.0.0.1"])
        return cls(tuple(points), {**arguments, **options})


@dataclass(frozen=True, slots=True)
class ItemSettings:
    """Where items go, and how.

    :ivar table: the table; ``None`` if there is a statement.
    :ivar statement: the statement; ``None`` if there is a table.
    :ivar fields: column or parameter -> field; ``None``: they have the same names.
    :ivar close_timeout: seconds that are left to writes once the spider closes.
    """

    table: str | None
    statement: str | None
    fields: Mapping[str, str] | None
    ttl: int | None
    if_not_exists: bool
    on_error: str
    close_timeout: float
    write: WriteOptions

    @classmethod
    def of(cls, settings: BaseSettings) -> ItemSettings:
        """Read them.

        :raises ValueError: one of them is wrong, or two do not go together.
        """
        statement = settings.get(f"{PREFIX}STATEMENT")
        has_table = settings.get(f"{PREFIX}TABLE") is not None
        if has_table is (statement is not None):
            raise ValueError(
                f"the items need one of {PREFIX}TABLE and {PREFIX}STATEMENT, got "
                + ("both" if has_table else "neither")
            )
        if_not_exists = settings.getbool(f"{PREFIX}IF_NOT_EXISTS")
        ttl = None
        if settings.get(f"{PREFIX}TTL") is not None:
            ttl = _number(settings, "TTL", None, int, 0)
        for name, given in (("TTL", ttl is not None), ("IF_NOT_EXISTS", if_not_exists)):
            if given and statement is not None:
                raise ValueError(f"{PREFIX}{name} goes with {PREFIX}TABLE; write it into {PREFIX}STATEMENT")
        on_error = settings.get(f"{PREFIX}ON_ERROR", "raise")
        if on_error not in ON_ERROR:
            raise ValueError(f"{PREFIX}ON_ERROR must be one of {', '.join(ON_ERROR)}, got {on_error!r}")
        consistency = settings.get(f"{PREFIX}CONSISTENCY")
        if consistency is not None and consistency not in CONSISTENCY_NAMES:
            raise ValueError(
                f"{PREFIX}CONSISTENCY must be one of {', '.join(CONSISTENCY_NAMES)}, got {consistency!r}"
            )
        batch_size = _number(settings, "BATCH_SIZE", 1, int, 1)
        if batch_size > 1 and if_not_exists:
            raise ValueError(
                f"{PREFIX}IF_NOT_EXISTS and {PREFIX}BATCH_SIZE do not go together: "
                "one row that exists would keep back its whole batch"
            )
        defaults = WriteOptions()
        write = WriteOptions(
            concurrency=_number(settings, "CONCURRENT_WRITES", defaults.concurrency, int, 1),
            batch_size=batch_size,
            flush_interval=_number(settings, "FLUSH_INTERVAL", defaults.flush_interval, float, 0),
            repeat_for=_number(settings, "RETRY_TIME", defaults.repeat_for, float, 0),
            idempotent=settings.getbool(f"{PREFIX}IDEMPOTENT", has_table),
            consistency=consistency,
        )
        return cls(
            table=checked_name(settings, "TABLE") if has_table else None,
            statement=statement,
            fields=_fields(settings),
            ttl=ttl,
            if_not_exists=if_not_exists,
            on_error=on_error,
            close_timeout=_number(settings, "CLOSE_TIMEOUT", 30.0, float, 0),
            write=write,
        )


def _fields(settings: BaseSettings) -> Mapping[str, str] | None:
    given = settings.get(f"{PREFIX}FIELDS")
    if given is None:
        return None
    if isinstance(given, Mapping):
        return dict(given)
    return {name: name for name in settings.getlist(f"{PREFIX}FIELDS")}
