"""WHERE, bound to its table: which partitions, and which of their rows.

The rules and their sentences are Cassandra's. What a statement finds is decided row by row, so that no
shortcut can give another answer; a full key is looked up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

from txcql.errors import InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.clusteringbounds import nothing_between
from txcql.testing.execution import Execution
from txcql.testing.expressions import Scope
from txcql.testing.faketopology import LOWEST_TOKEN
from txcql.testing.ordering import sort_key
from txcql.testing.refusals import unsupported
from txcql.testing.relationtests import Restriction, RowTest
from txcql.testing.storedtables import StoredTable
from txcql.testing.tabledefinitions import CLUSTERING, PARTITION_KEY, ColumnDefinition, TableDefinition
from txcql.wire.collectiontypes import cut_cells
from txcql.wire.murmur3 import composite_key, token

__all__ = ["FILTERING", "Found", "Restrictions"]

FILTERING = (
    "Cannot execute this query as it might involve data filtering and thus may have unpredictable "
    "performance. If you want to execute this query despite the performance unpredictability, "
    "use ALLOW FILTERING"
)


class Found(NamedTuple):
    """Which rows a statement means.

    :ivar keys: the partition keys, in order, each with its columns; ``None`` for all partitions.
    :ivar order: the sort key of the only row that is meant; ``None`` if there may be more.
    :ivar tests: what rows must pass.
    """

    keys: list[tuple[bytes, tuple[bytes, ...]]] | None
    order: Any
    partition_tests: list[RowTest]
    static_tests: list[RowTest]
    row_tests: list[RowTest]


class Restrictions:
    """The WHERE of a statement.

    :param kind: ``"SELECT"``, ``"INSERT"``, ``"UPDATE"`` or ``"DELETE"``.
    :param only_statics: whether only static columns are selected or written.
    :ivar key_range: whether many partitions are read.
    :ivar uses_index: whether a secondary index is used.
    """

    def __init__(
        self,
        kind: str,
        table: TableDefinition,
        relations: Sequence[cql.Relation],
        scope: Scope,
        only_statics: bool = False,
        allow_filtering: bool = False,
    ) -> None:
        self.table = table
        self.key_range = False
        self.uses_index = False
        self.all: list[Restriction] = []
        self.partition: list[Restriction] = []
        self.clustering: list[Restriction] = []
        self.other: list[Restriction] = []
        self._selects = kind == "SELECT"
        self._filtering = allow_filtering
        self._filters = 0
        for relation in relations:
            if relation.operator.startswith("CONTAINS") and kind in ("UPDATE", "DELETE"):
                raise InvalidRequest(f"Cannot use {kind} with {relation.operator}")
            self._add(Restriction(relation, table, scope))
        queriable = self._selects and any(self._is_indexed(one) for one in self.all)
        self._check_partition(kind, queriable)
        if only_statics and self.clustering:
            if kind in ("DELETE", "UPDATE"):
                raise InvalidRequest(
                    f"Invalid restrictions on clustering columns since the {kind} statement modifies only "
                    "static columns"
                )
            if kind == "SELECT":
                raise InvalidRequest("Cannot restrict clustering columns when selecting only static columns")
        self._check_clustering(kind, queriable, only_statics)
        self._check_other(queriable)

    # Merging, as Cassandra merges.

    def _add(self, new: Restriction) -> None:
        for old in self.all:
            shared = [c for c in new.columns if c in old.columns]
            if shared and (old.form == "token") == (new.form == "token"):
                self._check_merge(old, new, shared)
        kinds = {PARTITION_KEY: self.partition, CLUSTERING: self.clustering}
        home = kinds.get(new.column.kind, self.other)
        if home is self.clustering:
            self._check_order(new)
        home.append(new)
        self.all.append(new)

    def _check_merge(self, old: Restriction, new: Restriction, shared: list[ColumnDefinition]) -> None:
        """What is there already complains of what comes."""
        if old.is_contains and new.is_contains:
            return
        name = shared[0].name
        if old.form == "token":
            name = ", ".join(column.name for column in shared)
        elif len(shared) > 1 and not (old.is_slice and new.is_slice and old.operator[0] != new.operator[0]):
            # Real nodes name them in the order of a hash table.
            raise unsupported(f"another relation on {' and '.join(column.name for column in shared)}")
        if old.is_contains:
            raise InvalidRequest(
                f"Collection column {name} can only be restricted by CONTAINS, CONTAINS KEY, or map-entry "
                "equality"
            )
        if not old.is_slice:
            what = "an Equal" if old.operator == "=" else "a IN"
            raise InvalidRequest(
                f"{name} cannot be restricted by more than one relation if it includes {what}"
            )
        if not new.is_slice:
            word = "Columns" if old.form == "token" else "Column"
            raise InvalidRequest(
                f'{word} "{name}" cannot be restricted by both an equality and an inequality relation'
            )
        if old.column.position != new.column.position:
            raise InvalidRequest(
                f'Column "{name}" cannot be restricted by two inequalities not starting with the same column'
            )
        if old.operator[0] == new.operator[0]:
            where = "start" if old.operator[0] == ">" else "end"
            raise InvalidRequest(f"More than one restriction was found for the {where} bound on {name}")

    def _check_order(self, new: Restriction) -> None:
        if not self.clustering or self._filtering or (self._selects and self._is_indexed(new)):
            return
        last = max(self.clustering, key=lambda one: one.column.position)
        position, last_position = new.column.position, last.column.position
        if last.is_slice and position > last_position:
            raise InvalidRequest(
                f'Clustering column "{new.column.name}" cannot be restricted (preceding column '
                f'"{last.column.name}" is restricted by a non-EQ relation)'
            )
        if position < last_position and new.is_slice:
            following = min(
                (one.column for one in self.clustering if one.column.position > position),
                key=lambda c: c.position,
            )
            raise InvalidRequest(
                f'PRIMARY KEY column "{following.name}" cannot be restricted (preceding column '
                f'"{new.column.name}" is restricted by a non-EQ relation)'
            )

    def _is_indexed(self, one: Restriction) -> bool:
        if one.form == "token":
            return False
        wanted = {"=": ("", "full"), "CONTAINS": ("values",), "CONTAINS KEY": ("keys",)}.get(one.operator, ())
        if one.form == "element":
            wanted = ("entries",)
        names = [column.name for column in one.columns]
        return any(index.column in names and index.kind in wanted for index in self.table.indexes.values())

    # Whether it can be carried out.

    @property
    def _tokens(self) -> list[Restriction]:
        """Relations of ``token()``, which only filter where the whole key is given."""
        keys = [one for one in self.partition if one.form != "token"]
        if len(keys) == len(self.table.partition_key) and not any(
            one.is_slice or one.is_contains for one in keys
        ):
            return []
        return [one for one in self.partition if one.form == "token"]

    @property
    def _keys(self) -> dict[str, Restriction]:
        return {one.column.name: one for one in self.partition if one.form != "token"}

    def _check_partition(self, kind: str, queriable: bool) -> None:
        keys = self._keys
        missing = [column.name for column in self.table.partition_key if column.name not in keys]
        slices = any(one.is_slice or one.is_contains for one in keys.values())
        if not self._selects:
            if self._tokens:
                raise InvalidRequest(
                    f"The token function cannot be used in WHERE clauses for {kind} statements"
                )
            if missing:
                raise InvalidRequest(f"Some partition key parts are missing: {', '.join(missing)}")
            if slices:
                raise InvalidRequest(
                    "Only EQ and IN relation are supported on the partition key (unless you use the token() "
                    f"function) for {kind} statements"
                )
            return
        if self._tokens:
            self.key_range = True
        filters = bool(keys) and (bool(missing) or slices)
        if filters and not self._filtering and not queriable:
            raise InvalidRequest(FILTERING)
        if filters or not self.partition:
            self.key_range = True
            self.uses_index = queriable
        if filters or self.uses_index:
            self._filters += len(keys)

    @property
    def restricts_partition_key(self) -> bool:
        """Whether anything is said of it, ``token()`` included."""
        return bool(self.partition or self._tokens)

    def _check_clustering(self, kind: str, queriable: bool, only_statics: bool) -> None:
        restricted = {column.name for one in self.clustering for column in one.columns}
        slices = any(one.is_slice for one in self.clustering)
        if kind in ("UPDATE", "INSERT"):
            if slices:
                raise InvalidRequest(
                    f"Slice restrictions are not supported on the clustering columns in {kind} statements"
                )
            missing = [column.name for column in self.table.clustering if column.name not in restricted]
            if not only_statics and missing:
                raise InvalidRequest(f"Some clustering keys are missing: {', '.join(missing)}")
            return
        if any(one.is_contains for one in self.clustering) and not queriable and not self._filtering:
            raise InvalidRequest(
                "Clustering columns can only be restricted with CONTAINS with a secondary index or filtering"
            )
        filters = self._clustering_filters()
        if filters and queriable:
            self.uses_index = True
        elif filters and not self._filtering:
            self._check_prefix()
        if self.key_range and any(self._is_indexed(one) for one in self.clustering):
            self.uses_index = True
        if filters or self.uses_index:
            self._filters += len(restricted)

    def _check_prefix(self) -> None:
        """Refuse a clustering column if the one before it is free."""
        for column, expected in zip(
            sorted((c for one in self.clustering for c in one.columns), key=lambda c: c.position),
            self.table.clustering,
            strict=False,
        ):
            if column is not expected:
                raise InvalidRequest(
                    f'PRIMARY KEY column "{column.name}" cannot be restricted as preceding column '
                    f'"{expected.name}" is not restricted'
                )

    def _clustering_filters(self) -> bool:
        position = 0
        for one in sorted(self.clustering, key=lambda found: found.column.position):
            if one.is_contains or one.column.position != position:
                return True
            if not one.is_slice:
                position = one.columns[-1].position + 1
            elif one.form == "column" and any(
                other.column.position > one.column.position for other in self.clustering
            ):
                return True
        return False

    def _check_other(self, queriable: bool) -> None:
        if self.other and not self._selects:
            names = sorted({one.column.name for one in self.other})
            raise InvalidRequest(f"Non PRIMARY KEY columns found in where clause: {', '.join(names)} ")
        if self.other:
            if queriable:
                self.uses_index = True
            elif not self._filtering:
                raise InvalidRequest(FILTERING)
            self._filters += len({one.column.name for one in self.other})
        if self.uses_index and self.key_is_in:
            raise InvalidRequest(
                "Select on indexed columns and with IN clause for the PRIMARY KEY are not supported"
            )

    def check_filtering(self) -> None:
        """Refuse a SELECT that has to look at more than it finds, unless that is allowed.

        :raises InvalidRequest: so it is.
        """
        if self._filtering or not (self.key_range or self.uses_index):
            return
        contained = Counter(one.column.name for one in self.other if one.is_contains)
        several = any(count > 1 for count in contained.values())
        if self._filters > 1 or several or (not self._filters and self.clustering):
            raise InvalidRequest(FILTERING)

    # What statements ask.

    @property
    def key_is_in(self) -> bool:
        """Whether the partition key is restricted by an IN."""
        return any(one.operator == "IN" for one in self.partition)

    @property
    def clustering_is_in(self) -> bool:
        """Whether the clustering columns are restricted by an IN."""
        return any(one.operator == "IN" for one in self.clustering)

    @property
    def all_clustering_equal(self) -> bool:
        """Whether every clustering column has one value, or one of several."""
        restricted = {c.name for one in self.clustering if not one.is_slice for c in one.columns}
        return len(restricted) == len(self.table.clustering)

    def key_markers(self) -> tuple[int, ...]:
        """The markers of the partition key; empty if not all of it is bound by ``=``."""
        found = []
        for column in self.table.partition_key:
            one = self._keys.get(column.name)
            if one is None or one.operator != "=" or one.expressions[0].marker < 0:
                return ()
            found.append(one.expressions[0].marker)
        return tuple(found)

    def find(self, table: StoredTable, execution: Execution) -> Found:
        """Which rows are meant, with the values of a request."""
        keys = self._keys
        components: list[list[bytes]] = []
        for column in self.table.partition_key:
            one = keys.get(column.name)
            if one is not None and not one.is_slice and not one.is_contains:
                components.append(one.values(execution))
        found, partition_tests = None, []
        if len(components) < len(self.table.partition_key):
            partition_tests = [test for one in self.partition if (test := one.test(execution))]
        elif self._selects and nothing_between(self.clustering, execution):
            found = []
        else:
            found = self._sorted_keys(table, components, execution)
        statics = [one for one in self.other if one.column.kind == "static"]
        regular = [one for one in self.other if one.column.kind != "static"]
        row_tests = [test for one in (*self.clustering, *regular) if (test := one.test(execution))]
        static_tests = [test for one in statics if (test := one.test(execution))]
        return Found(found, self._only_row(table, execution), partition_tests, static_tests, row_tests)

    def _sorted_keys(
        self, table: StoredTable, components: list[list[bytes]], execution: Execution
    ) -> list[tuple[bytes, tuple[bytes, ...]]]:
        orders = [sort_key(column.type) for column in self.table.partition_key]
        made = {}
        for parts in product(*components):
            made[tuple(order(part) for order, part in zip(orders, parts, strict=True))] = parts
        kept = [made[order] for order in sorted(made) if self._fits_tokens(made[order], execution)]
        return [(table.partition_key(parts), parts) for parts in kept]

    def _fits_tokens(self, parts: Sequence[bytes], execution: Execution) -> bool:
        """Whether ``token()`` lets a key pass that is given as a whole.

        As with real nodes, a range that ends before it begins then goes on at the other end of the ring.
        """
        tokens = [(one, one.token_limit(execution)) for one in self.partition if one.form == "token"]
        if not tokens:
            return True
        key = parts[0] if len(parts) == 1 else composite_key(parts)
        place = token(key) if key else LOWEST_TOKEN
        fits = [one.compares(place, limit) for one, limit in tokens]
        start = [limit for one, limit in tokens if one.operator[0] == ">"]
        end = [limit for one, limit in tokens if one.operator[0] == "<"]
        return any(fits) if start and end and start > end else all(fits)

    def _only_row(self, table: StoredTable, execution: Execution) -> Any:
        if not self.table.clustering or len(self.clustering) != len(self.table.clustering):
            return () if not self.table.clustering else None
        parts: dict[int, bytes] = {}
        for one in self.clustering:
            if one.operator != "=" or one.form != "column":
                return None
            parts[one.column.position] = one.values(execution)[0]
        return table.order([parts[place] for place in range(len(parts))])

    def clustering_values(self, execution: Execution) -> list[tuple[bytes, ...]]:
        """All clustering keys that are meant, where every column has one value, or one of several."""
        columns: dict[int, list[bytes]] = {}
        tuples: list[tuple[int, list[list[bytes]]]] = []
        for one in self.clustering:
            if one.form == "tuple":
                width = len(one.columns)
                cut = [cut_cells(value, 0, width, short=True)[0] for value in one.values(execution)]
                tuples.append((one.column.position, [[cell or b"" for cell in cells] for cells in cut]))
            else:
                columns[one.column.position] = one.values(execution)
        choices: list[list[list[bytes]]] = []
        place = 0
        while place < len(self.table.clustering):
            several = next((found for start, found in tuples if start == place), None)
            if several is not None:
                choices.append(several)
                place += len(several[0])
            else:
                choices.append([[value] for value in columns[place]])
                place += 1
        found = [tuple(part for parts in chosen for part in parts) for chosen in product(*choices)]
        return [key for _, key in sorted({self._order(key): key for key in found}.items())]

    def _order(self, clustering: Sequence[bytes]) -> Any:
        return tuple(order(part) for order, part in zip(self.table.orders, clustering, strict=True))
