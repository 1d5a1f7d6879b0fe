"""Terms, selectors, relations and conditions, read from a text."""

from __future__ import annotations

import re

from txcql.errors import CQLSyntaxError
from txcql.testing import cqlstatements as cql
from txcql.testing.cqltokens import RESERVED, TokenReader
from txcql.testing.refusals import unsupported

__all__ = ["TermReader"]

_CONSTANTS = ("STRING", "UUID", "HEX", "FLOAT", "INTEGER", "DURATION")
_ISO_DURATION = re.compile(r"P[0-9T]", re.IGNORECASE)
_COMPARISONS = ("=", "<", ">", "<=", ">=", "!=")


class TermReader(TokenReader):
    """Reads what statements are made of.

    :ivar markers: the bind markers so far.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.markers: list[cql.Marker] = []

    def table(self) -> cql.TableName:
        """A table, or something else that may be qualified."""
        first = self.name()
        return cql.TableName(first, self.name()) if self.skip(".") else cql.TableName(None, first)

    # Terms.

    def term(self) -> cql.Term:
        """A term.

        :raises CQLSyntaxError: it is none.
        """
        token = self.next()
        word = token.text.upper()
        if token.kind in _CONSTANTS:
            return cql.Constant(token.kind, unquoted(token.text) if token.kind == "STRING" else token.text)
        if token.kind in ("name", "quoted"):
            return self._word(word, token.kind == "name")
        if token.text == "?":
            return self._marker(None)
        if token.text == ":":
            return self._marker(self.name())
        if token.text == "[":
            return cql.ListLiteral(() if self.skip("]") else self.list(self.term, "]"))
        if token.text == "{":
            return self._braces()
        if token.text == "(":
            return self._parentheses()
        if token.text == "-" and (ahead := self.peek()) and ahead.text.upper() in ("NAN", "INFINITY"):
            self.at += 1
            return cql.Constant("FLOAT", "-" + ahead.text)
        self.at -= 1
        self.fail()

    def _word(self, word: str, plain: bool) -> cql.Term:
        if plain and word == "NULL":
            return cql.Null()
        if plain and word in ("TRUE", "FALSE"):
            return cql.Constant("BOOLEAN", word.lower())
        if plain and word in ("NAN", "INFINITY"):
            return cql.Constant("FLOAT", word)
        self.at -= 1
        name = "token" if plain and self.skip("TOKEN") else None
        if name is None:
            if plain and word in RESERVED:
                self.fail()
            name = self.name()
        keyspace = None
        if self.skip("."):
            keyspace, name = name, self.name()
        if self.skip("("):
            return cql.FunctionCall(keyspace, name, () if self.skip(")") else self.list(self.term, ")"))
        if _ISO_DURATION.match(word):
            raise unsupported(f"the duration {word}")
        self.at -= 1
        self.fail()

    def _marker(self, name: str | None) -> cql.Marker:
        marker = cql.Marker(len(self.markers), name)
        self.markers.append(marker)
        return marker

    def _braces(self) -> cql.Term:
        if self.skip("}"):
            return cql.SetLiteral(())
        first, second = self.peek(), self.peek(1)
        if first and second and first.kind in ("name", "quoted") and second.text == ":":
            return cql.FieldsLiteral(self.list(self._field, "}"))
        key = self.term()
        if not self.skip(":"):
            rest = () if self.skip("}") else self._more("}")
            return cql.SetLiteral((key, *rest))
        pairs = [(key, self.term())]
        while self.skip(","):
            key = self.term()
            self.expect(":")
            pairs.append((key, self.term()))
        self.expect("}")
        return cql.MapLiteral(tuple(pairs))

    def _more(self, closing: str) -> tuple[cql.Term, ...]:
        self.expect(",")
        return self.list(self.term, closing)

    def _field(self) -> tuple[str, cql.Term]:
        name = self.name()
        self.expect(":")
        return name, self.term()

    def _parentheses(self) -> cql.Term:
        """A tuple, or a cast such as ``(int) 5``."""
        token = self.peek()
        plain = token is not None and token.kind in ("name", "quoted")
        if (
            plain
            and token is not None
            and token.text.upper() not in ("NULL", "TRUE", "FALSE", "NAN", "INFINITY")
        ):
            start = self.at
            written = self.type()
            if self.skip(")"):
                return cql.TypeCast(written, self.term())
            self.at = start
        return cql.TupleLiteral(self.list(self.term, ")"))

    # Selectors.

    def selections(self) -> tuple[cql.Selection, ...]:
        """The columns of a SELECT."""
        found = [self._selection()]
        while self.skip(","):
            found.append(self._selection())
        return tuple(found)

    def _selection(self) -> cql.Selection:
        selector = self.selector()
        return cql.Selection(selector, self.name() if self.skip("AS") else None)

    def selector(self) -> cql.Selector:
        """One selector."""
        start = self.at
        found = self._simple_selector()
        while True:
            if self.skip("."):
                found = cql.Selector("field", self.name(), (found,))
            elif self.skip("["):
                key_start = self.at
                key = self.term()
                written = self.written(key_start)
                if self.ahead("."):
                    raise unsupported("the selection of a slice")
                self.expect("]")
                found = cql.Selector("element", "", (found,), key, written)
            else:
                break
        ahead = self.peek()
        if ahead is not None and (ahead.text in ("+", "-", "*", "/", "%") or _signed(ahead.kind, ahead.text)):
            raise unsupported(f"arithmetic, as in {self.written(start)} {ahead.text},")
        return found

    def _simple_selector(self) -> cql.Selector:
        token = self.peek()
        following = self.peek(1)
        if token is None:
            self.fail()
        if self.skip("COUNT", "(", "*", ")") or self.skip("COUNT", "(", "1", ")"):
            return cql.Selector("count")
        if self.skip("CAST", "("):
            inner = self.selector()
            self.expect("AS")
            found = cql.Selector("cast", self.type(), (inner,))
            self.expect(")")
            return found
        called = following is not None and following.text == "("
        if token.kind == "name" and called:
            name = self.next().text.lower()
            if name in RESERVED and name != "token":
                self.at -= 1
                self.fail()
            return self._call(name)
        if token.kind in ("name", "quoted") and token.text.upper() not in (
            "NULL",
            "TRUE",
            "FALSE",
            "NAN",
            "INFINITY",
        ):
            if self.skip("SYSTEM", "."):
                return self._call(self.name())
            return cql.Selector("column", self.name())
        start = self.at
        term = self.term()
        return cql.Selector("term", "", (), term, self.written(start))

    def _call(self, name: str) -> cql.Selector:
        self.expect("(")
        return cql.Selector("call", name, () if self.skip(")") else self.list(self.selector, ")"))

    # WHERE and IF.

    def relations(self) -> tuple[cql.Relation, ...]:
        """What stands behind WHERE."""
        found = [self._relation()]
        while self.skip("AND"):
            found.append(self._relation())
        return tuple(found)

    def _relation(self) -> cql.Relation:
        start = self.at
        if self.skip("TOKEN", "("):
            columns = self.list(self.name, ")")
            return self._compared(start, columns, "token")
        if self.ahead("(", "("):
            raise unsupported("a relation in parentheses")
        if self.skip("("):
            columns = self.list(self.name, ")")
            return self._compared(start, columns, "tuple")
        column = (self.name(),)
        if self.skip("["):
            key = self.term()
            self.expect("]")
            operator = self._operator()
            found = cql.Relation(column, "element", operator, (self.term(),), key=key)
            return self._finished(found, start)
        if self.skip("IS", "NOT", "NULL"):
            return self._finished(cql.Relation(column, "column", "IS NOT", ()), start)
        if self.skip("CONTAINS"):
            operator = "CONTAINS KEY" if self.skip("KEY") else "CONTAINS"
            return self._finished(cql.Relation(column, "column", operator, (self.term(),)), start)
        return self._compared(start, column, "column")

    def _compared(self, start: int, columns: tuple[str, ...], form: str) -> cql.Relation:
        if self.skip("IN"):
            terms, whole = self._in_values()
            if form == "tuple":
                kinds = {isinstance(term, cql.Marker) for term in terms}
                if len(kinds) > 1:
                    raise CQLSyntaxError("tuples and bind markers are mixed in an IN")
            return self._finished(cql.Relation(columns, form, "IN", terms, whole), start)
        operator = self._operator()
        return self._finished(cql.Relation(columns, form, operator, (self.term(),)), start)

    def _finished(self, relation: cql.Relation, start: int) -> cql.Relation:
        text = self.written(start)
        return cql.Relation(
            relation.columns,
            relation.form,
            relation.operator,
            relation.terms,
            relation.whole,
            relation.key,
            text,
        )

    def _operator(self) -> str:
        token = self.peek()
        if token is None or token.text not in _COMPARISONS:
            self.fail()
        self.at += 1
        return token.text

    def _in_values(self) -> tuple[tuple[cql.Term, ...], bool]:
        if self.skip("("):
            return (() if self.skip(")") else self.list(self.term, ")")), False
        return (self.term(),), True

    def conditions(self) -> tuple[cql.Condition, ...]:
        """What stands behind IF."""
        found = [self._condition()]
        while self.skip("AND"):
            found.append(self._condition())
        return tuple(found)

    def _condition(self) -> cql.Condition:
        target = self.target()
        if self.skip("IN"):
            terms, whole = self._in_values()
            return cql.Condition(target, "IN", terms, whole)
        if self.skip("CONTAINS"):
            return cql.Condition(target, "CONTAINS KEY" if self.skip("KEY") else "CONTAINS", (self.term(),))
        return cql.Condition(target, self._operator(), (self.term(),))

    def target(self) -> cql.Target:
        """A column, its element, or its field."""
        column = self.name()
        if self.skip("["):
            key = self.term()
            self.expect("]")
            return cql.Target(column, key)
        return cql.Target(column, None, self.name()) if self.skip(".") else cql.Target(column)


def unquoted(text: str) -> str:
    """What a string says."""
    return text[2:-2] if text.startswith("$$") else text[1:-1].replace("''", "'")


def _signed(kind: str, text: str) -> bool:
    return kind in ("INTEGER", "FLOAT") and text.startswith("-")
