"""Statements, read by recursive descent.

What is no CQL is a syntax error; what is CQL and is not known here is refused, at the word where the
knowledge ends.
"""

from __future__ import annotations

from collections.abc import Callable

from txcql.errors import CQLSyntaxError, InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.cqlschema import SchemaReader
from txcql.testing.cqltokens import place
from txcql.testing.refusals import unsupported

__all__ = ["parse"]

_KNOWN_AND_REFUSED = frozenset(["GRANT", "LIST", "REVOKE"])


def parse(text: str) -> cql.Parsed:
    """The statement of a text.

    :raises CQLSyntaxError: it is no CQL.
    :raises InvalidRequest: it is not supported by txcql.testing.
    """
    return _Parser(text).parse()


class _Parser(SchemaReader):
    def parse(self) -> cql.Parsed:
        first = self.peek()
        if first is None:
            self.fail()
        word = first.text.upper()
        read = _STATEMENTS.get(word) if first.kind == "name" else None
        if read is None:
            if word in _KNOWN_AND_REFUSED:
                raise unsupported(f"the statement {word}")
            line, column = place(self.text, first.position)
            raise CQLSyntaxError(
                f"line {line}:{column} no viable alternative at input '{first.text}' "
                f"([{first.text}]{'...' if len(self.tokens) > 1 else ''})"
            )
        self.at += 1
        statement = read(self)
        while self.skip(";"):
            pass
        if self.peek() is not None:
            self.fail("EOF")
        return cql.Parsed(statement, tuple(self.markers))

    def _use(self) -> cql.Use:
        return cql.Use(self.name())

    def _truncate(self) -> cql.Truncate:
        if not self.skip("TABLE"):
            self.skip("COLUMNFAMILY")
        return cql.Truncate(self.table())

    # Writes.

    def _insert(self) -> cql.Insert:
        self.expect("INTO")
        table = self.table()
        if self.skip("JSON"):
            json = self.term()
            unset = False
            if self.skip("DEFAULT"):
                unset = self.skip("UNSET")
                if not unset:
                    self.expect("NULL")
            exists = self.skip("IF", "NOT", "EXISTS")
            return cql.Insert(table, (), (), exists, self._using(), json, unset)
        self.expect("(")
        columns = self.list(self.name, ")")
        self.expect("VALUES", "(")
        terms = self.list(self.term, ")")
        exists = self.skip("IF", "NOT", "EXISTS")
        return cql.Insert(table, columns, terms, exists, self._using())

    def _using(self, ttl: bool = True) -> cql.Attributes:
        found: dict[str, cql.Term] = {}
        if not self.skip("USING"):
            return cql.Attributes()
        while not found or self.skip("AND"):
            if self.skip("TIMESTAMP"):
                found["timestamp"] = self._whole_number()
            elif ttl and self.skip("TTL"):
                found["ttl"] = self._whole_number()
            else:
                self.fail("K_TIMESTAMP" if not ttl else None)
        return cql.Attributes(**found)

    def _whole_number(self) -> cql.Term:
        token = self.peek()
        if token is not None and (token.kind == "INTEGER" or token.text in ("?", ":")):
            return self.term()
        self.fail()

    def _update(self) -> cql.Update:
        table = self.table()
        attributes = self._using()
        self.expect("SET")
        operations = [self._operation()]
        while self.skip(","):
            operations.append(self._operation())
        self.expect("WHERE")
        relations = self.relations()
        exists, conditions = self._if()
        return cql.Update(table, tuple(operations), relations, conditions, exists, attributes)

    def _operation(self) -> cql.Operation:
        start = self.at
        target = self.target()
        for symbol in ("+=", "-="):
            if self.skip(symbol):
                term = self.term()
                return cql.Operation(
                    target,
                    symbol[0],
                    term,
                    f"{target.column} = {target.column} {symbol[0]} "
                    + self.text[self.tokens[self.at - 1].position :][:20],
                )
        self.expect("=")
        token, following = self.peek(), self.peek(1)
        if (
            token
            and following
            and token.kind in ("name", "quoted")
            and (
                following.text in ("+", "-")
                or (following.kind in ("INTEGER", "FLOAT", "DURATION") and following.text[0] == "-")
            )
        ):
            return self._own_operation(target, start)
        term = self.term()
        if not self.skip("+"):
            ahead = self.peek()
            if ahead is not None and ahead.text in ("-", "*", "/", "%"):
                raise unsupported("arithmetic in SET")
            return cql.Operation(target, "=", term, self.written(start))
        ahead = self.peek()
        if ahead is not None and ahead.kind not in ("name", "quoted"):
            raise unsupported("arithmetic in SET")
        other = self.name()
        if other != target.column:
            raise CQLSyntaxError("Only expressions of the form X = <value> + X are supported.")
        return cql.Operation(target, "prepend", term, self.written(start))

    def _own_operation(self, target: cql.Target, start: int) -> cql.Operation:
        """``c = c + term``, where ``c -1`` may be written as well."""
        other = self.name()
        if self.skip("+"):
            operator = "+"
        elif self.skip("-"):
            operator = "-"
        else:
            operator = "+"
        term = self.term()
        if other != target.column:
            raise CQLSyntaxError(f"Only expressions of the form X = X {operator}<value> are supported.")
        return cql.Operation(target, operator, term, self.written(start))

    def _delete(self) -> cql.Delete:
        targets: tuple[cql.Target, ...] = ()
        if not self.ahead("FROM"):
            found = [self.target()]
            while self.skip(","):
                found.append(self.target())
            targets = tuple(found)
        self.expect("FROM")
        table = self.table()
        attributes = self._using(ttl=False)
        self.expect("WHERE")
        relations = self.relations()
        exists, conditions = self._if()
        return cql.Delete(table, relations, targets, conditions, exists, attributes)

    def _if(self) -> tuple[bool, tuple[cql.Condition, ...]]:
        if not self.skip("IF"):
            return False, ()
        return (True, ()) if self.skip("EXISTS") else (False, self.conditions())

    def _begin(self) -> cql.Batch:
        kind = "logged"
        if self.skip("UNLOGGED"):
            kind = "unlogged"
        elif self.skip("COUNTER"):
            kind = "counter"
        self.expect("BATCH")
        attributes = self._using()
        if attributes.ttl is not None:
            raise InvalidRequest("Global TTL on the BATCH statement is not supported.")
        statements: list[cql.Insert | cql.Update | cql.Delete] = []
        while not self.skip("APPLY", "BATCH"):
            if self.skip("INSERT"):
                statements.append(self._insert())
            elif self.skip("UPDATE"):
                statements.append(self._update())
            elif self.skip("DELETE"):
                statements.append(self._delete())
            else:
                self.fail("K_APPLY")
            self.skip(";")
        return cql.Batch(kind, attributes, tuple(statements))

    # SELECT.

    def _select(self) -> cql.Select:
        json = self._keyword_ahead("JSON")
        distinct = self._keyword_ahead("DISTINCT")
        selections = None if self.skip("*") else self.selections()
        self.expect("FROM")
        table = self.table()
        relations = self.relations() if self.skip("WHERE") else ()
        order: tuple[tuple[str, bool], ...] = ()
        if self.skip("ORDER", "BY"):
            found = [self.direction()]
            while self.skip(","):
                found.append(self.direction())
            order = tuple(found)
        partition_limit = self._limit() if self.skip("PER", "PARTITION", "LIMIT") else None
        limit = self._limit() if self.skip("LIMIT") else None
        filtering = self.skip("ALLOW", "FILTERING")
        return cql.Select(
            table, selections, relations, limit, partition_limit, order, distinct, json, filtering
        )

    def _keyword_ahead(self, word: str) -> bool:
        """JSON and DISTINCT may be names of columns as well."""
        following = self.peek(1)
        if following is not None and following.text.upper() in (",", "FROM", "AS", ".", "["):
            return False
        return self.skip(word)

    def _limit(self) -> cql.Term:
        term = self.term()
        if not isinstance(term, cql.Marker) and not (
            isinstance(term, cql.Constant) and term.kind == "INTEGER"
        ):
            self.at -= 1
            self.fail()
        return term


_STATEMENTS: dict[str, Callable[[_Parser], cql.Statement]] = {
    "ALTER": _Parser.alter,
    "BEGIN": _Parser._begin,
    "CREATE": _Parser.create,
    "DELETE": _Parser._delete,
    "DESC": _Parser.describe,
    "DESCRIBE": _Parser.describe,
    "DROP": _Parser.drop,
    "INSERT": _Parser._insert,
    "SELECT": _Parser._select,
    "TRUNCATE": _Parser._truncate,
    "UPDATE": _Parser._update,
    "USE": _Parser._use,
}
