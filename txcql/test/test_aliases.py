"""Tests for :mod:`txcql.wire.aliases`."""

from __future__ import annotations

import pickle
import time
from keyword import iskeyword

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.test.examples import examples
from txcql.wire.aliases import clean_name, clean_names, row_class, unique_names


class AliasTests(SynchronousTestCase):
    """Python names for columns."""

    def test_known(self) -> None:
        """The names that the design and the protocol tell of."""
        for name, alias in [
            ("id", "id"),
            ("system.now()", "system_now"),
            ("class", "class_"),
            ("[applied]", "applied"),
            ("in(k)", "in_k"),
            ("cast(v as text)", "cast_v_as_text"),
            ("_id", "id"),
            ("CamelCase", "CamelCase"),
            ("1st", "c_1st"),
            ("größe", "größe"),
            ("ﬁeld", "field"),
            ("", "c"),
            ("()", "c"),
            ("None", "None_"),
        ]:
            self.assertEqual(clean_name(name), alias)

    def test_unique(self) -> None:
        """The second of a name is numbered, past names that are there already."""
        self.assertEqual(clean_names(["v", "v", "v"]), ("v", "v_2", "v_3"))
        self.assertEqual(clean_names(["v", "v", "v_2"]), ("v", "v_3", "v_2"))
        self.assertEqual(clean_names(["v_2", "v", "v"]), ("v_2", "v", "v_3"))
        self.assertEqual(unique_names(["a b", "a b"]), ("a b", "a b_2"))
        self.assertEqual(clean_names(["class", "class_"]), ("class_", "class__2"))

    def test_many(self) -> None:
        """Thousands of equal names take no square of their number."""
        before = time.process_time()
        self.assertEqual(unique_names(["v"] * 65535)[-1], "v_65535")
        self.assertLess(time.process_time() - before, 5)

    @examples
    @given(st.lists(st.text(max_size=4) | st.sampled_from(["v", "v_2", "class"]), max_size=6))
    def test_any_names(self, names: list[str]) -> None:
        """Any names make a named tuple class, each field reachable as it is spelled."""
        fields = clean_names(names)
        self.assertEqual(len(set(fields)), len(names))
        row = row_class("Row", fields)(*range(len(names)))
        for place, field in enumerate(fields):
            self.assertTrue(field.isidentifier() and not iskeyword(field) and not field.startswith("_"))
            self.assertEqual(eval(f"row.{field}", {"row": row}), place)

    def test_row_class(self) -> None:
        """One class for one set of names; its rows pickle."""
        kind = row_class("Row", ("a", "b"))
        self.assertIs(kind, row_class("Row", ("a", "b")))
        row = pickle.loads(pickle.dumps(kind(1, [2])))
        self.assertEqual((row, type(row)), ((1, [2]), kind))
