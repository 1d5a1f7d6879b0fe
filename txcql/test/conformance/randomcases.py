"""Statements drawn at random, valid ones for the most part: whatever real Cassandra answers, the fake does."""

from __future__ import annotations

import random

from txcql.test.conformance.chapters import Asked, Chapter, ask
from txcql.test.conformance.randomtables import USER_TYPE, RandomTable

__all__ = ["random_chapter"]

_TABLES = 3
_FILTERS = (
    *(
        "v = 1",
        "v > 0",
        "v IN (0, 1)",
        "w = 'a'",
        "w != 'a'",
        "o = true",
        "n > 1",
        "r < 2",
        "k >= 0",
        "h = 0xab",
    ),
    *("e CONTAINS 'a'", "l CONTAINS 2", "m CONTAINS 'a'", "m CONTAINS KEY 1", "m[1] = 'a'", "z CONTAINS 1"),
    *(
        "z = {1, 2}",
        "z > {1}",
        "x = {a: 1, b: 'a'}",
        "y = (1, 'a')",
        "u.a = 1",
        "u = {a: 1}",
        "l = [1]",
        "e = {'a'}",
    ),
)
_SELECTIONS = (
    *(
        "*",
        "*",
        "*",
        "count(*)",
        "count(v), min(v), max(w), sum(i), avg(r), avg(v)",
        "max(n), min(k), sum(r)",
    ),
    *(
        "count(u), min(y), max(l)",
        "w, max(v)",
        "JSON *",
        "JSON u, n, m",
        "u.a, x.b, m[1], e['a']",
        "toJson(u)",
    ),
    *("CAST(v AS text), v AS one, CAST(n AS double)", "intAsBlob(v), textAsBlob(w)"),
)
_ELEMENTS = {
    "l": ("l = l + {}", "l += {}", "l = {} + l", "l = l - {}", "l[0] = 7", "l[1] = null"),
    "e": ("e = e + {}", "e = e - {}"),
    "m": ("m = m + {}", "m = m - {{1}}", "m[1] = 'b'", "m[2] = null"),
    "sm": ("sm = sm + {}", "sm['a'] = 1", "sm['b'] = null"),
    "u": ("u.a = 1", "u.b = null"),
}
_CONDITIONS = {"l": "l[1]", "m": "m[1]", "sm": "sm['a']", "u": "u.a"}
_ELEMENT_TYPES = {"l": "int", "m": "text", "sm": "int", "u": "int"}


