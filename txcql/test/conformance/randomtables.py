"""Tables of random shapes, and values for their columns."""

from __future__ import annotations

import random

__all__ = ["USER_TYPE", "RandomTable"]

USER_TYPE = "CREATE TYPE pair (a int, b text)"

_SCALARS = {
    "text": ("''", "'a'", "'b'", "'c''c'", "'ä'"),
    "boolean": ("true", "false"),
    "bigint": ("0", "-5", "7", "1099511627776"),
    "blob": ("0x", "0x00ff", "0xab"),
    "decimal": ("0", "-2", "1.5", "1.50", "1e3"),
    "double": ("0", "1.5", "-2.25", "1e30", "NaN", "Infinity"),
    "timestamp": ("0", "-1", "'2020-01-01'", "'1970-01-01T00:00:01.5Z'"),
}
_KEYS = {"p": "int", "q": "text", "c": "int", "d": "text", "f": "frozen<list<int>>", "g": "boolean"}
_VALUES = {
    "v": "int",
    "w": "text",
    "l": "list<int>",
    "e": "set<text>",
    "m": "map<int, text>",
    "z": "frozen<set<int>>",
    "u": "pair",
    "x": "frozen<pair>",
    "i": "bigint",
    "n": "decimal",
    "r": "double",
    "h": "blob",
    "o": "boolean",
    "k": "timestamp",
    "y": "tuple<int, text>",
}
_STATICS = {"s": "text", "sm": "map<text, int>", "sc": "int"}
_PARTITIONS = (["p"], ["q"], ["p", "q"])
_CLUSTERINGS: tuple[list[str], ...] = ([], ["c"], ["c", "d"], ["d", "c"], ["f"], ["c", "f"], ["c", "d", "g"])
_INDEXES = ("v", "e", "keys(m)")


class RandomTable:
    """A table of a random shape.

    :param draw: where chance comes from.
    :param name: the table's.
    :ivar partition: the columns of its partition key.
    :ivar clustering: its clustering columns.
    :ivar ways: how each of those is ordered.
    :ivar statics: its static columns.
    :ivar values: all of its columns that are no keys, and their types.
    """

    def __init__(self, draw: random.Random, name: str) -> None:
        self.draw = draw
        self.name = name
        self.partition = draw.choice(_PARTITIONS)
        self.clustering = draw.choice(_CLUSTERINGS)
        self.ways = [draw.choice(("ASC", "DESC")) for _ in self.clustering]
        self.statics = list(_STATICS) if self.clustering else []
        self.values = {**_VALUES, **(_STATICS if self.clustering else {})}
        self._indexes = _INDEXES if draw.random() < 0.4 else ()

    @property
    def keys(self) -> list[str]:
        """The columns of the primary key."""
        return [*self.partition, *self.clustering]

    @property
    def columns(self) -> list[str]:
        """All of its columns."""
        return [*self.keys, *self.values]

    def create(self) -> list[str]:
        """The statements that make it."""
        keys = [f"{name} {_KEYS[name]}" for name in self.keys]
        values = [f"{name} {kind}{' static' * (name in _STATICS)}" for name, kind in self.values.items()]
        key = ", ".join([f"({', '.join(self.partition)})", *self.clustering])
        order = ", ".join(f"{name} {way}" for name, way in zip(self.clustering, self.ways, strict=True))
        end = f" WITH CLUSTERING ORDER BY ({order})" if order else ""
        table = f"CREATE TABLE {self.name} ({', '.join([*keys, *values])}, PRIMARY KEY ({key})){end}"
        return [table, *(f"CREATE INDEX ON {self.name} ({column})" for column in self._indexes)]

    def literal(self, kind: str) -> str:
        """A value of a type."""
        draw = self.draw
        if kind == "int":
            return str(draw.randint(-1, 3))
        if kind in _SCALARS:
            return draw.choice(_SCALARS[kind])
        if kind == "pair":
            return draw.choice((f"{{a: {self.value('int')}, b: {self.value('text')}}}", "{b: 'b'}", "{}"))
        if kind.startswith("tuple"):
            return f"({self.value('int')}, {self.value('text')})"
        if kind.startswith("frozen"):
            return self.literal(kind[len("frozen<") : -1])
        inner = kind[kind.index("<") + 1 : -1].split(", ")
        items = list(dict.fromkeys(self.literal(inner[0]) for _ in range(draw.randint(0, 3))))
        if kind.startswith("list"):
            return f"[{', '.join(items)}]"
        if kind.startswith("map"):
            items = [f"{item}: {self.literal(inner[1])}" for item in items]
        return f"{{{', '.join(items)}}}"

    def value(self, kind: str) -> str:
        """A value of a type, or null."""
        return "null" if self.draw.random() < 0.12 else self.literal(kind)

    def key(self, name: str) -> str:
        """A value of a key's column."""
        return self.literal(_KEYS[name])

    def keys_of(self, name: str) -> str:
        """A list of one to three values of a key's column, for IN."""
        return f"({', '.join(self.key(name) for _ in range(self.draw.randint(1, 3)))})"

    def equal(self, names: list[str]) -> list[str]:
        """Relations that say what columns of the key are."""
        return [f"{name} = {self.key(name)}" for name in names]
