"""Tests for :mod:`txcql.cli.loader`, by the command, on the fake cluster."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

import txcql
from txcql.cli import loader
from txcql.test.clicase import CommandTestCase


class LoaderTests(CommandTestCase):
    """Files into tables."""

    def setUp(self) -> None:
        CommandTestCase.setUp(self)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.execute("CREATE TABLE shop.goods (id int, place text, n bigint, PRIMARY KEY (id, place))")

    def file(self, text: str, name: str = "rows.csv") -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def load(self, text: str, *arguments: str, table: str = "shop.goods", name: str = "rows.csv") -> str:
        return self.run_command("load", table, self.file(text, name), *arguments)

    def rows(self, table: str = "shop.goods") -> list[Any]:
        """What the table holds."""

        async def read() -> list[Any]:
            session = await txcql.connect(self.reactor, self.cluster.contact_points)
            result = await session.execute(f"SELECT * FROM {table}")
            await session.close()
            return sorted(map(tuple, result.all()))

        return self.reactor.run(Deferred.fromCoroutine(read()))

    def test_more_rows_than_go_together(self) -> None:
        count = 3 * loader.ROWS_TOGETHER + 1
        text = self.load("id,place,n\n" + "".join(f"{n},hall,{n}\n" for n in range(count)))
        self.assertIn(f"{count} rows loaded into shop.goods\n", text)
        self.assertEqual(self.rows(), [(n, "hall", n) for n in range(count)])
        self.assertEqual(os.listdir(self.folder), ["rows.csv"])

    def test_one_row_at_a_time(self) -> None:
        """A request of more rows than may be in flight goes by itself."""
        self.load("id,place,n\n" + "".join(f"{n},hall,{n}\n" for n in range(50)), "--concurrency", "1")
        self.assertEqual(len(self.rows()), 50)

    def test_the_later_record_wins(self) -> None:
        """Of two records of one row, side by side."""
        self.load("id,place,n\n1,a,9\n1,b,8\n1,a,7\n1,a,6\n")
        self.assertEqual(self.rows(), [(1, "a", 6), (1, "b", 8)])
        self.load('{"id": 1, "place": "a", "n": 9}\n{"id": 1, "place": "a", "n": 5}\n', name="rows.jsonl")
        self.assertEqual(self.rows(), [(1, "a", 5), (1, "b", 8)])

    def test_refused(self) -> None:
        """One row of a request is refused; those beside it are written."""
        rows = "".join(f"{n},hall,{n}\n" for n in range(5)) + f"5,hall,{2**70}\n6,hall,x\n7,hall,7\n8,hall\n"
        said = self.fails("load", "shop.goods", self.file("id,place,n\n" + rows))
        self.assertIn("3 rows were refused: see ", said)
        with open(self.folder / "rows.csv.errors", encoding="utf-8") as file:
            refused = [json.loads(line) for line in file]
        self.assertEqual(sorted(entry["record"] for entry in refused), [5, 6, 8])
        self.assertEqual([row[0] for row in self.rows()], [0, 1, 2, 3, 4, 7])

    def test_too_many_refused(self) -> None:
        """It gives up, and remembers where."""
        rows = "".join(f"{n},hall,x\n" for n in range(40))
        path = self.file("id,place,n\n" + rows)
        self.assertIn(
            "more than 3 rows were refused", self.fails("load", "shop.goods", path, "--max-errors", "3")
        )

    def test_goes_on(self) -> None:
        """Records that an earlier run has done are not read again."""
        path = self.file("id,place,n\n" + "".join(f"{n},hall,{n}\n" for n in range(50)))
        state = {
            "work": {"table": "shop.goods", "file": path, "size": os.path.getsize(path), "share": "0/1"},
            "state": {"records": 45},
        }
        Path(f"{path}.checkpoint").write_text(json.dumps(state), encoding="utf-8")
        self.assertIn("5 rows loaded", self.run_command("load", "shop.goods", path))
        self.assertEqual([row[0] for row in self.rows()], [45, 46, 47, 48, 49])

    def test_time_to_live(self) -> None:
        """With values, and with documents."""
        self.load("id,place,n\n1,a,1\n2,a,2\n", "--ttl", "3600")
        self.load("id,name,sizes\n1,a,[1]\n2,b,[]\n", "--ttl", "3600", table="shop.shirts")
        self.assertEqual(len(self.rows()), 2)
        self.assertEqual(len(self.rows("shop.shirts")), 2)

    def test_nothing(self) -> None:
        self.assertIn("0 rows loaded", self.load("id,place,n\n"))
