"""Files of rows: CSV and JSON lines, read and written record by record.

In both formats a row becomes, or is made of, a JSON document such as ``INSERT … JSON`` takes: the server
reads and checks the values, each by its column's type. In CSV the cell of a list, set, map, tuple, vector or
user-defined type is JSON itself; every other cell is its text.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import isfinite
from typing import Any, NamedTuple, TextIO
from uuid import UUID

from txcql.cli.cellvalues import cell_reader
from txcql.cli.command import CommandFailed
from txcql.cli.documents import converter, json_key
from txcql.cli.tables import Table
from txcql.session.jsonlines import json_lines
from txcql.wire.metadata import Column

__all__ = ["FORMATS", "Record", "RecordFormat", "format_of", "row_writer"]

FORMATS = ("csv", "jsonl")

_LARGEST_CELL = 256 * 1024 * 1024


class Record:
    """One row of a file.

    :param make_document: makes the document, where that is not given.
    :ivar number: its place there, from 0.
    :ivar text: as it stands there.
    :ivar error: why it means nothing, if so.
    :ivar values: the values of its columns; ``None`` if the server has to read them in the document.
    :ivar columns: which those are, for all records of a file that may have values.
    """

    __slots__ = ("_document", "_make_document", "columns", "error", "number", "text", "values")

    def __init__(
        self,
        number: int,
        text: str,
        document: str | None,
        error: str = "",
        values: list[Any] | None = None,
        columns: Sequence[str] = (),
        make_document: Callable[[], str] | None = None,
    ) -> None:
        self.number = number
        self.text = text
        self.columns = columns
        self.error = error
        self.values = values
        self._document = document
        self._make_document = make_document

    @property
    def document(self) -> str | None:
        """The JSON document that it means; ``None`` if it means none."""
        return self._make_document() if self._make_document is not None else self._document

    def __repr__(self) -> str:
        return f"<Record {self.number} {self.text!r} {self.error}>"


def _every(number: int) -> bool:
    return True


class RecordFormat(NamedTuple):
    """How rows are written in a file.

    :ivar name: ``"csv"`` or ``"jsonl"``.
    :ivar header: whether the first line of a CSV file names the columns.
    :ivar delimiter: between the cells of a CSV file.
    :ivar null: the cell of a null in a CSV file.
    """

    name: str
    header: bool = True
    delimiter: str = ","
    null: str = "\\N"

    def read(
        self, file: TextIO, table: Table, columns: Sequence[str], wanted: Callable[[int], bool] = _every
    ) -> Iterator[Record]:
        """The records of a file, one by one.

        :param columns: those of its cells, in order; none if its header names them.
        :param wanted: tells by its number whether a record is wanted.
        :raises CommandFailed: the header names no columns of the table.
        """
        if self.name == "csv":
            return _read_csv(file, self, table, columns, wanted)
        return (record for record in _read_lines(file) if wanted(record.number))


def format_of(path: str, name: str | None) -> str:
    """The format of a file: as it is called, else as its name ends.

    :raises CommandFailed: it does not tell.
    """
    if name is not None:
        return name
    for suffix, found in ((".csv", "csv"), (".jsonl", "jsonl"), (".ndjson", "jsonl"), (".json", "jsonl")):
        if path.endswith(suffix):
            return found
    raise CommandFailed(f"{path}: is it CSV or JSON lines? Say --format csv or --format jsonl")


def _read_lines(file: TextIO) -> Iterator[Record]:
    number = 0
    for line in file:
        text = line.rstrip("\r\n")
        if text.strip():
            yield Record(number, text, text)
            number += 1


class _Tee:
    """Lines on their way to the CSV reader, of which those of the current record are kept."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.lines: list[str] = []

    def __iter__(self) -> _Tee:
        return self

    def __next__(self) -> str:
        line = next(self._file)
        self.lines.append(line)
        return line

    def take(self) -> str:
        """The text of the record that was read."""
        text = "".join(self.lines)
        self.lines.clear()
        return text.rstrip("\r\n")


