"""The part of CQL that the fake knows, read by recursive descent.

What is no CQL at all is a syntax error; what may be CQL and is not known here
is refused, at the word where the knowledge ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, NoReturn, TypeVar

from txcql.errors import CQLSyntaxError
from txcql.testing import cqlstatements as cql
from txcql.testing.refusals import unsupported

__all__ = ["parse"]

_TOKEN = re.compile(
    r"""
      (?P<space> \s+ | --[^\n]* | //[^\n]* | /\*.*?\*/ )
    | (?P<STRING> '(?:[^']|'')*' | \$\$.*?\$\$ )
    | (?P<quoted> "(?:[^"]|"")+" )
    | (?P<UUID> [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12} )
    | (?P<HEX> 0x[0-9a-f]* )
    | (?P<FLOAT> -?[0-9]+ (?: \.[0-9]* (?: e[+-]?[0-9]+ )? | e[+-]?[0-9]+ ) )
    | (?P<duration> -?[0-9]+[a-zµ][0-9a-zµ]* )
    | (?P<INTEGER> -?[0-9]+ )
    | (?P<name> [a-z][0-9a-z_]* )
    | (?P<symbol> [-()\[\]{}<>,;:?.*=+/%!] )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)

_CONSTANTS = ("STRING", "UUID", "HEX", "FLOAT", "INTEGER")

_KNOWN_AND_REFUSED = frozenset(
    ["ADD", "ALTER", "APPLY", "BEGIN", "DESC", "DESCRIBE", "GRANT", "LIST", "REVOKE", "UPDATE"]
)

_T = TypeVar("_T")


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse(text: str) -> cql.Parsed:
    """The statement of a text.

    :raises CQLSyntaxError: it is no CQL.
    :raises InvalidRequest: it is not supported by txcql.testing.
    """
    return _Parser(text).parse()


def _tokens(text: str) -> list[_Token]:
    found = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            if text[position] == "'":
                line, column = _place(text, len(text))
                raise CQLSyntaxError(f"line {line}:{column} mismatched character '<EOF>' expecting '''")
            line, column = _place(text, position)
            raise CQLSyntaxError(
                f"line {line}:{column} no viable alternative at character '{text[position]}'"
            )
        if match.lastgroup != "space":
            found.append(_Token(match.lastgroup, match[0], position))
        position = match.end()
    return found


