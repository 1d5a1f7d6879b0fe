"""The options of tables: which there are, what they are by default, and how DESCRIBE writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from txcql.errors import CQLSyntaxError
from txcql.testing import cqlstatements as cql
from txcql.testing.refusals import unsupported

__all__ = ["DEFAULT_OPTIONS", "described_options", "table_options"]

_COMPACTION = "org.apache.cassandra.db.compaction."

DEFAULT_OPTIONS: dict[str, Any] = {
    "additional_write_policy": "99p",
    "allow_auto_snapshot": True,
    "bloom_filter_fp_chance": 0.01,
    "caching": {"keys": "ALL", "rows_per_partition": "NONE"},
    "cdc": False,
    "comment": "",
    "compaction": {
        "class": _COMPACTION + "SizeTieredCompactionStrategy",
        "max_threshold": "32",
        "min_threshold": "4",
    },
    "compression": {
        "chunk_length_in_kb": "16",
        "class": "org.apache.cassandra.io.compress.LZ4Compressor",
    },
    "memtable": "default",
    "crc_check_chance": 1.0,
    "default_time_to_live": 0,
    "extensions": {},
    "gc_grace_seconds": 864000,
    "incremental_backups": True,
    "max_index_interval": 2048,
    "memtable_flush_period_in_ms": 0,
    "min_index_interval": 128,
    "read_repair": "BLOCKING",
    "speculative_retry": "99p",
}
"""In the order of DESCRIBE."""


def table_options(given: Iterable[tuple[str, cql.Term]]) -> dict[str, Any]:
    """The options that a WITH sets.

    :raises CQLSyntaxError: one does not exist, or its value is none.
    """
    found: dict[str, Any] = {}
    for name, term in given:
        default = DEFAULT_OPTIONS.get(name)
        if default is None and name != "id":
            raise CQLSyntaxError(f"Unknown property '{name}'")
        if name in found:
            raise CQLSyntaxError(f"Multiple definition for property '{name}'")
        if name == "id":
            raise unsupported("a table with an id of one's choice")
        found[name] = _read(name, term, default)
    return found


def _read(name: str, term: cql.Term, default: Any) -> Any:
    if isinstance(default, dict):
        if name == "extensions":
            raise unsupported("the option extensions")
        return _map(name, term)
    if not isinstance(term, cql.Constant):
        raise CQLSyntaxError(f"Invalid value for property '{name}'. It should be a string")
    for kind, word in ((bool, "boolean"), (int, "integer"), (float, "double")):
        if isinstance(default, kind):
            try:
                return _READERS[kind](term.text)
            except ValueError:
                raise CQLSyntaxError(f"Invalid {word} value {term.text} for '{name}'") from None
    return term.text


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "yes", "no", "1", "0"):
        raise ValueError(text)
    return text.lower() in ("true", "yes", "1")


_READERS: dict[type, Callable[[str], Any]] = {bool: _boolean, int: int, float: float}


def _map(name: str, term: cql.Term) -> dict[str, str]:
    if isinstance(term, cql.SetLiteral) and not term.items:
        pairs: dict[str, str] = {}
    elif isinstance(term, cql.MapLiteral):
        pairs = {_text(key): _text(value) for key, value in term.items}
    else:
        raise CQLSyntaxError(f"Invalid value for property '{name}'. It should be a map.")
    if name == "compaction":
        short = pairs.get("class", "").removeprefix(_COMPACTION)
        if short not in (
            "SizeTieredCompactionStrategy",
            "LeveledCompactionStrategy",
            "TimeWindowCompactionStrategy",
        ):
            raise unsupported(f"the compaction {short or 'without a class'}")
        return {"max_threshold": "32", "min_threshold": "4", **pairs, "class": _COMPACTION + short}
    if name == "caching":
        return {"keys": "ALL", "rows_per_partition": "NONE", **pairs}
    if name == "compression":
        if pairs == {"enabled": "false"}:
            return pairs
        package, _, short = pairs.get("class", "").rpartition(".")
        if short not in ("LZ4Compressor", "SnappyCompressor", "DeflateCompressor", "ZstdCompressor"):
            raise unsupported(f"the compression {short or 'without a class'}")
        return {
            "chunk_length_in_kb": "16",
            **pairs,
            "class": f"{package or 'org.apache.cassandra.io.compress'}.{short}",
        }
    return pairs


def _text(term: cql.Term) -> str:
    if not isinstance(term, cql.Constant):
        raise unsupported("an option that is no constant")
    return term.text


def described_options(options: dict[str, Any]) -> list[str]:
    """The options as DESCRIBE writes them."""
    return [f"{name} = {_shown(options[name])}" for name in DEFAULT_OPTIONS]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"'{key}': '{value[key]}'" for key in sorted(value)) + "}"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)