def _read_csv(
    file: TextIO, form: RecordFormat, table: Table, columns: Sequence[str], wanted: Callable[[int], bool]
) -> Iterator[Record]:
    csv.field_size_limit(_LARGEST_CELL)
    lines = _Tee(file)
    rows = csv.reader(lines, delimiter=form.delimiter, strict=True)
    if form.header:
        header = next(rows, None)
        lines.take()
        if header is None:
            return
        columns = columns or header
    names = table.chosen(columns)
    encode = _cell_encoder(form, table, names)
    values_of = cell_reader([table.columns[name] for name in names], form.null)
    typed = names if values_of is not None else ()
    number = -1
    while True:
        cells, error = None, ""
        try:
            cells = next(rows, None)
        except csv.Error as wrong:
            error = f"not CSV: {wrong}"
        text = lines.take()
        if cells is None and not error:
            return
        if cells == []:
            continue
        number += 1
        if not wanted(number):
            continue
        if cells is None:
            yield Record(number, text, None, error)
        elif len(cells) != len(names):
            error = f"{len(cells)} cells where {len(names)} columns are expected"
            yield Record(number, text, None, error)
        elif values_of is not None and (values := values_of(cells)) is not None:
            yield Record(number, text, None, "", values, typed, partial(encode, cells))
        else:
            try:
                yield Record(number, text, encode(cells), columns=typed)
            except ValueError as wrong:
                yield Record(number, text, None, str(wrong))


def _cell_encoder(form: RecordFormat, table: Table, names: Sequence[str]) -> Callable[[Sequence[str]], str]:
    """What makes the JSON document of a row of cells."""
    keys = [json.dumps(json_key(name)) for name in names]
    structured = [table.structured(name) for name in names]
    dumps = json.JSONEncoder(ensure_ascii=False).encode
    null = form.null

    def encode(cells: Sequence[str]) -> str:
        values = []
        for key, cell, name, is_json in zip(keys, cells, names, structured, strict=True):
            if cell == null:
                values.append(f"{key}: null")
            elif is_json:
                try:
                    json.loads(cell)
                except ValueError as error:
                    raise ValueError(f'column "{name}": not JSON: {error}') from None
                values.append(f"{key}: {cell}")
            else:
                values.append(f"{key}: {dumps(cell)}")
        return "{" + ", ".join(values) + "}"

    return encode


def row_writer(form: RecordFormat, columns: Sequence[Column]) -> Callable[[Sequence[Any]], bytes]:
    """What makes the record of a row, in UTF-8, its line end included.

    :returns: takes a row as its values, in the order of the columns.
    """
    keys = [json_key(column.name) for column in columns]
    converters = [(place, found) for place, column in enumerate(columns) if (found := converter(column.type))]

    def document(row: Sequence[Any]) -> bytes:
        values = list(row)
        for place, convert in converters:
            values[place] = convert(values[place])
        return json_lines(dict(zip(keys, values, strict=True)))

    if form.name == "jsonl":
        return document
    line = _Line()
    writer = csv.writer(line, delimiter=form.delimiter, lineterminator="\n")
    null = form.null
    converted = dict(converters)
    places = [(place, converted.get(place)) for place in range(len(columns))]

    def cell(value: Any, convert: Any) -> str:
        kind = type(value)
        if value is None:
            return null
        text: str
        if kind is str:
            text = value
        elif kind is int or kind is UUID:
            text = str(value)
        elif kind is bool:
            text = "true" if value else "false"
        elif kind is float and isfinite(value):
            text = repr(value)
        else:
            plain = json.loads(json_lines((value if convert is None else convert(value),)))[0]
            text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
        if text == null:
            raise CommandFailed(f"a value is {null!r}, which stands for null: say another one with --null")
        return text

    def write(row: Sequence[Any]) -> bytes:
        writer.writerow([cell(row[place], convert) for place, convert in places])
        return line.text.encode()

    return write


class _Line:
    """Where the CSV writer writes one line."""

    text = ""

    def write(self, text: str) -> int:
        self.text = text
        return len(text)
