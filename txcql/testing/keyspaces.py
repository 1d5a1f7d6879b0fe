"""The keyspaces of a fake cluster, and what they have."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from txcql.errors import InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.faketopology import NodeInfo
from txcql.testing.refusals import unsupported
from txcql.testing.storedtables import StoredTable
from txcql.testing.tabledefinitions import KeyspaceDefinition
from txcql.wire.fieldtypes import UDTType

__all__ = ["Keyspace", "Keyspaces"]


class Keyspace:
    """A keyspace, its tables and its types.

    :ivar types: its user-defined types, in the order in which they were made.
    :ivar system: whether it is the server's own, which nobody else writes to.
    """

    def __init__(self, definition: KeyspaceDefinition, system: bool = False) -> None:
        self.definition = definition
        self.system = system
        self.types: dict[str, UDTType] = {}
        self._tables: dict[str, StoredTable] | None = {}
        self._make: Callable[[], dict[str, StoredTable]] | None = None

    def made_by(self, make: Callable[[], dict[str, StoredTable]]) -> Keyspace:
        """Have the tables made when they are needed for the first time."""
        self._tables, self._make = None, make
        return self

    @property
    def tables(self) -> dict[str, StoredTable]:
        """Its tables by name."""
        if self._tables is None:
            assert self._make is not None
            self._tables = self._make()
        return self._tables


class Keyspaces:
    """What all nodes of a cluster share.

    :param nodes: the nodes, for the datacenters that a replication may name.
    :ivar by_name: the keyspaces.
    :ivar version: changes with every change of the schema.
    """

    def __init__(self, nodes: Sequence[NodeInfo]) -> None:
        self.nodes = nodes
        self.by_name: dict[str, Keyspace] = {}
        self.version = uuid.uuid4()

    def own(self, name: str) -> Keyspace:
        """A keyspace that may be changed.

        :raises InvalidRequest: there is none, or it is the server's.
        """
        found = self.by_name.get(name)
        if found is None:
            raise InvalidRequest(f"Keyspace '{name}' doesn't exist")
        refuse_system(found)
        return found

    def table(self, name: cql.TableName, keyspace: str | None, writes: bool = False) -> StoredTable:
        """A table.

        :param keyspace: the keyspace of unqualified names.
        :raises InvalidRequest: there is none, or it may not be written to.
        """
        home = self.by_name.get(keyspace_of(name, keyspace))
        if home is None:
            raise InvalidRequest(f"keyspace {keyspace_of(name, keyspace)} does not exist")
        if writes:
            refuse_system(home)
        found = home.tables.get(name.name)
        if found is None:
            if home.system:
                raise unsupported(f"the table {home.definition.name}.{name.name}")
            raise InvalidRequest(f"table {name.name} does not exist")
        return found


def refuse_system(keyspace: Keyspace) -> None:
    """:raises InvalidRequest: it is the server's own."""
    if keyspace.system:
        raise unsupported(f"a change of the keyspace {keyspace.definition.name}")


def keyspace_of(name: cql.TableName, keyspace: str | None) -> str:
    """The keyspace of a name.

    :raises InvalidRequest: there is none.
    """
    found = name.keyspace or keyspace
    if found is None:
        raise InvalidRequest(
            "No keyspace has been specified. USE a keyspace, or explicitly specify keyspace.tablename"
        )
    return found
