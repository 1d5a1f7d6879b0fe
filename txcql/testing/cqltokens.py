"""The words of a CQL text, and a reader that steps over them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, NoReturn, TypeVar

from txcql.errors import CQLSyntaxError
from txcql.testing.refusals import unsupported

__all__ = ["RESERVED", "Token", "TokenReader"]

_TOKEN = re.compile(
    r"""
      (?P<space> \s+ | --[^\n]*\n | //[^\n]*\n | /\*.*?\*/ )
    | (?P<STRING> '(?:[^']|'')*' | \$\$.*?\$\$ )
    | (?P<quoted> "(?:[^"]|"")+" )
    | (?P<UUID> [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12} )
    | (?P<HEX> 0x[0-9a-f]* )
    | (?P<FLOAT> -?[0-9]+ (?: \.[0-9]* (?: e[+-]?[0-9]+ )? | e[+-]?[0-9]+ ) )
    | (?P<DURATION> -?[0-9]+[a-zµ][0-9a-zµ]* )
    | (?P<INTEGER> -?[0-9]+ )
    | (?P<name> [a-z][0-9a-z_]* )
    | (?P<symbol> \+= | -= | != | <= | >= | [-()\[\]{}<>,;:?.*=+/%!] )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)

RESERVED = frozenset(
    (
        "ADD", "ALLOW", "ALTER", "AND", "APPLY", "ASC", "AUTHORIZE", "BATCH", "BEGIN", "BY",
        "COLUMNFAMILY", "CREATE", "DELETE", "DESC", "DESCRIBE", "DROP", "ENTRIES", "EXECUTE",
        "FROM", "FULL", "GRANT", "IF", "IN", "INDEX", "INFINITY", "INSERT", "INTO", "IS", "KEYSPACE",
        "LIMIT", "MATERIALIZED", "MODIFY", "NAN", "NORECURSIVE", "NOT", "NULL", "OF",
        "ON", "OR", "ORDER", "PRIMARY", "RENAME", "REVOKE", "SCHEMA", "SELECT", "SET", "TABLE",
        "TO", "TOKEN", "TRUNCATE", "UNLOGGED", "UPDATE", "USE", "USING", "VIEW", "WHERE", "WITH",
    )
)  # fmt: skip
"""The words that cannot be names, unless they are quoted."""

_REFUSED = frozenset(("GROUP", "LIKE", "ANN", "MASKED", "UNSET", "+", "/", "%", "*", "-", "EXPR", "BETWEEN"))
"""Words of CQL that the fake does not know: where one of them stands unexpectedly, it is refused."""

_T = TypeVar("_T")


class Token(NamedTuple):
    """A word, and where it begins."""

    kind: str
    text: str
    position: int


def read_tokens(text: str) -> list[Token]:
    """The words of a text.

    :raises CQLSyntaxError: a character that begins none.
    """
    found = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        comment = (
            match is not None and match.lastgroup == "symbol" and text.startswith(("--", "//"), position)
        )
        if match is None or match.lastgroup is None or comment:
            line, column = place(text, len(text))
            if comment:
                raise CQLSyntaxError(f"line {line}:{column} mismatched character '<EOF>' expecting set null")
            if text[position] == "'":
                raise CQLSyntaxError(f"line {line}:{column} mismatched character '<EOF>' expecting '''")
            line, column = place(text, position)
            raise CQLSyntaxError(
                f"line {line}:{column} no viable alternative at character '{text[position]}'"
            )
        if match.lastgroup != "space":
            found.append(Token(match.lastgroup, match[0], position))
        position = match.end()
    return found


def place(text: str, position: int) -> tuple[int, int]:
    """Line from 1 and column from 0, as Cassandra counts them."""
    return text.count("\n", 0, position) + 1, position - (text.rfind("\n", 0, position) + 1)


class TokenReader:
    """Steps over the words of a text.

    :ivar at: the number of the next one.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = read_tokens(text)
        self.at = 0

    def peek(self, ahead: int = 0) -> Token | None:
        """A word ahead, ``None`` behind the last."""
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else None

    def next(self) -> Token:
        """Take a word.

        :raises CQLSyntaxError: there is none.
        """
        token = self.peek()
        if token is None:
            self.fail()
        self.at += 1
        return token

    def written(self, start: int) -> str:
        """What was read since a word, as it was written."""
        last = self.tokens[self.at - 1]
        return self.text[self.tokens[start].position : last.position + len(last.text)]

    def fail(self, expected: str | None = None) -> NoReturn:
        """The next word does not belong here.

        :param expected: what would.
        :raises CQLSyntaxError: always, or
        :raises InvalidRequest: where real Cassandra may know the word.
        """
        token = self.peek()
        if token is None:
            if expected is not None:
                raise CQLSyntaxError(f"line 0:-1 mismatched input '<EOF>' expecting {expected}")
            raise CQLSyntaxError("line 0:-1 no viable alternative at input '<EOF>'")
        line, column = place(self.text, token.position)
        if token.text.upper() in _REFUSED:
            raise unsupported(f"what stands at line {line}:{column}, near '{token.text[:40]}',")
        if expected is not None:
            raise CQLSyntaxError(f"line {line}:{column} mismatched input '{token.text}' expecting {expected}")
        raise CQLSyntaxError(f"line {line}:{column} no viable alternative at input '{token.text}'")

    def ahead(self, *words: str) -> bool:
        """Whether these words come next: keywords or symbols."""
        ahead = self.tokens[self.at : self.at + len(words)]
        return len(ahead) == len(words) and all(
            token.kind in ("name", "symbol", "INTEGER") and token.text.upper() == word
            for token, word in zip(ahead, words, strict=True)
        )

    def skip(self, *words: str) -> bool:
        """Step over these words, if they come next."""
        if not self.ahead(*words):
            return False
        self.at += len(words)
        return True

    def expect(self, *words: str) -> None:
        """Step over these words.

        :raises CQLSyntaxError: they do not come next.
        """
        for word in words:
            if not self.skip(word):
                self.fail(f"K_{word}" if word.isalpha() else f"'{word}'")

    def name(self) -> str:
        """Take a name.

        :raises CQLSyntaxError: it is none.
        """
        token = self.peek()
        if token is not None and token.kind == "quoted":
            self.at += 1
            return token.text[1:-1].replace('""', '"')
        if token is None or token.kind != "name" or token.text.upper() in RESERVED:
            self.fail()
        self.at += 1
        return token.text.lower()

    def list(self, read: Callable[[], _T], closing: str) -> tuple[_T, ...]:
        """Items with commas between them, up to the closing bracket."""
        items = [read()]
        while self.skip(","):
            items.append(read())
        self.expect(closing)
        return tuple(items)

    def type(self) -> str:
        """A type as text, for the type parser: a name, and what stands between ``<`` and ``>``."""
        token = self.next()
        if token.kind == "STRING":
            raise unsupported(f"the type {token.text}")
        if token.kind not in ("name", "quoted"):
            self.at -= 1
            self.fail()
        pieces = [token.text]
        depth = 0
        while (ahead := self.peek()) is not None and (depth or ahead.text in ("<", ".")):
            depth += (ahead.text == "<") - (ahead.text == ">")
            pieces.append(ahead.text)
            self.at += 1
            if ahead.text == "." and not depth:
                pieces.append(self.next().text)
        return "".join(pieces)
