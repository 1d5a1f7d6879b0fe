"""Schema statements and DESCRIBE, read from a text."""

from __future__ import annotations

from typing import NoReturn

from txcql.testing import cqlstatements as cql
from txcql.testing.cqlterms import TermReader
from txcql.testing.refusals import unsupported

__all__ = ["SchemaReader"]

_NOT_KNOWN = ("AGGREGATE", "FUNCTION", "MATERIALIZED", "ROLE", "TRIGGER", "USER", "CUSTOM", "OR", "IDENTITY")


class SchemaReader(TermReader):
    """Reads schema statements."""

    def create(self) -> cql.Statement:
        """CREATE."""
        if self.skip("KEYSPACE") or self.skip("SCHEMA"):
            exists = self._if_not_exists()
            name = self.name()
            self.expect("WITH")
            return cql.CreateKeyspace(name, exists, self._options())
        if self.skip("TABLE") or self.skip("COLUMNFAMILY"):
            return self._create_table()
        if self.skip("TYPE"):
            return self._create_type()
        if self.skip("INDEX"):
            return self._create_index()
        self._refused("CREATE")

    def _refused(self, verb: str) -> NoReturn:
        token = self.peek()
        if token is not None and token.text.upper() in _NOT_KNOWN:
            raise unsupported(f"the statement {verb} {token.text.upper()}")
        self.fail()

    def _if_not_exists(self) -> bool:
        return self.skip("IF", "NOT", "EXISTS")

    def _options(self) -> tuple[tuple[str, cql.Term], ...]:
        found = [self._option()]
        while self.skip("AND"):
            found.append(self._option())
        return tuple(found)

    def _option(self) -> tuple[str, cql.Term]:
        name = self.name()
        self.expect("=")
        ahead = self.peek()
        if ahead is not None and ahead.text in ("?", ":"):
            self.fail()
        return name, self.term()

    def _create_table(self) -> cql.CreateTable:
        if_not_exists = self._if_not_exists()
        table = self.table()
        columns: list[cql.ColumnSpec] = []
        keys: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

        def definition() -> None:
            if self.skip("PRIMARY", "KEY"):
                keys.append(self._primary_key())
                return
            columns.append(self._column())
            if self.skip("PRIMARY", "KEY"):
                keys.append(((columns[-1].name,), ()))

        self.expect("(")
        self.list(definition, ")")
        order: tuple[tuple[str, bool], ...] = ()
        options: list[tuple[str, cql.Term]] = []
        if self.skip("WITH"):
            while True:
                if self.skip("CLUSTERING", "ORDER", "BY", "("):
                    order += self.list(self.direction, ")")
                elif self.skip("COMPACT", "STORAGE"):
                    raise unsupported("COMPACT STORAGE")
                else:
                    options.append(self._option())
                if not self.skip("AND"):
                    break
        return cql.CreateTable(table, if_not_exists, tuple(columns), tuple(keys), order, tuple(options))

    def _column(self) -> cql.ColumnSpec:
        name = self.name()
        written = self.type()
        return cql.ColumnSpec(name, written, self.skip("STATIC"))

    def _primary_key(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        self.expect("(")
        partition = self.list(self.name, ")") if self.skip("(") else (self.name(),)
        if self.skip(","):
            return partition, self.list(self.name, ")")
        self.expect(")")
        return partition, ()

    def direction(self) -> tuple[str, bool]:
        """A column of an order, and whether it descends."""
        name = self.name()
        descending = self.skip("DESC")
        if not descending:
            self.skip("ASC")
        return name, descending

    def _create_type(self) -> cql.CreateType:
        exists = self._if_not_exists()
        name = self.table()
        self.expect("(")
        return cql.CreateType(name, exists, self.list(self._typed, ")"))

    def _typed(self) -> tuple[str, str]:
        return self.name(), self.type()

    def _create_index(self) -> cql.CreateIndex:
        exists = self._if_not_exists()
        name = None if self.ahead("ON") else self.name()
        self.expect("ON")
        table = self.table()
        self.expect("(")
        kind = ""
        for word in ("KEYS", "VALUES", "ENTRIES", "FULL"):
            if self.skip(word, "("):
                kind = word.lower()
        column = self.name()
        if kind:
            self.expect(")")
        self.expect(")")
        if self.ahead("USING") or self.ahead("WITH"):
            raise unsupported("an index with a class or with options")
        return cql.CreateIndex(name, exists, table, column, kind)

    def alter(self) -> cql.Statement:
        """ALTER."""
        if self.skip("KEYSPACE") or self.skip("SCHEMA"):
            exists = self.skip("IF", "EXISTS")
            name = self.name()
            self.expect("WITH")
            return cql.AlterKeyspace(name, exists, self._options())
        if self.skip("TABLE") or self.skip("COLUMNFAMILY"):
            return self._alter_table()
        if self.skip("TYPE"):
            return self._alter_type()
        self._refused("ALTER")

    def _alter_table(self) -> cql.AlterTable:
        exists = self.skip("IF", "EXISTS")
        table = self.table()
        if self.skip("ADD"):
            quiet = self._if_not_exists()
            columns = self.list(self._column, ")") if self.skip("(") else self._columns()
            return cql.AlterTable(table, exists, "ADD", quiet, columns)
        if self.skip("DROP"):
            if self.ahead("COMPACT", "STORAGE"):
                raise unsupported("DROP COMPACT STORAGE")
            quiet = self.skip("IF", "EXISTS")
            names = self.list(self.name, ")") if self.skip("(") else self._names()
            if self.ahead("USING"):
                raise unsupported("DROP of a column USING TIMESTAMP")
            return cql.AlterTable(table, exists, "DROP", quiet, names=names)
        if self.skip("RENAME"):
            quiet = self.skip("IF", "EXISTS")
            return cql.AlterTable(table, exists, "RENAME", quiet, renames=self._renames())
        if self.skip("WITH"):
            return cql.AlterTable(table, exists, "WITH", options=self._options())
        if self.skip("ALTER"):
            self.skip("IF", "EXISTS")
            name = self.name()
            self.expect("TYPE")
            return cql.AlterTable(table, exists, "ALTER", columns=(cql.ColumnSpec(name, self.type()),))
        self.fail()

    def _columns(self) -> tuple[cql.ColumnSpec, ...]:
        found = [self._column()]
        while self.skip(","):
            found.append(self._column())
        return tuple(found)

    def _names(self) -> tuple[str, ...]:
        found = [self.name()]
        while self.skip(","):
            found.append(self.name())
        return tuple(found)

    def _renames(self) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        while not found or self.skip("AND"):
            old = self.name()
            self.expect("TO")
            found.append((old, self.name()))
        return tuple(found)

    def _alter_type(self) -> cql.AlterType:
        exists = self.skip("IF", "EXISTS")
        name = self.table()
        if self.skip("ADD"):
            quiet = self._if_not_exists()
            return cql.AlterType(name, exists, quiet, self._typed())
        if self.skip("RENAME"):
            quiet = self.skip("IF", "EXISTS")
            return cql.AlterType(name, exists, quiet, None, self._renames())
        self._refused("ALTER TYPE")

    def drop(self) -> cql.Statement:
        """DROP."""
        if self.skip("KEYSPACE") or self.skip("SCHEMA"):
            return cql.DropKeyspace(if_exists=self.skip("IF", "EXISTS"), keyspace=self.name())
        if self.skip("TABLE") or self.skip("COLUMNFAMILY"):
            return cql.DropTable(if_exists=self.skip("IF", "EXISTS"), table=self.table())
        if self.skip("TYPE"):
            return cql.DropType(if_exists=self.skip("IF", "EXISTS"), name=self.table())
        if self.skip("INDEX"):
            return cql.DropIndex(if_exists=self.skip("IF", "EXISTS"), name=self.table())
        self._refused("DROP")

    def describe(self) -> cql.Describe:
        """DESCRIBE."""
        found = self._described()
        if self.ahead("WITH", "INTERNALS"):
            raise unsupported("DESCRIBE WITH INTERNALS")
        return found

    def _described(self) -> cql.Describe:
        for word in ("KEYSPACES", "TABLES", "TYPES", "FUNCTIONS", "AGGREGATES", "CLUSTER"):
            if self.skip(word):
                return cql.Describe(word.lower())
        if self.skip("FULL", "SCHEMA"):
            return cql.Describe("schema", full=True)
        if self.skip("SCHEMA"):
            return cql.Describe("schema")
        only = self.skip("ONLY")
        if self.skip("KEYSPACE"):
            ahead = self.peek()
            name = None if ahead is None or ahead.text == ";" else cql.TableName(None, self.name())
            return cql.Describe("keyspace", name, only)
        for word in ("TABLE", "TYPE", "INDEX", "COLUMNFAMILY"):
            if self.skip(word):
                return cql.Describe("table" if word == "COLUMNFAMILY" else word.lower(), self.table())
        if self.ahead("MATERIALIZED") or self.ahead("FUNCTION") or self.ahead("AGGREGATE"):
            raise unsupported("DESCRIBE of a view, a function or an aggregate")
        return cql.Describe("any", self.table())
