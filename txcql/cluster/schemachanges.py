"""What has changed between two readings of a keyspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from txcql.cluster.listeners import Listeners
from txcql.cluster.schema import KeyspaceMetadata

__all__ = ["tell_changes"]

_KINDS = ("types", "functions", "aggregates", "tables", "views")
"""What a keyspace has, in an order in which it could be created."""

_NOTHING: Mapping[str, Any] = {}


def tell_changes(listeners: Listeners, old: KeyspaceMetadata | None, new: KeyspaceMetadata | None) -> None:
    """Tell listeners what has changed in a keyspace.

    :param old: as it was; ``None`` if there was none.
    :param new: as it is; ``None`` if there is none any more.
    """
    if new is not None:
        if old is None:
            listeners.tell("schema_added", new)
        elif (old.replication, old.durable_writes) != (new.replication, new.durable_writes):
            listeners.tell("schema_changed", old, new)
    for kind in reversed(_KINDS):
        _tell_removed(listeners, _items(old, kind), _items(new, kind))
    for kind in _KINDS:
        _tell_others(listeners, _items(old, kind), _items(new, kind))
    if new is None:
        listeners.tell("schema_removed", old)


def _items(keyspace: KeyspaceMetadata | None, kind: str) -> Mapping[str, Any]:
    items: Mapping[str, Any] = _NOTHING if keyspace is None else getattr(keyspace, kind)
    return items


def _same(old: Any, new: Any) -> bool:
    """Whether it is the same thing, and not another one of the same name."""
    return bool(getattr(old, "id", None) == getattr(new, "id", None))


def _tell_removed(listeners: Listeners, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    for name, item in old.items():
        if name not in new or not _same(item, new[name]):
            listeners.tell("schema_removed", item)


def _tell_others(listeners: Listeners, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    for name, item in new.items():
        if name not in old or not _same(old[name], item):
            listeners.tell("schema_added", item)
        elif old[name] != item:
            listeners.tell("schema_changed", old[name], item)
