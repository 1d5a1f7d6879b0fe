"""Tests for :mod:`txcql.wire.records`."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from typing import Any, NamedTuple, TypedDict

import attrs
from twisted.trial.unittest import SynchronousTestCase

from txcql.wire.records import attribute_names, field_values, keywords_for


@dataclasses.dataclass
class Plain:
    id: int
    class_: str
    age: int = 0
    seen: int = dataclasses.field(default=0, init=False)


@attrs.define
class Attrs:
    id: int
    _kind: str
    age: int = 0


class Typed(NamedTuple):
    id: int
    class_: str
    age: int = 0


class Slow:
    def __init__(self, id: int, *, class_: str, age: int = 0) -> None:
        self.id, self.class_, self.age = id, class_, age


class Open:
    def __init__(self, id: int, **others: Any) -> None:
        self.id = id


class ByPlace:
    def __init__(self, id: int, /, class_: str) -> None:
        pass


class Keys(TypedDict):
    id: int


class KeywordsTests(SynchronousTestCase):
    """What a class takes."""

    def refused(self, kind: Any, *names: str) -> str:
        return str(self.assertRaises(TypeError, keywords_for, kind, names, "column"))

    def test_kinds(self) -> None:
        """Dataclasses, named tuples, attrs classes and classes with an __init__ of their own."""
        for kind in (Plain, Typed, Slow, namedtuple("Pair", "id class_ age", defaults=[0])):
            self.assertEqual(keywords_for(kind, ["class", "id"], "column"), ("class_", "id"))
            self.assertEqual(keywords_for(kind, ["age", "id", "class"], "column"), ("age", "id", "class_"))
        self.assertEqual(keywords_for(Attrs, ["id", "kind"], "column"), ("id", "kind"))
        self.assertEqual(keywords_for(Open, ["id", "system.now()"], "column"), ("id", "system_now"))
        self.assertEqual(keywords_for(dict, ["id", "class"], "column"), ("id", "class_"))
        self.assertEqual(keywords_for(Keys, ["id"], "column"), ("id",))

    def test_refused(self) -> None:
        """What is missing and what is too much is named, both at once."""
        self.assertEqual(
            self.refused(Plain, "id", "size"),
            'Plain cannot be made of the columns "id", "size": it takes no column "size"; '
            'there is no column "class_"',
        )
        self.assertIn('there is no column "id"', self.refused(Open, "a", "b"))
        self.assertIn('takes no column "seen"', self.refused(Plain, "id", "class", "seen"))
        self.assertIn('takes "id" by position only', self.refused(ByPlace, "class"))
        self.assertIn('two of them mean the same: "id", "id"', self.refused(Open, "id", "id"))
        self.assertIn("cannot be made of the columns none", self.refused(Plain))


class FieldsTests(SynchronousTestCase):
    """What an instance holds."""

    def test_values(self) -> None:
        """Of dataclasses and attrs classes, by their keywords; of nothing else."""
        self.assertEqual(field_values(Plain(1, "a")), {"id": 1, "class_": "a", "age": 0, "seen": 0})
        self.assertEqual(field_values(Attrs(1, "a")), {"id": 1, "kind": "a", "age": 0})
        for other in (Slow(1, class_="a"), Plain, Attrs, 5, None, {"id": 1}):
            self.assertIsNone(field_values(other))

    def test_attributes(self) -> None:
        """Where a keyword's value is kept."""
        self.assertEqual(attribute_names(Attrs, ["kind", "id"]), ("_kind", "id"))
        self.assertEqual(attribute_names(Slow, ["class_", "id"]), ("class_", "id"))