def _place(text: str, position: int) -> tuple[int, int]:
    """Line from 1 and column from 0, as Cassandra counts them."""
    return text.count("\n", 0, position) + 1, position - (text.rfind("\n", 0, position) + 1)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.at = 0
        self.markers: list[cql.Marker] = []

    def parse(self) -> cql.Parsed:
        first = self._peek()
        if first is None:
            self._end()
        word = first.text.upper()
        read = _STATEMENTS.get(word) if first.kind == "name" else None
        if read is None:
            if word in _KNOWN_AND_REFUSED:
                raise unsupported(f"the statement {word}")
            line, column = _place(self.text, first.position)
            raise CQLSyntaxError(
                f"line {line}:{column} no viable alternative at input '{first.text}' "
                f"([{first.text}]{'...' if len(self.tokens) > 1 else ''})"
            )
        self.at += 1
        statement = read(self)
        while self._skip(";"):
            pass
        if self._peek() is not None:
            self._refuse()
        return cql.Parsed(statement, tuple(self.markers))

    # Tokens.

    def _peek(self) -> _Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def _next(self) -> _Token:
        token = self._peek()
        if token is None:
            self._end()
        self.at += 1
        return token

    def _end(self, expected: str | None = None) -> NoReturn:
        if expected is not None:
            raise CQLSyntaxError(f"line 0:-1 mismatched input '<EOF>' expecting {expected}")
        raise CQLSyntaxError("line 0:-1 no viable alternative at input '<EOF>'")

    def _refuse(self, back: int = 0) -> NoReturn:
        token = self.tokens[self.at - back]
        line, column = _place(self.text, token.position)
        raise unsupported(f"what stands at line {line}:{column}, near '{token.text[:40]}',")

    def _skip(self, *words: str) -> bool:
        """Step over these words, if they come next: keywords or symbols."""
        ahead = self.tokens[self.at : self.at + len(words)]
        if len(ahead) < len(words):
            return False
        for token, word in zip(ahead, words, strict=True):
            if token.kind not in ("name", "symbol", "INTEGER") or token.text.upper() != word:
                return False
        self.at += len(words)
        return True

    def _expect(self, *words: str) -> None:
        for word in words:
            if not self._skip(word):
                if self._peek() is None:
                    self._end(f"K_{word}" if word.isalpha() else f"'{word}'")
                self._refuse()

    def _name(self) -> str:
        token = self._next()
        if token.kind == "name":
            return token.text.lower()
        if token.kind == "quoted":
            return token.text[1:-1].replace('""', '"')
        self._refuse(1)

    def _list(self, read: Callable[[], _T], closing: str) -> tuple[_T, ...]:
        """Items with commas between them, up to the closing bracket."""
        items = [read()]
        while self._skip(","):
            items.append(read())
        self._expect(closing)
        return tuple(items)

    # What statements are made of.

    def _table(self) -> cql.TableName:
        name = self._name()
        if self._skip("."):
            return cql.TableName(name, self._name())
        return cql.TableName(None, name)

    def _term(self) -> cql.Term:
        token = self._next()
        if token.kind in _CONSTANTS:
            return cql.Constant(token.kind, _unquoted(token.text) if token.kind == "STRING" else token.text)
        if token.kind == "name" and token.text.upper() in ("TRUE", "FALSE"):
            return cql.Constant("BOOLEAN", token.text.lower())
        if token.kind == "name" and token.text.upper() == "NULL":
            return cql.Null()
        if token.text in ("?", ":"):
            marker = cql.Marker(len(self.markers), self._name() if token.text == ":" else None)
            self.markers.append(marker)
            return marker
        if token.text == "[":
            return cql.ListLiteral(() if self._skip("]") else self._list(self._term, "]"))
        if token.text == "{":
            return self._braces()
        self._refuse(1)

    def _braces(self) -> cql.Term:
        if self._skip("}"):
            return cql.SetLiteral(())
        start, markers = self.at, len(self.markers)
        self._term()
        is_map = self._skip(":")
        self.at = start
        del self.markers[markers:]
        if is_map:
            return cql.MapLiteral(self._list(self._pair, "}"))
        return cql.SetLiteral(self._list(self._term, "}"))

    def _pair(self) -> tuple[cql.Term, cql.Term]:
        key = self._term()
        self._expect(":")
        return key, self._term()

    def _relations(self) -> tuple[cql.Relation, ...]:
        relations: list[cql.Relation] = []
        while not relations or self._skip("AND"):
            column = self._name()
            self._expect("=")
            relations.append(cql.Relation(column, self._term()))
        return tuple(relations)

    def _if_not_exists(self) -> bool:
        return self._skip("IF", "NOT", "EXISTS")

    # Statements.

    def _create(self) -> cql.Statement:
        if self._skip("KEYSPACE"):
            return self._create_keyspace()
        if self._skip("TABLE") or self._skip("COLUMNFAMILY"):
            return self._create_table()
        self._next()
        self._refuse(1)

    def _create_keyspace(self) -> cql.CreateKeyspace:
        if_not_exists = self._if_not_exists()
        name = self._name()
        self._expect("WITH")
        options: list[tuple[str, cql.Term]] = []
        while not options or self._skip("AND"):
            option = self._name()
            self._expect("=")
            options.append((option, self._term()))
        return cql.CreateKeyspace(name, if_not_exists, tuple(options))

    def _create_table(self) -> cql.CreateTable:
        if_not_exists = self._if_not_exists()
        table = self._table()
        columns: list[tuple[str, str]] = []
        keys: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

        def definition() -> None:
            if self._skip("PRIMARY", "KEY"):
                keys.append(self._primary_key())
                return
            name = self._name()
            columns.append((name, self._type()))
            if self._skip("PRIMARY", "KEY"):
                keys.append(((name,), ()))

        self._expect("(")
        self._list(definition, ")")
        order: tuple[tuple[str, bool], ...] = ()
        if self._skip("WITH"):
            self._expect("CLUSTERING", "ORDER", "BY", "(")
            order = self._list(self._direction, ")")
        return cql.CreateTable(table, if_not_exists, tuple(columns), tuple(keys), order)

    def _primary_key(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        self._expect("(")
        partition = self._list(self._name, ")") if self._skip("(") else (self._name(),)
        if self._skip(","):
            return partition, self._list(self._name, ")")
        self._expect(")")
        return partition, ()

    def _type(self) -> str:
        """A type as text, for the type parser: a name, and what stands between ``<`` and ``>``."""
        token = self._next()
        if token.kind == "STRING":
            raise unsupported(f"the type {token.text}")
        if token.kind not in ("name", "quoted"):
            self._refuse(1)
        pieces = [token.text]
        depth = 0
        while (ahead := self._peek()) is not None and (depth or ahead.text == "<"):
            depth += (ahead.text == "<") - (ahead.text == ">")
            pieces.append(ahead.text)
            self.at += 1
        return "".join(pieces)

    def _direction(self) -> tuple[str, bool]:
        name = self._name()
        descending = self._skip("DESC")
        if not descending:
            self._skip("ASC")
        return name, descending

    def _drop(self) -> cql.Statement:
        if self._skip("KEYSPACE"):
            return cql.DropKeyspace(if_exists=self._skip("IF", "EXISTS"), keyspace=self._name())
        if self._skip("TABLE") or self._skip("COLUMNFAMILY"):
            return cql.DropTable(if_exists=self._skip("IF", "EXISTS"), table=self._table())
        self._next()
        self._refuse(1)

    def _use(self) -> cql.Use:
        return cql.Use(self._name())

    def _truncate(self) -> cql.Truncate:
        if not self._skip("TABLE"):
            self._skip("COLUMNFAMILY")
        return cql.Truncate(self._table())

    def _insert(self) -> cql.Insert:
        self._expect("INTO")
        table = self._table()
        self._expect("(")
        columns = self._list(self._name, ")")
        self._expect("VALUES", "(")
        return cql.Insert(table, columns, self._list(self._term, ")"))

    def _delete(self) -> cql.Delete:
        self._expect("FROM")
        table = self._table()
        self._expect("WHERE")
        return cql.Delete(table, self._relations())

    def _select(self) -> cql.Select:
        columns: tuple[str, ...] | None = None
        count = False
        if not self._skip("*"):
            count = self._skip("COUNT", "(", "*", ")") or self._skip("COUNT", "(", "1", ")")
            if not count:
                columns = self._columns()
        self._expect("FROM")
        table = self._table()
        relations = self._relations() if self._skip("WHERE") else ()
        return cql.Select(table, columns, count, relations, self._limit())

    def _limit(self) -> cql.Term | None:
        if not self._skip("LIMIT"):
            return None
        term = self._term()
        if not isinstance(term, cql.Marker) and not (
            isinstance(term, cql.Constant) and term.kind == "INTEGER"
        ):
            self._refuse(1)
        return term

    def _columns(self) -> tuple[str, ...]:
        names = [self._name()]
        while self._skip(","):
            names.append(self._name())
        return tuple(names)


def _unquoted(text: str) -> str:
    return text[2:-2] if text.startswith("$$") else text[1:-1].replace("''", "'")


_STATEMENTS: dict[str, Callable[[_Parser], cql.Statement]] = {
    "CREATE": _Parser._create,
    "DELETE": _Parser._delete,
    "DROP": _Parser._drop,
    "INSERT": _Parser._insert,
    "SELECT": _Parser._select,
    "TRUNCATE": _Parser._truncate,
    "USE": _Parser._use,
}