class Writer:
    """Makes statements about one table.

    :param table: the table.
    :param timed: whether each write says its timestamp, so that they compete; else some have conditions.
    """

    def __init__(self, table: RandomTable, timed: bool) -> None:
        self._table = table
        self._draw = table.draw
        self._timed = timed

    def statement(self) -> Asked | str:
        """Any statement."""
        kinds = (self.write, self._batch, self._select)
        return self._draw.choices(kinds, weights=(12, 2, 9))[0]()

    # Writes.

    def write(self) -> str:
        """INSERT, UPDATE or DELETE."""
        return self._draw.choices((self._insert, self._update, self._delete), weights=(5, 5, 3))[0]()

    def _batch(self) -> str:
        writes = [self.write() for _ in range(self._draw.randint(1, 3))]
        kind = self._draw.choice(("", "UNLOGGED "))
        return f"BEGIN {kind}BATCH {'; '.join(writes)}; APPLY BATCH"

    def _using(self, ttl: bool = True) -> str:
        given = [f"TIMESTAMP {self._draw.randint(1, 9)}"] if self._timed else []
        if ttl and self._draw.random() < 0.1:
            given.append("TTL 100000")
        return f" USING {' AND '.join(given)}" if given else ""

    def _insert(self) -> str:
        table, draw = self._table, self._draw
        keys, chosen = table.keys, draw.sample(list(table.values), draw.randint(0, 5))
        if table.statics and draw.random() < 0.15:
            keys, chosen = table.partition, draw.sample(table.statics, draw.randint(1, 2))
        cells = [*map(table.key, keys), *(table.value(table.values[name]) for name in chosen)]
        condition = " IF NOT EXISTS" if not self._timed and draw.random() < 0.2 else ""
        text = f"INSERT INTO {table.name} ({', '.join([*keys, *chosen])}) VALUES ({', '.join(cells)})"
        return text + condition + self._using()

    def _update(self) -> str:
        table, draw = self._table, self._draw
        keys, chosen = table.keys, draw.sample(list(table.values), draw.randint(1, 3))
        only_statics = bool(table.statics) and draw.random() < 0.2
        if only_statics:
            keys, chosen = table.partition, draw.sample(table.statics, draw.randint(1, 2))
        where = table.equal(keys)
        if draw.random() < 0.15:
            where[-1] = f"{keys[-1]} IN {table.keys_of(keys[-1])}"
        changes = ", ".join(map(self._assignment, chosen))
        condition = self._condition(table.statics if only_statics else list(table.values))
        return f"UPDATE {table.name}{self._using()} SET {changes} WHERE {' AND '.join(where)}{condition}"

    def _assignment(self, name: str) -> str:
        kind = self._table.values[name]
        forms = (f"{name} = {self._table.value(kind).replace('{', '{{').replace('}', '}}')}",)
        return self._draw.choice((*forms, *_ELEMENTS.get(name, ()))).format(self._table.literal(kind))

    def _delete(self) -> str:
        table, draw = self._table, self._draw
        depth = draw.randint(0, len(table.clustering))
        where = table.equal([*table.partition, *table.clustering[:depth]])
        what = condition = ""
        if depth == len(table.clustering):
            what = draw.choice(("", draw.choice(list(table.values)), "m[1]", "l[1]", "e['a']", "u.a", "w, v"))
            condition = self._condition(list(table.values))
        elif depth == 0 and draw.random() < 0.3:
            what, condition = draw.choice(("s", "sm['a']", "sc, s")), self._condition(table.statics)
        else:
            where += self._range(table.clustering[depth])
        return f"DELETE {what} FROM {table.name}{self._using(False)} WHERE {' AND '.join(where)}{condition}"

    def _condition(self, names: list[str]) -> str:
        draw = self._draw
        if self._timed or draw.random() < 0.6:
            return ""
        if draw.random() < 0.25:
            return " IF EXISTS"
        return f" IF {' AND '.join(self._comparison(draw.choice(names)) for _ in range(draw.randint(1, 2)))}"

    def _comparison(self, name: str) -> str:
        table, draw = self._table, self._draw
        kind = table.values[name]
        operator = draw.choice(("=", "=", "!=", "<", ">=", "IN"))
        if name in _CONDITIONS and draw.random() < 0.5:
            name, kind = _CONDITIONS[name], _ELEMENT_TYPES[name]
        if operator == "IN":
            return f"{name} IN ({table.literal(kind)}, {table.literal(kind)})"
        return f"{name} {operator} {table.value(kind) if '=' in operator else table.literal(kind)}"

    # Reads.

    def _select(self) -> Asked:
        table, draw = self._table, self._draw
        where, filtering, ordered = self._restrictions()
        end = ""
        if table.clustering and ordered and draw.random() < 0.4:
            end += f" ORDER BY {self._order()}"
        if draw.random() < 0.2:
            end += f" PER PARTITION LIMIT {draw.randint(1, 2)}"
        if draw.random() < 0.3:
            end += f" LIMIT {draw.randint(1, 4)}"
        clause = f" WHERE {' AND '.join(where)}" if where else ""
        text = f"SELECT {self._selection()} FROM {table.name}{clause}{end}{' ALLOW FILTERING' * filtering}"
        if draw.random() < 0.2:
            return ask(text)
        return ask(text, page_size=draw.choice((1, 2, 3, 100)))

    def _selection(self) -> str:
        table, draw = self._table, self._draw
        key = ", ".join(table.partition)
        if self._timed and draw.random() < 0.2:
            return "v, writetime(v), writetime(w)"
        chosen = ", ".join(draw.sample(table.columns, draw.randint(1, 4)))
        distinct = (f"DISTINCT {key}", f"DISTINCT {', '.join([*table.partition, *table.statics[:1]])}")
        statics = ("s, sc", "s") if table.statics else ()
        found: str = draw.choice((*_SELECTIONS, *distinct, *statics, *[chosen] * 4, f"token({key})"))
        return found

    def _order(self) -> str:
        table, draw = self._table, self._draw
        turned = {"ASC": "DESC", "DESC": "ASC"} if draw.random() < 0.6 else {"ASC": "ASC", "DESC": "DESC"}
        depth = draw.randint(1, len(table.clustering))
        pairs = zip(table.clustering[:depth], table.ways, strict=False)
        return ", ".join(f"{name} {turned[way]}" for name, way in pairs)

    def _restrictions(self) -> tuple[list[str], bool, bool]:
        """Relations, whether filtering is allowed, and whether rows may be ordered."""
        draw, chance = self._draw, self._draw.random()
        if chance < 0.12:
            return [], False, False
        if chance < 0.25:
            return self._tokens(), False, False
        if chance < 0.45:
            return self._filters(), draw.random() < 0.9, False
        where, ordered = self._keys()
        if draw.random() < 0.1:
            return [*where, "v >= 1"], True, ordered
        return where, False, ordered

    def _tokens(self) -> list[str]:
        table, draw = self._table, self._draw
        token = f"token({', '.join(table.partition)})"
        limits = [f"token({', '.join(map(table.key, table.partition))})" for _ in range(2)]
        where = [
            f"{token} {draw.choice(('>', '>='))} {limits[0]}",
            f"{token} {draw.choice(('<', '<='))} {limits[1]}",
        ]
        chosen = draw.choice((where, where[:1], where[1:]))
        return [*table.equal(table.partition), *chosen] if draw.random() < 0.2 else chosen

    def _filters(self) -> list[str]:
        table, draw = self._table, self._draw
        more = ["s = 'a'", "sc > 0", "sm CONTAINS 1"] if table.statics else []
        more += [f"{name} > {table.key(name)}" for name in table.clustering[:1]]
        more += [f"{name} = {table.key(name)}" for name in table.clustering[-1:]]
        if len(table.partition) > 1:
            more += ["p = 1", "q = 'a'", "q > 'a'", "p IN (0, 1)"]
        where = draw.sample((*_FILTERS, *more), draw.choice((1, 1, 1, 2)))
        return [*table.equal(table.partition), *where] if draw.random() < 0.3 else where

    def _keys(self) -> tuple[list[str], bool]:
        table, draw = self._table, self._draw
        where, ordered = table.equal(table.partition), True
        if draw.random() < 0.2:
            place = draw.randrange(len(where))
            where[place] = f"{table.partition[place]} IN {table.keys_of(table.partition[place])}"
            ordered = draw.random() < 0.3
        if len(table.clustering) > 1 and draw.random() < 0.3:
            return [*where, *self._tuples()], ordered
        for name in table.clustering:
            kind = draw.choice(("none", "equal", "equal", "range", "in"))
            if kind == "equal":
                where.append(f"{name} = {table.key(name)}")
            elif kind == "in":
                where.append(f"{name} IN {table.keys_of(name)}")
            else:
                where += self._range(name) if kind == "range" else []
                break
        return where, ordered

    def _range(self, name: str) -> list[str]:
        table, draw = self._table, self._draw
        where = [f"{name} {draw.choice(('>', '>='))} {table.key(name)}"]
        if draw.random() < 0.5:
            where.append(f"{name} {draw.choice(('<', '<='))} {table.key(name)}")
        return where

    def _tuples(self) -> list[str]:
        table, draw = self._table, self._draw
        names = table.clustering[: draw.randint(1, len(table.clustering))]
        first, second = (f"({', '.join(map(table.key, names))})" for _ in range(2))
        head = f"({', '.join(names)})"
        forms = ([f"{head} = {first}"], [f"{head} IN ({first}, {second})"], [f"{head} < {first}"])
        return draw.choice((*forms, [f"{head} > {first}"], [f"{head} >= {first}", f"{head} <= {second}"]))


def random_chapter(seed: int, count: int) -> Chapter:
    """Some tables, and statements about them.

    :param seed: decides what they are.
    :param count: of statements.
    """
    draw = random.Random(seed)
    tables = [RandomTable(draw, f"t{number}") for number in range(_TABLES)]
    writers = [Writer(table, timed=number % 2 == 0) for number, table in enumerate(tables)]
    statements: list[str | Asked] = [USER_TYPE]
    for table in tables:
        statements += table.create()
    statements += [draw.choice(writers).statement() for _ in range(count)]
    return Chapter(f"random {seed}", statements)
