"""Tests for :mod:`txcql.cli.rowfiles`, :mod:`~txcql.cli.documents` and :mod:`~txcql.cli.tables`."""

from __future__ import annotations

import io
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import txcql
from txcql.cli.command import CommandFailed
from txcql.cli.documents import converter, json_key
from txcql.cli.rowfiles import Record, RecordFormat, format_of, row_writer
from txcql.cli.tables import Table, quoted
from txcql.wire.fieldtypes import UDTType
from txcql.wire.metadata import Column
from txcql.wire.scalars import INT, TEXT

TABLE = Table("ks", "t", {"id": "int", "Name": "text", "tags": "set<text>", "at": "address"}, ("id",))

CSV = RecordFormat("csv")
ADDRESS = UDTType("ks", "address", [("street", TEXT), ("Zip", INT)])


def records(text: str, form: RecordFormat = CSV, columns: tuple[str, ...] = ()) -> list[Record]:
    """What a file says."""
    return list(form.read(io.StringIO(text, newline=""), TABLE, columns))


class ReadTests(SynchronousTestCase):
    """Files."""

    def documents(self, text: str, *about: Any) -> list[Any]:
        return [json.loads(record.document or "null") for record in records(text, *about)]

    def test_csv(self) -> None:
        """Cells are texts, and JSON where the column's type is made of several values."""
        text = 'id,Name,tags\r\n1,"a,""b""\nc","[""x""]"\r\n2,\\N,\\N\r\n\r\n'
        self.assertEqual(
            self.documents(text),
            [
                {"id": "1", '"Name"': 'a,"b"\nc', "tags": ["x"]},
                {"id": "2", '"Name"': None, "tags": None},
            ],
        )
        self.assertEqual(next(record.text for record in records(text)), '1,"a,""b""\nc","[""x""]"')

    def test_other_csv(self) -> None:
        """No header, another delimiter, another null."""
        form = RecordFormat("csv", header=False, delimiter=";", null="")
        self.assertEqual(
            self.documents("1;x\n2;\n", form, ("id", "Name")),
            [{"id": "1", '"Name"': "x"}, {"id": "2", '"Name"': None}],
        )

    def test_wrong_rows(self) -> None:
        """Each is told by itself; the rows behind it are read."""
        found = records('id,tags\n1\n2,[\n3,"[]"\n"4" x,[]\n5,[]\n')
        self.assertEqual(
            [record.error for record in found],
            [
                "1 cells where 2 columns are expected",
                'column "tags": not JSON: Expecting value: line 1 column 2 (char 1)',
                "",
                "not CSV: ',' expected after '\"'",
                "",
            ],
        )
        self.assertEqual([record.text for record in found], ["1", "2,[", '3,"[]"', '"4" x,[]', "5,[]"])

    def test_wrong_header(self) -> None:
        error = self.assertRaises(CommandFailed, records, "id,nope\n")
        self.assertEqual(str(error), "ks.t has no column nope; there are: id, Name, tags, at")
        error = self.assertRaises(CommandFailed, records, "id,id\n")
        self.assertEqual(str(error), "a column is named twice: id, id")

    def test_nothing(self) -> None:
        self.assertEqual(records(""), [])
        self.assertEqual(records("id\n"), [])

    def test_json_lines(self) -> None:
        """They are taken as they are."""
        found = records('{"id": 1}\n\n{"id": 2}', RecordFormat("jsonl"))
        self.assertEqual([record.document for record in found], ['{"id": 1}', '{"id": 2}'])

    def test_format(self) -> None:
        """By the name of the file, or as it is called."""
        for name, given, expected in (
            ("a.csv", None, "csv"),
            ("a.jsonl", None, "jsonl"),
            ("a.ndjson", None, "jsonl"),
            ("a", "csv", "csv"),
        ):
            self.assertEqual(format_of(name, given), expected)
        error = self.assertRaises(CommandFailed, format_of, "a.txt", None)
        self.assertIn("Say --format csv or --format jsonl", str(error))


class WriteTests(SynchronousTestCase):
    """Rows."""

    columns = (
        Column("ks", "t", "id", INT),
        Column("ks", "t", "Name", TEXT),
        Column("ks", "t", "at", ADDRESS),
    )

    def test_both(self) -> None:
        """What is written is what is read."""
        row = (1, 'a,"b"', ADDRESS.decode(ADDRESS.encode(("s", 7))))
        expected = {"id": 1, '"Name"': 'a,"b"', "at": {"street": "s", '"Zip"': 7}}
        line = row_writer(RecordFormat("jsonl"), self.columns)(row)
        self.assertEqual(json.loads(line), expected)
        line = row_writer(CSV, self.columns)(row)
        (record,) = records("id,Name,at\n" + line.decode())
        self.assertEqual(json.loads(record.document or ""), {**expected, "id": "1"})

    def test_null(self) -> None:
        """A null is no empty text, and no text can be taken for one."""
        write = row_writer(CSV, self.columns)
        self.assertEqual(write((1, None, None)), b"1,\\N,\\N\n")
        self.assertEqual(write((1, "", None)), b"1,,\\N\n")
        error = self.assertRaises(CommandFailed, write, (1, "\\N", None))
        self.assertIn("say another one with --null", str(error))


class DocumentTests(SynchronousTestCase):
    """Values with user-defined types in them."""

    def converted(self, kind: Any, value: Any) -> Any:
        convert = converter(kind)
        assert convert is not None
        return convert(value)

    def test_names(self) -> None:
        self.assertEqual([json_key("a_b"), json_key("aB")], ["a_b", '"aB"'])
        self.assertEqual([quoted("a_b"), quoted('a"B')], ["a_b", '"a""B"'])

    def test_most_types(self) -> None:
        """There is nothing to do for them."""
        for text in (
            "int",
            "list<int>",
            "map<text, frozen<list<int>>>",
            "tuple<int, text>",
            "vector<int, 2>",
        ):
            self.assertIsNone(converter(txcql.parse_type(text)))

    def test_inside(self) -> None:
        """Wherever they are."""
        from txcql.wire.collectiontypes import FrozenType, ListType, MapType, SetType
        from txcql.wire.fieldtypes import TupleType

        one, plain = ("s", 1), {"street": "s", '"Zip"': 1}
        frozen = FrozenType(ADDRESS)
        self.assertEqual(self.converted(ListType(frozen), [one, one]), [plain, plain])
        self.assertEqual(self.converted(SetType(frozen), {one}), [plain])
        self.assertEqual(self.converted(TupleType([INT, frozen]), (1, one)), [1, plain])
        self.assertEqual(self.converted(MapType(TEXT, frozen), {"k": one}), {"k": plain})
        key = json.dumps(plain)
        self.assertEqual(self.converted(MapType(frozen, INT), {one: 5}), {key: 5})
        self.assertIsNone(self.converted(ListType(frozen), None))
        self.assertEqual(self.converted(frozen, ("s", None)), {"street": "s", '"Zip"': None})


class TableTests(SynchronousTestCase):
    """What is known of a table."""

    def test_structured(self) -> None:
        self.assertEqual([TABLE.structured(name) for name in TABLE.columns], [False, False, True, True])

    def test_chosen(self) -> None:
        self.assertEqual(TABLE.chosen(()), ("id", "Name", "tags", "at"))
        self.assertEqual(TABLE.chosen(("tags", "id")), ("tags", "id"))
